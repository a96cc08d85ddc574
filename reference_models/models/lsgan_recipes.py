"""Least squares generative adversarial networks (Mao et al. 2017)."""

from dataclasses import dataclass

from reference_models.recipes import Adam, Latent, Recipe, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width: of the generator's last hidden layer and the discriminator's first."""

    width: int = 128


_PAPER_ADAM = Adam(1e-3, (0.5, 0.999))
_QUICK_ADAM = Adam(1e-3, (0.5, 0.999))

PAPER = Recipe(
    variant="lsgan",
    preset="paper",
    follows="Mao et al. 2017, equation 9, on DCGAN's network",
    data="celeba:train",
    resolution=64,
    channels=3,
    latent=Latent(100),
    batch=128,
    steps=12_000_000 // 128,
    optimizers={"discriminator": _PAPER_ADAM, "generator": _PAPER_ADAM},
    settings=Settings(),
    differs=(
        "the paper uses other networks, for scenes of 112 x 112, and reports no score; rate, batch and length are "
        "near those of mmgeneration's LSGAN of faces, whose network, momenta and FID of 11.9 are not this recipe's"
    ),
)

QUICK = Recipe(
    variant="lsgan",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(100),
    batch=32,
    steps=300,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    settings=Settings(width=16),
    ema=0.98,
)

VARIANT = Variant(
    name="lsgan",
    title="Least squares GAN",
    paper="Mao et al. 2017, arXiv:1611.04076",
    task="images",
    model="reference_models.models.lsgan:LSGAN",
    recipes={"paper": PAPER, "quick": QUICK},
    parameters={"discriminator": 17_232_768, "generator": 18_855_040},
)
