"""A plan on the GPU, from the cache or built anew, with all that has to live as long as it runs."""

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec

from runtime.engines.tensorrt.device_memory import DeviceMemory
from runtime.engines.tensorrt.kernels import Kernels
from runtime.engines.tensorrt.messages import messages_of
from runtime.engines.tensorrt.plan import IMAGE, PLAN_VERSION, PROBABILITIES, UNFAMILIARITY, Profile, build_plan
from runtime.engines.tensorrt.plan_cache import KernelsKey, PlanCache, PlanKey
from runtime.engines.tensorrt.probe import Gpu
from runtime.errors import BundleError


class Seams(msgspec.Struct, frozen=True):
    """What an engine stands on, each found on this machine unless given.

    Attributes:
        trt: `tensorrt` or `tensorrt_rtx`.
        gpu: the current GPU.
        memory: its memory.
        cache: where plans are kept.
    """

    trt: Any
    gpu: Gpu
    memory: DeviceMemory
    cache: PlanCache


class LoadedPlan:
    """The library's objects over one plan. NVIDIA wants each to outlive those made of it, the config included.

    Attributes:
        engine: the library's `ICudaEngine`; None before `load` and after `release`, as is what follows.
        context: its `IExecutionContext`.
        kernels: compiled for the sizes met; None where the library compiles none at run time.
    """

    def __init__(self, seams: Seams, name: str) -> None:
        """Nothing yet, so that `release` can be promised before anything is made.

        Args:
            seams: the plan's machine; its memory is the plan's from now on.
            name: the engine's, for what is said.
        """
        self._seams, self._name = seams, name
        self._messages = messages_of(seams.trt)
        self._runtime: Any = None
        self.engine: Any = None
        self._config: Any = None
        self.kernels: Kernels | None = None
        self.context: Any = None

    def load(self, model: bytes, profile: Profile, say: Callable[[str], None]) -> None:
        """Make all of it.

        Args:
            model: the ONNX file's bytes.
            profile: the shapes that the plan has to take.
            say: takes lines for the person at the keyboard.

        Raises:
            EngineMissing, CheckFailed, BundleError: see `open_tensorrt`.
        """
        trt = self._seams.trt
        what = f"{trt.__name__} {trt.__version__} cannot start on {self._seams.gpu.name}"
        self._runtime = self._messages.checked(what, trt.Runtime, self._messages.logger)
        key = self._key(model, profile)
        plan = self._load_kept(key, say) or self._load_new(key, model, say)
        self._check_tensors()
        self._open_context(KernelsKey(key, sha256(plan).hexdigest()))

    def release(self) -> None:
        """Let go of all, in the opposite order, the memory last. It runs where nobody could act on an error."""
        self.context = None
        self._config = None
        self.kernels = None
        self.engine = None
        self._runtime = None
        with suppress(Exception):
            self._seams.memory.close()

    def _key(self, model: bytes, profile: Profile) -> PlanKey:
        trt, gpu = self._seams.trt, self._seams.gpu
        return PlanKey(
            onnx_sha256=sha256(model).hexdigest(),
            module=trt.__name__,
            version=trt.__version__,
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            driver=gpu.driver,
            profile=profile,
            plan_version=PLAN_VERSION,
        )

    def _load_kept(self, key: PlanKey, say: Callable[[str], None]) -> bytes | None:
        plan = self._seams.cache.read(key)
        if plan is None:
            return None
        self.engine = self._runtime.deserialize_cuda_engine(plan)
        if self.engine is None:
            say(f"{self._name}: the kept plan does not load and is built anew")
            return None
        return plan

    def _load_new(self, key: PlanKey, model: bytes, say: Callable[[str], None]) -> bytes:
        library = f"{key.module} {key.version}"
        say(f"{self._name}: building a plan with {library} for {key.gpu}")
        plan = build_plan(self._seams.trt, model, profile=key.profile, compute_capability=key.compute_capability)
        what = f"{library} cannot load the plan it built for {key.gpu}"
        self.engine = self._messages.checked(what, self._runtime.deserialize_cuda_engine, plan)
        # only what is known to load
        self._seams.cache.write(key, plan)
        return plan

    def _check_tensors(self) -> None:
        """The library reads and writes as many bytes as its own types ask for."""
        engine, trt = self.engine, self._seams.trt
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        found = {name: engine.get_tensor_dtype(name) for name in names}
        wanted = {IMAGE: trt.uint8, PROBABILITIES: trt.float32, UNFAMILIARITY: trt.float32}
        if found != wanted:
            raise BundleError(
                "the model's inputs and outputs are not a bundle's",
                seen=", ".join(f"{name} {dtype}" for name, dtype in found.items()),
                wanted=", ".join(f"{name} {dtype}" for name, dtype in wanted.items()),
                next_step="export the run again",
            )

    def _open_context(self, key: KernelsKey) -> None:
        what = "the GPU cannot hold the model's intermediate results"
        # `tensorrt_rtx` compiles for a shape when it first meets it: by default in the background, with other kernels
        # until then, so that two runs over one frame could differ. At once: the first of a size is slow, all are alike
        strategies = getattr(self._seams.trt, "DynamicShapesKernelSpecializationStrategy", None)
        if strategies is None:
            self.context = self._messages.checked(what, self.engine.create_execution_context)
            return
        self._config = self._messages.checked(what, self.engine.create_runtime_config)
        self._config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        self.kernels = Kernels(self._config, self._seams.cache, key)
        self.context = self._messages.checked(what, self.engine.create_execution_context, self._config)
