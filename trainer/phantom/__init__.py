"""Synthetic in vivo reflectance confocal skin whose inflammation is known.

Everything here is synthetic. It stands in for images that cannot be shared and says so in every folder it writes.
"""

from .files import GENERATOR_VERSION, write_phantom
from .paint import paint_frame, paint_patch
from .raters import grade_distribution, oracle_accuracy, oracle_agreement
from .subject import Subject, draw_subjects

__all__ = [
    "GENERATOR_VERSION",
    "Subject",
    "draw_subjects",
    "grade_distribution",
    "oracle_accuracy",
    "oracle_agreement",
    "paint_frame",
    "paint_patch",
    "write_phantom",
]
