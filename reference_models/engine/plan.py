"""The plan of a run: everything that determines its weights. Recipe, chosen settings, images, seed, device.

Other options of a run (how often it logs, draws, scores and saves) do not affect the weights and are not included.
Plans are checked, written and compared without torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from ganeval.autocast import Precision
from ganeval.errors import CheckpointError, UsageError, did_you_mean
from reference_models.data.specs import NO_SEQUENCES, as_spec, is_sequences
from reference_models.engine.choices import RATE, choose, own_number, places, with_own_numbers
from reference_models.models import VARIANTS, find_variant
from reference_models.recipes import Recipe, plain

# Not fp16, which loses small gradients unless losses are scaled.
TRAINABLE: tuple[Precision, ...] = ("fp32", "bf16")
# Maximum number of differences to list if a checkpoint is of another run.
_LISTED = 3
# Fields that may differ when a run is resumed: its length (schedules are stretched), the location of its images, which
# are identified by their digest, its device, and a recipe's descriptions, which do not affect weights.
MAY_CHANGE = (
    *("recipe.steps", "chosen.steps", "data", "device"),
    *("recipe.follows", "recipe.differs", "recipe.targets"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What is trained, on what data, and how.

    Attributes:
        recipe: The recipe, with the chosen settings.
        data: The spec of a source of images.
        train_images: Train on a seeded random subset of this many images; None for all.
        seed: Seed of weights, batches and latents.
        device: Torch's name of a device.
        precision: "fp32" or "bf16".
        accumulate: Number of parts that a batch is processed in.
        chosen: The settings that replace the preset's, by name.
    """

    recipe: Recipe
    data: str
    train_images: int | None = None
    seed: int = 0
    device: str = "cpu"
    precision: Precision = "fp32"
    accumulate: int = 1
    chosen: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """UsageError for impossible values."""
        for name in ("seed", "accumulate", "train_images"):
            number = own_number(getattr(self, name))
            if number is None and name == "train_images":
                continue
            if isinstance(number, bool) or not isinstance(number, int):
                raise UsageError(f"{name} is {number!r}; it must be a whole number.")
            object.__setattr__(self, name, number)
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed is {self.seed}; it must be from 0 to {2**32 - 1}.")
        if self.precision == "fp16":
            raise UsageError(
                "fp16 is only for scoring: its range is too small for the gradients of training; choose "
                "--precision bf16 or fp32."
            )
        if self.precision not in TRAINABLE:
            near = did_you_mean(self.precision, TRAINABLE)
            raise UsageError(f"'{self.precision}' is not a precision to train in; {near}")
        if not 1 <= self.accumulate <= self.recipe.batch:
            raise UsageError(
                f"accumulate is {self.accumulate}; a batch of {self.recipe.batch} images can be processed in 1 to "
                f"{self.recipe.batch} parts."
            )

    def choose(self, chosen: Mapping[str, object]) -> "TrainingPlan":
        """The same plan with other choices in its recipe.

        Args:
            chosen: Settings by name, as of `make_plan`: {"steps": 500, "settings.width": 32}.

        Returns:
            The plan.

        Raises:
            UsageError: A name is unknown, or a value is impossible.
        """
        own = with_own_numbers(chosen)
        return replace(self, recipe=choose(self.recipe, own), chosen={**self.chosen, **own})


def make_plan(
    variant: str,
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    chosen: Mapping[str, object] | None = None,
    train_images: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    precision: Precision = "fp32",
    accumulate: int = 1,
) -> TrainingPlan:
    """The plan of a variant's preset with other choices.

    Args:
        variant: Name of a model, one of `reference_models.VARIANTS`.
        preset: Name of a recipe.
        data: Source of training images; None for those of the recipe.
        chosen: Settings that replace the preset's: {"steps": 500, "batch": 32, "lr": 1e-4}.
        train_images: Train on a seeded random subset of this many images.
        seed: Seed of weights, batches and latents.
        device: Torch's name of a device.
        precision: "fp32" or "bf16".
        accumulate: Parts that a batch is processed in, to save memory.

    Returns:
        The plan.

    Raises:
        UsageError: A name is unknown, a value is impossible, or the data are sequences where images are needed, or
            images where sequences are.
    """
    recipe = find_variant(variant).recipe(preset)
    spec, choices = recipe.data if data is None else as_spec(data, what="data"), with_own_numbers(chosen or {})
    check_kind(recipe, spec)
    return TrainingPlan(
        recipe=choose(recipe, choices),
        data=spec,
        train_images=train_images,
        seed=seed,
        device=device,
        precision=precision,
        accumulate=accumulate,
        chosen=choices,
    )


def check_kind(recipe: Recipe, spec: str) -> None:
    """UsageError for sequences if the model learns from images, or the reverse; the recipe's own data decide which."""
    wanted = is_sequences(recipe.data)
    if is_sequences(spec) == wanted:
        return
    if wanted:
        raise UsageError(f"{recipe.variant} learns from sequences, but '{spec}' is {NO_SEQUENCES}")
    learners = [name for name, one in VARIANTS.items() if is_sequences(one.recipe("quick").data)]
    raise UsageError(
        f"{recipe.variant} learns from images, but '{spec}' is a source of sequences; give a source of images, or a "
        f"variant that learns from sequences ({', '.join(learners)})."
    )


def plan_from(document: Mapping[str, Any]) -> TrainingPlan:
    """The plan that `plain(plan)` wrote; UsageError if the variant's recipe has changed since."""
    recipe = document["recipe"]
    if recipe["variant"] not in VARIANTS:
        raise UsageError(f"This run trained '{recipe['variant']}', which is not a variant of this version.")
    others = {
        option.name: document[option.name] for option in fields(TrainingPlan) if option.name not in ("recipe", "chosen")
    }
    plan = make_plan(recipe["variant"], preset=recipe["preset"], chosen=document["chosen"], **others)
    changed = _changes(document, cast(Mapping[str, Any], plain(plan)))
    if changed:
        raise UsageError(
            f"This run was trained by a recipe that differs from this version's: {_listed(changed)}. Use the version "
            "of ganeval that it was trained with, or train a new run."
        )
    return plan


def refuse_others(plan: TrainingPlan, asked: Mapping[str, object]) -> None:
    """UsageError if a setting is not the plan's; the message lists all such settings.

    asked: values by name, of fields of a TrainingPlan or settings of a recipe.
    """
    now = _flat(cast(Mapping[str, Any], plain(plan)))
    own = [option.name for option in fields(TrainingPlan)]
    wanted: dict[str, object] = {}
    # The rate of one player overrides that of all.
    for name in sorted(asked, key=lambda name: name != RATE):
        in_recipe = (name,) if name in ("variant", "preset") else () if name in own else places(plan.recipe, name)
        wanted |= dict.fromkeys([f"recipe.{place}" for place in in_recipe] or [name], asked[name])
    changed = _changes({name: now[name] for name in wanted}, wanted)
    if changed:
        raise UsageError(
            f"A run is resumed with its original settings, but in this command {_listed(changed)}. Leave "
            "them unchanged, or start a new run."
        )


def refuse_foreign(config: Mapping[str, Any], document: Mapping[str, Any], path: Path) -> None:
    """CheckpointError for a checkpoint of another run than the one in config.json. path: of the checkpoint."""
    changed = _changes(*({**one["plan"], "digest": one.get("digest")} for one in (config, document)))
    if changed:
        listed = "; ".join(f"{name} is {then!r} there and {now!r} here" for name, (then, now) in changed[:_LISTED])
        raise CheckpointError(
            f"{path} is not of the run that its folder's config.json describes: {listed}. Put the run's own checkpoint "
            "back, or its own config.json."
        )


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, tuple[object, object]]]:
    """Every setting that differs: its name, and the old and the new value."""
    before, after = _flat(was), _flat(now)
    both = {name: (before.get(name), after.get(name)) for name in {**before, **after} if name not in MAY_CHANGE}
    return [(name, values) for name, values in both.items() if values[0] != values[1]]


def _listed(changed: Sequence[tuple[str, tuple[object, object]]]) -> str:
    return "; ".join(f"{name} was {then!r} and is {now!r}" for name, (then, now) in changed)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested dicts => one level, with dotted names."""
    flat: dict[str, object] = {}
    for name, value in document.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
