"""Chooses what a report shows of an evaluation, while its images and features are still in memory."""

from ganeval.report_data.build import build_report_data, select_report_data
from ganeval.report_data.grids import most_discriminable_grid, neighbour_grid
from ganeval.report_data.image_set import ImageSet, image_set_of

__all__ = [
    "ImageSet",
    "build_report_data",
    "image_set_of",
    "most_discriminable_grid",
    "neighbour_grid",
    "select_report_data",
]
