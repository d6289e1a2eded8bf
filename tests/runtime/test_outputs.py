"""A reader of the output folder sees whole results only, whatever happens while they are written."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import runtime
from runtime import outputs
from runtime.errors import InflamapError
from runtime.output_folder import sweep_temporaries
from runtime.outputs import (
    RESULT_SUFFIXES,
    LinkedFolder,
    is_named_as_result,
    read_record,
    remove_overlay,
    remove_result,
    result_files,
    temporary_of,
    write_atomically,
    write_result,
)

IMAGE = PurePosixPath("Confocal Images/VivaStack #1/v0000000.bmp")
names = st.one_of(
    st.text(st.characters(exclude_characters="/\\:\x00", exclude_categories=["Cs"]), min_size=1, max_size=80),
    # most names are short; these are near the limit, in letters of one to four bytes
    st.builds(
        lambda letter, n, end: letter * n + end,
        st.sampled_from("aµ中😀\udcff"),
        st.integers(50, 255),
        st.text("ab~0", max_size=9),
    ),
).filter(lambda name: name not in {".", ".."} and len(os.fsencode(name)) <= 255)


def written(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("above", ["", "patient", "patient/visit"])
def test_no_result_is_written_or_removed_through_a_link(tmp_path: Path, above: str) -> None:
    out, elsewhere, relative = tmp_path / "out", tmp_path / "elsewhere", Path("patient/visit/site/a.bmp")
    elsewhere.mkdir()
    write_result(out, relative, overlay=b"o", map_file=b"m", record={"overlay": {"file": "x"}})
    linked = out.joinpath(*relative.parts[: above.count("/") + 1 + bool(above)])
    linked.rename(elsewhere / "was")
    linked.symlink_to(elsewhere / "was")
    before = written(elsewhere)
    for act in (
        lambda: write_result(out, relative, overlay=b"other", map_file=None, record={}),
        lambda: remove_result(out, relative),
        lambda: remove_overlay(out, relative),
    ):
        with pytest.raises(LinkedFolder, match="is a link, and nothing is written through it") as caught:
            act()
        assert str(caught.value).startswith(str(linked))
    assert written(elsewhere) == before
    assert [path.read_bytes() for path in elsewhere.rglob("*.overlay.jpg")] == [b"o"]
    # the output folder itself may be a link
    (tmp_path / "link").symlink_to(out)
    write_result(tmp_path / "link", Path("b.bmp"), overlay=b"o", map_file=None, record={})
    assert (out / "b.bmp.score.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_nothing_is_no_folder_to_make(tmp_path: Path) -> None:
    (tmp_path / "site").symlink_to(tmp_path / "gone")
    with pytest.raises(LinkedFolder):
        write_result(tmp_path, Path("site/a.bmp"), overlay=b"o", map_file=None, record={})
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(LinkedFolder):
        write_result(tmp_path, Path("circle/a.bmp"), overlay=b"o", map_file=None, record={})
    assert written(tmp_path) == set()


@given(name=names)
def test_every_file_of_a_result_is_named_as_one(name: str) -> None:
    files = result_files(PurePath("site", name))
    for file in (files.score, files.overlay, files.map):
        assert is_named_as_result(str(file))
        assert is_named_as_result(str(temporary_of(file)))
    for ending in RESULT_SUFFIXES:
        assert is_named_as_result(f"{name}{ending}")
    assert not is_named_as_result(f"{name}.bmp")


def test_results_mirror_the_watched_tree() -> None:
    files = result_files(PurePosixPath("a/b.bmp"))
    assert files.score.as_posix() == "a/b.bmp.score.json"
    assert files.overlay.as_posix() == "a/b.bmp.overlay.jpg"
    assert files.map.as_posix() == "a/b.bmp.map.ome.tif"


@settings(deadline=None)
@given(st.lists(names, max_size=3), names)
@example([], "x" * 243)
@example(["Straße"], "µ" * 127)
def test_names_fit_and_stay_in_their_folder(folders: list[str], name: str) -> None:
    files = result_files(PurePosixPath(*folders, name))
    for file in (files.score, files.overlay, files.map):
        assert len(os.fsencode(file.name)) <= 255
        assert file.parent == Path(*folders)
    if len(os.fsencode(name)) <= 239:
        assert files.map.name == name + ".map.ome.tif"
    if "\udcff" not in name:
        files.score.name.encode("utf-8")


@settings(deadline=None)
@given(names, names)
def test_two_images_never_share_a_name(first: str, second: str) -> None:
    a, b = result_files(PurePosixPath(first)), result_files(PurePosixPath(second))
    assert len({a.score, a.overlay, a.map, b.score, b.overlay, b.map}) == (3 if first == second else 6)


def test_long_names_keep_their_beginning_and_differ_by_their_ends() -> None:
    first, second = (result_files(PurePosixPath("µ" * 120 + end)).score.name for end in ("1.bmp", "2.bmp"))
    assert first != second
    assert first.startswith("µ" * 100)
    assert first == "µ" * 117 + "~" + first[118:126] + ".score.json"
    assert int(first[118:126], 16) >= 0
    # an image may carry the very name another was shortened to
    impostor = first.removesuffix(".score.json")
    assert result_files(PurePosixPath(impostor)).score.name != first


@pytest.mark.parametrize("path", ["../a.bmp", "/etc/a.bmp", "a/../../b.bmp", ""])
def test_no_path_leads_out_of_the_output_folder(path: str) -> None:
    with pytest.raises(InflamapError, match="relative path"):
        result_files(PurePosixPath(path))


def test_a_result_is_written_and_read_back(tmp_path: Path) -> None:
    record = {"status": "scored", "image": {"path": "b\udcffd µ.bmp"}}
    write_result(tmp_path, IMAGE, overlay=b"picture", map_file=b"map", record=record)
    files = result_files(IMAGE)
    assert written(tmp_path) == {files.score.as_posix(), files.overlay.as_posix(), files.map.as_posix()}
    assert (tmp_path / files.overlay).read_bytes() == b"picture"
    assert (tmp_path / files.map).read_bytes() == b"map"
    text = (tmp_path / files.score).read_text("utf-8")
    assert text.startswith('{\n  "status"')
    assert text.endswith("}\n")
    assert read_record(tmp_path, IMAGE) == record


@pytest.mark.skipif(sys.platform != "linux", reason="only here are names any bytes")
@settings(max_examples=25, deadline=None)
@given(names)
@example("b\udcff\udc80d.bmp")
@example("µ" * 127)
def test_any_name_can_be_written(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    out = tmp_path_factory.mktemp("out")
    write_result(out, PurePosixPath(name), overlay=b"o", map_file=b"m", record={"path": name})
    assert read_record(out, PurePosixPath(name)) == {"path": name}
    assert len(written(out)) == 3


def test_a_map_no_longer_there_is_removed(tmp_path: Path) -> None:
    write_result(tmp_path, IMAGE, overlay=b"1", map_file=b"1", record={"run": 1})
    write_result(tmp_path, IMAGE, overlay=b"2", map_file=None, record={"run": 2})
    assert not (tmp_path / result_files(IMAGE).map).exists()
    assert read_record(tmp_path, IMAGE) == {"run": 2}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b"\x00" * 100])
def test_a_damaged_record_is_no_record(tmp_path: Path, damage: bytes) -> None:
    assert read_record(tmp_path, IMAGE) is None
    write_atomically(tmp_path / result_files(IMAGE).score, damage)
    assert read_record(tmp_path, IMAGE) is None


def test_a_record_json_cannot_hold_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_result(tmp_path, IMAGE, overlay=b"o", map_file=None, record={"mean": float("nan")})
    assert written(tmp_path) == set()


KILLED_AT = """
import os, sys
from pathlib import Path, PurePosixPath
from runtime import outputs
left = int(sys.argv[2])
def counted(act):
    def wrapper(*args, **kwargs):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return act(*args, **kwargs)
    return wrapper
os.replace, os.fsync, os.unlink = counted(os.replace), counted(os.fsync), counted(os.unlink)
Path.unlink = counted(Path.unlink)
outputs.write_result(
    Path(sys.argv[1]), PurePosixPath("v.bmp"),
    overlay=b"new", map_file=b"new" if sys.argv[3] == "map" else None, record={"run": "new"},
)
"""


@pytest.mark.parametrize("new_map", ["map", "none"])
def test_killed_at_any_step_a_record_speaks_only_of_its_own_files(tmp_path: Path, new_map: str) -> None:
    ends = set()
    for step in range(40):
        out = tmp_path / str(step)
        write_result(out, PurePath("v.bmp"), overlay=b"old", map_file=b"old", record={"run": "old"})
        command = [sys.executable, "-c", KILLED_AT, str(out), str(step), new_map]
        finished = subprocess.run(command, cwd=Path(runtime.__file__).parents[1], check=False).returncode == 0

        sweep_temporaries(out, out / "watched")
        record = read_record(out, PurePath("v.bmp"))
        contents = {path.name: path.read_bytes() for path in out.iterdir()}
        assert set(contents) <= {"v.bmp.score.json", "v.bmp.overlay.jpg", "v.bmp.map.ome.tif"}
        if record is not None:
            run = record["run"].encode()
            assert contents["v.bmp.overlay.jpg"] == run
            assert contents.get("v.bmp.map.ome.tif") == (run if run == b"old" or new_map == "map" else None)
        ends.add(record["run"] if record else None)
        if finished:
            break
    assert finished
    assert ends == {"old", None, "new"}


def failing(error: BaseException, times: int = 10**6) -> Callable[..., None]:
    real, left = os.replace, times

    def fail(*args: object) -> None:
        nonlocal left
        if left:
            left -= 1
            raise error
        real(*args)

    return fail


@pytest.mark.parametrize("seam", ["replace", "fsync"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "held")]
)
def test_a_failed_write_keeps_the_old_content_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seam: str, error: OSError
) -> None:
    monkeypatch.setattr(outputs, "PATIENCE_S", 0.0)
    path = tmp_path / "new folder" / "v.bmp.score.json"
    write_atomically(path, b"old")
    with monkeypatch.context() as broken:
        broken.setattr(outputs.os, seam, failing(error))
        with pytest.raises(InflamapError) as told:
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert written(tmp_path) == {"new folder/v.bmp.score.json"}
    assert str(path) in str(told.value)
    assert str(error.strerror) in str(told.value)
    assert told.value.next_step
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("seam", ["replace", "fsync"])
def test_an_interrupt_leaves_no_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seam: str) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(outputs.os, seam, failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            write_result(tmp_path, IMAGE, overlay=b"o", map_file=b"m", record={})
    assert written(tmp_path) == set()


def test_a_file_held_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.bmp.overlay.jpg"
    write_atomically(path, b"old")
    monkeypatch.setattr(outputs, "PAUSE_S", 0.0)
    monkeypatch.setattr(outputs.os, "replace", failing(PermissionError(errno.EACCES, "held by a viewer"), times=3))
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_result_that_cannot_be_staged_leaves_the_earlier_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_result(tmp_path, IMAGE, overlay=b"old", map_file=b"old", record={"run": "old"})
    with monkeypatch.context() as broken:
        broken.setattr(outputs.os, "fsync", failing(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(InflamapError, match="free space"):
            write_result(tmp_path, IMAGE, overlay=b"new", map_file=None, record={"run": "new"})
    files = result_files(IMAGE)
    assert read_record(tmp_path, IMAGE) == {"run": "old"}
    assert (tmp_path / files.overlay).read_bytes() == b"old"
    assert (tmp_path / files.map).read_bytes() == b"old"
    assert len(written(tmp_path)) == 3


def test_a_folder_in_the_way_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a file where a folder should be")
    with pytest.raises(InflamapError, match=r"a.b\.bmp\.score\.json.*next:"):
        write_result(tmp_path, PurePosixPath("a/b.bmp"), overlay=b"o", map_file=None, record={})
    assert written(tmp_path) == {"a"}


def test_a_temporary_is_in_the_same_folder_and_looks_like_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    real = os.replace
    monkeypatch.setattr(outputs.os, "replace", lambda a, b: (seen.append(Path(a)), real(a, b)))
    write_atomically(tmp_path / ("x" * 255), b"")
    write_atomically(tmp_path / "a.score.json", b"")
    assert {path.parent for path in seen} == {tmp_path}
    assert all(".tmp" in path.name and not path.name.startswith(".") for path in seen)


def test_drive_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    # the root of a drive or share that is away is no folder, and its own parent
    monkeypatch.setattr(Path, "is_dir", lambda _self: False)
    with pytest.raises(InflamapError, match="this drive or share is not there"):
        write_atomically(Path("/away/file"), b"")
