"""Every reason why inputs or metrics are refused, as far as it is known before the first image is decoded."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ganeval.errors import SourceError, UsageError
from ganeval.extractors import extractor_name
from ganeval.extractors.base import Output
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.inputs import Input, Setup
from ganeval.metrics import Metric
from ganeval.protocols import Protocol
from ganeval.provenance import about_extractor
from ganeval.selection import Selection, needs_labels
from ganeval.settings import Settings
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics

# Which extractors provide each output.
PROVIDERS: Mapping[Output, str] = MappingProxyType(
    {
        "features": "inception, digits, pixels",
        "logits": "inception, digits",
        "spatial": "inception, digits",
        "images": "pixels:32",
    }
)


def check_inputs(settings: Settings, protocols: Sequence[Protocol], inputs: Sequence[Input]) -> None:
    """UsageError for inputs that do not fit these settings, or each other."""
    for one in inputs:
        if one.images is None and len(protocols) > 1:
            raise UsageError(
                f"{one.name} holds statistics, measured by one protocol; several can be compared on images alone."
            )
    has_files = any(one.images is not None and "selection" in one.images.describe() for one in inputs)
    if (settings.include or settings.exclude) and not has_files:
        named = ", ".join(one.name for one in inputs)
        raise UsageError(
            f"include and exclude select among the files of folders, archives and lists, and there are none: {named}."
        )
    features = [one.images for one in inputs if isinstance(one.images, Features)]
    if features:
        others = [one for one in inputs if not isinstance(one.images, Features)]
        _check_features(features, others, extractor_name(settings.extractor))


def _check_features(features: Sequence[Features], others: Sequence[Input], extractor: str) -> None:
    """UsageError for features of different extractors, or beside images that another one would measure."""
    stated = {side.extractor: side.name for side in features if side.extractor is not None}
    widths = {side.rows.shape[1]: side.name for side in features}
    if len(stated) > 1:
        (one, first), (other, second) = list(stated.items())[:2]
        raise UsageError(
            f"{first} holds features of '{one}' and {second} of '{other}': distances between these say nothing."
        )
    if len(widths) > 1:
        (wide, first), (wider, second) = list(widths.items())[:2]
        raise UsageError(
            f"{first} has {wide} dimensions and {second} has {wider}: features of two extractors are not compared."
        )
    images = next((one.name for one in others if one.images is not None), None)
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


def fitting(real: Input | None, setups: Sequence[Setup], selection: Selection) -> Input | None:
    """Of the reals' images and statistics what these setups and metrics can use: moments come from the statistics."""
    if real is None or real.stored is None or real.images is None:
        return real
    stored, extractor = real.stored, setups[0].extractor
    width = len(stored.features.mean)
    if len(setups) > 1 or extractor.dimensions not in (None, width):
        reason = (
            "which are of one protocol"
            if len(setups) > 1
            else f"of {width} dimensions, where the extractor '{extractor.name}' gives {extractor.dimensions}"
        )
        remark = f"{stored.name} holds images and statistics, {reason}: all metrics took the images."
        return Input(real.images, remark=remark)
    took = {real.takes_stored(metric) for metric in selection.metrics.values() if metric.real is not None}
    if took == {True}:
        remark = f"{stored.name} holds images, too; the metrics asked for took its statistics."
        return Input(stored=stored, remark=remark)
    return real if True in took else Input(real.images)


def check_supported(
    selection: Selection, setups: Sequence[Setup], real: Input | None, fakes: Sequence[Input]
) -> Selection:
    """The selection; a lenient one without the metrics that the extractor and these sets do not allow.

    UsageError for a metric that was named and cannot be computed, SourceError and UsageError for stored statistics that
    were measured otherwise than the fakes will be.
    """
    for setup in setups:
        obstacles = {
            name: found
            for name, metric in selection.metrics.items()
            if (found := next(_obstacles(name, metric, setup, real, fakes), None)) is not None
        }
        if obstacles and not selection.lenient:
            raise UsageError(next(iter(obstacles.values()))[1])
        selection = selection.without({name: reason for name, (reason, _) in obstacles.items()})
        for one in (real, *fakes):
            if one is not None and isinstance(one.images, Features):
                _check_width(one.images, setup)
        if real is not None and real.stored is not None:
            _check_statistics(real.stored, setup)
    return selection


def _obstacles(
    name: str, metric: Metric, setup: Setup, real: Input | None, fakes: Sequence[Input]
) -> Iterator[tuple[str, str]]:
    """Why a metric cannot be computed: in short, for a list of those left out, and as an error."""
    extractor = setup.extractor
    sides = [(real, metric.real), *((fake, metric.fake) for fake in fakes)]
    for one, output in sides:
        if one is not None and isinstance(one.images, Features) and output not in (None, "features"):
            yield (
                f"{one.name} holds features alone, and no {output}",
                f"The metric '{name}' needs {output}, and {one.name} holds features alone.",
            )
    for output in (metric.real, metric.fake):
        if output is not None and output not in extractor.outputs:
            yield (
                f"the extractor '{extractor.name}' gives no {output}",
                f"The metric '{name}' needs {output}, and the extractor '{extractor.name}' gives only "
                f"{', '.join(sorted(extractor.outputs))}; choose one that has them ({PROVIDERS[output]}).",
            )
    if real is not None and real.images is None and metric.real and not real.takes_stored(metric):
        yield (
            f"{real.name} holds only statistics",
            f"The metric '{name}' needs the real images themselves; {real.name} holds only statistics.",
        )
    for one, output in sides if needs_labels(metric) else ():
        if one is not None and output and (one.images is None or one.images.labels is None):
            why = None if one.images is None else one.images.describe().get("unlabelled")
            yield (
                f"the classes of {one.name} are not known" + (f" ({why})" if why else ""),
                unlabelled(name, one.name, why),
            )


def unlabelled(name: str, of: str, why: object) -> str:
    """The error of a metric of classes where those of a set are not known. why: none were read, where that is known."""
    advice = f"{why}. Mend that, or give" if why else "give"
    return (
        f"The metric '{name}' needs the class of every image, and those of {of} are not known: {advice} a "
        "folder of class folders, or with dataset.json, labels.csv or metadata.jsonl, an .npz with `labels` or "
        "`arr_1` (whole numbers, [N]), a data set, or a conditional generator."
    )


def _check_width(side: Features, setup: Setup) -> None:
    """UsageError for features that are not as wide as those of the extractor that they are said to be of."""
    width = side.rows.shape[1]
    if setup.extractor.dimensions not in (None, width):
        raise UsageError(
            f"{side.name} is said to be of '{side.extractor}', which gives {setup.extractor.dimensions} dimensions; it "
            f"has {width}."
        )


def _check_statistics(statistics: Statistics, setup: Setup) -> None:
    """Stored statistics must have been measured as the fakes will be, as far as the file says."""
    extractor = setup.extractor
    if extractor.dimensions not in (None, len(statistics.features.mean)):
        raise SourceError(
            f"{statistics.name} holds statistics of {len(statistics.features.mean)} dimensions; the extractor "
            f"'{extractor.name}' gives {extractor.dimensions}. Choose the extractor they were made with."
        )
    asked = about_extractor(extractor, setup.protocol)
    if isinstance(extractor, PrecomputedExtractor):
        if extractor.stated is None:
            return
        asked = {**(statistics.measured or asked), "extractor": extractor.stated}
    for key in ("extractor", "weights_sha256", "preprocessing", "precision"):
        stored = (statistics.measured or {}).get(key, asked[key])
        if stored != asked[key]:
            raise UsageError(
                f"{statistics.name} was measured with {key} '{stored}', and this measurement has '{asked[key]}': the "
                "numbers would not be comparable. Measure the reference again, or choose what it was measured with."
            )
