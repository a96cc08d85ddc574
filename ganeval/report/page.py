"""Renders ReportInputs as one HTML page: no script, nothing fetched, at most LIMIT bytes."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ganeval.atomic import atomic_write
from ganeval.comparison import Difference
from ganeval.errors import UsageError
from ganeval.gate.formats import check_table
from ganeval.places import Place, place_of
from ganeval.printable import printable_html
from ganeval.report import figures
from ganeval.report.data import ClassShare, ReportData, media_type
from ganeval.report.inputs import ReportInputs, Subject
from ganeval.report.svg import SERIES
from ganeval.report.tables import MAX_CLASSES, by_class, extractor_table, facts, headline, pairings, spread_rows
from ganeval.report.training import GROUPS, Alarm, TrainingLog
from ganeval.results import PAIRS
from ganeval.runs import MethodDifference
from ganeval.tables import DIFFERENCE_HEAD, difference_cells, method_difference_cells
from ganeval.version import __version__
from ganeval.wording import four_digits, probability_text, ratio_text, size_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

LIMIT = 5_000_000
# Pictures a gallery, tried in this order until the page is small enough.
CUTS = (64, 24, 12, 6, 3, 0)
# Shown beside what it is for; nothing may be fetched and no script may run, whatever a name tries.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing. legend: names of its curves, in the order of the series' colours."""

    title: str
    svg: str
    legend: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassTable:
    """The classes of one subject. rows: with the share of reals and fakes in percent. missing: modes without a fake."""

    rows: tuple[tuple[ClassShare, float, float], ...]
    modes: int
    missing: tuple[str, ...]
    more: int
    widest: float


@dataclass(frozen=True, slots=True)
class TrainingFigures:
    """One run's figures and alarms."""

    run: TrainingLog
    figures: tuple[Figure, ...]

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        return self.run.alarms


def render(inputs: ReportInputs, *, title: str | None = None) -> str:
    """Render a report as one HTML page.

    Pictures are left out from the end of every gallery until the page is smaller than LIMIT bytes.

    Args:
        inputs: The results and what is shown with them.
        title: Shown instead of the names of the results.

    Returns:
        The page: no script, and nothing that is fetched.

    Raises:
        UsageError: Jinja2 or matplotlib is missing, or there are too many results for one page.
    """
    check_installed()
    template = _environment().get_template("page.html")
    drawn = {subject.name: _drawn(subject, number) for number, subject in enumerate(inputs.subjects, 1)}
    known = {
        "title": title or _title(inputs),
        "policy": POLICY,
        "inputs": inputs,
        "subjects": inputs.subjects,
        "headline": headline(inputs),
        "pairings": pairings(inputs) if len(inputs.subjects) > 1 and _of_generators(inputs) else (),
        "extractors": extractor_table(inputs),
        "generators": _generators(inputs),
        "everyone": {subject.name: subject for subject in inputs.subjects},
        "spreads": spread_rows(inputs),
        "series": _series(inputs),
        "facts": facts(inputs.subjects),
        "opening": _opening(inputs),
        "warnings": _warnings(inputs),
        "drawn": drawn,
        "trade_off": _trade_off(inputs.subjects),
        "classes": {one.name: _classes(one.data) for one in inputs.subjects if one.data is not None},
        "difference_head": DIFFERENCE_HEAD,
        "checks": {name: (check, check_table(check)) for name, check in inputs.checks.items()},
        "by_class": {one.name: by_class(one) for one in inputs.subjects},
        "has": _sections(inputs),
        "beside": {name: _method(one.provenance) for name, one in inputs.references.items()},
        "things": _things(inputs.subjects[0].evaluation.provenance),
        "version": __version__,
        "copies": {subject.name: _copies(subject) for subject in inputs.subjects},
        "trainings": [_training(run, number) for number, run in enumerate(inputs.runs, 1)],
    }
    for cut in CUTS:
        page: str = template.render(known, cut=cut, shortened=cut < CUTS[0])
        if len(page.encode("utf-8", "backslashreplace")) <= LIMIT:
            # A name may hold bytes that are no text.
            return page.encode("utf-8", "backslashreplace").decode("utf-8")
    raise UsageError(
        f"A report of {len(inputs.subjects)} results would be over {size_text(LIMIT)}; give fewer of them at a time."
    )


def write_page(inputs: ReportInputs, path: str | Place, *, title: str | None = None) -> None:
    """Render a report, and write it to a file in one step.

    Args:
        inputs: The results and what is shown with them: of `read_inputs`, or `ganeval.report_data.report_inputs`.
        path: The file, a path or a URL.
        title: Shown instead of the names of the results.

    Raises:
        UsageError: Jinja2 or matplotlib is missing, or there are too many results for one page.
        ResultError: The file cannot be written.
    """
    page = render(inputs, title=title)
    with atomic_write(place_of(path)) as file:
        file.write(page.encode())


def check_installed() -> None:
    """UsageError where what a report is drawn and written with is not installed."""
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise UsageError(f"A report needs {' and '.join(missing)}: pip install 'ganeval[report]'.")


@cache
def _environment() -> "Environment":
    """The templates, which are compiled once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ganeval.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        # Markup, which is a subclass, is ours.
        finalize=lambda value: printable_html(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "uri": data_uri,
        "number": four_digits,
        "probability": probability_text,
        "ratio": ratio_text,
        "percent": lambda share: f"{share:.0%}",
        "share": lambda share: f"{share:.1%}",
        "difference_cells": _difference_cells,
        "method_difference_cells": _method_difference_cells,
    }
    return environment


def _difference_cells(difference: Difference, first: str, second: str) -> "tuple[Markup, ...]":
    """The cells of a difference, with the names of generators isolated: they may be written from right to left."""
    from markupsafe import Markup, escape

    names = (Markup("<bdi>{}</bdi>").format(printable_html(name)) for name in (first, second))
    return tuple(
        map(Markup, difference_cells(replace(difference, metric=escape(printable_html(difference.metric))), *names))
    )


def _method_difference_cells(difference: MethodDifference) -> "tuple[Markup, ...]":
    """The cells of a difference of methods, with the names of the methods isolated."""
    from markupsafe import Markup, escape

    names = (Markup("<bdi>{}</bdi>").format(printable_html(name)) for name in (difference.first, difference.second))
    metric = escape(printable_html(difference.metric))
    return tuple(map(Markup, method_difference_cells(replace(difference, metric=metric), *names)))


def _of_generators(inputs: ReportInputs) -> bool:
    """Whether every subject is a generator of its own."""
    return inputs.methods is None and inputs.extractors is None


def _generators(inputs: ReportInputs) -> Mapping[str, Subject]:
    """What is called by which name in the title: the generators, each by the first of its results, or the methods."""
    if inputs.extractors is None:
        return {subject.name: subject for subject in inputs.subjects}
    known = {subject.name: subject for subject in inputs.subjects}
    found: dict[str, Subject] = {}
    for extractor, one in inputs.extractors.comparisons.items():
        for name in one.evaluations:
            found.setdefault(name, known[f"{extractor}: {name}"])
    return found


def _series(inputs: ReportInputs) -> tuple[int, ...]:
    """The number of the colour of every subject: one each, or one for all runs of a method."""
    if inputs.methods is None:
        # By several extractors, a row has one result per generator.
        return tuple(number % len(SERIES) + 1 for number in range(len(inputs.subjects)))
    numbers = {
        f"{method}: {run}": number % len(SERIES) + 1
        for number, (method, runs) in enumerate(inputs.methods.runs.items())
        for run in runs
    }
    return tuple(numbers.get(subject.name, len(SERIES)) for subject in inputs.subjects)


def _sections(inputs: ReportInputs) -> Mapping[str, bool]:
    """Which sections have anything to show."""
    found = [subject.data for subject in inputs.subjects if subject.data is not None]
    galleries = {name for one in found for name in one.galleries}
    examples, texts = any(one.examples for one in found), any(one.texts for one in found)
    return {
        "examples": examples,
        "texts": texts,
        "samples": not (examples or texts),
        "copies": any(one.pairs or one.distances for one in found),
        "modes": any(one.modes for one in found),
        "common_modes": any(one.common_modes for one in found),
        "most_discriminable": "told_apart" in galleries,
        "typical": "typical" in galleries,
        "realism": bool(galleries & {"realistic", "rare"}),
        "space": any(one.projection or one.trade_off for one in found),
        "classes": any(one.classes for one in found) or any(by_class(one) is not None for one in inputs.subjects),
    }


def data_uri(image: bytes) -> str:
    """A thumbnail, inline."""
    return f"data:{media_type(image)};base64,{base64.b64encode(image).decode()}"


def _title(inputs: ReportInputs) -> str:
    names = list(_generators(inputs) if inputs.methods is None else inputs.methods.runs)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _opening(inputs: ReportInputs) -> tuple[tuple[str, ...], str, str]:
    """What was measured, against what, and how; from provenances that anybody may have written."""
    shown = _generators(inputs)
    first = inputs.subjects[0].evaluation.provenance
    things = _things(first)
    fakes = tuple(_set(one.evaluation.provenance.get("fake"), things) or name for name, one in shown.items())
    by = [first["extractor"]] if inputs.extractors is None else list(inputs.extractors.comparisons)
    how = f"with {', '.join(by[:-1])}{' and ' if by[1:] else ''}{by[-1]}, protocol {first['protocol']}"
    if first["extractor"] == PAIRS["extractor"]:
        how = f"on {str(first['preprocessing']).removeprefix(str(PAIRS['extractor']) + ': ')}"
    told = f"{how}, {first['precision']}, {str(first.get('created', ''))[:10]}"
    return fakes, _set(first.get("real"), things), told.rstrip(", ")


def _things(provenance: Mapping[str, Any]) -> str:
    """What was measured: images or sequences."""
    return "sequences" if provenance["protocol"] == "sequences" else "images"


def _method(provenance: Mapping[str, Any]) -> str:
    """What a trivial method is, in the words of its result."""
    about = provenance.get("fake")
    return str(about.get("name", "")) if isinstance(about, Mapping) else ""


def _set(about: object, things: str) -> str:
    """A set by name and count; nothing where it is not known."""
    if not isinstance(about, Mapping) or "name" not in about:
        return ""
    count = about.get("count")
    return f"{about['name']} ({count:,} {things})" if isinstance(count, int) else str(about["name"])


def _warnings(inputs: ReportInputs) -> tuple[str, ...]:
    """What to know before using the numbers, each once, and of which result where not of all."""
    heard: dict[str, list[str]] = {}
    for subject in inputs.subjects:
        for warning in subject.evaluation.warnings:
            heard.setdefault(warning, []).append(subject.name)
    compared = [one for one in (inputs.comparison, inputs.methods) if one is not None]
    if inputs.extractors is not None:
        compared += inputs.extractors.comparisons.values()
    extra = [text for one in compared for text in one.warnings]
    everyone = len(inputs.subjects)
    told = [text if len(who) == everyone else f"{', '.join(who)}: {text}" for text, who in heard.items()]
    return tuple(dict.fromkeys((*told, *extra)))


def _copies(subject: Subject) -> str:
    """What the nearest-neighbour distance counted, in a sentence; nothing where it was not measured."""
    found = subject.evaluation.metrics.get("nn")
    if found is None or not {"duplicates", "near_duplicates", "unsuspicious"} <= set(found.details):
        return ""
    equal, near, expected = (found.details[key] for key in ("duplicates", "near_duplicates", "unsuspicious"))
    return (
        f"{equal:.0f} of {found.n_fake:,} fakes equal a real. {near:.0f} are nearer to one than 99% of unseen reals "
        f"would be; of fakes as good as reals, about {expected:.0f} are."
    )


def _drawn(subject: Subject, number: int) -> Mapping[str, Figure]:
    """The figures of one result, by what they show."""
    if subject.data is None:
        return {}
    found = {}
    if subject.data.distances is not None:
        svg = figures.histogram(subject.data.distances, f"h{number}")
        found["distances"] = Figure("Distance to the nearest real", svg)
    if subject.data.projection is not None:
        found["projection"] = Figure("Feature space", figures.projection(subject.data.projection, f"p{number}"))
    return found


def _trade_off(subjects: Sequence[Subject]) -> Figure | None:
    found = {one.name: one.data.trade_off for one in subjects if one.data is not None and one.data.trade_off}
    if not found:
        return None
    legend = tuple(f"{name}: area {figures.area(curve):.2f}" for name, curve in found.items())
    return Figure("Precision against recall", figures.trade_offs(list(found.values()), "t"), legend)


def _classes(data: ReportData) -> ClassTable | None:
    if not data.classes:
        return None
    totals = [max(sum(counts), 1) for counts in zip(*((one.real, one.fake) for one in data.classes), strict=True)]
    rows = [(one, 100 * one.real / totals[0], 100 * one.fake / totals[1]) for one in data.classes]
    shown = rows[:MAX_CLASSES]
    if len(rows) <= MAX_CLASSES:
        shown.sort(key=lambda row: _natural(row[0].name))
    modes = [one for one in data.classes if one.real]
    return ClassTable(
        rows=tuple(shown),
        modes=len(modes),
        missing=tuple(one.name for one in modes if not one.fake),
        more=len(rows) - len(shown),
        widest=max(max(real, fake) for _, real, fake in rows),
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers inside names in the order of numbers."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _training(run: TrainingLog, number: int) -> TrainingFigures:
    marks, found = [alarm.step for alarm in run.alarms], []
    for place, (title, curves) in enumerate(run.panels.items(), 1):
        # Names of a log are the page's to write, not the drawing's.
        what = title if title in GROUPS.values() else "value"
        svg = figures.lines(curves, marks, f"r{number}-{place}", what=what)
        found.append(Figure(title[:1].upper() + title[1:], svg, tuple(curves) if len(curves) > 1 else ()))
    return TrainingFigures(run, tuple(found))
