"""Chooses what a report shows of an evaluation, while its images, features or sequences are still in memory."""

from ganeval.report_data.build import build_report_data
from ganeval.report_data.examples import examples_data, texts_data
from ganeval.report_data.grids import most_discriminable_grid, neighbour_grid
from ganeval.report_data.inputs import report_inputs
from ganeval.report_data.named import DiscriminableImages, NearestImages, NearReal, ScoredImage

__all__ = [
    "DiscriminableImages",
    "NearReal",
    "NearestImages",
    "ScoredImage",
    "build_report_data",
    "examples_data",
    "most_discriminable_grid",
    "neighbour_grid",
    "report_inputs",
    "texts_data",
]
