"""The page's own order of images, and which of them Now follows: `order.js`, run in a browser."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MODULE = (files("runtime.viewer") / "static" / "order.js").read_text(encoding="utf-8")
# takes batches of entries as the page is told of them; returns the followed image's id after each, and the order
RUN = """(batches) => {
  const known = new order.Known();
  const byId = new Map();
  const followed = [];
  let sorted = [];
  for (const batch of batches) {
    for (const entry of batch) byId.set(entry.id, entry);
    sorted = [...byId.values()].sort(order.byAcquisition);
    followed.push(known.note(batch, sorted)?.id ?? null);
  }
  return [followed, sorted.map((entry) => entry.id)];
}"""
NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def script(browser: Any) -> Iterator[Any]:
    """A page with nothing but the module."""
    page = browser.new_page()
    page.evaluate(
        "async (text) => {"
        "window.order = await import(URL.createObjectURL(new Blob([text], {type: 'text/javascript'}))); }",
        MODULE,
    )
    yield page
    page.close()


def entry(name: str, acquired: float, state: str = "scored", at: float | None = None) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "acquired": NOW + acquired,
        "at": NOW + acquired + 1 if at is None else NOW + at,
        "state": state,
    }


def follow(script: Any, *batches: list[dict[str, Any]]) -> list[str | None]:
    """What Now moves to with each batch."""
    return list(script.evaluate(RUN, batches)[0])


def test_a_new_image_is_followed_also_one_that_failed(script: Any) -> None:
    found = follow(script, [entry("a", 1)], [entry("b", 2, "failed")], [entry("c", 3, "withheld")])
    assert found == ["a", "b", "c"]


def test_a_failed_file_that_fails_again_or_heals_or_disappears_is_not(script: Any) -> None:
    begin = [entry("a", 1, "failed"), entry("b", 2)]
    for after in (
        entry("a", 1, "failed", at=9),
        entry("a", 1, "waiting", at=9),
        entry("a", 1, "scored", at=9),
        # copied to its end meanwhile
        entry("a", 8, "scored", at=9),
        entry("a", 8, "failed", at=9),
    ):
        assert follow(script, begin, [after])[1] is None, after


def test_a_retry_is_not_followed_and_neither_is_its_result(script: Any) -> None:
    found = follow(script, [entry("a", 1), entry("b", 2)], [entry("a", 1, "waiting")], [entry("a", 1, at=9)])
    assert found == ["b", None, None]


def test_an_image_saved_again_under_its_name_is_followed(script: Any) -> None:
    found = follow(script, [entry("a", 1), entry("b", 2)], [entry("a", 3, "waiting", at=1)], [entry("a", 3, at=4)])
    assert found == ["b", None, "a"]


def test_a_file_dated_in_the_future_does_not_keep_later_ones_from_being_followed(script: Any) -> None:
    found = follow(script, [entry("odd", 1e8, at=1)], [entry("a", 2)], [entry("b", 3)], [entry("odd", 1e8, at=9)])
    assert found == ["odd", "a", "b", None]


def test_of_images_that_are_all_dated_in_the_future_the_last_is_followed(script: Any) -> None:
    found = follow(script, [entry("b", 1e8 + 2, at=1)], [entry("a", 1e8 + 1, at=2)], [entry("c", 1e8 + 3, at=3)])
    assert found == ["b", None, "c"]


NAMES = st.sampled_from("abcdefgh")
DONE = st.sampled_from(["scored", "withheld", "failed"])
STATES = DONE | st.just("waiting")
# the time at which each image was saved, some at the same time; and the order in which they were done
BURST = st.lists(st.tuples(NAMES, st.integers(0, 5)), min_size=1, max_size=8, unique_by=lambda each: each[0])
HARNESS = {"max_examples": 60, "deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(**HARNESS)  # type: ignore[arg-type]
@given(burst=BURST, data=st.data())
def test_after_a_burst_the_view_ends_on_the_image_saved_last(
    script: Any, burst: list[tuple[str, int]], data: st.DataObject
) -> None:
    done = data.draw(st.permutations(burst))
    size = data.draw(st.integers(1, 4))
    entries = [entry(name, float(saved), data.draw(DONE)) for name, saved in done]
    found, order = script.evaluate(RUN, [entries[at : at + size] for at in range(0, len(entries), size)])
    shown = [name for name in found if name is not None]
    assert order == [name for name, saved in sorted(burst, key=lambda each: (each[1], each[0]))]
    assert shown[-1] == order[-1]
    # and moves forward only
    assert [order.index(name) for name in shown] == sorted({order.index(name) for name in shown})


@settings(**HARNESS)  # type: ignore[arg-type]
@given(burst=BURST, changes=st.lists(st.tuples(NAMES, STATES), max_size=10))
def test_no_change_of_images_that_are_known_is_followed(
    script: Any, burst: list[tuple[str, int]], changes: list[tuple[str, str]]
) -> None:
    saved = dict(burst)
    later = [[entry(name, float(saved[name]), state, at=100)] for name, state in changes if name in saved]
    found = follow(script, [entry(name, float(at)) for name, at in burst], *later)
    assert found[1:] == [None] * len(later)
