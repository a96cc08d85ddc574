"""The contract of every metric of the table, to which a new row is held by being listed.

Sets are drawn by the needs that a row declares, so no metric is named here, except those whose value depends on the
set alone and must change by rounding only when the images are reordered.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from typing import NamedTuple

import numpy as np
import pytest
import torch
from families import families, members
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
# Metrics for which a set far from the reals is a good one: nothing is as original as noise.
ABOUT_COPIES = frozenset(("authenticity", "fld_gap"))


class Row(NamedTuple):
    """A metric of the table, whose function is called once for its whole family (see families.py)."""

    name: str
    metric: Metric

    def drawn(self, count: int, seed: int, *, shift: float = 0.0) -> Tensor:
        """A random set of the output that the metric uses."""
        return testing.drawn(self.metric, count, seed, shift=shift)

    def sides(self, n: int = 80, m: int = 60, *, shift: float = 0.5) -> list[Tensor]:
        """The metric's inputs: reals, if it uses them, and fakes."""
        return testing.sides(self.metric, n, m, shift=shift)

    def computed(self, arrays: list[Tensor], **options: object) -> Estimate:
        """The metric's estimate, alone or out of its family's; with labels where it takes them."""
        return testing.computed(self.name, self.metric, arrays, **options)


Rows = Callable[[], Iterator[Row]]


def of_families(names: Iterable[str]) -> pytest.MarkDecorator:
    """The test is run for each family, and goes through those of its rows that are among these."""
    return pytest.mark.parametrize(
        "rows",
        [
            pytest.param(lambda family=family: starmap(Row, members(family, SHORT)), id=first)
            for first, family in families(tuple(names)).items()
        ],
    )


every_metric = of_families(METRICS)
with_reals = of_families(name for name, row in METRICS.items() if row.real is not None)


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
def test_every_metric_keeps_to_what_is_checked_of_others(rows: Rows, check: Callable[[str, Metric], None]) -> None:
    """Each metric fulfils one property checked by `ganeval.testing.check_metric`."""
    for row in rows():
        check(row.name, row.metric)


@every_metric
def test_an_option_may_be_a_number_of_numpy(rows: Rows) -> None:
    """Numbers of np.arange and np.linspace give the value that Python's numbers give."""
    of_numpy: dict[type, Callable[[float], object]] = {int: np.int64, float: np.float64}
    for row in rows():
        numbers = {**defaults(METRICS[row.name].compute), **SHORT.get(row.name, {})}
        numbers = {option: number for option, number in numbers.items() if type(number) in of_numpy}
        given = {option: of_numpy[type(number)](number) for option, number in numbers.items()}
        assert row.computed(row.sides(), **given) == row.computed(row.sides(), **numbers), row.name


@every_metric
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_the_surroundings_of_a_training_loop_change_no_value(rows: Rows, around: str) -> None:
    """Autocasting, another default dtype or device, and inference mode; of subsets too."""
    for row in rows():
        if row.name == "ms_ssim_diversity" and around in ("bfloat16", "float64"):
            pytest.skip("torchmetrics makes the weights of the scales in the default dtype, which moves it by 4e-6")
        arrays = row.sides()
        given: tuple[dict[str, object], ...] = ({},)
        if row.name == "kid":
            given = ({}, {"subsets": 2, "subset_size": 20}, {"subsets": 3, "subset_size": 50})
        for options in given:
            expected = row.computed(arrays, **options)
            with SURROUNDINGS[around]():
                found = row.computed(arrays, **options)
            assert found == expected, row.name


@every_metric
@pytest.mark.parametrize("make", testing.DEGENERATE.values(), ids=testing.DEGENERATE)
def test_degenerate_sets_give_a_sane_answer_or_a_reason(rows: Rows, make: Callable[[Tensor], Tensor]) -> None:
    """Degenerate sets on one side, the other, or both give a finite estimate or a reason."""
    for row in rows():
        testing.check_degenerate(row.name, row.metric, make)


@every_metric
def test_the_estimate_is_sane_and_has_an_error(rows: Rows) -> None:
    """Unequal sets, near each other and far apart, give a finite estimate with an error."""
    for row in rows():
        for shift in (0.0, 0.5, 20.0):
            found = row.computed(row.sides(shift=shift))
            testing.check_sane(found)
            assert found.standard_error is not None, row.name
        assert row.metric.source, row.name


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


@of_families(SHARES)
def test_the_interval_of_a_share_is_made_of_its_error(rows: Rows) -> None:
    """None, all or some of the images: the interval reaches at least about as far as the error, and neither is 0.

    Sets of one distribution, far apart, copies of the reals, and copies of one of them.
    """
    axis = torch.arange(WIDTH) == 2
    for row in rows():
        (real, fake), whole = row.sides(shift=0.0), SHARES[row.name]
        for copies in (fake, fake + 50, fake + 50 * axis, real[:60], real[:1].expand(60, -1) + 1e-3 * fake, real / 50):
            try:
                found = row.computed([real, copies])
            except MetricError:
                # Copies of one image are all of one class.
                continue
            assert found.standard_error is not None, row.name
            assert found.interval is not None, row.name
            value, error = found.value / whole, found.standard_error / whole
            low, high = (end / whole for end in found.interval)
            assert error > 0, row.name
            assert max(high - value, value - low) >= 0.89 * error, row.name
            if value in (0, 1) and row.name in ("precision", "recall", "coverage", "authenticity"):
                count = len(copies) if row.name in ("precision", "authenticity") else len(real)
                assert error == pytest.approx(1 / count), row.name
                assert high - low == pytest.approx(1.96**2 / (count + 1.96**2), rel=1e-3), row.name


@with_reals
def test_what_the_reals_share_in_is_part_of_the_error(rows: Rows) -> None:
    """The reals' part of the variance is at most all of it, and does not depend on the number of fakes."""
    for row in rows():
        one, other = (row.computed(row.sides(m=count)) for count in (60, 80))
        for estimate in (one, other):
            if estimate.shared is not None:
                assert estimate.standard_error is not None, row.name
                assert np.linalg.norm(estimate.shared) <= estimate.standard_error * (1 + 1e-9), row.name
        if one.shared is not None and other.shared is not None:
            assert one.shared.shape == other.shared.shape, row.name


# Metrics that look at where features are, and not only at how they differ: by products, directions, or pixels.
ABOUT_THE_ORIGIN = ("kid", "cmmd", "mifid", "vendi", "ms_ssim_diversity", "lpips_diversity")


@of_families(name for name in METRICS if name not in ABOUT_THE_ORIGIN)
def test_a_common_shift_changes_nothing(rows: Rows) -> None:
    """Shifting all float64 rows by 1e3 and 1e6 in every dimension loses no digits of values and details."""
    for row in rows():
        arrays = [array.double() for array in row.sides()]
        expected = row.computed(arrays)
        for shift in (1e3, 1e6):
            moved = row.computed([array + shift for array in arrays])
            assert moved.value == pytest.approx(expected.value, rel=1e-6, abs=1e-6), row.name
            assert dict(moved.details) == pytest.approx(dict(expected.details), rel=1e-5, abs=1e-5), row.name


@every_metric
def test_the_order_of_images_is_noise_at_most(rows: Rows) -> None:
    """If a protocol depends on the order, it changes the value as new draws would; otherwise by rounding only."""
    for row in rows():
        arrays = row.sides()
        rng = torch.Generator().manual_seed(5)
        shuffled = [array[torch.randperm(len(array), generator=rng)] for array in arrays]
        plain, moved = row.computed(arrays), row.computed(shuffled)
        assert plain.standard_error is not None, row.name
        assert moved.standard_error is not None, row.name
        error = math.hypot(plain.standard_error, moved.standard_error)
        assert abs(plain.value - moved.value) <= 3 * error + 1e-9, row.name
        if row.name in WITHOUT_ORDER:
            options = WITHOUT_ORDER[row.name]
            expected = row.computed(arrays, **options).value
            assert row.computed(shuffled, **options).value == pytest.approx(expected, rel=1e-9), row.name


# MiFID punishes copies without end; density counts a fake in every ball that holds it, however near the centre.
COPIES_ARE_NOT_BEST = ("mifid", "density")


@of_families(name for name, row in METRICS.items() if row.real is not None and name not in ABOUT_COPIES)
def test_the_nearer_set_scores_better(rows: Rows) -> None:
    """Another draw of the reals' distribution scores better than a set that has nothing in common with it."""
    for row in rows():
        fake = row.drawn(80, 2)
        # Along one axis: what is the same for all classes says nothing to logits; and not one that labels are made of.
        away = torch.ones_like(fake) if row.metric.fake == "images" else fake + 50 * (torch.arange(WIDTH) == 2)
        near, far = (row.computed([row.drawn(80, 1), fakes]).value for fakes in (row.drawn(80, 3), away))
        if row.metric.ideal is not None:
            near, far = abs(near - row.metric.ideal), abs(far - row.metric.ideal)
        assert near > far if row.metric.direction == "higher" else near < far, row.name


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
def test_a_gpu_agrees(rows: Rows, gpu: str) -> None:
    """Arrays on a GPU give the CPU's estimate."""
    for row in rows():
        on_cpu = row.computed(row.sides())
        on_gpu = row.computed([array.to(gpu) for array in row.sides()])
        assert on_gpu.value == pytest.approx(on_cpu.value, rel=1e-6, abs=1e-9), row.name
        assert on_gpu.standard_error == pytest.approx(on_cpu.standard_error, rel=1e-4, abs=1e-9), row.name


def test_the_table_cannot_be_changed() -> None:
    """A metric cannot replace a registered one."""
    with pytest.raises(TypeError):
        METRICS["mine"] = METRICS["fid"]  # type: ignore[index]
    assert all(isinstance(row, Metric) for row in METRICS.values())
