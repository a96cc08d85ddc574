"""What every metric of the table keeps to: a new row is held to it by being listed.

Sets are drawn for what a row says it needs, so nothing here knows a metric by name, but for those whose value is of the
set alone, and must not move by more than rounding when the images are put in another order.
"""

import inspect
import math
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import METRICS, Metric
from ganeval.metrics.moments import Moments
from ganeval.protocols import PROTOCOLS
from ganeval.selection import CLASS_NAMES, LABELS, takes
from ganeval.uncertainty import Estimate

WIDTH = 10
# Of images of 12 x 12 pixels in three channels, on 0..1.
IMAGE_WIDTH = 3 * 12**2
# Options under which a value does not depend on the order of the images. The others draw subsets by position.
WITHOUT_ORDER: dict[str, dict[str, object]] = {"fid": {}, "sfid": {}, "kid": {}, "is": {"splits": 1}}
# What is true of a metric is true of it after fewer steps of training.
SHORT: dict[str, dict[str, object]] = {"c2st_mlp": {"steps": 60}}
# Metrics for which a set far from the reals is a good one.
ABOUT_COPIES = frozenset(("authenticity",))
every_metric = pytest.mark.parametrize("name", METRICS)
with_reals = pytest.mark.parametrize("name", [name for name, row in METRICS.items() if row.real is not None])


def rows(count: int, seed: int, *, shift: float = 0.0, width: int = WIDTH) -> Tensor:
    """float32 [count, width], not Gaussian; what is well spread as features is as logits too."""
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(99)) / math.sqrt(width)
    return (torch.randn(count, width, generator=rng) @ mix).relu() * 2 + shift


def drawn(name: str, count: int, seed: int, *, shift: float = 0.0) -> Tensor:
    """A set of what the metric looks at."""
    if METRICS[name].fake == "images":
        return rows(count, seed, shift=shift, width=IMAGE_WIDTH).sigmoid()
    return rows(count, seed, shift=shift)


def sides(name: str, n: int = 80, m: int = 60, *, shift: float = 0.5) -> list[Tensor]:
    """What the metric is handed: reals, where it looks at them, and fakes."""
    fake = drawn(name, m, 2, shift=shift)
    return [fake] if METRICS[name].real is None else [drawn(name, n, 1), fake]


def labels(array: Tensor) -> Tensor:
    """Three classes, which can be seen in the rows and go where they go: by columns that are often the largest."""
    if array.ndim != 2 or 0 in array.shape:
        return torch.zeros(len(array), dtype=torch.int64)
    classes = torch.tensor([0, 1, 3])
    return classes[array.detach().cpu()[:, classes].argmax(1)]


def computed(name: str, arrays: list[Tensor], **options: object) -> Estimate:
    """The metric's estimate, alone or out of its family's; with labels where it takes them."""
    compute = METRICS[name].compute
    named = zip(("real_labels", "fake_labels"), arrays, strict=False)
    data = {argument: labels(array) for argument, array in named if takes(compute, argument)}
    given = compute(*arrays, **data, **SHORT.get(name, {}), **options)
    return given if isinstance(given, Estimate) else given[name]


def check_sane(estimate: Estimate) -> None:
    """Every field is what its description promises."""
    assert isinstance(estimate.value, float)
    assert math.isfinite(estimate.value)
    assert (estimate.standard_error is None) == (estimate.interval is None)
    if estimate.standard_error is not None and estimate.interval is not None:
        assert isinstance(estimate.standard_error, float)
        assert math.isfinite(estimate.standard_error)
        assert estimate.standard_error >= 0
        low, high = estimate.interval
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert low <= estimate.value <= high
    assert estimate.method
    assert all(isinstance(key, str) and math.isfinite(value) for key, value in estimate.details.items())
    assert all(isinstance(note, str) and note.endswith(".") for note in estimate.notes)


def check_sane_or_refused(name: str, arrays: list[Tensor]) -> None:
    """The metric has a sane estimate, or refuses with a reason."""
    refused: MetricError | None = None
    try:
        check_sane(computed(name, arrays))
    except MetricError as error:
        refused = error
    if refused is not None:
        assert str(refused).endswith(".")
        assert len(str(refused)) > 20


@every_metric
def test_a_row_says_what_the_metric_is(name: str) -> None:
    """Title, source and direction are there for the listing, and the name can be typed."""
    row = METRICS[name]
    assert row.title
    assert row.source
    assert row.direction in ("lower", "higher", "closer")
    assert (row.ideal is None) == (row.direction != "closer")
    assert name == name.lower()
    assert not set(name) & set(" ,:|=")
    assert {row.real, row.fake} <= {None, "features", "logits", "spatial", "images"}


@every_metric
def test_options_are_by_keyword_and_have_defaults(name: str) -> None:
    """A metric is called with its arrays, and everything else is named."""
    parameters = list(inspect.signature(METRICS[name].compute).parameters.values())
    arrays = 1 if METRICS[name].real is None else 2
    for parameter in parameters[:arrays]:
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    for parameter in parameters[arrays:]:
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert (parameter.default is parameter.empty) == (parameter.name in LABELS)
    assert len({name in {parameter.name for parameter in parameters} for name in (*LABELS, CLASS_NAMES)}) == 1
    assert ("ddof" in {parameter.name for parameter in parameters}) >= METRICS[name].takes_moments


@every_metric
def test_the_estimate_is_sane(name: str) -> None:
    """On sets of unequal sizes, near each other and far apart."""
    for shift in (0.0, 0.5, 20.0):
        check_sane(computed(name, sides(name, shift=shift)))
    assert computed(name, sides(name)).standard_error is not None


# Metrics that are shares, and what all of them is.
SHARES = {
    **dict.fromkeys(("precision", "recall", "coverage", "mode_coverage"), 1.0),
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
    """The reals' part of the variance is not more than all of it, and does not hang on the number of fakes."""
    one, other = (computed(name, sides(name, m=count)) for count in (60, 80))
    for estimate in (one, other):
        if estimate.shared is not None:
            assert estimate.standard_error is not None
            assert np.linalg.norm(estimate.shared) <= estimate.standard_error * (1 + 1e-9)
    if one.shared is not None and other.shared is not None:
        assert one.shared.shape == other.shared.shape


def fixed(name: str) -> list[dict[str, object]]:
    """The options that protocols fix for a metric, each set of them once."""
    found: list[dict[str, object]] = []
    for protocol in PROTOCOLS.values():
        ddof = {"ddof": protocol.ddof} if METRICS[name].takes_moments else {}
        options = {**protocol.options.get(METRICS[name].family or name, {}), **ddof}
        if options and options not in found:
            found.append(options)
    return found


@pytest.mark.parametrize(("name", "options"), [(name, options) for name in METRICS for options in fixed(name)])
def test_the_options_of_every_protocol_are_accepted(name: str, options: dict[str, object]) -> None:
    """What a protocol fixes, the metric takes."""
    check_sane(computed(name, sides(name), **options))


@every_metric
def test_one_image_and_none_are_refused_or_meant(name: str) -> None:
    """No set is too small to get an answer in words; an empty one has no value."""
    for position in range(len(sides(name))):
        for count in (1, 2, 3):
            arrays = sides(name)
            arrays[position] = arrays[position][:count]
            check_sane_or_refused(name, arrays)
        arrays[position] = arrays[position][:0]
        with pytest.raises(MetricError):
            computed(name, arrays)


@every_metric
@pytest.mark.parametrize(
    "make",
    [
        torch.zeros_like,
        lambda array: torch.full_like(array, 3.25),
        lambda array: array[:1].expand(len(array), -1),
        lambda array: torch.cat([array[:2]] * (len(array) // 2)),
        lambda array: array * (torch.arange(array.shape[1]) == 0),
        lambda array: array * 1e4,
        lambda array: array * 1e-6,
    ],
    ids=["zeros", "constant", "one image repeated", "two images repeated", "one dimension", "huge", "tiny"],
)
def test_degenerate_sets_give_a_sane_answer_or_a_reason(name: str, make: Callable[[Tensor], Tensor]) -> None:
    """On one side, on the other, and on both."""
    arrays = sides(name)
    for made in ([make(arrays[0]), *arrays[1:]], [*arrays[:-1], make(arrays[-1])], [make(array) for array in arrays]):
        check_sane_or_refused(name, made)


@every_metric
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_features_that_are_not_finite_are_counted(name: str, value: float) -> None:
    """On either side, the error says in how many images they are."""
    for position in range(len(sides(name))):
        arrays = sides(name)
        arrays[position][3, 1] = arrays[position][5, 0] = value
        with pytest.raises(MetricError, match=f"2 of {len(arrays[position])} images have NaN or infinite"):
            computed(name, arrays)


@every_metric
@pytest.mark.parametrize(
    "wrong", [torch.zeros(60), torch.zeros(60, 4, 4), torch.zeros(60, 0), torch.zeros(60, 10).long()]
)
def test_arrays_that_are_no_features_are_refused(name: str, wrong: Tensor) -> None:
    """Another number of axes, no dimensions, or integers."""
    with pytest.raises(MetricError, match="Features must be"):
        computed(name, [*sides(name)[:-1], wrong])


@every_metric
@pytest.mark.parametrize("wrong", [np.zeros((60, WIDTH), np.float32), [[0.0] * WIDTH] * 60], ids=["array", "list"])
def test_what_is_not_a_tensor_is_refused_with_the_remedy(name: str, wrong: object) -> None:
    """A numpy array or a list, on either side: the error says what it is and how to convert it."""
    given = sides(name)
    named = zip(LABELS, given, strict=False)
    data = {argument: labels(array) for argument, array in named if takes(METRICS[name].compute, argument)}
    for position in range(len(given)):
        arrays: list[object] = list(given)
        arrays[position] = wrong
        with pytest.raises(MetricError, match=f"found {type(wrong).__name__}; convert .* torch.as_tensor"):
            METRICS[name].compute(*arrays, **data)


@with_reals
def test_sets_of_other_dimensions_are_refused(name: str) -> None:
    """Both numbers are in the message."""
    with pytest.raises(MetricError, match=r"(?s)10.*7|7.*10"):
        computed(name, [rows(80, 1), rows(60, 2, width=7)])


@every_metric
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_type_will_do(name: str, dtype: torch.dtype) -> None:
    """Equal numbers give an equal value, however many bits they are stored in."""
    arrays = [array.to(dtype) for array in sides(name)]
    expected = computed(name, [array.float() for array in arrays])
    found = computed(name, arrays)
    assert found.value == pytest.approx(expected.value, rel=1e-5, abs=1e-6)


# Metrics that look at where features are, and not only at how they differ: by products, directions, or pixels.
ABOUT_THE_ORIGIN = ("kid", "mifid", "vendi", "ms_ssim")


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ABOUT_THE_ORIGIN])
def test_a_common_shift_changes_nothing(name: str) -> None:
    """Values and details of float64 rows that are all moved by 1e3 and 1e6 in every dimension: no digit is cut off."""
    arrays = [array.double() for array in sides(name)]
    expected = computed(name, arrays)
    for shift in (1e3, 1e6):
        moved = computed(name, [array + shift for array in arrays])
        assert moved.value == pytest.approx(expected.value, rel=1e-6, abs=1e-6)
        assert dict(moved.details) == pytest.approx(dict(expected.details), rel=1e-5, abs=1e-5)


@every_metric
def test_how_an_array_lies_in_memory_does_not_matter(name: str) -> None:
    """Strided, read-only, made in inference mode, or part of a graph: the same value, and no change to the array."""
    expected = computed(name, sides(name)).value
    with torch.inference_mode():
        inferred = sides(name)
    strided = [array.T.contiguous().T for array in sides(name)]
    graphed = [array.requires_grad_() for array in sides(name)]
    for arrays in (strided, inferred, graphed):
        before = [array.detach().clone() for array in arrays]
        assert computed(name, arrays).value == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert all(torch.equal(array.detach(), copy) for array, copy in zip(arrays, before, strict=True))


@every_metric
def test_a_metric_is_a_function(name: str) -> None:
    """Equal input gives an equal estimate, whatever random state it finds, and it leaves that as it was."""
    first = computed(name, sides(name))
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        assert computed(name, sides(name)) == first
        assert (random.getstate(), np.random.get_state()[1].tolist()) == states[:2]
        assert torch.equal(torch.get_rng_state(), states[2])


@every_metric
def test_the_order_of_images_is_noise_at_most(name: str) -> None:
    """Where a protocol's order plays a part it moves the value as new draws would; elsewhere by rounding alone."""
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
    """Another draw of the reals' own distribution, and then a set that has nothing in common with it."""
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
    real, fake = sides(name)
    full = computed(name, [real, fake])
    stored = METRICS[name].compute(Moments.of(real).gaussian(), fake)
    assert isinstance(stored, Estimate)
    check_sane(stored)
    assert stored.value == pytest.approx(full.value, rel=1e-9)


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
    """Metrics are added in the file, not at run time."""
    with pytest.raises(TypeError):
        METRICS["mine"] = METRICS["fid"]  # type: ignore[index]
    assert all(isinstance(row, Metric) for row in METRICS.values())
