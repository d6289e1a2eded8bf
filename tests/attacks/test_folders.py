"""What somebody may try with folders, links, mounts, clocks and names; docs/security.md holds the table."""

import csv
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from made_up import arrive, result_of
from watch_bench import Bench, sha256_of, wait_for

from benchmarks.demo.steps import Steps
from runtime import in_hand, outputs
from runtime.cli import main
from runtime.file_state import FileState
from runtime.ledger import Ledger, open_ledger
from runtime.model import Model
from runtime.output_folder import sweep_temporaries
from runtime.outputs import OVERLAY
from runtime.retention import DAY_S, SWEEP_S, DailyShare, Keep, Retention
from runtime.service import Tally
from runtime.service_log import ServiceLog

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
NOW = 1_700_000_000.0


class Scene:
    """A watched folder with `site/a.bmp` and `b.bmp`, its results, and a folder with a secret image beside them."""

    def __init__(
        self,
        place: Path,
        model: Model,
        skin: npt.NDArray[np.uint8],
        save: Callable[..., str],
        patch: pytest.MonkeyPatch,
    ) -> None:
        self.bench = Bench(place / "in", place / "out", model)
        self.folder, self.out, self.outside = place / "in", place / "out", place / "outside"
        self.patch, self.target = patch, self.outside
        for folder in (self.folder, self.out, self.outside):
            folder.mkdir()
        self.image = skin[100:300, 100:300].copy()
        save(self.folder / "site" / "a.bmp", self.image)
        save(self.folder / "b.bmp", self.image)
        self.secret = save(self.outside / "a.bmp", skin[:180, :190].copy())

    def swap(self) -> None:
        """A link to the outside takes the place of the sub-folder."""
        with suppress(OSError):
            (self.folder / "site").rename(self.folder.parent / "site before")
            (self.folder / "site").symlink_to(self.target)

    def aim_at_same_content(self) -> None:
        """Let the link lead to the very content that is there, so that no hash tells the difference."""
        self.target = self.outside / "same"
        self.target.mkdir()
        (self.target / "a.bmp").write_bytes((self.folder / "site" / "a.bmp").read_bytes())

    def swap_back(self) -> None:
        with suppress(OSError):
            (self.folder / "site").unlink()
            (self.folder.parent / "site before").rename(self.folder / "site")

    def before(self, module: Any, name: str) -> None:
        """Swap once, just before a function of a module is called for the image in the sub-folder."""
        function = getattr(module, name)

        def late(*arguments: Any, **named: Any) -> Any:
            if any("site" in Path(getattr(each, "relative", each)).parts for each in arguments[:2] if is_about(each)):
                self.swap()
            return function(*arguments, **named)

        self.patch.setattr(module, name, late)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.out.rglob("*.score.json")]

    def outside_files(self) -> list[str]:
        return sorted(path.name for path in self.outside.rglob("*"))

    def answer_of(self, name: str) -> str:
        """What a pass of the watch makes of an image whose other image is fine."""
        tally = self.bench.once()
        row = self.bench.rows().get(name)
        assert self.bench.states()["b.bmp"] == "scored"
        if row is None:
            return "left out"
        if row.state == "failed":
            assert tally.failed == 1
            return "refused" if "leads out of the watched folder" in row.reason else "not read"
        return str(row.state)


def is_about(argument: object) -> bool:
    return isinstance(argument, Path) or hasattr(argument, "relative")


class Attack(NamedTuple):
    """One attempt. `attempt` gives the answer, which has to be the one of the table."""

    kind: str
    what: str
    answer: str
    attempt: Callable[[Scene], str]


def linked_image(scene: Scene) -> str:
    (scene.folder / "link.bmp").symlink_to(scene.outside / "a.bmp")
    return scene.answer_of("link.bmp")


def linked_and_locked(scene: Scene) -> str:
    fcntl = pytest.importorskip("fcntl")
    (scene.folder / "link.bmp").symlink_to(scene.outside / "a.bmp")
    with (scene.outside / "a.bmp").open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        return scene.answer_of("link.bmp")


def linked_without_suffix(scene: Scene) -> str:
    (scene.folder / "link").symlink_to(scene.outside / "a.bmp")
    answer = scene.answer_of("link")
    assert sum("a link that leads out of the watched folder" in line for line in scene.bench.said) == 1
    return f"{answer}, said once"


def linked_inside(scene: Scene) -> str:
    (scene.folder / "link.bmp").symlink_to(Path("site", "a.bmp"))
    return scene.answer_of("link.bmp")


def linked_folder(scene: Scene) -> str:
    scene.swap()
    answer = scene.answer_of("site/a.bmp")
    assert sum("a link to a folder, which is not followed" in line for line in scene.bench.said) == 1
    return f"{answer}, said once"


def swapped_after_listing(scene: Scene) -> str:
    scene.before(in_hand, "require_own_folder")
    return scene.answer_of("site/a.bmp")


def swapped_after_the_check(scene: Scene) -> str:
    scene.before(in_hand, "read_image")
    seen, score = list[str](), in_hand.score_image
    scene.patch.setattr(
        in_hand, "score_image", lambda image, model: seen.append(image.frames[0].sha256) or score(image, model)
    )
    answer = scene.answer_of("site/a.bmp")
    assert seen == [sha256_of(scene.folder / "b.bmp")]
    return answer


def swapped_before_the_result_is_looked_for(scene: Scene) -> str:
    scene.bench.once()
    scene.aim_at_same_content()
    os.utime(scene.folder / "site" / "a.bmp", ns=(1, 1))
    scene.before(in_hand, "earlier_result")
    assert scene.bench.once().failed == 1
    assert scene.bench.rows()["site/a.bmp"].state == "failed"
    return "refused" if "leads out" in scene.bench.rows()["site/a.bmp"].reason else "not read"


def swapped_while_scored(scene: Scene) -> str:
    scene.aim_at_same_content()
    scene.before(in_hand, "score_image")
    answer = scene.answer_of("site/a.bmp")
    assert [path.name for path in (scene.out / "site").iterdir()] == ["a.bmp.failed.json"]
    return f"{answer}, no result written"


def swapped_all_the_time(scene: Scene) -> str:
    end = threading.Event()

    def swap() -> None:
        while not end.is_set():
            scene.swap()
            scene.swap_back()

    thread = threading.Thread(target=swap)
    with scene.bench.running():
        thread.start()
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            with open_ledger(scene.out) as ledger:
                ledger.retry([row.path for row in ledger.rows()], time.time())
            time.sleep(0.05)
        end.set()
        thread.join()
        scene.swap_back()
        scene.bench.retry_all()
        wait_for(lambda: set(scene.bench.states().values()) == {"scored"})
    return "no byte of it in a result"


def scored_by_command(scene: Scene) -> str:
    (scene.folder / "link.bmp").symlink_to(scene.outside / "a.bmp")
    (scene.folder / "link").symlink_to(scene.outside / "a.bmp")
    code, document, _said = run_score(scene, scene.folder)
    assert code == 2
    assert [Path(each["path"]).name for each in document["failed"]] == ["link.bmp"]
    assert len(document["results"]) == 2
    return "refused" if "leads out" in document["failed"][0]["error"] else "not read"


def run_score(scene: Scene, *paths: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, document and messages of `inflamap score`."""
    words = [*map(str, paths), "--out", str(scene.out), "--um-per-px", "0.5", "--threads", "1", "--json"]
    command = [sys.executable, "-P", "-m", "runtime.cli", "score", *words]
    done = subprocess.run(command, check=False, capture_output=True)
    return done.returncode, json.loads(done.stdout), done.stderr.decode()


def written_elsewhere(scene: Scene, place: Path) -> str:
    before = {path: path.lstat() for path in place.rglob("*")}
    (scene.out / "site").symlink_to(place)
    assert scene.bench.once() == Tally(done=1, failed=1)
    row = scene.bench.rows()["site/a.bmp"]
    assert row.state == "failed"
    assert row.reason.startswith(f"{scene.out / 'site'}: this folder of the results is a link")
    assert {path: path.lstat() for path in place.rglob("*")} == before
    # and it heals
    (scene.out / "site").unlink()
    assert scene.bench.once() == Tally(done=1)
    return "nothing written, the folder named"


def written_by_command(scene: Scene) -> str:
    (scene.out / "site").symlink_to(scene.outside)
    code, document, _said = run_score(scene, scene.folder)
    assert code == 2
    assert "this folder of the results is a link" in document["failed"][0]["error"]
    assert scene.outside_files() == ["a.bmp"]
    return "nothing written, the folder named"


def swapped_while_staged(scene: Scene) -> str:
    scene.bench.once()
    (scene.outside / "a.bmp.score.json").write_text("somebody else's")
    stage = outputs._stage

    def late(path: Path, *arguments: Any) -> Path:
        temporary = stage(path, *arguments)
        if path.parent.name == "site" and not path.parent.is_symlink():
            path.parent.rename(scene.out / "site before")
            path.parent.symlink_to(scene.outside)
        return temporary

    scene.patch.setattr(outputs, "_stage", late)
    scene.bench.retry_all()
    assert scene.bench.once().failed == 1
    assert "this folder of the results is a link" in scene.bench.rows()["site/a.bmp"].reason
    # what was staged after the swap is taken away again, and what was there is left alone
    assert scene.outside_files() == ["a.bmp", "a.bmp.score.json"]
    return "nothing left there, the folder named"


def taken_over_from_elsewhere(scene: Scene) -> str:
    scene.bench.once()
    (scene.out / "site").rename(scene.outside / "site")
    (scene.out / "site").symlink_to(scene.outside / "site")
    scene.bench.lose_ledger()
    assert scene.bench.once() == Tally(kept=1, failed=1)
    assert "this folder of the results is a link" in scene.bench.rows()["site/a.bmp"].reason
    return "not taken for results, the folder named"


def removed_elsewhere(scene: Scene, remove: Callable[[], object]) -> str:
    """Results that lie where a link leads are left alone by what removes results."""
    scene.bench.once()
    for path in (scene.out / "site").iterdir():
        path.rename(scene.outside / path.name)
    (scene.out / "site").rmdir()
    (scene.outside / "x.tmp-0123abcd").touch()
    (scene.out / "site").symlink_to(scene.outside)
    before = scene.outside_files()
    remove()
    assert scene.outside_files() == before
    return "nothing removed"


def overlays_removed_elsewhere(scene: Scene) -> str:
    def remove() -> None:
        scene.bench.once(keep=Keep(gb=1e-9))
        assert scene.bench.rows()["b.bmp"].outcome.overlay_file is None
        assert sum("this folder of the results is a link" in line for line in scene.bench.said) == 1

    return f"{removed_elsewhere(scene, remove)}, the folder named"


def stale_results_removed_elsewhere(scene: Scene) -> str:
    def remove() -> None:
        (scene.folder / "site" / "a.bmp").write_bytes(b"another content, and none to be read")
        assert scene.bench.once().failed == 1

    return removed_elsewhere(scene, remove)


def swept_elsewhere(scene: Scene) -> str:
    def remove() -> None:
        # a link is no folder to the walk, but where it takes a folder's place meanwhile
        scene.patch.setattr(os, "walk", lambda _out: [(str(scene.out / "site"), [], ["x.tmp-0123abcd"])])
        assert sweep_temporaries(scene.out, scene.folder) == 0

    return removed_elsewhere(scene, remove)


@contextmanager
def mounted(source: Path, target: Path) -> Iterator[None]:
    target.mkdir()
    command = ["mount", "--bind", str(source), str(target)]
    try:
        done = subprocess.run(command, check=False, capture_output=True).returncode if os.name == "posix" else 1
    except OSError:
        done = 1
    if done:
        pytest.skip("this account may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


def results_mounted(scene: Scene) -> str:
    with mounted(scene.out, scene.folder / "mount"):
        return results_below(scene)


def results_marked(scene: Scene) -> str:
    for number, mark in enumerate(("inflamap.lock", "inflamap.db")):
        place = scene.folder / "other" / f"results {number}"
        (place / "deep").mkdir(parents=True)
        (place / mark).touch()
        for name in ("c.bmp", "deep/d.bmp"):
            (place / name).write_bytes((scene.folder / "b.bmp").read_bytes())
    return results_below(scene, folders=2)


def results_below(scene: Scene, folders: int = 1) -> str:
    """The watch with results that show below the watched folder, which come while it runs."""
    with scene.bench.running():
        wait_for(lambda: scene.bench.states() == {"b.bmp": "scored", "site/a.bmp": "scored"})
        scene.bench.retry_all()
        wait_for(lambda: set(scene.bench.states().values()) == {"scored"})
        # events of the overlays have come by then
        time.sleep(0.5)
    for _ in range(2):
        assert scene.bench.once() == Tally()
        assert sorted(scene.bench.states()) == ["b.bmp", "site/a.bmp"]
        assert sum("a folder with results of inflamap" in line for line in scene.bench.said) == folders
    return "left out, said once"


def results_watched(scene: Scene) -> str:
    scene.bench.once()
    with pytest.raises(SystemExit) as stop:
        main(["watch", str(scene.out), "--out", str(scene.outside / "results"), "--once"])
    assert stop.value.code == 2
    assert not (scene.outside / "results").exists()
    return "an error at the start"


def results_scored(scene: Scene) -> str:
    scene.bench.once()
    scene.out.rename(scene.folder / "results")
    scene.out.mkdir()
    code, document, said = run_score(scene, scene.folder)
    assert code == 0
    assert said.count("a folder with results of inflamap") == 1
    assert sorted(each["image"]["path"] for each in document["results"]) == ["b.bmp", "site/a.bmp"]
    return "left out, said once"


def named_as_results(scene: Scene) -> str:
    data = (scene.folder / "b.bmp").read_bytes()
    for ending in (".overlay.jpg", ".overlay.png", ".map.ome.tif", ".OVERLAY.JPG", ".overlay.jpg.tmp-0123abcd"):
        (scene.folder / "site" / f"x{ending}").write_bytes(data)
    assert scene.bench.once() == Tally(done=2)
    assert sorted(scene.bench.states()) == ["b.bmp", "site/a.bmp"]
    return "left out"


def of_same_size_and_time(scene: Scene, put: Callable[[Path, bytes], object]) -> str:
    """Another image of the size and the time of change that the scored one had."""
    path = scene.folder / "site" / "a.bmp"
    scene.bench.once()
    before, data = path.stat(), path.read_bytes()
    other = data[:-5000] + bytes(reversed(data[-5000:]))
    put(path, other)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    tally = scene.bench.once()
    return "scored anew" if tally == Tally(done=1) else "not noticed"


def written_over(scene: Scene) -> str:
    return of_same_size_and_time(scene, lambda path, data: path.write_bytes(data))


def moved_over(scene: Scene) -> str:
    def put(path: Path, data: bytes) -> None:
        new = scene.folder.parent / "new.bmp"
        new.write_bytes(data)
        new.replace(path)

    return of_same_size_and_time(scene, put)


def done(ledger: Ledger, name: str, finished: float) -> None:
    arrive(ledger, Path(name), FileState(1, 1), finished)
    row = ledger.take(finished)
    assert row is not None
    ledger.finished(row, result_of(Path(name)), finished)


def overlays_left(scene: Scene, clocks: list[float], *, least: int = 100) -> int:
    """Of 1000 overlays, one a tenth of a day, how many a watch leaves that is started anew with each clock."""
    uptime = 1000.0
    with open_ledger(scene.out, create=True) as ledger:
        for number in range(1000):
            done(ledger, f"{number}.bmp", NOW - number * DAY_S / 10)
        for clock in clocks:
            log, share = ServiceLog(lambda _line: None), DailyShare(least=least)
            keep, steady = Keep(days=30), uptime
            retention = Retention(
                scene.out, ledger, keep, lambda act: act(), log, share=share, steady=lambda steady=steady: steady
            )
            while retention.step(clock):
                pass
            uptime += SWEEP_S
        return ledger.overlay_count()


def clock_ahead(scene: Scene) -> str:
    assert overlays_left(scene, [NOW + 400 * DAY_S] * 3) == 1000
    return "no overlay goes by age"


def clock_behind(scene: Scene) -> str:
    assert overlays_left(scene, [NOW - 400 * DAY_S, 0.0]) == 1000
    return "no overlay goes by age"


def clock_to_and_fro(scene: Scene) -> str:
    clocks = [NOW + days * DAY_S for days in (0, 29, -29, 28, 0, 29)]
    assert overlays_left(scene, clocks) == 900
    return "a tenth goes within a day"


def table_of(scene: Scene, *words: str) -> list[list[str]]:
    scene.bench.once()
    file = scene.out.parent / "table.csv"
    with pytest.raises(SystemExit) as stop:
        main(["results", "--out", str(scene.out), "--csv", str(file), *words])
    assert stop.value.code == 0
    return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))


def formula_in_a_name(scene: Scene) -> str:
    names = [f"{first}cmd!A1.bmp" for first in ("=", "+", "-", "@", "\t", " =", "＝", "'=", '"=')]
    for name in names:
        (scene.folder / name).write_bytes((scene.folder / "b.bmp").read_bytes())
    cells = {cell for line in table_of(scene) for cell in line}
    assert not any(cell.lstrip(" ").startswith(tuple("=+-@＝\t")) for cell in cells)
    for name in names:
        assert {f"'{name}", f"'{name}{OVERLAY}"} <= cells
    return "a text, by an apostrophe"


def formula_in_a_folder(scene: Scene) -> str:
    (scene.folder / "site").rename(scene.folder / "@SUM(1)")
    cells = {cell for line in table_of(scene, "--by", "folder") for cell in line}
    assert "'@SUM(1)" in cells
    assert not any(cell.startswith(tuple("=+@")) for cell in cells)
    return "a text, by an apostrophe"


def evil_folder(scene: Scene, *names: str) -> Path:
    """Make modules of these names the current folder's, each of which leaves a mark; the folder of the marks."""
    marks = scene.outside / "marks"
    marks.mkdir()
    for name in names:
        text = f"import os\nopen(os.path.join({str(marks)!r}, {name!r}), 'w').close()\nraise SystemExit(77)\n"
        (scene.outside / f"{name}.py").write_text(text)
    scene.patch.chdir(scene.outside)
    return marks


def modules_of_the_demo(scene: Scene) -> str:
    marks = evil_folder(scene, "runtime", "trainer", "json", "click")
    assert Steps(1, lambda _line: None).inflamap("--version").startswith(b"inflamap ")
    assert list(marks.iterdir()) == []
    return "not imported"


def modules_of_a_pool(scene: Scene) -> str:
    marks = evil_folder(scene, "trainer", "multiprocessing", "numpy", "pickle")
    with pytest.raises(SystemExit) as stop:
        main(["phantom", str(scene.out / "data"), "--patches", "400", "--frames", "0"])
    assert stop.value.code == 0
    assert list(marks.iterdir()) == []
    return "not imported"


ATTACKS = [
    Attack("link, read", "an image that is a link out of the folder", "refused", linked_image),
    Attack("link, read", "the same, locked by a program outside", "refused", linked_and_locked),
    Attack("link, read", "the same without an image's suffix", "left out, said once", linked_without_suffix),
    Attack("link, read", "an image that is a link within the folder", "scored", linked_inside),
    Attack("link, read", "a sub-folder that is a link", "left out, said once", linked_folder),
    Attack("link, read", "a sub-folder swapped for a link after it was listed", "refused", swapped_after_listing),
    Attack("link, read", "... after its place was checked", "refused", swapped_after_the_check),
    Attack("link, read", "... before its content is compared", "refused", swapped_before_the_result_is_looked_for),
    Attack("link, read", "... while its image is scored", "refused, no result written", swapped_while_scored),
    Attack("link, read", "... to and fro all the time", "no byte of it in a result", swapped_all_the_time),
    Attack("link, read", "`inflamap score FOLDER` with a link out of it", "refused", scored_by_command),
    Attack(
        "link, written",
        "a sub-folder of the results that is a link into the watched folder",
        "nothing written, the folder named",
        lambda scene: written_elsewhere(scene, scene.folder),
    ),
    Attack(
        "link, written",
        "... that is a link out of `--out`",
        "nothing written, the folder named",
        lambda scene: written_elsewhere(scene, scene.outside),
    ),
    Attack("link, written", "the same with `inflamap score`", "nothing written, the folder named", written_by_command),
    Attack(
        "link, written",
        "... swapped while a result is staged",
        "nothing left there, the folder named",
        swapped_while_staged,
    ),
    Attack(
        "link, written",
        "... to results that were made elsewhere",
        "not taken for results, the folder named",
        taken_over_from_elsewhere,
    ),
    Attack(
        "link, removed",
        "overlays of a linked sub-folder that are to make room",
        "nothing removed, the folder named",
        overlays_removed_elsewhere,
    ),
    Attack("link, removed", "results of an image that changed", "nothing removed", stale_results_removed_elsewhere),
    Attack("link, removed", "temporary files", "nothing removed", swept_elsewhere),
    Attack("mount", "`--out` bind-mounted below the watched folder", "left out, said once", results_mounted),
    Attack("mount", "folders with the lock or ledger of another watch", "left out, said once", results_marked),
    Attack("mount", "results as the watched folder", "an error at the start", results_watched),
    Attack("mount", "`inflamap score FOLDER` with results below it", "left out, said once", results_scored),
    Attack("mount", "files named as overlays and maps", "left out", named_as_results),
    Attack("clock", "400 days ahead, three starts", "no overlay goes by age", clock_ahead),
    Attack("clock", "400 days behind, and 1970", "no overlay goes by age", clock_behind),
    Attack("clock", "to and fro by a month at each start", "a tenth goes within a day", clock_to_and_fro),
    Attack("size and time", "another image written over one, both kept (`cp -p`)", "scored anew", written_over),
    Attack("size and time", "another image moved over one, both kept (`rsync -t`)", "scored anew", moved_over),
    Attack("formula", "names of images, `results --csv`", "a text, by an apostrophe", formula_in_a_name),
    Attack("formula", "names of folders, `results --by folder --csv`", "a text, by an apostrophe", formula_in_a_folder),
    Attack("current folder", "`json.py`, `trainer.py`, ... for `inflamap demo`", "not imported", modules_of_the_demo),
    Attack("current folder", "the same for processes that a library spawns", "not imported", modules_of_a_pool),
]


@pytest.fixture
def scene(
    tmp_path: Path,
    model: Model,
    skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    try:
        (tmp_path / "link").symlink_to(tmp_path)
    except OSError:
        pytest.skip("this account may make no links")
    return Scene(tmp_path, model, skin, save_image, monkeypatch)


# watchdog's, of a folder that is moved to and fro
@pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")
@pytest.mark.parametrize("attack", ATTACKS, ids=[f"{attack.kind}: {attack.what[:50]}" for attack in ATTACKS])
def test_attack_is_answered(attack: Attack, scene: Scene) -> None:
    assert attack.attempt(scene) == attack.answer
    # whatever was tried: nothing of the secret is in a result, and it is as it was
    assert scene.secret not in {record["image"]["sha256"] for record in scene.records()}
    assert sha256_of(scene.outside / "a.bmp") == scene.secret


def test_table_of_folders_in_the_document_is_what_was_tried() -> None:
    rows = ["| what | how | answer |", "|---|---|---|"]
    rows += [f"| {attack.kind} | {attack.what} | {attack.answer} |" for attack in ATTACKS]
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("<!-- folder attacks -->\n")[2].partition("\n<!-- end of folder attacks -->")[0]
    assert table == "\n".join(rows)
