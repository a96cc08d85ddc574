"""The gate: a saved result, a baseline and tolerances => verdicts. docs/gate.md says what each verdict means.

It sees results alone: no images, no arrays, no torch, so that it answers at once wherever a merge is decided.
"""

from ganeval.gate.baseline import Saved, read_result, stamped
from ganeval.gate.comparability import COUNTS_WITHIN, Difference, differences
from ganeval.gate.rules import Verdict
from ganeval.gate.thresholds import Allowance, Thresholds, Tolerance, find_thresholds, read_thresholds
from ganeval.gate.verdicts import Check, Judgement, check, check_successor

__all__ = [
    "COUNTS_WITHIN",
    "Allowance",
    "Check",
    "Difference",
    "Judgement",
    "Saved",
    "Thresholds",
    "Tolerance",
    "Verdict",
    "check",
    "check_successor",
    "differences",
    "find_thresholds",
    "read_result",
    "read_thresholds",
    "stamped",
]
