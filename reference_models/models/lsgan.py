"""Least squares GANs (Mao et al. 2017): the discriminator regresses to 1 and 0, the generator to 1.

The paper has several networks for its several data sets; this is DCGAN's, with which the
scores that are usually quoted for LSGAN on faces were measured.
"""

from typing import cast

from reference_models.batches import Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import check_resolution, conv_discriminator, conv_generator, draw_normal
from reference_models.models.lsgan_recipes import Settings
from reference_models.recipes import Recipe


class LSGAN(GeneratorDiscriminatorGAN):
    """DCGAN's network with the least squares loss; the discriminator's output is a number, not a logit.

    (D(x) - 1)^2 / 2 + D(G(z))^2 / 2, and (D(G(z)) - 1)^2 / 2.
    """

    objective = OBJECTIVES["least-squares"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("LSGAN's network", data.resolution)
        width = cast(Settings, recipe.settings).width
        self.generator = conv_generator(recipe.latent.size, data.channels, data.resolution, width=width, kernel=5)
        self.discriminator = conv_discriminator(data.channels, data.resolution, width=width, kernel=5)
        draw_normal(self)
