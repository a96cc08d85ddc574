"""Bayesian GAN (Saatchi, Wilson 2017): samples of generators and discriminators from their posteriors.

Several chains of weights of each player are sampled by SGHMC. The log posterior of a discriminator is the sum over N
data of log D(x), plus that over N fakes of log(1 - D(G(z))), plus the log of the normal prior; that of a generator is
the sum over N fakes of log D(G(z)), plus the log of the prior. Losses are minus these, divided by N; the sums are
estimated from a batch. The opponent is integrated out over the current and earlier states of all its chains.

The last latent number chooses which of the sampled generators makes an image.
"""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models.base import GAN, Logs, Player
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.networks import SLOPE, draw_normal
from reference_models.blocks.sghmc import sghmc
from reference_models.models.bayesgan_recipes import Settings
from reference_models.recipes import Recipe
from reference_models.sharing import everyones


class Chains(nn.Module):
    """Networks of one kind, each on its own chain, and kept earlier states.

    make: builds one network. count: number of chains. kept: earlier states of each chain, the newest first.
    """

    filled: Tensor
    updates: Tensor

    def __init__(self, make: Callable[[], nn.Module], count: int, kept: int) -> None:
        super().__init__()
        self.present = nn.ModuleList(make() for _ in range(count))
        self.earlier = nn.ModuleList(nn.ModuleList(_frozen(network) for network in self.present) for _ in range(kept))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def states(self) -> list[nn.Module]:
        """The current networks, and the earlier ones kept so far."""
        kept = list(self.earlier)[: int(self.filled)]
        return [*self.present, *(network for state in kept for network in cast(nn.ModuleList, state))]

    @torch.no_grad()
    def count_update(self, *, burn_in: int, thin: int) -> None:
        """Called after each update: every `thin` updates after the burn-in, the current networks are kept."""
        self.updates += 1
        since = int(self.updates) - burn_in
        if since <= 0 or since % thin or not len(self.earlier):
            return
        for newer, older in reversed(list(pairwise([self.present, *self.earlier]))):
            older.load_state_dict(newer.state_dict())
        self.filled.clamp_(max=len(self.earlier) - 1).add_(1)


class BayesGAN(GAN):
    """The paper's GAN, without its semi-supervised discriminator."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.settings = cast(Settings, recipe.settings)
        if recipe.latent.size < 2:
            raise UsageError(
                f"latent of {recipe.variant} is {recipe.latent.size}; it must be 2 or more, since the last number "
                "chooses the generator."
            )
        make = _convolutional if recipe.network == "paper" else _perceptrons
        generator, discriminator = make(data, recipe)
        kept = self.settings.samples - 1
        self.generators = Chains(generator, self.settings.generators, kept)
        self.discriminators = Chains(discriminator, self.settings.discriminators, kept)

    @property
    def burn_in(self) -> int:
        """Number of updates before the sampling."""
        return round(self.settings.burn_in * self.recipe.steps)

    def phase(self, step: int) -> str:
        """The phase of a step: "burn-in" or "sampling"; "" for an ensemble, which is never sampled."""
        if self.settings.sampler == "adam":
            return ""
        return "burn-in" if step < self.burn_in else "sampling"

    def players(self) -> tuple[Player, Player]:
        """All discriminators, then all generators: the log posterior of several networks is the sum over networks."""
        return (
            self._player("discriminator", self.discriminators, self.loss_discriminator),
            self._player("generator", self.generators, self.loss_generator),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R]; the last number chooses the generator"""
        states = self.generators.states()
        chosen = self.chosen(z)
        images = z.new_empty(len(z), self.data.channels, self.data.resolution, self.data.resolution)
        for number, network in enumerate(states):
            rows = (chosen == number).nonzero().flatten()
            if len(rows):
                images[rows] = network(z[rows, :-1]).to(images.dtype)
        return images

    def chosen(self, z: Tensor) -> Tensor:
        """Latents [N, latent size] => which generator makes each image, int64 [N]; all are equally likely."""
        last, count = z[:, -1], len(self.generators.states())
        low, high = self.recipe.latent.interval
        normal = self.recipe.latent.law == "normal"
        share = torch.special.ndtr(last) if normal else (last - low) / (high - low)
        return (share * count).long().clamp(0, count - 1)

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-log p(theta_d | x, z, theta_g) / N, of all discriminators."""
        with torch.no_grad():
            fakes = torch.cat([network(self._inputs(len(batch), rng)) for network in self.generators.states()])
        losses, logits = [], []
        for network in self.discriminators.present:
            real, fake = torch.split(network(torch.cat([batch.images, fakes])), [len(batch), len(fakes)])
            against = everyones(F.softplus(fake)).view(len(self.generators.states()), -1).mean(1)
            losses.append(F.softplus(-real).mean() + self.join(against) + self.prior(network))
            logits.append((real, fake))
        real, fake = (torch.stack(one).mean(0) for one in zip(*logits, strict=True))
        return torch.stack(losses).sum(), logit_logs(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-log p(theta_g | z, theta_d) / N, of all generators."""
        fakes = torch.cat([network(self._inputs(len(batch), rng)) for network in self.generators.present])
        judged = torch.stack([everyones(network(fakes)) for network in self.discriminators.states()])
        against = F.softplus(-judged).view(len(judged), len(self.generators.present), -1).mean(2)
        losses = [
            self.join(one) + self.prior(network)
            for one, network in zip(against.unbind(1), self.generators.present, strict=True)
        ]
        return torch.stack(losses).sum(), {}

    def after(self, player: Player, logs: Logs) -> Logs:
        """Keep states of the chains."""
        chains = self.discriminators if player.name == "discriminator" else self.generators
        chains.count_update(burn_in=self.burn_in, thin=self.settings.thin)
        return super().after(player, logs)

    def join(self, against: Tensor) -> Tensor:
        """Negative log likelihoods given each opponent, over N, [opponents] => that given all opponents, over N."""
        if self.settings.joined == "logs":
            return against.mean()
        count = self.settings.observations
        return (math.log(len(against)) - torch.logsumexp(-count * against, 0)) / count

    def prior(self, network: nn.Module) -> Tensor:
        """Negative log of the normal prior of all weights, without its constant, over N; 0 for an ensemble."""
        if self.settings.sampler == "adam":
            return torch.zeros((), device=next(network.parameters()).device)
        squares = torch.stack([parameter.square().sum() for parameter in network.parameters()]).sum()
        return squares / (2 * self.settings.prior**2 * self.settings.observations)

    def _inputs(self, n: int, rng: torch.Generator) -> Tensor:
        """Latents without the number that chooses the generator."""
        return self.latent(n, rng=rng)[:, :-1]

    def _player(self, name: str, chains: Chains, loss: Callable[..., tuple[Tensor, Logs]]) -> Player:
        settings = self.recipe.optimizers[name]
        burn_in = self.recipe.steps if self.settings.sampler == "adam" else self.burn_in
        make = partial(sghmc, observations=self.settings.observations, burn_in=burn_in)
        return Player(name, tuple(chains.present.parameters()), settings, loss, make=make)


def _frozen(network: nn.Module) -> nn.Module:
    """A copy whose parameters are buffers: no player updates them, and checkpoints include them."""
    copy = deepcopy(network)
    for module in copy.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return copy


def _perceptrons(data: Data, recipe: Recipe) -> tuple[Callable[[], nn.Module], Callable[[], nn.Module]]:
    """One hidden layer each, as in the paper's synthetic experiment; tanh pixels unless "unbounded"."""
    hidden, pixels = cast(Settings, recipe.settings).hidden, data.channels * data.resolution**2
    shape = (data.channels, data.resolution, data.resolution)
    bound: list[nn.Module] = [] if recipe.network == "unbounded" else [nn.Tanh()]

    def generator() -> nn.Module:
        layers = [nn.Linear(recipe.latent.size - 1, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, pixels), *bound]
        return nn.Sequential(*layers, nn.Unflatten(1, shape))

    def discriminator() -> nn.Module:
        layers = [nn.Linear(pixels, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, 1)]
        return nn.Sequential(nn.Flatten(), *layers, nn.Flatten(0))

    return generator, discriminator


def _convolutional(data: Data, recipe: Recipe) -> tuple[Callable[[], nn.Module], Callable[[], nn.Module]]:
    """Four strided 5 x 5 convolutions each, with batch normalisation without gains and shifts; weights N(0, 0.02)."""
    settings = cast(Settings, recipe.settings)
    sides = [data.resolution]
    for _ in range(4):
        sides.append(math.ceil(sides[-1] / 2))

    def generator() -> nn.Module:
        widths = [settings.generator_width * 2**level for level in (3, 2, 1, 0)]
        units = widths[0] * sides[-1] ** 2
        layers: list[nn.Module] = [nn.Linear(recipe.latent.size - 1, units), nn.BatchNorm1d(units, affine=False)]
        layers += [nn.ReLU(), nn.Unflatten(1, (widths[0], sides[-1], sides[-1]))]
        for (before, after), (small, large) in zip(
            pairwise([*widths, data.channels]), pairwise(reversed(sides)), strict=True
        ):
            layers.append(nn.ConvTranspose2d(before, after, 5, 2, padding=2, output_padding=large - 2 * small + 1))
            layers += [nn.BatchNorm2d(after, affine=False), nn.ReLU()]
        return _drawn(nn.Sequential(*layers[:-2], nn.Tanh()))

    def discriminator() -> nn.Module:
        widths = [settings.discriminator_width * 2**level for level in range(4)]
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise([data.channels, *widths])):
            layers.append(nn.Conv2d(before, after, 5, 2, padding=2))
            layers += [nn.BatchNorm2d(after, affine=False)] if number else []
            layers.append(nn.LeakyReLU(SLOPE))
        units = settings.discriminator_width * 4
        layers += [nn.Flatten(), nn.Linear(widths[-1] * sides[-1] ** 2, units), nn.LeakyReLU(SLOPE)]
        return _drawn(nn.Sequential(*layers, nn.Linear(units, 1), nn.Flatten(0)))

    return generator, discriminator


def _drawn(network: nn.Module) -> nn.Module:
    draw_normal(network)
    return network
