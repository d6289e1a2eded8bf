"""What inflamap does to its results' folder, each as a scenario of `trial`."""

import random
import shutil
import time
from pathlib import Path

from fault_injector.folders import Folders, kept_of
from fault_injector.library import Fault
from fault_injector.running_watch import Move
from fault_injector.trial import Scenario
from runtime.file_state import FileState
from runtime.ledger import open_ledger
from runtime.ledger.ledger import Arrival
from runtime.outputs import LEDGER_FILE, result_files

_EARLIER = "earlier\n"


def _with_results(there: Folders, files: dict[str, str]) -> None:
    """A watch has been here, and done these."""
    there.save(there.watched, files)
    ran = there.run(there.watch("--once"))
    assert ran.status in (0, 2), ran.said


class _Running:
    """A watch that has done two images, and is idle when a third one arrives, or other content for one of them."""

    def __init__(self, picture: str, name: str, said: str) -> None:
        self._picture, self._name, self._said = picture, name, said

    def prepare(self, there: Folders) -> None:
        _with_results(there, {"a.bmp": "one", "b.bmp": "two"})
        there.save(there.to_come, {self._name: self._picture})

    def move(self, there: Folders) -> Move:
        come, goes = there.to_come / self._name, there.watched / self._name
        return Move(str(come), str(goes), f"{self._said}{self._name}: ")


def _running(name: str, picture: str, image: str, said: str = "") -> Scenario:
    running = _Running(picture, image, said)
    return Scenario(name, running.prepare, _by_polling, says=f"{said}{image}: ", move=running.move)


def _by_polling(there: Folders) -> list[str]:
    """Without the threads that listen for events: the script has the folder listed when it is needed."""
    return there.watch("--discovery", "polling")


def _prepare_gone(there: Folders) -> None:
    """One that has a result, one that was to be scored anew, and one that was never looked at: all gone."""
    _with_results(there, {"a.bmp": "one", "b.bmp": "two", "c.bmp": "three"})
    there.save(there.watched, {"d.bmp": "four"})
    file = FileState.of(there.watched / "d.bmp")
    assert file is not None
    with open_ledger(there.out) as ledger:
        ledger.arrived([Arrival("d.bmp", file, time.time())])
        ledger.retry([Path("b.bmp")], time.time())
    for name in ("a", "b", "d"):
        (there.watched / f"{name}.bmp").unlink()


def _prepare_fresh(there: Folders) -> None:
    there.save(there.watched, {"site 1/a.bmp": "one", "b.bmp": "blank"})


def _prepare_broken(there: Folders) -> None:
    """No overlay, whose bytes would depend on the key that is drawn."""
    there.save(there.watched, {"c.bmp": "broken"})


def _watch_with_log(there: Folders) -> list[str]:
    """The log is begun anew at every line."""
    log = ["--log-file", str(there.out / "watch.log"), "--log-max-mb", "0.0001", "--log-files", "3"]
    return there.watch("--once", "--pseudonymise", *log)


def _prepare_killed(there: Folders) -> None:
    """A watch was killed when it had written one of the three files of a result, and was to rename the record."""
    _with_results(there, {"a.bmp": "one"})
    there.save(there.watched, {"a.bmp": "other", "b.bmp": "two"})
    calls = there.run(there.watch("--once")).calls
    # the ledger and the results as they were before that watch
    shutil.rmtree(there.out)
    (there.watched / "b.bmp").unlink()
    _with_results(there, {"a.bmp": "one"})
    there.save(there.watched, {"a.bmp": "other", "b.bmp": "two"})
    number = next(n for n, call in enumerate(calls, 1) if call.name == "rename" and call.path.endswith(".score.json"))
    killed = there.run(there.watch("--once"), target=number, fault=Fault.KILL_BEFORE)
    assert killed.status is not None
    assert killed.status < 0
    assert list(there.out.rglob("*.tmp-*"))


def _prepare_lost(there: Folders) -> None:
    _with_results(there, {"a.bmp": "one", "b.bmp": "blank", "c.bmp": "broken"})
    for path in there.out.glob(f"{LEDGER_FILE}*"):
        path.unlink()


def _prepare_damaged(there: Folders) -> None:
    _with_results(there, {"a.bmp": "one", "b.bmp": "blank", "c.bmp": "broken"})
    path = there.out / LEDGER_FILE
    data = bytearray(path.read_bytes())
    data[4096:] = random.Random(5).randbytes(len(data) - 4096)
    path.write_bytes(data)


def _prepare_four(there: Folders) -> None:
    _with_results(there, {"a.bmp": "one", "b.bmp": "two", "c.bmp": "three", "d.bmp": "four"})


def _keep_two(there: Folders) -> list[str]:
    """A watch that has room for two of the four overlays."""
    room = sum((kept_of(there.out) / f"{name}.bmp.overlay.jpg").stat().st_size for name in ("c", "d"))
    return there.watch("--once", "--keep-overlays-gb", f"{room / 1e9:.9f}")


def _prepare_retry(there: Folders) -> None:
    _with_results(there, {"a.bmp": "one", "b.bmp": "blank", "c.bmp": "broken"})


def _retry(there: Folders) -> list[str]:
    return ["retry", "--all", "--out", str(there.out)]


def _all_wait(there: Folders) -> list[str]:
    return [f"{image}: still {row.state}" for image, row in (there.rows() or {}).items() if row.state != "waiting"]


def _prepare_score(there: Folders) -> None:
    there.save(there.watched, {"a.bmp": "one", "b.bmp": "two"})


def _score(there: Folders) -> list[str]:
    images = [str(there.watched / name) for name in ("a.bmp", "b.bmp")]
    return ["score", *images, "--out", str(there.out), "--threads", "1", "--um-per-px", "0.5"]


def _both_scored(there: Folders) -> list[str]:
    return [
        f"{name}: no record" for name in ("a.bmp", "b.bmp") if not (there.out / result_files(Path(name)).score).exists()
    ]


def _prepare_table(there: Folders) -> None:
    _with_results(there, {"a.bmp": "one", "b.bmp": "blank"})
    (there.out / "table.csv").write_text(_EARLIER)


def _table(there: Folders) -> list[str]:
    return ["results", "--out", str(there.out), "--csv", str(there.out / "table.csv")]


def _table_is_new(there: Folders) -> list[str]:
    text = (there.out / "table.csv").read_text()
    return [] if "a.bmp" in text and "b.bmp" in text else [f"table.csv: {text!r}"]


def _table_is_whole(there: Folders) -> list[str]:
    return [] if (there.out / "table.csv").read_text() == _EARLIER else _table_is_new(there)


def _once(there: Folders) -> list[str]:
    return there.watch("--once")


SCENARIOS = (
    _running("an image arrives", "three", "c.bmp"),
    _running("an image is overwritten", "other", "a.bmp"),
    _running("an image is withheld", "blank", "c.bmp"),
    _running("a broken file takes an image's place", "broken", "a.bmp", said="inflamap: "),
    Scenario("images are gone", _prepare_gone, _once, says="inflamap: d.bmp: the file is gone"),
    Scenario("first start", _prepare_fresh, _once, says="this run: 2 scored or withheld, 0 failed"),
    Scenario(
        "first start, with a log and pseudonyms",
        _prepare_broken,
        _watch_with_log,
        says="this run: 0 scored or withheld, 1 failed",
        recovery=lambda there: [_watch_with_log(there)],
    ),
    Scenario(
        "start after a kill amid a result",
        _prepare_killed,
        _once,
        says="this run: 2 scored or withheld, 0 failed",
    ),
    Scenario("rebuild of a lost ledger", _prepare_lost, _once, says="inflamap: there was no ledger; 2 earlier results"),
    Scenario("rebuild of a damaged ledger", _prepare_damaged, _once, says="inflamap: the ledger was damaged"),
    Scenario(
        "retention",
        _prepare_four,
        _keep_two,
        says="2 old overlays removed",
        recovery=lambda there: [_keep_two(there)],
        overlays_go=True,
    ),
    Scenario(
        "`inflamap retry --all`",
        _prepare_retry,
        _retry,
        says="3 images to be scored anew",
        rewrites=True,
        claims=_all_wait,
    ),
    Scenario(
        "`inflamap score` of two images",
        _prepare_score,
        _score,
        says="a.bmp: ",
        recovery=lambda there: [_score(there), there.watch("--once")],
        rewrites=True,
        claims=_both_scored,
    ),
    Scenario(
        "`inflamap results --csv`",
        _prepare_table,
        _table,
        says="2 images in ",
        recovery=lambda there: [_table(there), there.watch("--once")],
        claims=_table_is_new,
        always=_table_is_whole,
    ),
)
