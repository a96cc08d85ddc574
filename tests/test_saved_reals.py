"""What two saved results of the same reals have in common through these: its summary, and the error of differences."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gate_helpers import evaluation, metric
from torch import Tensor

import ganeval
from ganeval.gate import check
from ganeval.gate.comparability import covariance
from ganeval.gate.thresholds import parse_thresholds
from ganeval.metrics import Metric
from ganeval.report.inputs import ReportInputs, Subject
from ganeval.report.tables import pairings
from ganeval.results import Evaluation, RealsPart
from ganeval.uncertainty import NUMBERS, Estimate, summary

SIGNIFICANT = parse_thresholds("[fid]\nsignificance = 0.01", name="t")


def drawn(top: int, seed: int, count: int = 400) -> Tensor:
    """Random images, uint8 [count, 3, 4, 4]."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(top, (count, 3, 4, 4), dtype=torch.uint8, generator=rng)


def parts(count: int, correlation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two random vectors with this cosine, of lengths 2 and 3."""
    rng = np.random.RandomState(seed)
    one, other = np.linalg.qr(rng.standard_normal((count, 2)))[0].T
    return 2 * one, 3 * (correlation * one + math.sqrt(1 - correlation**2) * other)


@pytest.mark.parametrize("count", [40, NUMBERS])
def test_as_many_reals_as_numbers_have_their_covariance(count: int) -> None:
    """It is that of the vectors up to the rounding to whole numbers, which is below 1% of the lengths."""
    for correlation in (-0.6, 0.0, 0.4, 0.95, 1.0):
        one, other = parts(count, correlation, 0)
        found = RealsPart(*summary(one)).covariance(RealsPart(*summary(other)))
        assert found == pytest.approx(6 * correlation, abs=0.06)
        assert all(abs(number) <= 127 for number in summary(one)[1])


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_covariance_of_many_reals_is_estimated_without_bias(correlation: float) -> None:
    """Over 200 pairs of 3,000 reals its mean is right, and its spread at most (1 - r^2) / 16 of the lengths.

    The spread of 200 values is known to 5%, and their mean to 7% of it; four times that is allowed.
    """
    found = []
    for seed in range(200):
        one, other = (RealsPart(*summary(part)) for part in parts(3000, correlation, seed))
        covariance = one.covariance(other)
        assert covariance is not None
        found.append(covariance / 6)
    spread = (1 - correlation**2) / math.sqrt(NUMBERS)
    assert np.mean(found) == pytest.approx(correlation, abs=0.28 * spread)
    assert 0.8 * spread < np.std(found) < 1.2 * spread


def test_parallel_parts_are_common_altogether() -> None:
    """Equal directions of many reals have the product of their lengths, exactly; opposite ones its negative."""
    one = np.random.RandomState(0).standard_cauchy(5000)
    part, thrice, opposite = (RealsPart(*summary(factor * one)) for factor in (1, 3, -1))
    assert part.covariance(thrice) == part.error * thrice.error
    assert part.covariance(opposite) == -part.error * opposite.error
    nothing = RealsPart(*summary(np.zeros(5000)))
    assert nothing.covariance(part) == nothing.covariance(nothing) == 0.0


def test_parts_of_different_kinds_have_no_covariance() -> None:
    """Vectors of halves and of reals are not comparable, and count as unknown."""
    assert RealsPart(1.0, (1, 2)).covariance(RealsPart(1.0, (1, 2, 3))) is None


@pytest.fixture(scope="module")
def measured() -> tuple[ganeval.Comparison, list[Evaluation]]:
    """Two generators compared against 400 reals, and each measured alone and read back from its file."""
    how: dict[str, Any] = {"extractor": "pixels:4", "cache": False}
    how["metrics"] = ["fid", "kid", "precision", "cmmd", "rke"]
    fakes = {"A": drawn(230, 1), "B": drawn(240, 2)}
    compared = ganeval.compare(drawn(256, 0), fakes, **how)
    alone = [ganeval.evaluate(drawn(256, 0), fake, **how) for fake in fakes.values()]
    return compared, [Evaluation.from_json(one.to_json()) for one in alone]


def test_saved_results_have_the_errors_of_a_comparison(
    measured: tuple[ganeval.Comparison, list[Evaluation]],
) -> None:
    """The page of two saved results has the differences that `compare` has: within 4%, for 256 numbers."""
    compared, (a, b) = measured
    (pairing,) = pairings(ReportInputs([Subject("A", a), Subject("B", b)]))
    assert [gap.metric for gap in pairing.differences] == [gap.metric for gap in compared.differences]
    for saved, live in zip(pairing.differences, compared.differences, strict=True):
        assert saved.value == live.value
        assert saved.paired
        assert saved.standard_error == pytest.approx(live.standard_error, rel=0.04)


def test_the_gate_has_the_errors_of_a_comparison(measured: tuple[ganeval.Comparison, list[Evaluation]]) -> None:
    """The noise of a change is below that of independent measurements, and says so no more."""
    compared, (a, b) = measured
    found = check(b, a, None)
    assert found.notes == ()
    for one, live in zip(found.metrics, compared.differences, strict=True):
        assert one.change is not None
        assert one.change.noise == pytest.approx(live.standard_error, rel=0.04)
    fid = found.metrics[0]
    assert fid.was is not None
    assert fid.now is not None
    assert fid.change is not None
    assert fid.was.standard_error is not None
    assert fid.now.standard_error is not None
    assert fid.change.noise is not None
    assert fid.change.noise < 0.95 * math.hypot(fid.was.standard_error, fid.now.standard_error)


def test_what_is_common_decides_a_change() -> None:
    """10 and 11 with errors of 0.3, of which the reals have 0.25, differ; without that part they may be equal."""
    was, now = (evaluation({"fid": metric(value, reals=RealsPart(0.25, (3, 4)))}) for value in (10.0, 10.9))
    assert covariance("fid", was, now) == 0.0625
    assert check(now, was, SIGNIFICANT).outcome == "regressed"
    unknown = replace(now, metrics={"fid": metric(10.9)})
    found = check(unknown, was, SIGNIFICANT)
    assert found.outcome == "pass"
    assert "same real images" in found.notes[0]


def test_results_of_other_reals_have_nothing_known_in_common() -> None:
    """The covariance is unknown for reals of another content, of none, and of another number; 0 where none are used."""
    one = evaluation({"fid": metric(reals=RealsPart(0.25, (3, 4)))})
    real = one.provenance["real"]
    for digest in ("b" * 64, None):
        other = replace(one, provenance={**one.provenance, "real": {**real, "digest": digest}})
        assert covariance("fid", one, other) is None
    fewer = evaluation({"fid": metric(reals=RealsPart(0.25, (3, 4)), n_real=995)})
    assert covariance("fid", one, fewer) is None
    assert covariance("fid", one, evaluation()) is None
    alone = evaluation({"fid": metric(n_real=None)}, real=None)
    assert covariance("fid", alone, alone) == 0.0


def test_a_metric_without_reals_owes_them_no_part_of_its_error() -> None:
    """Whatever it returns: results of the same reals do not have it in common."""

    def spread(fake: Tensor) -> Estimate:
        return Estimate(1.0, 2.0, (0.0, 3.0), "given", shared=np.ones(len(fake)))

    def gap(real: Tensor, fake: Tensor) -> Estimate:
        return spread(fake)

    rows = [Metric("of fakes", spread, None, "features", "lower", ""), gap]
    found = ganeval.evaluate(drawn(256, 0, 20), drawn(256, 1, 20), metrics=rows, extractor="pixels:4", cache=False)
    assert found["spread"].reals is None
    assert found["gap"].reals == RealsPart(*summary(np.ones(20)))
