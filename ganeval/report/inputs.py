"""What a report is made of: results with report data, and a comparison, noise floor, checks and training logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ganeval.comparison import Comparison, ExtractorsComparison
from ganeval.errors import ResultError, UsageError
from ganeval.gate import Check, check, find_thresholds, read_thresholds
from ganeval.gate.baseline import read_document, saved_from
from ganeval.gate.comparability import measured_otherwise
from ganeval.report.data import ReportData, read_report_data, report_data_path, write_report_data
from ganeval.report.training import LARGEST, TrainingLog, read_run
from ganeval.results import SCHEMA, SIGNED, Evaluation, MetricResult, damage_reported
from ganeval.runs import RunsComparison

NO_REPORT_DATA = (
    "No pictures were kept with this result; measure with --report-data, or write the report with --report."
)


@dataclass(frozen=True, slots=True)
class Subject:
    """One result in a report.

    Attributes:
        name: What it is called.
        evaluation: The result.
        data: Its report data; None where there are none.
        why: The reason why there are none.
    """

    name: str
    evaluation: Evaluation
    data: ReportData | None = None
    why: str = NO_REPORT_DATA


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """What a report is made from.

    Attributes:
        subjects: Results, of different names.
        comparison: Their comparison, where there is one.
        floor: What real images score against other real images.
        references: What else the values are shown next to, by name: results of other methods.
        checks: The gate's outcomes, by the name of the subject.
        runs: Logs of training runs.
        methods: The comparison of methods whose runs the subjects are, where there is one.
        extractors: The comparison by several extractors whose results the subjects are, where there is one.
    """

    subjects: Sequence[Subject]
    comparison: Comparison | None = None
    floor: Evaluation | None = None
    references: Mapping[str, Evaluation] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    runs: Sequence[TrainingLog] = ()
    methods: RunsComparison | None = None
    extractors: ExtractorsComparison | None = None

    def __post_init__(self) -> None:
        """UsageError for no subject, two of one name, and what cannot stand side by side."""
        names = [subject.name for subject in self.subjects]
        if not names:
            raise UsageError("A report needs at least one result, and there is none.")
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"Two results are called '{name}'; give each file once, and generators other names.")
        strangers = [] if self.extractors is None else [one for one in names if one not in self.extractors.evaluations]
        if strangers:
            raise UsageError(
                f"{strangers[0]} cannot be shown next to results of several extractors; make a separate page of it."
            )
        for subject in self.subjects if self.floor is not None else ():
            _check_floor(self.floor, subject)


_AS_THE_RESULTS = "Measure the floor as the results, with `ganeval noise-floor`."


def _check_floor(floor: Evaluation | None, subject: Subject) -> None:
    assert floor is not None
    for key in SIGNED:
        known, other = floor.provenance[key], subject.evaluation.provenance[key]
        if known != other:
            raise UsageError(
                f"The floor was measured with {key} '{known}', and {subject.name} with '{other}': they cannot stand "
                f"side by side. {_AS_THE_RESULTS}"
            )
    shared = [name for name in subject.evaluation.metrics if name in floor.metrics]
    # A floor without metrics is one that could not be measured, of two images say.
    if subject.evaluation.metrics and floor.metrics and not shared:
        raise UsageError(
            f"The floor has {', '.join(floor.metrics)}, and {subject.name} has "
            f"{', '.join(subject.evaluation.metrics)}: no metric has a floor. {_AS_THE_RESULTS}"
        )
    for name in shared:
        for one in measured_otherwise(subject.evaluation.metrics[name], floor.metrics[name]):
            raise UsageError(
                f"{name} of the floor was measured with {one.field} {one.baseline}, and of {subject.name} with "
                f"{one.result}: they cannot be shown side by side. {_AS_THE_RESULTS}"
            )


def read_inputs(
    paths: Sequence[str | Path],
    *,
    floor: str | Path | None = None,
    baseline: str | Path | None = None,
    thresholds: str | Path | None = None,
    training: Sequence[str | Path] = (),
) -> ReportInputs:
    """Read what `ganeval report` shows: saved results and comparisons, with the report data saved next to them.

    Args:
        paths: JSON files of results, and of one comparison at most: of generators, of methods, or by several
            extractors, which cannot be shown with any other result.
        floor: File of a noise floor, which is shown next to the values.
        baseline: File of a result that every result is checked against.
        thresholds: File of the tolerances of that check; None for those that `find_thresholds` finds from the current
            folder, where there is a baseline.
        training: Folders of training runs, whose curves are shown.

    Returns:
        The inputs of a report. A result is named after its file, and its folder where two files have one name.

    Raises:
        ResultError: A file cannot be read or is damaged.
        UsageError: A result is given twice, there are two comparisons, the floor is not a noise floor or was measured
            differently, or a tolerance cannot be checked.
    """
    inputs = replace(
        _read_results([Path(path) for path in paths]),
        floor=None if floor is None else read_floor(Path(floor)),
        runs=tuple(read_run(Path(path)) for path in training),
    )
    if baseline is None and thresholds is None:
        return inputs
    known = None if baseline is None else read_evaluation(Path(baseline))
    tolerances = find_thresholds(Path.cwd()) if thresholds is None else read_thresholds(Path(thresholds))
    return replace(inputs, checks={one.name: check(one.evaluation, known, tolerances) for one in inputs.subjects})


def save_report_data(inputs: ReportInputs, result: str | Path) -> list[Path]:
    """Save the report data of every subject next to the saved result, where `read_inputs` finds them.

    Args:
        inputs: The subjects; those without report data are passed over.
        result: The file of the result, or of the comparison.

    Returns:
        The files that were written: FILE.report-data.zip, and of a comparison FILE.1.report-data.zip, ...

    Raises:
        ResultError: A file cannot be written.
    """
    several = any(one is not None for one in (inputs.comparison, inputs.methods, inputs.extractors))
    written = []
    for number, subject in enumerate(inputs.subjects, 1):
        if subject.data is not None:
            written.append(report_data_path(Path(result), number if several else None))
            write_report_data(written[-1], subject.data)
    return written


def _read_results(paths: Sequence[Path]) -> ReportInputs:
    """Results and comparisons with their report data."""
    subjects: list[Subject] = []
    comparisons: list[Comparison | RunsComparison | ExtractorsComparison] = []
    for path, name in zip(paths, _names(paths), strict=True):
        found = _read(path, name)
        if not isinstance(found, Evaluation):
            comparisons.append(found)
            subjects += _compared(found, path)
        else:
            subjects.append(_subject(name, found, report_data_path(path)))
    if len(comparisons) > 1:
        raise UsageError("A report shows one comparison; make one of all the generators, and give that.")
    return ReportInputs(
        subjects,
        comparison=next((one for one in comparisons if isinstance(one, Comparison)), None),
        methods=next((one for one in comparisons if isinstance(one, RunsComparison)), None),
        extractors=next((one for one in comparisons if isinstance(one, ExtractorsComparison)), None),
    )


def read_evaluation(path: Path) -> Evaluation:
    """Read a saved result.

    Args:
        path: The file.

    Returns:
        The result.

    Raises:
        ResultError: The file is missing, damaged or no result.
    """
    found = _read(path, path.stem)
    if not isinstance(found, Evaluation):
        raise ResultError(f"{path} is a comparison; a single result is needed here.")
    return found


def read_floor(path: Path) -> Evaluation:
    """Read a saved noise floor.

    Args:
        path: The file, written by `ganeval noise-floor`.

    Returns:
        The noise floor.

    Raises:
        ResultError: The file is missing, damaged or no result.
        UsageError: The result is of a generator.
    """
    found = read_evaluation(path)
    if not found.is_noise_floor:
        fake = found.provenance.get("fake") or {}
        raise UsageError(
            f"{path} is not a noise floor: it has the scores of {fake.get('name', 'images')}. "
            "`ganeval noise-floor REAL -o FILE` measures one."
        )
    return found


def _read(path: Path, generator: str) -> Evaluation | Comparison | RunsComparison | ExtractorsComparison:
    """A result or comparison. generator: the name of the only one that several extractors measured."""
    document = read_document(path)
    found: Comparison | RunsComparison | ExtractorsComparison
    if isinstance(document, dict) and "extractors" in document:
        found = ExtractorsComparison.from_dict(_as_comparison(document, generator, str(path)), name=str(path))
    elif isinstance(document, dict) and "differences" in document:
        kind = RunsComparison if "methods" in document else Comparison
        found = kind.from_dict(document, name=str(path))
    else:
        return _check_sets(saved_from(document, name=str(path)).evaluation, str(path))
    for evaluation in found.evaluations.values():
        _check_sets(evaluation, str(path))
    return found


def _as_comparison(document: dict[str, Any], generator: str, name: str) -> dict[str, Any]:
    """The document of several extractors, with results of one generator as comparisons without a difference."""
    with damage_reported(name):
        alone = {
            extractor: {"schema": SCHEMA, "generators": {generator: one}, "differences": [], "warnings": []}
            for extractor, one in document["extractors"].items()
            if "differences" not in one
        }
        return {**document, "extractors": {**document["extractors"], **alone}}


def _check_sets(evaluation: Evaluation, name: str) -> Evaluation:
    """ResultError for a result that says of its sets what cannot be said of one."""
    for side in ("real", "fake"):
        if not isinstance(evaluation.provenance.get(side), Mapping | None):
            raise ResultError(f"{name} is damaged: its provenance says nothing of {side} that could be read.")
    for metric, one in evaluation.metrics.items():
        check_shown(one, f"{metric} of {name}")
    return evaluation


def check_shown(result: MetricResult, name: str) -> None:
    """Check that a figure can show a result.

    Args:
        result: The result.
        name: What messages call it.

    Raises:
        ResultError: A number is so large that its square is infinite.
    """
    for number in (result.value, result.standard_error or 0.0, *(result.interval or ())):
        if abs(number) > LARGEST:
            raise ResultError(f"{name} is {number:.3g}, and numbers beyond {LARGEST:g} cannot be shown; measure again.")


def _names(paths: Sequence[Path]) -> list[str]:
    """Stems; with as much of the path before them as tells files of one name apart."""
    resolved = [path.resolve() for path in paths]
    for path in paths:
        if resolved.count(path.resolve()) > 1:
            raise UsageError(f"{path} was given twice; give each result once.")
    stems = [path.stem for path in resolved]
    most = max((len(path.parts) for path in resolved), default=1)
    for depth in range(2, most + 1):
        stems = [
            "/".join((*path.parts[-depth:-1], path.stem)) if stems.count(stem) > 1 else stem
            for path, stem in zip(resolved, stems, strict=True)
        ]
    return stems


def _compared(comparison: Comparison | RunsComparison | ExtractorsComparison, path: Path) -> list[Subject]:
    return [
        _subject(name, evaluation, report_data_path(path, number))
        for number, (name, evaluation) in enumerate(comparison.evaluations.items(), 1)
    ]


def _subject(name: str, evaluation: Evaluation, data: Path) -> Subject:
    """A result with its report data, unless these belong to another measurement."""
    if not data.exists():
        return Subject(name, evaluation)
    found = read_report_data(data)
    if found.created != evaluation.provenance.get("created"):
        return Subject(name, evaluation, why=f"{data.name} is of another measurement than this result.")
    return Subject(name, evaluation, found, why="")
