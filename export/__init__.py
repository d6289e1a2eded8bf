"""A trained run becomes a bundle for the microscope's PC."""

import runtime  # noqa: F401 - first: it keeps onnxruntime from reporting to its maker
