"""The contract of every variant, tested over the whole table with quick recipes."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model, model_class
from reference_models.base import GAN, Model, tools_for
from reference_models.batches import Batch, Data, Tensors
from reference_models.data.batches import BatchStream
from reference_models.data.images import Images
from reference_models.data.placeholder import placeholder
from reference_models.data.tokens import Tokens
from reference_models.engine.choices import choose
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.recipes import Recipe, rates
from reference_models.sampling.sampler import Sampler
from reference_models.scoring.train_and_score import LONGER
from reference_models.testing import check_losses, check_players, check_restoring, check_samples, examples_for

CONDITIONAL = [name for name in VARIANTS if name in ("cgan", "acgan")]
# Variants whose models make images from latents.
GENERATORS = [name for name, row in VARIANTS.items() if issubclass(model_class(row.recipe("quick")), GAN)]
# Models of which a part is used at a time: the other parameters have no gradient.
GROWING = ["progan"]
# What `check_model` does of these is the same; the tests below are of all.
CHECKED = [name for name in VARIANTS if not name.startswith("lucic2018-")] + ["lucic2018-minimax", "lucic2018-began"]
# The tests of one variant follow each other (the scope, and generators come first in both lists), and share its course.
every_variant = pytest.mark.parametrize(
    "name", [*GENERATORS, *(name for name in VARIANTS if name not in GENERATORS)], scope="module"
)
every_generator = pytest.mark.parametrize("name", GENERATORS, scope="module")


def small(name: str) -> Recipe:
    """The quick recipe with a batch of 6, and an average."""
    return replace(VARIANTS[name].recipe("quick"), batch=6, ema=0.9)


@cache
def some_images(name: str) -> Images | Tokens:
    """A variant's random training set; 16 is not a multiple of 6, so an epoch's last batch is partial."""
    return examples_for(model_of(name), 16)


def begun(name: str, **settings: object) -> Training:
    """A training before its first step."""
    settings = {"seed": 1, **settings}
    return Training(TrainingPlan(recipe=small(name), data="some images", **settings), some_images(name))  # type: ignore[arg-type]


def model_of(name: str) -> Model:
    """A new model of three classes."""
    torch.manual_seed(0)
    recipe = small(name)
    return build_model(recipe, model_class(recipe).data_for(recipe, 3))


def generator_of(name: str) -> GAN:
    """A new model that makes images from latents."""
    model = model_of(name)
    assert isinstance(model, GAN)
    return model


def batch_of(model: Model, count: int = 6, seed: int = 0) -> Tensors:
    """A batch of random data in the model's range, labelled."""
    parts = model.parts(placeholder(model, count, seed=seed), replace(model.recipe, batch=count), seed)
    return BatchStream(parts, model.batch_type, seed=seed, device="cpu", to=model.value_range, flips=False)()


def labels_for(model: GAN, count: int) -> Tensor | None:
    return torch.arange(count) % 3 if model.conditional else None


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def copied(model: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(model.state_dict())


def everything(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights and buffers, with those that are not saved, such as a pool that a later step draws from."""
    return copy.deepcopy({**model.state_dict(), **dict(model.named_buffers())})


@dataclass(frozen=True)
class Course:
    """Three steps of a training from the seed 1.

    parameters: their names. models, averages: before the first step and after each. logs: of each step. state: after
    two steps.
    """

    parameters: list[str]
    models: list[dict[str, Tensor]]
    averages: list[dict[str, Tensor]]
    logs: list[dict[str, Any]]
    state: dict[str, Any]


@lru_cache(maxsize=1)
def course(name: str) -> Course:
    """A variant's first steps, which several tests look at or repeat."""
    training = begun(name, precision="fp32")
    assert training.average is not None
    models, averages = [everything(training.model)], [everything(training.average.model)]
    logs, state = [], {}
    for step in range(3):
        logs.append(copy.deepcopy(dict(training.advance())))
        models.append(everything(training.model))
        averages.append(everything(training.average.model))
        if step == 1:
            state = copy.deepcopy(training.state())
    return Course([names for names, _ in training.model.named_parameters()], models, averages, logs, state)


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("check", [check_samples, check_players, check_losses, check_restoring])
def test_every_variant_keeps_to_what_is_checked_of_others(name: str, check: Callable[[Recipe], None]) -> None:
    """Each variant fulfils one property checked by `reference_models.testing.check_model`."""
    check(small(name))


@every_generator
def test_samples_have_the_declared_shape_and_range(name: str) -> None:
    """Any number of images has the shape and range, and is the same for the same latents."""
    model = generator_of(name).eval()
    low = -1.0 if model.value_range == "[-1,1]" else 0.0
    with torch.no_grad():
        z = model.latent(5, rng=torch.Generator().manual_seed(3))
        images = model.generate(z, labels_for(model, 5))
        assert z.shape == (5, model.recipe.latent.size)
        assert images.shape == (5, model.data.channels, model.data.resolution, model.data.resolution)
        assert images.dtype == torch.float32
        assert images.min() >= low
        assert images.max() <= 1.0
        assert torch.equal(images, model.generate(z, labels_for(model, 5)))
        single = model.generate(z[:1], labels_for(model, 1))
        assert torch.allclose(single, images[:1], atol=1e-5)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_conditional_model_looks_at_the_labels_and_insists_on_them(name: str) -> None:
    """Other labels give other images; missing labels and missing classes are errors."""
    model = generator_of(name).eval()
    z = model.latent(3, rng=torch.Generator())
    with torch.no_grad():
        first, second = (model.generate(z, torch.full((3,), label)) for label in (0, 2))
    assert not torch.allclose(first, second)
    with pytest.raises(UsageError, match="pass labels"):
        model.generate(z)
    with pytest.raises(UsageError, match="learns from labels"):
        build_model(small(name), Data(1, model.data.resolution, None))


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_conditional_model_is_not_trained_without_labels(name: str) -> None:
    """A batch without labels is an error."""
    model = model_of(name)
    unlabelled = Batch(cast(Batch, batch_of(model)).images)
    for player in model.players():
        if name == "acgan" and player.name == "generator":
            continue  # it draws its own classes
        with pytest.raises(UsageError, match="pass labels"):
            player.loss(unlabelled, torch.Generator())


def test_the_conditional_variants_are_those_two() -> None:
    """No other variant requires labels."""
    assert [name for name in VARIANTS if model_of(name).conditional] == CONDITIONAL


@every_generator
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_a_latent_follows_the_recipes_law(name: str, preset: str) -> None:
    """A latent is uniform within its bounds, by default -1 and 1, or standard normal."""
    model = generator_of(name)
    model.recipe = replace(model.recipe, latent=VARIANTS[name].recipe(preset).latent)
    z = model.latent(4000, rng=torch.Generator().manual_seed(0))
    if model.recipe.latent.law == "normal":
        assert z.std().item() == pytest.approx(1.0, rel=0.02)
        assert z.abs().max() > 3
        return
    low, high = model.recipe.latent.interval
    assert z.min().item() == pytest.approx(low, abs=0.01)
    assert z.max().item() == pytest.approx(high, abs=0.01)
    assert z.std().item() == pytest.approx((high - low) / 12**0.5, rel=0.02)


def test_the_authors_bounds() -> None:
    """z is uniform with variance 1 in the 2014 GAN, in [0, 1] in the conditional one, and in [-1, 1] by default."""
    found = {name: variant.recipe("paper").latent for name, variant in VARIANTS.items()}
    assert found["gan"].interval == pytest.approx((-(3**0.5), 3**0.5))
    assert found["cgan"].interval == (0.0, 1.0)
    uniform = [name for name, latent in found.items() if latent.law == "uniform" and latent.interval == (-1.0, 1.0)]
    lucic = [name for name in VARIANTS if name.startswith("lucic2018-")]
    assert uniform == ["dcgan", "bigan", "began", *lucic, "bayesgan"]


@every_variant
def test_a_players_turn_changes_its_own_parameters_and_no_others(name: str) -> None:
    """All of its parameters that its loss reaches change, and no other's: ownership is complete and disjoint."""
    model = model_of(name)
    players = list(model.players())
    owned = [id(parameter) for player in players for parameter in player.parameters]
    assert set(owned) == {id(parameter) for parameter in model.parameters()}
    tools = tools_for(model, draw=lambda: batch_of(model), rng=torch.Generator().manual_seed(0))
    # A discriminator of BatchNorm and dropout may leave a weight alone once, so each plays a few turns.
    for player in players:
        before = {names: parameter.detach().clone() for names, parameter in model.named_parameters()}
        for seed in range(3):
            model.update(player, batch_of(model, seed=seed), tools.optimizers[player.name], tools)
        own = {id(parameter) for parameter in player.parameters}
        for names, parameter in model.named_parameters():
            # A constant added to every output cancels in a Wasserstein loss, so the critic's last bias has no gradient.
            wanted = id(parameter) in own and parameter.grad is not None and parameter.grad.abs().max() > 0
            assert (not torch.equal(before[names], parameter)) == wanted, (player.name, names)
            unused = name in GROWING and parameter.grad is None
            assert wanted or unused or id(parameter) not in own or names.endswith("bias"), names


@every_variant
def test_each_loss_is_a_finite_scalar_that_logs_the_reserved_names(name: str) -> None:
    """Discriminators log their mean logits, or their errors if they have no logits."""
    model = model_of(name)
    for player in model.players():
        loss, logs = player.loss(batch_of(model), torch.Generator().manual_seed(0))
        assert loss.shape == ()
        assert loss.isfinite()
        if player.name == "discriminator":
            expected = {"error/real", "error/fake"} if "began" in name else {"logit/real", "logit/fake"}
            assert expected <= logs.keys()


@every_variant
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_is_finite_in_either_precision(name: str, precision: str) -> None:
    """Losses, gradients and weights are finite, and weights stay float32 under autocast."""
    if precision == "fp32":
        logs, weights = course(name).logs[0], [course(name).models[1][names] for names in course(name).parameters]
    else:
        training = begun(name, precision=precision)
        logs, weights = dict(training.advance()), list(training.model.parameters())
    assert all(torch.as_tensor(value).isfinite().all() for value in logs.values()), logs
    assert {parameter.dtype for parameter in weights} == {torch.float32}
    assert all(parameter.isfinite().all() for parameter in weights)


@every_variant
def test_every_players_weights_move_in_every_tenth_of_a_default_run(name: str) -> None:
    """`train-and-score` runs longer than the quick recipe, and schedules must not end earlier.

    Rates are those of every tenth; steps of a model without phases are made in the first, the middle and the last one.
    """
    steps = LONGER * VARIANTS[name].recipe("quick").steps
    recipe = replace(small(name), steps=steps)
    training = Training(TrainingPlan(recipe=recipe, data="some images"), some_images(name))
    starts = rates(recipe, 0)
    middles = [steps * tenth // 10 + steps // 20 + 1 for tenth in range(10)]
    steady = len({training.model.phase(step) for step in range(steps)}) == 1
    for tenth, training.step in enumerate(middles):
        if steady and tenth not in (0, 5, 9):
            assert all(rate > starts[player] / 25 for player, rate in rates(recipe, training.step).items()), tenth
            continue
        # Where outputs begin at 0 (BiGAN's; DDPM's, and those of its blocks), the layers below them have a gradient
        # from the second or third step on.
        if tenth == 0:
            training.advance()
            training.advance()
        before = copied(training.model)
        logs = training.advance()
        for player in training.tools.players:
            rate = float(logs[f"rate/{player.name}"])
            assert rate == pytest.approx(rates(recipe, training.step - 1)[player.name])
            assert rate > starts[player.name] / 25, (tenth, player.name)
            if not player.turns(training.step - 1):
                continue  # in a phase of other players
            own = {id(parameter) for parameter in player.parameters}
            moved = [
                not torch.equal(before[key], parameter)
                for key, parameter in training.model.named_parameters()
                if id(parameter) in own and not (name in GROWING and parameter.grad is None)
            ]
            assert sum(moved) > len(moved) / 2, (tenth, player.name)


@every_variant
def test_a_papers_schedule_stretches_with_the_steps(name: str) -> None:
    """At half of a run of any length the rates are equal."""
    recipe = VARIANTS[name].recipe("paper")
    for factor in (0.1, 3):
        other = replace(recipe, steps=round(recipe.steps * factor))
        for part in (0, 0.25, 0.5, 0.9):
            assert rates(other, round(other.steps * part)) == pytest.approx(
                rates(recipe, round(recipe.steps * part)), rel=1e-2
            )


@every_generator
def test_the_rates_and_the_latent_can_be_chosen(name: str) -> None:
    """Rates apply to all players or one with the schedule's shape, and a generator of another latent is trained."""
    recipe = VARIANTS[name].recipe("quick")
    # Latents of the shape of images have the size of these.
    latent = {} if VARIANTS[name].image_latents else {"latent": 7}
    chosen = choose(recipe, {"lr": 1e-4, "lr.generator": 2e-4, "batch": 6, **latent})
    for step in (0, recipe.steps // 2, recipe.steps - 1):
        expected = {
            player: rate / rates(recipe, 0)[player] * (2e-4 if player == "generator" else 1e-4)
            for player, rate in rates(recipe, step).items()
        }
        assert rates(chosen, step) == pytest.approx(expected)
    training = Training(TrainingPlan(recipe=chosen, data="some images"), some_images(name))
    assert float(training.advance()["rate/generator"]) == pytest.approx(2e-4)
    assert isinstance(training.model, GAN)
    assert training.model.latent(3, rng=torch.Generator()).shape == (3, latent.get("latent", recipe.latent.size))
    for wrong in ({"lr": 0}, {"lr": math.inf}, {"lr": "fast"}, {"lr.generator": -1e-3}, {"latent": 0}, {"latent": 1.5}):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))} of {name} is .* must be a .* by default"):
            choose(recipe, wrong)
    with pytest.raises(UsageError, match=r"no setting 'lr\.critic'"):
        choose(recipe, {"lr.critic": 1e-3})


@every_variant
def test_a_training_can_be_put_back_and_goes_on_bit_for_bit(name: str) -> None:
    """After two steps and a saved and restored state, the third step is the same, and so is all that it leaves."""
    first, second = course(name), begun(name)
    second.restore(copy.deepcopy(first.state))
    logs, again = first.logs[2], second.advance()
    assert {key: float(value) for key, value in logs.items()} == {key: float(value) for key, value in again.items()}
    assert same(first.models[3], everything(second.model))
    assert second.average is not None
    assert same(first.averages[3], everything(second.average.model))


# State that a model gathers under other settings than the quick recipe's, or later than in its first steps.
GATHERED: list[tuple[str, dict[str, object]]] = [
    ("bayesgan", {"samples": 3, "thin": 1, "burn_in": 0.001}),
    ("cyclegan", {"pool": 4}),
    ("progan", {"last": 0.5}),
    ("ssgan", {"history": 0.1}),
    ("ssgan", {"kernels": 3, "norm": "virtual", "generator_loss": "non-saturating"}),
]


@pytest.mark.parametrize(("name", "settings"), GATHERED)
def test_what_a_model_gathers_is_put_back(name: str, settings: dict[str, object]) -> None:
    """Samples of a chain, a full pool of fakes, a mean of earlier weights, growth: a restart leaves them as they were.

    A model that is drawn from before its next step needs them, too.
    """

    def started() -> Training:
        recipe = choose(small(name), {f"settings.{key}": value for key, value in settings.items()})
        return Training(TrainingPlan(recipe=recipe, data="some images", seed=1), some_images(name))

    first, second = started(), started()
    for _ in range(3):
        first.advance()
    second.restore(copy.deepcopy(first.state()))
    assert same(dict(first.model.named_buffers()), dict(second.model.named_buffers()))
    logs, again = first.advance(), second.advance()
    assert {key: float(value) for key, value in logs.items()} == {key: float(value) for key, value in again.items()}
    assert same(first.model.state_dict(), second.model.state_dict())


@every_variant
def test_a_seed_decides_everything(name: str) -> None:
    """The same seed gives the same weights for any global random state; another seed gives others."""
    first = course(name)
    torch.manual_seed(99)
    second = begun(name)
    second.advance()
    assert same(first.models[1], everything(second.model))
    assert not same(first.models[0], everything(begun(name, seed=2).model))


@every_variant
def test_the_average_follows_the_weights_and_copies_the_buffers(name: str) -> None:
    """It lies between the old and the new weights, and its statistics are the model's own."""
    made = course(name)
    before, after, averaged = made.models[0], made.models[1], made.averages[1]
    assert averaged.keys() == after.keys()
    for names in after.keys() - set(made.parameters):
        assert torch.equal(averaged[names], after[names]), names
    for names in made.parameters:
        low, high = torch.minimum(before[names], after[names]), torch.maximum(before[names], after[names])
        assert ((averaged[names] >= low - 1e-6) & (averaged[names] <= high + 1e-6)).all(), names


@every_generator
def test_drawing_from_a_model_in_training_leaves_no_trace(name: str) -> None:
    """Weights, statistics, modes and the next step are unchanged by sampling."""
    from ganeval.sources.base import Reading, ReadReport
    from ganeval.sources.generator import GeneratorSource

    alone, looked = course(name), begun(name)
    looked.advance()
    before, random = copied(looked.model), torch.get_rng_state()
    source = GeneratorSource(Sampler(looked.model), name=name, num_samples=7, seed=0)
    assert sum(len(batch) for batch in source.batches(Reading(batch_size=4), ReadReport())) == 7
    assert looked.model.training
    assert same(before, looked.model.state_dict())
    assert torch.equal(random, torch.get_rng_state())
    looked.advance()
    assert same(alone.models[2], everything(looked.model))


@every_variant
def test_odd_batches_and_parts_of_batches_are_learned_from(name: str) -> None:
    """A batch of 3, and a batch of 6 in 2 parts, are trained on."""
    model = model_of(name)
    tools = tools_for(model, draw=lambda: batch_of(model, 3), rng=torch.Generator().manual_seed(0))
    assert all(torch.as_tensor(value).isfinite() for value in model.step(1, tools).values())
    assert all(torch.as_tensor(value).isfinite() for value in begun(name, accumulate=2).advance().values())


@every_variant
def test_recipes_are_whole(name: str) -> None:
    """Both presets have a source, an optimizer for every player, and targets with sources."""
    variant = VARIANTS[name]
    players = {player.name for player in model_of(name).players()}
    assert {"paper", "quick"} <= variant.recipes.keys()
    for preset, recipe in variant.recipes.items():
        assert (recipe.variant, recipe.preset) == (name, preset)
        assert recipe.follows
        assert set(recipe.optimizers) == players
        assert recipe.network in variant.networks
        assert all(target.source and target.protocol for target in recipe.targets)
    assert variant.title
    assert "arXiv:" in variant.paper
