"""Spectral normalization for generative adversarial networks (Miyato et al. 2018): the CIFAR-10 residual network."""

from dataclasses import dataclass, field

from reference_models.models.collection_recipes import collection
from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Linear, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """generator_width, discriminator_width: of every layer. discriminator_updates: per step.

    generator_batch: images in the generator's update, in batches of the discriminator's.
    noise: upper bound of the uniform noise that is added to the reals.
    """

    generator_width: int = 256
    discriminator_width: int = 128
    discriminator_updates: int = 5
    generator_batch: int = 2
    noise: float = field(default=0.0, metadata=MAY_BE_ZERO)


_TABLE = "Miyato et al. 2018, table 2"
_ADAM = Adam(Linear(2e-4, 0.0), (0.0, 0.9))
_QUICK_ADAM = Adam(Linear(3e-3, 0.0), (0.0, 0.9))

PAPER = Recipe(
    variant="sngan",
    preset="paper",
    follows="Miyato et al. 2018, and sn_cifar10_unconditional.yml of the authors' code (sngan_projection)",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(128),
    batch=64,
    steps=50_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    differs=(
        "in a step the generator is updated after the discriminator, whereas the code updates it before; reals and "
        "fakes pass the discriminator as one batch, with one power iteration for both; normalisation has an epsilon "
        "of 1e-5, Chainer's is 2e-5"
    ),
    targets=(
        Target(
            metric="fid",
            value=21.7,
            data="cifar10:test",
            protocol="tensorflow",
            source=_TABLE,
            real=10_000,
            fake=5_000,
            recalled=True,
        ),
        Target(
            metric="is",
            value=8.22,
            data="cifar10:train",
            protocol="tensorflow",
            source=_TABLE,
            fake=5_000,
            recalled=True,
        ),
    ),
)

COLLECTION = collection(
    "sngan",
    "sngan.py (ResNet)",
    scores=(14.32, 8.31),
    latent=128,
    batch=64,
    betas=(0.0, 0.9),
    settings=Settings(noise=1 / 128),
    flips=False,
)
COLLECTION_CNN = collection(
    "sngan",
    "sngan.py (CNN)",
    scores=(17.81, 7.84),
    latent=100,
    batch=128,
    betas=(0.0, 0.9),
    settings=Settings(generator_width=64, discriminator_width=64, discriminator_updates=1, noise=1 / 128),
    network="collection",
    cnn=True,
    flips=False,
)

QUICK = Recipe(
    variant="sngan",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(128),
    batch=16,
    steps=420,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    settings=Settings(generator_width=64, discriminator_width=16, discriminator_updates=2, generator_batch=1),
    ema=0.95,
)

VARIANT = Variant(
    name="sngan",
    title="GAN with spectral normalization",
    paper="Miyato et al. 2018, arXiv:1802.05957",
    task="images",
    model="reference_models.models.sngan:SNGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, COLLECTION, COLLECTION_CNN, QUICK)},
    parameters={"discriminator": 1_053_824, "generator": 4_276_739},
    networks=("paper", "collection"),
)
