"""Whether sets can be measured together: given features and statistics are of one extractor, and classes are known."""

from collections.abc import Callable, Mapping, Sequence

from ganeval.errors import SourceError, UsageError
from ganeval.extractors import EXTRACTORS
from ganeval.extractors.base import Extractor
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.protocols import Protocol
from ganeval.provenance import about_extractor
from ganeval.sources.base import ReadReport
from ganeval.sources.extracted import Extracted
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics


def check_sizes(extractor: Extractor, report: ReadReport) -> None:
    """The sizes of images that were read must fit an extractor that needs one, and those it was asked about before.

    Args:
        extractor: Any extractor.
        report: Of the reading of a set.

    Raises:
        ExtractorError: The extractor does not compare images of these sizes.
    """
    check_size: Callable[[int, int], None] | None = getattr(extractor, "check_size", None)
    if check_size is not None:
        for width, height in report.sizes:
            check_size(width, height)


def check_features(features: Sequence[Features], images: str | None, extractor: str) -> None:
    """Given features must be of one extractor, and of that of the images next to them.

    Args:
        features: Every set of features that was given.
        images: The name of a set of images among the other sets; None where there is none.
        extractor: What extracts the features of images, as the settings name it.

    Raises:
        UsageError: They are of different extractors or widths, or do not say that they are of this one.
    """
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
    """UsageError for features that are not as wide as those of the extractor that they are said to be of."""
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
    """As `check_extracted`, of extractors of this package alone, by their names before one is opened."""
    words = [str(name).partition(":")[0] for name in (extracted.measured["extractor"], extractor)]
    # What `py:` names may call itself by any name.
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
    """The error of a metric of classes where those of the set `of` are not known; why: none were read, where known."""
    advice = f"{why}. Mend that, or give" if why else "give"
    return (
        f"The metric '{name}' needs the class of every image, and those of {of} are not known: {advice} a "
        "folder of class folders, or with dataset.json, labels.csv or metadata.jsonl, an .npz with `labels` or "
        "`arr_1` (whole numbers, [N]), a data set (digits:train; in Python, a TensorDataset of images and classes, or "
        "a torch Dataset with `targets`, and not its DataLoader), or a conditional generator."
    )
