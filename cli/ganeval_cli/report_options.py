"""`--report-data`, `--report` and `--floor`: pictures, curves and a page in addition to the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.errors import UsageError
from ganeval.places import Place, RemotePath
from ganeval_cli.io import LocalPath, OutputFile, check_page
from ganeval_cli.options import OptionGroup

if TYPE_CHECKING:
    from ganeval.comparison import Comparison, ExtractorsComparison
    from ganeval.extractors import Output
    from ganeval.gate import Check
    from ganeval.results import Evaluation
    from ganeval.runs import RunsComparison


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What to write in addition to the result. page: an HTML file; floor: a saved noise floor to show in it."""

    report_data: bool
    page: Place | None
    floor: Path | None

    @property
    def wanted(self) -> bool:
        """Whether anything was requested."""
        return self.report_data or self.page is not None

    @property
    def extractor_outputs(self) -> "tuple[Output, ...]":
        """Outputs to extract from every image, in addition to those that the metrics need."""
        return ("features", "logits") if self.wanted else ()

    def check(self, output: Place | None, *, every_protocol: bool = False) -> None:
        """UsageError and ResultError for files that cannot be written, before anything is measured."""
        if self.floor is not None and self.page is None:
            raise UsageError("--floor is shown on a page; name the page with --report.")
        if not self.wanted:
            return
        if every_protocol:
            raise UsageError("A report shows one protocol; choose one with --protocol.")
        if self.report_data and output is None:
            raise UsageError("--report-data is written next to the result; name the result's file with --output.")
        if self.report_data and isinstance(output, RemotePath):
            raise UsageError(f"--report-data is written next to a local result, but --output is {output}.")
        if self.page is not None:
            from ganeval.report import check_installed

            check_installed()
            check_page(self.page)
            self._read_floor()

    def write(
        self,
        found: "Evaluation | Comparison | RunsComparison | ExtractorsComparison",
        output: Place | None,
        *,
        name: str | None = None,
        checks: "Mapping[str, Check] | None" = None,
    ) -> None:
        """Write the report data next to the result, and the page, if requested.

        name: of a single evaluation. checks: the gate's, by the evaluations' names.
        """
        if not self.wanted:
            return
        from ganeval.report import save_report_data, write_page
        from ganeval.report_data import report_inputs

        inputs = report_inputs(found, name=name, checks=checks)
        if self.report_data and isinstance(output, Path):
            save_report_data(inputs, output)
        if self.page is not None:
            write_page(replace(inputs, floor=self._read_floor()), self.page)

    def _read_floor(self) -> "Evaluation | None":
        from ganeval.report import read_floor

        return None if self.floor is None else read_floor(self.floor)


def _report(*, report_data: bool, report: Place | None, floor: Path | None) -> ReportOptions:
    return ReportOptions(report_data, report, floor)


_FILE = LocalPath()
REPORT = OptionGroup(
    "report",
    (
        click.Option(
            ["--report-data"],
            is_flag=True,
            help="Also write pictures and curves next to --output, for `ganeval report` to show.",
        ),
        click.Option(["--report"], type=OutputFile(), metavar="FILE.html", help="Also write an HTML page."),
        click.Option(
            ["--floor"],
            type=_FILE,
            metavar="FILE",
            help="A result of `ganeval noise-floor` that the page shows next to the values.",
        ),
    ),
    _report,
)
GRID = click.Option(["--grid"], type=LocalPath(), metavar="FILE.png", help="Also write these images as one picture.")
