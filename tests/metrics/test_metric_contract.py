"""The contract of every metric of the table, to which a new row is held by being listed.

Sets are drawn by the needs that a row declares, so no metric is named here, except those whose value depends on the
set alone and must change by rounding only when the images are reordered.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from surroundings import SURROUNDINGS
from torch import Tensor

from ganeval import testing
from ganeval.errors import MetricError
from ganeval.evaluation import evaluate
from ganeval.metrics import METRICS, Metric
from ganeval.metrics.base import defaults
from ganeval.sources import Features
from ganeval.testing import WIDTH
from ganeval.uncertainty import Estimate

# Options under which a value does not depend on the order of the images. The others draw subsets by position.
WITHOUT_ORDER: dict[str, dict[str, object]] = {"fid": {}, "sfid": {}, "kid": {}, "is": {"splits": 1}}
# What is true of a metric is true of it after fewer steps of training, and of fewer pairs.
SHORT: dict[str, dict[str, object]] = {"c2st_mlp": {"steps": 15}, "ms_ssim_diversity": {"pairs": 20}}
# Metrics for which a set far from the reals is a good one.
ABOUT_COPIES = frozenset(("authenticity", "fld_gap"))
every_metric = pytest.mark.parametrize("name", METRICS)
with_reals = pytest.mark.parametrize("name", [name for name, row in METRICS.items() if row.real is not None])


def short(name: str) -> Metric:
    """The row of a metric, with the options of SHORT."""
    row = METRICS[name]
    return replace(row, compute=partial(row.compute, **SHORT[name])) if name in SHORT else row


def drawn(name: str, count: int, seed: int, *, shift: float = 0.0) -> Tensor:
    """A random set of the output that the metric uses."""
    return testing.drawn(METRICS[name], count, seed, shift=shift)


def sides(name: str, n: int = 80, m: int = 60, *, shift: float = 0.5) -> list[Tensor]:
    """The metric's inputs: reals, if it uses them, and fakes."""
    return testing.sides(METRICS[name], n, m, shift=shift)


def computed(name: str, arrays: list[Tensor], **options: object) -> Estimate:
    """The metric's estimate, alone or out of its family's; with labels where it takes them."""
    return testing.computed(name, short(name), arrays, **options)


CHECKS = (
    testing.check_row,
    testing.check_options,
    testing.check_protocols,
    testing.check_small_sets,
    testing.check_values_that_are_not_finite,
    testing.check_other_arrays,
    testing.check_types,
    testing.check_memory,
    testing.check_is_a_function,
)


@every_metric
@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_every_metric_keeps_to_what_is_checked_of_others(name: str, check: Callable[[str, Metric], None]) -> None:
    """Each metric fulfils one property checked by `ganeval.testing.check_metric`."""
    check(name, short(name))


@every_metric
def test_an_option_may_be_a_number_of_numpy(name: str) -> None:
    """Numbers of np.arange and np.linspace give the value that Python's numbers give."""
    of_numpy: dict[type, Callable[[float], object]] = {int: np.int64, float: np.float64}
    compute = inspect.unwrap(METRICS[name].compute)
    numbers = {**defaults(compute), **SHORT.get(name, {})}
    numbers = {option: number for option, number in numbers.items() if type(number) in of_numpy}
    given = {option: of_numpy[type(number)](number) for option, number in numbers.items()}
    assert computed(name, sides(name), **given) == computed(name, sides(name), **numbers)


@every_metric
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_the_surroundings_of_a_training_loop_change_no_value(name: str, around: str) -> None:
    """Autocasting, another default dtype or device, and inference mode; of subsets too."""
    if name == "ms_ssim_diversity" and around in ("bfloat16", "float64"):
        pytest.skip("torchmetrics makes the weights of the scales in the default dtype, which moves it by 4e-6")
    arrays = sides(name)
    given: tuple[dict[str, object], ...] = ({},)
    if name == "kid":
        given = ({}, {"subsets": 2, "subset_size": 20}, {"subsets": 3, "subset_size": 50})
    for options in given:
        expected = computed(name, arrays, **options)
        with SURROUNDINGS[around]():
            found = computed(name, arrays, **options)
        assert found == expected


@every_metric
@pytest.mark.parametrize("make", testing.DEGENERATE.values(), ids=testing.DEGENERATE)
def test_degenerate_sets_give_a_sane_answer_or_a_reason(name: str, make: Callable[[Tensor], Tensor]) -> None:
    """Degenerate sets on one side, the other, or both give a finite estimate or a reason."""
    testing.check_degenerate(name, short(name), make)


@every_metric
def test_the_estimate_is_sane_and_has_an_error(name: str) -> None:
    """Unequal sets, near each other and far apart, give a finite estimate with an error."""
    for shift in (0.0, 0.5, 20.0):
        testing.check_sane(computed(name, sides(name, shift=shift)))
    assert METRICS[name].source
    assert computed(name, sides(name)).standard_error is not None


@pytest.mark.parametrize("name", [name for name, row in METRICS.items() if row.fake == "features"])
@pytest.mark.parametrize("large", [(1e200, 1e200), (1e200, 1.0), (1.0, 1e200)], ids=["both", "reals", "fakes"])
def test_what_float64_cannot_square_is_refused_or_measured_as_if_it_were_small(
    name: str, large: tuple[float, float]
) -> None:
    """There is a MetricError, or the value of features whose squares are in range: no NaN, and no other error."""
    labels = torch.arange(80) % 3
    values = []
    for power in (1.0, 0.25):
        rows = [testing.rows(80, seed).double() * factor**power for seed, factor in enumerate(large, 1)]
        try:
            sets = [Features(side, labels=labels) for side in rows]
            values.append(evaluate(*sets, metrics=[name], cache=False)[name].value)
        except MetricError:
            return
    assert values[0] == pytest.approx(values[1], rel=0.05)


def test_a_function_of_ones_own_is_held_to_the_same() -> None:
    """A user's function has its arguments checked, and its violations are found."""

    def gap(real: Tensor, fake: Tensor) -> Tensor:
        return (real.double().mean(0) - fake.double().mean(0)).norm()

    def noisy(real: Tensor, fake: Tensor) -> Tensor:
        return gap(real, fake) + torch.rand(())

    def spoils(real: Tensor, fake: Tensor) -> Tensor:
        fake += 1
        return gap(real, fake)

    def fails(real: Tensor, fake: Tensor) -> float:
        return float(1 / (len(real) - 2))

    testing.check_metric(gap)
    testing.check_metric("kid")
    for wrong, sentence in (
        (noisy, "noisy draws from a global random state|noisy of .* is"),
        (spoils, "spoils .*"),
        (fails, "fails refuses without a sentence"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            testing.check_metric(wrong)


# Metrics that are shares, and what all of them is.
SHARES = {
    **dict.fromkeys(("precision", "recall", "coverage", "mode_coverage"), 1.0),
    **dict.fromkeys(("symmetric_precision", "symmetric_recall", "clipped_density", "clipped_coverage"), 1.0),
    **dict.fromkeys(("conditional_accuracy", "head_accuracy", "cas"), 1.0),
    **dict.fromkeys(("c2st_1nn", "c2st_knn", "c2st_logistic"), 1.0),
    "authenticity": 100.0,
}


@pytest.mark.parametrize("name", SHARES)
def test_the_interval_of_a_share_is_made_of_its_error(name: str) -> None:
    """None, all or some of the images: the interval reaches at least about as far as the error, and neither is 0.

    Sets of one distribution, far apart, copies of the reals, and copies of one of them.
    """
    (real, fake), whole = sides(name, shift=0.0), SHARES[name]
    axis = torch.arange(WIDTH) == 2
    for copies in (fake, fake + 50, fake + 50 * axis, real[:60], real[:1].expand(60, -1) + 1e-3 * fake, real / 50):
        try:
            found = computed(name, [real, copies])
        except MetricError:
            # Copies of one image are all of one class.
            continue
        assert found.standard_error is not None
        assert found.interval is not None
        value, error = found.value / whole, found.standard_error / whole
        low, high = (end / whole for end in found.interval)
        assert error > 0
        assert max(high - value, value - low) >= 0.89 * error
        if value in (0, 1) and name in ("precision", "recall", "coverage", "authenticity"):
            count = len(copies) if name in ("precision", "authenticity") else len(real)
            assert error == pytest.approx(1 / count)
            assert high - low == pytest.approx(1.96**2 / (count + 1.96**2), rel=1e-3)


@with_reals
def test_what_the_reals_share_in_is_part_of_the_error(name: str) -> None:
    """The reals' part of the variance is at most all of it, and does not depend on the number of fakes."""
    one, other = (computed(name, sides(name, m=count)) for count in (60, 80))
    for estimate in (one, other):
        if estimate.shared is not None:
            assert estimate.standard_error is not None
            assert np.linalg.norm(estimate.shared) <= estimate.standard_error * (1 + 1e-9)
    if one.shared is not None and other.shared is not None:
        assert one.shared.shape == other.shared.shape


# Metrics that look at where features are, and not only at how they differ: by products, directions, or pixels.
ABOUT_THE_ORIGIN = ("kid", "cmmd", "mifid", "vendi", "ms_ssim_diversity", "lpips_diversity")


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ABOUT_THE_ORIGIN])
def test_a_common_shift_changes_nothing(name: str) -> None:
    """Shifting all float64 rows by 1e3 and 1e6 in every dimension loses no digits of values and details."""
    arrays = [array.double() for array in sides(name)]
    expected = computed(name, arrays)
    for shift in (1e3, 1e6):
        moved = computed(name, [array + shift for array in arrays])
        assert moved.value == pytest.approx(expected.value, rel=1e-6, abs=1e-6)
        assert dict(moved.details) == pytest.approx(dict(expected.details), rel=1e-5, abs=1e-5)


@every_metric
def test_the_order_of_images_is_noise_at_most(name: str) -> None:
    """If a protocol depends on the order, it changes the value as new draws would; otherwise by rounding only."""
    arrays = sides(name)
    rng = torch.Generator().manual_seed(5)
    shuffled = [array[torch.randperm(len(array), generator=rng)] for array in arrays]
    plain, moved = computed(name, arrays), computed(name, shuffled)
    assert plain.standard_error is not None
    assert moved.standard_error is not None
    assert abs(plain.value - moved.value) <= 3 * math.hypot(plain.standard_error, moved.standard_error) + 1e-9
    if name in WITHOUT_ORDER:
        options = WITHOUT_ORDER[name]
        expected = computed(name, arrays, **options).value
        assert computed(name, shuffled, **options).value == pytest.approx(expected, rel=1e-9)


# MiFID punishes copies without end; density counts a fake in every ball that holds it, however near the centre.
COPIES_ARE_NOT_BEST = ("mifid", "density")


@with_reals
def test_the_nearer_set_scores_better(name: str) -> None:
    """Another draw of the reals' distribution scores better than a set that has nothing in common with it."""
    if name in ABOUT_COPIES:
        pytest.skip("it asks how original images are, and nothing is as original as noise")
    fake = drawn(name, 80, 2)
    # Along one axis: what is the same for all classes says nothing to logits; and not one that labels are made of.
    away = torch.ones_like(fake) if METRICS[name].fake == "images" else fake + 50 * (torch.arange(WIDTH) == 2)
    near, far = (computed(name, [drawn(name, 80, 1), fakes]).value for fakes in (drawn(name, 80, 3), away))
    row = METRICS[name]
    if row.ideal is not None:
        near, far = abs(near - row.ideal), abs(far - row.ideal)
    assert near > far if row.direction == "higher" else near < far


@pytest.mark.parametrize("name", [name for name, row in METRICS.items() if row.takes_moments])
def test_moments_stand_for_reals(name: str) -> None:
    """A stored mean and covariance give the value of the set they are of."""
    testing.check_moments(name, METRICS[name])


@pytest.fixture
def gpu() -> Iterator[str]:
    """The name of a CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and there is none")
    return "cuda"


@pytest.mark.gpu
@every_metric
def test_a_gpu_agrees(name: str, gpu: str) -> None:
    """Arrays on a GPU give the CPU's estimate."""
    on_cpu = computed(name, sides(name))
    on_gpu = computed(name, [array.to(gpu) for array in sides(name)])
    assert on_gpu.value == pytest.approx(on_cpu.value, rel=1e-6, abs=1e-9)
    assert on_gpu.standard_error == pytest.approx(on_cpu.standard_error, rel=1e-4, abs=1e-9)


def test_the_table_cannot_be_changed() -> None:
    """A metric cannot replace a registered one."""
    with pytest.raises(TypeError):
        METRICS["mine"] = METRICS["fid"]  # type: ignore[index]
    assert all(isinstance(row, Metric) for row in METRICS.values())
