"""The specifics of each paper: clips, turns, balances, classes, encoders; and common implementation errors."""

import copy
import math
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reference_models import VARIANTS, build_model
from reference_models.base import GAN, Logs, tools_for
from reference_models.batches import Batch, Data
from reference_models.blocks import losses
from reference_models.models import wgan_gp_recipes, wgan_recipes
from reference_models.models.acgan import ACGAN
from reference_models.models.began import BEGAN
from reference_models.models.bigan import BiGAN, neighbour_accuracy, reconstruction_ratio
from reference_models.models.lucic2018 import Lucic2018BEGAN
from reference_models.models.wgan import WGAN
from reference_models.models.wgan_gp import WGANGP
from reference_models.recipes import value_at


def built(name: str) -> GAN:
    """A small model of a variant."""
    torch.manual_seed(0)
    recipe = replace(VARIANTS[name].recipe("quick"), batch=4)
    return build_model(recipe, Data(1, recipe.resolution, 3))


def outputs(logs: Logs, name: str) -> Tensor:
    """A discriminator's outputs, one per image."""
    return torch.as_tensor(logs[name])


def batch_of(model: GAN, seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    size = model.data.resolution
    return Batch(torch.rand(4, 1, size, size, generator=rng), torch.arange(4) % 3)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ["wgan", "lucic2018-wgan"])
def test_a_clipped_critic_is_inside_its_clip_after_every_step(name: str) -> None:
    """Every parameter is clipped, including gains of normalisation; the generator is not."""
    model = built(name)
    clip = torch.tensor(model.recipe.settings.clip).item()  # type: ignore[attr-defined]  # as a float32
    tools = tools_for(model, draw=lambda: batch_of(model), rng=rng())
    for step in range(1, 4):
        model.step(step, tools)
        assert max(one.abs().max().item() for one in model.get_submodule("discriminator").parameters()) <= clip
    assert max(one.abs().max().item() for one in model.get_submodule("generator").parameters()) > clip


def test_wgans_critic_moves_5_times_a_step_and_100_times_when_the_paper_says_so() -> None:
    """100 in each of the first 25 steps and in every 500th, 5 otherwise."""
    model = build_model(wgan_recipes.PAPER, Data(3, 32))
    assert isinstance(model, WGAN)
    updates = {step: model.discriminator_updates(step) for step in (0, 24, 25, 499, 500, 501, 1000)}
    assert updates == {0: 100, 24: 100, 25: 5, 499: 5, 500: 100, 501: 5, 1000: 100}
    critic, generator = model.players()
    assert critic.turns(30) == 5
    assert generator.turns(0) == 1


def test_the_penalty_is_part_of_the_critics_one_loss() -> None:
    """loss = f(G(z)) - f(x) + weight x penalty in one optimizer step."""
    model = built("wgan-gp")
    assert isinstance(model, WGANGP)
    loss, logs = model.loss_discriminator(batch_of(model), rng())
    apart = outputs(logs, "logit/fake").mean() - outputs(logs, "logit/real").mean()
    expected = apart + 10.0 * torch.as_tensor(logs["penalty"])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    critic = model.players()[0]
    tools = tools_for(model, draw=lambda: batch_of(model), rng=rng())
    model.update(critic, batch_of(model), tools.optimizers["discriminator"], tools)
    states = tools.optimizers["discriminator"].state_dict()["state"].values()
    assert {int(state["step"]) for state in states} == {1}


def test_wgan_gps_generator_learns_from_twice_the_images() -> None:
    """The generator uses 128 images where the critic has 64; the critic's rate falls to 0 over the training."""
    model = built("wgan-gp")
    seen: list[int] = []
    model.get_submodule("discriminator").register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    cast(WGANGP, model).generator_batch = wgan_gp_recipes.Settings().generator_batch
    cast(WGANGP, model).loss_generator(batch_of(model), rng())
    assert seen == [8]
    rate = VARIANTS["wgan-gp"].recipe("paper").optimizers["discriminator"].lr
    assert [value_at(rate, step, 100_000) for step in (0, 50_000, 100_000)] == pytest.approx([2e-4, 1e-4, 0.0])


def test_the_critics_outputs_do_not_depend_on_who_else_is_judged() -> None:
    """One pass over reals and fakes gives the same outputs as two passes."""
    model = cast(WGANGP, built("wgan-gp"))
    real, fake = batch_of(model).images, batch_of(model, 1).images
    with torch.no_grad():
        together = model.discriminate(real, fake)
        apart = model.discriminator(real), model.discriminator(fake)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(together, apart, strict=True))


def test_k_and_M_follow_from_the_errors_of_the_step() -> None:
    """By hand from what was logged: k' = k + rate (gamma L(x) - L(G(z))), M = L(x) + |gamma L(x) - L(G(z))|."""
    model = built("began")
    assert isinstance(model, BEGAN)
    tools = tools_for(model, draw=lambda: batch_of(model), rng=rng())
    settings = model.settings
    for step in range(3):
        before = model.k.item()
        logs = {key: float(value) for key, value in model.step(step, tools).items()}
        gap = settings.gamma * logs["error/real"] - logs["loss/generator"]
        assert logs["k"] == pytest.approx(min(1.0, max(0.0, before + settings.rate * gap)), abs=1e-7)
        assert logs["M"] == pytest.approx(logs["error/real"] + abs(gap), rel=1e-5)
        assert model.k.item() == pytest.approx(logs["k"])


def test_k_in_lucic2018_moves_with_every_update_of_its_auto_encoder_and_below_0() -> None:
    """k follows the errors of each of the discriminator's turns, outside [0, 1] too, and not the generator's."""
    model = built("lucic2018-began")
    assert isinstance(model, Lucic2018BEGAN)
    tools = tools_for(model, draw=lambda: batch_of(model), rng=rng())
    discriminator, generator = tools.players
    settings = model.settings
    for expected_sign in (1, -1):
        model.k.fill_(0.0)
        # Errors of reals near 0 make the gap negative.
        batch = batch_of(model) if expected_sign > 0 else Batch(torch.full((4, 1, 16, 16), 0.5))
        before = model.k.item()
        logs = {
            key: float(value)
            for key, value in model.update(discriminator, batch, tools.optimizers[discriminator.name], tools).items()
        }
        gap = settings.gamma * logs["error/real"] - logs["error/fake"]
        assert model.k.item() == pytest.approx(before + settings.rate * gap, abs=1e-7)
        assert logs["M"] == pytest.approx(logs["error/real"] + abs(gap), rel=1e-5)
        assert math.copysign(1, gap) == expected_sign
        after = model.k.item()
        model.update(generator, batch, tools.optimizers[generator.name], tools)
        assert model.k.item() == after


@pytest.mark.parametrize("name", ["began", "lucic2018-began"])
def test_k_travels_with_the_weights(name: str) -> None:
    """k is part of the state, and weights the fakes in the discriminator's loss."""
    model = built(name)
    assert isinstance(model, BEGAN | Lucic2018BEGAN)
    model.k.fill_(0.25)
    other = built(name)
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    assert isinstance(other, BEGAN | Lucic2018BEGAN)
    assert other.k.item() == 0.25
    loss, logs = other.loss_discriminator(batch_of(other), rng())
    expected = torch.as_tensor(logs["error/real"]) - 0.25 * torch.as_tensor(logs["error/fake"])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_began_trains_on_what_its_network_gives_and_shows_what_fits_the_range() -> None:
    """Samples are clipped to [-1, 1], and the loss uses the linear output."""
    model = built("began")
    assert isinstance(model, BEGAN)
    last = list(model.generator)[-1]
    assert isinstance(last, nn.Conv2d)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([3.0])) if last.bias is not None else None
        z = model.latent(2, rng=rng())
        assert model.generator(z).max() > 1
        assert model.generate(z).max() == 1


def test_acgans_class_head_gives_logits() -> None:
    """The loss is the cross-entropy of the outputs; a softmax before it would be applied twice."""
    model = built("acgan")
    assert isinstance(model, ACGAN)
    model.eval()  # without dropout both calls below see the same discriminator
    batch = batch_of(model)
    with torch.no_grad():
        _, logs = model.loss_discriminator(batch, rng())
        z_rng = rng()
        z = model.latent(4, rng=z_rng)
        asked = torch.randint(3, (4,), generator=z_rng)
        _, real = model.discriminator(batch.images)
        _, fake = model.discriminator(model.generate(z, asked))
    assert batch.labels is not None
    expected = -real.log_softmax(1)[range(4), batch.labels].mean() - fake.log_softmax(1)[range(4), asked].mean()
    assert torch.as_tensor(logs["loss/class"]).item() == pytest.approx(expected.item(), rel=1e-5)
    big = nn.Linear(4, 3)
    nn.init.constant_(big.weight, 10.0)
    assert not torch.allclose(big(torch.ones(2, 4)).sum(1), torch.ones(2)), "probabilities would add up to 1"
    assert not any(isinstance(module, nn.Softmax | nn.LogSoftmax) for module in model.modules())


def test_both_of_acgans_players_want_the_class_told() -> None:
    """Moving the fakes' class logits towards the requested classes lowers either player's loss."""
    model = built("acgan")
    assert isinstance(model, ACGAN)
    model.eval()
    head = model.discriminator.classes
    for player in model.players():
        with torch.no_grad():
            head.weight.zero_()
            assert head.bias is not None
            head.bias.zero_()
        indifferent = player.loss(batch_of(model), rng())[0].item()
        chance = torch.log(torch.tensor(3.0)).item()
        with torch.no_grad():
            head.bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
        wrong = player.loss(batch_of(model), rng())[0].item()
        assert wrong > indifferent + chance


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_bigans_other_player_wants_either_pair_mistaken(loss: str) -> None:
    """Minimax is the negated loss of the discriminator; non-saturating swaps the two sides."""
    recipe = VARIANTS["bigan"].recipe("quick")
    recipe = replace(recipe, settings=replace(recipe.settings, loss=loss))  # type: ignore[type-var]
    torch.manual_seed(0)
    model = build_model(recipe, Data(1, 8))
    assert isinstance(model, BiGAN)
    model.eval()
    batch = Batch(torch.rand(4, 1, 8, 8, generator=rng()))
    with torch.no_grad():
        discriminator, logs = model.loss_discriminator(batch, rng())
        other = model.loss_generator(batch, rng())[0]
        z = model.latent(4, rng=rng())
        real = model.discriminator(batch.images, model.encode(batch.images))
        fake = model.discriminator(model.generate(z), z)
    assert outputs(logs, "logit/real").tolist() == pytest.approx(real.flatten().tolist(), abs=1e-6)
    halved = losses.cross_entropy_discriminator(real, fake) / 2
    assert discriminator.item() == pytest.approx(halved.item(), rel=1e-5)
    swapped = losses.cross_entropy_discriminator(fake, real) / 2
    expected = -discriminator if loss == "minimax" else swapped
    assert other.item() == pytest.approx(expected.item(), rel=1e-5)


class Mirror(nn.Module):
    """An encoder and a generator that undo each other exactly."""

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    unbounded = encode

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return z.view(-1, 1, 2, 2)


class Constant(Mirror):
    """A generator that ignores its input."""

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.zeros(len(z), 1, 2, 2)


def test_the_reconstruction_ratio_is_0_for_an_inverse_and_1_for_a_constant() -> None:
    """It is the error of an image's own reconstruction over that of another image's."""
    images = torch.rand(6, 1, 2, 2, generator=rng())
    assert reconstruction_ratio(cast(BiGAN, Mirror()), images) == 0.0
    assert reconstruction_ratio(cast(BiGAN, Constant()), images) == pytest.approx(1.0)


def test_the_accuracy_of_neighbours_against_the_loop() -> None:
    """Each query image takes the class of the nearest known encoding."""
    known = Batch(torch.rand(9, 1, 2, 2, generator=rng(0)), torch.arange(9) % 3)
    asked = Batch(torch.rand(5, 1, 2, 2, generator=rng(1)), torch.arange(5) % 3)
    assert known.labels is not None
    assert asked.labels is not None
    right = 0
    for image, label in zip(asked.images, asked.labels, strict=True):
        distances = [(image - other).norm().item() for other in known.images]
        right += int(known.labels[distances.index(min(distances))] == label)
    assert neighbour_accuracy(cast(BiGAN, Mirror()), known, asked) == pytest.approx(right / 5)
    assert neighbour_accuracy(cast(BiGAN, Mirror()), known, known) == 1.0


def test_the_lucic2018_variants_differ_in_nothing_but_the_loss() -> None:
    """All seven have one generator for the same seed, and those with the same normalisation one discriminator."""
    names = [name for name in VARIANTS if name.startswith("lucic2018-")]
    assert len(names) == 7
    generators = [built(name).get_submodule("generator").state_dict() for name in names]
    shapes = [{key: value.shape for key, value in state.items()} for state in generators]
    assert all(shape == shapes[0] for shape in shapes)
    weights = [state["0.weight"] for state in generators]
    assert all(weight.shape == weights[0].shape for weight in weights)


@pytest.mark.parametrize("name", ["dcgan", "lsgan", "lucic2018-minimax", "lucic2018-least-squares"])
def test_the_loss_is_that_of_the_logits(name: str) -> None:
    """A player's loss is its paper's function of the discriminator's outputs for reals and fakes."""
    model = built(name)
    model.eval()
    objective = {
        "dcgan": "non-saturating",
        "lsgan": "least-squares",
        "lucic2018-minimax": "minimax",
        "lucic2018-least-squares": "sigmoid-least-squares",
    }[name]
    logits = model.get_submodule("discriminator")
    batch = batch_of(model)
    discriminator, generator = model.players()
    with torch.no_grad():
        fake = logits(model.generate(model.latent(4, rng=rng())))
        expected = losses.OBJECTIVES[objective].discriminator(logits(batch.images), fake)
        assert discriminator.loss(batch, rng())[0].item() == pytest.approx(expected.item(), rel=1e-5)
        expected = losses.OBJECTIVES[objective].generator(fake)
        assert generator.loss(batch, rng())[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_softmax_taken_twice_would_be_noticed() -> None:
    """The cross-entropy of probabilities differs from that of logits, so the test of the class head can fail."""
    logits = torch.tensor([[4.0, 0.0, -1.0]])
    assert F.cross_entropy(logits.softmax(1), torch.tensor([0])) > 5 * F.cross_entropy(logits, torch.tensor([0]))
