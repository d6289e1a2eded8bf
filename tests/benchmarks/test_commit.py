"""A commit is called dirty by any file that differs from it, but the documents that runs write themselves."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.commit import commit_of


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    for name in ("code.py", "docs/nightly.md"):
        (tmp_path / name).write_text("")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    assert len(commit_of(repository)) == 8
    (repository / "docs" / "nightly.md").write_text("rewritten by the run")
    assert len(commit_of(repository)) == 8


@pytest.mark.parametrize("name", ["code.py", "new.py", "docs/other.md"])
def test_any_other_file_makes_it_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("x = 1\n")
    assert commit_of(repository).endswith("-dirty")


def test_without_a_repository_it_is_unknown(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "unknown"
