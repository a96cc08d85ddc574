"""The step: which player is updated, on which batch, and that no other changes; and the 2014 GAN."""

import itertools
import math
from collections.abc import Callable
from typing import cast

import pytest
import torch
from engine_helpers import Numbers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganeval.autocast import Precision
from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model, find_variant
from reference_models.base import GAN, tools_for
from reference_models.batches import Batch, Data
from reference_models.engine.choices import CHOOSABLE, choose
from reference_models.recipes import SGD, Adam, Decayed, Halved, Linear, RMSprop, plain, value_at


def counted() -> Callable[[], Batch]:
    """Batches of two images of the brightness 0, 1, 2, ..."""
    numbers = itertools.count()
    return lambda: Batch(torch.full((2, 1, 1, 1), float(next(numbers))))


def rng() -> torch.Generator:
    """A generator, the same every time."""
    return torch.Generator().manual_seed(0)


def test_a_gan_without_players_or_generator_cannot_be_built() -> None:
    """The base class, and a subclass that lacks a method, cannot be instantiated."""
    recipe = VARIANTS["gan"].recipe("quick")
    for incomplete in (GAN, type("Silent", (GAN,), {"players": lambda self: ()})):
        with pytest.raises(TypeError, match="abstract method"):
            incomplete(Data(1, 8), recipe)


def test_a_critic_draws_a_batch_for_every_update_and_the_generator_sees_its_last() -> None:
    """Three turns use three batches, and a player with one turn after them reuses the last."""
    model = Numbers(turns=3)
    model.step(0, tools_for(model, draw=counted(), rng=rng()))
    assert model.drawn == [("discriminator", 0.0), ("discriminator", 1.0), ("discriminator", 2.0), ("generator", 2.0)]
    assert model.after_calls == ["discriminator"] * 3 + ["generator"]


def test_turns_may_depend_on_the_step() -> None:
    """A schedule of turns is called at every step, counted from 0."""
    model = Numbers(turns=lambda step: 1 + step)
    tools = tools_for(model, draw=counted(), rng=rng())
    for step in range(3):
        model.step(step, tools)
    assert [name for name, _ in model.drawn] == [
        "discriminator",
        "generator",
        *["discriminator"] * 2,
        "generator",
        *["discriminator"] * 3,
        "generator",
    ]


def test_an_update_is_the_optimizers_own_step_on_one_players_parameters() -> None:
    """By hand: the new d is d - 0.1 times the derivative of (1 - d g)^2, and the generator's update uses it."""
    model = Numbers()
    model.step(0, tools_for(model, draw=lambda: Batch(torch.ones(2, 1, 1, 1)), rng=rng()))
    assert model.discriminator.item() == pytest.approx(0.2)
    assert model.generator.item() == pytest.approx(1 - 0.5 * 2 * (1 - 0.2))


def test_the_others_are_constants_to_a_players_loss() -> None:
    """No gradient is computed for other players, and afterwards all parameters require gradients again."""
    model = Numbers()
    tools = tools_for(model, draw=counted(), rng=rng())
    discriminator, _ = model.players()
    model.update(discriminator, Batch(torch.ones(2, 1, 1, 1)), tools.optimizers["discriminator"], tools)
    assert model.discriminator.grad is not None
    assert model.generator.grad is None
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_parameter_that_never_learns_stays_so() -> None:
    """A parameter that a model froze is still frozen after a step."""
    model = Numbers()
    model.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    model.step(0, tools_for(model, draw=counted(), rng=rng()))
    assert not model.frozen.requires_grad


def test_nan_stays_where_it_arose() -> None:
    """An update with gradients that are not finite is skipped and logged, and no value is replaced by zero."""
    model = Numbers()
    logs = model.step(0, tools_for(model, draw=lambda: Batch(torch.full((2, 1, 1, 1), float("nan"))), rng=rng()))
    assert torch.as_tensor(logs["loss/discriminator"]).isnan()
    assert torch.as_tensor(logs["grad/discriminator"]).isnan()
    assert model.discriminator.item() == 0.0
    assert model.generator.item() == 0.0


def test_every_update_logs_its_loss_and_its_gradients_norm() -> None:
    """The log has loss and gradient norm under the reserved names, the rate, and extra values, without a graph."""
    model = Numbers()
    logs = model.step(0, tools_for(model, draw=lambda: Batch(torch.full((2, 1, 1, 1), 3.0)), rng=rng()))
    assert {name: float(value) for name, value in logs.items()} == pytest.approx(
        {
            **{"rate/discriminator": 0.1, "loss/discriminator": 9.0, "grad/discriminator": 6.0, "penalty": 0.0},
            **{"rate/generator": 0.5, "loss/generator": 0.16, "grad/generator": 0.8, "k": 7.0},
        }
    )
    assert not any(isinstance(value, torch.Tensor) and value.requires_grad for value in logs.values())


@given(count=st.integers(1, 9), parts=st.integers(1, 9))
def test_accumulation_changes_nothing_but_memory(count: int, parts: int) -> None:
    """A batch in parts, even uneven ones, gives the gradient, the loss and the logs of the whole batch."""
    images = torch.randn(count, 1, 1, 1, generator=rng())
    updated = []
    for accumulate in (1, min(parts, count)):
        model = Numbers()
        logs = model.step(0, tools_for(model, draw=lambda: Batch(images), rng=rng(), accumulate=accumulate))
        updated.append([model.discriminator.item(), model.generator.item(), *(float(value) for value in logs.values())])
    assert updated[0] == pytest.approx(updated[1], abs=1e-5)


@given(count=st.integers(1, 20), parts=st.integers(1, 20))
def test_splitting_keeps_every_row_and_its_label(count: int, parts: int) -> None:
    """Concatenated parts equal the batch."""
    batch = Batch(torch.arange(count).float().view(-1, 1, 1, 1), torch.arange(count))
    split = batch.split(min(parts, count))
    assert torch.equal(torch.cat([part.images for part in split]), batch.images)
    assert torch.equal(torch.cat([part.labels for part in split if part.labels is not None]), torch.arange(count))
    assert len(split) <= parts
    assert batch.split(1) == [batch]


def test_schedules_are_closed_forms_of_the_step() -> None:
    """A line, a halving, a delayed decay and a constant follow their formulas and stay constant past the end."""
    assert [value_at(Linear(1.0, 0.0), step, 4) for step in (0, 1, 4, 9)] == [1.0, 0.75, 0.0, 0.0]
    assert [value_at(Halved(8.0, 3), step, 30) for step in (0, 9, 10, 25, 30)] == [8.0, 8.0, 4.0, 2.0, 2.0]
    decayed = Decayed(8.0, by=16.0, after=0.5)
    assert [value_at(decayed, step, 8) for step in (0, 4, 5, 6, 8, 99)] == [8.0, 8.0, 4.0, 2.0, 0.5, 0.5]
    assert value_at(0.1, 10**6, 10) == 0.1


def test_rates_follow_their_schedules_at_every_step() -> None:
    """Rate and momentum of an optimizer are those of the current step."""
    model = build_model(VARIANTS["gan"].recipe("paper"), Data(1, 4))
    tools = tools_for(model, draw=lambda: Batch(torch.rand(2, 1, 4, 4)), rng=rng())
    model.step(62_500, tools)
    (group,) = tools.optimizers["generator"].param_groups
    assert group["lr"] == pytest.approx(0.1 / 1.000004**62_500)
    assert group["momentum"] == pytest.approx(0.6)


@pytest.mark.parametrize("settings", [Adam(0.1, (0.5, 0.9)), SGD(0.1, 0.9), RMSprop(0.1, 0.9)])
def test_optimizers_are_those_of_torch(settings: Adam | SGD | RMSprop) -> None:
    """Three steps of the fused optimizer equal three steps of the plain one."""
    from reference_models.base import Player, _optimizer

    weights = [nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
    plain_form: torch.optim.Optimizer
    match settings:
        case Adam():
            plain_form = torch.optim.Adam([weights[1]], 0.1, (0.5, 0.9), foreach=False)
        case SGD():
            plain_form = torch.optim.SGD([weights[1]], 0.1, 0.9, foreach=False)
        case RMSprop():
            plain_form = torch.optim.RMSprop([weights[1]], 0.1, 0.9, foreach=False)
    own = _optimizer(Player("one", (weights[0],), settings, lambda batch, rng: (torch.zeros(()), {})))
    for weight, optimizer in zip(weights, (own, plain_form), strict=True):
        for _ in range(3):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
    assert torch.allclose(*weights, rtol=1e-6)


def test_latents_follow_their_law_and_their_generator() -> None:
    """Uniform lies in [-1, 1] and fills it, normal has deviation 1, and the same state gives the same latents."""
    model = build_model(VARIANTS["gan"].recipe("quick"), Data(1, 4))
    normal = model.latent(4000, rng=rng())
    assert normal.shape == (4000, 100)
    assert float(normal.std()) == pytest.approx(1.0, abs=0.01)
    assert torch.equal(normal, model.latent(4000, rng=rng()))
    from dataclasses import replace

    from reference_models.recipes import Latent

    model.recipe = replace(model.recipe, latent=Latent(3, "uniform"))
    uniform = model.latent(4000, rng=rng())
    assert uniform.shape == (4000, 3)
    assert -1 <= float(uniform.min()) < -0.99
    assert 0.99 < float(uniform.max()) <= 1


def test_a_conditional_model_asks_for_labels() -> None:
    """Without classes it is not built, and the message names the remedy."""

    class Conditional(Numbers):
        conditional = True

    with pytest.raises(UsageError, match="a subfolder for each of two or more classes"):
        Conditional()


def test_unknown_names_are_refused_with_a_hint() -> None:
    """Unknown variants, presets, networks and settings are refused by name with a hint."""
    recipe = find_variant("gan").recipe("quick")
    with pytest.raises(UsageError, match="did you mean 'gan'"):
        find_variant("gann")
    with pytest.raises(UsageError, match="did you mean 'quick'"):
        find_variant("gan").recipe("quik")
    with pytest.raises(UsageError, match="not a network of gan"):
        choose(recipe, {"network": "upsample"})
    with pytest.raises(UsageError, match="did you mean 'batch'"):
        choose(recipe, {"bath": 3})
    with pytest.raises(UsageError, match="did you mean 'minimax'"):
        choose(recipe, {"settings.loss": "minmax"})
    with pytest.raises(UsageError, match="batch of gan is '3'"):
        choose(recipe, {"batch": "3"})
    with pytest.raises(UsageError, match="a whole number from 1 to"):
        choose(recipe, {"batch": 0})


@pytest.mark.parametrize(
    ("variant", "name", "values"),
    [
        ("gan", "hidden", (0, -1, 2.5, True, "3")),
        ("dcgan", "width", (0, -1)),
        ("sngan", "discriminator_updates", (0, -2)),
        ("wgan", "critic_updates", (0,)),
        ("wgan", "refresh", (0,)),
        ("wgan", "warmup", (-1,)),
        ("wgan", "clip", (0, -1.0, math.nan, math.inf, None)),
        ("wgan-gp", "penalty", (-1, math.nan)),
        ("wgan-gp", "generator_batch", (0,)),
        ("began", "gamma", (-1.0, 0.0)),
        ("lucic2018-minimax", "dense", (0,)),
        ("lucic2018-wgan", "clip", (0.0, "far")),
        ("lucic2018-dragan", "penalty", ("beside", 3)),
        ("lucic2018-dragan", "normalised", (1, "yes")),
    ],
)
def test_settings_that_no_model_can_have_are_refused_by_name(
    variant: str, name: str, values: tuple[object, ...]
) -> None:
    """Counts must be 1 or more and numbers finite and above 0, and the message says what is allowed."""
    recipe = find_variant(variant).recipe("quick")
    for value in values:
        with pytest.raises(UsageError, match=rf"{name} of {variant}"):
            choose(recipe, {f"settings.{name}": value})


@pytest.mark.parametrize(
    ("variant", "name", "value"),
    [
        ("wgan", "warmup", 0),
        ("wgan-gp", "penalty", 0),
        ("lucic2018-dragan", "weight", 0.0),
        ("lucic2018-minimax", "clip", 0.05),
        ("lucic2018-wgan", "clip", None),
        ("lucic2018-minimax", "penalty", "between"),
        ("lucic2018-dragan", "penalty", None),
        ("wgan", "clip", 1),
    ],
)
def test_settings_may_be_all_that_their_type_allows(variant: str, name: str, value: object) -> None:
    """0, null, and whole numbers for floats are accepted where the type allows them."""
    chosen = choose(find_variant(variant).recipe("quick"), {f"settings.{name}": value}).settings
    assert getattr(chosen, name) == value


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("preset", ["paper", "quick"])
def test_what_a_recipe_has_may_be_chosen(variant: str, preset: str) -> None:
    """The settings of every recipe are valid."""
    recipe = find_variant(variant).recipe(preset)
    own = {} if recipe.settings is None else cast(dict[str, object], plain(recipe.settings))
    chosen = {name: getattr(recipe, name) for name in CHOOSABLE} | {f"settings.{key}": own[key] for key in own}
    assert choose(recipe, chosen) == recipe


def test_bf16_computes_losses_and_leaves_weights_float32() -> None:
    """Under autocast the result is near that in full precision, and weights stay float32."""
    losses = []
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        torch.manual_seed(0)
        model = build_model(VARIANTS["gan"].recipe("quick"), Data(1, 8))
        images = torch.rand(16, 1, 8, 8, generator=rng())
        tools = tools_for(model, draw=lambda images=images: Batch(images), rng=rng(), precision=precision)  # type: ignore[misc]
        losses.append(float(model.step(0, tools)["loss/generator"]))
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_a_recipe_is_plain_data() -> None:
    """It survives JSON, and says which optimizer it means."""
    import json

    document = plain(VARIANTS["gan"].recipe("paper"))
    assert json.loads(json.dumps(document)) == document
    assert isinstance(document, dict)
    assert document["optimizers"]["generator"]["kind"] == "SGD"
    assert document["optimizers"]["generator"]["lr"]["kind"] == "Decayed"


def test_the_2014_gan_has_the_papers_layers() -> None:
    """100-1200-1200-784 and 784-240x5-240x5-1, pixels in [0, 1], weights within their bounds."""
    torch.manual_seed(0)
    model = build_model(VARIANTS["gan"].recipe("paper"), Data(1, 28))
    counts = [sum(weight.numel() for weight in player.parameters) for player in model.players()]
    assert counts == [784 * 1200 + 1200 + 240 * 1200 + 1200 + 241, 100 * 1200 + 1200 * 1200 + 1200 * 784 + 3184]
    images = model.generate(model.latent(5, rng=rng())).detach()
    assert images.shape == (5, 1, 28, 28)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    discriminator, generator = (
        torch.cat([weight.detach().flatten() for weight in player.parameters]) for player in model.players()
    )
    assert 0.0049 < float(discriminator.abs().max()) <= 0.005
    assert 0.049 < float(generator.abs().max()) <= 0.05
