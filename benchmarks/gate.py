"""How often the gate is red for FIDs of simulated features: without a true change, and with one of known size.

The baseline and the result are draws from a generator that clearly differs from the reals; the result's generator is
then moved step by step. Two cases: both use the same reals, as is usual, and know what these contribute to their error;
or each has its own reals.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.harness import save, say, table
from ganeval.gate import MetricCheck, Thresholds, Tolerance, check
from ganeval.metrics.fid import fid
from ganeval.results import Evaluation, MetricResult, RealsPart
from ganeval.uncertainty import summary

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
            checks = {significance: [_check(*pair, significance) for pair in pairs] for significance in SIGNIFICANCES}
            changes = [found.change for found in checks[SIGNIFICANCES[0]] if found.change is not None]
            size = _mean(one.worse for one in changes) / _mean(one.noise or 0.0 for one in changes)
            red = {level: _mean(found.outcome == "regressed" for found in checks[level]) for level in SIGNIFICANCES}
            say(f"  {name}: {red}")
            shares = [f"{share:.1%}" for share in red.values()]
            rows.append(["the same" if shared else "its own", f"{size:.1f}", *shares])
            figures[name] = {"change_over_noise": size, "red": {f"{key:g}": share for key, share in red.items()}}
    header = ["reals", "true change / s", *(f"red at {significance:g}" for significance in SIGNIFICANCES)]
    save("gate", figures, table(header, rows))


def _pair(
    mix: Tensor, other: Tensor, move: float, *, shared: bool, rng: torch.Generator
) -> tuple[Evaluation, Evaluation]:
    """A baseline, and a result of the moved generator."""
    reals = _draw(mix, 0.0, rng)
    others = reals if shared else _draw(mix, 0.0, rng)
    return _measured(reals, _draw(other, 0.0, rng)), _measured(others, _draw(other, move, rng))


def _draw(mix: Tensor, move: float, rng: torch.Generator) -> Tensor:
    count = DIMENSIONS * IMAGES_A_DIMENSION
    return (torch.randn(count, DIMENSIONS, generator=rng) @ (mix.T * (1 + move)) + 0.2).relu()


def _measured(real: Tensor, fake: Tensor) -> Evaluation:
    found = fid(real, fake)
    assert found.shared is not None
    result = MetricResult(
        found.value,
        found.standard_error,
        found.interval,
        "lower",
        len(real),
        len(fake),
        found.method,
        reals=RealsPart(*summary(found.shared)),
    )
    about = dict.fromkeys(("extractor", "weights_sha256", "preprocessing", "protocol", "precision"), "simulated")
    # The digest says which results have the same reals.
    reals = {"count": len(real), "digest": hashlib.sha256(real.numpy().tobytes()).hexdigest()}
    return Evaluation({"fid": result}, {**about, "versions": {"ganeval": "here"}, "real": reals}, comparable=True)


def _check(was: Evaluation, now: Evaluation, significance: float) -> MetricCheck:
    # Different reals are incomparable by their digests; here the noise of the draw is part of the test.
    if was.provenance["real"] != now.provenance["real"]:
        was, now = (replace(one, provenance={**one.provenance, "real": None}) for one in (was, now))
    tolerance = Thresholds({"fid": Tolerance(significance=significance)}, "the benchmark", {})
    return check(now, was, tolerance).metrics[0]


def _mean(values: Iterable[float]) -> float:
    found = [float(value) for value in values]
    return math.fsum(found) / len(found)
