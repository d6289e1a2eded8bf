"""A new bundle's engines on the machine that exports it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.bundle import Bundle
from runtime.engines.registry import MODEL_FILES, REFERENCE_ENGINE, open_engine
from runtime.errors import CheckFailed, EngineMissing, one_line
from runtime.gate import Verdict
from runtime.gate_set import GateSet

TENSORRT_ENGINES = "tensorrt-"


@dataclass(frozen=True)
class Judged:
    """An engine that ran here.

    Attributes:
        verdict: of the gate.
        runs_on: see `DeployedEngine.runs_on`.
    """

    verdict: Verdict
    runs_on: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"runs_on": self.runs_on, "gate": self.verdict.to_json()}


def require_tensorrt() -> None:
    """Look for TensorRT, the driver and the GPU.

    Raises:
        EngineMissing: one of them is not here.
    """
    from runtime.engines.tensorrt.module import import_tensorrt
    from runtime.engines.tensorrt.probe import probe_gpu

    import_tensorrt()
    probe_gpu()


def judge_engines(
    bundle: Bundle, names: Sequence[str], gate: GateSet, *, threads: int, say: Callable[[str], None]
) -> dict[str, Judged]:
    """Open engines and hold each, with the kernels it has here, against the reference.

    A file that is right may still run wrong on this machine, which need not be the microscope's: that is said, and
    `bench` says it again there. The reference has to be right, and so has TensorRT, which was asked for by name.

    Args:
        bundle: the new one.
        names: engines to try; those whose file is not in the bundle, or that are not installed, are passed over.
        gate: what each is held against the reference on.
        threads: cores to use at most.
        say: told which engines are not here, and which are not right here.

    Raises:
        InflamapError: the reference or TensorRT is not here, or not right.
    """
    found: dict[str, Judged] = {}
    missing: dict[str, list[str]] = {}
    for name in names:
        if MODEL_FILES[name] not in bundle.manifest.files:
            continue
        needed = name == REFERENCE_ENGINE or name.startswith(TENSORRT_ENGINES)
        try:
            engine = open_engine(bundle, name, threads=threads, say=say)
            found[name] = Judged(gate.judge(engine), engine.runs_on)
            if misses := found[name].verdict.misses():
                raise CheckFailed(f"{name} does not keep the grades on this machine", seen="; ".join(misses))
        except EngineMissing as error:
            if needed:
                raise
            missing.setdefault(str(error), []).append(name)
        except Exception as error:  # engines' own exceptions share no public base class
            if needed:
                raise
            say(f"{name}: not to be used on this machine: {one_line(str(error))}")
    for reason, engines in missing.items():
        say(f"{', '.join(engines)}: not tried here: {reason}")
    return found
