"""Chooses what a report will show of a measurement, while its images and features are still at hand."""
