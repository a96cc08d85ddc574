"""Inception score: closed forms, a naive loop, and the standard error."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.inception_score import inception_score


def naive(logits: Tensor, splits: int, order: np.ndarray | None) -> list[float]:
    """Scores of the splits, one probability at a time."""
    rows = logits.double().numpy()
    rows = rows if order is None else rows[order]
    scores = []
    for i in range(splits):
        part = rows[i * len(rows) // splits : (i + 1) * len(rows) // splits]
        p = np.exp(part - part.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        q = p.mean(0)
        total = 0.0
        for row in p:
            total += sum(a * math.log(a / b) for a, b in zip(row, q, strict=True) if a > 0)
        scores.append(math.exp(total / len(p)))
    return scores


def logits(n: int, classes: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(n, classes, generator=torch.Generator().manual_seed(seed))


def test_score_of_certain_and_balanced_classes_is_their_number() -> None:
    """Images that are each surely of one of k equally frequent classes score k."""
    sure = torch.eye(7).repeat(10, 1) * 1000
    assert inception_score(sure, splits=1).value == pytest.approx(7, rel=1e-12)


def test_score_of_identical_images_is_one() -> None:
    """Images that all look alike say nothing: IS 1, and no error."""
    estimate = inception_score(logits(1, 10).expand(40, 10), splits=2)
    assert estimate.value == pytest.approx(1, rel=1e-12)
    assert estimate.standard_error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("count", [40, 47, 101])
def test_score_is_the_naive_one_split_by_split(count: int) -> None:
    """Mean and std over splits that leave out no image, in the seeded order."""
    data = logits(count, 12)
    scores = naive(data, 5, np.random.RandomState(2020).permutation(count))
    estimate = inception_score(data, splits=5)
    assert estimate.value == pytest.approx(np.mean(scores), rel=1e-12)
    assert estimate.details["std"] == pytest.approx(np.std(scores), rel=1e-10)


def test_score_without_a_seed_takes_images_as_they_come() -> None:
    """StyleGAN's and ADM's order."""
    data = logits(40, 12)
    scores = naive(data, 4, None)
    estimate = inception_score(data, splits=4, shuffle_seed=None, std_ddof=1)
    assert estimate.value == pytest.approx(np.mean(scores), rel=1e-12)
    assert estimate.details["std"] == pytest.approx(np.std(scores, ddof=1), rel=1e-10)


def test_std_is_left_out_where_it_is_undefined() -> None:
    """One split has no spread over n - 1, and no number stands in for it."""
    assert "std" not in inception_score(logits(40, 5), splits=1, std_ddof=1).details


@pytest.mark.parametrize("splits", [1, 4])
def test_standard_error_matches_the_spread_over_many_draws(splits: int) -> None:
    """The mean standard error is the standard deviation over draws, within the noise of 300 of them."""
    estimates = [inception_score(logits(400, 6, seed), splits=splits) for seed in range(300)]
    values = torch.tensor([estimate.value for estimate in estimates])
    errors = torch.tensor([estimate.standard_error for estimate in estimates])
    # A standard deviation from 300 draws is known to 1 / sqrt(600) = 4%; three of these.
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.13)


def test_vanishing_probabilities_do_no_harm() -> None:
    """Logits thousands apart give a finite score."""
    data = torch.zeros(20, 3)
    data[:, 0] = 1e4
    data[0] = torch.tensor([0.0, 1e4, 0.0])
    assert 1 <= inception_score(data, splits=1).value < 3


@pytest.mark.parametrize(
    ("data", "splits", "message"),
    [
        (torch.zeros(19, 5), 10, "at least 20 images"),
        (torch.zeros(40, 1), 10, "2 classes"),
        (torch.full((40, 5), math.nan), 10, "40 of 40"),
        (torch.zeros(40, 5), 0, "splits must be 1 or more, found 0"),
    ],
)
def test_undefined_input_is_refused_with_the_reason(data: Tensor, splits: int, message: str) -> None:
    """Nothing undefined becomes a number."""
    with pytest.raises(MetricError, match=message):
        inception_score(data, splits=splits)
