"""The texture network: unpadded convolutions, energy pooling, a small head.

After Andrearczyk & Whelan 2016 (T-CNN, https://doi.org/10.1016/j.patrec.2016.08.016): a texture is known by how much
of each learned feature it holds, not by where, so the last feature maps are averaged (their energy) before the
classifier. Nothing here pads and nothing normalises beyond the patch, so the network run over a whole frame gives at
each stride the very score of the patch below it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from runtime.dense_map import Geometry
from runtime.outputs import write_atomically

# recorded in every bundle; raise it when the network's structure or meaning changes
NETWORK_VERSION = 2

WEIGHTS_FILE = "network.safetensors"
CONFIG_FILE = "network.json"

GREY_MEAN, GREY_SPREAD = 0.45, 0.25


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to rebuild a network.

    Attributes:
        grades: names of the K grades, lowest first.
        um_per_px: sampling of the patches it was trained on.
        ordered: whether neighbouring grades are nearer to each other than distant ones.
        kernels, strides, widths: one entry a convolution; widths in multiples of 16, which suit INT8 kernels.
        patch_px: side of the patch one score is made from; receptive field and pooling window together.
        hidden: width of the head's hidden layer.
    """

    grades: tuple[str, ...] = ("0", "1", "2", "3", "4")
    um_per_px: float = 0.5
    ordered: bool = True
    kernels: tuple[int, ...] = (4, 3, 3, 3, 1)
    strides: tuple[int, ...] = (2, 2, 2, 1, 1)
    widths: tuple[int, ...] = (16, 32, 32, 48, 64)
    patch_px: int = 128
    hidden: int = 64

    def __post_init__(self) -> None:
        reach = self.patch_px - self.field_px
        if reach < 0 or reach % self.total_stride:
            raise ValueError(
                f"patch_px {self.patch_px} does not fit the convolutions: wanted {self.field_px} + a multiple of "
                f"{self.total_stride}, so that the receptive field with pooling is exactly the patch"
            )

    @property
    def total_stride(self) -> int:
        """Pixels between neighbouring features."""
        product = 1
        for stride in self.strides:
            product *= stride
        return product

    @property
    def field_px(self) -> int:
        """Receptive field of one feature, before pooling."""
        field, jump = 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            field += (kernel - 1) * jump
            jump *= stride
        return field

    @property
    def geometry(self) -> Geometry:
        """Of the map at the convolutions' own stride."""
        return Geometry(self.patch_px, self.total_stride, self.um_per_px)

    @property
    def window(self) -> int:
        """Side of the energy pooling's window, in features."""
        return (self.patch_px - self.field_px) // self.total_stride + 1

    def pooling(self, stride_px: int) -> tuple[tuple[int, int, int], ...]:
        """Return how each layer's features are averaged over patches at a stride, first layer to last.

        Of every `group` features along a side, which is the stride, the first `kernel` are averaged, and `window` such
        means along a side make a patch: (window - 1) * group + kernel features, which see patch_px pixels.

        Returns:
            (group, kernel, window) for each layer.
        """
        found, field, jump = [], 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            field += (kernel - 1) * jump
            jump *= stride
            features, group = (self.patch_px - field) // jump + 1, stride_px // jump
            found.append((group, (features - 1) % group + 1, (features - 1) // group + 1))
        return tuple(found)


class GreyNormalisation(nn.Module):
    """Grey levels 0 to 255 to about zero mean and unit spread; fixed, so that a patch and a frame are treated alike."""

    def forward(self, grey: Tensor) -> Tensor:
        return (grey / 255.0 - GREY_MEAN) / GREY_SPREAD


class TextureNetwork(nn.Module):
    """Grey patches to grade logits, and whole frames to maps.

    Beside the weights it holds the temperature of its softmax, which the end of training measures.
    """

    temperature: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        channels = 1
        for kernel, stride, width in zip(config.kernels, config.strides, config.widths, strict=True):
            layers += [
                nn.Conv2d(channels, width, kernel, stride, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        self.normalisation: nn.Module = GreyNormalisation()
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Conv2d(channels, config.hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.hidden, len(config.grades), 1),
        )
        self.register_buffer("temperature", torch.ones(()))

    def energies(self, grey: Tensor, stride_px: int | None = None) -> Tensor:
        """Return the mean of every feature of the last layer over each patch.

        Args:
            grey: float [N, 1, H, W], grey levels 0 to 255.
            stride_px: pixels between patches, a multiple of `config.total_stride`, which it is when None.

        Returns:
            float [N, C, h, w] with h = (H - patch_px) // stride_px + 1.

        Raises:
            ValueError: the stride is no such multiple.
        """
        step = self._stride(stride_px) // self.config.total_stride
        return _window_mean(self.body(self.normalisation(grey)), self.config.window, step)

    def layer_means(self, grey: Tensor, stride_px: int | None = None) -> tuple[Tensor, ...]:
        """Return the mean of every channel over each patch, of all layers but the first.

        The first layer has by far the most features and hardly adds to what the others tell of strange images. Of each
        group of features, as many are averaged as make the patch see its pixels exactly, none less and none more: with
        one less, some frame sizes would yield one row of cells too many.

        Args:
            grey: float [N, 1, H, W], grey levels 0 to 255.
            stride_px: pixels between patches, as in `energies`.

        Returns:
            for each layer from the second on float [N, C, h, w]; the last are the `energies`.

        Raises:
            ValueError: the stride is no multiple of the convolutions' own.
        """
        stride_px = self._stride(stride_px)
        pooling = self.config.pooling(stride_px)
        features, means = self.normalisation(grey), []
        layers = iter(self.body)
        for place, (group, kernel, window) in enumerate(pooling):
            for layer in layers:
                features = layer(features)
                if isinstance(layer, nn.ReLU):
                    break
            if 0 < place < len(pooling) - 1:
                grouped = features if group == kernel == 1 else F.avg_pool2d(features, kernel, group)
                means.append(_window_mean(grouped, window, 1))
        return *means, _window_mean(features, self.config.window, stride_px // self.config.total_stride)

    def _stride(self, stride_px: int | None) -> int:
        """Return the stride in pixels, once it is one that the convolutions can make."""
        stride_px = self.config.total_stride if stride_px is None else stride_px
        if stride_px % self.config.total_stride:
            raise ValueError(
                f"stride {stride_px} px: wanted a multiple of {self.config.total_stride}, the convolutions' own stride"
            )
        return stride_px

    def forward(self, grey: Tensor) -> Tensor:
        """Return the logits of patches.

        Args:
            grey: float [N, 1, patch_px, patch_px], grey levels 0 to 255.

        Returns:
            float [N, K].

        Raises:
            ValueError: the images are larger than a patch; `trainer.predict` combines the patches of such.
        """
        cells = self.cell_logits(grey)
        if cells.shape[2:] != (1, 1):
            raise ValueError(f"images of {tuple(grey.shape[2:])} px: wanted patches of {self.config.patch_px} px")
        return cells[:, :, 0, 0]

    def cell_logits(self, grey: Tensor) -> Tensor:
        """Logits of every patch: float [N, 1, H, W] of grey levels 0 to 255 to float [N, K, h, w]."""
        return cast(Tensor, self.head(self.energies(grey)))

    def cell_probabilities(self, grey: Tensor, stride_px: int) -> Tensor:
        """Return the tempered probabilities of every patch: float [N, 1, H, W] to float [N, K, h, w]."""
        return self.probabilities(self.energies(grey, stride_px))

    def probabilities(self, energies: Tensor) -> Tensor:
        """Return the tempered probabilities for energies: float [N, C, h, w] to float [N, K, h, w]."""
        return torch.softmax(self.head(energies) / self.temperature, dim=1)


def _window_mean(features: Tensor, window: int, step: int) -> Tensor:
    """Average over square windows, along one side after the other: the cost falls from the square to twice the side."""
    return F.avg_pool2d(F.avg_pool2d(features, (window, 1), (step, 1)), (1, window), (1, step))


def save_network(network: TextureNetwork, folder: Path) -> None:
    """Write the weights as safetensors and the configuration as JSON: neither can run code when loaded."""
    write_atomically(folder / WEIGHTS_FILE, save(network.state_dict()))
    document = {"version": NETWORK_VERSION, **asdict(network.config)}
    write_atomically(folder / CONFIG_FILE, (json.dumps(document, indent=2) + "\n").encode())


def load_network(folder: Path) -> TextureNetwork:
    """Read what `save_network` wrote, ready for inference.

    Raises:
        FileNotFoundError: the folder holds no network.
        ValueError: it was written by another version of the network, or a file was changed.
    """
    document = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError(f"{CONFIG_FILE} holds no JSON object")  # noqa: TRY004 - a damaged file
    version = document.pop("version")
    if version != NETWORK_VERSION:
        raise ValueError(f"network version {version}, wanted {NETWORK_VERSION}: train it again")
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
    }
    try:
        network = TextureNetwork(NetworkConfig(**settings))
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{CONFIG_FILE} and {WEIGHTS_FILE} do not fit: {error}") from error
    return network.eval()
