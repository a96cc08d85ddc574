"""The Bayesian GAN: its sampler on known laws, its posteriors, and where public code departs from the paper."""

import copy
import math
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model
from reference_models.base import tools_for
from reference_models.batches import Batch, Data
from reference_models.blocks.sghmc import SGHMC, sghmc
from reference_models.engine.summary import count_parameters
from reference_models.models.bayesgan import BayesGAN
from reference_models.models.bayesgan_recipes import Settings
from reference_models.recipes import SGD, Adam, Latent

SIDE, BATCH = 8, 4


def built(*, network: str = "perceptron", steps: int = 10, latent: Latent | None = None, **settings: Any) -> BayesGAN:
    """A small model of three generators and two discriminators."""
    torch.manual_seed(0)
    recipe = VARIANTS["bayesgan"].recipe("quick")
    own = replace(cast(Settings, recipe.settings), hidden=6, generator_width=2, discriminator_width=2)
    recipe = replace(recipe, batch=BATCH, steps=steps, network=network, settings=replace(own, **settings))
    recipe = replace(recipe, latent=latent or Latent(5))
    return cast(BayesGAN, build_model(recipe, Data(1, 28 if network == "paper" else SIDE)))


def batch_of(side: int = SIDE) -> Batch:
    """Random images."""
    return Batch(torch.rand(BATCH, 1, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1)


def rng(seed: int = 0) -> torch.Generator:
    """The randomness of losses."""
    return torch.Generator().manual_seed(seed)


def played(model: BayesGAN, steps: int, start: int = 0) -> None:
    """Steps of both players."""
    tools = tools_for(model, draw=batch_of, rng=rng())
    for step in range(start, start + steps):
        model.step(step, tools)


def sampled(energy: Any, start: Tensor, *, lr: float, steps: int, observations: int = 1) -> Tensor:
    """States of many chains at once, of every fifth of the steps after as many for the burn-in."""
    state = nn.Parameter(start)
    optimizer = SGHMC([state], lr, 0.9, observations=observations)
    states = []
    for step in range(2 * steps):
        optimizer.zero_grad()
        energy(state).sum().backward()
        optimizer.step()
        if step >= steps and step % 5 == 0:
            states.append(state.detach().clone())
    return torch.cat(states)


def test_the_sampler_is_right_on_a_normal_law() -> None:
    """Mean, variances and covariance of a correlated normal law in the plane are within 5%."""
    torch.manual_seed(0)
    mean, covariance = torch.tensor([1.0, -2.0]), torch.tensor([[1.0, 0.8], [0.8, 2.0]])
    precision = torch.linalg.inv(covariance)
    points = sampled(
        lambda x: ((x - mean) @ precision * (x - mean)).sum(1) / 2, torch.zeros(500, 2), lr=1e-2, steps=600
    )
    assert points.mean(0).tolist() == pytest.approx(mean.tolist(), rel=0.05)
    assert torch.cov(points.T).flatten().tolist() == pytest.approx(covariance.flatten().tolist(), rel=0.05)


def test_the_sampler_is_right_on_a_mixture() -> None:
    """Mean and variance of two unequal normal laws on a line are within 5%, the mean's of a deviation."""
    torch.manual_seed(0)
    centres, deviations, shares = torch.tensor([-1.5, 1.0]), torch.tensor([0.7, 1.0]), torch.tensor([1 / 3, 2 / 3])
    mean = (shares * centres).sum()
    variance = (shares * (deviations**2 + centres**2)).sum() - mean**2

    def energy(x: Tensor) -> Tensor:
        logs = -(((x - centres) / deviations) ** 2) / 2 - deviations.log() + shares.log()
        return -logs.logsumexp(1)

    points = sampled(energy, torch.zeros(500, 1), lr=1e-2, steps=1000)
    assert points.mean().item() == pytest.approx(mean.item(), abs=0.05 * variance.sqrt().item())
    assert points.var().item() == pytest.approx(variance.item(), rel=0.05)


def test_a_loss_per_observation_is_sampled_at_the_scale_of_their_sum() -> None:
    """For the loss x^2 / 2 and N observations the variance is 1 / N."""
    torch.manual_seed(0)
    points = sampled(lambda x: x.square() / 2, torch.zeros(500, 1), lr=1e-2, steps=600, observations=50)
    assert points.var().item() == pytest.approx(1 / 50, rel=0.05)


def test_the_noise_of_a_step_has_the_papers_scale() -> None:
    """Without a gradient, a step is N(0, 2 alpha lr); public code scales the noise by the rate over N once more."""
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.zeros(100_000))
    parameter.grad = torch.zeros_like(parameter)
    SGHMC([parameter], 2e-4, 0.99).step()
    # The relative error of a standard deviation from 100,000 draws is 0.2%.
    assert parameter.std().item() == pytest.approx(math.sqrt(2 * 0.01 * 2e-4), rel=0.01)


def test_the_burn_in_is_adam_and_then_it_truly_samples() -> None:
    """Until then steps are Adam's, bit for bit up to rounding; after it, the same gradients give random steps."""
    torch.manual_seed(0)
    one, other = (nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    sampler, adam = SGHMC([one], 1e-2, 0.9, burn_in=3), torch.optim.Adam([other], 1e-2, (0.5, 0.999))
    for number in range(6):
        for parameter, optimizer in ((one, sampler), (other, adam)):
            optimizer.zero_grad()
            parameter.grad = 2 * parameter.detach()
            optimizer.step()
        assert torch.allclose(one, other, atol=1e-6) == (number < 3)
        if number == 2:  # the chain begins at rest, and not with Adam's first moment as its velocity
            assert not sampler.state[one]["velocity"].any()
    before, states = one.detach().clone(), []
    for seed in range(2):
        twin = copy.deepcopy(sampler)
        (parameter,) = twin.param_groups[0]["params"]
        torch.manual_seed(seed)
        parameter.grad = torch.ones(2)
        twin.step()
        states.append(parameter.detach().clone())
    assert not torch.equal(states[0], states[1])
    assert torch.equal(before, one)


def test_the_players_samplers_switch_at_the_burn_in() -> None:
    """Half of ten steps is Adam's: with equal batches, two seeds of the noise agree until then, and not after."""
    ends = []
    for steps in (5, 6):
        states = []
        for seed in (1, 2):
            model = built(burn_in=0.5)
            torch.manual_seed(seed)
            played(model, steps)
            states.append(torch.cat([one.detach().flatten() for one in model.players()[0].parameters]))
        ends.append(torch.equal(*states))
    assert ends == [True, False]


def test_a_step_belongs_to_the_burn_in_or_to_the_sampling() -> None:
    """Messages name the phase; an ensemble has one."""
    model = built(steps=10)
    assert [model.phase(step) for step in range(10)] == ["burn-in"] * 5 + ["sampling"] * 5
    assert built(steps=10, sampler="adam").phase(9) == ""


def test_other_settings_than_a_rate_and_a_momentum_are_refused() -> None:
    """Adam's have no friction."""
    with pytest.raises(UsageError, match="SGHMC takes a rate and a momentum"):
        sghmc([nn.Parameter(torch.zeros(1))], Adam(1e-3), observations=1, burn_in=0)
    made = sghmc([nn.Parameter(torch.zeros(1))], SGD(1e-3, 0.9), observations=1, burn_in=0)
    assert made.param_groups[0]["momentum"] == 0.9


def test_the_prior_is_summed_over_all_weights_with_one_half() -> None:
    """N times it is the sum of theta^2 / (2 sigma^2); public code has means of each tensor, without the half."""
    model = built(prior=3.0, observations=70)
    network = model.generators.present[0]
    expected = sum(float(one.detach().double().square().sum()) for one in network.parameters()) / (2 * 3.0**2)
    assert 70 * model.prior(network).item() == pytest.approx(expected, rel=1e-5)


def naive_fakes(model: BayesGAN, networks: list[nn.Module]) -> list[Tensor]:
    """What the losses make with `rng`."""
    draws = rng()
    return [network(model.latent(BATCH, rng=draws)[:, :-1]) for network in networks]


def test_a_discriminators_loss_is_its_log_posterior() -> None:
    """N data and N fakes, of all generators alike, and the prior; summed over the discriminators."""
    model, batch = built(), batch_of()
    expected = 0.0
    for network in model.discriminators.present:
        fakes = naive_fakes(model, model.generators.states())
        likelihood = network(batch.images).sigmoid().log().mean()
        likelihood += torch.stack([(1 - network(images).sigmoid()).log().mean() for images in fakes]).mean()
        expected += (-likelihood + model.prior(network)).item()
    loss, logs = model.loss_discriminator(batch, rng())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert torch.as_tensor(logs["logit/real"]).shape == (BATCH,)


def test_a_generators_loss_is_its_log_posterior() -> None:
    """The sum of log D(G(z)) given each discriminator, and the prior: there is no feature matching."""
    model, batch = built(), batch_of()
    expected = 0.0
    fakes = naive_fakes(model, list(model.generators.present))
    for network, images in zip(model.generators.present, fakes, strict=True):
        likelihoods = [one(images).sigmoid().log().mean() for one in model.discriminators.states()]
        expected += (model.prior(network) - torch.stack(likelihoods).mean()).item()
    assert model.loss_generator(batch, rng())[0].item() == pytest.approx(expected, rel=1e-5)
    assert model.loss_generator(Batch(-batch.images), rng())[0].item() == pytest.approx(expected, rel=1e-5)


def test_densities_are_joined_so_that_the_best_explanation_dominates() -> None:
    """-log of the mean density over N: near the smallest loss; with the sign of public code, the largest dominates."""
    losses = torch.tensor([0.5, 0.7, 0.9], dtype=torch.float64)
    count = 20
    model = built(joined="densities", observations=count)
    expected = -math.log(sum(math.exp(-count * float(one)) for one in losses) / 3) / count
    assert model.join(losses).item() == pytest.approx(expected)
    assert 0.5 < expected < 0.56
    assert built().join(losses).item() == pytest.approx(0.7)


def test_later_samples_are_later_states_of_the_same_chain() -> None:
    """Earlier states are what the networks were `thin` updates before, the newest first; not other initialisations."""
    model = built(samples=3, thin=2, burn_in=0.2, steps=10)
    assert len(model.generators.states()) == 3
    was = []
    for step in range(8):
        played(model, 1, step)
        was.append([copy.deepcopy(network.state_dict()) for network in model.generators.present])
    # The burn-in is 2 updates, so that states are kept after 4, 6 and 8.
    assert len(model.generators.states()) == 9
    for kept, at in enumerate((7, 5)):
        for network, before in zip(cast(nn.ModuleList, model.generators.earlier[kept]), was[at], strict=True):
            assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
    assert len(model.discriminators.states()) == 6
    own = {id(one) for player in model.players() for one in player.parameters}
    assert own == {id(one) for one in model.parameters()}


def test_the_last_latent_number_chooses_the_generator() -> None:
    """All generators are equally likely, for either law of latents, and each image is of its own."""
    for latent in (Latent(5), Latent(5, "uniform")):
        model = built(latent=latent).eval()
        z = model.latent(6000, rng=rng())
        chosen = model.chosen(z)
        # Three binomial counts of 6,000 with p = 1/3: the deviation is 37.
        assert torch.bincount(chosen).tolist() == pytest.approx([2000] * 3, abs=4 * 37)
        images = model.generate(z[:50])
        for row in range(50):
            alone = model.generators.present[int(chosen[row])](z[row : row + 1, :-1])
            assert torch.allclose(images[row], alone[0], atol=1e-6)
    with pytest.raises(UsageError, match="latent of bayesgan is 1; it must be 2 or more"):
        built(latent=Latent(1))


def test_the_ensemble_has_no_noise_and_no_prior() -> None:
    """With sampler "adam", two seeds of torch's global randomness give the same weights in all steps."""
    states = []
    for seed in (1, 2):
        model = built(sampler="adam")
        torch.manual_seed(seed)
        played(model, 10)
        states.append(torch.cat([one.detach().flatten() for one in model.parameters()]))
    assert torch.equal(*states)
    assert built(sampler="adam").prior(model.generators.present[0]).item() == 0


def test_the_papers_networks_have_the_sizes_of_the_authors_layers() -> None:
    """Ten generators and a discriminator for MNIST and CIFAR-10, by construct_nets; there are no gains and shifts."""
    for preset, channels in (("paper", 1), ("cifar10", 3)):
        recipe = VARIANTS["bayesgan"].recipe(preset)
        generator = (100 * 2048 + 2048) + (25 * 512 * 256 + 256) + (25 * 256 * 128 + 128) + (25 * 128 * 64 + 64)
        generator += 25 * 64 * channels + channels
        discriminator = (25 * channels * 96 + 96) + (25 * 96 * 192 + 192) + (25 * 192 * 384 + 384)
        discriminator += (25 * 384 * 768 + 768) + (768 * 4 * 384 + 384) + (384 + 1)
        found = count_parameters(build_model(recipe, Data(recipe.channels, recipe.resolution)))
        assert found == {"discriminator": discriminator, "generator": 10 * generator}


def test_the_papers_networks_play() -> None:
    """Images have 28 x 28 pixels within [-1, 1], and a step is finite."""
    model = built(network="paper", burn_in=0.0)
    tools = tools_for(model, draw=lambda: batch_of(28), rng=rng())
    assert all(torch.as_tensor(value).isfinite().all() for value in model.step(0, tools).values())
    images = model.eval().generate(model.latent(3, rng=rng()))
    assert images.shape == (3, 1, 28, 28)
    assert F.relu(images.abs() - 1).max() == 0
