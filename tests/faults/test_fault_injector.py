"""The fault injector sees each call that changes a file system, in its order, and does to it as it is told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fault_injector.library import Call, Fault, build, read_log, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

_CHILD = """
import ctypes, json, os, shutil, sqlite3, sys
root, log, target, fault, body = sys.argv[1:]
injector = ctypes.CDLL(None)
log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
injector.injector_arm(os.fsencode(root), log, ctypes.c_long(int(target)), int(fault))
os.chdir(root)
try:
    exec(body)
except OSError as error:
    print(json.dumps(["OSError", error.errno]))
except sqlite3.Error as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("injector"))


class Ran:
    """A piece of Python below `tmp_path / "root"`, with the fault at a call of it."""

    def __init__(self, library: Path, place: Path, body: str, target: int = 0, fault: Fault = Fault.NONE) -> None:
        self.root, log = place / "root", place / "log"
        self.root.mkdir(exist_ok=True)
        arguments = [str(self.root), str(log), str(target), str(int(fault)), body]
        environment = os.environ | {"LD_PRELOAD": f"./{library.name}"}
        command = [sys.executable, "-c", _CHILD, *arguments]
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=library.parent, timeout=60
        )
        assert ended.returncode in (0, -9), ended.stderr
        self.killed = ended.returncode == -9
        self.said = [json.loads(line) for line in ended.stdout.splitlines()]
        self.calls = read_log(log)


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("open('a', 'wb').close()", "open a"),
        ("open('a', 'x').close()", "open a"),
        ("open('a', 'ab').write(b'x')", "open a, write a"),
        ("f = os.open('a', os.O_RDWR | os.O_CREAT); os.pwrite(f, b'x', 0)", "open a, pwrite a"),
        ("f = os.open('a', os.O_RDWR | os.O_CREAT); os.writev(f, [b'x', b'y'])", "open a, write a"),
        ("f = os.open('a', os.O_RDWR | os.O_CREAT); os.pwritev(f, [b'x', b'y'], 0)", "open a, pwrite a"),
        ("f = open('a', 'wb'); os.fsync(f); os.fdatasync(f)", "open a, fsync a, fsync a"),
        ("f = open('a', 'wb'); f.truncate(9); os.truncate('a', 3)", "open a, ftruncate a, truncate a"),
        ("f = open('a', 'wb'); os.posix_fallocate(f.fileno(), 0, 9)", "open a, fallocate a"),
        ("os.mkdir('d'); os.rename('d', 'e'); os.rmdir('e')", "mkdir d, rename e, rmdir e"),
        ("os.makedirs('d/e')", "mkdir d, mkdir d/e"),
        ("open('a', 'w').close(); os.replace('a', 'b'); os.unlink('b')", "open a, rename b, unlink b"),
        ("open('a', 'w').close(); os.link('a', 'b'); os.symlink('a', 'c')", "open a, link b, symlink c"),
        ("open('a', 'w').close(); os.chmod('a', 0o600); os.utime('a', (1, 1))", "open a, chmod a, utime a"),
        ("f = open('a', 'w'); os.fchmod(f.fileno(), 0o600); os.utime(f.fileno())", "open a, chmod a, utime a"),
        ("open('a', 'w').close(); os.chown('a', -1, -1); os.lchown('a', -1, -1)", "open a, chown a, chown a"),
        (
            "os.mkdir('d'); d = os.open('d', 0); os.close(os.open('a', os.O_CREAT, dir_fd=d));"
            "os.rename('a', 'b', src_dir_fd=d, dst_dir_fd=d); os.mkdir('e', dir_fd=d); os.unlink('b', dir_fd=d)",
            "mkdir d, open d/a, rename d/b, mkdir d/e, unlink d/b",
        ),
        ("open('a', 'wb').write(b'x'); shutil.copyfile('a', 'b')", "open a, write a, open b, sendfile b, sendfile b"),
        (
            "open('a', 'wb').write(b'x'); os.copy_file_range(os.open('a', 0), os.open('b', os.O_CREAT | os.O_RDWR), 1)",
            "open a, write a, open b, copy_file_range b",
        ),
        # what is only read, and what lies elsewhere
        ("os.listdir(); os.path.exists('a'); os.close(os.open('.', 0))", ""),
        ("open('../other', 'w').close(); os.unlink('../other'); print(json.dumps(1))", ""),
        ("open('../rooted', 'w').close(); os.rename('../rooted', 'a')", "rename a"),
    ],
)
def test_each_call_is_seen_in_its_order(body: str, seen: str, library: Path, tmp_path: Path) -> None:
    ran = Ran(library, tmp_path, body)
    assert ", ".join(f"{call.name} {call.path}" for call in ran.calls) == seen


def test_sqlite_is_seen_too(library: Path, tmp_path: Path) -> None:
    body = """
database = sqlite3.connect('db', isolation_level=None)
database.execute('PRAGMA journal_mode = WAL')
database.execute('CREATE TABLE t (x)')
database.close()
"""
    calls = Ran(library, tmp_path, body).calls
    assert {("open", "db"), ("pwrite", "db"), ("pwrite", "db-wal"), ("fsync", "db"), ("unlink", "db-wal")} <= {
        (call.name, call.path) for call in calls
    }
    for number in range(1, len(calls) + 1):
        shutil.rmtree(tmp_path / "root")
        ran = Ran(library, tmp_path, body, number, Fault.KILL_BEFORE)
        assert ran.killed
        assert ran.calls == calls[:number]


@pytest.mark.parametrize(
    ("fault", "said", "left"),
    [
        (Fault.NONE, [], b"abcdefgh"),
        (Fault.EIO, [["OSError", 5]], b""),
        (Fault.ENOSPC, [["OSError", 28]], b""),
        (Fault.HALF, [["OSError", 28]], b"abcd"),
        (Fault.SHORT, [], b"abcdefgh"),
        (Fault.TORN, None, b"abcd"),
        (Fault.KILL_BEFORE, None, b""),
        (Fault.KILL_AFTER, None, b"abcdefgh"),
    ],
)
def test_fault_of_a_write(fault: Fault, said: object, left: bytes, library: Path, tmp_path: Path) -> None:
    # Python itself goes on after half of it; and of what failed, it keeps what it would try again
    body = (
        "with open('a', 'wb') as file: file.write(b'abcdefgh')"
        if fault is Fault.SHORT
        else "os.write(os.open('a', os.O_WRONLY | os.O_CREAT), b'abcdefgh')"
    )
    ran = Ran(library, tmp_path, body, 2, fault)
    assert (None if ran.killed else ran.said) == said
    assert (ran.root / "a").read_bytes() == left


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.EIO_ON, ["OSError", 5]),
        (Fault.ENOSPC_ON, ["OSError", 28]),
    ],
)
def test_fault_lasts(fault: Fault, said: list[object], library: Path, tmp_path: Path) -> None:
    body = """
for name in ('a', 'b', 'c'):
    try:
        os.mkdir(name)
    except OSError as error:
        print(json.dumps(['OSError', error.errno]))
os.rmdir('a')
"""
    ran = Ran(library, tmp_path, body, 2, fault)
    # a full disk lets go of things, a broken one does nothing
    assert ran.said == [said, said] + [said] * (fault is Fault.EIO_ON)
    assert [path.name for path in ran.root.iterdir()] == (["a"] if fault is Fault.EIO_ON else [])


def test_random_part_of_a_name_is_left_out(library: Path, tmp_path: Path) -> None:
    ran = Ran(library, tmp_path, "open('a.tmp-0123abcd', 'w').write('x'); os.rename('a.tmp-0123abcd', 'a')")
    assert ran.calls == [
        Call("open", -1, "a.tmp-*", ""),
        Call("write", 1, "a.tmp-*", ""),
        Call("rename", -1, "a", "a.tmp-*"),
    ]
