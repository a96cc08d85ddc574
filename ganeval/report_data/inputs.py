"""The inputs of a report from evaluations in memory, with the report data of every result."""

from collections.abc import Mapping

from ganeval.comparison import Comparison, ExtractorsComparison
from ganeval.gate import Check
from ganeval.report.inputs import ReportInputs, Subject
from ganeval.report_data.build import build_report_data
from ganeval.results import Evaluation
from ganeval.runs import RunsComparison


def report_inputs(
    found: Evaluation | Comparison | RunsComparison | ExtractorsComparison,
    *,
    name: str | None = None,
    floor: Evaluation | None = None,
    checks: Mapping[str, Check] | None = None,
) -> ReportInputs:
    """What a report shows of an evaluation or a comparison, while its images are at hand.

    Args:
        found: What `evaluate`, `compare`, `compare_runs` or `compare_extractors` returned, with features and logits
            (`also=("features", "logits")`); results that were read from files are shown without pictures.
        name: What a single evaluation is called; None for the name of its fakes.
        floor: What `noise_floor` returned, to be shown next to the values.
        checks: Outcomes of the gate, by the name of the result.

    Returns:
        The inputs of `ganeval.report.write_page` and `save_report_data`.

    Raises:
        UsageError: The floor was measured differently.

    >>> import ganeval.report, tempfile, torch
    >>> real = torch.randint(0, 256, (30, 3, 4, 4), dtype=torch.uint8)
    >>> found = ganeval.evaluate(real, real[:20], metrics=["fid"], extractor="pixels:4", cache=False)
    >>> inputs = ganeval.report_data.report_inputs(found, name="copies")
    >>> len(inputs.subjects[0].data.galleries["samples"].fake)
    20
    >>> ganeval.report.write_page(inputs, tempfile.mkdtemp() + "/page.html")
    """
    evaluations = {name or _name(found): found} if isinstance(found, Evaluation) else found.evaluations
    return ReportInputs(
        [Subject(name, one) if one.fake is None else _subject(name, one) for name, one in evaluations.items()],
        comparison=found if isinstance(found, Comparison) else None,
        methods=found if isinstance(found, RunsComparison) else None,
        extractors=found if isinstance(found, ExtractorsComparison) else None,
        floor=floor,
        checks=checks or {},
    )


def _subject(name: str, evaluation: Evaluation) -> Subject:
    return Subject(name, evaluation, build_report_data(evaluation))


def _name(evaluation: Evaluation) -> str:
    """The name of the fakes, as given in a result."""
    about = evaluation.provenance.get("fake")
    return str(about.get("name", "result")) if isinstance(about, Mapping) else "result"
