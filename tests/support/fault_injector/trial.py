"""One fault at one call of a scenario, the starts after it, and all that has to hold then and in between."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fault_injector.folders import (
    Folders,
    Ran,
    Row,
    Stamp,
    files_in,
    images_in,
    score_file,
    sha256_of,
    stamp_of,
)
from fault_injector.library import Call, Fault
from fault_injector.running_watch import Move
from runtime.outputs import LEDGER_FILE, result_files

# a start that cannot be because of what the fault left, and the one that makes it good
MOST_STARTS = 2
# of the same trial, where another call came at the number
MOST_TRIES = 4
KILLED = -9
# signs of an error that was not thought of
_UNEXPECTED = ("Traceback", "unexpected", "Exception ignored", "Exception in thread")


@dataclass(frozen=True)
class Scenario:
    """Something that inflamap does, and what has to come out of it.

    Attributes:
        name: as in the table of docs/reliability.md.
        prepare: makes the folders what they are before.
        command: of `inflamap`, under the fault.
        move: an image that comes while that watch runs; None for a command that ends by itself.
        recovery: the commands that make it good, the last one a watch.
        says: what the command says without a fault, lest it do something else than it is meant to.
        rewrites: whether results that are whole may be written again, all of them or none.
        overlays_go: whether overlays are removed.
        claims: what has to hold where the command said that it was done; gives what does not.
        always: the same of what has to hold at any instant, beside what does for all.
    """

    name: str
    prepare: Callable[[Folders], None]
    command: Callable[[Folders], list[str]]
    says: str
    recovery: Callable[[Folders], list[list[str]]] = lambda there: [there.watch("--once")]
    move: Callable[[Folders], Move] | None = None
    rewrites: bool = False
    overlays_go: bool = False
    claims: Callable[[Folders], list[str]] = lambda _there: []
    always: Callable[[Folders], list[str]] = lambda _there: []


class Files(NamedTuple):
    """Hashes of an image's overlay and map; None where there is none."""

    overlay: str | None
    map: str | None


@dataclass
class Undisturbed:
    """What a scenario comes to without a fault.

    Attributes:
        ran: the command.
        statuses: of the recovery's commands.
        rows: of all images at the end.
        files: all below the results' folder at the end.
        images: in the watched folder at the end.
        known: overlay and map by image and content.
    """

    ran: Ran
    statuses: list[int | None]
    rows: dict[str, Row]
    files: set[str]
    images: dict[str, tuple[str, int]]
    known: dict[tuple[str, str], Files]


@dataclass(frozen=True)
class Outcome:
    """A trial. `wrong`: all that did not hold; `hit`: whether the fault came at the call that was meant."""

    call: Call
    fault: Fault
    wrong: tuple[str, ...]
    hit: bool
    starts: int


def undisturbed(scenario: Scenario, there: Folders) -> Undisturbed:
    """Prepare the folders, remember them, and go through the scenario once without a fault."""
    for folder in (there.watched, there.out, there.to_come):
        shutil.rmtree(folder, ignore_errors=True)
    there.watched.mkdir()
    there.to_come.mkdir()
    scenario.prepare(there)
    there.keep()
    known = dict(_known(there))
    # SQLite's calls depend on what the files beside the ledger are, which a copy of them may change
    there.restore()
    ran = _run(scenario, there)
    known |= _known(there)
    statuses = [there.run(command).status for command in scenario.recovery(there)]
    known |= _known(there)
    files, images = set(files_in(there.out)), images_in(there.watched)
    normal = Undisturbed(ran, statuses, there.rows() or {}, files, images, known)
    assert any(line.startswith(scenario.says) for line in ran.said), ran.said
    wrong = [*_ending(scenario, ran, normal, Fault.NONE), *_disk(scenario, there, normal)]
    assert not wrong, wrong
    return normal


def undergo(scenario: Scenario, there: Folders, normal: Undisturbed, number: int, fault: Fault) -> Outcome:
    """Have a fault at a call, counted from 1; where another call has its number this time, once more."""
    call = normal.ran.calls[number - 1]
    for _ in range(MOST_TRIES):
        there.restore()
        ran = _run(scenario, there, number, fault)
        hit = len(ran.calls) >= number and ran.calls[number - 1].place == call.place
        if hit:
            break
    wrong = [f"at once: {line}" for line in _ending(scenario, ran, normal, fault)]
    wrong += [f"at once: {line}" for line in _disk(scenario, there, normal, settled=False)]
    wrong += [f"at once: {line}" for line in scenario.always(there)]
    if ran.status == 0:
        wrong += [f"said to be done: {line}" for line in _undone(scenario, there, normal, fault)]
    whole = _whole_records(there, normal)
    starts, left = 0, [""]
    while left and starts < MOST_STARTS:
        starts += 1
        again = [there.run(command) for command in scenario.recovery(there)]
        left = list(_at_the_end(scenario, there, normal, again, whole))
    wrong += [f"after {starts} starts: {line}" for line in left]
    if images_in(there.watched) != normal.images:
        wrong.append("the watched folder was changed")
    return Outcome(call, fault, tuple(wrong), hit, starts)


def _run(scenario: Scenario, there: Folders, number: int = 0, fault: Fault = Fault.NONE) -> Ran:
    move = None if scenario.move is None else scenario.move(there)
    return there.run(scenario.command(there), target=number, fault=fault, move=move)


def _known(there: Folders) -> Iterator[tuple[tuple[str, str], Files]]:
    """Overlay and map of each result; those of one whose overlay went are known from before."""
    for record in there.records().values():
        if record is not None and record["overlay"]["file"] is not None:
            name, sha256 = record["image"]["path"], record["image"]["sha256"]
            files = result_files(Path(name))
            yield (name, sha256), Files(_hash_of(there.out / files.overlay), _hash_of(there.out / files.map))


def _hash_of(path: Path) -> str | None:
    return sha256_of(path) if path.exists() else None


def _ending(scenario: Scenario, ran: Ran, normal: Undisturbed, fault: Fault) -> Iterator[str]:
    """What is wrong with how the command ended."""
    said = "\n".join(ran.said)
    if ran.status is None:
        yield f"the command hung: {said}"
    elif fault.kills:
        if ran.status != KILLED:
            yield f"not killed, but ended with {ran.status}: {said}"
    elif fault is Fault.SHORT and ran.status != normal.ran.status:
        yield f"a write that took two calls ended it with {ran.status}: {said}"
    elif ran.status not in (0, 2):
        yield f"ended with {ran.status}: {said}"
    elif ran.status == 2 and not any(line.startswith("inflamap: ") for line in _where_said(scenario, ran)):
        yield f"ended with 2 and no plain line: {said}"
    if any(sign in said for sign in _UNEXPECTED):
        yield f"an error that was not thought of: {said}"


def _undone(scenario: Scenario, there: Folders, normal: Undisturbed, fault: Fault) -> Iterator[str]:
    """What a command left undone that ended with 0."""
    yield from scenario.claims(there)
    # an overlay that cannot be removed is told of and tried again later; a watch that goes on waits for a broken disk
    stopped_before = scenario.move is not None and fault.lasts
    if scenario.command(there)[0] == "watch" and not scenario.overlays_go and not stopped_before:
        yield from _rows_differ(there.rows(), normal.rows)


def _where_said(scenario: Scenario, ran: Ran) -> list[str]:
    """Lines of which one has to tell why: the last one, or any where the command goes on with other images."""
    return ran.said if scenario.move is None else ran.said[-1:]


def _disk(scenario: Scenario, there: Folders, normal: Undisturbed, *, settled: bool = True) -> Iterator[str]:
    """What is wrong on the disk at this instant, whoever looks at it. `settled`: no overlay is about to go."""
    for name, record in there.records().items():
        if record is None:
            yield f"{name}: half a record"
            continue
        image, sha256 = record["image"]["path"], record["image"]["sha256"]
        own = normal.known.get((image, sha256))
        if own is None or score_file(image) != name:
            yield f"{name}: a record of {image} with a content it never had"
            continue
        files = result_files(Path(image))
        overlay, map_ = _hash_of(there.out / files.overlay), _hash_of(there.out / files.map)
        may_be_gone = scenario.overlays_go and (not settled or record["overlay"]["file"] is None)
        if overlay != own.overlay and not (overlay is None and may_be_gone):
            yield f"{name}: vouches for an overlay that is {'missing' if overlay is None else 'not its own'}"
        if map_ != own.map:
            yield f"{name}: vouches for a map that is {'missing' if map_ is None else 'not its own'}"
    rows = there.rows()
    for image, row in (rows or {}).items():
        if row.state in ("scored", "withheld"):
            record = there.records().get(score_file(image))
            if record is None or record["image"]["sha256"] != row.sha256:
                yield f"{image}: a row that is {row.state} without a record of it"


def _whole_records(there: Folders, normal: Undisturbed) -> dict[str, Stamp]:
    """Records about what their images hold now, with all their files: they need not be written again."""
    now = images_in(there.watched)
    whole = {}
    for name, record in there.records().items():
        if record is None:
            continue
        image, sha256 = record["image"]["path"], record["image"]["sha256"]
        files = result_files(Path(image))
        found = Files(_hash_of(there.out / files.overlay), _hash_of(there.out / files.map))
        # of an image that is gone there will be no other
        if normal.known.get((image, sha256)) == found and now.get(image, (sha256, 0))[0] == sha256:
            whole[name] = stamp_of(there.out / name)
    return whole


def _at_the_end(
    scenario: Scenario, there: Folders, normal: Undisturbed, again: list[Ran], whole: dict[str, Stamp]
) -> Iterator[str]:
    """What is not as without the fault, once the commands ran again."""
    for ran, status in zip(again, normal.statuses, strict=True):
        said = "\n".join(ran.said)
        if ran.status != status:
            yield f"ended with {ran.status} instead of {status}: {said}"
        if any(sign in said for sign in _UNEXPECTED):
            yield f"an error that was not thought of: {said}"
    yield from _rows_differ(there.rows(), normal.rows)
    files = set(files_in(there.out))
    yield from (f"{name}: missing" for name in sorted(normal.files - files))
    yield from (f"{name}: left over" for name in sorted(files - normal.files) if not name.startswith(LEDGER_FILE))
    yield from _disk(scenario, there, normal)
    for name, row in normal.rows.items():
        if row.overlay is None and scenario.overlays_go:
            whole.pop(score_file(name), None)
    rewritten = [name for name, stamp in whole.items() if _stamp(there.out / name) != stamp]
    if scenario.rewrites and len(rewritten) == len(whole):
        return
    yield from (f"{name}: written a second time" for name in rewritten)


def _rows_differ(rows: dict[str, Row] | None, normal: dict[str, Row]) -> Iterator[str]:
    if rows is None:
        yield "the ledger cannot be read"
        return
    for image in sorted(rows.keys() | normal.keys()):
        row, wanted = rows.get(image), normal.get(image)
        if row != wanted:
            yield f"{image}: {row} instead of {wanted}"


def _stamp(path: Path) -> Stamp | None:
    return stamp_of(path) if path.exists() else None
