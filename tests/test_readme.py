"""The README's commands are ones that exist, and its main job runs as written."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from shown_commands import require_understood

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
    require_understood(line)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_main_job_runs_as_written(tmp_path: Path) -> None:
    block = re.search(r"<!-- run command -->\n```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    lines = [line for line in block.group(1).splitlines() if line.startswith("inflamap ")]
    assert lines == ["inflamap demo"]
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        shlex.split(lines[0]), cwd=tmp_path, check=True, env=environment, timeout=900, stdout=subprocess.PIPE, text=True
    )
    folder = tmp_path / "inflamap-demo"
    assert (folder / "report.html").read_text(encoding="utf-8").count("<img ") == 9
    found = json.loads((folder / "inflamap-demo.json").read_text())
    assert found["watch"]["saved"] == found["watch"]["recorded"] == found["watch"]["states"]["scored"] == 90
    assert found["bench"]["passed"]
    # trained from scratch it must be worth showing: five grades, so that guessing gives 0.2 and about 1.5 grades
    assert found["evaluation"]["accuracy"]["value"] > 0.6
    assert found["maps"]["mean_difference_grades"] < 0.6
    # what the summary tells to look at is there
    look_at = done.stdout.partition("Look at")[2]
    places = [word for word in shlex.split(look_at) if word.startswith("inflamap-demo/")]
    assert len(places) == 4
    assert all((tmp_path / place).exists() for place in places)
    results = folder / "results" / "case 1" / "VivaStack #1"
    assert {path.name for path in results.glob("*.score.json")} == {f"v{i:07d}.bmp.score.json" for i in range(90)}
