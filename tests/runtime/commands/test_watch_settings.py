"""Settings, log, service manager and ledger of `inflamap watch`, as an engineer meets them."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from kill_trial import CHECKOUT, soon
from unprivileged import as_ordinary_user, own, place_for_all

from runtime.ledger import open_ledger


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runtime.cli", "watch", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


@pytest.fixture
def folder(tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Path:
    for name in ("Eva M/v1.bmp", "Eva M/v2.bmp"):
        save_image(tmp_path / "in" / name, skin[:200, : 200 + len(name)].copy())
    return tmp_path / "in"


def test_what_print_config_prints_is_a_file_that_runs_the_same(tmp_path: Path, folder: Path) -> None:
    printed = run(str(folder), "--out", str(tmp_path / "out"), "--print-config", INFLAMAP_WATCH_UM_PER_PX="0.5")
    assert printed.returncode == 0, printed.stderr
    table = tomllib.loads(printed.stdout)["watch"]
    assert (table["folder"], table["um_per_px"]) == (str(folder), 0.5)
    assert "# from: environment INFLAMAP_WATCH_UM_PER_PX" in printed.stdout
    assert not (tmp_path / "out").exists()
    (tmp_path / "inflamap.toml").write_text(printed.stdout)
    done = run("--config", str(tmp_path / "inflamap.toml"), "--once", "--min-free", "0")
    assert done.returncode == 0, done.stderr
    assert "2 scored" in done.stderr


def test_ranges_and_patterns_survive_print_config_and_reach_the_records(tmp_path: Path, folder: Path) -> None:
    said = ("--um-per-px-in", "Eva M/v1*=0.5", "--um-per-px-in", "Eva*=0.6", "--depth", "10:80")
    out = tmp_path / "out"
    printed = run(str(folder), "--out", str(out), *said, "--print-config", INFLAMAP_WATCH_GREY_RANGE="0:1.5")
    assert printed.returncode == 0, printed.stderr
    table = tomllib.loads(printed.stdout)["watch"]
    assert table["um_per_px_in"] == {"Eva M/v1*": 0.5, "Eva*": 0.6}
    assert (table["depth_um"], table["grey_range"]) == ([10, 80], [0, 1.5])
    (tmp_path / "inflamap.toml").write_text(printed.stdout, encoding="utf-8")
    done = run("--config", str(tmp_path / "inflamap.toml"), "--once", "--min-free", "0")
    assert done.returncode == 0, done.stderr
    scales = [json.loads((out / "Eva M" / f"{name}.bmp.score.json").read_text())["image"] for name in ("v1", "v2")]
    assert [(scale["um_per_px"], scale["um_per_px_from"]) for scale in scales] == [(0.5, "folder"), (0.6, "folder")]


def test_every_fault_of_the_settings_is_said_at_once(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "inflamap.toml").write_text("[watch]\nsettle = 1\nthreads = 'two'\nbundle = 'gone'\n")
    done = run(str(folder), "--config", str(tmp_path / "inflamap.toml"), INFLAMAP_WATCH_PRIORITY="high")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("inflamap: 5 faults in the settings of inflamap watch")
    for word in (
        "unknown key settle",
        'threads; seen: "two"',
        "gone: no such folder",
        "out is set nowhere",
        "PRIORITY",
    ):
        assert sum(word in line for line in lines[:-1]) == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_folder_that_was_never_there_is_refused_and_one_with_results_is_waited_for(
    tmp_path: Path, folder: Path
) -> None:
    options = ["--out", str(tmp_path / "out"), "--um-per-px", "0.5", "--min-free", "0"]
    refused = run(str(tmp_path / "typo"), *options, "--once")
    assert refused.returncode == 2
    assert "typo: no such folder" in refused.stderr
    assert run(str(folder), *options, "--once").returncode == 0
    folder.rename(tmp_path / "away")
    command = [sys.executable, "-m", "runtime.cli", "watch", str(folder), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = [process.stderr.readline() for _ in range(3)]
            assert "the folder cannot be listed" in said[2], said
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="systemd's protocol")
def test_service_manager_hears_of_start_life_and_end(tmp_path: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{name}/notify")
        manager.settimeout(30)
        options = ["--out", str(tmp_path / "out"), "--um-per-px", "0.5", "--min-free", "0", "--settle", "0.1"]
        command = [sys.executable, "-m", "runtime.cli", "watch", str(folder), *options]
        environment = {**os.environ, "NOTIFY_SOCKET": f"{name}/notify", "WATCHDOG_USEC": "600000"}
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
            try:
                assert manager.recv(4096).decode().startswith("READY=1\nSTATUS=")
                heard = [manager.recv(4096).decode() for _ in range(10)]
                assert all(message.startswith("WATCHDOG=1\nSTATUS=") for message in heard)
                assert "2 scored" in heard[-1]
                process.send_signal(signal.SIGTERM)
                while (message := manager.recv(4096).decode()).startswith("WATCHDOG=1"):
                    pass
                assert message.startswith("STOPPING=1")
                assert process.wait(20) == 0
            finally:
                process.kill()


def test_log_and_journal_hold_no_names_with_pseudonyms(tmp_path: Path, folder: Path) -> None:
    (folder / "Eva M" / "broken.bmp").write_bytes(b"BM")
    log = tmp_path / "logs" / "watch.log"
    options = ["--um-per-px", "0.5", "--min-free", "0", "--once", "--pseudonymise", "--log-file", str(log)]
    done = run(str(folder), "--out", str(tmp_path / "out"), *options)
    assert done.returncode == 2
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["event"] for entry in entries if "image" in entry].count("scored") == 2
    for text in (log.read_text(), done.stderr):
        assert "Eva" not in text
        assert "broken" not in text
    # the records are for those who may see them; overlay and map, which are handed on, hold no names either
    assert (tmp_path / "out" / "Eva M" / "v1.bmp.score.json").exists()
    with tifffile.TiffFile(tmp_path / "out" / "Eva M" / "v1.bmp.map.ome.tif") as file:
        assert file.ome_metadata is not None
        assert "v1.bmp" not in file.ome_metadata
        assert any(
            entry["image"].rpartition("/")[2] in file.ome_metadata for entry in entries if entry["event"] == "scored"
        )
    # the same names the next time
    again = run(str(folder), "--out", str(tmp_path / "out"), *options)
    assert again.returncode == 2
    failed = [entry["image"] for entry in map(json.loads, log.read_text().splitlines()) if entry["event"] == "failed"]
    assert len(failed) == 2
    assert len(set(failed)) == 1


def test_log_in_the_watched_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    done = run(str(folder), "--out", str(tmp_path / "out"), "--log-file", str(folder / "watch.log"), "--once")
    assert done.returncode == 2
    assert "which is only read" in done.stderr
    assert "--log-file" in done.stderr


def test_damaged_ledger_is_set_aside_and_nothing_scored_again(tmp_path: Path, folder: Path) -> None:
    options = ["--out", str(tmp_path / "out"), "--um-per-px", "0.5", "--min-free", "0", "--once"]
    assert run(str(folder), *options).returncode == 0
    scores = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.score.json")}
    (folder / "Eva M" / "v2.bmp").unlink()
    database = tmp_path / "out" / "inflamap.db"
    assert (tmp_path / "out" / "inflamap.folder").exists()
    database.write_bytes(random.Random(1).randbytes(database.stat().st_size))
    done = run(str(folder), *options)
    assert done.returncode == 0, done.stderr
    assert "inflamap: the ledger was damaged (file is not a database) and is now" in done.stderr
    assert "made of the 2 results there are" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.score.json")} == scores
    with open_ledger(tmp_path / "out") as ledger:
        assert {row.path.name: str(row.state) for row in ledger.rows()} == {"v1.bmp": "scored", "v2.bmp": "scored"}
    assert (tmp_path / "out" / "inflamap.db.damaged-1").exists()


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_lost_ledger_is_made_anew_of_the_results_and_says_so(tmp_path: Path, folder: Path, left: str) -> None:
    options = ["--out", str(tmp_path / "out"), "--um-per-px", "0.5", "--min-free", "0", "--once"]
    assert run(str(folder), *options).returncode == 0
    (folder / "Eva M" / "v2.bmp").unlink()
    for path in (tmp_path / "out").glob("inflamap.db*"):
        path.unlink()
    if left == "an empty file":
        (tmp_path / "out" / "inflamap.db").touch()
    done = run(str(folder), *options)
    assert done.returncode == 0, done.stderr
    assert "there was no ledger; 2 earlier results were taken over" in done.stderr
    with open_ledger(tmp_path / "out") as ledger:
        assert {row.path.name: str(row.state) for row in ledger.rows()} == {"v1.bmp": "scored", "v2.bmp": "scored"}
        assert ledger.noted("options") == ["--um-per-px", "0.5", "--min-free", "0.0"]


@pytest.mark.parametrize("damaged", [False, True], ids=["lost", "damaged"])
def test_failures_survive_the_ledger_and_are_not_tried_again(tmp_path: Path, folder: Path, damaged: bool) -> None:
    options = ["--out", str(tmp_path / "out"), "--um-per-px", "0.5", "--min-free", "0", "--once"]
    for path in (folder / "Eva M").iterdir():
        path.write_text("Dear colleague, " * 100)
    assert run(str(folder), *options).returncode == 2
    database = tmp_path / "out" / "inflamap.db"
    database.write_bytes(random.Random(1).randbytes(database.stat().st_size)) if damaged else database.unlink()
    done = run(str(folder), *options)
    assert done.returncode == 0, done.stderr
    said = (
        "made of the 0 results and 2 failures there are" if damaged else "score.json, 2 failures from their failed.json"
    )
    assert said in done.stderr
    with open_ledger(tmp_path / "out") as ledger:
        rows = list(ledger.rows())
    assert [(str(row.state), row.attempts, row.due) for row in rows] == [("failed", 1, None)] * 2
    assert all("not an image" in row.reason for row in rows)


def test_results_that_no_watch_wrote_are_not_taken_for_its_own(tmp_path: Path, folder: Path) -> None:
    options = ["--out", str(tmp_path / "out"), "--um-per-px", "0.5"]
    score = [sys.executable, "-m", "runtime.cli", "score", str(folder), *options]
    assert subprocess.run(score, capture_output=True, check=False, timeout=60).returncode == 0
    (tmp_path / "other").mkdir()
    done = run(str(tmp_path / "other"), *options, "--min-free", "0", "--once")
    assert done.returncode == 0, done.stderr
    assert "taken over" not in done.stderr
    with open_ledger(tmp_path / "out") as ledger:
        assert ledger.is_empty()


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
def test_places_that_are_closed_to_the_watch_are_said_and_all_else_is_done(
    skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    with place_for_all() as place:
        for image in ("a.bmp", "half open/b.bmp", "no results/c.bmp", "z.bmp"):
            save_image(place / "in" / image, skin[:200, :200].copy())
        (place / "out" / "no results").mkdir(parents=True)
        own(place / "out")
        (place / "in" / "half open").chmod(0o444)
        (place / "out" / "no results").chmod(0o700 if os.geteuid() == 0 else 0)
        options = ["--out", str(place / "out"), "--um-per-px", "0.5", "--min-free", "0", "--once"]
        watch = [sys.executable, "-m", "runtime.cli", "watch", str(place / "in"), *options]
        command = [*(as_ordinary_user() or ()), *watch]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=CHECKOUT)
        (place / "in" / "half open").chmod(0o755)
        (place / "out" / "no results").chmod(0o755)
        with open_ledger(place / "out") as ledger:
            states = {row.path.as_posix(): str(row.state) for row in ledger.rows()}
    assert done.returncode == 2
    assert "unexpected" not in done.stderr
    assert "half open: this folder cannot be listed; seen: Permission denied" in done.stderr
    assert states == {"a.bmp": "scored", "no results/c.bmp": "failed", "z.bmp": "scored"}


@pytest.mark.skipif(sys.platform == "win32", reason="folders in use cannot be moved there")
def test_folder_that_is_removed_and_made_anew_is_watched_again(
    tmp_path: Path, folder: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    options = ["--out", str(tmp_path / "out"), "--um-per-px", "0.5", "--min-free", "0", "--settle", "0.1"]
    command = [sys.executable, "-m", "runtime.cli", "watch", str(folder), *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            assert soon((tmp_path / "out" / "Eva M" / "v2.bmp.score.json").exists, 30)
            folder.rename(tmp_path / "away")
            time.sleep(1.0)
            save_image(folder / "new.bmp", skin)
            # it is looked for every other second
            assert soon((tmp_path / "out" / "new.bmp.score.json").exists, 20)
            assert process.poll() is None
        finally:
            process.kill()


def test_a_viewer_that_is_no_address_is_said_before_anything_is_begun(tmp_path: Path, folder: Path) -> None:
    done = run(str(folder), "--out", str(tmp_path / "out"), "--viewer", "8765")
    assert done.returncode == 2
    assert "--viewer is no address; seen: 8765; wanted: HOST:PORT" in done.stderr
    assert not (tmp_path / "out").exists()


def test_page_is_served_by_the_key_of_the_file_and_others_than_this_machine_need_its_token(
    tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "inflamap.toml").write_text('[watch]\nviewer = "0.0.0.0:0"\nmin_free_gb = 0\n')
    command = [sys.executable, "-m", "runtime.cli", "watch", str(folder), "--out", str(tmp_path / "out")]
    with (
        (tmp_path / "said").open("w+") as said,
        subprocess.Popen([*command, "--config", str(tmp_path / "inflamap.toml")], stderr=said) as watch,
    ):
        try:
            assert soon(lambda: "page: " in (tmp_path / "said").read_text(), 30)
            text = (tmp_path / "said").read_text()
            url = next(line for line in text.splitlines() if line.startswith("page: ")).removeprefix("page: ")
            assert url.startswith(f"http://{socket.gethostname()}:")
            assert len(url.partition("/?token=")[2]) >= 32
        finally:
            watch.terminate()
