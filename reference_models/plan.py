"""What decides a run's weights: the recipe with what was chosen instead of it, the images, the seed, the machine.

Everything else about a run (how often it logs, draws, scores and saves) leaves the weights alone and is not here.
A plan is checked, written down and compared without torch.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_type_hints

from ganeval.errors import CheckpointError, UsageError, did_you_mean
from reference_models import VARIANTS, find_variant
from reference_models.recipes import MAY_BE_ZERO, Recipe, plain

Precision = Literal["float32", "bfloat16"]
# Fields of a recipe that a run may choose; "settings.<name>" are the model's own.
CHOOSABLE = ("network", "resolution", "channels", "batch", "steps", "ema", "flips")
_OWN = "settings."
# Of the differences between a run and a checkpoint of another, so many are named.
_LISTED = 3
_KINDS: dict[object, str] = {bool: "true or false", str: "a word", type(None): "null"}
# A longer or a shorter run is the same run, as far as it goes; images are known by their digest, wherever they lie; and
# what is said of a recipe does not decide weights.
MAY_CHANGE = (
    *("recipe.steps", "chosen.steps", "data", "device"),
    *("recipe.follows", "recipe.differs", "recipe.targets"),
)


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

    Raises UsageError for a name the variant does not have, or a value that cannot stand there.
    """
    known = _own_options(recipe) | {option.name: option for option in fields(recipe) if option.name in CHOOSABLE}
    for name, value in choices.items():
        if name not in known:
            raise _unknown(recipe, name, CHOOSABLE)
        _check_value(recipe, name, value, known[name])
    networks = find_variant(recipe.variant).networks
    if choices.get("network", recipe.network) not in networks:
        raise UsageError(
            f"'{choices['network']}' is not a network of {recipe.variant}; "
            f"{did_you_mean(str(choices['network']), networks)}"
        )
    inner = {name.removeprefix(_OWN): value for name, value in choices.items() if name.startswith(_OWN)}
    outer = {name: value for name, value in choices.items() if not name.startswith(_OWN)}
    settings = replace(cast(Any, recipe.settings), **inner) if inner else recipe.settings
    return replace(recipe, **cast(Any, outer), settings=settings)


def _own_options(recipe: Recipe) -> dict[str, Field[Any]]:
    """The model's own settings, by the names that `choose` knows them by."""
    own = recipe.settings
    return {f"{_OWN}{option.name}": option for option in fields(own)} if is_dataclass(own) else {}


def _unknown(recipe: Recipe, name: str, others: Collection[str]) -> UsageError:
    """For a name that is neither a setting of the model's own nor one of the others."""
    own, short = tuple(_own_options(recipe)), name.removeprefix(_OWN)
    if short == name:
        return UsageError(f"{recipe.variant} has no setting '{name}'; {did_you_mean(name, (*others, *own))}")
    if not own:
        return UsageError(f"{recipe.variant} has no settings of its own, and so no '{short}'.")
    hint = did_you_mean(short, tuple(one.removeprefix(_OWN) for one in own))
    return UsageError(f"{recipe.variant} has no setting '{short}' of its own; {hint}")


def _check_value(recipe: Recipe, name: str, value: object, option: Field[Any]) -> None:
    """UsageError for a value that cannot stand there. Numbers are finite and above 0, or 0 where that means something.

    What may stand there is what the type of the option says.
    """
    holder = recipe.settings if name.startswith(_OWN) else recipe
    kinds = _alternatives(get_type_hints(type(holder))[option.name])
    from_zero = option.metadata == MAY_BE_ZERO
    if _fits(value, kinds, from_zero=from_zero):
        return
    words = tuple(kind for kind in kinds if isinstance(kind, str))
    if words:
        raise UsageError(f"'{value}' is no {option.name} of {recipe.variant}; {did_you_mean(str(value), words)}")
    spoken: Mapping[object, str] = _KINDS | {
        int: f"a whole number of {0 if from_zero else 1} or more",
        float: "a finite number of 0 or more" if from_zero else "a finite number above 0",
    }
    allowed = " or ".join(spoken[kind] for kind in kinds)
    usual = getattr(holder, option.name)
    raise UsageError(
        f"{option.name} of {recipe.variant} is {value!r}; it must be {allowed}, and is {usual!r} where it is left out."
    )


def _alternatives(hint: object) -> tuple[object, ...]:
    """A type hint => the types and the words that it allows."""
    parts = get_args(hint)
    return tuple(one for part in parts for one in _alternatives(part)) if parts else (hint,)


def _fits(value: object, kinds: Collection[object], *, from_zero: bool) -> bool:
    if isinstance(value, str):
        return value in kinds or str in kinds
    if isinstance(value, bool) or not isinstance(value, int | float):
        return type(value) in kinds
    whole = isinstance(value, int) and int in kinds
    return (whole or float in kinds) and (value >= 0 if from_zero else value > 0) and value < math.inf


def plan_from(document: Mapping[str, Any]) -> Plan:
    """The plan that `plain(plan)` wrote down; UsageError where the variant no longer is what it was then."""
    recipe = document["recipe"]
    if recipe["variant"] not in VARIANTS:
        raise UsageError(f"This run trained '{recipe['variant']}', which is no variant of this version.")
    others = {option.name: document[option.name] for option in fields(Plan) if option.name not in ("recipe", "chosen")}
    plan = make_plan(recipe["variant"], preset=recipe["preset"], chosen=document["chosen"], **others)
    changed = _changes(document, cast(Mapping[str, Any], plain(plan)))
    if changed:
        raise UsageError(
            f"This run was trained by another recipe than this version of ganeval has: {_listed(changed)}. Use the "
            "version that it was trained with, or train a new run."
        )
    return plan


def refuse_others(plan: Plan, asked: Mapping[str, object]) -> None:
    """UsageError that names every setting that a plan has otherwise, or not at all.

    asked: a Plan's own by name, or a recipe's.
    """
    now = _flat(cast(Mapping[str, Any], plain(plan)))
    own = [option.name for option in fields(Plan)]
    names = {name: name if name in own else f"recipe.{name}" for name in asked}
    for name in asked:
        if names[name] not in now:
            raise _unknown(plan.recipe, name, (*own, "variant", "preset", *CHOOSABLE))
    changed = _changes({name: now[name] for name in names.values()}, {names[name]: asked[name] for name in asked})
    if changed:
        raise UsageError(
            f"A run goes on with the settings it began with, and in this command {_listed(changed)}. Leave them as "
            "they were, or start a new run."
        )


def refuse_foreign(config: Mapping[str, Any], document: Mapping[str, Any], path: Path) -> None:
    """CheckpointError for a checkpoint's document that is not of the run with this config. path: of the checkpoint."""
    changed = _changes(*({**one["plan"], "digest": one.get("digest")} for one in (config, document)))
    if changed:
        listed = "; ".join(f"{name} is {then!r} there and {now!r} here" for name, (then, now) in changed[:_LISTED])
        raise CheckpointError(
            f"{path} is not of the run that its folder's config.json describes: {listed}. Put the run's own checkpoint "
            "back, or its own config.json."
        )


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, tuple[object, object]]]:
    """Every setting that is another one, by name, as it was and as it is."""
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
