"""Contract checks for your own metrics, extractors and sources.

    from ganeval.testing import check_extractor, check_metric, check_pair_metric, check_source

    check_metric("my_metric")                 # registered, a function, or a Metric
    check_pair_metric("my_pair_metric")       # registered, a function, or a PairMetric
    check_extractor("my_extractor:large")     # a spec, or an object
    check_source("my_source:somewhere")       # a spec, or an object

Each raises AssertionError with a sentence on the first requirement that is not met, and otherwise returns nothing. No
test framework is needed. ganeval's own metrics, extractors and sources pass the same checks.
"""

import inspect
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast, get_args

import numpy as np
import torch
from torch import Tensor

from ganeval.autocast import PRECISIONS
from ganeval.errors import ExtractorError, MetricError
from ganeval.extractors import open_extractor
from ganeval.extractors.base import Extractor, identity
from ganeval.extractors.running import run
from ganeval.metrics import PAIR_METRICS, Metric, PairMetric
from ganeval.metrics.base import CLASS_NAMES, LABELS, defaults
from ganeval.metrics.lookup import find_metrics, find_rows
from ganeval.metrics.moments import Moments
from ganeval.options import options_key, takes
from ganeval.outputs import Output
from ganeval.pairs import evaluate_pairs
from ganeval.protocols import PROTOCOLS, find_protocol
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport, Source, batch_of
from ganeval.uncertainty import Estimate

__all__ = ["check_extractor", "check_metric", "check_pair_metric", "check_source"]

# Dimensions of the features that metrics are checked with, and pixels of images of 12 x 12 in three channels.
WIDTH, IMAGE_WIDTH = 10, 3 * 12**2
# The largest relative change of a row, or of the value of a pair, when its images are in another batch.
TOLERANCE = 1e-4


def rows(count: int, seed: int, *, shift: float = 0.0, width: int = WIDTH) -> Tensor:
    """float32 [count, width], not Gaussian; can be used as features and as logits."""
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(99)) / math.sqrt(width)
    return (torch.randn(count, width, generator=rng) @ mix).relu() * 2 + shift


def drawn(metric: Metric, count: int, seed: int, *, shift: float = 0.0) -> Tensor:
    """A set of inputs of the metric, float32 [count, D]."""
    if metric.fake == "images":
        return rows(count, seed, shift=shift, width=IMAGE_WIDTH).sigmoid()
    return rows(count, seed, shift=shift)


def sides(metric: Metric, n: int = 80, m: int = 60, *, shift: float = 0.5) -> list[Tensor]:
    """The arguments of the metric: n reals, if it uses them, and m fakes."""
    fake = drawn(metric, m, 2, shift=shift)
    return [fake] if metric.real is None else [drawn(metric, n, 1), fake]


def labels(array: Tensor) -> Tensor:
    """int64 [N]: three classes that depend on the rows: by columns that are often the largest."""
    if array.ndim != 2 or 0 in array.shape:
        return torch.zeros(len(array), dtype=torch.int64)
    classes = torch.tensor([0, 1, 3], device="cpu")
    return classes[array.detach().cpu().double()[:, classes].argmax(1)]


class PixelNetwork:
    """Replaces a network of LPIPS, so that no weights are needed: its one layer is the image itself."""

    heads = (torch.ones(3),)

    def __call__(self, images: Tensor) -> tuple[Tensor]:
        """float32 [N, 3, H, W] on -1..1 => the same."""
        return (images,)


def computed(name: str, metric: Metric, arrays: Sequence[Tensor], **options: object) -> Estimate:
    """The metric's estimate, alone or from those of its family; with labels if it takes them."""
    named = zip(("real_labels", "fake_labels"), arrays, strict=False)
    data: dict[str, object] = {argument: labels(array) for argument, array in named if takes(metric.compute, argument)}
    if takes(metric.compute, "network"):
        data["network"] = PixelNetwork()
    given = metric.compute(*arrays, **data, **options)
    return given if isinstance(given, Estimate) else given[name]


def check_metric(metric: str | Metric | Callable[..., object]) -> None:
    """Check the contract of metrics: a pure function with a valid estimate, or a MetricError, for any input.

    Args:
        metric: Its name, where it is registered or declared by an installed package; a function of feature arrays; or a
            Metric.

    Raises:
        AssertionError: A requirement is not met; the message says which.
        UsageError: The object cannot be a metric.
    """
    ((name, row),) = find_metrics([metric]).items()
    for check in (
        check_row,
        check_options,
        check_protocols,
        check_small_sets,
        check_values_that_are_not_finite,
        check_other_arrays,
        check_types,
        check_memory,
        check_is_a_function,
    ):
        check(name, row)
    for shift in (0.0, 0.5, 20.0):
        check_sane(computed(name, row, sides(row, shift=shift)))
    for make in DEGENERATE.values():
        check_degenerate(name, row, make)
    if row.takes_moments:
        check_moments(name, row)


def check_row(name: str, metric: Metric | PairMetric) -> None:
    """The row has a title and a direction for the listing, and a name that can be typed."""
    _expect(bool(metric.title), f"{name} has no title for listings")
    _expect(metric.direction in ("lower", "higher", "closer"), f"{name} has the direction '{metric.direction}'")
    _expect(
        (metric.ideal is None) == (metric.direction != "closer"), f"{name}: only 'closer' has an ideal, and needs one"
    )
    _expect(name == name.lower() and not set(name) & set(" ,:|="), f"'{name}' cannot be typed in a list of names")
    if isinstance(metric, Metric):
        _expect({metric.real, metric.fake} <= {None, *get_args(Output)}, f"{name} uses an output that no extractor has")


def check_options(name: str, metric: Metric) -> None:
    """A metric takes its arrays by position; all else is keyword-only and has a default."""
    parameters = list(inspect.signature(metric.compute).parameters.values())
    arrays = 1 if metric.real is None else 2
    for one in parameters[:arrays]:
        _expect(one.kind is one.POSITIONAL_OR_KEYWORD, f"{name} takes its array {one.name} by keyword")
    for one in parameters[arrays:]:
        _expect(one.kind is one.KEYWORD_ONLY, f"{name}: the option {one.name} is not keyword-only")
        _expect((one.default is one.empty) == (one.name in LABELS), f"{name}: the option {one.name} has no default")
    known = {one.name for one in parameters}
    _expect(len({word in known for word in (*LABELS, CLASS_NAMES)}) == 1, f"{name} takes some of {LABELS}, not all")
    _expect(("ddof" in known) >= metric.takes_moments, f"{name} takes moments, and has no option ddof")


def check_protocols(name: str, metric: Metric) -> None:
    """The metric accepts the options that a protocol sets."""
    for protocol in PROTOCOLS.values():
        options = dict(protocol.options.get(metric.family or name, {}))
        if metric.takes_moments:
            options["ddof"] = protocol.ddof
        if options or protocol.name == "tensorflow":
            check_sane(computed(name, metric, sides(metric), **options))


def check_small_sets(name: str, metric: Metric) -> None:
    """Small sets give a valid estimate or a reason; an empty one is refused."""
    for position in range(len(sides(metric))):
        for count in (1, 2, 3):
            arrays = sides(metric)
            arrays[position] = arrays[position][:count]
            check_sane_or_refused(name, metric, arrays)
        arrays[position] = arrays[position][:0]
        _refused(name, metric, arrays, "no images")


def check_values_that_are_not_finite(name: str, metric: Metric) -> None:
    """For NaN and infinity in either set, the error says how many images have them."""
    for value in (math.nan, math.inf, -math.inf):
        for position in range(len(sides(metric))):
            arrays = sides(metric)
            arrays[position][3, 1] = arrays[position][5, 0] = value
            reason = _refused(name, metric, arrays, str(value))
            wanted = f"2 of {len(arrays[position])} images have NaN or infinite"
            _expect(wanted in reason, f"{name} refuses {value} with: {reason} It must say: {wanted} features")


def check_other_arrays(name: str, metric: Metric) -> None:
    """Another number of axes, no dimensions, integers, and sets of different dimensions are refused with a reason."""
    for wrong in (torch.zeros(60), torch.zeros(60, 4, 4), torch.zeros(60, 0), torch.zeros(60, 10).long()):
        arrays = [*sides(metric)[:-1], wrong]
        reason = _refused(name, metric, arrays, f"{wrong.dtype} {list(wrong.shape)}")
        _expect("Features must be" in reason, f"{name} refuses {wrong.dtype} {list(wrong.shape)} with: {reason}")
    if metric.real is not None:
        wide = [rows(80, 1), rows(60, 2, width=7)]
        reason = _refused(name, metric, wide, "10 dimensions against 7")
        _expect("10" in reason and "7" in reason, f"{name} does not say both numbers of dimensions: {reason}")


def check_types(name: str, metric: Metric) -> None:
    """Equal numbers give an equal value in every floating dtype."""
    for dtype in (torch.float8_e4m3fn, torch.float16, torch.bfloat16, torch.float64):
        arrays = [array.to(dtype) for array in sides(metric)]
        expected = computed(name, metric, [array.float() for array in arrays]).value
        _close(computed(name, metric, arrays).value, expected, 1e-5, 1e-6, f"{name} of {dtype}")


def check_memory(name: str, metric: Metric) -> None:
    """Arrays that are strided, from inference mode, or part of a graph give the same value and are not changed."""
    expected = computed(name, metric, sides(metric)).value
    with torch.inference_mode():
        inferred = sides(metric)
    strided = [array.T.contiguous().T for array in sides(metric)]
    graphed = [array.requires_grad_() for array in sides(metric)]
    for arrays in (strided, inferred, graphed):
        before = [array.detach().clone() for array in arrays]
        _close(computed(name, metric, arrays).value, expected, 1e-6, 1e-9, f"{name} of arrays in another layout")
        same = all(torch.equal(array.detach(), copy) for array, copy in zip(arrays, before, strict=True))
        _expect(same, f"{name} changes the arrays that it is given")


def check_is_a_function(name: str, metric: Metric) -> None:
    """Equal inputs give equal estimates, for any global random state, which is not changed."""
    first = computed(name, metric, sides(metric))
    for seed in (1, 2):
        with _random_states_stay(name, seed):
            again = computed(name, metric, sides(metric))
        _expect(again == first, f"{name} gives {first.value} and then {again.value} for the same sets")


DEGENERATE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "zeros": torch.zeros_like,
    "constant": lambda array: torch.full_like(array, 3.25),
    "one image repeated": lambda array: array[:1].expand(len(array), -1),
    "two images repeated": lambda array: torch.cat([array[:2]] * (len(array) // 2)),
    "one dimension": lambda array: array * (torch.arange(array.shape[1]) == 0),
    "huge": lambda array: array * 1e4,
    "tiny": lambda array: array * 1e-6,
}


def check_degenerate(name: str, metric: Metric, make: Callable[[Tensor], Tensor]) -> None:
    """A degenerate real set, fake set, or both give a valid estimate or a reason. make: makes a set degenerate."""
    arrays = sides(metric)
    for made in ([make(arrays[0]), *arrays[1:]], [*arrays[:-1], make(arrays[-1])], [make(array) for array in arrays]):
        check_sane_or_refused(name, metric, made)


def check_moments(name: str, metric: Metric) -> None:
    """A stored mean and covariance give the same value as the set itself."""
    real, fake = sides(metric)
    stored = metric.compute(Moments.of(real).gaussian(), fake)
    _expect(isinstance(stored, Estimate), f"{name} gives no Estimate for moments")
    check_sane(cast(Estimate, stored))
    value = cast(Estimate, stored).value
    _close(value, computed(name, metric, [real, fake]).value, 1e-9, 1e-9, f"{name} of moments")


def check_sane(estimate: Estimate) -> None:
    """Every field of an estimate is as documented."""
    _expect(type(estimate.value) is float and math.isfinite(estimate.value), f"The value is {estimate.value!r}")
    error, interval = estimate.standard_error, estimate.interval
    _expect((error is None) == (interval is None), "Standard error and interval go together")
    if error is not None and interval is not None:
        low, high = interval
        _expect(isinstance(error, float) and 0 <= error < math.inf, f"The standard error is {error!r}")
        _expect(-math.inf < low <= estimate.value <= high < math.inf, f"{estimate.value} is not within {interval}")
    _expect(bool(estimate.method), "The estimate does not say its method")
    for key, value in estimate.details.items():
        _expect(isinstance(key, str) and math.isfinite(value), f"The detail {key!r} is {value!r}")
    for note in estimate.notes:
        _expect(isinstance(note, str) and note.endswith("."), f"The note is not a sentence: {note!r}")


def check_sane_or_refused(name: str, metric: Metric, arrays: Sequence[Tensor]) -> None:
    """The metric returns a valid estimate, or raises a MetricError with a reason."""
    try:
        found = computed(name, metric, arrays)
    except MetricError as error:
        _expect_sentence(name, error)
        return
    check_sane(found)


def check_pair_metric(metric: str | PairMetric | Callable[..., object]) -> None:
    """Check the contract of metrics of pairs: each pair has its own value, and equal images have the best.

    Args:
        metric: Its name, where it is registered or declared by an installed package; a function of image pairs; or a
            PairMetric.

    Raises:
        AssertionError: A requirement is not met; the message says which.
        UsageError: The object cannot be a metric of pairs.
        MetricError: The metric refuses pairs of photograph-like images of 168 x 176 pixels.
    """
    ((name, row),) = find_rows([metric], PAIR_METRICS).items()
    for check in (
        check_row,
        check_pair_options,
        check_pair_values,
        check_pairs_are_independent,
        check_pair_memory,
        check_pair_is_a_function,
        check_pair_estimate,
        check_equal_images,
        check_small_images,
    ):
        check(name, row)
    for image in PLAIN_IMAGES.values():
        check_plain_images(name, row, image)


def image_pairs(count: int = 4, *, height: int = 168, width: int = 176) -> tuple[Tensor, Tensor]:
    """Smooth images, and the same with noise of another strength in each pair: uint8 [count, 3, height, width] each."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 6, 6, generator=rng)
    real = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 255
    strength = torch.linspace(10, 60, count).reshape(-1, 1, 1, 1)
    fake = real + strength * torch.randn(real.shape, generator=rng)
    return real.round().to(torch.uint8), fake.round().clamp(0, 255).to(torch.uint8)


def by_brightness(images: Tensor) -> Tensor:
    """Replaces a segmenter: images [N, 3, H, W] => four classes, int64 [N, H, W]."""
    return images.float().mean(1).long() // 64


# Replacements for the objects that options of metrics of pairs name.
STAND_INS: Mapping[str, object] = {"network": PixelNetwork(), "segmenter": by_brightness}


def objects(metric: PairMetric) -> dict[str, object]:
    """The options of a metric of pairs that must be objects, if its defaults are not."""
    known = defaults(metric.compute)
    return {option: one for option, one in STAND_INS.items() if option in known and not callable(known[option])}


def paired(name: str, metric: PairMetric, real: Tensor, fake: Tensor) -> Tensor:
    """The checked result for pairs: a value, or a statistic, of each, infinite only if the row allows it."""
    found = metric.compute(real, fake, **objects(metric))
    _expect(isinstance(found, Tensor), f"{name} returns {type(found).__name__}, not a tensor")
    shape = f"{name} returns {found.dtype} {list(found.shape)} for {len(real)} pairs"
    wanted = "a value of each, float64 [N]" if metric.pool is None else "a statistic of each, float64 [N, ...]"
    whole = found.ndim == 1 if metric.pool is None else found.ndim >= 1
    _expect(found.dtype == torch.float64 and whole and len(found) == len(real), f"{shape}; it must be {wanted}")
    allowed = metric.infinite is not None
    _expect(not found.isnan().any(), f"{name} returns NaN; it must raise a MetricError that says why")
    _expect(allowed or not found.isinf().any(), f"{name} returns infinity, and its row does not say what to do then")
    return found


def estimated(metric: PairMetric, real: Tensor, fake: Tensor) -> Estimate:
    """The estimate of `evaluate_pairs`."""
    # The name of a row need not be that of its function.
    ((name, row),) = find_rows([metric], PAIR_METRICS).items()
    options = objects(row)
    given = {options_key(name, row): options} if options else None
    return evaluate_pairs(real, fake, metrics=[metric], options=given).estimates[name]


def check_pair_options(name: str, metric: PairMetric) -> None:
    """A metric of pairs takes two tensors by position; all else is keyword-only and has a default."""
    parameters = list(inspect.signature(metric.compute).parameters.values())
    for one in parameters[:2]:
        _expect(one.kind is not one.KEYWORD_ONLY, f"{name} takes its images {one.name} by keyword")
    for one in parameters[2:]:
        _expect(one.kind is one.KEYWORD_ONLY, f"{name}: the option {one.name} is not keyword-only")
        _expect(one.default is not one.empty, f"{name}: the option {one.name} has no default")


def check_pair_values(name: str, metric: PairMetric) -> None:
    """Several pairs, one pair, and pairs of another size give a value, or a statistic, of each."""
    for count, height, width in ((4, 168, 176), (1, 168, 176), (2, 181, 170)):
        paired(name, metric, *image_pairs(count, height=height, width=width))


def check_pairs_are_independent(name: str, metric: PairMetric) -> None:
    """The value of a pair is the same alone, together with others, and in another order."""
    real, fake = image_pairs()
    found = paired(name, metric, real, fake)
    alone = [paired(name, metric, real[pair : pair + 1], fake[pair : pair + 1]) for pair in range(len(real))]
    _close_pairs(torch.cat(alone), found, f"{name} of pairs alone")
    _close_pairs(paired(name, metric, real.flip(0), fake.flip(0)).flip(0), found, f"{name} of pairs in another order")


def check_pair_memory(name: str, metric: PairMetric) -> None:
    """Images that are strided or from inference mode give the same value and are not changed."""
    expected = paired(name, metric, *image_pairs())
    with torch.inference_mode():
        inferred = image_pairs()
    real, fake = (side.contiguous(memory_format=torch.channels_last) for side in image_pairs())
    for images in (image_pairs(), (real, fake), inferred):
        before = [side.clone() for side in images]
        _close_pairs(paired(name, metric, *images), expected, f"{name} of images in another layout")
        _expect(all(map(torch.equal, images, before)), f"{name} changes the images that it is given")


def check_pair_is_a_function(name: str, metric: PairMetric) -> None:
    """Equal pairs give equal values, for any global random state, which is not changed."""
    first = paired(name, metric, *image_pairs())
    for seed in (1, 2):
        with _random_states_stay(name, seed):
            again = paired(name, metric, *image_pairs())
        _expect(torch.equal(again, first), f"{name} gives other values for the same pairs the second time")


def check_pair_estimate(name: str, metric: PairMetric) -> None:
    """Several pairs have a value with an error, the same in any order; one pair has a value, or a reason for none."""
    real, fake = image_pairs()
    found = estimated(metric, real, fake)
    check_sane(found)
    _expect(found.standard_error is not None, f"{name} of {len(real)} pairs has no standard error")
    order = [2, 0, 3, 1]
    moved = estimated(metric, real[order], fake[order])
    _close(moved.value, found.value, 1e-6, 1e-9, f"{name} of pairs in another order")
    error = f"The standard error of {name} of pairs in another order"
    _close(cast(float, moved.standard_error), cast(float, found.standard_error), 1e-6, 1e-9, error)
    check_pairs_sane_or_refused(name, metric, real[:1], fake[:1])


def check_equal_images(name: str, metric: PairMetric) -> None:
    """Equal images have the ideal value, or are no worse than others; if their value is infinite, a mean is refused."""
    real, fake = image_pairs()
    check_pairs_sane_or_refused(name, metric, real, real)
    if metric.pool is None:
        equal, other = (float(paired(name, metric, real, side).mean()) for side in (real, fake))
    else:
        equal, other = (estimated(metric, real, side).value for side in (real, fake))
    if metric.ideal is not None:
        _close(equal, metric.ideal, TOLERANCE, 1e-6, f"{name} of equal images")
        return
    worse = equal > other if metric.direction == "lower" else equal < other
    _expect(
        not worse or math.isclose(equal, other, rel_tol=TOLERANCE, abs_tol=1e-9),
        f"{name} is {equal} for equal images and {other} for others, and its direction is '{metric.direction}'",
    )


def check_small_images(name: str, metric: PairMetric) -> None:
    """Small images give a valid estimate or a reason."""
    for height, width in ((1, 1), (2, 2), (1, 40), (16, 16), (40, 7)):
        check_pairs_sane_or_refused(name, metric, *image_pairs(2, height=height, width=width))


# The levels of plain images.
PLAIN_IMAGES: Mapping[str, int] = {"black": 0, "grey": 100, "white": 255}


def check_plain_images(name: str, metric: PairMetric, level: int) -> None:
    """Images of one level as reals, as fakes, and as both give a valid estimate or a reason."""
    real, fake = image_pairs(3)
    plain = torch.full_like(real, level)
    for one, other in ((plain, fake), (real, plain), (plain, plain)):
        check_pairs_sane_or_refused(name, metric, one, other)


def check_pairs_sane_or_refused(name: str, metric: PairMetric, real: Tensor, fake: Tensor) -> None:
    """The metric returns a valid estimate, or raises a MetricError with a reason."""
    try:
        paired(name, metric, real, fake)
        found = estimated(metric, real, fake)
    except MetricError as error:
        _expect_sentence(name, error)
        return
    check_sane(found)


def check_extractor(extractor: object) -> None:
    """Check the contract of extractors: the row of an image depends on this image alone, and is the same every time.

    Args:
        extractor: What ``extractor=`` takes: a spec, an Extractor, a module or a callable. One that does not resize is
            checked with images of one size.

    Raises:
        AssertionError: A requirement is not met; the message says which.
        UsageError, ExtractorError: The extractor cannot be opened.
    """
    opened = open_extractor(extractor, protocol=find_protocol("tensorflow"))
    images = some_images()
    try:
        run(opened, batch_of(images), frozenset(("features",)))
    except ExtractorError:
        # It may need images of one size; if there is another reason, the checks find it.
        images = [image[:, :32, :32] for image in images]
        opened = open_extractor(extractor, protocol=find_protocol("tensorflow"))
    check_identity(opened)
    check_outputs(opened, images)
    check_outputs_asked_for(opened, images)
    check_rows_are_independent(opened, images)
    check_extractor_is_a_function(opened, images)
    again = open_extractor(extractor, protocol=find_protocol("tensorflow"))
    _expect(identity(again) == identity(opened), f"{opened.name} has another identity when it is opened again")


def some_images() -> list[Tensor]:
    """Five uint8 images [3, H, W] of four sizes, 32 pixels and more: smooth, as photographs are."""
    rng = torch.Generator().manual_seed(0)
    sizes = ((64, 64), (90, 70), (64, 64), (41, 83), (120, 120))
    coarse = [torch.rand(1, 3, 6, 6, generator=rng) for _ in sizes]
    return [
        (torch.nn.functional.interpolate(one, size, mode="bilinear")[0] * 255).round().to(torch.uint8)
        for one, size in zip(coarse, sizes, strict=True)
    ]


def check_identity(extractor: Extractor) -> None:
    """Name, weights, preprocessing, precision and device are as the provenance and the cache need them."""
    _expect(isinstance(extractor, Extractor), f"{type(extractor).__name__} lacks a member of Extractor")
    _expect(bool(extractor.name), "The extractor has no name")
    _expect(bool(extractor.preprocessing), f"{extractor.name} does not say its preprocessing")
    _expect(bool(extractor.weights.name), f"{extractor.name} does not name its weights")
    digest = extractor.weights.sha256
    _expect(len(digest) in (0, 64), f"The digest of {extractor.name} is '{digest}', not a SHA-256 in hexadecimal")
    _expect(extractor.precision in PRECISIONS, f"{extractor.name} has precision {extractor.precision}")
    _expect("features" in extractor.outputs, f"{extractor.name} gives no features")


def check_outputs(extractor: Extractor, images: Sequence[Tensor]) -> None:
    """Outputs are finite float32 rows of the declared width, one for each image."""
    arrays = run(extractor, batch_of(images), extractor.outputs)
    _expect(arrays.keys() == extractor.outputs, f"{extractor.name} gives {set(arrays)}, not {set(extractor.outputs)}")
    width = arrays["features"].shape[1]
    _expect(extractor.dimensions in (None, width), f"{extractor.name} declares {extractor.dimensions}, gives {width}")
    for output, array in arrays.items():
        shape = f"{extractor.name} gives {array.dtype} {list(array.shape)} as {output} of {len(images)} images"
        _expect(array.dtype == torch.float32 and array.ndim == 2 and len(array) == len(images), shape)
        _expect(bool(array.isfinite().all()), f"{extractor.name} gives NaN or infinite {output}")
        _expect(not array.requires_grad, f"{extractor.name} gives {output} that require gradients")


def check_outputs_asked_for(extractor: Extractor, images: Sequence[Tensor]) -> None:
    """Each output requested alone is the same as together with the others; unknown ones are refused."""
    arrays = run(extractor, batch_of(images), extractor.outputs)
    with torch.inference_mode():
        inputs = extractor.prepare(images[0][None])
        for output in extractor.outputs:
            given = extractor.forward(inputs, frozenset((output,)))
            _expect(given.keys() == {output}, f"{extractor.name} gives {set(given)} when asked for {output}")
            _close_rows(given[output].float().cpu(), arrays[output][:1], f"{output} alone", extractor)
        for output in set(get_args(Output)) - extractor.outputs:
            try:
                extractor.forward(inputs, frozenset((output,)))
            except ExtractorError:
                continue
            raise AssertionError(f"{extractor.name} does not refuse {output}, which it does not give.")


def check_rows_are_independent(extractor: Extractor, images: Sequence[Tensor]) -> None:
    """The row of an image is the same alone, together with others, and in another order."""
    arrays = run(extractor, batch_of(images), extractor.outputs)
    alone = [run(extractor, batch_of([image]), extractor.outputs) for image in images]
    order = [*range(len(images))][::-1]
    turned = run(extractor, batch_of([images[index] for index in order]), extractor.outputs)
    for output in extractor.outputs:
        _close_rows(torch.cat([one[output] for one in alone]), arrays[output], "images alone", extractor)
        _close_rows(turned[output], arrays[output][order], "images in another order", extractor)


def check_extractor_is_a_function(extractor: Extractor, images: Sequence[Tensor]) -> None:
    """Equal images give equal rows, for any global random state; neither it nor the images are changed."""
    arrays = run(extractor, batch_of(images), extractor.outputs)
    batch = batch_of(images)
    copies = [group.images.clone() for group in batch.groups]
    with _random_states_stay(extractor.name, 7):
        found = run(extractor, batch, extractor.outputs)
    for output in extractor.outputs:
        _expect(torch.equal(found[output], arrays[output]), f"{extractor.name} gives other {output} the second time")
    same = all(torch.equal(group.images, copy) for group, copy in zip(batch.groups, copies, strict=True))
    _expect(same, f"{extractor.name} changes the images that it is given")


def check_source(source: object, *, num_samples: int | None = None) -> None:
    """Check the contract of sources: the same images, in the same order, every time and in any batches.

    Args:
        source: What `open_source` takes: a spec or an object. One that can be read only once (an iterator) fails.
        num_samples: Number of images; a live generator needs it. For others, a random subset of this size; None for
            all.

    Raises:
        AssertionError: A requirement is not met; the message says which.
        UsageError, SourceError: The source cannot be opened or read.
    """
    opened = open_source(source, num_samples=num_samples)
    _expect(isinstance(opened, Source), f"{type(opened).__name__} lacks a member of Source")
    _expect(bool(opened.name) and bool(opened.kind), "The source has no name or no kind")
    first = _images(opened, 8)
    _expect(len(first) > 0, f"{opened.name} gives no images")
    for image in first:
        shape = f"{opened.name} gives {image.dtype} {list(image.shape)}; an image is uint8 [3, H, W]"
        _expect(image.dtype == torch.uint8 and image.ndim == 3 and len(image) == 3, shape)
    try:
        length: int | None = len(opened)
    except TypeError:
        length = None
    _expect(length in (None, len(first)), f"{opened.name} says it has {length} images, and gives {len(first)}")
    for size in (8, 3):
        with _random_states_stay(opened.name, 5):
            again = _images(opened, size)
        same = len(again) == len(first) and all(map(torch.equal, first, again))
        _expect(same, f"{opened.name} gives other images when it is read again in batches of {size}")
    if opened.labels is not None:
        _expect(len(opened.labels) == len(first), f"{opened.name} has {len(opened.labels)} labels of {len(first)}")
    names = [opened.item_name(index) for index in range(len(first))]
    _expect(all(names), f"{opened.name} does not name its images")
    fingerprint = opened.fingerprint()
    if fingerprint is not None:
        _expect(
            opened.fingerprint() == fingerprint,
            f"The fingerprint of {opened.name} changes, so its features would never be found",
        )
        _expect(len(list(opened.digests())) == len(first), f"{opened.name} does not have one digest for each image")
        _expect(list(opened.digests()) == list(opened.digests()), f"The digests of {opened.name} change")
    about = opened.describe()
    _expect(all(isinstance(key, str) for key in about), f"{opened.name} has keys in its description that are not texts")


def _images(source: Source, batch_size: int) -> list[Tensor]:
    """Every image, in order."""
    found: list[Tensor] = []
    for batch in source.batches(Reading(batch_size=batch_size), ReadReport()):
        placed = {row: image for group in batch.groups for row, image in zip(group.rows, group.images, strict=True)}
        _expect(sorted(placed) == [*range(len(batch))], f"{source.name}: the rows of a batch are {sorted(placed)}")
        found += [placed[row].cpu() for row in range(len(batch))]
    return found


def _expect(truth: bool, sentence: str) -> None:
    if not truth:
        raise AssertionError(f"{sentence}.")


def _close(found: float, expected: float, relative: float, absolute: float, what: str) -> None:
    _expect(math.isclose(found, expected, rel_tol=relative, abs_tol=absolute), f"{what} is {found}, not {expected}")


def _close_pairs(found: Tensor, expected: Tensor, what: str) -> None:
    """Values, or statistics, agree within TOLERANCE times the largest."""
    same = found.shape == expected.shape
    apart = float((found - expected).abs().max()) if same else math.inf
    _expect(same and apart <= TOLERANCE * float(expected.abs().max()), f"{what} differs by up to {apart:.3g}")


def _expect_sentence(name: str, error: MetricError) -> None:
    _expect(str(error).endswith(".") and len(str(error)) > 20, f"{name} refuses without a sentence: {error}")


def _close_rows(found: Tensor, expected: Tensor, what: str, extractor: Extractor) -> None:
    """Every row agrees within TOLERANCE times its own length."""
    apart = (found - expected).norm(dim=1)
    close = bool((apart <= TOLERANCE * expected.norm(dim=1)).all())
    _expect(close, f"{extractor.name}: rows of {what} differ by up to {float(apart.max()):.3g}")


def _refused(name: str, metric: Metric, arrays: Sequence[Tensor], what: str) -> str:
    """The reason why a metric has no value for these arrays."""
    try:
        computed(name, metric, arrays)
    except MetricError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{name} of {what} raises {type(error).__name__}, not a MetricError: {error}") from error
    raise AssertionError(f"{name} has a value for {what}; it must raise a MetricError.")


@contextmanager
def _random_states_stay(name: str, seed: int) -> Iterator[None]:
    """Seed all global random states, check that they are not changed, and restore them."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    before = _states()
    try:
        yield
        _expect(_states() == before, f"{name} draws from a global random state; use a generator with a seed of its own")
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])


def _states() -> tuple[object, ...]:
    _, key, *rest = np.random.get_state()
    return random.getstate(), np.asarray(key).tolist(), rest, torch.get_rng_state().tolist()
