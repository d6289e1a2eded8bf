"""TensorRT on an NVIDIA GPU, through the API that `tensorrt` and `tensorrt_rtx` share. docs/gpu.md tells how.

Importing this imports neither of them, nor CUDA: what is missing is said when an engine is opened.
"""

from runtime.engines.tensorrt.engine import TensorRTEngine, open_tensorrt

__all__ = ["TensorRTEngine", "open_tensorrt"]
