"""The options that commands share, as decorators: each hands its command one object, checked without torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, Literal, cast

import click

from ganeval.autocast import PRECISIONS
from ganeval.documents import DocumentError, parse_json
from ganeval.errors import UsageError
from ganeval.extractors import find_extractor
from ganeval.settings import ON_ERROR, Settings

Command = Callable[..., None]
# Of metrics, by metric and then by option.
OptionsAsked = Mapping[str, Mapping[str, object]]
Format = Literal["table", "json", "csv", "markdown"]
EVERY_PROTOCOL = "all"
EVERY_METRIC = "all"
_DEFAULTS = Settings()
_POSITIVE = click.IntRange(min=1)
_FILE = click.Path(exists=True, path_type=Path)


@dataclass(frozen=True, slots=True)
class Choices:
    """How to measure. every_protocol: `--protocol all`; the settings then hold the default one."""

    settings: Settings
    every_protocol: bool


@dataclass(frozen=True, slots=True)
class View:
    """How to show what was measured."""

    format: Format
    quiet: bool
    verbose: bool


_MEASURING = (
    click.option(
        "--extractor",
        metavar="NAME[:ARG]",
        default=_DEFAULTS.extractor,
        show_default=True,
        help="What turns images into features; `ganeval extractors` lists them.",
    ),
    click.option("--size", type=_POSITIVE, metavar="N", help="Resize to N x N; for the extractor pixels."),
    click.option(
        "--protocol",
        metavar="NAME",
        default=_DEFAULTS.protocol,
        show_default=True,
        help="Which tool's way of measuring; `ganeval protocols` lists them. 'all' compares them.",
    ),
    click.option("--weights", type=_FILE, metavar="FILE", help="A weights file instead of the published one."),
    click.option(
        "--device", default=_DEFAULTS.device, show_default=True, help="cpu, cuda, cuda:1, mps, ...; auto takes a GPU."
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=_DEFAULTS.precision,
        show_default=True,
        help="Of the extractor's network.",
    ),
    click.option("--batch-size", type=_POSITIVE, metavar="N", help="Images a batch.  [default: suits the device]"),
    click.option("--workers", type=_POSITIVE, metavar="N", help="Decoding threads.  [default: one a core, at most 8]"),
    click.option(
        "--num-samples",
        type=_POSITIVE,
        metavar="N",
        help="Images of each set: a seeded random subset. A live generator draws so many, and REAL is used whole.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        metavar="N",
        default=_DEFAULTS.seed,
        show_default=True,
        help="Of subsets and live generators.",
    ),
    click.option(
        "--on-error",
        type=click.Choice(ON_ERROR),
        default=_DEFAULTS.on_error,
        show_default=True,
        help="At an image that cannot be read: stop, or leave it out, report it, and stop if there are many.",
    ),
    click.option(
        "--include",
        multiple=True,
        metavar="GLOB",
        help="Only files of this name in folders, archives and lists: '*.png', 'epoch_9/**'. Repeatable.",
    ),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Not these files. Repeatable."),
    click.option(
        "--value-range",
        metavar="RANGE",
        help="Of images in other numbers than uint8, where they do not say it: [0,1], [-1,1] or [0,255].",
    ),
    click.option(
        "--cache/--no-cache",
        default=_DEFAULTS.cache,
        show_default=True,
        help="Keep features, so that unchanged images are not read again.",
    ),
)
_FORMAT = click.option(
    "--format",
    type=click.Choice(("table", "json", "csv", "markdown")),
    default="table",
    show_default=True,
    help="json prints one JSON document and nothing else on standard output; csv and markdown the table, for papers.",
)
_SHOWING = (
    click.option("-q", "--quiet", is_flag=True, help="No progress bars, no warnings."),
    click.option("-v", "--verbose", is_flag=True, help="Also how it was measured, in full."),
)


def measuring(command: Command) -> Command:
    """The options of a measurement; the command gets them as `choices`."""

    @wraps(command)
    def parsed(*, size: int | None, **given: Any) -> None:
        chosen = {field.name: given.pop(field.name) for field in fields(Settings) if field.name in given}
        every = chosen["protocol"] == EVERY_PROTOCOL
        if every:
            chosen["protocol"] = _DEFAULTS.protocol
        chosen["extractor"] = _sized(chosen["extractor"], size)
        find_extractor(chosen["extractor"])
        command(choices=Choices(Settings.of(chosen), every), **given)

    return _with(parsed, _MEASURING)


def showing(command: Command) -> Command:
    """The options of showing a table; the command gets them as `view`."""
    return _viewing(command, _FORMAT)


def showing_plain(command: Command) -> Command:
    """The same for what is no table of metrics."""
    return _viewing(command, as_json)


def _viewing(command: Command, formats: Callable[[Command], Command]) -> Command:
    @wraps(command)
    def parsed(*, format: str, quiet: bool, verbose: bool, **given: Any) -> None:
        command(view=View(cast(Format, format), quiet, verbose), **given)

    return _with(parsed, (formats, *_SHOWING))


def metric_options(command: Command) -> Command:
    """Which metrics, and their options; the command gets them as `asked`, the keywords of `evaluate`."""

    @wraps(command)
    def parsed(*, metrics: str | None, option: tuple[str, ...], **given: Any) -> None:
        command(asked={"metrics": _names(metrics), "options": _options(option)}, **given)

    return _with(parsed, _METRICS)


def options_as_in(example: str) -> Callable[[Command], Command]:
    """`--option` for a command that computes fixed metrics; it gets them as `options`. example: for the help."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def parsed(*, option: tuple[str, ...], **given: Any) -> None:
            command(options=_options(option), **given)

        return _with(parsed, (_option(example),))

    return decorate


def with_flags(options: OptionsAsked, metric: str, **flags: object) -> OptionsAsked:
    """Options, and those that have a flag of their own and were given there; UsageError where the two disagree."""
    said = dict(options.get(metric, {}))
    for name, value in flags.items():
        if value is None:
            continue
        if said.get(name, value) != value:
            raise UsageError(
                f"--{name.replace('_', '-')} is {value} and --option {metric}.{name} is {said[name]}; give one of them."
            )
        said[name] = value
    return {**options, metric: said} if said else options


def _names(metrics: str | None) -> Any:
    if metrics is None or metrics.strip() == EVERY_METRIC:
        return None if metrics is None else EVERY_METRIC
    return [name for name in metrics.replace(" ", "").split(",") if name]


def _options(asked: tuple[str, ...]) -> OptionsAsked:
    """Options as typed, "prdc.k=3": the value as JSON has it, infinite, or as text."""
    found: dict[str, dict[str, object]] = {}
    for text in asked:
        name, equals, value = text.partition("=")
        metric, dot, option = name.partition(".")
        if not (equals and dot and metric and option):
            raise UsageError(f"'{text}' is no option of a metric; write METRIC.OPTION=VALUE, as in prdc.k=3.")
        read, others = _value(value), found.setdefault(metric, {})
        if option in others and others[option] != read:
            raise UsageError(f"--option {name} was given twice, as {others[option]} and as {read}; give one of them.")
        others[option] = read
    return found


def _value(text: str) -> object:
    """What was typed for an option."""
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return float(text)
    try:
        return parse_json(text, finite=False)
    except DocumentError:
        return text


def _option(example: str) -> Callable[[Command], Command]:
    return click.option(
        "--option",
        multiple=True,
        metavar="METRIC.OPTION=VALUE",
        help=f"An option of a metric, as in {example}; `ganeval metrics` lists them. Can be given several times.",
    )


_METRICS = (
    click.option(
        "--metrics",
        metavar="NAMES",
        help="Separated by commas, or 'all'; `ganeval metrics` lists them.  [default: what papers report: "
        "fid,kid,is,precision,recall,density,coverage]",
    ),
    _option("prdc.k=3"),
)
saving = click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Also write the JSON document to FILE."
)
as_json = click.option(
    "--format", type=click.Choice(("table", "json")), default="table", show_default=True, help="How to print."
)


def _with(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def _sized(extractor: str, size: int | None) -> str:
    """`--size 32` is another way to write pixels:32."""
    if size is None:
        return extractor
    if extractor != "pixels":
        raise UsageError(f"--size goes with --extractor pixels; the extractor '{extractor}' has a size of its own.")
    return f"pixels:{size}"
