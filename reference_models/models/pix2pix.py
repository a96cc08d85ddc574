"""Image-to-image translation with conditional adversarial networks (Isola et al. 2017): a U-Net with a patch
discriminator.

The discriminator sees input and output together; the generator also has an L1 loss to the target. Its only noise is
dropout, which stays on in evaluation, as does normalisation by the statistics of the current image.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from reference_models.base import Logs, Player, Translator
from reference_models.batches import Data, PairBatch
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import draw_normal
from reference_models.blocks.translation import PatchDiscriminator, UNet, check_divisible
from reference_models.models.pix2pix_recipes import Settings
from reference_models.recipes import Recipe


class Pix2Pix(Translator):
    """The U-Net and the patch discriminator, with cross-entropy and L1."""

    objective = OBJECTIVES["non-saturating"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        check_divisible("pix2pix's U-Net", data.input_resolution, 2**settings.levels, setting="settings.levels")
        inputs = cast(int, data.input_channels)
        self.generator = UNet(
            inputs,
            data.channels,
            levels=settings.levels,
            width=settings.width,
            norm=settings.norm,
            drop=settings.dropout,
        )
        self.discriminator = PatchDiscriminator(
            data.channels + (inputs if settings.sees_input else 0),
            width=settings.critic_width,
            layers=settings.patch,
            norm=settings.norm,
        )
        for network in (self.generator, self.discriminator):
            draw_normal(network)
        # The step's inputs and outputs, kept from the discriminator's update for the generator's update.
        self._made: tuple[Tensor, Tensor] | None = None

    @classmethod
    def data_for(cls, recipe: Recipe, classes: int | None = None) -> Data:
        """Inputs have `settings.input_channels` channels."""
        channels = cast(Settings, recipe.settings).input_channels
        return Data(
            recipe.channels,
            recipe.resolution,
            classes,
            input_channels=channels,
            input_resolution=recipe.resolution,
        )

    def players(self) -> Sequence[Player]:
        """The discriminator, then the generator."""
        rates = self.recipe.optimizers
        discriminator, generator = tuple(self.discriminator.parameters()), tuple(self.generator.parameters())
        return (
            Player("discriminator", discriminator, rates["discriminator"], self.loss_discriminator),
            Player("generator", generator, rates["generator"], self.loss_generator),
        )

    def begin(self, step: int) -> None:  # noqa: ARG002
        """Forget the outputs of the previous step."""
        self._made = None

    def translate(self, inputs: Tensor, *, rng: torch.Generator) -> Tensor:
        """float32 [N, C', S, S] => float32 [N, C, S, S], each by its own statistics, as in the authors' batch of 1."""
        return torch.cat([self.generator(inputs[row : row + 1], rng) for row in range(len(inputs))])

    def judged(self, inputs: Tensor, images: Tensor) -> Tensor:
        """The discriminator's logits of images and their inputs, [N, 1, P, P]."""
        logits: Tensor = self.discriminator(torch.cat([inputs, images], 1) if self.settings.sees_input else images)
        return logits

    def loss_discriminator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Half the cross-entropy of true pairs and of pairs with a generated output."""
        # The generator's update differentiates these outputs, so its parameters must not be constants here.
        with differentiated(self.generator):
            made = self.generator(batch.inputs, rng)
        self._made = batch.inputs, made
        real, fake = self.judged(batch.inputs, batch.images), self.judged(batch.inputs, made.detach())
        return self.objective.discriminator(real, fake) / 2, logit_logs(real.mean((1, 2, 3)), fake.mean((1, 2, 3)))

    def loss_generator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The adversarial loss, and the weighted L1 distance from the target."""
        made = self._outputs(batch.inputs, rng)
        apart = (made - batch.images).abs().mean((1, 2, 3))
        loss = self.settings.l1 * apart.mean()
        if self.settings.adversarial:
            loss = loss + self.settings.adversarial * self.objective.generator(self.judged(batch.inputs, made))
        return loss, {"l1": apart}

    def _outputs(self, inputs: Tensor, rng: torch.Generator) -> Tensor:
        """The outputs that the discriminator saw in its update, or new ones if it saw others (of a batch in parts)."""
        # Compared by memory address; the result is the same in all processes that share a batch.
        if self._made is not None and self._made[0].data_ptr() == inputs.data_ptr():
            (_, made), self._made = self._made, None
            return made
        outputs: Tensor = self.generator(inputs, rng)
        return outputs


@contextmanager
def differentiated(network: nn.Module) -> Iterator[None]:
    """Within this context, a network's parameters require gradients, even if they are constants outside."""
    constants = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    for parameter in constants:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in constants:
            parameter.requires_grad_(False)
