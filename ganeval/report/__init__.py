"""Saved results as one self-contained HTML file, made from results and their report data: no images, no torch."""

from ganeval.report.data import ReportData, read_report_data, report_data_path, write_report_data
from ganeval.report.history_plot import plot_history
from ganeval.report.inputs import (
    ReportInputs,
    Subject,
    check_shown,
    read_evaluation,
    read_floor,
    read_inputs,
    save_report_data,
)
from ganeval.report.page import check_installed, render, write_page
from ganeval.report.training import TrainingLog, read_run

__all__ = [
    "ReportData",
    "ReportInputs",
    "Subject",
    "TrainingLog",
    "check_installed",
    "check_shown",
    "plot_history",
    "read_evaluation",
    "read_floor",
    "read_inputs",
    "read_report_data",
    "read_run",
    "render",
    "report_data_path",
    "save_report_data",
    "write_page",
    "write_report_data",
]
