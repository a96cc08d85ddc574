"""The GAN is dead; long live the GAN! A modern GAN baseline (Huang et al. 2024): R3GAN's CIFAR-10 settings."""

from dataclasses import dataclass, field
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Cosine, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width: channels of every stage; of the hidden layers of the perceptron. groups: of each 3 x 3 convolution.

    blocks: residual blocks per stage. conditional: whether it learns from labels; embedding: dimensions of a class in
    the generator's input.
    gamma, gamma_end: weight of the penalties in the first step and at the end of the run; in between it follows half a
    cosine. penalty: where gradients are penalised: R1 at "reals", R2 at "fakes". loss: "relativistic", or
    "non-saturating" for the paper's comparison.
    """

    width: int = 768
    groups: int = 96
    blocks: int = 2
    conditional: bool = False
    embedding: int = 64
    gamma: float = field(default=0.05, metadata=MAY_BE_ZERO)
    gamma_end: float = field(default=0.005, metadata=MAY_BE_ZERO)
    penalty: Literal["both", "reals", "fakes"] = "both"
    loss: Literal["relativistic", "non-saturating"] = "relativistic"


BATCH = 512
IMAGES = 20_000_000  # length of every schedule
HALF_LIFE = 5_000_000  # half-life in images of the average of the weights, at the end
_ADAM = Adam(Cosine(2e-4, 5e-5), (0.0, Cosine(0.9, 0.99)))
_QUICK_ADAM = Adam(Cosine(2e-3, 5e-4), (0.0, Cosine(0.9, 0.99)))

PAPER = Recipe(
    variant="r3gan",
    preset="paper",
    follows="Huang et al. 2024, and the preset CIFAR10 of the authors' code with --cond=1 (brownvc/R3GAN)",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(64),
    batch=BATCH,
    steps=IMAGES // BATCH,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(conditional=True),
    ema=0.5 ** (BATCH / HALF_LIFE),
    flips=True,
    differs=(
        "images are mirrored, and not augmented further, where the authors' probability of augmentation rises to 0.55 "
        "(--aug=1); the authors' file sets no end, and this recipe ends where the schedules do; all layers compute in "
        "float32, and theirs in bfloat16 but for the stages of 4 x 4 pixels"
    ),
    targets=(
        Target(
            metric="fid",
            value=1.96,
            data="cifar10:train",
            protocol="tensorflow",
            source="Huang et al. 2024, CIFAR-10, conditional",
            real=50_000,
            fake=50_000,
            standing="aspirational",
        ),
    ),
)

QUICK = Recipe(
    variant="r3gan",
    preset="quick",
    follows="the paper's losses and schedules, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=8,
    channels=1,
    network="perceptron",
    latent=Latent(64),
    batch=64,
    steps=800,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    # groups and blocks are of the paper's network, for those who choose it.
    settings=Settings(width=128, groups=32, blocks=1, gamma=1.0, gamma_end=0.1),
    ema=0.98,
    differs=(
        "the networks are dense layers instead of the paper's residual ones, which, at widths that a CPU trains in "
        "seconds, learn digits much more slowly"
    ),
)

VARIANT = Variant(
    name="r3gan",
    title="A modern GAN baseline: relativistic loss, R1 and R2",
    paper="Huang et al. 2024, arXiv:2501.05441",
    task="images",
    model="reference_models.models.r3gan:R3GAN",
    recipes={"paper": PAPER, "quick": QUICK},
    parameters={"discriminator": 21_280_512, "generator": 20_781_952},
    networks=("paper", "perceptron"),
)
