"""Check that sets, extractors and metrics fit together: all errors that can be raised before an image is decoded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ganeval.errors import SourceError, UsageError
from ganeval.extractors import EXTRACTORS, Setup, extractor_name
from ganeval.extractors.base import PROVIDERS, Extractor
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.features import FeatureSet
from ganeval.metrics import Metric
from ganeval.options import needs_labels
from ganeval.protocols import Protocol
from ganeval.provenance import about_extractor
from ganeval.selection import Selection
from ganeval.settings import Settings
from ganeval.sources.base import ReadReport
from ganeval.sources.extracted import Extracted
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics


def check_sizes(extractor: Extractor, report: ReadReport) -> None:
    """Check the sizes of images that were read, for an extractor that needs images of one size.

    Args:
        extractor: Any extractor.
        report: The report of reading a set.

    Raises:
        ExtractorError: The extractor does not compare images of these sizes.
    """
    check_size: Callable[[int, int], None] | None = getattr(extractor, "check_size", None)
    if check_size is not None:
        for width, height in report.sizes:
            check_size(width, height)


def check_features(features: Sequence[Features], images: str | None, extractor: str) -> None:
    """Check that given features are of one extractor, which is also that of the images they are compared with.

    Args:
        features: Every set of features that was given.
        images: The name of a set of images among the other sets; None if there is none.
        extractor: What extracts the features of images, as the settings name it.

    Raises:
        UsageError: The features are of different extractors or widths, or do not state that they are of this extractor.
    """
    stated = {side.extractor: side.name for side in features if side.extractor is not None}
    widths = {side.rows.shape[1]: side.name for side in features}
    if len(stated) > 1:
        (one, first), (other, second) = list(stated.items())[:2]
        raise UsageError(
            f"{first} holds features of '{one}' and {second} of '{other}': distances between these have no meaning."
        )
    if len(widths) > 1:
        (wide, first), (wider, second) = list(widths.items())[:2]
        raise UsageError(
            f"{first} has {wide} dimensions and {second} has {wider}: features of two extractors are not compared."
        )
    for side in features if images is not None else ():
        if side.extractor is None:
            raise UsageError(
                f"{side.name} holds features and does not say of which extractor, and {images} holds images. Give "
                f"features of both; or, if these are of '{extractor}', say so: features:FILE?extractor={extractor}, in "
                f"Python ganeval.Features(array, extractor='{extractor}')."
            )
        if side.extractor != extractor:
            raise UsageError(
                f"{side.name} holds features of '{side.extractor}', and the images of {images} would be measured with "
                f"'{extractor}'. Choose the extractor that the features are of, or give features of both."
            )


def check_width(side: Features, extractor: Extractor) -> None:
    """UsageError for features with another width than those of the extractor they are declared to be of."""
    width = side.rows.shape[1]
    if extractor.dimensions not in (None, width):
        raise UsageError(
            f"{side.name} is said to be of '{side.extractor}', which gives {extractor.dimensions} dimensions; it "
            f"has {width}."
        )


def check_statistics(statistics: Statistics, extractor: Extractor, protocol: Protocol) -> None:
    """Stored statistics must have been measured as the fakes will be, as far as the file says.

    Raises:
        SourceError: They have another width than the extractor's features.
        UsageError: They are of another extractor, other weights, another preprocessing or precision.
    """
    if extractor.dimensions not in (None, len(statistics.features.mean)):
        raise SourceError(
            f"{statistics.name} holds statistics of {len(statistics.features.mean)} dimensions; the extractor "
            f"'{extractor.name}' gives {extractor.dimensions}. Choose the extractor they were made with."
        )
    asked = about_extractor(extractor, protocol)
    if isinstance(extractor, PrecomputedExtractor):
        if extractor.stated is None:
            return
        asked = {**(statistics.measured or asked), "extractor": extractor.stated}
    _check_measured(statistics.name, statistics.measured or {}, asked)


def check_extracted(extracted: Extracted, extractor: Extractor, protocol: Protocol) -> None:
    """UsageError for features in a file that were not extracted as those of images would be now."""
    _check_measured(extracted.name, extracted.measured, about_extractor(extractor, protocol))


def check_word(extracted: Extracted, extractor: str) -> None:
    """Like `check_extracted`, but by name, before an extractor is opened; only for extractors of this package."""
    words = [str(name).partition(":")[0] for name in (extracted.measured["extractor"], extractor)]
    # An extractor opened by `py:` may have any name.
    if words[0] != words[1] and all(word in EXTRACTORS and word != "py" for word in words):
        _check_measured(extracted.name, extracted.measured, {**extracted.measured, "extractor": extractor})


def _check_measured(name: str, measured: Mapping[str, object], asked: Mapping[str, object]) -> None:
    for key in ("extractor", "weights_sha256", "preprocessing", "precision"):
        stored = measured.get(key, asked[key])
        if stored != asked[key]:
            raise UsageError(
                f"{name} was measured with {key} '{stored}', and this measurement has '{asked[key]}': the "
                "numbers would not be comparable. Measure the reference again, or choose what it was measured with."
            )


def unlabelled(name: str, of: str, why: object) -> str:
    """The error for a metric that needs classes if those of the set `of` are unknown; why: the reason, if known."""
    advice = f"{why}. Correct that, or give" if why else "give"
    return (
        f"The metric '{name}' needs the class of every image, and those of {of} are not known: {advice} a "
        "folder of class folders, or with dataset.json, labels.csv or metadata.jsonl, an .npz with `labels` or "
        "`arr_1` (whole numbers, [N]), a data set (digits:train; in Python, a TensorDataset of images and classes, or "
        "a torch Dataset with `targets`, and not its DataLoader), or a conditional generator."
    )


def check_inputs(settings: Settings, variants: Sequence[Settings], inputs: Sequence[FeatureSet]) -> None:
    """UsageError for inputs that do not fit these settings or variants."""
    several_extractors = len({extractor_name(one.extractor) for one in variants}) > 1
    for one in inputs:
        if one.source is None and len(variants) > 1:
            raise UsageError(
                f"{one.name} holds statistics, measured by one protocol and extractor; for several, give images."
            )
        if one.given is not None and several_extractors:
            raise UsageError(f"{one.name} holds features of one extractor; for several extractors, give images.")
    has_files = any(one.source is not None and "selection" in one.source.describe() for one in inputs)
    if inputs and (settings.include or settings.exclude) and not has_files:
        named = ", ".join(one.name for one in inputs)
        raise UsageError(
            f"include and exclude select among the files of folders, archives and lists, and there are none: {named}."
        )


def check_supported(
    selection: Selection, setup: Setup, real: FeatureSet | None, fakes: Sequence[FeatureSet]
) -> Selection:
    """Check the metrics against the setup and the sets; a lenient selection loses those that cannot be computed.

    Args:
        selection: The metrics.
        setup: The protocol and extractor.
        real: The opened reals; None if no metric uses them, or they are not known yet.
        fakes: The opened fakes.

    Returns:
        The selection.

    Raises:
        UsageError: A metric that was named cannot be computed, or stored statistics were measured otherwise than the
            fakes will be.
        SourceError: Stored statistics have another width than the extractor's features.
    """
    obstacles = {
        name: found
        for name, metric in selection.metrics.items()
        if (found := next(_obstacles(name, metric, setup, real, fakes), None)) is not None
    }
    allowed = _without(selection, obstacles)
    for one in (real, *fakes):
        if one is not None and one.given is not None:
            check_width(one.given, setup.extractor)
        if one is not None and one.extracted is not None:
            check_extracted(one.extracted, setup.extractor, setup.protocol)
    if real is not None and real.stored is not None:
        check_statistics(real.stored, setup.extractor, setup.protocol)
    return allowed


def _without(selection: Selection, obstacles: Mapping[str, tuple[str, str]]) -> Selection:
    """Remove the metrics that cannot be computed; UsageError if the selection is not lenient, or none remain."""
    if not obstacles:
        return selection
    if not selection.lenient:
        raise UsageError(next(iter(obstacles.values()))[1])
    names: dict[str, list[str]] = {}
    for name, (reason, _) in obstacles.items():
        names.setdefault(reason, []).append(name)
    listed = "; ".join(f"{', '.join(some)} ({reason})" for reason, some in names.items())
    metrics = {name: metric for name, metric in selection.metrics.items() if name not in obstacles}
    if not metrics:
        raise UsageError(
            f"None of the requested metrics can be computed for these inputs with this extractor: {listed}."
        )
    before = "" if selection.left_out is None else f"{selection.left_out} "
    return replace(selection, metrics=metrics, left_out=f"{before}Left out: {listed}.")


def _obstacles(
    name: str, metric: Metric, setup: Setup, real: FeatureSet | None, fakes: Sequence[FeatureSet]
) -> Iterator[tuple[str, str]]:
    """Why a metric cannot be computed: as a short phrase for the list of metrics left out, and as an error message."""
    extractor = setup.extractor
    sides = [(real, metric.real), *((fake, metric.fake) for fake in fakes)]
    for one, output in sides:
        if one is not None and output is not None and one.outputs is not None and output not in one.outputs:
            held = " and ".join(sorted(one.outputs))
            yield (
                f"{one.name} holds only {held}, and no {output}",
                f"The metric '{name}' needs {output}, but {one.name} holds only {held}.",
            )
    for output in (metric.real, metric.fake):
        if output is not None and output not in extractor.outputs:
            yield (
                f"the extractor '{extractor.name}' gives no {output}",
                f"The metric '{name}' needs {output}, and the extractor '{extractor.name}' gives only "
                f"{', '.join(sorted(extractor.outputs))}; choose one that has them ({PROVIDERS[output]}).",
            )
    if real is not None and real.source is None and metric.real and not real.takes_stored(metric, metric.real):
        yield (
            f"{real.name} holds only statistics",
            f"The metric '{name}' needs the real images themselves; {real.name} holds only statistics.",
        )
    for one, output in sides if needs_labels(metric) else ():
        if one is not None and output and (one.source is None or one.source.labels is None):
            why = None if one.source is None else one.source.describe().get("unlabelled")
            yield (
                f"the classes of {one.name} are not known" + (f" ({why})" if why else ""),
                unlabelled(name, one.name, why),
            )
