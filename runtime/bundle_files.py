"""Names of the files of a bundle."""

MANIFEST_FILE = "bundle.json"
FP32_MODEL = "model.fp32.onnx"
# quantised for processors
INT8_MODEL = "model.int8.onnx"
# quantised for TensorRT, and with casts to half precision, which TensorRT does not make by itself any more
INT8_TENSORRT_MODEL = "model.int8.trt.onnx"
FP16_TENSORRT_MODEL = "model.fp16.trt.onnx"
GOLDEN_FILE = "golden.npz"
GATE_FILE = "gate.npz"
TRAINING_PATCHES_FILE = "training_patches.txt"
