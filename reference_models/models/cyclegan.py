"""Cycle-consistent adversarial networks (Zhu et al. 2017): two sets of images, and a generator for each direction.

Each discriminator separates the images of its set from translations into it, including a pool of earlier ones. An image
translated there and back must be recovered. The generators are updated first, and together.
"""

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor

from ganeval.errors import UsageError
from reference_models.base import Logs, Player, Translator
from reference_models.batches import Data, PairBatch
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import draw_normal
from reference_models.blocks.translation import PatchDiscriminator, ResidualTranslator, check_divisible
from reference_models.models.cyclegan_recipes import Settings
from reference_models.recipes import Recipe
from reference_models.sharing import everyones, own_rows


class CycleGAN(Translator):
    """Residual generators and patch discriminators with least squares; `translate` maps inputs to the second set."""

    paired: ClassVar[bool] = False
    multiple: ClassVar[int | None] = 4
    objective = OBJECTIVES["least-squares"]
    # Earlier fakes of each set, [pool, C, S, S], and their number.
    inputs_pool: Tensor
    images_pool: Tensor
    inputs_kept: Tensor
    images_kept: Tensor

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        inputs, side = cast(int, data.input_channels), cast(int, data.input_resolution)
        check_divisible("CycleGAN's generator", side, 4, setting="number of pixels")
        if side != data.resolution:
            raise UsageError(
                f"cyclegan translates images to images of equal size, but these have {side} and {data.resolution} "
                "pixels per side; choose sets of one size."
            )
        shape = {"width": settings.width, "blocks": settings.blocks}
        self.forth = ResidualTranslator(inputs, data.channels, **shape, norm=settings.norm)
        self.back = ResidualTranslator(data.channels, inputs, **shape, norm=settings.norm)
        patches = {"width": settings.critic_width, "layers": settings.patch}
        self.of_images = PatchDiscriminator(data.channels, **patches, norm=settings.critic_norm)
        self.of_inputs = PatchDiscriminator(inputs, **patches, norm=settings.critic_norm)
        for network in (self.forth, self.back, self.of_images, self.of_inputs):
            draw_normal(network)
        for name, channels in (("inputs", inputs), ("images", data.channels)):
            self.register_buffer(f"{name}_pool", torch.zeros(settings.pool, channels, side, side))
            self.register_buffer(f"{name}_kept", torch.zeros((), dtype=torch.int64))
        # The translations of the step's batch, kept from the generators' update for the discriminators' update.
        self._made: tuple[Tensor, Tensor, Tensor] | None = None

    @classmethod
    def data_for(cls, recipe: Recipe, classes: int | None = None) -> Data:
        """Inputs have `settings.input_channels` channels."""
        channels = cast(Settings, recipe.settings).input_channels
        return Data(
            recipe.channels, recipe.resolution, classes, input_channels=channels, input_resolution=recipe.resolution
        )

    def players(self) -> Sequence[Player]:
        """Both generators, then both discriminators."""
        rates = self.recipe.optimizers
        generators = (*self.forth.parameters(), *self.back.parameters())
        discriminators = (*self.of_images.parameters(), *self.of_inputs.parameters())
        return (
            Player("generators", generators, rates["generators"], self.loss_generators),
            Player("discriminators", discriminators, rates["discriminators"], self.loss_discriminators),
        )

    def begin(self, step: int) -> None:  # noqa: ARG002
        """Forget the translations of the previous step."""
        self._made = None

    def translate(self, inputs: Tensor, *, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """float32 [N, C', S, S] => float32 [N, C, S, S], in the second set."""
        images: Tensor = self.forth(inputs)
        return images

    def loss_generators(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """Both adversarial losses, both cycle losses, and the identity losses."""
        settings = self.settings
        images, inputs = self.forth(batch.inputs), self.back(batch.images)
        self._made = batch.inputs, images.detach(), inputs.detach()
        cycle = (self.back(images) - batch.inputs).abs().mean() + (self.forth(inputs) - batch.images).abs().mean()
        loss, logs = settings.cycle * cycle, {"cycle": cycle}
        if settings.adversarial:
            fooled = self.objective.generator(self.of_images(images)) + self.objective.generator(self.of_inputs(inputs))
            # Zhu's losses have no factor of a half.
            loss = loss + settings.adversarial * 2 * fooled
        if settings.identity and batch.inputs.shape[1] == batch.images.shape[1]:
            same = (self.forth(batch.images) - batch.images).abs().mean()
            same = same + (self.back(batch.inputs) - batch.inputs).abs().mean()
            loss = loss + settings.identity * settings.cycle * same
            logs["identity"] = same
        return loss, dict(logs)

    def loss_discriminators(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Half the least squares of each discriminator, on its images and on translations from its pool."""
        images, inputs = self._translations(batch)
        images = replayed(images, self.images_pool, self.images_kept, rng)
        inputs = replayed(inputs, self.inputs_pool, self.inputs_kept, rng)
        real, fake = self.of_images(batch.images), self.of_images(images)
        loss = self.objective.discriminator(real, fake)
        loss = loss + self.objective.discriminator(self.of_inputs(batch.inputs), self.of_inputs(inputs))
        return loss, logit_logs(real.mean((1, 2, 3)), fake.mean((1, 2, 3)))

    def _translations(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """The batch translated in both directions, from the generators' update or computed again for another batch."""
        if self._made is not None and torch.equal(self._made[0], batch.inputs):
            return self._made[1:]
        with torch.no_grad():
            return self.forth(batch.inputs), self.back(batch.images)


def replayed(fakes: Tensor, pool: Tensor, kept: Tensor, rng: torch.Generator) -> Tensor:
    """Fakes for a discriminator, [N, ...]: each is new or, with probability 1/2, replaced by an earlier one from the
    pool, whose place the new one takes.

    While the pool fills, all are new. pool, kept: earlier fakes and their number, both changed in place.
    """
    chosen = []
    for fake in everyones(fakes.detach().float()):
        count, place = int(kept), int(torch.randint(len(pool), (), generator=rng, device=rng.device))
        swaps = bool(torch.rand((), generator=rng, device=rng.device) < 0.5)
        if count < len(pool):
            pool[count] = fake
            kept += 1
            chosen.append(fake)
        elif swaps:
            chosen.append(pool[place].clone())
            pool[place] = fake
        else:
            chosen.append(fake)
    return own_rows(torch.stack(chosen))
