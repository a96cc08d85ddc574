"""The gate: checks a result against a baseline and tolerances. docs/gate.md says what each outcome means.

It reads results alone: no images, no arrays, no torch, so that it starts fast wherever a merge is decided.
"""

from ganeval.gate.baseline import SavedResult, baseline_document, read_result, write_baseline
from ganeval.gate.comparability import COUNTS_WITHIN, Mismatch, mismatches
from ganeval.gate.formats import to_annotations, to_document, to_junit, to_markdown, to_text
from ganeval.gate.history import History, HistoryEntry, read_history, sparkline
from ganeval.gate.outcomes import Check, MetricCheck, check, check_successor, update_baseline
from ganeval.gate.rules import Outcome
from ganeval.gate.thresholds import Allowance, Thresholds, Tolerance, find_thresholds, parse_tolerance, read_thresholds

__all__ = [
    "COUNTS_WITHIN",
    "Allowance",
    "Check",
    "History",
    "HistoryEntry",
    "MetricCheck",
    "Mismatch",
    "Outcome",
    "SavedResult",
    "Thresholds",
    "Tolerance",
    "baseline_document",
    "check",
    "check_successor",
    "find_thresholds",
    "mismatches",
    "parse_tolerance",
    "read_history",
    "read_result",
    "read_thresholds",
    "sparkline",
    "to_annotations",
    "to_document",
    "to_junit",
    "to_markdown",
    "to_text",
    "update_baseline",
    "write_baseline",
]
