"""Wasserstein GAN (Arjovsky, Chintala, Bottou 2017), with the settings of the authors' code."""

from dataclasses import dataclass, field

from reference_models.recipes import MAY_BE_ZERO, Latent, Recipe, RMSprop, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width: of the generator's last hidden layer and the critic's first. clip: the reach of the critic's weights.

    critic_updates: a step; thorough_updates: in each of the first `warmup` steps, and in every `refresh`-th.
    """

    width: int = 64
    clip: float = 0.01
    critic_updates: int = 5
    thorough_updates: int = 100
    warmup: int = field(default=25, metadata=MAY_BE_ZERO)
    refresh: int = 500


_COLLECTION = "pytorch-gan-collections, its WGAN"

PAPER = Recipe(
    variant="wgan",
    preset="paper",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(100),
    batch=64,
    steps=100_000,
    optimizers={"discriminator": RMSprop(5e-5), "generator": RMSprop(5e-5)},
    settings=Settings(),
    targets=(
        Target(metric="fid", value=40.0, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
        Target(metric="is", value=6.62, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
    ),
)

SMOKE = Recipe(
    variant="wgan",
    preset="smoke",
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
    model="reference_models.wgan:WGAN",
    recipes={"paper": PAPER, "smoke": SMOKE},
    parameters={"discriminator": 663_296, "generator": 1_068_928},
)
