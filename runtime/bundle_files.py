"""Names of the files of a bundle."""

MANIFEST_FILE = "bundle.json"
FP32_MODEL = "model.fp32.onnx"
GOLDEN_FILE = "golden.npz"
TRAINING_PATCHES_FILE = "training_patches.txt"
