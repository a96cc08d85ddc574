"""The calibration benchmark evaluates every metric, counts correctly, and the document shows its results."""

from pathlib import Path

import pytest
import torch

from benchmarks.calibration import Cell, _kid
from benchmarks.simulated import CASES, Setting, Simulated, drawn
from ganeval.metrics import METRICS
from ganeval.metrics.kid import kid
from ganeval.uncertainty import Estimate, normal_interval

ROOT = Path(__file__).parent.parent


def test_every_metric_is_measured() -> None:
    """One draw of a hundred images each gives every metric of the table an estimate with an error bar."""
    found = drawn(Setting(100, 24, 1), "near", 1)
    assert list(found) == list(METRICS)
    for name, estimates in found.items():
        assert [estimate.interval is None for estimate in estimates] == [False], name


def test_the_same_case_gives_the_same_draws() -> None:
    """Metrics added later get the same sets."""
    first, second = (Simulated(5, CASES[0]).draw(20) for _ in range(2))
    assert torch.equal(first[1].features, second[1].features)
    assert not torch.equal(first[0].features, first[1].features)


def test_a_cell_counts_intervals_that_hold_the_mean() -> None:
    """Coverage is 95% for errors as large as the spread, and 67% for errors half as large."""
    values = torch.randn(4000, generator=torch.Generator().manual_seed(0)).tolist()
    for error, coverage in ((1.0, 0.95), (0.5, 0.673)):
        cell = Cell.of([Estimate(value, error, normal_interval(value, error), "") for value in values], 3.0)
        assert cell.coverage == pytest.approx(coverage, abs=0.02)
        assert cell.error / cell.deviation == pytest.approx(error, rel=0.05)
        assert cell.of_limit is not None
        assert cell.of_limit < 0.2


def test_moments_give_the_kid_of_distributions() -> None:
    """KID of samples as distributions includes pairs of an image with itself."""
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(300, 4, generator=rng), torch.randn(200, 4, generator=rng) + 0.5
    own = [((side.double().square().sum(1) / 4 + 1) ** 3).mean() for side in (real, fake)]
    # The unbiased estimator leaves those pairs out.
    x, y = real.double(), fake.double()
    whole = [((a @ a.T / 4 + 1) ** 3).mean() for a in (x, y)]
    unbiased = [(all_ * n - one) / (n - 1) for all_, one, n in zip(whole, own, (300, 200), strict=True)]
    expected = _kid(real, fake) + float(sum(unbiased) - sum(whole))
    assert kid(real, fake).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["calibration", "calibration_photographs", "levels"])
def test_the_document_shows_what_was_measured(name: str) -> None:
    """The document's tables are the benchmark's."""
    document = (ROOT / "docs/calibration.md").read_text(encoding="utf-8")
    for table in (ROOT / f"benchmarks/results/{name}.md").read_text(encoding="utf-8").strip().split("\n\n"):
        assert table in document
