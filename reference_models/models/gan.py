"""Generative Adversarial Nets (Goodfellow et al. 2014): two multilayer perceptrons, one of them with maxout units.

The generator is 100-1200-1200-pixels, ReLU, with sigmoid pixels in [0, 1]. The discriminator has two maxout layers of
240 units with 5 pieces each, and drops a fifth of the pixels and half of the units. Weights are uniform in [-0.05,
0.05] and in [-0.005, 0.005]. The discriminator minimises half of -log D(x) - log(1 - D(G(z))), as in the authors' code,
so that it does not outpace the generator, which minimises -log D(G(z)), or log(1 - D(G(z))) as in the paper's equation.
The authors' code also initialises the generator's last biases at the logits of the mean image; here they are 0.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ganeval.ranges import ValueRange
from reference_models.base import Logs
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import Maxout, draw_uniform
from reference_models.models.gan_recipes import Settings
from reference_models.recipes import Recipe


class MaxoutGAN(GeneratorDiscriminatorGAN):
    """The paper's GAN, for images of any size and number of channels, as vectors of pixels."""

    value_range: ClassVar[ValueRange] = "[0,1]"

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = cast(Settings, recipe.settings)
        self.objective = OBJECTIVES[settings.loss]
        pixels, shape = data.channels * data.resolution**2, (data.channels, data.resolution, data.resolution)
        self.generator = nn.Sequential(
            *(nn.Linear(recipe.latent.size, settings.hidden), nn.ReLU()),
            *(nn.Linear(settings.hidden, settings.hidden), nn.ReLU()),
            *(nn.Linear(settings.hidden, pixels), nn.Sigmoid(), nn.Unflatten(1, shape)),
        )
        self.discriminator = nn.Sequential(
            *(nn.Flatten(), nn.Dropout(0.2), Maxout(pixels, 240, 5)),
            *(nn.Dropout(0.5), Maxout(240, 240, 5)),
            *(nn.Dropout(0.5), nn.Linear(240, 1), nn.Flatten(0)),
        )
        draw_uniform(self.generator, 0.05)
        draw_uniform(self.discriminator, 0.005)

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Half of -log D(x) - log(1 - D(G(z)))."""
        loss, logs = super().loss_discriminator(batch, rng)
        return loss / 2, logs
