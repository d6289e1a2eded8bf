"""A new bundle's engines on the machine that exports it."""

from collections.abc import Callable, Sequence

from runtime.bundle import Bundle
from runtime.engines.registry import MODEL_FILES, REFERENCE_ENGINE, open_engine
from runtime.errors import CheckFailed, EngineMissing
from runtime.gate import GateSet, Verdict

TENSORRT_ENGINES = "tensorrt-"


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
) -> dict[str, Verdict]:
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
        CheckFailed: the reference or TensorRT does not reproduce the golden frames.
    """
    verdicts: dict[str, Verdict] = {}
    missing: dict[str, list[str]] = {}
    for name in names:
        if MODEL_FILES[name] not in bundle.manifest.files:
            continue
        try:
            engine = open_engine(bundle, name, threads=threads, say=say)
        except EngineMissing as error:
            missing.setdefault(str(error), []).append(name)
            continue
        except CheckFailed as failed:
            if name == REFERENCE_ENGINE or name.startswith(TENSORRT_ENGINES):
                raise
            say(f"{name}: not to be used on this machine: {failed}")
            continue
        verdicts[name] = gate.judge(engine)
    for reason, engines in missing.items():
        say(f"{', '.join(engines)}: not tried here: {reason}")
    return verdicts
