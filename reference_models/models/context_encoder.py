"""Context encoders (Pathak et al. 2016): the missing middle of an image is predicted from its surroundings.

The prediction is the middle square of half the side. A band along its edge is also visible in the input; errors there
weigh more, so that the prediction continues its surroundings. The discriminator sees only the square.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from ganeval.errors import UsageError
from reference_models.base import Logs, Player, Translator
from reference_models.batches import Data, PairBatch
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.inpainting import KERNEL, EncoderDecoder, Hole, check_hole
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import check_resolution, conv_discriminator, draw_normal
from reference_models.models.context_encoder_recipes import Settings
from reference_models.recipes import Recipe


class ContextEncoder(Translator):
    """Encoder and decoder, and the discriminator of the middle."""

    objective = OBJECTIVES["non-saturating"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        check_resolution("The context encoder", data.resolution)
        self.middle, self.hole = _squares(settings, data.resolution)
        if (data.input_channels, data.input_resolution) != (data.channels, data.resolution):
            raise UsageError(
                f"context-encoder's inputs are its targets with a hole, and these have {data.input_channels} channels "
                f"and {data.input_resolution} pixels per side, and targets {data.channels} and {data.resolution}; give "
                f"hole:SOURCE,{self.hole.pixels}."
            )
        if settings.reconstruction > 1:
            raise UsageError(f"reconstruction is {settings.reconstruction:g}; it is a weight from 0 to 1.")
        self.generator = EncoderDecoder(
            data.channels, data.channels, data.resolution, width=settings.width, bottleneck=settings.bottleneck
        )
        self.discriminator = conv_discriminator(
            data.channels, self.middle.pixels, width=settings.critic_width, kernel=KERNEL
        )
        for network in (self.generator, self.discriminator):
            draw_normal(network)
        # The weight of each middle pixel's squared error.
        weights = torch.full((self.middle.pixels, self.middle.pixels), settings.band)
        weights[Hole(self.middle.pixels, self.hole.pixels).place] = 1.0
        self.weights: Tensor
        self.register_buffer("weights", weights, persistent=False)

    @classmethod
    def given(cls, pairs: Mapping[str, Tensor], recipe: Recipe) -> Tensor:
        """The inputs; UsageError unless they have the hole that the settings describe."""
        settings, inputs = cast(Settings, recipe.settings), pairs["inputs"]
        _, hole = _squares(settings, recipe.resolution)
        check_hole(recipe.variant, hole, inputs, pairs["images"], remedy="--resolution and settings.overlap (--set)")
        return inputs

    def players(self) -> Sequence[Player]:
        """The discriminator, then the generator."""
        rates = self.recipe.optimizers
        discriminator, generator = tuple(self.discriminator.parameters()), tuple(self.generator.parameters())
        return (
            Player("discriminator", discriminator, rates["discriminator"], self.loss_discriminator),
            Player("generator", generator, rates["generator"], self.loss_generator),
        )

    def translate(self, inputs: Tensor, *, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """The inputs with the hole filled in, float32 [N, C, S, S]; the rest is unchanged."""
        inner = Hole(self.middle.pixels, self.hole.pixels)
        return self.hole.filled(inputs, inner.of(self.predicted(inputs)))

    def predicted(self, inputs: Tensor) -> Tensor:
        """The middle, [N, C, S/2, S/2], predicted from outside the hole; the content of the hole is not used."""
        middle: Tensor = self.generator(self.hole.blanked(inputs))
        return middle

    def loss_discriminator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """Cross-entropy of true and predicted middles."""
        with torch.no_grad():
            made = self.predicted(batch.inputs)
        real, fake = self.discriminator(self.middle.of(batch.images)), self.discriminator(made)
        return self.objective.discriminator(real, fake), logit_logs(real, fake)

    def loss_generator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """The weighted squared error of the middle, and the weighted loss of the discriminator's judgement."""
        made, weight = self.predicted(batch.inputs), self.settings.reconstruction
        squares = (made - self.middle.of(batch.images)).square()
        loss = weight * (squares * self.weights).mean()
        if weight < 1:
            loss = loss + (1 - weight) * self.objective.generator(self.discriminator(made))
        return loss, {"mse": squares.mean((1, 2, 3))}


def _squares(settings: Settings, side: int) -> tuple[Hole, Hole]:
    """The predicted square, and the hole within it that the input does not show; UsageError if there is no hole."""
    middle, hole = side // 2, side // 2 - 2 * settings.overlap
    if hole < 1:
        raise UsageError(
            f"An overlap of {settings.overlap} pixels on each side leaves no hole in the middle square of {middle} "
            f"pixels; settings.overlap must be less than {middle // 2}."
        )
    return Hole(side, middle), Hole(side, hole)
