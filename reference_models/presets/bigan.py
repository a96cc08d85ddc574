"""Adversarial feature learning (Donahue, Krähenbühl, Darrell 2017): the permutation-invariant MNIST model."""

from dataclasses import dataclass
from typing import Literal

from reference_models.recipes import Adam, Decayed, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """loss: the generator's and encoder's, as section 3.4 of the paper discusses both."""

    loss: Literal["minimax", "non-saturating"] = "non-saturating"


_EPOCH = 60_000 // 128
# The rate falls a hundredfold over the second half of the training.
_RATE = Decayed(2e-4, by=100.0, after=0.5)
_ADAM = Adam(_RATE, (0.5, 0.999), weight_decay=2.5e-5)
_SMOKE_JUDGE = Adam(1e-3, (0.5, 0.999))
_SMOKE_MAKER = Adam(2e-4, (0.5, 0.999))

PAPER = Recipe(
    variant="bigan",
    preset="paper",
    data="mnist:train",
    resolution=28,
    channels=1,
    latent=Latent(50, "uniform"),
    batch=128,
    steps=400 * _EPOCH,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    targets=(
        Target(
            metric="1nn-accuracy-of-encodings",
            value=0.9735,
            data="mnist:test",
            protocol="nearest neighbour in the training set by encoding",
            source="Donahue et al. 2017, table 1",
        ),
        Target(
            metric="reconstruction-ratio",
            value=0.62,
            data="mnist:test",
            protocol="mean distance to own over to a shuffled reconstruction",
            source="Donahue et al. 2017, the authors' log: 5.95 / 9.60",
        ),
    ),
)

SMOKE = Recipe(
    variant="bigan",
    preset="smoke",
    data="digits:train",
    resolution=8,
    channels=1,
    latent=Latent(50, "uniform"),
    batch=64,
    steps=450,
    optimizers={"discriminator": _SMOKE_JUDGE, "generator": _SMOKE_MAKER},
    settings=Settings(),
    ema=0.98,
)

VARIANT = Variant(
    name="bigan",
    title="Bidirectional GAN, with an encoder",
    paper="Donahue et al. 2017, arXiv:1605.09782",
    task="images and their features",
    model="reference_models.bigan:BiGAN",
    recipes={"paper": PAPER, "smoke": SMOKE},
    parameters={"discriminator": 1_906_689, "generator": 3_813_186},
)
