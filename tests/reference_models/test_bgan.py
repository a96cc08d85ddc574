"""Boundary-seeking GANs: weights, likelihood and their estimator by exhaustive enumeration, and binary images."""

import itertools
import math
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from reference_models import build_model
from reference_models.base import tools_for
from reference_models.batches import Batch, Data
from reference_models.models import bgan
from reference_models.models.bgan import BGAN
from reference_models.models.bgan_recipes import PAPER, QUICK, Settings

# A toy of 4 pixels: the probabilities of a generator, and a discriminator's logit of each of the 16 images.
LOGITS = torch.tensor([0.4, -1.0, 0.2, 1.3])
EVERY = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)))
JUDGED = torch.randn(16, generator=torch.Generator().manual_seed(3))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(**settings: object) -> BGAN:
    """A small model of 8 x 8 pixels."""
    torch.manual_seed(0)
    own = replace(Settings(width=4, units=16), **settings)  # type: ignore[arg-type]
    return cast(BGAN, build_model(replace(QUICK, batch=4, settings=own), Data(1, 8)))


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=rng(1))


def chance(image: Tensor, logits: Tensor = LOGITS) -> float:
    """g(x), as a product over pixels."""
    ps = logits.sigmoid().tolist()
    return math.prod(p if on else 1 - p for p, on in zip(ps, image.tolist(), strict=True))


def test_the_likelihood_is_a_product_over_pixels() -> None:
    """log g(x) agrees with a loop, and the chances of all images of 4 pixels have the sum 1."""
    found = bgan.log_likelihood(EVERY.view(16, 1, 1, 2, 2), LOGITS.view(1, 1, 2, 2))
    assert found.shape == (16, 1)
    for likelihood, image in zip(found[:, 0].tolist(), EVERY, strict=True):
        assert likelihood == pytest.approx(math.log(chance(image)), rel=1e-5)
    assert found.exp().sum().item() == pytest.approx(1)


def test_the_weights_are_normalised_odds_and_have_no_gradient() -> None:
    """D(x) / (1 - D(x)) over their sum for each latent; no logit is clipped to [0, 1], as in a file of the authors."""
    logits = torch.tensor([[0.0, 30.0, -200.0], [math.log(3), 25.0, -200.0]], requires_grad=True)
    found = bgan.importance_weights(logits)
    assert not found.requires_grad
    assert found[:, 0].tolist() == pytest.approx([0.25, 0.75])
    assert found[:, 1].tolist() == pytest.approx([1 / (1 + math.exp(-5)), 1 / (1 + math.exp(5))])
    assert found[:, 2].tolist() == [0.5, 0.5]
    probability = torch.tensor([[0.2], [0.6], [0.9]])
    odds = probability / (1 - probability)
    assert torch.allclose(bgan.importance_weights(probability.logit()), odds / odds.sum(0))


def test_the_effective_number_of_samples_lies_between_1_and_all() -> None:
    """1 if one image has all the weight, 20 if all have the same, 2 for two halves."""
    one, all_alike, halves = torch.zeros(20), torch.full((20,), 1 / 20), torch.zeros(20)
    one[3], halves[:2] = 1.0, 0.5
    found = bgan.effective_samples(torch.stack([one, all_alike, halves], 1))
    assert found.tolist() == pytest.approx([1, 20, 2])


class Toy(BGAN):
    """The toy's generator for every latent, and its discriminator."""

    def __init__(self, samples: int, logits: Tensor = LOGITS) -> None:
        super().__init__(Data(1, 8), replace(QUICK, settings=Settings(width=2, units=4, samples=samples)))
        self.pixels = nn.Parameter(logits.clone())
        self.generator = Repeated(self.pixels)  # type: ignore[assignment]

    def judged(self, images: Tensor) -> Tensor:
        """By enumeration."""
        places = (images.flatten(2) * torch.tensor([8, 4, 2, 1])).sum(2).long()
        return JUDGED[places]


class Repeated(nn.Module):
    def __init__(self, pixels: nn.Parameter) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, z: Tensor) -> Tensor:
        return self.pixels.view(1, 1, 2, 2).expand(len(z), 1, 2, 2)


def gradient_of(toy: Toy, count: int, seed: int) -> Tensor:
    """The gradient of the generator's loss, with respect to the logits of pixels."""
    loss, _ = toy.loss_generator(Batch(torch.zeros(count, 1, 8, 8)), rng(seed))
    (gradient,) = torch.autograd.grad(loss, toy.pixels)
    return gradient


def exact_gradient(samples: int) -> Tensor:
    """The expectation of the gradient over every tuple of so many images."""
    chances = [chance(image) for image in EVERY]
    total = torch.zeros(4)
    for places in itertools.product(range(16), repeat=samples):
        odds = [math.exp(float(JUDGED[place])) for place in places]
        joint = math.prod(chances[place] for place in places)
        for place, one in zip(places, odds, strict=True):
            # d log g(x) / d logit = x - p
            total -= joint * one / sum(odds) * (EVERY[place] - LOGITS.sigmoid())
    return total


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_the_estimator_has_the_expectation_of_an_exhaustive_enumeration(samples: int) -> None:
    """Its mean over many draws is the exact one over all tuples of images, within 4.5 of its standard errors."""
    toy, exact = Toy(samples), exact_gradient(samples)
    draws = torch.stack([gradient_of(toy, 500, seed) for seed in range(100)])
    error = draws.std(0) / 10
    assert ((draws.mean(0) - exact).abs() < 4.5 * error).all()
    # One image has all the weight, so that the discriminator does not matter and nothing is learned.
    assert (exact.abs() > 1e-4).all() == (samples > 1)


def test_with_many_samples_it_is_the_gradient_towards_the_boundary() -> None:
    """-grad sum q(x) log g(x) with q(x) proportional to g(x) exp(logit): pixels move towards q's marginals."""
    odds = torch.tensor([chance(image) for image in EVERY]) * JUDGED.exp()
    target = (odds / odds.sum()) @ EVERY
    found = gradient_of(Toy(20_000), 8, seed=0)
    # Of 160,000 draws whose weights differ by a factor of 3, a mean has an error near 0.002.
    assert torch.allclose(found, LOGITS.sigmoid() - target, atol=0.01)


def test_the_best_discriminator_leaves_a_perfect_generator_alone() -> None:
    """Where all images have the same logit the expected gradient is 0, for any number of samples."""
    toy = Toy(20)
    toy.judged = lambda images: torch.zeros(images.shape[:2])  # type: ignore[method-assign]
    draws = torch.stack([gradient_of(toy, 200, seed) for seed in range(40)])
    assert (draws.mean(0).abs() < 4.5 * draws.std(0) / 40**0.5).all()


def test_the_generators_loss_is_the_weighted_likelihood() -> None:
    """It agrees with loops over latents and images, and logs the effective number of samples."""
    model = built(samples=5).eval()
    loss, logs = model.loss_generator(Batch(images(3)), rng(4))
    drawn, logits = model.samples(3, rng(4))
    total, sizes = 0.0, []
    for latent in range(3):
        odds = [math.exp(model.discriminator(drawn[number, latent : latent + 1]).item()) for number in range(5)]
        weights = [one / sum(odds) for one in odds]
        sizes.append(1 / sum(weight**2 for weight in weights))
        for number, weight in enumerate(weights):
            total -= weight * math.log(chance(drawn[number, latent].flatten(), logits[latent].flatten()))
    assert loss.item() == pytest.approx(total / 3, rel=1e-4)
    assert torch.as_tensor(logs["ess"]).tolist() == pytest.approx(sizes, rel=1e-4)


def test_uniform_weights_ignore_the_discriminator() -> None:
    """The ablation has the same loss for any discriminator, and all samples are effective."""
    model = built(weights="uniform", samples=5).eval()
    first, logs = model.loss_generator(Batch(images(3)), rng(4))
    for parameter in model.discriminator.parameters():
        nn.init.normal_(parameter)
    again, _ = model.loss_generator(Batch(images(3)), rng(4))
    assert torch.equal(first, again)
    assert torch.as_tensor(logs["ess"]).tolist() == pytest.approx([5.0] * 3)


def test_the_discriminator_sees_binary_reals_and_all_samples() -> None:
    """Pixels of at least half are 1, and the fakes' cross-entropy is the mean over samples and latents."""
    model = built(samples=5)
    given = Batch(torch.tensor([0.0, 0.49, 0.5, 1.0]).view(4, 1, 1, 1).expand(4, 1, 8, 8))
    assert model.reals(given, rng()).flatten(1).unique(dim=1).flatten().tolist() == [0, 0, 1, 1]
    model.eval()
    loss, logs = model.loss_discriminator(Batch(images()), rng(2))
    drawn, _ = model.samples(6, rng(2))
    fake = model.discriminator(drawn.flatten(0, 1))
    real = model.discriminator((images() >= 0.5).float())
    expected = nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.as_tensor(logs["logit/fake"]).shape == (6,)


def test_losses_reach_their_own_players_alone() -> None:
    """No gradient goes through a drawn pixel, or from the weights to the discriminator."""
    model = built()
    drawn, _ = model.samples(4, rng())
    assert not drawn.requires_grad
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    loss, _ = model.loss_generator(Batch(images()), rng())
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in model.discriminator.parameters())
    assert all(parameter.grad is not None for parameter in model.generator.parameters())


@torch.no_grad()
def test_images_are_binary_and_a_sample_of_the_model() -> None:
    """A latent has one image, and over many latents each pixel is 1 as often as its mean probability."""
    model = built().eval()
    z = model.latent(4000, rng=rng())
    made = model.generate(z)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(made[5:9], model.generate(z[5:9]))
    expected = model.generator(z).sigmoid().mean(0)
    # The largest of 64 deviations of means of 4,000 draws.
    assert torch.allclose(made.mean(0), expected, atol=4.5 * 0.5 / 4000**0.5)
    between = expected.clamp(0.01, 0.99)
    variance = (between * (1 - between)).mean()
    assert made.var(0).mean().item() == pytest.approx(variance.item(), rel=0.05)


def test_uniform_numbers_of_latents_are_uniform_and_independent() -> None:
    """They have mean 1/2 and variance 1/12, no correlation between pixels, and change with the last bit of a latent."""
    z = torch.rand(3000, 3, generator=rng())
    found = bgan.uniform_of(z, 8)
    assert torch.equal(found, bgan.uniform_of(z, 8))
    assert found.min() >= 0
    assert found.max() < 1
    assert torch.allclose(found.mean(0), torch.tensor(0.5), atol=4.5 / (12 * 3000) ** 0.5)
    assert torch.allclose(found.var(0), torch.tensor(1 / 12), rtol=0.1)
    assert (torch.corrcoef(found.T) - torch.eye(8)).abs().max() < 4.5 / 3000**0.5
    moved = z.clone()
    moved[:, 2] = torch.nextafter(z[:, 2], torch.tensor(2.0))
    assert (bgan.uniform_of(moved, 8) != found).float().mean() > 0.99


def test_the_papers_settings_are_the_authors() -> None:
    """20 samples of each of 64 latents, uniform in [0, 1); Adam with rate 1e-4 and beta 1 of 0.5; Lasagne's layers."""
    assert (cast(Settings, PAPER.settings).samples, PAPER.batch, PAPER.latent.interval) == (20, 64, (0.0, 1.0))
    model = build_model(PAPER, Data(1, 28))
    kinds = [type(module).__name__ for module in model.get_submodule("discriminator").modules()]
    assert not any("BatchNorm" in kind for kind in kinds)
    normalised = [one for one in model.modules() if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(normalised) == 3
    assert {(one.eps, one.momentum) for one in normalised} == {(1e-4, 0.1)}


def test_a_step_brings_the_toy_towards_the_data() -> None:
    """A few hundred steps on images of one pixel pattern raise the chances of its pixels."""
    model = built(samples=10)
    pattern = torch.zeros(1, 8, 8)
    pattern[:, ::2] = 1.0
    batch = Batch(pattern.expand(8, 1, 8, 8))
    tools = tools_for(model, draw=lambda: batch, rng=rng())
    for step in range(150):
        model.step(step, tools)
    with torch.no_grad():
        chances = model.generator(model.latent(64, rng=rng(1))).sigmoid().mean((0, 1))
    assert chances[::2].mean() > chances[1::2].mean() + 0.5
