"""Chooses what a report shows of an evaluation, while its images and features are still in memory."""

from ganeval.report_data.build import build_report_data
from ganeval.report_data.grids import most_discriminable_grid, neighbour_grid

__all__ = ["build_report_data", "most_discriminable_grid", "neighbour_grid"]
