"""Faults of a generator that its scores do not show: a wrong declared range, and repeated images."""

from collections.abc import Callable

import pytest
import torch
from core_helpers import random_images
from torch import Tensor

from ganeval.duplicates import pixel_digests
from ganeval.evaluation import evaluate
from ganeval.sources.base import batch_of
from ganeval.sources.repeats import repeats_doubt, repeats_of
from ganeval.streaming import Evaluator

DIGITS = {"extractor": "digits", "cache": False}


class Given:
    """Draws by a function of the count and the rng."""

    def __init__(self, draw: Callable[[int, torch.Generator], Tensor], value_range: str) -> None:
        self.draw, self.value_range = draw, value_range

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        return self.draw(n, rng)


def noise(n: int, rng: torch.Generator) -> Tensor:
    """Uniform on [0, 1]."""
    return torch.rand(n, 1, 8, 8, generator=rng)


def warnings_of(generator: Given, count: int = 64) -> list[str]:
    """The warnings of an evaluation, without those about the number of images."""
    return list(evaluate("digits:test", generator, num_samples=count, **DIGITS).warnings)


def test_images_on_0_1_declared_as_minus_1_1_are_told() -> None:
    """The number is computed as declared, and the warning has the share of values that contradict it."""
    (warning,) = warnings_of(Given(noise, "[-1,1]"))
    assert "Given was declared to be on [-1,1], and 0.00% of its 4,096 values lie in its lower half" in warning
    assert warnings_of(Given(noise, "[0,1]")) == []
    assert warnings_of(Given(lambda n, rng: noise(n, rng) * 2 - 1, "[-1,1]")) == []


def test_a_generator_that_ignores_its_rng_is_told() -> None:
    """A repeated batch of 32 is reported with its share, and so is a collapsed generator."""
    fixed = torch.rand(32, 1, 8, 8)
    (warning,) = warnings_of(Given(lambda n, rng: fixed[:n], "[0,1]"))
    assert "repeats itself: 32 of its 64 images (50%) equal an earlier one exactly ([32] is [0])" in warning
    (warning,) = warnings_of(Given(lambda n, rng: fixed[:1].expand(n, -1, -1, -1), "[0,1]"))
    assert "63 of its 64 images (98%)" in warning


def test_the_evaluator_tells_the_same() -> None:
    """Repeated fakes are reported until a reset, and repeated reals are not."""
    evaluator = Evaluator(extractor="digits", value_range="[0,1]")
    images = torch.rand(40, 1, 8, 8)
    evaluator.update(images, real=True)
    evaluator.update(images, real=True)
    evaluator.update(images, real=False)
    assert not any("repeats" in warning for warning in evaluator.compute().warnings)
    evaluator.update(images, real=False)
    assert any("fake repeats itself: 40 of its 80" in warning for warning in evaluator.compute().warnings)
    evaluator.reset(real=False)
    evaluator.update(images, real=False)
    assert not any("repeats" in warning for warning in evaluator.compute().warnings)


def test_repeats_are_exact() -> None:
    """One byte of difference, or another shape, makes an image a new one; a few repeats are not reported."""
    images = random_images(20)
    near = images.clone()
    near[:, 0, 0, 0] ^= 1
    turned = images.permute(0, 1, 3, 2)[:, :, :4]
    drawn = [*images, *near, images[5], *turned]
    assert repeats_of(pixel_digests(batch_of(drawn))) == [(40, 5)]
    assert repeats_doubt([(100, 5)], 101) is None
    assert repeats_doubt([(100, 5), (101, 6)], 102) is not None


def test_repeats_do_not_hang_on_the_batch() -> None:
    """The same images have the same repeats for any batch size."""
    images = torch.cat([random_images(10), random_images(6)])
    whole = repeats_of(pixel_digests(batch_of(list(images))))
    assert len(whole) == 6
    for size in (1, 3, 16):
        parts = [pixel_digests(batch_of(list(images[start : start + size]))) for start in range(0, 16, size)]
        assert repeats_of(torch.cat(parts)) == whole


@pytest.mark.parametrize("count", [2, 7])
def test_few_images_are_no_reason_to_doubt(count: int) -> None:
    """Different images of the declared range have no warning, for small sets, too."""
    assert warnings_of(Given(noise, "[0,1]"), count) == []
