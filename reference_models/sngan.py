"""Spectral normalization for GANs (Miyato et al. 2018): every layer of the discriminator has spectral norm 1.

The CIFAR-10 network: residual blocks, 256 wide in the generator and 128 in the discriminator, whose features are summed
over places; the hinge loss; five updates of the discriminator a step.
"""

from typing import cast

from reference_models.base import Data
from reference_models.losses import OBJECTIVES
from reference_models.networks import ResidualCritic, ResidualGenerator, check_resolution
from reference_models.pair import Pair
from reference_models.presets.sngan import Settings
from reference_models.recipes import Recipe


class SNGAN(Pair):
    """The residual network under the hinge loss, its discriminator spectrally normalised.

    max(0, 1 - D(x)) + max(0, 1 + D(G(z))), and -D(G(z)).
    """

    objective = OBJECTIVES["hinge"]
    together = True

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("SNGAN's network", data.resolution)
        self.settings = cast(Settings, recipe.settings)
        self.generator_batch = self.settings.generator_batch
        maker, judge = self.settings.generator_width, self.settings.discriminator_width
        self.generator = ResidualGenerator(recipe.latent.size, data.channels, data.resolution, width=maker)
        self.discriminator = ResidualCritic(data.channels, data.resolution, width=judge, total=True, spectral=True)

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """Five in the paper."""
        return self.settings.discriminator_updates
