"""The study's readout: what the images below each folder (patient, site, time point) come to together."""

from runtime.folder_report.folders import FolderFigures, Worst, fold, grade_numbers, has_classes, worst_region
from runtime.folder_report.plot import to_svg
from runtime.folder_report.table import to_csv, to_lines

__all__ = [
    "FolderFigures",
    "Worst",
    "fold",
    "grade_numbers",
    "has_classes",
    "to_csv",
    "to_lines",
    "to_svg",
    "worst_region",
]
