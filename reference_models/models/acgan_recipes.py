"""Conditional image synthesis with auxiliary classifier GANs (Odena, Olah, Shlens 2017), on CIFAR-10."""

from dataclasses import dataclass

from reference_models.recipes import Adam, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """generator_width: of its first layer. discriminator_width: of its first layer."""

    generator_width: int = 384
    discriminator_width: int = 16


_ADAM = Adam(2e-4, (0.5, 0.999))
_QUICK_ADAM = Adam(1e-3, (0.5, 0.999))

PAPER = Recipe(
    variant="acgan",
    preset="paper",
    follows="Odena et al. 2017, its table of CIFAR-10 settings, as remembered",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(100),
    batch=100,
    steps=50_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    differs="the paper searched three rates and three levels of activation noise; this is one rate and no noise",
    targets=(
        Target(
            metric="is",
            value=8.25,
            data="cifar10:train",
            protocol="tensorflow",
            source="Odena et al. 2017, section 4.4",
            fake=50_000,
            standing="searched",
        ),
    ),
)

QUICK = Recipe(
    variant="acgan",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(100),
    batch=32,
    steps=240,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    settings=Settings(generator_width=64, discriminator_width=8),
    ema=0.98,
)

VARIANT = Variant(
    name="acgan",
    title="GAN with an auxiliary classifier",
    paper="Odena et al. 2017, arXiv:1610.09585",
    task="images of a class",
    model="reference_models.models.acgan:ACGAN",
    recipes={"paper": PAPER, "quick": QUICK},
    parameters={"discriminator": 1_664_875, "generator": 2_993_760},
)
