"""Mixtures in the plane: the definition of coverage, and that perceptrons learn points as they learn images."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_models import VARIANTS, build_model
from reference_models.data.toy import Mixture, coverage, covered_by, grid, learn, ring
from reference_models.recipes import Adam


@given(modes=st.integers(1, 30), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_a_mixtures_own_samples_cover_it(modes: int, seed: int) -> None:
    """Nearly 99% are within three deviations, and every mode is covered."""
    mixture = ring(modes, deviation=0.002)
    batch = mixture.sample(100 * modes, torch.Generator().manual_seed(seed))
    found = coverage(mixture, batch.images)
    assert found.covered == modes
    assert found.quality > 0.95


def test_a_label_is_the_mode_a_point_was_drawn_from() -> None:
    """A model of the mixture has as many classes as there are modes."""
    mixture = grid(5, deviation=0.001)
    batch = mixture.sample(500, torch.Generator().manual_seed(0))
    assert batch.labels is not None
    centres = torch.tensor(mixture.centres)[batch.labels]
    assert (batch.images.flatten(1) - centres).abs().max() < 0.01
    assert mixture.data.classes == 25


def test_what_collapsed_or_lies_between_modes_covers_little() -> None:
    """One point covers one mode; points in the middle cover none."""
    mixture = ring(8)
    single = torch.tensor([mixture.centres[3]]).repeat(100, 1)
    assert (coverage(mixture, single).covered, coverage(mixture, single).quality) == (1, 1.0)
    middle = torch.full((100, 2), 0.5)
    assert (coverage(mixture, middle).covered, coverage(mixture, middle).quality) == (0, 0.0)


def test_centres_lie_where_they_should() -> None:
    """Eight are on a circle of radius 0.4, twenty-five on a square of side 0.8, all in the unit square."""
    centres = torch.tensor(ring(8).centres)
    assert torch.allclose((centres - 0.5).norm(dim=1), torch.full((8,), 0.4))
    assert len(set(grid(5).centres)) == 25
    assert {round(x, 6) for x, _ in grid(5).centres} == {0.1, 0.3, 0.5, 0.7, 0.9}


@pytest.mark.parametrize("mixture", [ring(8), grid(5)], ids=["8", "25"])
@pytest.mark.parametrize("name", ["gan", "cgan", "bigan"])
def test_perceptrons_report_the_modes_they_cover(name: str, mixture: Mixture) -> None:
    """A few steps on points run as on images, and measuring leaves the model's mode alone."""
    rate = Adam(2e-4, (0.5, 0.999))
    recipe = replace(
        VARIANTS[name].recipe("quick"), batch=16, optimizers={"discriminator": rate, "generator": rate}, network="paper"
    )
    torch.manual_seed(0)
    model = build_model(recipe, mixture.data)
    logs: list[int] = []
    learn(model, mixture, steps=2, watch=lambda step, _: logs.append(step))
    found = covered_by(model, mixture, samples=100)
    assert logs == [0, 1]
    assert 0 <= found.covered <= len(found.counts) == len(mixture.centres)
    assert model.training
