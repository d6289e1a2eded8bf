"""The study's readout: what the images below each folder (patient, site, time point) come to together."""

from runtime.folder_report.folders import FolderFigures, Worst, fold, has_classes, highest_grade, worst_region
from runtime.folder_report.plot import to_svg
from runtime.folder_report.table import to_csv, to_lines

__all__ = [
    "FolderFigures",
    "Worst",
    "fold",
    "has_classes",
    "highest_grade",
    "to_csv",
    "to_lines",
    "to_svg",
    "worst_region",
]
