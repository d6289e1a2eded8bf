"""Every engine of the contract keeps the protocol and the grades, by the same tests. Those for the CPU run everywhere;
those for a GPU skip, with the reason, where what they need is not there.

    pytest tests/runtime/engines/test_protocol.py -rA
"""

import numpy as np
import numpy.typing as npt
import pytest

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.engines import DeployedEngine
from runtime.engines.registry import ENGINE_NAMES, REFERENCE_ENGINE, open_engine
from runtime.errors import EngineMissing
from runtime.gate import Cells
from runtime.gate_set import GateSet

THREADS = 2
# of the bundle's; mosaics of them are the frames
PATCHES = 200
# in probability, from FP32; the gate says what it means for the grades
TOLERANCE = {"fp32": 1e-5, "fp16": 0.005, "int8": 0.1}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def reference(bundle: Bundle) -> DeployedEngine:
    return open_engine(bundle, REFERENCE_ENGINE, threads=THREADS)


@pytest.fixture(scope="module")
def gate(bundle: Bundle, reference: DeployedEngine) -> GateSet:
    gate, few = bundle.gate_patches(), slice(PATCHES)
    return GateSet.of(
        gate.patches[few],
        gate.medians[few],
        Cells(gate.probabilities[few], gate.unfamiliarity[few]),
        (),
        reference,
        bundle.geometry,
        bundle.manifest.quality,
        ordered=True,
    )


@pytest.fixture(scope="module", params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> DeployedEngine:
    """Opened as `score` and `watch` do: with the golden frames, and a plan built here where it takes one."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INFLAMAP_CACHE", str(tmp_path_factory.mktemp("cache") / "plans"))
        try:
            return open_engine(bundle, request.param, threads=THREADS, say=print)
        except EngineMissing as error:
            # the others come with the `dev` extra, and nothing is skipped for want of them
            if not request.param.startswith("tensorrt-"):
                raise
            pytest.skip(str(error))


def images(*shape: int) -> npt.NDArray[np.uint8]:
    """Noise that is smoothed a little, uint8 [N, 1, H, W]."""
    noise = np.random.default_rng(7).integers(0, 256, shape).astype(np.float32)
    return ((noise + np.roll(noise, 1, 2) + np.roll(noise, 1, 3)) / 3).astype(np.uint8)


def test_engine_keeps_the_grades(engine: DeployedEngine, gate: GateSet) -> None:
    verdict = gate.judge(engine)
    print(f"{engine.name} on {engine.runs_on}: {verdict.to_json()}")
    assert verdict.passed, verdict.misses()


@pytest.mark.parametrize("shape", [(1, 1, 128, 128), (3, 1, 140, 200), (6, 1, 128, 128), (1, 1, 500, 300)], ids=str)
def test_map_has_the_shape_and_values_of_the_fp32_models(
    engine: DeployedEngine, reference: DeployedEngine, shape: tuple[int, ...]
) -> None:
    found, wanted = engine.run(images(*shape)), reference.run(images(*shape))
    assert found.probabilities.dtype == found.unfamiliarity.dtype == np.float32
    assert found.probabilities.shape == wanted.probabilities.shape
    assert found.unfamiliarity.shape == wanted.unfamiliarity.shape
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=TOLERANCE[engine.precision])


def test_two_runs_over_one_frame_agree(engine: DeployedEngine) -> None:
    frame = images(1, 1, 400, 400)
    first, second = engine.run(frame), engine.run(frame)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    np.testing.assert_array_equal(first.unfamiliarity, second.unfamiliarity)


def test_engine_says_what_it_is_and_runs_on(engine: DeployedEngine) -> None:
    assert engine.name in ENGINE_NAMES
    assert engine.name.endswith(f"-{engine.precision}")
    assert all(isinstance(value, str) and value for value in engine.runs_on.values())
    assert engine.runs_on
    share = engine.int8_share()
    if engine.precision == "int8":
        assert share is not None
        assert 0 < share <= 1
    else:
        assert share is None
