"""A study in a ledger, with a record for each image."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from made_up import fail, finish, result_of, take
from msgspec.structs import replace

from runtime.ledger import ImageRow, open_ledger
from runtime.outputs import result_files
from runtime.result import WorstRegion

GRADES = {str(grade): 0.2 for grade in range(5)}
FROM_1 = {str(grade): 0.2 for grade in range(1, 6)}
Study = Callable[..., list[ImageRow]]


@pytest.fixture
def from_1() -> dict[str, float]:
    """Areas of the grades 1 to 5."""
    return FROM_1


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Fills a ledger in `tmp_path` with (path, score or None) pairs, and gives its rows."""

    def fill(
        images: Sequence[tuple[str, float | None]],
        *,
        failed: Sequence[str] = (),
        records: bool = True,
        areas: dict[str, float] = GRADES,
    ) -> list[ImageRow]:
        with open_ledger(tmp_path, create=True) as ledger:
            for name in failed:
                fail(ledger, name)
            for name, score in images:
                if score is None:
                    finish(ledger, name, status="withheld")
                    continue
                path = Path(name)
                result = result_of(path, score=score, areas=areas)
                assert result.score is not None
                worst = WorstRegion(min(float(list(areas)[-1]), score + 0.5), 100.0, 200.0, 96.0)
                result = replace(result, score=replace(result.score, worst_region=worst))
                ledger.finished(take(ledger, name), result, time.time())
                if records:
                    file = tmp_path / result_files(path).score
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(json.dumps(result.to_json()))
            return list(ledger.rows())

    return fill
