"""Options that commands share, and the function that applies them.

    @command(metric_option("fid.ddof=0"), EVALUATION, OUTPUT)
    @click.argument("real")
    def fid(*, real: str, options: MetricOptions, evaluation: EvaluationOptions, output: OutputOptions) -> None: ...

A command receives an `OptionGroup` as one object. It is made, and checked without torch, while the command line is
parsed, so that no wrapper is needed between click and the command.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

import click

from ganeval.autocast import PRECISIONS
from ganeval.documents import DocumentError, parse_json
from ganeval.errors import UsageError
from ganeval.extractors import find_extractor
from ganeval.places import Place
from ganeval.settings import ON_ERROR, MetricOptions, Settings
from ganeval_cli.io import LocalPath, OutputFile, check_json

# What click makes a command of.
CommandFunction = Callable[..., None]
Format = Literal["table", "json", "csv", "markdown"]
EVERY_PROTOCOL = "all"
EVERY_METRIC = "all"
_DEFAULTS = Settings()
_POSITIVE = click.IntRange(min=1)
_EXISTING = LocalPath(exists=True)


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """Options that a command receives as one argument.

    name: of the argument. options: in the order of the help. build: makes the argument from the options' values.
    """

    name: str
    options: tuple[click.Option, ...]
    build: Callable[..., object]


class Command(click.Command):
    """A command with groups of options. items: groups and single options, in the order of the help."""

    def __init__(self, *args: Any, items: tuple[OptionGroup | click.Option, ...] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.groups = tuple(item for item in items if isinstance(item, OptionGroup))
        for item in items:
            self.params += item.options if isinstance(item, OptionGroup) else (item,)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, then replace the options of each group by the object made from them."""
        rest = super().parse_args(ctx, args)
        for group in self.groups:
            values = {str(option.name): ctx.params.pop(str(option.name)) for option in group.options}
            ctx.params[group.name] = group.build(**values)
        return rest


def command(
    *items: OptionGroup | click.Option, name: str | None = None, epilog: str | None = None
) -> Callable[[CommandFunction], Command]:
    """Make a function a command with these options; its own `@click.option`s come first in the help."""
    return click.command(name, cls=Command, items=items, epilog=epilog)


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How to evaluate.

    every_protocol: `--protocol all`; the settings then have the default protocol. extractors: from `--extractor A,B`,
    else empty; the settings then have the protocol's own extractor.
    """

    settings: Settings
    every_protocol: bool
    extractors: tuple[str, ...]

    @property
    def several(self) -> str | None:
        """The option that requests several results, without dashes; None for a single result."""
        return "protocol" if self.every_protocol else "extractor" if self.extractors else None


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What to print, and the file for the JSON document, if any."""

    format: Format
    quiet: bool
    verbose: bool
    path: Place | None = None

    def check(self) -> None:
        """UsageError or ResultError if the file cannot be written, or has the suffix of another format."""
        check_json(self.path)


def with_flags(options: MetricOptions, metric: str, **flags: object) -> MetricOptions:
    """Options of metrics, including those of one metric that were given by separate flags (None: not given).

    UsageError if a flag and an option disagree.
    """
    given = dict(options.get(metric, {}))
    for name, value in flags.items():
        if value is None:
            continue
        if given.get(name, value) != value:
            raise UsageError(
                f"--{name.replace('_', '-')} is {value}, but --option {metric}.{name} is {given[name]}; give one of "
                "them."
            )
        given[name] = value
    return {**options, metric: given} if given else options


def _evaluation(**given: Any) -> EvaluationOptions:
    chosen = {field.name: given[field.name] for field in fields(Settings) if field.name in given}
    every = chosen["protocol"] == EVERY_PROTOCOL
    if every:
        chosen["protocol"] = _DEFAULTS.protocol
    extractors = () if chosen["extractor"] is None else _extractors(chosen["extractor"])
    for one in extractors:
        find_extractor(one)
    if len(extractors) < 2:
        return EvaluationOptions(Settings.of(chosen), every, ())
    if every:
        raise UsageError("--protocol all compares protocols of one extractor; choose one with --extractor.")
    for one in extractors:
        Settings.of({**chosen, "extractor": one})
    return EvaluationOptions(Settings.of({**chosen, "extractor": None}), every, extractors)


def _extractors(text: str) -> tuple[str, ...]:
    """Specs separated by commas; file names, as in py:FILE.py:NAME, may also have commas."""
    found: list[str] = []
    for part in text.split(","):
        if found and found[-1].startswith("py:") and found[-1].count(":") < 2:
            found[-1] += f",{part}"
        else:
            found.append(part.strip())
    if "" in found:
        raise UsageError(f"--extractor {text} has nothing before or after a comma; write for example lite0,digits.")
    return tuple(found)


def _output(*, format: Format, quiet: bool, verbose: bool, output: Place | None = None) -> OutputOptions:
    return OutputOptions(format, quiet, verbose, output)


def _metrics(metrics: str | None) -> list[str] | str | None:
    if metrics is None or metrics.strip() == EVERY_METRIC:
        return None if metrics is None else EVERY_METRIC
    return [name for name in metrics.replace(" ", "").split(",") if name]


def _options(option: tuple[str, ...]) -> MetricOptions:
    """Options as typed, "prdc.k=3": the value is JSON, infinity, or else text."""
    found: dict[str, dict[str, object]] = {}
    for text in option:
        key, equals, value = text.partition("=")
        metric, dot, name = key.partition(".")
        if not (equals and dot and metric and name):
            raise UsageError(f"'{text}' is not an option of a metric; write METRIC.OPTION=VALUE, as in prdc.k=3.")
        parsed, others = _value(value), found.setdefault(metric, {})
        if name in others and others[name] != parsed:
            raise UsageError(f"--option {key} was given twice, as {others[name]} and as {parsed}; give one of them.")
        others[name] = parsed
    return found


def _value(text: str) -> object:
    """The value of an option as typed."""
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return float(text)
    try:
        return parse_json(text, finite=False)
    except DocumentError:
        return text


def metric_option(example: str) -> OptionGroup:
    """`--option`, as the argument `options`. example: for the help."""
    text = f"An option of a metric, as in {example}; `ganeval metrics` lists them. Repeatable."
    return OptionGroup(
        "options", (click.Option(["--option"], multiple=True, metavar="METRIC.OPTION=VALUE", help=text),), _options
    )


EVALUATION = OptionGroup(
    "evaluation",
    (
        click.Option(
            ["--extractor"],
            metavar="NAME[:ARG]",
            help="The network that turns images into features; `ganeval extractors` lists them. Several, separated by "
            "commas, are shown side by side (fid, is, kid, prdc, score, compare).  [default: that of the "
            "protocol, mostly inception]",
        ),
        click.Option(
            ["--protocol"],
            metavar="NAME",
            default=_DEFAULTS.protocol,
            show_default=True,
            help="The published tool to reproduce; `ganeval protocols` lists them. 'all' compares all protocols of "
            "inception (fid, is, kid, prdc, score).",
        ),
        click.Option(
            ["--weights"], type=_EXISTING, metavar="FILE", help="A weights file instead of the published one."
        ),
        click.Option(
            ["--device"],
            default=_DEFAULTS.device,
            show_default=True,
            help="cpu, cuda, cuda:1, mps, ...; auto takes a GPU if there is one.",
        ),
        click.Option(
            ["--precision"],
            type=click.Choice(PRECISIONS),
            default=_DEFAULTS.precision,
            show_default=True,
            help="Number format of the extractor's network.",
        ),
        click.Option(
            ["--cuda-graphs"],
            is_flag=True,
            help="Replay the extractor's network as a CUDA graph, which saves time between its kernels. For a GPU.",
        ),
        click.Option(
            ["--batch-size"], type=_POSITIVE, metavar="N", help="Images per batch.  [default: suits the device]"
        ),
        click.Option(
            ["--workers"],
            type=_POSITIVE,
            metavar="N",
            help="Decoding threads.  [default: one per core, at most 8]",
        ),
        click.Option(
            ["--num-samples"],
            type=_POSITIVE,
            metavar="N",
            help="Use a random subset of N images of each set. A live generator draws N, and all of REAL is then used.",
        ),
        click.Option(
            ["--seed"],
            type=click.IntRange(0, 2**32 - 1),
            metavar="N",
            default=_DEFAULTS.seed,
            show_default=True,
            help="Seed of random subsets and live generators.",
        ),
        click.Option(
            ["--on-error"],
            type=click.Choice(ON_ERROR),
            default=_DEFAULTS.on_error,
            show_default=True,
            help="For an unreadable image: fail, or skip it and report it (fails if there are many).",
        ),
        click.Option(
            ["--include"],
            multiple=True,
            metavar="GLOB",
            help="Use only matching files of folders, archives and lists: '*.png', 'epoch_9/**'. Repeatable.",
        ),
        click.Option(["--exclude"], multiple=True, metavar="GLOB", help="Leave out matching files. Repeatable."),
        click.Option(
            ["--value-range"],
            metavar="RANGE",
            help="Value range of images that are not uint8 and do not declare it: [0,1], [-1,1] or [0,255].",
        ),
        click.Option(
            ["--prepared"],
            metavar="TEXT",
            help="How REAL was made from the original photographs, for the record: 'lanczos 256 of FFHQ-1024'.",
        ),
        click.Option(
            ["--cache/--no-cache"],
            default=_DEFAULTS.cache,
            show_default=True,
            help="Keep features, so that unchanged images are not read again.",
        ),
    ),
    _evaluation,
)


def metrics_option(default: str) -> OptionGroup:
    """`--metrics`, as the argument `metrics`. default: the default metrics, for the help."""
    text = f"Separated by commas, or 'all'; `ganeval metrics` lists them.  [default: {default}]"
    return OptionGroup("metrics", (click.Option(["--metrics"], metavar="NAMES", help=text),), _metrics)


METRICS = metrics_option("what papers report: fid,kid,is,precision,recall,density,coverage")
# The options of EVALUATION that apply to pairs of images, as keywords.
READING = OptionGroup(
    "reading",
    (
        *(one for one in EVALUATION.options if one.name in ("device", "workers", "seed", "on_error")),
        click.Option(
            ["--num-samples"],
            type=_POSITIVE,
            metavar="N",
            help="Use a random subset of N pairs, the same for all sets.",
        ),
        *(one for one in EVALUATION.options if one.name in ("include", "exclude", "value_range")),
    ),
    dict,
)
METRIC_OPTION = metric_option("prdc.k=3")
# For commands that print documents and lists rather than tables of metrics.
FORMAT = click.Option(
    ["--format"],
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="json prints one JSON document and nothing else on standard output.",
)
QUIET = click.Option(["-q", "--quiet"], is_flag=True, help="No progress bars, no warnings.")
_VERBOSE = click.Option(["-v", "--verbose"], is_flag=True, help="Also print every detail of how it was measured.")
_TABLE_FORMAT = click.Option(
    ["--format"],
    type=click.Choice(("table", "json", "csv", "markdown")),
    default="table",
    show_default=True,
    help="json prints one JSON document and nothing else on standard output; csv and markdown print the table.",
)
_OUTPUT = click.Option(
    ["-o", "--output"],
    type=OutputFile(),
    metavar="FILE",
    help="Also write the JSON document to FILE, a path or a URL.",
)
OUTPUT = OptionGroup("output", (_TABLE_FORMAT, QUIET, _VERBOSE, _OUTPUT), _output)
# The same for a command whose --output is another file.
PRINTING = OptionGroup("printing", (FORMAT, QUIET, _VERBOSE), _output)
