"""The common base of most papers: the discriminator is updated first, then the generator; losses take logits."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models.base import GAN, Logs, Player
from reference_models.batches import Batch
from reference_models.blocks.losses import Objective


class GeneratorDiscriminatorGAN(GAN):
    """A generator of images from latents and a discriminator of images; a paper adds its networks and its objective.

    A subclass sets `generator`, `discriminator` and `objective`, and overrides the losses that differ.
    """

    generator: nn.Module
    discriminator: nn.Module
    objective: Objective
    # Fakes per image of the batch in the generator's update.
    generator_batch: int = 1
    # Uniform noise in [0, noise) is added to every pixel of the discriminator's reals, to undo their rounding.
    noise: float = 0.0
    # Whether reals and fakes pass the discriminator as one batch; only without batch normalisation.
    together: ClassVar[bool] = False

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """Updates of the discriminator at a step, counted from 0."""
        return 1

    def players(self) -> tuple[Player, Player]:
        """The discriminator, then the generator."""
        rates = self.recipe.optimizers
        discriminator, generator = tuple(self.discriminator.parameters()), tuple(self.generator.parameters())
        return (
            Player(
                "discriminator",
                discriminator,
                rates["discriminator"],
                self.loss_discriminator,
                self.discriminator_updates,
            ),
            Player("generator", generator, rates["generator"], self.loss_generator),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in `value_range`"""
        images: Tensor = self.generator(z)
        return images

    def discriminate(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's outputs for reals and for the same number of fakes."""
        if not self.together:
            return self.discriminator(real), self.discriminator(fake)
        of_real, of_fake = self.discriminator(torch.cat([real, fake])).chunk(2)
        return of_real, of_fake

    def reals(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """The batch's images as the discriminator gets them: with `noise` added, unless it is 0."""
        if not self.noise:
            return batch.images
        return batch.images + self.noise * torch.rand(batch.images.shape, generator=rng, device=rng.device)

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The objective's loss on the batch and the same number of fakes."""
        real, fake = self.discriminate(self.reals(batch, rng), self.generate(self.latent(len(batch), rng=rng)))
        return self.objective.discriminator(real, fake), logit_logs(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The objective's loss on new fakes."""
        fakes = self.generate(self.latent(len(batch) * self.generator_batch, rng=rng))
        return self.objective.generator(self.discriminator(fakes)), {}


def logit_logs(real: Tensor, fake: Tensor) -> Logs:
    """The discriminator's outputs, one per image, by their reserved names."""
    return {"logit/real": real, "logit/fake": fake}


def require_labels(labels: Tensor | None, variant: str) -> Tensor:
    """The labels; UsageError if a conditional model was given none."""
    if labels is None:
        raise UsageError(f"{variant} generates images of given classes; pass labels, int64 [N].")
    return labels
