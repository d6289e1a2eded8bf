"""All checks, one after the other; whatever happens to one, the others are made."""

import threading
from collections.abc import Callable, Iterator, Sequence

from runtime.doctor.finding import Case, Finding, Level
from runtime.doctor.folder import survey
from runtime.errors import InflamapError

Check = Callable[[Case], Sequence[Finding]]
# a share whose server has gone may never answer
PATIENCE_S = 30.0
# a GPU's engine may have to be built
ENGINE_PATIENCE_S = 900.0


def examine(case: Case, checks: Sequence[tuple[str, Check]] | None = None) -> Iterator[Finding]:
    """The findings, as they are made.

    Args:
        case: what to examine.
        checks: names and checks in their order; None for all that suit the case.
    """
    # several checks look through the folder, each examination once
    survey.cache_clear()
    for name, check in all_checks(case) if checks is None else checks:
        yield from _safely(name, check, case)


def all_checks(case: Case) -> list[tuple[str, Check]]:
    """The checks that suit the case, in the order in which one thing rests on another."""
    from runtime.doctor import engine, folder, ledger, machine, outputs, results, service

    return [
        ("software", machine.software),
        ("machine", machine.machine),
        ("account", machine.account),
        *([("folder", folder.folder), ("share", folder.share)] if case.folder else []),
        *([("results", results.results), ("free space", results.free_space)] if case.out else []),
        *([("ledger", ledger.ledger), ("outputs", outputs.outputs), ("watch", ledger.watch)] if case.out else []),
        ("clock", machine.clock),
        *([("inotify", folder.inotify)] if case.folder else []),
        ("engine", engine.engine),
        ("service", service.service),
    ]


def _safely(name: str, check: Check, case: Case) -> Sequence[Finding]:
    """The check's findings; a fault where it breaks, or does not come back."""
    found: list[Finding] = []

    def run() -> None:
        try:
            found.extend(check(case))
        except InflamapError as error:
            found.append(Finding.of_error(name, error))
        except Exception as error:
            seen = f"this check broke: {type(error).__name__}: {error}"
            found.append(Finding(name, Level.FAULT, seen, "report this line"))

    # a thread that hangs in the system cannot be ended; as a daemon it does not keep the program from ending
    thread = threading.Thread(target=run, name=f"doctor {name}", daemon=True)
    patience_s = ENGINE_PATIENCE_S if name == "engine" else PATIENCE_S
    thread.start()
    thread.join(patience_s)
    if thread.is_alive():
        return [
            Finding(name, Level.FAULT, f"no answer within {patience_s:g} s", "look whether its disk or server answers")
        ]
    return found
