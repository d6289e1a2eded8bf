"""The README's commands are ones that exist, and its main job runs as written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from runtime.cli import inflamap

README = Path(__file__).parents[1] / "README.md"


def code_lines() -> list[str]:
    """Lines of the README's shell blocks, comments cut off."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line.split("   #")[0].split("  #")[0].strip() for block in blocks for line in block.splitlines()]


COMMANDS = [line for line in code_lines() if line.startswith("inflamap ")]


def test_readme_shows_every_command() -> None:
    shown = {line.split()[1] for line in COMMANDS}
    assert shown == set(inflamap.list_commands(click.Context(inflamap)))


@pytest.mark.parametrize("line", COMMANDS)
def test_command_shown_is_understood(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    command = inflamap.get_command(click.Context(inflamap), name)
    assert command is not None
    # raises where an option or argument does not exist
    command.make_context(name, arguments)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_main_job_runs_as_written(tmp_path: Path) -> None:
    block = re.search(r"<!-- run command -->\n```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    lines = [line for line in block.group(1).splitlines() if line.startswith("inflamap ")]
    assert len(lines) == 4
    scripts = Path(sys.executable).parent
    for line in lines:
        environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(shlex.split(line), cwd=tmp_path, check=True, env=environment, timeout=600)
    results = tmp_path / "work" / "results"
    assert len(list(results.glob("v*.bmp.overlay.jpg"))) == 4
    assert len(list(results.glob("v*.bmp.score.json"))) == 4
