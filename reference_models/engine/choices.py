"""Settings that a run may choose instead of its preset's, checked before a model is built, without torch."""

import reprlib
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import Field, fields, is_dataclass, replace
from operator import index
from typing import Any, SupportsFloat, SupportsIndex, cast, get_args, get_type_hints

from ganeval.errors import UsageError, did_you_mean
from reference_models.models import find_variant
from reference_models.recipes import MAY_BE_ZERO, Optimizer, Recipe, Scheduled, WarmedUp, nominal, rescaled

# Fields of a recipe that a run may choose; "settings.<name>" are the model's own.
CHOOSABLE = ("network", "resolution", "channels", "batch", "steps", "ema", "flips")
# Nested settings: the size of the latent, and the rate of every player, or of one player as "lr.<player>".
LATENT, RATE = "latent", "lr"
_OWN = "settings."
MAX_FLOAT = sys.float_info.max
# The largest whole number: the size of such a layer still fits into 64 bits, so that a lack of memory can be reported.
MAX_WHOLE = 2**24
_KINDS: dict[object, str] = {bool: "true or false", str: "a word", type(None): "null"}


def choose(recipe: Recipe, choices: Mapping[str, object]) -> Recipe:
    """A recipe with some values replaced.

    choices: values by name: one of CHOOSABLE, "settings.<name>" of the model's own, "latent" for the dimensions of the
    latent, "lr" for the rate of every player, or "lr.<player>" for that of one: the initial rate, or the rate after a
    warm-up. A schedule is scaled to it. Raises UsageError for a name the variant does not have, or a value that is not
    allowed.
    """
    for name, value in choices.items():
        _check_value(recipe, name, value)
    variant = find_variant(recipe.variant)
    networks = variant.networks
    if variant.image_latents and LATENT in choices:
        raise UsageError(
            f"A latent of {recipe.variant} has one number for each pixel and channel of an image, so its size cannot "
            "be chosen; leave it out, or choose the resolution."
        )
    if choices.get("network", recipe.network) not in networks:
        raise UsageError(
            f"'{choices['network']}' is not a network of {recipe.variant}; "
            f"{did_you_mean(str(choices['network']), networks)}"
        )
    inner = {name.removeprefix(_OWN): value for name, value in choices.items() if name.startswith(_OWN)}
    outer = {name: value for name, value in choices.items() if name in CHOOSABLE}
    settings = replace(cast(Any, recipe.settings), **inner) if inner else recipe.settings
    recipe = replace(recipe, **cast(Any, outer))
    latent = (
        recipe.channels * recipe.resolution**2 if variant.image_latents else choices.get(LATENT, recipe.latent.size)
    )
    return replace(
        recipe,
        settings=settings,
        latent=replace(recipe.latent, size=cast(int, latent)),
        optimizers={
            player: _with_rate(one, choices.get(f"{RATE}.{player}", choices.get(RATE)))
            for player, one in recipe.optimizers.items()
        },
    )


def own_number(value: object) -> object:
    """A whole number as a Python int, also from numpy; other values unchanged."""
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        # Arrays, and tensors of fractions, have this method as well.
        with suppress(TypeError):
            return index(value)
    return value


def with_own_numbers(choices: Mapping[str, object]) -> dict[str, object]:
    """Choices with whole numbers as Python ints; UsageError unless they are values by name."""
    if not isinstance(choices, Mapping) or not all(isinstance(name, str) for name in choices):
        raise UsageError(f'Choices are values by name, as in {{"steps": 500}}, found {reprlib.repr(choices)}.')
    return {name: own_number(value) for name, value in choices.items()}


def check_length(choices: Mapping[str, object] | None, epochs: object) -> None:
    """UsageError if both steps and epochs are given, or epochs is not a number."""
    if epochs is None:
        return
    if isinstance(epochs, bool) or not isinstance(epochs, SupportsFloat):
        raise UsageError(f"epochs is {epochs!r}; it must be a finite number above 0.")
    if "steps" in (choices or {}):
        raise UsageError("steps and epochs both set the length; give one of them.")


def places(recipe: Recipe, name: str) -> tuple[str, ...]:
    """The dotted names of a choice in the recipe as `plain` writes it; UsageError for an unknown choice."""
    if name == LATENT:
        return (f"{LATENT}.size",)
    if name in (*CHOOSABLE, *_own_options(recipe)):
        return (name,)
    if name not in rate_names(recipe):
        raise no_setting(recipe, name)
    players = recipe.optimizers if name == RATE else (name.removeprefix(f"{RATE}."),)
    return tuple(f"optimizers.{one}.{RATE}{_nominal_field(recipe.optimizers[one].lr)}" for one in players)


def rate_names(recipe: Recipe) -> tuple[str, ...]:
    """The names of rates in `choose`: of all players, and of each."""
    return RATE, *(f"{RATE}.{player}" for player in recipe.optimizers)


def _nominal_field(rate: Scheduled) -> str:
    """The suffix of the schedule's field that `nominal` returns; "" for a constant."""
    return "" if isinstance(rate, float | int) else ".end" if isinstance(rate, WarmedUp) else ".start"


def _with_rate(optimizer: Optimizer, rate: object) -> Optimizer:
    return optimizer if rate is None else replace(optimizer, lr=rescaled(optimizer.lr, cast(float, rate)))


def _own_options(recipe: Recipe) -> dict[str, Field[Any]]:
    """The model's own settings, by their names in `choose`."""
    own = recipe.settings
    return {f"{_OWN}{option.name}": option for option in fields(own)} if is_dataclass(own) else {}


def no_setting(recipe: Recipe, name: str, others: Collection[str] = ()) -> UsageError:
    """The error for an unknown setting. others: further names that are allowed."""
    own, short = tuple(_own_options(recipe)), name.removeprefix(_OWN)
    general = (LATENT, *rate_names(recipe))
    if short == name:
        known = (*others, *CHOOSABLE, *general, *own)
        return UsageError(f"{recipe.variant} has no setting '{name}'; {did_you_mean(name, known)}")
    known = (*(one.removeprefix(_OWN) for one in own), *general)
    return UsageError(f"{recipe.variant} has no setting '{short}'; {did_you_mean(short, known)}")


def _check_value(recipe: Recipe, name: str, value: object) -> None:
    """UsageError for a value that the option's type does not allow.

    Numbers are finite and above 0, or 0 where the option allows it; whole numbers are at most MAX_WHOLE.
    """
    label, kinds, usual, from_zero = _option(recipe, name)
    if _fits(value, kinds, from_zero=from_zero):
        return
    words = tuple(kind for kind in kinds if isinstance(kind, str))
    if words:
        raise UsageError(
            f"{reprlib.repr(str(value))} is not a known {label} of {recipe.variant}; {did_you_mean(str(value), words)}"
        )
    spoken: Mapping[object, str] = _KINDS | {
        int: f"a whole number from {0 if from_zero else 1} to {MAX_WHOLE}",
        float: "a finite number of 0 or more" if from_zero else "a finite number above 0",
    }
    allowed = " or ".join(spoken[kind] for kind in kinds)
    raise UsageError(
        f"{label} of {recipe.variant} is {reprlib.repr(value)}; it must be {allowed}, and is {usual} by default."
    )


def _option(recipe: Recipe, name: str) -> tuple[str, tuple[object, ...], str, bool]:
    """(name, allowed types and words, value in the recipe, whether 0 is allowed)"""
    if name == LATENT:
        return name, (int,), repr(recipe.latent.size), False
    if name in rate_names(recipe):
        usual = {player: nominal(one.lr) for player, one in recipe.optimizers.items()}
        return name, (float,), ", ".join(f"{rate:g} ({player})" for player, rate in usual.items()), False
    known = _own_options(recipe) | {option.name: option for option in fields(recipe) if option.name in CHOOSABLE}
    if name not in known:
        raise no_setting(recipe, name)
    option, holder = known[name], recipe.settings if name.startswith(_OWN) else recipe
    kinds = _alternatives(get_type_hints(type(holder))[option.name])
    return option.name, kinds, repr(getattr(holder, option.name)), option.metadata == MAY_BE_ZERO


def _alternatives(hint: object) -> tuple[object, ...]:
    """A type hint => the types and words that it allows."""
    parts = get_args(hint)
    return tuple(one for part in parts for one in _alternatives(part)) if parts else (hint,)


def _fits(value: object, kinds: Collection[object], *, from_zero: bool) -> bool:
    if isinstance(value, str):
        return value in kinds or str in kinds
    if isinstance(value, bool) or not isinstance(value, int | float):
        return type(value) in kinds
    whole = isinstance(value, int) and int in kinds
    most = MAX_FLOAT if float in kinds else MAX_WHOLE
    return (whole or float in kinds) and (value >= 0 if from_zero else value > 0) and value <= most
