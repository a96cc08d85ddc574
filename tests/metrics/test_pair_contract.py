"""The contract of every metric of image pairs of the table, to which a new row is held by being listed."""

import math
from collections.abc import Callable

import pytest
import torch
from surroundings import SURROUNDINGS
from torch import Tensor

from ganeval import testing
from ganeval.errors import MetricError
from ganeval.metrics import PAIR_METRICS, PairMetric

every_metric = pytest.mark.parametrize("name", PAIR_METRICS)


@every_metric
def test_every_metric_of_pairs_keeps_to_what_is_checked_of_others(name: str) -> None:
    """Each passes `ganeval.testing.check_pair_metric`; one of a network or a segmenter does with one that stands in."""
    testing.check_pair_metric(name)


@every_metric
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_the_surroundings_of_a_training_loop_change_no_value(name: str, around: str) -> None:
    """Autocasting, another default dtype or device, and inference mode."""
    images, row = testing.image_pairs(2), PAIR_METRICS[name]
    expected = testing.paired(name, row, *images)
    with SURROUNDINGS[around]():
        found = testing.paired(name, row, *images)
    assert torch.equal(found, expected)


@every_metric
def test_what_are_no_pairs_is_refused(name: str) -> None:
    """No pairs, reals of another number or size than fakes, and images without pixels."""
    row, (real, fake) = PAIR_METRICS[name], testing.image_pairs(3)
    for one, other in (
        (real[:0], fake[:0]),
        (real[:2], fake),
        (real[:1], fake),
        (real[..., :-1], fake),
        (real[..., :1], fake),
        (real[..., :0], fake[..., :0]),
    ):
        with pytest.raises(MetricError, match=r"found .*\.$"):
            testing.paired(name, row, one, other)


def dark(real: Tensor, fake: Tensor) -> Tensor:
    """The difference of brightness, which breaks no promise."""
    return (real.double().mean((1, 2, 3)) - fake.double().mean((1, 2, 3))).abs()


def of_all(real: Tensor, fake: Tensor) -> Tensor:
    """One value for all pairs."""
    return dark(real, fake).mean()


def of_neighbours(real: Tensor, fake: Tensor) -> Tensor:
    """Values that other pairs move."""
    return dark(real, fake) + fake.double().mean()


def of_float32(real: Tensor, fake: Tensor) -> Tensor:
    """Values with a third of their digits."""
    return dark(real, fake).float()


def listed(real: Tensor, fake: Tensor) -> list[float]:
    """Values that are no tensor."""
    return dark(real, fake).tolist()


def noisy(real: Tensor, fake: Tensor) -> Tensor:
    """Values with chance in them."""
    return dark(real, fake) * (1 + 1e-6 * torch.rand(len(real), dtype=torch.float64))


def spoils(real: Tensor, fake: Tensor) -> Tensor:
    """Values of images that are inverted in place."""
    return dark(real.sub_(255).neg_(), fake.sub_(255).neg_())


def alike(real: Tensor, fake: Tensor) -> Tensor:
    """A likeness, of which higher values are better, without its direction."""
    return (real == fake).double().mean((1, 2, 3))


def unbounded(real: Tensor, fake: Tensor) -> Tensor:
    """Infinite for equal images, without a word about it."""
    return dark(real, fake).log()


def undefined(real: Tensor, fake: Tensor) -> Tensor:
    """NaN where both images are black."""
    return dark(real, fake) / (real.double() + fake.double()).mean((1, 2, 3))


def fails(real: Tensor, fake: Tensor) -> Tensor:
    """An error of Python's where images are small."""
    return dark(real, fake) * (1 / (real.shape[2] // 4))


def positional(real: Tensor, fake: Tensor, scale: float = 1.0) -> Tensor:
    """An option that is not named."""
    return dark(real, fake) * scale


class Seen:
    """The difference of brightness that a network sees."""

    def __call__(self, real: Tensor, fake: Tensor, *, network: object = "alex") -> Tensor:
        """Values of pairs."""
        assert not isinstance(network, str)
        return dark(real, fake)


def counting() -> Callable[[Tensor, Tensor], Tensor]:
    """A metric that remembers how often it was called."""
    calls: list[int] = []

    def counted(real: Tensor, fake: Tensor) -> Tensor:
        calls.append(len(real))
        return dark(real, fake) + 1e-9 * len(calls)

    return counted


BROKEN: tuple[tuple[object, str], ...] = (
    (positional, "positional: the option scale is not keyword-only"),
    (of_all, r"of_all returns torch.float64 \[\] for 4 pairs; it must be a value of each"),
    (of_neighbours, "of_neighbours of pairs alone differs by up to"),
    (of_float32, "of_float32 returns torch.float32"),
    (listed, "listed returns list, not a tensor"),
    (noisy, "noisy draws from a global random state"),
    (counting(), "counted gives other values for the same pairs the second time"),
    (spoils, "spoils changes the images that it is given"),
    (alike, "alike is 1.0 for equal images and .* for others, and its direction is 'lower'"),
    (unbounded, "unbounded returns infinity, and its row does not say what to do then"),
    (undefined, "undefined returns NaN; it must raise a MetricError"),
    (fails, "fails refuses without a sentence"),
    (PairMetric("Dark", dark, "closer", "", ideal=1.0), "dark of equal images is 0.0, not 1.0"),
    (PairMetric("Dark", dark, "closer", ""), "dark: only 'closer' has an ideal, and needs one"),
    (PairMetric("Dark", dark, "lower", "", pool=lambda _: math.nan), "The value is nan"),
    (PairMetric("", dark, "lower", ""), "dark has no title"),
)


@pytest.mark.parametrize(("metric", "sentence"), BROKEN)
def test_a_broken_metric_of_pairs_is_found_out(metric: object, sentence: str) -> None:
    """Each breaks one promise, which the error names."""
    with pytest.raises(AssertionError, match=sentence):
        testing.check_pair_metric(metric)  # type: ignore[arg-type]


def test_a_metric_of_pairs_of_ones_own_is_held_to_the_same() -> None:
    """A function, an object with a network, and rows: of an ideal, of infinite values, and of a pooled statistic."""
    testing.check_pair_metric(dark)
    testing.check_pair_metric(type("seen", (Seen,), {})())
    testing.check_pair_metric(PairMetric("Dark", dark, "closer", "", ideal=0.0))
    testing.check_pair_metric(PairMetric("Dark", unbounded, "lower", "", infinite="Leave equal images out."))
    testing.check_pair_metric(PairMetric("Dark", dark, "lower", "", pool=lambda total: math.sqrt(float(total))))
