"""R3GAN: losses and schedules as the authors have them, its networks, and labels where a recipe chooses them."""

import math
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model
from reference_models.base import Logs, Player, tools_for
from reference_models.batches import Batch, Data
from reference_models.data.images import images_of
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.models.r3gan import GAIN, R3GAN, Block, Down, Up
from reference_models.models.r3gan_recipes import BATCH, HALF_LIFE, IMAGES, PAPER, QUICK, Settings
from reference_models.recipes import Adam, Cosine, Recipe, rescaled, value_at

SMALL = replace(
    QUICK,
    network="paper",
    batch=4,
    settings=Settings(width=8, groups=2, blocks=1, gamma=2.0, gamma_end=0.5),
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model_of(recipe: Recipe = SMALL, **settings: object) -> R3GAN:
    """A small model whose blocks do more than at the start, where they are identities."""
    torch.manual_seed(0)
    recipe = replace(recipe, settings=replace(cast(Any, recipe.settings), **settings))
    model = cast(R3GAN, build_model(recipe, Data(1, recipe.resolution, 3)))
    for module in model.modules():
        if isinstance(module, Block):
            nn.init.normal_(cast(nn.Conv2d, module.residual[-1]).weight, 0.0, 0.3)
    return model


def some(count: int = 4) -> Batch:
    return Batch(torch.rand(count, 1, 8, 8, generator=rng()) * 2 - 1, torch.arange(count) % 3)


def authors(model: R3GAN, batch: Batch, penalties: tuple[int, int] = (1, 1)) -> tuple[Tensor, Tensor]:
    """Both losses as Trainer.py of the authors' code computes them, in separate passes."""
    z = model.latent(len(batch), rng=rng(1))
    fakes = model.generator(z).detach().requires_grad_()
    reals = batch.images.clone().requires_grad_()
    real, fake = model.discriminator(reals), model.discriminator(fakes)
    r1, r2 = (
        torch.autograd.grad(output.sum(), images, create_graph=True)[0].square().sum([1, 2, 3])
        for output, images in ((real, reals), (fake, fakes))
    )
    penalty = penalties[0] * r1 + penalties[1] * r2
    discriminator = (F.softplus(-(real - fake)) + model.gamma / 2 * penalty).mean()
    generator = F.softplus(-(model.discriminator(model.generator(z)) - real)).mean()
    return discriminator, generator


@pytest.mark.parametrize(("penalty", "weights"), [("both", (1, 1)), ("reals", (1, 0)), ("fakes", (0, 1))])
def test_losses_and_their_gradients_are_the_authors(penalty: str, weights: tuple[int, int]) -> None:
    """One pass for reals and fakes gives the losses and gradients of separate passes."""
    model, batch = model_of(penalty=penalty), some()
    of_judge, of_maker = authors(model, batch, weights)
    for loss, expected, network in (
        (model.loss_discriminator(batch, rng(1))[0], of_judge, model.discriminator),
        (model.loss_generator(batch, rng(1))[0], of_maker, model.generator),
    ):
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        found, wanted = (torch.autograd.grad(value, list(network.parameters())) for value in (loss, expected))
        # Sums of float32 in another order.
        for one, other in zip(found, wanted, strict=True):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_comparison_without_pairs_has_the_non_saturating_loss() -> None:
    """softplus(-D(x)) + softplus(D(G(z))) with the same penalties, and softplus(-D(G(z)))."""
    model, batch = model_of(loss="non-saturating"), some()
    loss, logs = model.loss_discriminator(batch, rng(1))
    real, fake, penalty = (torch.as_tensor(logs[name]) for name in ("logit/real", "logit/fake", "penalty"))
    expected = F.softplus(-real).mean() + F.softplus(fake).mean() + model.gamma / 2 * penalty.mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert model.loss_generator(batch, rng(1))[0].item() == pytest.approx(F.softplus(-fake).mean().item(), rel=1e-5)


def test_each_player_has_reals_of_its_own() -> None:
    """A step draws two batches, so that an epoch of n images takes half as many steps."""
    model, drawn, seen = model_of(), list[Batch](), list[Batch]()

    def draw() -> Batch:
        drawn.append(Batch(some().images + len(drawn)))
        return drawn[-1]

    def watched(player: Player) -> Player:
        def loss(batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
            seen.append(batch)
            return player.loss(batch, rng)

        return replace(player, loss=loss)

    tools = tools_for(model, draw=draw, rng=rng())
    model.step(0, replace(tools, players=tuple(watched(player) for player in tools.players)))
    assert [player.name for player in tools.players] == ["discriminator", "generator"]
    assert len(seen) == len(drawn) == 2
    assert all(torch.equal(one.images, other.images) for one, other in zip(seen, drawn, strict=True))
    images = images_of(torch.zeros(40, 1, 8, 8, dtype=torch.uint8))
    training = Training(TrainingPlan(recipe=SMALL, data="zeros"), images)
    training.advance()
    assert training.seen == 2 * SMALL.batch
    assert training.steps_of(2) == 2 * 40 / (2 * SMALL.batch)


def test_losses_see_images_before_they_are_clamped() -> None:
    """A generator that leaves the range is told so by the discriminator, and its images are within the range."""
    model, seen = model_of(), list[Tensor]()
    with torch.no_grad():
        cast(Any, model.generator).output.weight.mul_(100)
    model.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    for player in model.players():
        player.loss(some(), rng())
    assert all(images.abs().max() > 2 for images in seen if not torch.equal(images, some().images))
    assert model.generate(model.latent(9, rng=rng())).abs().max() <= 1


def test_a_block_begins_as_the_identity_with_fixup_gains() -> None:
    """The last convolution is 0; the others have deviation sqrt(2 / 1.04) depth^(-1/4) / sqrt(fan in)."""
    torch.manual_seed(0)
    block = Block(64, 4, depth=16)
    x = torch.randn(2, 64, 4, 4, generator=rng())
    assert torch.equal(block(x), x)
    for convolution, inputs in ((block.residual[0], 64), (block.residual[2], 9 * 32)):
        weights = cast(Tensor, convolution.weight)
        # Of at least 8,192 weights the deviation is known to 1%.
        assert weights.std().item() == pytest.approx(GAIN / 2 / math.sqrt(inputs), rel=0.03)
    assert pytest.approx(math.sqrt(2 / 1.04)) == GAIN
    assert len(block.residual) == 5  # no activation after the last convolution


def test_fixup_counts_the_blocks_of_the_whole_network() -> None:
    """With three sizes and two blocks each, gains are those of a depth of 6, in either network."""
    recipe = replace(SMALL, settings=Settings(width=64, groups=4, blocks=2), resolution=16)
    torch.manual_seed(0)
    model = cast(R3GAN, build_model(recipe, Data(1, 16)))
    for network in (model.generator, model.discriminator):
        blocks = [one for one in network.modules() if isinstance(one, Block)]
        assert len(blocks) == 6
        for block in blocks:
            assert not cast(nn.Conv2d, block.residual[4]).weight.any()
            first = cast(nn.Conv2d, block.residual[0]).weight
            assert first.std().item() == pytest.approx(GAIN * 6**-0.25 / math.sqrt(64), rel=0.03)


def test_resampling_is_that_of_a_tent() -> None:
    """A pixel spreads to 1, 3, 3, 1 quarters along each axis; halving is the transpose of doubling, over 4."""
    dot = torch.zeros(1, 2, 4, 4)
    dot[0, 1, 1, 2] = 1
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    expected = torch.zeros(2, 8, 8)
    expected[1, 1:5, 3:7] = line[:, None] * line
    assert torch.allclose(Up()(dot)[0], expected)
    x = torch.randn(1, 2, 8, 8, generator=rng())
    assert ((Up()(dot) * x).sum() / 4).item() == pytest.approx((Down()(x) * dot).sum().item(), rel=1e-5)
    assert torch.allclose(Down()(torch.ones(1, 1, 8, 8))[0, 0, 1:-1, 1:-1], torch.ones(2, 2))


def test_nothing_normalises_and_nothing_bounds_the_output() -> None:
    """The networks have convolutions, dense layers, leaky ReLU and resampling alone."""
    kinds = {type(module).__name__ for module in model_of().modules() if not list(module.children())}
    assert kinds == {"Conv2d", "Linear", "LeakyReLU", "Up", "Down"}


def cosine(seen: int, base: float, final: float) -> float:
    """cosine_decay_with_warmup of the authors' training_loop.py, without warm-up."""
    decay = 0.5 * (1 + math.cos(math.pi * seen / IMAGES))
    return final if seen > IMAGES else base + (1 - decay) * (final - base)


@pytest.mark.parametrize("step", [0, 1, 1000, 19531, 39061])
def test_every_schedule_of_the_paper_is_the_authors(step: int) -> None:
    """Rate, second beta, weight of the penalties and decay of the average, at the images seen so far."""
    recipe = replace(PAPER, settings=replace(cast(Settings, PAPER.settings), width=16, groups=2))
    model = cast(R3GAN, build_model(recipe, Data(3, 32, 10)))
    seen = step * BATCH
    model.begin(step)
    # The recipe has 39,062 steps, and 20 million images are 39,062.5.
    close = partial(pytest.approx, rel=1e-4, abs=1e-9)
    adam = recipe.optimizers["generator"]
    assert isinstance(adam, Adam)
    assert value_at(adam.lr, step, recipe.steps) == close(cosine(seen, 2e-4, 5e-5))
    assert value_at(adam.betas[1], step, recipe.steps) == close(cosine(seen, 0.9, 0.99))
    assert model.gamma == close(cosine(seen, 0.05, 0.005))
    half_life = max(cosine(seen, 0, HALF_LIFE), 1e-8)
    assert model.decay(step + 1) == close(0.5 ** (BATCH / half_life))


def test_the_second_beta_moves_with_the_steps() -> None:
    """The optimizer has the scheduled value at every step, and a scaled schedule keeps its shape."""
    model = model_of(replace(SMALL, steps=10))
    tools = tools_for(model, draw=some, rng=rng())
    for step in (0, 5, 9):
        model.step(step, tools)
        for optimizer in tools.optimizers.values():
            assert optimizer.param_groups[0]["betas"] == (0.0, pytest.approx(Cosine(0.9, 0.99).at(step, 10)))
    assert rescaled(Cosine(2e-4, 5e-5), 1e-3) == Cosine(1e-3, 2.5e-4)


def test_a_recipe_chooses_whether_labels_are_learnt() -> None:
    """The paper's model knows classes, which change its images and outputs; the quick one does not."""
    assert not model_of().conditional
    model, batch = model_of(conditional=True, embedding=6), some()
    assert model.conditional
    z = model.latent(3, rng=rng())
    first, second = (model.generate(z, torch.full((3,), label)) for label in (0, 2))
    assert not torch.allclose(first, second)
    turned = Batch(batch.images, (cast(Tensor, batch.labels) + 1) % 3)
    for loss in (model.loss_discriminator, model.loss_generator):
        assert not torch.equal(loss(batch, rng())[0], loss(turned, rng())[0])
    for loss in (model.loss_discriminator, model.loss_generator):
        with pytest.raises(UsageError, match="pass labels"):
            loss(Batch(batch.images), rng())


def test_labels_that_are_missing_are_reported_with_their_reason() -> None:
    """A recipe with classes is refused for images without them, and the perceptron has none."""
    recipe = replace(SMALL, settings=Settings(width=8, groups=2, blocks=1, conditional=True))
    with pytest.raises(UsageError, match="these images have none"):
        build_model(recipe, Data(1, 8))
    with pytest.raises(UsageError, match="are not classes: only 3 of 4"):
        build_model(recipe, Data(1, 8, unlabelled="only 3 of 4 images have one"))
    with pytest.raises(UsageError, match="perceptron learns without labels"):
        build_model(replace(recipe, network="perceptron"), Data(1, 8, 3))


def test_sizes_that_the_network_cannot_make_are_refused() -> None:
    """Sizes are powers of two from 8; the message has the nearest."""
    with pytest.raises(UsageError, match=r"R3GAN's network makes images of 8, .* not of 28; .* such as 32"):
        build_model(SMALL, Data(1, 28))


def test_the_discriminators_last_weights_are_what_a_depthwise_convolution_would_have() -> None:
    """A product with the basis, summed over places, is a depthwise 4 x 4 convolution."""
    discriminator: Any = model_of().discriminator
    x = torch.randn(2, 8, 4, 4, generator=rng())
    assert torch.allclose(
        (x * discriminator.basis).sum((2, 3)), F.conv2d(x, discriminator.basis[:, None], groups=8).flatten(1), atol=1e-5
    )


def test_the_published_number_belongs_to_the_conditional_recipe() -> None:
    """The FID of 1.96 was reached with labels, and only that recipe has a target."""
    targets = {name: recipe.targets for name, recipe in VARIANTS["r3gan"].recipes.items()}
    assert [target.value for target in targets["paper"]] == [1.96]
    assert cast(Settings, PAPER.settings).conditional
    assert not targets["quick"]
