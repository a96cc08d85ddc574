"""Spectral normalization for GANs (Miyato et al. 2018): every layer of the discriminator has spectral norm 1.

The CIFAR-10 network: residual blocks, 256 wide in the generator and 128 in the discriminator, whose features are summed
over places; the hinge loss; five updates of the discriminator per step. The second network is the plain one of
pytorch-gan-collections.
"""

from typing import cast

from reference_models.batches import Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.collection import plain_discriminator, plain_generator
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import ResidualCritic, ResidualGenerator, check_resolution, normalise_spectra
from reference_models.models.sngan_recipes import Settings
from reference_models.recipes import Recipe


class SNGAN(GeneratorDiscriminatorGAN):
    """The residual network, or a plain one, with the hinge loss; its discriminator is spectrally normalised.

    max(0, 1 - D(x)) + max(0, 1 + D(G(z))), and -D(G(z)).
    """

    objective = OBJECTIVES["hinge"]
    together = True

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        self.generator_batch, self.noise = settings.generator_batch, settings.noise
        generator_width, discriminator_width, latent = (
            settings.generator_width,
            settings.discriminator_width,
            recipe.latent.size,
        )
        if recipe.network == "collection":
            self.generator = plain_generator(latent, data.channels, data.resolution, width=generator_width)
            self.discriminator = plain_discriminator(data.channels, data.resolution, width=discriminator_width)
            normalise_spectra(self.discriminator)
            return
        check_resolution("SNGAN's network", data.resolution)
        self.generator = ResidualGenerator(latent, data.channels, data.resolution, width=generator_width)
        self.discriminator = ResidualCritic(
            data.channels, data.resolution, width=discriminator_width, total=True, spectral=True
        )

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """Five in the paper."""
        return self.settings.discriminator_updates
