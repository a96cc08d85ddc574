"""Coverage of the error bars of every metric, over many draws of simulated sets (simulated.py).

An interval describes repeated draws at its sample sizes. So the first figure is how often it contains the metric's mean
at these sizes, estimated as the mean over draws. The second is the bias: the distance from this mean to the value for
infinitely many images, for metrics that have such a limit. The limit is known where the distributions are the same;
elsewhere it is the value of two very large sets.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import RESULTS, save, say, table
from benchmarks.simulated import CASES, Setting, Simulated, drawn
from ganeval.linalg import chunks
from ganeval.metrics import METRICS
from ganeval.uncertainty import Estimate

SETTINGS = (
    Setting(100, 24, 30),
    Setting(300, 24, 60),
    Setting(1000, 24, 15),
    Setting(100, 400, 15),
)
# Images in each of the two sets that approximate the limit; and for metrics that need all their distances.
MANY, FEWER = 100_000, 10_000
OF_ALL_PAIRS = ("cmmd", "diversity", "rke")
# Cells with a coverage below this are bold.
POOR = 0.9
# Limits of metrics for two equal distributions; None where the value of large sets is used.
LIMITS: Mapping[str, float | None] = {
    "fid": 0.0,
    "sfid": 0.0,
    "fid_infinity": 0.0,
    "is": None,
    "kid": 0.0,
    "cmmd": 0.0,
    "mind": 0.0,
    "fwd": 0.0,
    "diversity": 1.0,
    "vendi": None,
    "rke": None,
    "fkea": None,
    "ken": 0.0,
    "rrke": 0.0,
    "mode_coverage": 1.0,
    "class_balance": 0.0,
    "intra_fid": 0.0,
    "head_accuracy": None,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric in one case and setting, over draws.

    deviation: the true standard deviation. error: the mean standard error. coverage: the share of intervals that
    contain the mean; of_limit: that contain the limit.
    """

    mean: float
    deviation: float
    error: float
    coverage: float
    limit: float | None
    of_limit: float | None

    @classmethod
    def of(cls, estimates: Sequence[Estimate], limit: float | None) -> "Cell":
        """From the estimates of all draws."""
        values = np.array([estimate.value for estimate in estimates])
        errors = [estimate.standard_error for estimate in estimates if estimate.standard_error is not None]
        mean = float(values.mean())
        return cls(
            mean=mean,
            deviation=float(values.std(ddof=1)),
            error=math.fsum(errors) / len(errors),
            coverage=_coverage(estimates, mean),
            limit=limit,
            of_limit=None if limit is None else _coverage(estimates, limit),
        )

    def __str__(self) -> str:
        held = f"**{self.coverage:.0%}**" if self.coverage < POOR else f"{self.coverage:.0%}"
        return f"{held}, {self.error / self.deviation:.2f}" if self.deviation > 0 else held


# By the words of `_key`.
Cells = Mapping[str, Cell]


def main(*, runs: int, metrics: Sequence[str] = ()) -> None:
    """Coverage and bias; takes some minutes on one core for three runs.

    metrics: measure these alone; the cells of others are those of the last run.
    """
    torch.set_num_threads(1)
    names = tuple(metrics) or tuple(METRICS)
    cells = _earlier(runs) if metrics else {}
    limits = {case: _limits(Simulated(SETTINGS[0].dimensions, case), case, names) for case in CASES}
    for setting in SETTINGS:
        for case in CASES:
            known = limits[case] if setting.dimensions == SETTINGS[0].dimensions else {}
            for name, estimates in drawn(setting, case, runs, names).items():
                # A metric may refuse sets this small.
                if estimates:
                    cells[_key(name, case, setting)] = Cell.of(estimates, known.get(name))
            say(f"  {setting}, {case}")
    parts = [*(_coverage_table(cells, setting, runs) for setting in SETTINGS), _bias_table(cells)]
    figures = {key: asdict(cell) for key, cell in cells.items()}
    save("calibration", {"runs": runs, "cells": figures}, "\n\n".join(parts))


def _key(name: str, case: str, setting: Setting) -> str:
    return f"{name}, {case}, {setting}"


def _earlier(runs: int) -> dict[str, Cell]:
    """The cells of the last run; RuntimeError if it had another number of draws."""
    kept = json.loads((RESULTS / "calibration.json").read_text())
    if kept["runs"] != runs:
        raise RuntimeError(f"The other metrics were measured with --runs {kept['runs']}, not {runs}.")
    return {key: Cell(**cell) for key, cell in kept["cells"].items()}


def _coverage(estimates: Sequence[Estimate], truth: float) -> float:
    """The share of intervals that contain a value, up to rounding."""
    held = [
        estimate.interval is not None and estimate.interval[0] - 1e-9 <= truth <= estimate.interval[1] + 1e-9
        for estimate in estimates
    ]
    return sum(held) / len(held)


def _limits(simulated: Simulated, case: str, names: Sequence[str]) -> dict[str, float]:
    known = {name: limit for name, limit in LIMITS.items() if limit is not None and case == "alike"}
    sides = simulated.draw(MANY)
    found = {"kid": _kid(*(side.features for side in sides))} if "kid" in names else {}
    # FID-infinity estimates FID's limit.
    wanted = {"fid" if name == "fid_infinity" else name for name in names}
    for name in (set(LIMITS) & wanted) - set(known) - {"kid"}:
        count = FEWER if name in OF_ALL_PAIRS else MANY
        found[name] = simulated.measure(name, [side.first(count) for side in sides])[name].value
    return {"fid_infinity": found.get("fid", 0.0)} | found | known


def _kid(real: Tensor, fake: Tensor) -> float:
    """KID of two distributions, by their moments of order 1 to 3: E (x.y)^k is the inner product of the k-th ones."""
    dimensions, gaps = real.shape[1], [torch.zeros(real.shape[1] ** order).double() for order in (1, 2, 3)]
    for side, sign in ((real, 1), (fake, -1)):
        for part in chunks(side):
            squares = (part[:, :, None] * part[:, None]).flatten(1)
            moments = part.sum(0), part.T @ part, squares.T @ part
            for gap, moment in zip(gaps, moments, strict=True):
                gap.add_(moment.flatten(), alpha=sign / len(side))
    powers = zip((3, 3, 1), gaps, (1, 2, 3), strict=True)
    return math.fsum(factor * float(gap @ gap) / dimensions**order for factor, gap, order in powers)


def _coverage_table(cells: Cells, setting: Setting, runs: int) -> str:
    lines = [[name, *(cells.get(_key(name, case, setting), "refused") for case in CASES)] for name in METRICS]
    header = [f"{setting}, {setting.draws * runs} draws", *CASES]
    return table(header, lines)


def _bias_table(cells: Cells) -> str:
    """The mean minus the limit, at growing numbers of images."""
    growing = [setting for setting in SETTINGS if setting.dimensions == SETTINGS[0].dimensions]
    lines = []
    for name in LIMITS:
        for case in CASES:
            found = [cells[_key(name, case, setting)] for setting in growing]
            limit, last = found[0].limit, found[-1]
            assert limit is not None
            assert last.of_limit is not None
            biases = [f"{cell.mean - limit:+.3g}" for cell in found]
            lines.append([name, case, f"{limit:.4g}", *biases, f"{last.deviation:.2g}", f"{last.of_limit:.0%}"])
    counts = [f"mean at {setting.count}, minus limit" for setting in growing]
    largest = growing[-1].count
    return table(["metric", "case", "limit", *counts, f"s.d. at {largest}", "intervals that contain the limit"], lines)
