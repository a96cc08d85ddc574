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
    """Identical images have an IS of 1 and no error."""
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
    """Without a seed, images are split in their order, as StyleGAN and ADM do."""
    data = logits(40, 12)
    scores = naive(data, 4, None)
    estimate = inception_score(data, splits=4, shuffle_seed=None, std_ddof=1)
    assert estimate.value == pytest.approx(np.mean(scores), rel=1e-12)
    assert estimate.details["std"] == pytest.approx(np.std(scores, ddof=1), rel=1e-10)


def test_std_is_left_out_where_it_is_undefined() -> None:
    """With one split the standard deviation over splits is omitted."""
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
    """Undefined input is an error with a reason."""
    with pytest.raises(MetricError, match=message):
        inception_score(data, splits=splits)


def of_classes(labels: Tensor, sure: float = 6.0, seed: int = 0) -> Tensor:
    """Logits of ten classes in which each image more or less confidently belongs to its own."""
    noise = torch.randn(len(labels), 10, generator=torch.Generator().manual_seed(seed))
    return noise + sure * torch.nn.functional.one_hot(labels, 10)


@pytest.mark.parametrize(("count", "splits"), [(1000, 10), (1003, 10), (100, 10), (400, 2), (80, 10)])
def test_images_sorted_by_class_have_a_note(count: int, splits: int) -> None:
    """Images sorted by class have a note with the score in random order and the remedy, which removes the note."""
    data = of_classes(torch.arange(count) * 10 // count)
    found = inception_score(data, splits=splits, shuffle_seed=None)
    shuffled = inception_score(data, splits=splits)
    told = [note for note in found.notes if "sorted by class" in note]
    assert len(told) == 1
    assert f"the score is {found.value:.4g}, but {shuffled.value:.4g} for the same images in random order" in told[0]
    assert "is.shuffle_seed=2020" in told[0]
    assert found.value < 0.8 * shuffled.value
    assert not any("sorted" in note for note in shuffled.notes)


def test_images_that_are_partly_sorted_have_a_note() -> None:
    """A note is given if a third of the images is in class order, and if only the last split is of one class."""
    mixed = torch.arange(1000) % 10
    third = torch.cat([torch.arange(330) * 10 // 330, mixed[:670]])
    last = torch.cat([mixed[:900], torch.zeros(100, dtype=torch.int64)])
    for labels in (third, last):
        (note,) = inception_score(of_classes(labels), shuffle_seed=None).notes
        assert "sorted by class" in note


@pytest.mark.parametrize(("count", "classes", "splits"), [(40, 2, 2), (100, 3, 2), (200, 10, 10), (60, 50, 20)])
def test_a_random_order_has_no_note(count: int, classes: int, splits: int) -> None:
    """None of 200 sets of unequal classes in random order has a note; nor has one split, or uninformative logits."""
    for seed in range(200):
        rng = torch.Generator().manual_seed(seed)
        labels = torch.multinomial(torch.rand(classes, generator=rng) ** 3, count, replacement=True, generator=rng)
        data = torch.randn(count, classes, generator=rng) + 10 * (seed % 2) * torch.eye(classes)[labels]
        found = inception_score(data, splits=splits, shuffle_seed=None)
        assert not any("sorted" in note for note in found.notes)
    ordered = of_classes(torch.arange(200) // 20)
    assert inception_score(ordered, splits=1, shuffle_seed=None).notes == ()
    assert inception_score(torch.zeros(200, 10), shuffle_seed=None).value == pytest.approx(1)


def adm(logits: Tensor, split_size: int) -> float:
    """ADM's evaluator, restated: consecutive blocks of a size, the last possibly smaller, weighted equally."""
    scores = []
    for part in torch.split(logits.double().softmax(1), split_size):
        scores.append(float((part * (part.log() - part.mean(0, keepdim=True).log())).sum(1).mean().exp()))
    return sum(scores) / len(scores)


def test_blocks_are_those_of_adm_where_they_divide_the_images() -> None:
    """As many splits as blocks, in file order, give ADM's score; a smaller last block gives another number."""
    data = logits(300, 12)
    ours = inception_score(data, splits=3, shuffle_seed=None).value
    assert ours == pytest.approx(adm(data, 100), rel=1e-12)
    assert inception_score(data[:260], splits=3, shuffle_seed=None).value != pytest.approx(
        adm(data[:260], 100), rel=1e-3
    )
