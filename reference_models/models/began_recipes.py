"""BEGAN: boundary equilibrium generative adversarial networks (Berthelot, Schumm, Metz 2017)."""

from dataclasses import dataclass

from reference_models.recipes import Adam, Halved, Latent, Recipe, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width: of the convolutions. gamma: L(G(z)) over L(x) at the equilibrium. rate: of k_t (lambda_k)."""

    width: int = 128
    gamma: float = 0.5
    rate: float = 0.001


_ADAM = Adam(Halved(8e-5, parts=5), (0.5, 0.999))
_QUICK_DISCRIMINATOR = Adam(Halved(1e-3, parts=3), (0.5, 0.999))
_QUICK_GENERATOR = Adam(Halved(3e-3, parts=3), (0.5, 0.999))

PAPER = Recipe(
    variant="began",
    preset="paper",
    follows="Berthelot et al. 2017 without skip connections, at 32 x 32",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(64, "uniform"),
    batch=16,
    steps=500_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    differs=(
        "rates are halved on a schedule, as in carpedm20's code, and not when M_global stalls; weights are Xavier's, "
        "without vanishing residuals; Adam's first beta is 0.5, which that code declares but does not use; the paper "
        "does not state the settings of its inception score on CIFAR-10"
    ),
)

QUICK = Recipe(
    variant="began",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(32, "uniform"),
    batch=16,
    steps=350,
    optimizers={"discriminator": _QUICK_DISCRIMINATOR, "generator": _QUICK_GENERATOR},
    settings=Settings(width=16, gamma=1.0, rate=0.3),
    ema=0.98,
)

VARIANT = Variant(
    name="began",
    title="Boundary equilibrium GAN",
    paper="Berthelot et al. 2017, arXiv:1703.10717",
    task="images",
    model="reference_models.models.began:BEGAN",
    recipes={"paper": PAPER, "quick": QUICK},
    parameters={"discriminator": 8_308_547, "generator": 1_421_443},
)
