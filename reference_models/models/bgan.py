"""Boundary-seeking GANs (Hjelm et al. 2018) for discrete data: binary images.

The generator gives a probability per pixel, from which images are drawn; a drawn pixel has no gradient. Instead, the
generator's log-likelihood of the drawn images is maximised, weighted by the discriminator: for the optimal
discriminator, exp(logit) is the density ratio of reals to fakes, and these weights, normalised over the images of one
latent, are importance weights. The generator then learns as if from reals.

The discriminator has the usual cross-entropy.
"""

from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.ranges import ValueRange
from reference_models.base import Logs
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN, logit_logs
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import SLOPE, check_resolution, enlarge
from reference_models.models.bgan_recipes import Settings
from reference_models.recipes import Recipe

RESOLUTIONS = range(8, 129, 4)
KERNEL = 5
# Epsilon of batch normalisation in Lasagne, which the authors' code uses.
EPSILON = 1e-4


def importance_weights(logits: Tensor) -> Tensor:
    """exp(logit), normalised over the images of each latent: [samples, N] => [samples, N], without gradient."""
    return logits.detach().float().softmax(0)


def effective_samples(weights: Tensor) -> Tensor:
    """1 / sum of squares, of each latent: [samples, N] => [N], from 1 (one weighs all) to `samples` (all alike)."""
    return 1 / weights.square().sum(0)


def log_likelihood(images: Tensor, logits: Tensor) -> Tensor:
    """log g(x) of binary images: [samples, N, C, H, W] and logits [N, C, H, W] of their pixels => [samples, N]."""
    each = F.binary_cross_entropy_with_logits(logits.expand_as(images), images, reduction="none")
    return -each.flatten(2).sum(2)


def drawn(logits: Tensor, uniform: Tensor) -> Tensor:
    """Binary images from uniform numbers in [0, 1): float32, 1 with the probability given by the logit."""
    return (uniform < logits.sigmoid()).to(torch.float32)


def uniform_of(z: Tensor, count: int) -> Tensor:
    """Uniform numbers [N, count] determined by latents [N, D], whose bits are the seeds."""
    seeds = z.detach().to("cpu", torch.float32).contiguous().numpy().view(np.uint32)
    rows = [np.random.default_rng(seed).random(count, dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)).to(z.device)


class BGAN(GeneratorDiscriminatorGAN):
    """A generator of pixel probabilities, a discriminator without normalisation, and the reweighted likelihood.

    Training images are 1 where they are at least half as bright as white. `generate` draws binary images, with uniform
    numbers that the latent determines: an image is a function of its latent, and images of many latents are a sample of
    the model. Similar latents have similar probabilities, but their pixels are drawn independently.
    """

    objective = OBJECTIVES["non-saturating"]
    value_range: ClassVar[ValueRange] = "[0,1]"

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        check_resolution("BGAN's network", data.resolution, RESOLUTIONS)
        width, units, quarter = settings.width, settings.units, data.resolution // 4
        self.generator = nn.Sequential(
            *(nn.Linear(recipe.latent.size, units, bias=False), nn.BatchNorm1d(units, EPSILON), nn.ReLU()),
            nn.Linear(units, width * 2 * quarter**2, bias=False),
            *(nn.BatchNorm1d(width * 2 * quarter**2, EPSILON), nn.ReLU()),
            nn.Unflatten(1, (width * 2, quarter, quarter)),
            *(enlarge(width * 2, width, KERNEL), nn.BatchNorm2d(width, EPSILON), nn.ReLU()),
            nn.ConvTranspose2d(width, data.channels, KERNEL, stride=2, padding=2, output_padding=1),
        )
        self.discriminator = nn.Sequential(
            *(nn.Conv2d(data.channels, width, KERNEL, stride=2, padding=2), nn.LeakyReLU(SLOPE)),
            *(nn.Conv2d(width, width * 2, KERNEL, stride=2, padding=2), nn.LeakyReLU(SLOPE), nn.Flatten()),
            *(nn.Linear(width * 2 * quarter**2, units), nn.LeakyReLU(SLOPE)),
            *(nn.Linear(units, 1), nn.Flatten(0)),
        )
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.orthogonal_(module.weight)
            elif isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] of zeros and ones"""
        logits: Tensor = self.generator(z)
        return drawn(logits, uniform_of(z, logits[0].numel()).view_as(logits))

    def reals(self, batch: Batch, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """The batch's images, binary."""
        return (batch.images >= 0.5).to(torch.float32)

    def samples(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Binary images for latents, float32 [samples, count, C, R, R], and the logits of their pixels [count, ...]."""
        logits: Tensor = self.generator(self.latent(count, rng=rng)).float()
        samples, shape = self.settings.samples, logits.shape
        uniform = torch.rand(samples * len(logits), *shape[1:], generator=rng, device=rng.device)
        return drawn(logits.detach(), uniform.view(samples, *shape)), logits

    def judged(self, images: Tensor) -> Tensor:
        """The discriminator's logits of [samples, N, C, R, R]: [samples, N]."""
        logits: Tensor = self.discriminator(images.flatten(0, 1)).view(images.shape[:2])
        return logits

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Cross-entropy of the reals, and of all images of as many latents."""
        real, fake = self.discriminator(self.reals(batch, rng)), self.judged(self.samples(len(batch), rng)[0])
        return self.objective.discriminator(real, fake), logit_logs(real, fake.mean(0))

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """- sum over the images of a latent of weight log g(x), the mean over latents."""
        images, logits = self.samples(len(batch), rng)
        weights = importance_weights(self.judged(images))
        if self.settings.weights == "uniform":
            weights = torch.full_like(weights, 1 / len(weights))
        return reweighted(weights, log_likelihood(images, logits)), {"ess": effective_samples(weights)}


def reweighted(weights: Tensor, likelihoods: Tensor) -> Tensor:
    """- sum of weight log g(x) over the images of a latent, the mean over latents: [samples, N] twice => a scalar."""
    return -(weights * likelihoods).sum(0).mean()
