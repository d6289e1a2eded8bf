"""Microscope files become frames, and frames come to the model's scale."""

from runtime.images.depth import EIGHT_BIT, GreyDepth
from runtime.images.find import begins_as_image, find_images, looks_like_image, unlistable
from runtime.images.frame import Frame
from runtime.images.reader import file_sha256, read_frame, read_frames
from runtime.images.scale import LONGEST_SHOWN, FrameOnGrid, on_grid, picture, reduced_picture, to_model_scale
from runtime.images.vivascope import FolderKind, folder_kind

__all__ = [
    "EIGHT_BIT",
    "LONGEST_SHOWN",
    "FolderKind",
    "Frame",
    "FrameOnGrid",
    "GreyDepth",
    "begins_as_image",
    "file_sha256",
    "find_images",
    "folder_kind",
    "looks_like_image",
    "on_grid",
    "picture",
    "read_frame",
    "read_frames",
    "reduced_picture",
    "to_model_scale",
    "unlistable",
]
