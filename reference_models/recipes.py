"""Papers as plain data: rates and their schedules, recipes, published targets. Imports no torch.

A `Variant` is one paper; its `Recipe`s say how it is trained: "paper" has the authors' settings, "quick" takes seconds
on a CPU, and one named after a repository has that repository's settings. A published number is a target of the recipe
that reached it. Settings that only one model has are in its own frozen dataclass, `Recipe.settings`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Literal

from ganeval.errors import UsageError, did_you_mean

# Metadata of a model's setting that may be 0; all other numbers must be above 0.
MAY_BE_ZERO: Mapping[str, bool] = MappingProxyType({"may be 0": True})


@dataclass(frozen=True, slots=True)
class Linear:
    """A value that is constant for the fraction `after` of the run, and then changes linearly from start to end."""

    start: float
    end: float
    after: float = 0.0

    def at(self, step: int, steps: int) -> float:
        """The value at a step, counted from 0, of a run of so many."""
        progress = min(1.0, step / steps)
        return self.start + (self.end - self.start) * max(0.0, progress - self.after) / (1.0 - self.after)


@dataclass(frozen=True, slots=True)
class Halved:
    """A value that is halved after each of `parts` equal parts of the run except the last."""

    start: float
    parts: int

    def at(self, step: int, steps: int) -> float:
        """The value at a step, counted from 0, of a run of so many."""
        return self.start * 0.5 ** min(self.parts - 1, step * self.parts // steps)


@dataclass(frozen=True, slots=True)
class Decayed:
    """A value that is constant for the fraction `after` of the run, and then decays exponentially to start / by."""

    start: float
    by: float
    after: float = 0.0

    def at(self, step: int, steps: int) -> float:
        """The value at a step, counted from 0, of a run of so many."""
        progress = min(1.0, step / steps)
        return self.start / math.pow(self.by, max(0.0, progress - self.after) / (1.0 - self.after))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value that is constant for the fraction `after` of the run, and then start / by."""

    start: float
    by: float
    after: float

    def at(self, step: int, steps: int) -> float:
        """The value at a step, counted from 0, of a run of so many."""
        return self.start if step < self.after * steps else self.start / self.by


@dataclass(frozen=True, slots=True)
class Cosine:
    """A value that goes from start to end over the run along half a cosine, slowly at both ends."""

    start: float
    end: float

    def at(self, step: int, steps: int) -> float:
        """The value at a step, counted from 0, of a run of so many."""
        return self.start + (self.end - self.start) * (1.0 - math.cos(math.pi * min(1.0, step / steps))) / 2


@dataclass(frozen=True, slots=True)
class WarmedUp:
    """A value that rises linearly from 0 within the fraction `within` of the run, and then stays at `end`."""

    end: float
    within: float

    def at(self, step: int, steps: int) -> float:
        """The value at a step, counted from 0, of a run of so many."""
        return self.end * min(1.0, step / (self.within * steps))


# A schedule is relative to the length of the run: with twice the steps, every change comes at twice the step.
Schedule = Linear | Halved | Decayed | Dropped | Cosine | WarmedUp
Scheduled = float | Schedule


def value_at(value: Scheduled, step: int, steps: int) -> float:
    """A constant, or a schedule's value at a step of a run of `steps` steps; it has no state to restore."""
    return value if isinstance(value, float | int) else value.at(step, steps)


def nominal(value: Scheduled) -> float:
    """The number that scales a schedule: its initial value or, for a warm-up, its final value."""
    match value:
        case WarmedUp():
            return value.end
        case Linear() | Halved() | Decayed() | Dropped() | Cosine():
            return value.start
    return value


def rescaled(value: Scheduled, to: float) -> Scheduled:
    """The same schedule with another nominal value; all its values are scaled by one factor."""
    match value:
        case Linear() | Cosine():
            return replace(value, start=to, end=value.end * (to / value.start))
        case Halved() | Decayed() | Dropped():
            return replace(value, start=to)
        case WarmedUp():
            return replace(value, end=to)
    return to


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam: rate, betas (the second may be scheduled), and weight decay as an L2 term in the gradients.

    max_norm: gradients whose norm over all parameters of the player is larger are scaled down to it; None for no limit.
    """

    lr: Scheduled
    betas: tuple[float, Scheduled] = (0.9, 0.999)
    weight_decay: float = 0.0
    max_norm: float | None = None


@dataclass(frozen=True, slots=True)
class SGD:
    """Stochastic gradient descent: rate and momentum, either scheduled."""

    lr: Scheduled
    momentum: Scheduled = 0.0


@dataclass(frozen=True, slots=True)
class RMSprop:
    """RMSprop: rate and the smoothing constant of the squared gradients."""

    lr: Scheduled
    alpha: float = 0.99


Optimizer = Adam | SGD | RMSprop


@dataclass(frozen=True, slots=True)
class Latent:
    """The latent of a generator: `size` numbers, standard normal or uniform.

    bounds: of the uniform law, low and high; None for -1 and 1.
    """

    size: int
    law: Literal["normal", "uniform"] = "normal"
    bounds: tuple[float, float] | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high of the uniform law."""
        return self.bounds or (-1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A published number of the recipe that it belongs to, with the protocol it was measured under.

    Attributes:
        metric: A name of the METRICS table, where it has the metric.
        value: The number.
        data: The reference images.
        protocol: A name of ganeval's protocols, where it has the protocol.
        source: The publication.
        real: The number of reals; None where the publication does not say.
        fake: The number of fakes; None where the publication does not say.
        standing: "reproduced" by others or by the code that is followed; "aspirational": reported once; "searched": the
            best of a search over settings around the recipe's, so that the recipe itself need not reach it.
        recalled: Whether it is quoted from memory.
    """

    metric: str
    value: float
    data: str
    protocol: str
    source: str
    real: int | None = None
    fake: int | None = None
    standing: Literal["reproduced", "aspirational", "searched"] = "reproduced"
    recalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a variant is trained.

    Attributes:
        variant: The name of the variant.
        preset: The name of the recipe.
        follows: Whose settings these are.
        data: A source of images as ganeval writes it.
        resolution: Height and width of the images in pixels.
        channels: 1 or 3.
        latent: The law of the latent and its dimensions.
        batch: Images per update.
        steps: Generator steps.
        optimizers: One per player.
        network: One of `Variant.networks`.
        settings: The model's own frozen dataclass.
        ema: The decay of the average of the weights, None for no average.
        flips: Whether images are mirrored at random.
        differs: Known differences from the source that it follows; "" for none.
        targets: Published numbers that this recipe reached.
    """

    variant: str
    preset: str
    follows: str
    data: str
    resolution: int
    channels: int
    latent: Latent
    batch: int
    steps: int
    optimizers: Mapping[str, Optimizer]
    network: str = "paper"
    settings: object = None
    ema: float | None = None
    flips: bool = False
    differs: str = ""
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        """UsageError for impossible values."""
        if min(self.batch, self.steps) < 1:
            raise UsageError(f"batch ({self.batch}) and steps ({self.steps}) must be 1 or more.")
        if self.ema is not None and not 0.0 < self.ema < 1.0:
            raise UsageError(f"ema is {self.ema}; the decay of an average lies between 0 and 1, and 0.999 is usual.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One paper.

    Attributes:
        name: The name that selects it.
        title: The name of the model.
        paper: The reference.
        task: What the paper's model is for.
        model: "module:Class", imported when a model is built.
        recipes: By preset; "paper" and "quick" are always among them.
        parameters: The number of parameters of each player under the paper's preset.
        networks: Allowed values of `Recipe.network`.
        image_latents: Whether a latent has one number for each pixel and channel, so that its size follows the images
            and cannot be chosen.
    """

    name: str
    title: str
    paper: str
    task: str
    model: str
    recipes: Mapping[str, Recipe]
    parameters: Mapping[str, int]
    networks: tuple[str, ...] = ("paper",)
    image_latents: bool = False

    def recipe(self, preset: str = "paper") -> Recipe:
        """The recipe of a preset.

        Args:
            preset: Its name.

        Returns:
            The recipe.

        Raises:
            UsageError: The variant has no preset of this name.
        """
        if not isinstance(preset, str) or preset not in self.recipes:
            raise UsageError(
                f"'{preset}' is not a preset of {self.name}; {did_you_mean(str(preset), sorted(self.recipes))}"
            )
        return self.recipes[preset]


def rates(recipe: Recipe, step: int) -> dict[str, float]:
    """The learning rate of every player at a step of a recipe, counted from 0."""
    return {player: value_at(one.lr, step, recipe.steps) for player, one in recipe.optimizers.items()}


def plain(value: object) -> object:
    """Dataclasses, mappings and sequences => dicts, lists and numbers, as JSON holds them.

    A dataclass that is one of several alternatives (an optimizer, a schedule) has its name under "kind".
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": type(value).__name__} if isinstance(value, Schedule | Optimizer) else {}
        return kind | {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value
