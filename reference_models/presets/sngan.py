"""Spectral normalization for generative adversarial networks (Miyato et al. 2018): the CIFAR-10 residual network."""

from dataclasses import dataclass

from reference_models.recipes import Adam, Latent, Linear, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """generator_width, discriminator_width: of every layer. discriminator_updates: a step.

    generator_batch: images the generator learns from, in batches of the discriminator's.
    """

    generator_width: int = 256
    discriminator_width: int = 128
    discriminator_updates: int = 5
    generator_batch: int = 2


_PAPER = "Miyato et al. 2018, table 2"
_COLLECTION = "pytorch-gan-collections, its SNGAN (residual)"
_ADAM = Adam(Linear(2e-4, 0.0), (0.0, 0.9))
_SMOKE_ADAM = Adam(Linear(3e-3, 0.0), (0.0, 0.9))

PAPER = Recipe(
    variant="sngan",
    preset="paper",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(128),
    batch=64,
    steps=50_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    targets=(
        Target(
            metric="fid", value=21.7, data="cifar10:test", protocol="tensorflow", source=_PAPER, real=10_000, fake=5_000
        ),
        Target(metric="is", value=8.22, data="cifar10:train", protocol="tensorflow", source=_PAPER, fake=5_000),
        Target(metric="fid", value=14.3, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
        Target(metric="is", value=8.31, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
    ),
)

SMOKE = Recipe(
    variant="sngan",
    preset="smoke",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(128),
    batch=16,
    steps=420,
    optimizers={"discriminator": _SMOKE_ADAM, "generator": _SMOKE_ADAM},
    settings=Settings(generator_width=64, discriminator_width=16, discriminator_updates=2, generator_batch=1),
    ema=0.95,
)

VARIANT = Variant(
    name="sngan",
    title="GAN with spectral normalization",
    paper="Miyato et al. 2018, arXiv:1802.05957",
    task="images",
    model="reference_models.sngan:SNGAN",
    recipes={"paper": PAPER, "smoke": SMOKE},
    parameters={"discriminator": 1_053_825, "generator": 4_276_739},
)
