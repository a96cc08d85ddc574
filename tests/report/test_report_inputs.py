"""A report from Python: of files with one call, and of what was just evaluated."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from gate_helpers import save
from report_helpers import GENERATORS

from ganeval.comparison import Comparison, ExtractorsComparison
from ganeval.errors import UsageError
from ganeval.gate import check
from ganeval.report import read_inputs, render, save_report_data, write_page
from ganeval.report.data import ReportData, report_data_path
from ganeval.report_data import report_inputs
from ganeval.results import Evaluation


def test_one_call_reads_all_files_of_a_page(saved: Path, tmp_path: Path) -> None:
    """Results are checked against the baseline, by the tolerances of a file, and training runs are shown."""
    run, limits = tmp_path / "run", tmp_path / "limits.toml"
    run.mkdir()
    (run / "log.jsonl").write_text('{"step": 1, "loss/g": 1.0}\n{"step": 2, "loss/g": 0.5}\n')
    limits.write_text("[kid]\nmax = 1e-9\n")
    inputs = read_inputs([str(saved)], baseline=str(saved), training=[str(run)])
    assert inputs.checks["result"].outcome == "pass"
    assert [one.name for one in inputs.runs] == ["run"]
    assert read_inputs([saved], thresholds=str(limits)).checks["result"].outcome == "regressed"
    assert read_inputs([saved]).checks == {}
    with pytest.raises(UsageError, match="is not a noise floor"):
        read_inputs([saved], floor=str(saved))


def test_a_comparison_is_shown_with_its_pictures(
    compared: Comparison, report_data: dict[str, ReportData], tmp_path: Path
) -> None:
    """Every generator has its report data, which are found again next to the saved result."""
    inputs = report_inputs(compared)
    assert [subject.name for subject in inputs.subjects] == list(GENERATORS)
    assert [subject.data for subject in inputs.subjects] == [report_data[name] for name in GENERATORS]
    assert inputs.comparison is compared
    result = save(tmp_path / "both.json", compared)
    written = save_report_data(inputs, str(result))
    assert written == [report_data_path(result, 1), report_data_path(result, 2)]
    assert [one.data for one in read_inputs([result]).subjects] == [one.data for one in inputs.subjects]
    write_page(inputs, tmp_path / "page.html", title="both")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == render(inputs, title="both")


def test_a_single_evaluation_has_a_name_and_its_check(evaluations: Mapping[str, Evaluation], tmp_path: Path) -> None:
    """Without a name it is called as its fakes; one that was read from a file is shown without pictures."""
    one = evaluations[GENERATORS[1]]
    found = check(one, one, None)
    inputs = report_inputs(one, name="mine", checks={"mine": found})
    assert [subject.name for subject in inputs.subjects] == ["mine"]
    assert inputs.checks == {"mine": found}
    assert save_report_data(inputs, tmp_path / "one.json") == [tmp_path / "one.report-data.zip"]
    assert report_inputs(one).subjects[0].name == one.provenance["fake"]["name"]
    read = report_inputs(replace(one, real=None, fake=None))
    assert read.subjects[0].data is None
    assert save_report_data(read, tmp_path / "read.json") == []


def test_one_generator_by_several_extractors(
    evaluations: Mapping[str, Evaluation], report_data: dict[str, ReportData], tmp_path: Path
) -> None:
    """Every extractor is a subject with report data of its own, and there is no difference to show."""
    one = replace(evaluations[GENERATORS[1]], real=None, fake=None)
    inputs = report_inputs(ExtractorsComparison.of_one("b", {"x": one, "y": one}))
    assert [subject.name for subject in inputs.subjects] == ["x: b", "y: b"]
    assert inputs.extractors is not None
    assert inputs.extractors.disagreements == ()
    shown = [replace(subject, data=report_data[GENERATORS[1]]) for subject in inputs.subjects]
    written = save_report_data(replace(inputs, subjects=shown), tmp_path / "both.json")
    assert [path.name for path in written] == ["both.1.report-data.zip", "both.2.report-data.zip"]
