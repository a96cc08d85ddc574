"""Improved training of Wasserstein GANs (Gulrajani et al. 2017): the CIFAR-10 network, without labels."""

from dataclasses import dataclass, field

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Linear, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """generator_width, critic_width: of every layer. penalty: its weight in the critic's loss.

    critic_updates: a step. generator_batch: images the generator learns from, in batches of the critic's.
    """

    generator_width: int = 128
    critic_width: int = 128
    penalty: float = field(default=10.0, metadata=MAY_BE_ZERO)
    critic_updates: int = 5
    generator_batch: int = 2


_COLLECTION = "pytorch-gan-collections, its WGAN-GP (residual)"
_ADAM = Adam(Linear(2e-4, 0.0), (0.0, 0.9))
_SMOKE_ADAM = Adam(Linear(3e-3, 0.0), (0.0, 0.9))

PAPER = Recipe(
    variant="wgan-gp",
    preset="paper",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(128),
    batch=64,
    steps=100_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    targets=(
        Target(metric="fid", value=17.0, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
        Target(metric="is", value=7.95, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
    ),
)

SMOKE = Recipe(
    variant="wgan-gp",
    preset="smoke",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(128),
    batch=16,
    steps=360,
    optimizers={"discriminator": _SMOKE_ADAM, "generator": _SMOKE_ADAM},
    settings=Settings(generator_width=64, critic_width=16, critic_updates=2, generator_batch=1),
    ema=0.95,
)

VARIANT = Variant(
    name="wgan-gp",
    title="Wasserstein GAN with gradient penalty",
    paper="Gulrajani et al. 2017, arXiv:1704.00028",
    task="images",
    model="reference_models.wgan_gp:WGANGP",
    recipes={"paper": PAPER, "smoke": SMOKE},
    parameters={"discriminator": 1_053_825, "generator": 1_204_483},
)
