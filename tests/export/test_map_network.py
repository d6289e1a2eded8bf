"""A deployed map holds in each cell what the patch below it would be given alone, tiled or not."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from runtime.dense_map import Geometry, dense_map
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine


@given(height=st.integers(48, 90), width=st.integers(48, 90), seed=st.integers(0, 99))
def test_a_cell_is_the_patch_below_it(deep, height, width, seed):
    frame = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, 1, height, width), np.uint8))
    patches = frame.unfold(2, 48, 8).unfold(3, 48, 8).reshape(-1, 1, 48, 48)
    whole, alone = ([torch.from_numpy(each) for each in deep.answers(images.numpy())] for images in (frame, patches))
    geometry = Geometry(48, 8, 0.5)
    assert whole[1].shape == (1, geometry.cells(height), geometry.cells(width))
    torch.testing.assert_close(whole[0][0].flatten(1).T, alone[0][:, :, 0, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(whole[1].flatten(), alone[1].flatten(), atol=1e-5, rtol=1e-5)


def test_tiles_agree_on_the_unfamiliarity(graphs):
    frame = np.random.default_rng(1).integers(0, 256, (150, 131), np.uint8)
    engine = OnnxRuntimeEngine(graphs[8], name="onnxruntime-fp32", precision="fp32", threads=1)
    whole, tiled = (dense_map(frame, engine, Geometry(32, 8, 0.5), tile_px=side) for side in (1000, 48))
    np.testing.assert_allclose(tiled.unfamiliarity, whole.unfamiliarity, rtol=1e-5, atol=1e-5)
