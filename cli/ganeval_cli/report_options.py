"""`--report-data`, `--report` and `--grid`: what a measurement leaves behind besides numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval.errors import UsageError
from ganeval_cli.options import Command
from ganeval_cli.saving import check_writable, write_text

if TYPE_CHECKING:
    from ganeval.comparison import Comparison
    from ganeval.extractors.base import Output
    from ganeval.gate import Check
    from ganeval.results import Evaluation

_OPTIONS = (
    click.option(
        "--report-data",
        is_flag=True,
        help="Also keep pictures and curves beside --output, for `ganeval report` to show.",
    ),
    click.option(
        "--report", type=click.Path(path_type=Path), metavar="FILE.html", help="Also write a page to look at."
    ),
    click.option(
        "--floor",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A result of `ganeval noise`, for the page to show beside the values.",
    ),
)

grid_option = click.option(
    "--grid", type=click.Path(path_type=Path), metavar="FILE.png", help="Also write these images side by side."
)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What was asked for."""

    report_data: bool
    report: Path | None
    floor: Path | None = None

    def __bool__(self) -> bool:
        return self.report_data or self.report is not None

    @property
    def outputs(self) -> "tuple[Output, ...]":
        """What has to be known of every image, besides what metrics ask for."""
        return ("features", "logits") if self else ()

    def check(self, output: Path | None, *, every_protocol: bool) -> None:
        """UsageError and ResultError for what cannot be written, before anything is measured."""
        if self.floor is not None and self.report is None:
            raise UsageError("--floor is shown on a page; say where with --report.")
        if not self:
            return
        if every_protocol:
            raise UsageError("A report shows one protocol; choose one.")
        if self.report_data and output is None:
            raise UsageError("--report-data are kept beside the result; say where with --output.")
        if self.report is not None:
            from ganeval.report.page import check_installed

            check_installed()
            check_writable(self.report)
            self._floor()

    def keep(
        self,
        evaluations: "Mapping[str, Evaluation]",
        output: Path | None,
        *,
        comparison: "Comparison | None" = None,
        checks: "Mapping[str, Check] | None" = None,
    ) -> None:
        """Choose what to show of every evaluation, and write it.

        comparison: of all of them. checks: the gate's, by the evaluations' names.
        """
        if not self:
            return
        from ganeval.report.data import report_data_path, write_report_data
        from ganeval.report.inputs import ReportInputs, Subject
        from ganeval.report_data.build import build_report_data

        subjects = []
        for number, (name, evaluation) in enumerate(evaluations.items(), 1):
            data = build_report_data(evaluation)
            subjects.append(Subject(name, evaluation, data))
            if self.report_data and output is not None:
                write_report_data(report_data_path(output, None if comparison is None else number), data)
        if self.report is not None:
            from ganeval.report.page import render

            inputs = ReportInputs(subjects, comparison=comparison, floor=self._floor(), checks=checks or {})
            write_text(self.report, render(inputs))

    def _floor(self) -> "Evaluation | None":
        from ganeval.report.inputs import read_evaluation

        return None if self.floor is None else read_evaluation(self.floor)


NO_REPORT = ReportOptions(report_data=False, report=None)


def with_report_options(command: Command) -> Command:
    """These options; the command gets them as `report_options`."""

    @wraps(command)
    def parsed(*, report_data: bool, report: Path | None, floor: Path | None, **given: Any) -> None:
        command(report_options=ReportOptions(report_data, report, floor), **given)

    wrapped: Callable[..., None] = parsed
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def check_grid(path: Path | None) -> None:
    """UsageError for a path that no PNG can have, ResultError for a folder that takes none."""
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path} must end in .png: a grid is a PNG.")
    check_writable(path)
