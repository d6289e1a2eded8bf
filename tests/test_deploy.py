"""docs/deploy.md: its commands exist, and its Linux steps run as written, the PC's without network."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from shown_commands import require_understood

from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_files import MANIFEST_FILE

CHECKOUT = Path(__file__).parents[1]
TEXT = (CHECKOUT / "docs" / "deploy.md").read_text(encoding="utf-8")
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "runtime", "trainer", "export", "benchmarks")


def steps(where: str) -> list[str]:
    """The shell blocks marked as steps of the lab's machine or of the PC, in their order."""
    return re.findall(rf"<!-- {where} -->\n```sh\n(.*?)```\n<!-- end -->", TEXT, flags=re.DOTALL)


def commands() -> list[str]:
    """Every `inflamap` line of a shell block."""
    blocks = re.findall(r"```(?:sh|bat)\n(.*?)```", TEXT, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("inflamap ")]


@pytest.mark.parametrize("line", sorted({line for line in commands() if "--version" not in line}))
def test_command_shown_is_understood(line: str) -> None:
    require_understood(line)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(sys.platform != "linux", reason="the steps are Linux's")
def test_linux_steps_run_as_written(tmp_path: Path) -> None:
    lab, pc = tmp_path / "lab", tmp_path / "pc"
    copy_checkout(lab)
    copy_bundle(lab / "stick" / "bundle")
    for step in steps("lab"):
        noted = run(step, lab, os.environ)
    shutil.copytree(lab / "stick", pc)
    paint_frame(pc / "one.bmp", seed=1)
    paint_frame(pc / "frames" / "case 1" / "v0000001.bmp", seed=2)

    hashes, install, accept, watch = steps("pc")
    assert run(hashes, pc, offline()).split() == [noted.split()[0], "SHA256SUMS"]
    assert run(install, pc, offline()).splitlines()[-2].startswith("inflamap ")
    installed = {path.name.lower() for path in pc.glob("venv/lib/python3*/site-packages/*")}
    assert {"runtime", "openvino"} <= installed
    assert not {name for name in installed if name.startswith(("torch", "lightning"))}

    said = run(f". venv/bin/activate\n{accept}", pc, offline())
    (accepted,) = json.loads((pc / "bundle" / "accepted.json").read_text())["hosts"].values()
    assert f"engine {accepted['engine']}: accepted on this machine" in said
    assert scored_by(pc / "scored" / "one.bmp.score.json") == accepted["engine"]
    run(f". venv/bin/activate\n{watch.rstrip()} --once", pc, offline())
    assert scored_by(pc / "results" / "case 1" / "v0000001.bmp.score.json") == accepted["engine"]


def run(commands: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What they say, on both streams; the environment the tests run in comes first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env={**environment, "PATH": path},
        check=False,
        timeout=600,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def offline() -> dict[str, str]:
    """No settings of pip, and a proxy that is not there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {**kept, **nowhere, "PIP_CONFIG_FILE": os.devnull, "no_proxy": "", "NO_PROXY": ""}


def copy_checkout(folder: Path) -> None:
    """What the wheel is built from, without what earlier builds left."""
    folder.mkdir()
    for name in BUILT_FROM:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)


def copy_bundle(folder: Path) -> None:
    """The shipped model in place of one that was exported."""
    folder.mkdir(parents=True)
    for name in (MANIFEST_FILE, *json.loads((DEFAULT_BUNDLE / MANIFEST_FILE).read_text())["files"]):
        shutil.copy(DEFAULT_BUNDLE / name, folder)


def paint_frame(path: Path, seed: int) -> None:
    """A synthetic frame of the size that VivaScope microscopes save."""
    from trainer.phantom import draw_subjects, paint_frame

    path.parent.mkdir(parents=True, exist_ok=True)
    severity = np.tile(np.linspace(0.2, 3.8, 1000, dtype=np.float32), (1000, 1))
    pixels = paint_frame(draw_subjects(seed)[0], severity, np.random.default_rng(seed))
    path.write_bytes(cv2.imencode(".bmp", pixels)[1].tobytes())


def scored_by(record: Path) -> str:
    """The engine that a record names."""
    document = json.loads(record.read_text())
    assert document["status"] == "scored"
    return str(document["model"]["engine"])
