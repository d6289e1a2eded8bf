"""The engine for `--engine`: the one that is named and no other, or with `auto` the one that was accepted here."""

import shlex
from collections.abc import Callable, Sequence

import msgspec

from runtime.bundle import DEFAULT_BUNDLE, Bundle
from runtime.engines.protocol import DeployedEngine
from runtime.engines.registry import REFERENCE_ENGINE, open_engine
from runtime.errors import InflamapError, one_line

AUTO = "auto"


def open_chosen(bundle: Bundle, wanted: str, *, threads: int, say: Callable[[str], None]) -> DeployedEngine:
    """Open an engine, proven on the golden frames.

    Args:
        bundle: where the model comes from.
        wanted: an engine's id: that one or its error. Or `auto`: the one that `inflamap bench --accept` chose, as long
            as machine, bundle and libraries are those it was chosen with; the reference otherwise.
        threads: cores to use at most.
        say: told which engine `auto` came to and why, and of work that takes a while.

    Raises:
        InflamapError: as `open_engine`, for the engine named or for the reference.
    """
    if wanted != AUTO:
        return open_engine(bundle, wanted, threads=threads, say=say)
    found = _open_accepted(bundle, threads, say)
    engine = found.engine or open_engine(bundle, REFERENCE_ENGINE, threads=threads, say=say)
    say(f"engine {engine.name}: {found.why}")
    return engine


class _Found(msgspec.Struct, frozen=True):
    """What `auto` comes to: an engine (None for the reference, not opened yet), and the reason for a person."""

    engine: DeployedEngine | None
    why: str


def _open_accepted(bundle: Bundle, threads: int, say: Callable[[str], None]) -> _Found:
    # an engine that is named needs none of it
    from runtime.acceptance import accepted_here

    again = f"next: `{_bench_command(bundle)}`"
    try:
        accepted = accepted_here(bundle)
    except InflamapError as error:
        return _Found(None, f"NOT the accepted one, for that cannot be told: {error}; `{_bench_command(bundle)}`")
    if accepted is None:
        return _Found(None, f"none was chosen for this bundle on this machine yet; {again}")
    # whoever may write the file may have put anything there
    name, day = one_line(accepted.engine), accepted.accepted.date().isoformat()

    def outdated(changes: Sequence[str], engine: DeployedEngine | None = None) -> _Found:
        which = "accepted" if name == REFERENCE_ENGINE else f"NOT {name}, which was accepted"
        return _Found(engine, f"{which} on {day}, but since then {', '.join(changes)}; {again}")

    if changes := accepted.changes(bundle):
        return outdated(changes)
    try:
        engine = open_engine(bundle, name, threads=threads, say=say)
    except InflamapError as error:
        if name == REFERENCE_ENGINE:
            raise
        return _Found(None, f"NOT {name}, which was accepted on {day} and does not run now: {error}")
    if changes := accepted.changes_below(engine.runs_on):
        # the one that is open will do where it is the reference itself
        return outdated(changes, engine if name == REFERENCE_ENGINE else None)
    p95_ms = accepted.figures.get("p95_ms")
    figures = [] if p95_ms is None else [f"p95 {p95_ms:.0f} ms on {one_line(accepted.frames)[:20]} frames"]
    if threads != accepted.threads:
        figures.append(f"measured with --threads {accepted.threads}, this is {threads}")
    return _Found(engine, f"accepted on this machine on {day}" + (f" ({', '.join(figures)})" if figures else ""))


def _bench_command(bundle: Bundle) -> str:
    folder = "" if bundle.folder == DEFAULT_BUNDLE else f" {shlex.quote(str(bundle.folder))}"
    return f"inflamap bench{folder} --accept"
