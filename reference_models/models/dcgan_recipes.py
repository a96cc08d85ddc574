"""Unsupervised representation learning with deep convolutional GANs (Radford, Metz, Chintala 2015)."""

from dataclasses import dataclass

from reference_models.models.collection_recipes import collection
from reference_models.recipes import Adam, Latent, Recipe, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width: of the generator's last hidden layer and the discriminator's first.

    generator_batch: images in the generator's update, in batches of the discriminator's.
    """

    width: int = 128
    generator_batch: int = 1


_ADAM = Adam(2e-4, (0.5, 0.999), weight_decay=1e-5)
# With so few images, a discriminator with the generator's rate soon memorises them.
_QUICK_DISCRIMINATOR = Adam(3e-4, (0.5, 0.999))
_QUICK_GENERATOR = Adam(1e-3, (0.5, 0.999))

PAPER = Recipe(
    variant="dcgan",
    preset="paper",
    follows="Radford et al. 2015, and the authors' code for faces (Newmu/dcgan_code)",
    data="celeba:train",
    resolution=64,
    channels=3,
    latent=Latent(100, "uniform"),
    batch=128,
    steps=25 * 2734 // 2,  # 25 epochs of 350,000 faces; every other batch updates the generator
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    differs="the authors' faces are not public; their code normalises the projection of z unit by unit; the epsilon of "
    "normalisation is 1e-5, theirs is 1e-8",
)

COLLECTION = collection(
    "dcgan",
    "dcgan.py",
    scores=(42.72, 6.01),
    latent=100,
    batch=128,
    betas=(0.5, 0.9),
    settings=Settings(generator_batch=2),
    network="collection",
)

QUICK = Recipe(
    variant="dcgan",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=32,
    channels=1,
    latent=Latent(100, "uniform"),
    batch=32,
    steps=300,
    optimizers={"discriminator": _QUICK_DISCRIMINATOR, "generator": _QUICK_GENERATOR},
    settings=Settings(width=16),
    ema=0.98,
)

VARIANT = Variant(
    name="dcgan",
    title="Deep convolutional GAN",
    paper="Radford et al. 2015, arXiv:1511.06434",
    task="images",
    model="reference_models.models.dcgan:DCGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, COLLECTION, QUICK)},
    parameters={"discriminator": 17_232_768, "generator": 18_855_040},
    networks=("paper", "upsample", "collection"),
)
