"""Images that a bundle carries, with the trained network's answers to them."""

import io
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import asdict

from runtime.archive import read_arrays

# all golden frames together: two of 2048 px; an engine needs hundreds of bytes a pixel
MOST_GOLDEN_PIXELS = 2 * 2048**2
# several times what a manifest holds; as JSON a byte may become fifty
MOST_FACTS_BYTES = 2**20


class GoldenFrames(msgspec.Struct, frozen=True):
    """Golden inputs and outputs.

    Attributes:
        frames: uint8 [N, 1, H, W] at the model's scale.
        probabilities: float32 [N, K, h, w], as the trained network gave them.
        unfamiliarity: float32 [N, h, w].
        facts: the manifest's facts at export, see `runtime.manifest.facts_of`.
    """

    frames: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    unfamiliarity: npt.NDArray[np.float32]
    facts: str = ""

    def to_bytes(self) -> bytes:
        """The .npz of `GOLDEN_FILE`."""
        return _packed(
            frames=self.frames,
            probabilities=self.probabilities,
            unfamiliarity=self.unfamiliarity,
            facts=np.frombuffer(self.facts.encode(), np.uint8),
        )

    @staticmethod
    def from_bytes(data: bytes) -> "GoldenFrames":
        """Raises ValueError where the bytes are no such archive; never unpickles."""
        arrays: dict[str, Any] = read_arrays(
            data,
            {"frames": ("uint8", 4), "probabilities": ("float32", 4), "unfamiliarity": ("float32", 3)}
            | {"facts": ("uint8", 1)},
        )
        facts = arrays.pop("facts")
        _require_one_length(arrays)
        for name, array, most in (
            ("frames", arrays["frames"], MOST_GOLDEN_PIXELS),
            ("facts", facts, MOST_FACTS_BYTES),
        ):
            if array.size > most:
                raise ValueError(f"{name} of {array.size} bytes, wanted at most {most}")
        return GoldenFrames(**arrays, facts=facts.tobytes().decode())


class GatePatches(msgspec.Struct, frozen=True):
    """Patches that were held out of the training, with the trained network's answers.

    Attributes:
        patches: uint8 [N, P, P] at the model's scale.
        medians: int64 [N], the raters' median grades.
        probabilities: float32 [N, K].
        unfamiliarity: float32 [N].
    """

    patches: npt.NDArray[np.uint8]
    medians: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    unfamiliarity: npt.NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """The .npz of `GATE_FILE`."""
        return _packed(**asdict(self))

    @staticmethod
    def from_bytes(data: bytes) -> "GatePatches":
        """Raises ValueError where the bytes are no such archive; never unpickles."""
        arrays: dict[str, Any] = read_arrays(
            data,
            {"patches": ("uint8", 3), "medians": ("int64", 1), "probabilities": ("float32", 2)}
            | {"unfamiliarity": ("float32", 1)},
        )
        _require_one_length(arrays)
        return GatePatches(**arrays)


def _require_one_length(arrays: dict[str, Any]) -> None:
    lengths = [len(array) for array in arrays.values()]
    if len(set(lengths)) != 1:
        raise ValueError(f"lengths {lengths}, wanted one and the same")
    # with nothing to compare everything would pass
    if not all(array.size for array in arrays.values()):
        raise ValueError(f"shapes {[array.shape for array in arrays.values()]}, wanted none without a value")


def _packed(**arrays: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
