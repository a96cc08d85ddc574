"""Boundary-seeking GANs (Hjelm et al. 2018), the discrete one: binary images, and no gradient through them."""

from dataclasses import dataclass
from typing import Literal

from reference_models.recipes import Adam, Latent, Recipe, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """Networks: width of the narrower convolutions; units of the dense layers.

    samples: images drawn per latent. weights: "uniform" removes the importance weights, and so all influence of the
    discriminator.
    """

    width: int = 64
    units: int = 1024
    samples: int = 20
    weights: Literal["importance", "uniform"] = "importance"


_ADAM = Adam(1e-4, (0.5, 0.999))
_QUICK_DISCRIMINATOR = Adam(1e-3, (0.5, 0.999))
_QUICK_GENERATOR = Adam(3e-3, (0.5, 0.999))

PAPER = Recipe(
    variant="bgan",
    preset="paper",
    follows="Hjelm et al. 2018, main_discrete.py of the authors' code (rdevon/BGAN) for MNIST",
    data="binarised:mnist:train",
    resolution=28,
    channels=1,
    latent=Latent(64, "uniform", bounds=(0.0, 1.0)),
    batch=64,
    steps=100 * 781,  # 100 epochs of 50,000 images
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    differs="pixels are 1 from half of the range on; in the authors' file of 50,000 images each pixel was drawn once, "
    "with its grey value as the probability (Salakhutdinov and Murray 2008)",
)

QUICK = Recipe(
    variant="bgan",
    preset="quick",
    follows="the paper's losses and networks, at sizes and rates that learn digits in seconds",
    data="binarised:digits:train",
    resolution=8,
    channels=1,
    latent=Latent(32, "uniform", bounds=(0.0, 1.0)),
    batch=32,
    steps=600,
    optimizers={"discriminator": _QUICK_DISCRIMINATOR, "generator": _QUICK_GENERATOR},
    settings=Settings(width=16, units=128),
    ema=0.98,
)

VARIANT = Variant(
    name="bgan",
    title="Boundary-seeking GAN",
    paper="Hjelm et al. 2018, arXiv:1702.08431",
    task="images",
    model="reference_models.models.bgan:BGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, QUICK)},
    parameters={"discriminator": 6_631_169, "generator": 6_709_185},
)
