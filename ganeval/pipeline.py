"""What a user names -> opened, checked, read and measured: the way that every command and function goes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganeval.cache import Cache
from ganeval.collect import Collector
from ganeval.errors import SourceError, UsageError
from ganeval.extractors.base import Extractor, Output
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.features import FeatureSet, Progress
from ganeval.measure import (
    Lane,
    Measured,
    MeasuredSet,
    check_outputs,
    find_device,
    measured,
    open_lanes,
    serves,
    with_reals_rows,
)
from ganeval.metrics import Metric
from ganeval.paths import cache_root
from ganeval.protocols import Protocol
from ganeval.provenance import about_extractor, about_source, about_statistics
from ganeval.question import Question, Rows, needs_labels
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport, Source
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.npz import holds_images
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics, is_statistics, read_statistics

CPU_BATCH, GPU_BATCH = 8, 64
Schemes = Mapping[str, Callable[[str], object]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement with everything it looked at.

    reals: None where no metric looks at them.
    """

    lane: Lane
    measured: Measured
    reals: Source | Statistics | None
    fakes: Source
    real: MeasuredSet | None
    fake: MeasuredSet

    def features(self, side: Literal["real", "fake"]) -> Tensor:
        """The features of one side, float32 [N, D]; UsageError where there are only stored statistics, or nothing."""
        found = self.real if side == "real" else self.fake
        if found is None or not isinstance(found.known, FeatureSet):
            raise UsageError(f"The {side} images themselves are needed; there are only statistics of them.")
        return found.known.arrays["features"]

    def index(self, side: Literal["real", "fake"], row: int) -> int:
        """The index in its source of the image that a row of the features belongs to."""
        found = self.real if side == "real" else self.fake
        if found is None or not isinstance(found.known, FeatureSet):
            raise UsageError(f"The {side} images themselves are needed; there are only statistics of them.")
        # Each image that was left out before it moves it up by one.
        for skipped in found.known.report.skipped_indices:
            row += skipped <= row
        return row

    def name(self, side: Literal["real", "fake"], row: int) -> str:
        """The same image, as a person would look for it."""
        index, source = self.index(side, row), self.reals if side == "real" else self.fakes
        assert isinstance(source, Source)
        return source.item_name(index)


@dataclass(frozen=True, slots=True)
class Plan:
    """A question that can be answered, as far as can be known before the first image is decoded.

    reals: None where no metric looks at them. fakes: one source a generator. stored: statistics that lie beside the
    reals, for the metrics that take moments. remark: on how the reference is used.
    """

    question: Question
    settings: Settings
    lanes: Sequence[Lane]
    reals: Source | Statistics | None
    fakes: Sequence[Source]
    stored: Statistics | None = None
    remark: str | None = None

    @classmethod
    def of(
        cls,
        real: object,
        fakes: Sequence[object],
        question: Question,
        *,
        settings: Settings,
        protocols: Sequence[Protocol],
        schemes: Schemes | None,
    ) -> "Plan":
        """Open everything; SourceError and UsageError for what can be wrong."""
        opened = [open_images(fake, settings, schemes) for fake in fakes]
        # How many to draw from a generator says nothing of a folder of reals: that is used whole, as every paper does.
        whole = any(isinstance(source, GeneratorSource) for source in opened)
        looks_at_reals = any(row.real for row in question.rows.values())
        reference = open_reference(real, settings, schemes, whole=whole) if looks_at_reals else Reference()
        reference.check(protocols)
        check_selected(settings, [*opened, *reference.sides])
        lanes = lanes_for(settings, protocols, [*reference.sides, *opened])
        reference = reference.fitting(lanes, question.rows)
        reals = reference.reals
        question = narrowed(question, lanes[0], reals, opened)
        for lane in lanes:
            _check_lane(lane, question.rows, reference.statistics, reals, opened)
        return cls(question, settings, lanes, reals, opened, reference.beside, reference.remark)

    def measure(self, progress: Progress) -> list[list[Measurement]]:
        """For every generator a measurement a lane; the reals are read once."""
        collector = open_collector(self.settings, self.lanes, progress)
        collector.warnings += [] if self.remark is None else [self.remark]
        rows, also = self.question.rows.values(), self.question.also & self.lanes[0].extractor.outputs
        of_images = [row.real for row in rows if not serves(self.stored, row, row.real)]
        reals = self._with_stored(read(collector, self.reals, self.lanes, [*of_images, *also]))
        needed = [*(row.fake for row in rows), *also]
        return [
            [
                self._measurement(lane, collector, source, real, fake)
                for lane, real, fake in zip(self.lanes, reals, read(collector, source, self.lanes, needed), strict=True)
                if fake is not None
            ]
            for source in self.fakes
        ]

    def _with_stored(self, reals: Sequence[MeasuredSet | None]) -> Sequence[MeasuredSet | None]:
        """The reals in every lane, and the statistics beside them."""
        if self.stored is None:
            return reals
        about = {"beside": None, "statistics": about_statistics(self.stored)}
        return [side and replace(side, stored=self.stored, about={**side.about, **about}) for side in reals]

    def _measurement(
        self, lane: Lane, collector: Collector, source: Source, real: MeasuredSet | None, fake: MeasuredSet
    ) -> Measurement:
        fake = with_reals_rows(real, fake)
        found = measured(self.question, lane, collector, seed=self.settings.seed, real=real, fake=fake)
        return Measurement(lane, found, self.reals, source, real, fake)


@dataclass(frozen=True, slots=True)
class Reference:
    """The real side as it was opened: images, statistics of them, or both, as ADM's reference batches hold them.

    remark: what to know of how it is used.
    """

    images: Source | None = None
    statistics: Statistics | None = None
    remark: str | None = None

    @property
    def sides(self) -> list[Source | Statistics]:
        """All there is."""
        return [side for side in (self.images, self.statistics) if side is not None]

    @property
    def reals(self) -> Source | Statistics | None:
        """What stands for the reals: the images, where there are any."""
        return self.statistics if self.images is None else self.images

    @property
    def beside(self) -> Statistics | None:
        """The statistics that lie beside images."""
        return None if self.images is None else self.statistics

    def check(self, protocols: Sequence[Protocol]) -> None:
        """UsageError for statistics alone, which are of one protocol, where several are asked for."""
        if self.statistics is not None and self.images is None and len(protocols) > 1:
            raise UsageError(
                f"{self.statistics.name} holds statistics, measured by one protocol; several can be compared on images "
                "alone."
            )

    def fitting(self, lanes: Sequence[Lane], rows: Rows) -> "Reference":
        """Of images and statistics what these lanes and metrics can use: moments are taken from the statistics."""
        stored, images = self.statistics, self.images
        if stored is None or images is None:
            return self
        width, extractor = len(stored.features.mean), lanes[0].extractor
        if len(lanes) > 1 or extractor.dimensions not in (None, width):
            reason = (
                "which are of one protocol"
                if len(lanes) > 1
                else f"of {width} dimensions, where the extractor '{extractor.name}' gives {extractor.dimensions}"
            )
            return Reference(
                images, remark=f"{stored.name} holds images and statistics, {reason}: all metrics took the images."
            )
        served = {serves(stored, row, row.real) for row in rows.values() if row.real is not None}
        if served == {True}:
            remark = f"{stored.name} holds images, too; the metrics asked for took its statistics."
            return Reference(statistics=stored, remark=remark)
        return self if True in served else Reference(images)


def open_images(spec: object, settings: Settings, schemes: Schemes | None, *, whole: bool = False) -> Source:
    """A source with the settings' choice of its images. whole: all of what has indices, whatever `num_samples` says."""
    return open_source(
        spec,
        num_samples=settings.num_samples,
        seed=settings.seed,
        schemes=schemes,
        whole=whole,
        include=settings.include,
        exclude=settings.exclude,
        value_range=settings.value_range,
    )


def open_reference(real: object, settings: Settings, schemes: Schemes | None, *, whole: bool = False) -> Reference:
    """The real side: images, stored statistics of them, or both. whole: whatever `num_samples` says."""
    if real is None:
        raise UsageError("A metric that was asked for compares with real images, and there are none; give REAL.")
    if isinstance(real, str | Path) and is_statistics(Path(real)):
        statistics = read_statistics(Path(real))
        images = open_images(real, settings, schemes, whole=whole) if holds_images(Path(real)) else None
        return Reference(images, statistics)
    return Reference(open_images(real, settings, schemes, whole=whole))


def check_selected(settings: Settings, sources: Sequence[Source | Statistics]) -> None:
    """UsageError where patterns select among files, and no source has any."""
    if not (settings.include or settings.exclude):
        return
    if not any(isinstance(source, Source) and "selection" in source.describe() for source in sources):
        named = ", ".join(source.name for source in sources)
        raise UsageError(
            f"include and exclude select among the files of folders, archives and lists, and there are none: {named}."
        )


def lanes_for(
    settings: Settings, protocols: Sequence[Protocol], sides: Sequence[Source | Statistics]
) -> Sequence[Lane]:
    """One lane a protocol; where all sides are features and statistics, with what stands for the extractor of these.

    UsageError for features that were measured otherwise than what they are compared with, as far as that is known.
    """
    features = [side for side in sides if isinstance(side, Features)]
    others = [side for side in sides if not isinstance(side, Features)]
    if not features:
        return open_lanes(settings, protocols)
    _check_stated(features)
    images = next((side for side in others if not isinstance(side, Statistics)), None)
    if images is None:
        stated = next((side.extractor for side in features if side.extractor is not None), None)
        width, device = features[0].rows.shape[1], find_device(settings.device)
        return [Lane(protocol, PrecomputedExtractor(stated, width, device=device)) for protocol in protocols]
    for side in features:
        _check_fits(side, images, settings.extractor)
    lanes = open_lanes(settings, protocols)
    for side in features:
        _check_width(side, lanes[0].extractor)
    return lanes


def _check_stated(features: Sequence[Features]) -> None:
    """UsageError where features are of different extractors, by what is said of them or by their width."""
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


def _check_fits(side: Features, images: Source, extractor: str) -> None:
    """UsageError unless features say that they are of the extractor that images will be measured with."""
    if side.extractor is None:
        raise UsageError(
            f"{side.name} holds features and does not say of which extractor, and {images.name} holds images. Give "
            f"features of both; or, if these are of '{extractor}', say so: features:FILE?extractor={extractor}, in "
            f"Python ganeval.Features(array, extractor='{extractor}')."
        )
    if side.extractor != extractor:
        raise UsageError(
            f"{side.name} holds features of '{side.extractor}', and the images of {images.name} would be measured with "
            f"'{extractor}'. Choose the extractor that the features are of, or give features of both."
        )


def _check_width(side: Features, extractor: Extractor) -> None:
    width = side.rows.shape[1]
    if extractor.dimensions not in (None, width):
        raise UsageError(
            f"{side.name} is said to be of '{side.extractor}', which gives {extractor.dimensions} dimensions; it has "
            f"{width}."
        )


def open_collector(settings: Settings, lanes: Sequence[Lane], progress: Progress) -> Collector:
    """What reads sources for these lanes, with the settings' batches, threads and cache."""
    on_cpu = lanes[0].extractor.device.startswith("cpu")
    reading = Reading(
        batch_size=settings.batch_size or (CPU_BATCH if on_cpu else GPU_BATCH),
        workers=settings.decoding_threads,
        on_error=settings.on_error,
    )
    cache = Cache(settings.cache_dir or cache_root()) if settings.cache else None
    return Collector([lane.extractor for lane in lanes], reading, cache, progress)


def read(
    collector: Collector, side: Source | Statistics | None, lanes: Sequence[Lane], needed: Iterable[Output | None]
) -> Sequence[MeasuredSet | None]:
    """One side in every lane: its features, or the statistics it is."""
    if side is None:
        return [None] * len(lanes)
    if isinstance(side, Statistics):
        return [MeasuredSet(side, about_statistics(side), side.count)] * len(lanes)
    if isinstance(side, Features):
        rows = FeatureSet({"features": side.rows}, side.digest(), ReadReport())
        about, labels = about_source(side, rows), _labels(side, rows)
        return [MeasuredSet(rows, about, len(side), labels=labels, class_names=side.class_names)] * len(lanes)
    outputs = frozenset(output for output in needed if output is not None)
    return [
        MeasuredSet(
            features,
            about_source(side, features),
            len(features),
            labels=_labels(side, features),
            class_names=getattr(side, "class_names", None),
        )
        for features in collector.features(side, outputs)
    ]


def _labels(source: Source, features: FeatureSet) -> Tensor | None:
    """The classes of the images that were not skipped, int64 [N]."""
    if source.labels is None:
        return None
    labels = np.delete(np.asarray(source.labels, np.int64), features.report.skipped_indices)
    return torch.from_numpy(labels)


def narrowed(question: Question, lane: Lane, reals: Source | Statistics | None, fakes: Sequence[Source]) -> Question:
    """The question as it is; a lenient one without metrics that this extractor and these sets do not allow."""
    if not question.lenient:
        return question
    found = {name: _obstacle(row, lane.extractor, reals, fakes) for name, row in question.rows.items()}
    return question.without({name: reason for name, reason in found.items() if reason is not None})


def _obstacle(
    row: Metric, extractor: Extractor, reals: Source | Statistics | None, fakes: Sequence[Source]
) -> str | None:
    """Why a metric cannot be had, as far as can be known before the first image is decoded."""
    for source, output in ((reals, row.real), *((fake, row.fake) for fake in fakes)):
        if isinstance(source, Features) and output not in (None, "features"):
            return f"{source.name} holds features alone, and no {output}"
    for output in (row.real, row.fake):
        if output is not None and output not in extractor.outputs:
            return f"the extractor '{extractor.name}' gives no {output}"
    if isinstance(reals, Statistics):
        return f"{reals.name} holds only statistics" if row.real and not row.takes_moments else None
    if needs_labels(row):
        for source in (reals, *fakes):
            if source is not None and source.labels is None:
                why = source.describe().get("unlabelled")
                return f"the classes of {source.name} are not known" + (f" ({why})" if why else "")
    return None


def _check_lane(
    lane: Lane, rows: Rows, stored: Statistics | None, reals: Source | Statistics | None, fakes: Sequence[Source]
) -> None:
    for name, row in rows.items():
        if isinstance(reals, Statistics) and row.real and not row.takes_moments:
            raise UsageError(
                f"The metric '{name}' needs the real images themselves; {reals.name} holds only statistics."
            )
        for source, output in ((reals, row.real), *((fake, row.fake) for fake in fakes)):
            if isinstance(source, Features) and output not in (None, "features"):
                raise UsageError(f"The metric '{name}' needs {output}, and {source.name} holds features alone.")
    check_outputs(lane.extractor, rows)
    if stored is not None:
        _check_statistics(stored, lane)


def _check_statistics(statistics: Statistics, lane: Lane) -> None:
    """Stored statistics must have been measured as the fakes will be, as far as the file says."""
    if lane.extractor.dimensions not in (None, len(statistics.features.mean)):
        raise SourceError(
            f"{statistics.name} holds statistics of {len(statistics.features.mean)} dimensions; the extractor "
            f"'{lane.extractor.name}' gives {lane.extractor.dimensions}. Choose the extractor they were made with."
        )
    asked = about_extractor(lane.extractor, lane.protocol)
    if isinstance(lane.extractor, PrecomputedExtractor):
        asked = {**(statistics.measured or asked), "extractor": lane.extractor.stated}
        if lane.extractor.stated is None:
            return
    for key in ("extractor", "weights_sha256", "preprocessing", "precision"):
        stored = (statistics.measured or {}).get(key, asked[key])
        if stored != asked[key]:
            raise UsageError(
                f"{statistics.name} was measured with {key} '{stored}', and this measurement has '{asked[key]}': the "
                "numbers would not be comparable. Measure the reference again, or choose what it was measured with."
            )
