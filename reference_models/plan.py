"""What decides a run's weights: the recipe with what was chosen instead of it, the images, the seed, the machine.

Everything else about a run (how often it logs, draws, scores and saves) leaves the weights alone and is not here.
A plan is checked, written down and compared without torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, cast, get_args

from ganeval.errors import UsageError, did_you_mean
from reference_models import VARIANTS, find_variant
from reference_models.recipes import Recipe, plain

Precision = Literal["float32", "bfloat16"]
# Fields of a recipe that a run may choose; "settings.<name>" are the model's own.
CHOOSABLE = ("network", "resolution", "channels", "batch", "steps", "ema", "flips")
# A longer or a shorter run is the same run, as far as it goes.
MAY_CHANGE = ("recipe.steps", "chosen.steps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """recipe: as it will be followed; chosen: what in it is not the preset's, by name.

    data: a source as ganeval writes it. device: a name of torch's. accumulate: the parts a batch is worked through in.
    """

    recipe: Recipe
    data: str
    num_samples: int | None = None
    seed: int = 0
    device: str = "cpu"
    precision: Precision = "float32"
    accumulate: int = 1
    chosen: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """UsageError for values no run can have."""
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed is {self.seed}; it must be from 0 to {2**32 - 1}.")
        if self.precision not in get_args(Precision):
            near = did_you_mean(self.precision, get_args(Precision))
            raise UsageError(f"'{self.precision}' is not a precision to train in; {near}")
        if not 1 <= self.accumulate <= self.recipe.batch:
            raise UsageError(
                f"accumulate is {self.accumulate}; a batch of {self.recipe.batch} images can be worked through in 1 to "
                f"{self.recipe.batch} parts."
            )

    def choose(self, **choices: object) -> "Plan":
        """The same plan with other choices in its recipe."""
        chosen = {**self.chosen, **choices}
        return replace(self, recipe=choose(self.recipe, choices), chosen=chosen)


def make_plan(
    variant: str,
    *,
    preset: str = "smoke",
    data: str | None = None,
    chosen: Mapping[str, object] | None = None,
    num_samples: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    precision: Precision = "float32",
    accumulate: int = 1,
) -> Plan:
    """A variant's preset with other choices. data: None for what the recipe names.

    Raises UsageError for unknown names and impossible values.
    """
    recipe = find_variant(variant).recipe(preset)
    return Plan(
        recipe=choose(recipe, chosen or {}),
        data=data or recipe.data,
        num_samples=num_samples,
        seed=seed,
        device=device,
        precision=precision,
        accumulate=accumulate,
        chosen=dict(chosen or {}),
    )


def choose(recipe: Recipe, choices: Mapping[str, object]) -> Recipe:
    """A recipe with other values. choices: by name, one of CHOOSABLE, or "settings.<name>" of the model's own.

    Raises UsageError for a name the variant does not have, or a value of another kind.
    """
    own = recipe.settings
    known = {name: getattr(recipe, name) for name in CHOOSABLE}
    if is_dataclass(own):
        known |= {f"settings.{option.name}": getattr(own, option.name) for option in fields(own)}
    for name, value in choices.items():
        if name not in known:
            raise UsageError(f"{recipe.variant} has no setting '{name}'; {did_you_mean(name, tuple(known))}")
        _check_kind(recipe, name, value, known[name])
    networks = find_variant(recipe.variant).networks
    if choices.get("network", recipe.network) not in networks:
        raise UsageError(
            f"'{choices['network']}' is not a network of {recipe.variant}; "
            f"{did_you_mean(str(choices['network']), networks)}"
        )
    inner = {name.removeprefix("settings."): value for name, value in choices.items() if name.startswith("settings.")}
    outer = {name: value for name, value in choices.items() if not name.startswith("settings.")}
    settings = replace(cast(Any, own), **inner) if inner else own
    return replace(recipe, **cast(Any, outer), settings=settings)


def _check_kind(recipe: Recipe, name: str, value: object, usual: object) -> None:
    """UsageError where a value is not of the kind that stands there, or not one of the words that may."""
    words = _words(recipe, name)
    if words and value not in words:
        raise UsageError(f"'{value}' is no {name} of {recipe.variant}; {did_you_mean(str(value), words)}")
    kinds = (float, int) if isinstance(usual, float) or name == "ema" else type(usual)
    if not isinstance(value, kinds) or (isinstance(value, bool) and not isinstance(usual, bool)):
        raise UsageError(f"{name} of {recipe.variant} is {value!r}; it is usually {usual!r}.")


def _words(recipe: Recipe, name: str) -> tuple[str, ...]:
    """What a setting of the model's own may be, where it is one of several words."""
    if not name.startswith("settings."):
        return ()
    from typing import get_type_hints

    return tuple(str(word) for word in get_args(get_type_hints(type(recipe.settings))[name.removeprefix("settings.")]))


def plan_from(document: Mapping[str, Any]) -> Plan:
    """The plan that `plain(plan)` wrote down; UsageError where the variant no longer is what it was then."""
    recipe = document["recipe"]
    if recipe["variant"] not in VARIANTS:
        raise UsageError(f"This run trained '{recipe['variant']}', which is no variant of this version.")
    others = {option.name: document[option.name] for option in fields(Plan) if option.name not in ("recipe", "chosen")}
    plan = make_plan(recipe["variant"], preset=recipe["preset"], chosen=document["chosen"], **others)
    refuse_changes(document, cast(Mapping[str, Any], plain(plan)), where="this version of ganeval")
    return plan


def refuse_others(plan: Plan, asked: Mapping[str, object]) -> None:
    """UsageError that names every setting that a plan has otherwise. asked: a Plan's own by name, or a recipe's."""
    now = _flat(cast(Mapping[str, Any], plain(plan)))
    own = {option.name for option in fields(Plan)}
    names = {name: name if name in own else f"recipe.{name}" for name in asked}
    refuse_changes(
        {names[name]: now[names[name]] for name in asked},
        {names[name]: asked[name] for name in asked},
        where="this command",
    )


def refuse_changes(was: Mapping[str, Any], now: Mapping[str, Any], *, where: str) -> None:
    """UsageError that names every setting of a run that would be another when it goes on."""
    before, after = _flat(was), _flat(now)
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name) and name not in MAY_CHANGE]
    if changed:
        listed = "; ".join(f"{name} was {before.get(name)!r} and is {after.get(name)!r}" for name in changed)
        raise UsageError(
            f"A run goes on with the settings it began with, and in {where} {listed}. Leave them as they were, or "
            "start a new run."
        )


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested dicts => one level, with dotted names."""
    flat: dict[str, object] = {}
    for name, value in document.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
