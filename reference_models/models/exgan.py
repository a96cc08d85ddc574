"""Exemplar GANs (Dolhansky and Canton Ferrer 2018): a hole is filled using another image of the same identity.

Generator and discriminators see the exemplar as further channels of their input. One discriminator judges the whole
image, and one the hole.
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
from reference_models.models.exgan_recipes import Settings
from reference_models.recipes import Recipe


class ExGAN(Translator):
    """The generator, and the discriminators of whole images and of holes."""

    objective = OBJECTIVES["non-saturating"]
    exemplars = True

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        check_resolution("exgan", data.resolution)
        if (data.input_channels, data.input_resolution) != (2 * data.channels, data.resolution):
            raise UsageError(
                f"exgan's inputs are images with a hole and their exemplars, which have {2 * data.channels} channels "
                f"and {data.resolution} pixels per side for these targets, but these have {data.input_channels} and "
                f"{data.input_resolution}; give hole:SOURCE, with a class for each identity."
            )
        channels, side = data.channels, data.resolution
        self.hole = Hole(side, side // 2)
        self.generator = EncoderDecoder(
            2 * channels, channels, side, width=settings.width, bottleneck=settings.bottleneck
        )
        self.of_images, self.of_holes = (
            conv_discriminator(2 * channels, one, width=settings.critic_width, kernel=KERNEL)
            for one in (side, side // 2)
        )
        for network in (self.generator, self.of_images, self.of_holes):
            draw_normal(network)

    @classmethod
    def data_for(cls, recipe: Recipe, classes: int | None = None) -> Data:
        """Inputs have the channels of an image with a hole, and those of its exemplar."""
        side, channels = recipe.resolution, recipe.channels
        return Data(channels, side, classes, input_channels=2 * channels, input_resolution=side)

    @classmethod
    def given(cls, pairs: Mapping[str, Tensor], recipe: Recipe) -> Tensor:
        """Inputs with their exemplars as further channels.

        The exemplar of an image is the next image of its class, and that of the last one the first.
        UsageError unless the inputs have the hole, and every class two images or more.
        """
        inputs, images, labels = pairs["inputs"], pairs["images"], pairs.get("labels")
        hole = Hole(recipe.resolution, recipe.resolution // 2)
        check_hole(recipe.variant, hole, inputs, images, remedy="--resolution")
        if labels is None:
            raise UsageError(
                "exgan needs an exemplar of the same identity for each image, and these images have no classes; give a "
                "folder with a subfolder for each identity, or hole:identities:train."
            )
        return torch.cat([inputs, images[partners(labels)]], 1)

    def players(self) -> Sequence[Player]:
        """Both discriminators as one player, then the generator."""
        rates = self.recipe.optimizers
        discriminator = (*self.of_images.parameters(), *self.of_holes.parameters())
        return (
            Player("discriminator", discriminator, rates["discriminator"], self.loss_discriminator),
            Player("generator", tuple(self.generator.parameters()), rates["generator"], self.loss_generator),
        )

    def translate(self, inputs: Tensor, *, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Images with a hole and their exemplars, [N, 2C, S, S] => images with the hole filled in, [N, C, S, S]."""
        return self.hole.filled(inputs.chunk(2, 1)[0], self.predicted(inputs))

    def predicted(self, inputs: Tensor) -> Tensor:
        """The predicted content of the hole, [N, C, S/2, S/2]; the input's content there is not used."""
        images, exemplars = self._parted(inputs)
        found: Tensor = self.generator(torch.cat([self.hole.blanked(images), exemplars], 1))
        return found

    def judged(self, patch: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of images with this content of the hole, and of the content, each with the exemplar: [N], [N]."""
        images, exemplars = self._parted(inputs)
        whole = self.of_images(torch.cat([self.hole.filled(images, patch), exemplars], 1))
        return whole, self.of_holes(torch.cat([patch, self.hole.of(exemplars)], 1))

    def loss_discriminator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """Cross-entropy of true and of filled images, and of their holes."""
        with torch.no_grad():
            made = self.predicted(batch.inputs)
        reals, fakes = self.judged(self.hole.of(batch.images), batch.inputs), self.judged(made, batch.inputs)
        loss = torch.stack([self.objective.discriminator(*pair) for pair in zip(reals, fakes, strict=True)]).sum()
        return loss, logit_logs(reals[0], fakes[0])

    def loss_generator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """The weighted L1 distance in the hole, and the weighted losses of both discriminators."""
        made = self.predicted(batch.inputs)
        apart = (made - self.hole.of(batch.images)).abs().mean((1, 2, 3))
        loss = self.settings.l1 * apart.mean()
        if self.settings.adversarial:
            judgements = torch.stack([self.objective.generator(logits) for logits in self.judged(made, batch.inputs)])
            loss = loss + self.settings.adversarial * judgements.sum()
        return loss, {"l1": apart}

    def _parted(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Images and exemplars; without `sees_exemplar` the image with its hole replaces the exemplar."""
        images, exemplars = inputs.chunk(2, 1)
        return images, exemplars if self.settings.sees_exemplar else self.hole.blanked(images)


def partners(labels: Tensor) -> Tensor:
    """The row of each image's exemplar: the next of its class, and the first for the last. int64 [N] => int64 [N].

    Raises UsageError for a class of one image.
    """
    counts = labels.bincount()
    if bool((counts == 1).any()):
        raise UsageError(
            f"exgan takes another image of the same class as an exemplar, and {int((counts == 1).sum())} of "
            f"{int((counts > 0).sum())} classes have only one image; leave these out."
        )
    rows = labels.argsort(stable=True)
    ends = counts[counts > 0].cumsum(0)
    following = rows.roll(-1)
    following[ends - 1] = rows[torch.cat([ends.new_zeros(1), ends[:-1]])]
    found = torch.empty_like(rows)
    found[rows] = following
    return found
