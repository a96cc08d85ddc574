"""How often the gate is red for FIDs of simulated features: without a true change, and with one of known size.

The baseline and the result are draws from a generator that clearly differs from the reals; the result's generator is
then moved step by step. Two cases: both use the same reals, as is usual, or each has its own reals, which is what the
rule assumes.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from benchmarks.harness import save, say, table
from ganeval.gate import Thresholds, Tolerance, check
from ganeval.metrics.fid import fid
from ganeval.results import Evaluation, MetricResult

DIMENSIONS = 32
IMAGES_A_DIMENSION = 15
DRAWS_A_RUN = 700
SIGNIFICANCES = (0.01, 0.02, 0.05)
MOVES = (0.0, 0.05, 0.075, 0.11)


def main(*, runs: int) -> None:
    """The share of red checks for each kind of reals, move and significance."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    mix = torch.randn(DIMENSIONS, DIMENSIONS, generator=rng) / torch.arange(1, DIMENSIONS + 1) ** 0.7
    other = 1.3 * mix + 0.5 * mix.std() * torch.randn(DIMENSIONS, DIMENSIONS, generator=rng)
    rows, figures = [], {}
    for shared in (False, True):
        for move in MOVES:
            name = f"{'the same' if shared else 'its own'} reals, moved by {move:g}"
            pairs = [_pair(mix, other, move, shared=shared, rng=rng) for _ in range(DRAWS_A_RUN * runs)]
            size = _mean(now.value - was.value for was, now in pairs) / _mean(_noise(was, now) for was, now in pairs)
            red = {significance: _mean(_red(*pair, significance) for pair in pairs) for significance in SIGNIFICANCES}
            say(f"  {name}: {red}")
            shares = [f"{share:.1%}" for share in red.values()]
            rows.append(["the same" if shared else "its own", f"{size:.1f}", *shares])
            figures[name] = {"change_over_noise": size, "red": {f"{key:g}": share for key, share in red.items()}}
    header = ["reals", "true change / s", *(f"red at {significance:g}" for significance in SIGNIFICANCES)]
    save("gate", figures, table(header, rows))


def _pair(
    mix: Tensor, other: Tensor, move: float, *, shared: bool, rng: torch.Generator
) -> tuple[MetricResult, MetricResult]:
    """A baseline, and a result of the moved generator."""
    reals = _draw(mix, 0.0, rng)
    others = reals if shared else _draw(mix, 0.0, rng)
    return _measured(reals, _draw(other, 0.0, rng)), _measured(others, _draw(other, move, rng))


def _draw(mix: Tensor, move: float, rng: torch.Generator) -> Tensor:
    count = DIMENSIONS * IMAGES_A_DIMENSION
    return (torch.randn(count, DIMENSIONS, generator=rng) @ (mix.T * (1 + move)) + 0.2).relu()


def _measured(real: Tensor, fake: Tensor) -> MetricResult:
    found = fid(real, fake)
    return MetricResult(found.value, found.standard_error, found.interval, "lower", len(real), len(fake), found.method)


def _noise(was: MetricResult, now: MetricResult) -> float:
    return math.hypot(was.standard_error or 0.0, now.standard_error or 0.0)


def _red(was: MetricResult, now: MetricResult, significance: float) -> bool:
    about = dict.fromkeys(("extractor", "weights_sha256", "preprocessing", "protocol", "precision"), "simulated")
    baseline, result = (
        Evaluation({"fid": one}, {**about, "versions": {"ganeval": "here"}}, comparable=True) for one in (was, now)
    )
    tolerance = Thresholds({"fid": Tolerance(significance=significance)}, "the benchmark", {})
    return check(result, baseline, tolerance).outcome == "regressed"


def _mean(values: Iterable[float]) -> float:
    found = [float(value) for value in values]
    return math.fsum(found) / len(found)
