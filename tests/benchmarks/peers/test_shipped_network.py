"""The model that ships, in torch, answers as its file does."""

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.peers.shipped_network import shipped_network
from runtime.bundle_files import FP32_MODEL
from runtime.model import Model


def test_torch_and_onnxruntime_agree(skin: npt.NDArray[np.uint8], model: Model) -> None:
    manifest = model.bundle.manifest
    network = shipped_network(model.bundle.read_file(FP32_MODEL), manifest.grades, manifest.stride_px)
    images = np.stack([skin[:160, :150], skin[30:190, 7:157]])[:, None]
    with torch.inference_mode():
        probabilities, unfamiliarity = network(torch.from_numpy(images))
    found = model.engine.run(images)
    np.testing.assert_allclose(probabilities.numpy(), found.probabilities, rtol=0, atol=1e-5)
    np.testing.assert_allclose(unfamiliarity.numpy(), found.unfamiliarity, rtol=1e-4)
