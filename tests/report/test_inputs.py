"""Results are read with their report data under distinct names, and unreadable files are named."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from gate_helpers import evaluation, metric, save
from report_helpers import GENERATORS

from ganeval.comparison import Comparison, Difference, ExtractorsComparison
from ganeval.errors import GanevalError, ResultError, UsageError
from ganeval.report.data import ReportData, report_data_path, write_report_data
from ganeval.report.inputs import ReportInputs, Subject, read_evaluation, read_floor, read_inputs
from ganeval.report.training import MAX_POINTS, read_run
from ganeval.results import Evaluation


def test_a_result_comes_with_its_report_data(saved: Path) -> None:
    """Report data are found in the same folder, and the result has the name of its file."""
    (subject,) = read_inputs([saved]).subjects
    assert subject.name == "result"
    assert subject.data is not None
    assert subject.data.pictures


def test_report_data_of_another_measurement_are_not_shown(saved: Path) -> None:
    """A result that was rewritten later is not shown with the older pictures."""
    document = json.loads(saved.read_text(encoding="utf-8"))
    document["provenance"]["created"] = "2001-01-01T00:00:00+00:00"
    saved.write_text(json.dumps(document), encoding="utf-8")
    (subject,) = read_inputs([saved]).subjects
    assert subject.data is None
    assert "another measurement" in subject.why


def test_results_of_one_file_name_are_called_by_their_folders(saved: Path) -> None:
    """Names include as many folders as are needed to distinguish them."""
    other = saved.parent / "other"
    other.mkdir()
    shutil.copy(saved, other)
    names = [subject.name for subject in read_inputs([saved, other / saved.name]).subjects]
    assert names == [f"{saved.parent.name}/result", "other/result"]


def test_a_result_given_twice_is_a_mistake(saved: Path) -> None:
    """A result given twice is an error for any spelling of its path."""
    with pytest.raises(UsageError, match="given twice"):
        read_inputs([saved, saved.parent / "." / saved.name])


def test_two_results_of_one_name_are_a_mistake(saved: Path) -> None:
    """The message names it; no result at all is an error, too."""
    evaluation = read_evaluation(saved)
    with pytest.raises(UsageError, match="Two results are called 'a'"):
        ReportInputs([Subject("a", evaluation), Subject("a", evaluation)])
    with pytest.raises(UsageError, match="at least one result"):
        ReportInputs([])


def test_a_floor_that_was_measured_otherwise_is_a_mistake(saved: Path) -> None:
    """A floor of another extractor is refused, as it is not comparable."""
    evaluation = read_evaluation(saved)
    ReportInputs([Subject("a", evaluation)], floor=evaluation)
    other = replace(evaluation, provenance={**evaluation.provenance, "extractor": "inception"})
    with pytest.raises(UsageError, match="The floor was measured with extractor 'inception', and a with 'pixels:8'"):
        ReportInputs([Subject("a", evaluation)], floor=other)


def test_a_floor_of_other_metrics_or_options_is_a_mistake(saved: Path) -> None:
    """A floor has a metric of every result, computed with the same options."""
    evaluation = read_evaluation(saved)
    fewer = replace(evaluation, metrics={"nn": evaluation["nn"]})
    ReportInputs([Subject("a", evaluation)], floor=fewer)
    with pytest.raises(UsageError, match=r"The floor has kid, and a has nn: no metric has a floor\. Measure the floor"):
        ReportInputs([Subject("a", fewer)], floor=replace(evaluation, metrics={"kid": evaluation["kid"]}))
    seeded = replace(evaluation["kid"], options={**evaluation["kid"].options, "subsets": 7})
    with pytest.raises(UsageError, match=r"kid of the floor was measured with options\.subsets 7, and of a with none"):
        ReportInputs([Subject("a", evaluation)], floor=replace(evaluation, metrics={"kid": seeded}))


def test_the_result_of_a_generator_is_no_floor(saved: Path) -> None:
    """What the file has instead is said."""
    with pytest.raises(UsageError, match=r"result\.json is not a noise floor: it has the scores of .*a{160}"):
        read_floor(saved)


def test_a_comparison_brings_all_of_its_generators(
    compared: Comparison, report_data: dict[str, ReportData], tmp_path: Path
) -> None:
    """Generators are listed by name, each with its own report data."""
    path = tmp_path / "both.json"
    path.write_text(json.dumps(compared.to_dict()), encoding="utf-8")
    write_report_data(report_data_path(path, 2), report_data[GENERATORS[1]])
    inputs = read_inputs([path])
    assert tuple(subject.name for subject in inputs.subjects) == GENERATORS
    assert [subject.data is not None for subject in inputs.subjects] == [False, True]
    assert inputs.comparison == compared
    shutil.copy(path, tmp_path / "again.json")
    with pytest.raises(UsageError, match="shows one comparison"):
        read_inputs([path, tmp_path / "again.json"])
    with pytest.raises(ResultError, match="is a comparison"):
        read_evaluation(path)


def test_results_by_several_extractors_are_their_own_page(compared: Comparison, tmp_path: Path) -> None:
    """Both forms, of one generator and of several, give a subject per extractor and generator, and no other result."""
    both, one, other = (tmp_path / name for name in ("both.json", "one.json", "other.json"))
    several = ExtractorsComparison({"a": compared, "b": compared})
    both.write_text(json.dumps(several.to_dict()), encoding="utf-8")
    alone = compared.evaluations[GENERATORS[0]]
    one.write_text(json.dumps({"schema": 1, "extractors": {"a": alone.to_dict(), "b": alone.to_dict()}}))
    other.write_text(alone.to_json())
    inputs = read_inputs([both])
    assert inputs.extractors == several
    assert [subject.name for subject in inputs.subjects] == [f"{by}: {name}" for by in "ab" for name in GENERATORS]
    inputs = read_inputs([one])
    assert [subject.name for subject in inputs.subjects] == ["a: one", "b: one"]
    with pytest.raises(UsageError, match="other cannot be shown next to results of several extractors"):
        read_inputs([both, other])
    with pytest.raises(ResultError, match="is a comparison"):
        read_evaluation(one)
    one.write_text(json.dumps({"schema": 1, "extractors": [1]}))
    with pytest.raises(ResultError, match="damaged"):
        read_inputs([one])


DAMAGE: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text[:-20], "is not JSON"),
    (lambda text: "[]", "no ganeval result"),
    (lambda text: text.replace('"schema": 1', '"schema": 2'), "has schema 2; this ganeval reads schema 1"),
    (lambda text: re.sub(r'"value": [-\d.e]+', '"value": NaN', text, count=1), "NaN"),
    (lambda text: re.sub(r'"value": [-\d.e]+', '"value": "much"', text, count=1), "damaged"),
    (lambda text: '{"schema": 1, "differences": 3}', "damaged"),
    (lambda text: text.replace('"real": {', '"real": 3, "was": {', 1), "says nothing of"),
    (lambda text: text.replace('"fake": {', '"fake": 3, "was": {', 1), "says nothing of fake"),
    (lambda text: '{"schema": 1, "differences": [{"value": Infinity}]}', "Infinity"),
    (lambda text: '{"schema": 1, "a": 1, "a": 2}', "twice"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGE)
def test_a_result_that_cannot_be_read_is_refused(saved: Path, change: Callable[[str], str], message: str) -> None:
    """A truncated, unrelated or newer file, or one without a required number, is refused by name."""
    saved.write_text(change(saved.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(GanevalError, match=message) as raised:
        read_inputs([saved])
    assert str(saved) in str(raised.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    """The message has its name and the reason."""
    with pytest.raises(ResultError, match="No such file"):
        read_inputs([tmp_path / "missing.json"])
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultError, match="not UTF-8"):
        read_inputs([tmp_path / "binary.json"])


def write_log(folder: Path, lines: list[object]) -> Path:
    """A run's folder with a log."""
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def test_a_log_is_curves_by_what_they_share(tmp_path: Path) -> None:
    """Losses share a panel, scores have one each, speed has none, and alarms come with their steps."""
    lines: list[object] = [
        {"step": step, "loss/generator": 1.0 / step, "loss/discriminator": 0.5, "penalty": 0.1, "images/s": 900.0}
        for step in range(1, 2001)
    ]
    lines.insert(1000, {"step": 1000, "alarm": "collapse", "text": "It fell in."})
    lines += [{"step": 2000, "score/fid": 12.0, "error/fid": 0.5}, {"step": 2000, "score/kid": 0.1, "error/kid": 0.01}]
    run = read_run(write_log(tmp_path / "my run", lines))
    assert run.name == "my run"
    assert list(run.panels) == ["loss", "penalty", "fid", "kid"]
    assert list(run.panels["loss"]) == ["generator", "discriminator"]
    assert [(alarm.name, alarm.step) for alarm in run.alarms] == [("collapse", 1000)]
    points = run.panels["loss"]["discriminator"]
    assert len(points) == MAX_POINTS
    assert points[-1] == (2000, 0.5)
    assert read_run(tmp_path / "my run" / "log.jsonl") == run


def test_a_log_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    """An incomplete last line, as after an interruption, is ignored."""
    folder = write_log(tmp_path / "run", [{"step": 1, "loss/g": 1.0}])
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"step": 2, "loss/g"')
    assert read_run(folder).panels == {"loss": {"g": [(1, 1.0)]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no line"),
        ("nonsense\n{}\n", "line 1, is not JSON"),
        ('{"loss": 1}\n', "no number 'step'"),
        ('{"step": NaN}\n', "no number 'step'"),
        ("[1]\n", "no number 'step'"),
    ],
)
def test_a_log_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message has the number of the line."""
    path = tmp_path / "log.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match=message):
        read_run(path)
    with pytest.raises(ResultError, match="cannot be read"):
        read_run(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"step": 2, "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "line 2, is nested deeper than 64 levels"),
        ('{"step": 2, "loss/g": ' + "1" * 5000 + "}", "line 2, holds a whole number of more than 308 digits"),
        ('{"step": ' + "1" * 400 + "}", "line 2, holds a whole number of more than 308 digits"),
    ],
)
def test_a_hostile_log_is_refused_by_line(tmp_path: Path, line: str, words: str) -> None:
    """Excessive depth and digits end in an error that names the line."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss/g": 1.0}\n' + line + '\n{"step": 3, "loss/g": 2}\n')
    with pytest.raises(ResultError, match=words):
        read_run(path)


def test_numbers_no_figure_has_room_for_are_named_or_left_out(tmp_path: Path) -> None:
    """A log's number beyond 1e100 is a gap; a result with one is refused by the page and the history plot."""
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "loss/g": 1.0}\n{"step": 2, "loss/g": 1e300}\n{"step": 3, "loss/g": 2}\n')
    assert read_run(log).panels["loss"]["g"] == [(1, 1.0), (3, 2.0)]
    huge = save(tmp_path / "huge.json", evaluation({"fid": metric(1e308)}))
    with pytest.raises(ResultError, match=r"fid of .*huge.json is 1e\+308, and numbers beyond 1e\+100 cannot be shown"):
        read_inputs([huge])


def test_a_comparison_with_a_number_that_is_none_is_damaged() -> None:
    """Every field of a difference must have its type."""
    generators = {name: evaluation().to_dict() for name in "AB"}
    document = {"schema": 1, "generators": generators, "warnings": []}
    known = {"verdict": "unclear", "value": 1.0, "metric": "fid", "first": "A", "second": "B"}
    good = dict.fromkeys(Difference.__slots__) | known
    assert Comparison.from_dict({**document, "differences": [good]}).differences[0].value == 1.0
    for field in ("value", "standard_error", "p_value", "needed"):
        for value in ("1", True, [1], 10**400):
            with pytest.raises(ResultError, match="damaged"):
                Comparison.from_dict({**document, "differences": [{**good, field: value}]})


def test_numbers_that_are_not_finite_leave_a_gap(tmp_path: Path) -> None:
    """The log of a diverged run is still drawn."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss/g": 1.0}\n{"step": 2, "loss/g": NaN}\n{"step": 3, "loss/g": 2}\n')
    assert read_run(path).panels["loss"]["g"] == [(1, 1.0), (3, 2.0)]


def test_a_saved_result_is_read_as_it_was(saved: Path) -> None:
    """The report does not change a saved result."""
    assert read_evaluation(saved) == Evaluation.from_json(saved.read_text(encoding="utf-8"))
