"""Microscope files become frames, and frames come to the model's scale."""

from runtime.images.find import begins_as_image, find_images, looks_like_image, unlistable
from runtime.images.frame import Frame
from runtime.images.reader import file_sha256, read_frame
from runtime.images.scale import picture, to_model_scale

__all__ = [
    "Frame",
    "begins_as_image",
    "file_sha256",
    "find_images",
    "looks_like_image",
    "picture",
    "read_frame",
    "to_model_scale",
    "unlistable",
]
