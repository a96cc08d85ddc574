"""Errors of classifiers over draws of labels."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import reference_models
from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model
from reference_models.batches import Data
from reference_models.data.images import images_of
from reference_models.models.ssgan import SSGAN
from reference_models.scoring.classification import error_rate, mistakes
from reference_models.scoring.label_draws import LabelDraws, label_spreading, over_draws

FEW = {"steps": 3, "batch": 8, "settings.width": 8}


def test_mean_deviation_and_interval_are_students() -> None:
    """For 0.1, 0.2 and 0.3: mean 0.2, deviation 0.1, and 4.303 standard errors of the mean on each side."""
    found = over_draws(np.array([0.1, 0.2, 0.3]))
    assert found.mean == pytest.approx(0.2)
    assert found.deviation == pytest.approx(0.1)
    reach = 4.302653 * 0.1 / math.sqrt(3)
    assert found.interval == pytest.approx((0.2 - reach, 0.2 + reach), rel=1e-6)


def test_differences_are_paired_by_the_draw() -> None:
    """Errors that vary from draw to draw, and differ by a constant, differ by it exactly."""
    draws = LabelDraws(20, 500, {"ssgan": (0.1, 0.3, 0.2), "labels alone": (0.2, 0.4, 0.3)})
    found = draws.over_draws("ssgan", minus="labels alone")
    assert (found.mean, found.deviation) == pytest.approx((-0.1, 0.0), abs=1e-12)
    assert draws.over_draws("ssgan").deviation == pytest.approx(0.1)


def test_methods_share_draws_and_repeat_themselves() -> None:
    """The same call gives the same errors; each method has one per draw, and draws differ."""
    first, second = (reference_models.semi_supervised_error(20, draws=2, chosen=FEW, device="cpu") for _ in range(2))
    assert first == second
    assert list(first.errors) == ["ssgan", "labels alone", "label spreading"]
    assert {len(errors) for errors in first.errors.values()} == {2}
    assert first.errors["label spreading"][0] != first.errors["label spreading"][1]
    assert max(first.errors["label spreading"]) < 0.4


def test_impossible_draws_are_refused() -> None:
    """One draw, fewer labels than classes, and data without held-out images are errors."""
    with pytest.raises(UsageError, match="draws is 1; it must be 2 or more"):
        reference_models.semi_supervised_error(20, draws=1, chosen=FEW)
    with pytest.raises(UsageError, match="labelled is 5, and there are 10 classes"):
        reference_models.semi_supervised_error(5, draws=2, chosen=FEW)
    with pytest.raises(UsageError, match="no held-out images for digits:test"):
        reference_models.semi_supervised_error(20, draws=2, data="digits:test", chosen=FEW)


def test_label_spreading_follows_the_clusters() -> None:
    """Two clusters with one label each are told apart."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 0.1, (30, 2)), rng.normal(3, 0.1, (30, 2))])
    labels = np.full(60, -1)
    labels[[0, 30]] = 0, 1
    assert label_spreading(points, labels, np.array([[0.0, 0.0], [3.0, 3.0]])).tolist() == [0, 1]


def test_an_error_is_a_binomial_share() -> None:
    """One in four is 0.25, with the standard error sqrt(p (1 - p) / n)."""
    assert error_rate(torch.tensor([True, False, False, False])) == pytest.approx((0.25, math.sqrt(0.25 * 0.75 / 4)))


def test_mistakes_are_counted_outside_training_in_the_models_range() -> None:
    """Images arrive in [0, 1] in evaluation mode, and the model is left in training mode."""
    recipe = replace(VARIANTS["ssgan"].recipe("quick"), batch=4)
    model = build_model(recipe, Data(1, 8, 3))
    assert isinstance(model, SSGAN)
    seen: list[tuple[float, bool]] = []

    def classify(images: Tensor) -> Tensor:
        seen.append((float(images.max()), model.training))
        return torch.eye(3)[torch.zeros(len(images), dtype=torch.int64)]

    model.classify = classify  # type: ignore[method-assign]
    images = images_of(torch.full((6, 1, 8, 8), 255, dtype=torch.uint8), torch.arange(6) % 3)
    assert mistakes(model, images).tolist() == [False, True, True] * 2
    assert seen == [(1.0, False)]
    assert model.training
    with pytest.raises(UsageError, match="these have none"):
        mistakes(model, images_of(images.pixels))
    other = build_model(VARIANTS["gan"].recipe("quick"), Data(1, 8))
    with pytest.raises(UsageError, match="gan does not classify images"):
        mistakes(other, images)
