"""The options of a training: what to train, and what to do during training. They are checked without torch.

Options that were not given are None, so that a resumed run can tell required settings from others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ganeval.documents import DocumentError, parse_json
from ganeval.errors import UsageError
from ganeval_cli.options import CommandFunction

if TYPE_CHECKING:
    from reference_models import TrainingPlan

_POSITIVE = click.IntRange(min=1)
_OFTEN = click.IntRange(min=0)
# Options that are part of a recipe; the others belong to the plan.
_OF_RECIPE = ("network", "resolution", "channels", "batch", "steps", "ema", "flips")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to train, as far as given. given: settings by name."""

    variant: str | None
    epochs: float | None
    given: Mapping[str, object]

    def to_resume(self, output: Path | None) -> tuple[int | None, Mapping[str, object]]:
        """The target number of steps, and settings a resumed run must have; UsageError for --output and --epochs."""
        if output is not None or self.epochs is not None:
            raise UsageError("--resume continues in the run's own folder, to --steps; leave --output and --epochs out.")
        from reference_models import check_data

        if "data" in self.given:
            check_data(str(self.given["data"]))
        named = {} if self.variant is None else {"variant": self.variant}
        asked = {**named, **{name: value for name, value in self.given.items() if name != "steps"}}
        return cast("int | None", self.given.get("steps")), asked

    def to_start(self) -> tuple[str, dict[str, Any]]:
        """The variant and the other keywords of a plan; UsageError if no variant was named."""
        if self.variant is None:
            raise UsageError("Give a model to train with --variant; `ganeval variants` lists them.")
        own: dict[str, Any] = {"device": "auto"}
        own |= {name: value for name, value in self.given.items() if not _in_recipe(name)}
        return self.variant, {**own, "chosen": {name: value for name, value in self.given.items() if _in_recipe(name)}}

    def plan(self) -> "TrainingPlan":
        """The plan of a new run, checked without torch; SourceError for missing images."""
        from reference_models import check_data, make_plan

        variant, given = self.to_start()
        plan = make_plan(variant, **given)
        check_data(plan.data)
        return plan


def _in_recipe(name: str) -> bool:
    return name in _OF_RECIPE or name.startswith("settings.") or _is_general(name)


def _is_general(name: str) -> bool:
    """Whether this name in --set is a setting of every variant: the learning rate, or the latent's size."""
    return name in ("lr", "latent") or name.startswith("lr.")


_PLANNING = (
    click.option("--variant", metavar="NAME", help="What to train; `ganeval variants` lists them."),
    click.option("--data", metavar="SOURCE", help="Images to learn from.  [default: what the preset names]"),
    click.option(
        "--preset",
        metavar="NAME",
        help="quick: in seconds; paper: as in the paper; others: see `ganeval variants NAME`.  [default: quick]",
    ),
    click.option("--steps", type=_POSITIVE, metavar="N", help="Generator steps.  [default: the preset's]"),
    click.option(
        "--epochs",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="Instead of --steps: passes over all images.",
    ),
    click.option("--batch", type=_POSITIVE, metavar="N", help="Images per update.  [default: the preset's]"),
    click.option(
        "--resolution",
        type=_POSITIVE,
        metavar="N",
        help="Crop to squares and resize to N x N.  [default: the preset's]",
    ),
    click.option("--channels", type=_POSITIVE, metavar="N", help="1 or 3.  [default: as in the images]"),
    click.option("--network", metavar="NAME", help="One of the variant's networks."),
    click.option("--ema", type=float, metavar="DECAY", help="Keep an average of the weights, and sample from it."),
    click.option("--flips/--no-flips", default=None, help="Mirror images at random."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="lr=1e-4, lr.generator=1e-4, latent=64, or a setting of the variant's own. Repeatable.",
    ),
    click.option("--train-images", type=_POSITIVE, metavar="N", help="Train on a seeded random subset of N images."),
    click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Seed of all random numbers.  [default: 0]"
    ),
    click.option("--device", help="cpu, cuda, cuda:1, ...; auto takes a GPU.  [default: auto]"),
    click.option("--precision", metavar="NAME", help="fp32 or bf16.  [default: fp32]"),
    click.option("--accumulate", type=_POSITIVE, metavar="N", help="Compute each batch in N parts, to save memory."),
)
_BESIDE = (
    click.option(
        "--log-every", type=_POSITIVE, metavar="N", default=20, show_default=True, help="A log line every N steps."
    ),
    click.option(
        "--sample-every",
        type=_OFTEN,
        metavar="N",
        default=500,
        show_default=True,
        help="A picture of samples every N steps.",
    ),
    click.option(
        "--save-every",
        type=_OFTEN,
        metavar="N",
        default=500,
        show_default=True,
        help="Save the last checkpoint every N steps.",
    ),
    click.option("--keep-every", type=_OFTEN, metavar="N", default=0, help="Keep a separate checkpoint every N steps."),
    click.option(
        "--score-every", type=_OFTEN, metavar="N", default=0, help="A score every N steps; the best checkpoint is kept."
    ),
    click.option(
        "--stop-on", metavar="ALARMS", default="", help="Save and stop at these alarms: collapse,divergence,..."
    ),
    click.option("--tensorboard", is_flag=True, help="Also write TensorBoard's events; needs ganeval[tensorboard]."),
)
_PLANNED = ("data", "preset", "train_images", "seed", "device", "precision", "accumulate", *_OF_RECIPE)
_INTERVALS = ("log_every", "sample_every", "save_every", "keep_every", "score_every", "tensorboard")


def planning(command: CommandFunction) -> CommandFunction:
    """What to train; the command gets it as `wanted`."""

    @wraps(command)
    def parsed(*, variant: str | None, epochs: float | None, settings: tuple[str, ...], **rest: Any) -> None:
        said = {name: rest.pop(name) for name in _PLANNED}
        given = {name: value for name, value in said.items() if value is not None} | parsed_settings(settings)
        if epochs is not None and "steps" in given:
            raise UsageError("--steps and --epochs both set the length; give one of them.")
        command(wanted=Wanted(variant, epochs, given), **rest)

    return with_options(parsed, _PLANNING)


def beside(command: CommandFunction) -> CommandFunction:
    """What to do during training; the command gets it as `intervals`, the keywords of `Intervals`."""

    @wraps(command)
    def parsed(*, stop_on: str, **rest: Any) -> None:
        intervals = {name: rest.pop(name) for name in _INTERVALS}
        command(intervals={**intervals, "stop_on": stop_on}, **rest)

    return with_options(parsed, _BESIDE)


def with_options(
    command: CommandFunction, options: tuple[Callable[[CommandFunction], CommandFunction], ...]
) -> CommandFunction:
    """A command with these options, in the order of its help."""
    for option in reversed(options):
        command = option(command)
    return command


def parsed_settings(settings: tuple[str, ...]) -> dict[str, object]:
    """Settings as typed, "loss=minimax" or "lr=1e-4": the value is JSON, or else text."""
    found: dict[str, object] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not (equals and name):
            raise UsageError(f"'{text}' is not a setting; write NAME=VALUE, as in loss=minimax.")
        known_as = name if _is_general(name) else f"settings.{name}"
        try:
            found[known_as] = parse_json(value, finite=False)
        except DocumentError:
            found[known_as] = value
    return found
