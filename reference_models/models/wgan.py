"""Wasserstein GAN (Arjovsky, Chintala, Bottou 2017): a critic with clipped weights, trained close to optimality.

The network is DCGAN's as the authors used it: 4 x 4 convolutions, 64 channels, batch normalisation in both. The critic
is updated five times per step, a hundred times in each of the first 25 steps and in every 500th. The optimizer is
RMSprop, because momentum makes training unstable here. Weights are clipped after each update of the critic, as in the
paper's algorithm 1; the authors' code clips before it.

The second network is the plain one of pytorch-gan-collections, whose critic has no normalisation.
"""

from typing import cast

from reference_models.base import Logs, Player
from reference_models.batches import Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.collection import plain_discriminator, plain_generator
from reference_models.blocks.losses import OBJECTIVES, clip_
from reference_models.blocks.networks import check_resolution, conv_discriminator, conv_generator, draw_normal
from reference_models.models.wgan_recipes import Settings
from reference_models.recipes import Recipe


class WGAN(GeneratorDiscriminatorGAN):
    """DCGAN's network with the Wasserstein loss; every parameter of the critic is clipped.

    f(G(z)) - f(x), and -f(G(z)).
    """

    objective = OBJECTIVES["wasserstein"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.settings = cast(Settings, recipe.settings)
        width, self.generator_batch = self.settings.width, self.settings.generator_batch
        if recipe.network == "collection":
            self.generator = plain_generator(recipe.latent.size, data.channels, data.resolution, width=width)
            self.discriminator = plain_discriminator(data.channels, data.resolution, width=width)
            return
        check_resolution("WGAN's network", data.resolution)
        self.generator = conv_generator(recipe.latent.size, data.channels, data.resolution, width=width, kernel=4)
        self.discriminator = conv_discriminator(data.channels, data.resolution, width=width, kernel=4)
        draw_normal(self)

    def discriminator_updates(self, step: int) -> int:
        """Updates of the critic at a step, counted from 0."""
        settings = self.settings
        thorough = step < settings.warmup or step % settings.refresh == 0
        return settings.thorough_updates if thorough else settings.critic_updates

    def after(self, player: Player, logs: Logs) -> Logs:  # noqa: ARG002
        """Clip every parameter of the critic."""
        if player.name == "discriminator":
            clip_(player.parameters, self.settings.clip)
        return {}
