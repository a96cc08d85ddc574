"""Improved training of Wasserstein GANs (Gulrajani et al. 2017): the CIFAR-10 network, without labels."""

from dataclasses import dataclass, field
from typing import Literal

from reference_models.models.collection_recipes import collection
from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Linear, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """generator_width, critic_width: of every layer. penalty: its weight in the critic's loss.

    critic_updates: per step. generator_batch: images in the generator's update, in batches of the critic's.
    pooling: of the critic's features over places. noise: upper bound of the uniform noise added to the reals.
    """

    generator_width: int = 128
    critic_width: int = 128
    penalty: float = field(default=10.0, metadata=MAY_BE_ZERO)
    critic_updates: int = 5
    generator_batch: int = 2
    pooling: Literal["mean", "sum"] = "mean"
    noise: float = field(default=0.0, metadata=MAY_BE_ZERO)


_ADAM = Adam(Linear(2e-4, 0.0), (0.0, 0.9))
_QUICK_ADAM = Adam(Linear(3e-3, 0.0), (0.0, 0.9))

PAPER = Recipe(
    variant="wgan-gp",
    preset="paper",
    follows="Gulrajani et al. 2017, gan_cifar_resnet.py of the authors' code without labels (igul222)",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(128),
    batch=64,
    steps=100_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(noise=1 / 128),
    differs="pixels are divided by 255, in the authors' code by 256",
    targets=(
        Target(
            metric="is",
            value=7.86,
            data="cifar10:train",
            protocol="tensorflow",
            source="Gulrajani et al. 2017, table 3, unsupervised",
            fake=50_000,
            recalled=True,
        ),
    ),
)

COLLECTION = collection(
    "wgan-gp",
    "wgangp.py (ResNet)",
    scores=(16.95, 7.95),
    latent=128,
    batch=64,
    betas=(0.0, 0.9),
    settings=Settings(generator_width=256, pooling="sum"),
)
COLLECTION_CNN = collection(
    "wgan-gp",
    "wgangp.py (CNN)",
    scores=(19.83, 7.66),
    latent=100,
    batch=128,
    betas=(0.0, 0.9),
    settings=Settings(generator_width=64, critic_width=64, critic_updates=1),
    network="collection",
    cnn=True,
)

QUICK = Recipe(
    variant="wgan-gp",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(128),
    batch=16,
    steps=360,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    settings=Settings(generator_width=64, critic_width=16, critic_updates=2, generator_batch=1),
    ema=0.95,
)

VARIANT = Variant(
    name="wgan-gp",
    title="Wasserstein GAN with gradient penalty",
    paper="Gulrajani et al. 2017, arXiv:1704.00028",
    task="images",
    model="reference_models.models.wgan_gp:WGANGP",
    recipes={recipe.preset: recipe for recipe in (PAPER, COLLECTION, COLLECTION_CNN, QUICK)},
    parameters={"discriminator": 1_053_825, "generator": 1_204_483},
    networks=("paper", "collection"),
)
