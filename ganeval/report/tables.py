"""The tables of a report: values next to their floor, differences, verdicts, and how everything was measured."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ganeval.comparison import Difference, differences
from ganeval.gate import mismatches
from ganeval.gate.comparability import covariance
from ganeval.report.inputs import ReportInputs, Subject
from ganeval.results import CLASS, Evaluation, MetricResult
from ganeval.tables import class_cells, metric_cells, spread_cells
from ganeval.wording import NONE, direction_text, images_text, result_text

# Left and right of a strip, as a share of what it shows.
MARGIN = 0.06
# Classes in a table.
MAX_CLASSES = 40


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval on a strip, in percent of its width; low and high are None where there is none."""

    low: float | None
    value: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Strip:
    """Intervals of one metric on one scale, a bar a generator. floor, ideal: marks on it, where they are known."""

    bars: tuple[Bar | None, ...]
    floor: float | None
    ideal: float | None


@dataclass(frozen=True, slots=True)
class ValueCell:
    """A value as it is shown. best: whether it may be compared with all others, and none is better."""

    value: str
    interval: str
    images: str
    best: bool
    notes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of every generator, None where one has not got it; references: of what they are shown next to."""

    metric: str
    title: str
    better: str
    floor: str | None
    cells: tuple[ValueCell | None, ...]
    references: tuple[ValueCell | None, ...]
    strip: Strip


@dataclass(frozen=True, slots=True)
class ExtractorRow:
    """A metric by one extractor. first: the number of extractors that have the metric, on the first one's row, or 0."""

    first: int
    extractor: str
    row: MetricRow


@dataclass(frozen=True, slots=True)
class ExtractorPair:
    """Two generators' differences, second minus first, each after the name of its extractor, in order of metrics."""

    first: str
    second: str
    differences: tuple[tuple[str, Difference], ...]


@dataclass(frozen=True, slots=True)
class ExtractorTable:
    """All metrics by all extractors, and the differences of generators. notes: as of Headline."""

    generators: tuple[str, ...]
    rows: tuple[ExtractorRow, ...]
    notes: tuple[str, ...]
    pairs: tuple[ExtractorPair, ...]


@dataclass(frozen=True, slots=True)
class Headline:
    """All metrics. notes: sentences that cells point to, numbered from 1. floor: the images behind it, if any."""

    rows: tuple[MetricRow, ...]
    notes: tuple[str, ...]
    floor: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two generators' differences, second minus first.

    obstacles: metrics that may not be compared, and why. unpaired: those whose errors are added as if independent.
    """

    first: str
    second: str
    differences: tuple[Difference, ...]
    obstacles: tuple[str, ...]
    unpaired: tuple[str, ...]


def headline(inputs: ReportInputs) -> Headline:
    """Every metric that any of the results has."""
    notes: dict[str, list[str]] = {}
    # The best of several runs of a method is a matter of luck.
    rows = tuple(
        _row(
            name,
            inputs.subjects,
            inputs.floor,
            notes,
            references=list(inputs.references.values()),
            rivals=inputs.methods is None,
        )
        for name in _metrics(inputs.subjects)
    )
    floors = [] if inputs.floor is None else [inputs.floor.metrics[row.metric] for row in rows if row.floor]
    return Headline(rows, _told(notes), images_text(floors[0]) if floors else "")


def extractor_table(inputs: ReportInputs) -> ExtractorTable | None:
    """Every metric by every extractor that has it; None where there is one extractor."""
    if inputs.extractors is None:
        return None
    compared = inputs.extractors.comparisons
    known = {subject.name: subject for subject in inputs.subjects}
    subjects = {
        extractor: [known[f"{extractor}: {name}"] for name in one.evaluations] for extractor, one in compared.items()
    }
    names = _metrics(inputs.subjects)
    found = [(extractor, gap) for extractor, one in compared.items() for gap in one.differences]
    notes: dict[str, list[str]] = {}
    rows: list[ExtractorRow] = []
    for name in names:
        having = [one for one, its in subjects.items() if any(name in subject.evaluation for subject in its)]
        for extractor in having:
            row = _row(name, subjects[extractor], None, notes, rivals=True)
            rows.append(ExtractorRow(0 if rows and rows[-1].row.metric == name else len(having), extractor, row))
    gaps = [(extractor, gap) for name in names for extractor, gap in found if gap.metric == name]
    pairs = tuple(
        ExtractorPair(first, second, tuple(one for one in gaps if (one[1].first, one[1].second) == (first, second)))
        for first, second in dict.fromkeys((gap.first, gap.second) for _, gap in found)
    )
    return ExtractorTable(tuple(next(iter(compared.values())).evaluations), tuple(rows), _told(notes), pairs)


def _metrics(subjects: Sequence[Subject]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for subject in subjects for name in subject.evaluation.metrics))


def _told(notes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{', '.join(metrics)}: {text}" for text, metrics in notes.items())


def _row(
    name: str,
    subjects: Sequence[Subject],
    floors: Evaluation | None,
    notes: dict[str, list[str]],
    *,
    references: Sequence[Evaluation] = (),
    rivals: bool,
) -> MetricRow:
    """A metric of every subject. rivals: whether the best is marked, where all values may be compared."""
    results = [subject.evaluation.metrics.get(name) for subject in subjects]
    beside = [one.metrics.get(name) for one in references]
    known = [result for result in (*results, *beside) if result is not None]
    floor = None if floors is None else floors.metrics.get(name)
    having = [one for one in (*(subject.evaluation for subject in subjects), *references) if name in one]
    rivals = rivals and len(known) > 1 and not any(mismatches(name, one, having[0]) for one in having[1:])
    best = min(result.to_minimise(result.value) for result in known) if rivals else None
    one = known[0]
    cells = [None if result is None else _cell(name, result, best, notes) for result in (*results, *beside)]
    return MetricRow(
        metric=name,
        title=_title(name, subjects),
        better=direction_text(one.direction, one.ideal),
        floor=None if floor is None else result_text(floor),
        cells=tuple(cells[: len(results)]),
        references=tuple(cells[len(results) :]),
        strip=_strip(results, floor, one.ideal),
    )


def _title(name: str, subjects: Sequence[Subject]) -> str:
    titles = [subject.data.titles.get(name) for subject in subjects if subject.data is not None]
    return next((title for title in titles if title), "")


def _cell(name: str, result: MetricResult, best: float | None, notes: dict[str, list[str]]) -> ValueCell:
    value, interval, _, images = metric_cells(result, comparable=True)
    return ValueCell(
        value=value,
        interval=interval,
        images=images,
        best=best is not None and result.to_minimise(result.value) == best,
        notes=tuple(_numbered(text, name, notes) for text in result.notes),
    )


def _numbered(text: str, metric: str, notes: dict[str, list[str]]) -> int:
    """The number of a note, which is told once for all the metrics that have it."""
    metrics = notes.setdefault(text, [])
    if metric not in metrics:
        metrics.append(metric)
    return list(notes).index(text) + 1


def _strip(results: Sequence[MetricResult | None], floor: MetricResult | None, ideal: float | None) -> Strip:
    known = [result for result in results if result is not None]
    ends: list[float] = [end for result in known for end in (result.value, *(result.interval or ()))]
    ends += [mark for mark in (ideal, None if floor is None else floor.value) if mark is not None]
    at = _scale(ends)

    def bar(result: MetricResult) -> Bar:
        if result.interval is None:
            return Bar(None, at(result.value), None)
        return Bar(at(result.interval[0]), at(result.value), at(result.interval[1]))

    return Strip(
        tuple(None if result is None else bar(result) for result in results),
        None if floor is None else at(floor.value),
        None if ideal is None else at(ideal),
    )


def pairings(inputs: ReportInputs) -> tuple[Pairing, ...]:
    """Every two generators: from their comparison where there is one, and else from their results."""
    evaluations = {subject.name: subject.evaluation for subject in inputs.subjects}

    def shared(metric: str, first: str, second: str) -> float | None:
        return covariance(metric, evaluations[first], evaluations[second])

    known: list[Difference] = [] if inputs.comparison is None else list(inputs.comparison.differences)
    compared = {(gap.first, gap.second) for gap in known}
    refused: dict[tuple[str, str], list[str]] = {}

    def allowed(metric: str, first: str, second: str) -> bool:
        forbidden = mismatches(metric, evaluations[second], evaluations[first])
        if forbidden:
            # The gate speaks of a baseline; here it is only the other one.
            fields = ", ".join(f"{one.field} ({one.baseline} and {one.result})" for one in forbidden)
            refused.setdefault((first, second), []).append(f"{metric}: different {fields}")
        return not forbidden

    known = [gap for gap in known if allowed(gap.metric, gap.first, gap.second)]
    known += differences(
        evaluations,
        shared,
        allowed=lambda metric, first, second: (first, second) not in compared and allowed(metric, first, second),
    )
    by_pair: dict[tuple[str, str], list[Difference]] = {pair: [] for pair in combinations(evaluations, 2)}
    for gap in known:
        by_pair.setdefault((gap.first, gap.second), []).append(gap)
    return tuple(
        Pairing(*pair, tuple(gaps), tuple(refused.get(pair, ())), tuple(one.metric for one in gaps if not one.paired))
        for pair, gaps in by_pair.items()
        if gaps or pair in refused
    )


@dataclass(frozen=True, slots=True)
class ByClass:
    """What metrics say of every class, a column a metric; more: classes that are not shown."""

    metrics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    more: int


def by_class(subject: Subject) -> ByClass | None:
    """The values that metrics have for each class, a column per metric; None where no metric has any."""
    known = {
        metric: result.details
        for metric, result in subject.evaluation.metrics.items()
        if any(key.startswith(CLASS) for key in result.details)
    }
    if not known:
        return None
    names = () if subject.data is None else subject.data.class_names
    rows = [(_class_name(word, names), values) for word, *values in class_cells(list(known.values()))]
    shown = tuple((name, tuple(values)) for name, values in rows[:MAX_CLASSES])
    return ByClass(tuple(known), shown, max(len(rows) - MAX_CLASSES, 0))


def _class_name(word: str, names: Sequence[str]) -> str:
    """A class as details call it => its name, which it may be called by there, or which its number stands for."""
    if word in names or not word.removeprefix("-").isdecimal():
        return word
    return names[int(word)] if word.isdecimal() and int(word) < len(names) else f"{CLASS}{word}"


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the provenance: what each result says. differs: whether they disagree."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


def _scale(ends: Sequence[float]) -> Callable[[float], float]:
    """Where a value lies on a strip that shows all of `ends`, in percent of its width."""
    low, high = min(ends), max(ends)
    spread = (high - low) or abs(high) or 1.0
    low, high = low - MARGIN * spread, high + MARGIN * spread
    return lambda value: float(round(100 * (value - low) / (high - low), 2))


@dataclass(frozen=True, slots=True)
class Dots:
    """The runs of a method on a strip, in percent of its width, with their mean and its interval."""

    values: tuple[float, ...]
    mean: Bar


@dataclass(frozen=True, slots=True)
class SpreadRow:
    """One metric of one method. first: of how many methods the metric is shown from here on; 0 on its other rows."""

    metric: str
    title: str
    first: int
    method: str
    number: int
    cells: tuple[str, ...]
    dots: Dots


def spread_rows(inputs: ReportInputs) -> tuple[SpreadRow, ...]:
    """How every metric spreads over the runs of every method; nothing where no methods are compared."""
    if inputs.methods is None:
        return ()
    numbers = {method: number for number, method in enumerate(inputs.methods.runs)}
    rows = []
    for metric in dict.fromkeys(one.metric for one in inputs.methods.spreads):
        found = [one for one in inputs.methods.spreads if one.metric == metric]
        at = _scale([end for one in found for end in (*one.values, *(one.interval or ()))])
        for place, one in enumerate(found):
            result = next(iter(inputs.methods.runs[one.method].values()))[metric]
            low, high = (None, None) if one.interval is None else map(at, one.interval)
            rows.append(
                SpreadRow(
                    metric=metric,
                    title=_title(metric, inputs.subjects),
                    first=0 if place else len(found),
                    method=one.method,
                    number=numbers[one.method],
                    cells=spread_cells(one, result, comparable=True),
                    dots=Dots(tuple(map(at, one.values)), Bar(low, at(one.mean), high)),
                )
            )
    return tuple(rows)


def facts(subjects: Sequence[Subject]) -> tuple[Fact, ...]:
    """How everything was measured, field by field."""
    told = [dict(_about(subject.evaluation)) for subject in subjects]
    names = dict.fromkeys(name for one in told for name in one)
    return tuple(Fact(name, tuple(one.get(name, NONE) for one in told)) for name in names)


def _about(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    known = evaluation.provenance
    for key in ("extractor", "dimensions", "weights", "weights_sha256", "preprocessing", "protocol", "precision"):
        yield key.replace("_", " "), _text(known.get(key))
    for side in ("real", "fake"):
        about = known.get(side)
        if isinstance(about, Mapping):
            for key, value in about.items():
                if value not in ({}, [], None):
                    yield f"{side}: {key}", _text(value)
    yield "device, seed", f"{_text(known.get('device'))}, {_text(known.get('seed'))}"
    versions = known.get("versions")
    yield "versions", ", ".join(f"{name} {one}" for name, one in _mapping(versions).items())
    yield "measured", _text(known.get("created"))
    yield "comparable with published numbers", "yes" if evaluation.comparable else "no"
    yield "signature", evaluation.signature


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    if value is None or value == "":
        return NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
