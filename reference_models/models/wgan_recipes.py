"""Wasserstein GAN (Arjovsky, Chintala, Bottou 2017), with the settings of the authors and the collection."""

from dataclasses import dataclass, field

from reference_models.models.collection_recipes import collection
from reference_models.recipes import MAY_BE_ZERO, Latent, Recipe, RMSprop, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width: of the generator's last hidden layer and the critic's first. clip: bound of the critic's weights.

    critic_updates: per step; thorough_updates: in each of the first `warmup` steps, and in every `refresh`-th.
    generator_batch: images in the generator's update, in batches of the critic's.
    """

    width: int = 64
    clip: float = 0.01
    critic_updates: int = 5
    thorough_updates: int = 100
    warmup: int = field(default=25, metadata=MAY_BE_ZERO)
    refresh: int = 500
    generator_batch: int = 1


PAPER = Recipe(
    variant="wgan",
    preset="paper",
    follows="Arjovsky et al. 2017, and main.py of the authors' code (martinarjovsky/WassersteinGAN)",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(100),
    batch=64,
    steps=100_000,
    optimizers={"discriminator": RMSprop(5e-5), "generator": RMSprop(5e-5)},
    settings=Settings(),
    differs="CIFAR-10 at 32 x 32 and 100,000 steps are our choice: the paper uses bedrooms at 64 x 64, and reports no "
    "score; weights are clipped after each update of the critic, as in the paper; the code clips before it",
)

COLLECTION = collection(
    "wgan",
    "wgan.py",
    scores=(40.03, 6.62),
    latent=100,
    batch=128,
    betas=(0.0, 0.9),
    settings=Settings(clip=0.1, critic_updates=1, thorough_updates=1, warmup=0, generator_batch=2),
    network="collection",
)

QUICK = Recipe(
    variant="wgan",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(100),
    batch=16,
    steps=1300,
    optimizers={"discriminator": RMSprop(5e-4), "generator": RMSprop(5e-4)},
    settings=Settings(width=32, clip=0.05, critic_updates=3, thorough_updates=10),
    ema=0.98,
)

VARIANT = Variant(
    name="wgan",
    title="Wasserstein GAN",
    paper="Arjovsky et al. 2017, arXiv:1701.07875",
    task="images",
    model="reference_models.models.wgan:WGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, COLLECTION, QUICK)},
    parameters={"discriminator": 663_296, "generator": 1_068_928},
    networks=("paper", "collection"),
)
