"""One measurement: checked, made, saved and shown, for every command that asks for one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganeval.errors import UsageError
from ganeval.printable import printable
from ganeval.sources import check_spec
from ganeval_cli.console import note, out
from ganeval_cli.gating import Gate, hold
from ganeval_cli.options import Choices, View
from ganeval_cli.render import evaluation_text, evaluations_csv, protocols_text, warnings_of
from ganeval_cli.report_options import NO_REPORT, ReportOptions
from ganeval_cli.saving import check_writable, to_json, write_text

if TYPE_CHECKING:
    from ganeval.features import FeatureSet
    from ganeval.results import Evaluation
    from ganeval.selection import Names, Options


@dataclass(frozen=True, slots=True)
class More:
    """What a command has to say beside the table: members of the JSON document, a text or Markdown, details for CSV."""

    document: Mapping[str, object]
    text: str
    details: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One measurement as it was asked for on the command line. real: None where no metric looks at reals."""

    real: str | None
    fake: str
    metrics: "Names"
    choices: Choices
    view: View
    output: Path | None
    options: "Options" = field(default_factory=dict)
    report_options: ReportOptions = NO_REPORT
    gate: Gate | None = None

    def answer(self, more: "Callable[[Evaluation], More] | None" = None) -> None:
        """Measure, save, show. more: looks at what was measured; one protocol only."""
        check_specs(self.real, self.fake)
        if self.output is not None:
            check_writable(self.output)
        self.report_options.check(self.output, every_protocol=self.choices.every_protocol)
        if self.choices.every_protocol:
            if more is not None:
                raise UsageError("This command looks at the images under one protocol; choose one.")
            evaluations = self._protocols()
            show(evaluations, choices=self.choices, view=self.view, output=self.output)
            return
        evaluation = self._evaluation()
        evaluations = {self.choices.settings.protocol: evaluation}
        found = None if more is None else more(evaluation)
        show(evaluations, choices=self.choices, view=self.view, output=self.output, more=found)
        checks = {} if self.gate is None else {self.fake: self.gate.check(evaluation)}
        self.report_options.keep({self.fake: evaluation}, self.output, checks=checks)
        hold(self.gate, evaluations, view=self.view, output=self.output)

    def _evaluation(self) -> "Evaluation":
        from ganeval.evaluation import evaluate

        return evaluate(
            self.real,
            self.fake,
            metrics=self.metrics,
            options=self.options,
            also=self.report_options.outputs,
            **how(self.choices, self.view),
        )

    def _protocols(self) -> "Mapping[str, Evaluation]":
        from ganeval.evaluation import evaluate_protocols

        return evaluate_protocols(
            self.real, self.fake, metrics=self.metrics, options=self.options, **how(self.choices, self.view)
        )


def sides_of(evaluation: "Evaluation") -> "tuple[FeatureSet, FeatureSet]":
    """The reals and the fakes of an evaluation that looked at both."""
    assert evaluation.real is not None
    assert evaluation.fake is not None
    return evaluation.real, evaluation.fake


def show(
    evaluations: "Mapping[str, Evaluation]",
    *,
    choices: Choices,
    view: View,
    output: Path | None,
    more: More | None = None,
) -> None:
    """Save and print evaluations by protocol, one or all of them."""
    document = {**_document(evaluations, choices), **({} if more is None else more.document)}
    if output is not None:
        write_text(output, to_json(document) + "\n")
    if view.format == "json":
        out(to_json(document))
    elif view.format == "csv":
        details = () if more is None else more.details
        out(evaluations_csv(evaluations, every=choices.every_protocol, details=details))
    else:
        text = _text(evaluations, choices, view)
        out(text if more is None else f"{text}\n\n{more.text}")
    warn(warnings_of(evaluations.values()), view)


def _document(evaluations: "Mapping[str, Evaluation]", choices: Choices) -> Mapping[str, object]:
    if choices.every_protocol:
        from ganeval.results import SCHEMA

        return {"schema": SCHEMA, "protocols": {name: one.to_dict() for name, one in evaluations.items()}}
    return next(iter(evaluations.values())).to_dict()


def _text(evaluations: "Mapping[str, Evaluation]", choices: Choices, view: View) -> str:
    if choices.every_protocol:
        return protocols_text(evaluations, default=choices.settings.protocol, view=view)
    return evaluation_text(next(iter(evaluations.values())), view=view)


def check_specs(*specs: str | None) -> None:
    """Refuse what leads nowhere before anything is computed."""
    for spec in specs:
        if spec is not None:
            check_spec(spec)


def how(choices: Choices, view: View) -> dict[str, Any]:
    """The keywords that every measuring function takes from the command line."""
    from ganeval_cli.progress import bars

    return {"progress": bars(quiet=view.quiet), **asdict(choices.settings)}


def warn(warnings: list[str], view: View) -> None:
    """What to know of a result, on stderr."""
    if not view.quiet:
        for warning in warnings:
            note(f"warning: {printable(warning)}")
