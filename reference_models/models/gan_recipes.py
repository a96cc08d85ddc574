"""Generative Adversarial Nets (Goodfellow et al. 2014), with the MNIST settings of the authors' code."""

from dataclasses import dataclass
from typing import Literal

from reference_models.recipes import SGD, Adam, Decayed, Latent, Linear, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """loss: the generator's, as section 3 of the paper discusses both. hidden: units in each of its hidden layers."""

    loss: Literal["minimax", "non-saturating"] = "non-saturating"
    hidden: int = 1200


_STEPS = 250 * 500  # 250 epochs of 50,000 images
_RATE = Decayed(0.1, by=1.000004**_STEPS)
_MOMENTUM = Linear(0.5, 0.7)

PAPER = Recipe(
    variant="gan",
    preset="paper",
    follows="Goodfellow et al. 2014, and mnist.yaml of the authors' code (goodfeli/adversarial)",
    data="mnist:train",
    resolution=28,
    channels=1,
    latent=Latent(100, "uniform", (-(3**0.5), 3**0.5)),
    batch=100,
    steps=_STEPS,
    optimizers={"discriminator": SGD(_RATE, _MOMENTUM), "generator": SGD(_RATE, _MOMENTUM)},
    settings=Settings(),
    differs=(
        "players are updated in turn, where the authors update both at once on one batch of fakes; the generator's "
        "last biases begin at 0, not at the logits of the mean image; it learns from all 60,000 images, of which the "
        "authors hold out 10,000; their file sets no end, and this run ends when momentum stops rising, after 250 "
        "epochs"
    ),
    targets=(
        Target(
            metric="parzen-log-likelihood",
            value=225.0,
            data="mnist:test",
            protocol="parzen window, width by cross-validation",
            source="Goodfellow et al. 2014, table 1",
            fake=10_000,
            standing="aspirational",
            recalled=True,
        ),
    ),
)

# Fewer units, and Adam: from small initial weights, plain gradient descent is too slow for a quick run.
QUICK = Recipe(
    variant="gan",
    preset="quick",
    follows="the paper's losses, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(100, "normal"),
    batch=64,
    steps=2000,
    optimizers={"discriminator": Adam(1e-3, (0.5, 0.999)), "generator": Adam(1e-3, (0.5, 0.999))},
    settings=Settings(hidden=400),
)

VARIANT = Variant(
    name="gan",
    title="Generative Adversarial Nets",
    paper="Goodfellow et al. 2014, arXiv:1406.2661",
    task="images",
    model="reference_models.models.gan:MaxoutGAN",
    recipes={"paper": PAPER, "quick": QUICK},
    parameters={"discriminator": 1_231_441, "generator": 2_503_984},
)
