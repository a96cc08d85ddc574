"""Sets of features -> Evaluation: the step that folders, streams and every protocol share."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor
from torch.backends import mps

from ganeval.collect import Collector
from ganeval.errors import MetricError, UsageError
from ganeval.extractors import open_extractor
from ganeval.extractors.base import Extractor, Output, Precision
from ganeval.features import FeatureSet, copied, with_rows_of
from ganeval.images import range_doubt
from ganeval.matching import Labelled, Matched, matched
from ganeval.metrics import Metric
from ganeval.metrics.moments import Gaussian, check_count
from ganeval.options import CALLED, COPIES, Options, defaults, options_key, takes
from ganeval.protocols import Protocol
from ganeval.provenance import doubts, doubts_of_features, provenance
from ganeval.question import Question, Rows, needs_labels
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from ganeval.sources.repeats import repeats_doubt
from ganeval.sources.statistics import Statistics
from ganeval.uncertainty import Estimate

# Extractors that have what others have not.
GIVERS: Mapping[Output, str] = MappingProxyType(
    {
        "features": "inception, digits, pixels",
        "logits": "inception, digits",
        "spatial": "inception, digits",
        "images": "pixels:32",
    }
)


@dataclass(frozen=True, slots=True)
class Lane:
    """One protocol and its extractor; a measurement runs one or several side by side over the same images."""

    protocol: Protocol
    extractor: Extractor


@dataclass(frozen=True, slots=True)
class MeasuredSet:
    """One side of a measurement in one lane: features, or stored statistics in their place.

    labels: int64 [N], one class an image, where they are known; class_names: of classes 0, 1, ..., where they have any.
    stored: statistics that lie beside the images, for the metrics that take moments.
    """

    known: FeatureSet | Statistics
    about: Mapping[str, object]
    count: int | None
    labels: Tensor | None = None
    class_names: Sequence[str] | None = None
    stored: Statistics | None = None

    def statistics(self, row: Metric, output: Output) -> Statistics | None:
        """The stored statistics that a metric takes of this side; None for one that takes its features."""
        if isinstance(self.known, Statistics):
            return self.known
        return self.stored if serves(self.stored, row, output) else None


def serves(stored: Statistics | None, row: Metric, output: Output | None) -> bool:
    """Whether a metric can take statistics in the place of the reals' features."""
    if stored is None or output is None or not row.takes_moments:
        return False
    return output != "spatial" or stored.spatial is not None


def with_reals_rows(real: MeasuredSet | None, fake: MeasuredSet) -> MeasuredSet:
    """The fakes, in which an image that is a real has that one's features to the last digit."""
    if real is None or not isinstance(real.known, FeatureSet) or not isinstance(fake.known, FeatureSet):
        return fake
    return replace(fake, known=with_rows_of(real.known, fake.known))


def open_lanes(settings: Settings, protocols: Sequence[Protocol]) -> list[Lane]:
    """One lane a protocol, on the device the settings name."""
    device, precision = find_device(settings.device), cast(Precision, settings.precision)
    return [
        Lane(
            protocol,
            open_extractor(
                settings.extractor, protocol=protocol, weights=settings.weights, device=device, precision=precision
            ),
        )
        for protocol in protocols
    ]


def find_device(name: str) -> str:
    """ "auto" or a name of torch's => the name of a device that works here; UsageError otherwise."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # To and from it: "meta" takes numbers, but gives none back.
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # CUDA says what is amiss with it; others list everything that torch could have been built with.
        reason = f" ({str(error).splitlines()[0].rstrip('.')})" if name.startswith("cuda") else ""
        here = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if mps.is_available() else [])]
        raise UsageError(
            f"The device '{name}' cannot be used here{reason}. This machine has {' and '.join(here)}; choose that, or "
            "auto."
        ) from error
    return name


def check_outputs(extractor: Extractor, rows: Rows) -> None:
    """UsageError when a metric needs what the extractor cannot give."""
    for name, row in rows.items():
        for output in (row.real, row.fake):
            if output is not None and output not in extractor.outputs:
                raise UsageError(
                    f"The metric '{name}' needs {output}, and the extractor '{extractor.name}' gives only "
                    f"{', '.join(sorted(extractor.outputs))}; choose one that has them ({GIVERS[output]})."
                )


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation, and the estimates it was made of, which know more than can be written down."""

    evaluation: Evaluation
    estimates: Mapping[str, Estimate]


def measured(
    question: Question, lane: Lane, collector: Collector, *, seed: int, real: MeasuredSet | None, fake: MeasuredSet
) -> Measured:
    """Every metric in one lane, with its provenance.

    MetricError for one that cannot be had; of a lenient question, where none can.
    """
    sides = [side for side in (real, fake) if side is not None]
    found, refused = (*doubts(lane.extractor), *doubts_of_features(side.about for side in sides)), []
    estimates: dict[str, Estimate] = {}
    results: dict[str, MetricResult] = {}
    families: dict[str, Mapping[str, Estimate] | MetricError] = {}
    for name, row in question.rows.items():
        options = _options(name, row, lane.protocol, question.options)
        key = options_key(name, row)
        if key not in families:
            families[key] = _computed(name, row, options, lane, collector, real=real, fake=fake)
        given = families[key]
        if isinstance(given, MetricError):
            refused.append((name, given))
            continue
        estimates[name] = given[name]
        results[name] = _result(given[name], row, options, real=real, fake=fake)
    if refused and (not question.lenient or not results):
        name, reason = refused[0]
        raise MetricError(f"{name}: {reason}") from reason
    evaluation = Evaluation(
        metrics=results,
        provenance=provenance(
            lane.extractor,
            lane.protocol,
            dimensions=_width(fake),
            seed=seed,
            real=None if real is None else real.about,
            fake=fake.about,
        ),
        comparable=not found,
        warnings=(
            *found,
            *_caveats(real, question.rows, lane.extractor),
            *dict.fromkeys(remark for side in sides for remark in _remarks(side)),
            *_class_caveats(question.rows, real, fake),
            *collector.warnings,
            *(() if question.left_out is None else (question.left_out,)),
            *(f"{name} was not measured: {reason}" for name, reason in refused),
        ),
    )
    return Measured(evaluation, estimates)


def _caveats(real: MeasuredSet | None, rows: Rows, extractor: Extractor) -> Iterator[str]:
    """What a reference leaves unsaid, and which part of it was taken where it has several."""
    if real is None:
        return
    stored = real.known if isinstance(real.known, Statistics) else real.stored
    if stored is None:
        return
    if real.stored is not None:
        took = {True: [], False: []}  # type: dict[bool, list[str]]
        for name, row in rows.items():
            if row.real is not None:
                took[real.statistics(row, row.real) is not None].append(name)
        yield (
            f"{stored.name} holds {real.count} images and statistics: {', '.join(took[True])} took the statistics, "
            f"{', '.join(took[False])} the images."
        )
    if stored.measured is None:
        yield (
            f"{stored.name} does not say how its statistics were measured: the number is right only if that was with "
            f"{extractor.name} ({extractor.preprocessing}) and the same weights."
        )


def _remarks(side: MeasuredSet) -> Iterator[str]:
    """What is suspicious about the values of images, and about generators that repeat themselves."""
    if isinstance(side.known, Statistics):
        return
    report, name = side.known.report, side.about.get("name", "")
    for doubt in (
        range_doubt(report.range_use, str(side.about.get("range", "uint8"))),
        repeats_doubt(report.repeats, len(side.known)),
    ):
        if doubt is not None:
            yield f"{name} {doubt}"


def _class_caveats(rows: Rows, real: MeasuredSet | None, fake: MeasuredSet) -> tuple[str, ...]:
    """What is taken for granted of classes, where a metric looks at them."""
    found = _matched(real, fake) if any(map(needs_labels, rows.values())) else None
    return () if found is None or found.caveat is None else (found.caveat,)


def _width(side: MeasuredSet) -> int | None:
    features = None if isinstance(side.known, Statistics) else side.known.arrays.get("features")
    return None if features is None else features.shape[1]


def _computed(
    name: str,
    row: Metric,
    options: Mapping[str, object],
    lane: Lane,
    collector: Collector,
    *,
    real: MeasuredSet | None,
    fake: MeasuredSet,
) -> Mapping[str, Estimate] | MetricError:
    """A row's estimates, those of its whole family by name, or why there are none."""
    sides = [(side, output) for side, output in ((real, row.real), (fake, row.fake)) if side is not None and output]
    data = _labels(name, row, real=real, fake=fake) | _copies(row, real=real, fake=fake)
    try:
        ddof = cast(int, options.get("ddof", lane.protocol.ddof))
        arrays = [_array(side, output, row, lane, collector, ddof=ddof) for side, output in sides]
        given = row.compute(*arrays, **data, **options)
        found = {name: given} if isinstance(given, Estimate) else given
        _check_finite(found, arrays)
    except MetricError as error:
        return error
    return found


def _check_finite(estimates: Mapping[str, Estimate], arrays: Sequence[Tensor | Gaussian]) -> None:
    """MetricError for an estimate with a number that is none."""
    for name, one in estimates.items():
        error, interval = one.standard_error, one.interval
        known = (one.value, 0.0 if error is None else error, *(interval or ()), *one.details.values())
        if not all(map(math.isfinite, known)):
            raise MetricError(
                f"{name} of values as large as {max(map(_largest, arrays)):.3g} is beyond what float64 can hold. Give "
                "an extractor whose features are smaller, or leave out those that are so large."
            )


def _largest(data: Tensor | Gaussian) -> float:
    """The largest value of an array; of moments, the largest mean or standard deviation."""
    if isinstance(data, Gaussian):
        return max(float(data.mean.abs().max()), float(data.covariance.diagonal().max().sqrt()))
    return float(data.abs().max())


def _result(
    estimate: Estimate, row: Metric, options: Mapping[str, object], *, real: MeasuredSet | None, fake: MeasuredSet
) -> MetricResult:
    return MetricResult(
        value=estimate.value,
        standard_error=estimate.standard_error,
        interval=estimate.interval,
        direction=row.direction,
        n_real=None if real is None or row.real is None else _count(real, row, row.real),
        n_fake=cast(int, fake.count),
        method=estimate.method,
        options=options,
        details=estimate.details,
        notes=estimate.notes,
        ideal=row.ideal,
    )


def _count(real: MeasuredSet, row: Metric, output: Output) -> int | None:
    """The reals behind a metric; None where stored statistics do not say it."""
    stored = real.statistics(row, output)
    return real.count if stored is None else stored.count


def _options(name: str, row: Metric, protocol: Protocol, asked: Options) -> dict[str, object]:
    """All of a metric's options: its defaults, what the protocol fixes, and what was asked for."""
    key, known = options_key(name, row), defaults(row.compute)
    fixed: dict[str, object] = {"ddof": protocol.ddof} if "ddof" in known else {}
    return {**known, **fixed, **protocol.options.get(key, {}), **asked.get(key, {})}


def _labels(name: str, row: Metric, *, real: MeasuredSet | None, fake: MeasuredSet) -> dict[str, object]:
    """The classes that a metric asks for, under the same numbers in both sets, and what they are called."""
    if not needs_labels(row):
        return {}
    for side in (real, fake):
        if side is None or side.labels is None:
            about: Mapping[str, object] = {} if side is None else side.about
            whose = about.get("name", "one set")
            why = f"{about['unlabelled']}. Mend that, or give" if "unlabelled" in about else "give"
            raise UsageError(
                f"The metric '{name}' needs the class of every image, and those of {whose} are not known: {why} a "
                "folder of class folders, or with dataset.json, labels.csv or metadata.jsonl, an .npz with `labels` or "
                "`arr_1` (whole numbers, [N]), a data set, or a conditional generator."
            )
    found = _matched(real, fake)
    assert found is not None
    return {"real_labels": found.real, "fake_labels": found.fake, CALLED: found.names}


def _copies(row: Metric, *, real: MeasuredSet | None, fake: MeasuredSet) -> dict[str, object]:
    """Which fakes are images of the reals, where a metric asks and pixels are known."""
    if not takes(row.compute, COPIES) or real is None:
        return {}
    if not isinstance(real.known, FeatureSet) or not isinstance(fake.known, FeatureSet):
        return {}
    places = copied(real.known, fake.known)
    return {} if places is None else {COPIES: places >= 0}


def _matched(real: MeasuredSet | None, fake: MeasuredSet) -> Matched | None:
    """The classes of both sets; None where they are not known."""
    if real is None or real.labels is None or fake.labels is None:
        return None
    return matched(Labelled(real.labels, real.class_names), Labelled(fake.labels, fake.class_names))


def _array(
    side: MeasuredSet, output: Output, row: Metric, lane: Lane, collector: Collector, *, ddof: int
) -> Tensor | Gaussian:
    """What a metric is handed: an array on the device that measures, or its moments where these are smaller."""
    # Float64 is for CPUs and CUDA alone; features are small beside what made them.
    device = lane.extractor.device if lane.extractor.device.startswith("cuda") else "cpu"
    stored = side.statistics(row, output)
    if stored is not None:
        return _stored(stored, output, ddof, device)
    assert isinstance(side.known, FeatureSet)
    array = side.known.arrays[output].to(device)
    if row.takes_moments and len(array) > array.shape[1]:
        return collector.moments(side.known, lane.extractor, output).to(device).gaussian(ddof=ddof, features=array)
    return array


def _stored(statistics: Statistics, output: Output, ddof: int, device: str) -> Gaussian:
    """Statistics of a file, over n - ddof where the file says what n is; as they are where not."""
    stored = statistics.spatial if output == "spatial" else statistics.features
    if stored is None:
        raise UsageError(f"{statistics.name} has no statistics of {output} features.")
    mean, covariance = torch.from_numpy(stored.mean), torch.from_numpy(stored.covariance)
    if statistics.count is not None and statistics.ddof is not None:
        check_count(statistics.count, ddof)
        covariance = covariance * ((statistics.count - statistics.ddof) / (statistics.count - ddof))
    return Gaussian(mean.to(device), covariance.to(device), statistics.count)
