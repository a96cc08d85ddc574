"""Adversarial feature learning (Donahue, Krähenbühl, Darrell 2017): the permutation-invariant MNIST model."""

from dataclasses import dataclass
from typing import Literal

from reference_models.recipes import Adam, Decayed, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """loss: the generator's and encoder's, as section 3.4 of the paper discusses both."""

    loss: Literal["minimax", "non-saturating"] = "non-saturating"


_EPOCH = -(-50_000 // 128)
# The rate falls a hundredfold over the second half of the training.
_RATE = Decayed(2e-4, by=100.0, after=0.5)
_ADAM = Adam(_RATE, (0.5, 0.999), weight_decay=2.5e-5)
_QUICK_DISCRIMINATOR = Adam(1e-3, (0.5, 0.999))
_QUICK_GENERATOR = Adam(2e-4, (0.5, 0.999))


def _target(metric: str, value: float, protocol: str, name: str) -> Target:
    """A number from the authors' log after 400 epochs, on 10,000 images held out from the training set."""
    source = f"README.md of the authors' code, {name}"
    return Target(metric=metric, value=value, data="mnist:train", protocol=protocol, source=source, real=10_000)


PAPER = Recipe(
    variant="bigan",
    preset="paper",
    follows="the authors' code, train_mnist.sh for 400 epochs (jeffdonahue/bigan)",
    data="mnist:train",
    resolution=28,
    channels=1,
    latent=Latent(50, "uniform"),
    batch=128,
    steps=400 * _EPOCH,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    differs=(
        "players are updated in turn, where the authors update all at once; normalisation uses running statistics, not "
        "those of 1,000 batches; the rate falls per step, not per epoch; it learns from all 60,000 images, of which "
        "the authors hold out 10,000"
    ),
    targets=(
        _target("1nn-accuracy-of-encodings", 0.9210, "nearest of 50,000 by the encoding before its sigmoid", "NNC_e"),
        _target("1nn-accuracy-of-hidden", 0.9735, "nearest of 50,000 by the encoder's last hidden layer", "NNC_e-"),
        _target("reconstruction-ratio", 0.62, "mean distance to own over to a shuffled reconstruction", "EGr / EGr_b"),
    ),
)

QUICK = Recipe(
    variant="bigan",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=8,
    channels=1,
    latent=Latent(50, "uniform"),
    batch=64,
    steps=450,
    optimizers={"discriminator": _QUICK_DISCRIMINATOR, "generator": _QUICK_GENERATOR},
    settings=Settings(),
    ema=0.98,
)

VARIANT = Variant(
    name="bigan",
    title="Bidirectional GAN, with an encoder",
    paper="Donahue et al. 2017, arXiv:1605.09782",
    task="images and their features",
    model="reference_models.models.bigan:BiGAN",
    recipes={"paper": PAPER, "quick": QUICK},
    parameters={"discriminator": 1_903_616, "generator": 3_856_384},
)
