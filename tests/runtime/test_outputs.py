"""A reader of the output folder sees whole results only, whatever happens while they are written."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

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
    said_plainly,
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


REASONS = [
    # for a person, without the number and the path that the line names already
    (OSError(errno.EIO, "Input/output error", "v.bmp"), "Input/output error"),
    # a library may give no number
    (OSError("the share is away"), "the share is away"),
]


@pytest.mark.parametrize(("error", "seen"), REASONS, ids=["of the system", "of a library"])
def test_reason_why_a_file_cannot_be_written_is_told(error: OSError, seen: str) -> None:
    with pytest.raises(InflamapError) as told, said_plainly(Path("v.bmp")):
        raise error
    assert told.value.seen == seen


@pytest.mark.parametrize(("error", "seen"), REASONS, ids=["of the system", "of a library"])
def test_reason_why_a_record_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, seen: str
) -> None:
    def fail(_path: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(InflamapError) as told:
        read_record(tmp_path, IMAGE)
    assert told.value.seen == seen


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


def steps_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to the files from now on: `sync NAME`, of a folder `sync folder NAME`, `rename NAME`, `remove`."""
    steps: list[str] = []
    open_, fsync, rename, unlink = os.open, os.fsync, os.replace, Path.unlink
    opened: dict[int, str] = {}
    path_open = Path.open

    def see_folder(path: Path, *more: Any, **keywords: Any) -> int:
        descriptor = open_(path, *more, **keywords)
        opened[descriptor] = f"folder {Path(path).name}"
        return descriptor

    def see_file(self: Path, *more: Any, **keywords: Any) -> Any:
        file = path_open(self, *more, **keywords)
        opened[file.fileno()] = named(self)
        return file

    def see_sync(descriptor: int) -> None:
        fsync(descriptor)
        # what is in memory only is not on the disk, whatever is synced
        size = os.fstat(descriptor).st_size
        steps.append(f"sync {opened[descriptor]}{'' if size else ' empty'}")

    def see_rename(source: Path, target: Path) -> None:
        rename(source, target)
        steps.append(f"rename {named(Path(target))}")

    def see_unlink(self: Path, **keywords: Any) -> None:
        if self.exists():
            steps.append(f"remove {named(self)}")
        unlink(self, **keywords)

    def named(path: Path) -> str:
        return path.name.partition(".tmp-")[0]

    monkeypatch.setattr("os.open", see_folder)
    monkeypatch.setattr("os.fsync", see_sync)
    monkeypatch.setattr("os.replace", see_rename)
    monkeypatch.setattr(Path, "open", see_file)
    monkeypatch.setattr(Path, "unlink", see_unlink)
    return steps


folders_are_synced = pytest.mark.skipif(sys.platform == "win32", reason="no folder can be synced there")


@folders_are_synced
def test_score_json_is_renamed_when_what_it_speaks_of_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is synced between the other files and score.json, and once more at the end."""
    write_result(tmp_path, Path("v.bmp"), overlay=b"old", map_file=b"old", record={"run": "old"})
    (tmp_path / "v.bmp.failed.json").write_text("{}")
    steps = steps_of(monkeypatch)
    write_result(tmp_path, Path("v.bmp"), overlay=b"new", map_file=b"new", record={"run": "new"})
    assert steps == [
        "sync v.bmp.overlay.jpg",
        "sync v.bmp.map.ome.tif",
        "sync v.bmp.score.json",
        "remove v.bmp.score.json",
        "rename v.bmp.overlay.jpg",
        "rename v.bmp.map.ome.tif",
        f"sync folder {tmp_path.name}",
        "rename v.bmp.score.json",
        "remove v.bmp.failed.json",
        f"sync folder {tmp_path.name}",
    ]


@folders_are_synced
def test_map_that_is_no_more_goes_after_its_score_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(tmp_path, Path("v.bmp"), overlay=b"old", map_file=b"old", record={"run": "old"})
    steps = steps_of(monkeypatch)
    write_result(tmp_path, Path("v.bmp"), overlay=b"new", map_file=None, record={"run": "new"})
    assert steps == [
        "sync v.bmp.overlay.jpg",
        "sync v.bmp.score.json",
        "remove v.bmp.score.json",
        "remove v.bmp.map.ome.tif",
        "rename v.bmp.overlay.jpg",
        f"sync folder {tmp_path.name}",
        "rename v.bmp.score.json",
        f"sync folder {tmp_path.name}",
    ]


@folders_are_synced
def test_file_written_alone_is_synced_before_and_its_folder_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = steps_of(monkeypatch)
    write_atomically(tmp_path / "a" / "b" / "v.json", b"content")
    assert steps == [
        f"sync folder {tmp_path.name}",
        "sync folder a",
        "sync v.json",
        "rename v.json",
        "sync folder b",
    ]


def test_result_is_removed_beginning_with_what_vouches_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_result(tmp_path, Path("v.bmp"), overlay=b"o", map_file=b"m", record={})
    steps = steps_of(monkeypatch)
    remove_result(tmp_path, Path("v.bmp"))
    assert steps == ["remove v.bmp.score.json", "remove v.bmp.overlay.jpg", "remove v.bmp.map.ome.tif"]


@folders_are_synced
def test_overlay_goes_when_its_record_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(
        tmp_path, Path("v.bmp"), overlay=b"o", map_file=b"m", record={"overlay": {"file": "v.bmp.overlay.jpg"}}
    )
    steps = steps_of(monkeypatch)
    remove_overlay(tmp_path, Path("v.bmp"))
    assert steps == [
        "sync v.bmp.score.json",
        "rename v.bmp.score.json",
        f"sync folder {tmp_path.name}",
        "remove v.bmp.overlay.jpg",
    ]
    assert read_record(tmp_path, Path("v.bmp")) == {"overlay": {"file": None}}


@pytest.mark.parametrize("step", range(5))
def test_write_that_fails_at_any_file_leaves_no_temporary(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three temporaries are written, and two of three renamed, before the disk fails."""
    seams = ["fsync", "fsync", "fsync", "replace", "replace"]
    before = [0, 1, 2, 0, 1][step]
    real, done = getattr(os, seams[step]), []

    def fail(*arguments: Any) -> None:
        if len(done) == before:
            raise OSError(errno.EIO, "Input/output error")
        done.append(arguments)
        real(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(outputs.os, seams[step], fail)
        with pytest.raises(InflamapError, match="Input/output error"):
            write_result(tmp_path, IMAGE.with_name("v.bmp"), overlay=b"o", map_file=b"m", record={})
    assert not [name for name in written(tmp_path) if ".tmp" in name]
    assert not [name for name in written(tmp_path) if name.endswith("score.json")]


def test_longest_names_that_fit_are_kept_to_the_byte() -> None:
    """Of 255 bytes the longest suffix takes twelve: an image's name of 243 keeps its own."""
    for letter, count in (("x", 243), ("µ", 121)):
        name = letter * count
        assert result_files(PurePosixPath(name)).map.name == f"{name}.map.ome.tif"
    assert len(result_files(PurePosixPath("x" * 243)).map.name) == 255
    longer = result_files(PurePosixPath("x" * 244))
    assert longer.map.name[:235] == "x" * 234 + "~"
    assert {len(file.name) for file in (longer.map, longer.overlay, longer.failure)} == {255}
    assert len(longer.score.name) == 254


@pytest.mark.skipif(sys.platform != "linux", reason="names are counted in bytes here")
def test_file_of_the_longest_name_is_written_and_one_byte_more_is_told(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("x" * 255), b"content")
    assert (tmp_path / ("x" * 255)).read_bytes() == b"content"
    with pytest.raises(InflamapError, match="choose an output folder with a shorter path"):
        write_atomically(tmp_path / ("x" * 256), b"content")
    assert written(tmp_path) == {"x" * 255}


def test_temporary_has_room_for_its_mark() -> None:
    """Thirteen bytes of 255: a name of 242 is kept whole."""
    assert outputs.temporary_of(Path("x" * 242)).name[:247] == "x" * 242 + ".tmp-"
    assert outputs.temporary_of(Path("x" * 243)).name[:247] == "x" * 242 + ".tmp-"
    assert len(outputs.temporary_of(Path("x" * 255)).name) == 255
