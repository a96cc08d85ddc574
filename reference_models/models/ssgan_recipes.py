"""Improved techniques for training GANs (Salimans et al. 2016): semi-supervised learning on MNIST and CIFAR-10."""

from dataclasses import dataclass, field
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Linear, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """The paper's techniques that a model uses.

    labelled: total number of images whose labels are used, equally many of each class (or one more); the run's seed
    chooses them. learns_from: "labels" for a classifier of only these images, without a GAN. width: units of the
    discriminator's first hidden layer, or channels of its first convolution. generator_width: units of the generator's
    hidden layers, or channels of the last one. pixel_noise, unit_noise: the deviation of the noise added to pixels and
    to hidden units; the network "cifar" has dropout instead. generator_loss: a distance of the mean features of reals
    from those of fakes, or -log D(G(z)). norm: of the generator. kernels, kernel_size: of minibatch discrimination; 0
    kernels for none. smoothing: the label of unlabelled reals is 1 - smoothing. history: weight of historical
    averaging.
    """

    labelled: int = 100
    learns_from: Literal["everything", "labels"] = "everything"
    width: int = 1000
    generator_width: int = 500
    pixel_noise: float = field(default=0.3, metadata=MAY_BE_ZERO)
    unit_noise: float = field(default=0.5, metadata=MAY_BE_ZERO)
    generator_loss: Literal["matching-squares", "matching-absolutes", "non-saturating"] = "matching-squares"
    norm: Literal["batch", "virtual"] = "batch"
    kernels: int = field(default=0, metadata=MAY_BE_ZERO)
    kernel_size: int = 5
    smoothing: float = field(default=0.0, metadata=MAY_BE_ZERO)
    history: float = field(default=0.0, metadata=MAY_BE_ZERO)


_ADAM = Adam(3e-3, (0.5, 0.999))
_CIFAR_ADAM = Adam(Linear(3e-4, 0.0, after=2 / 3), (0.5, 0.999))
_QUICK_ADAM = Adam(1e-3, (0.5, 0.999))
_DIFFERS = (
    "both players use one batch of unlabelled images, where the authors draw another for the generator; the "
    "initialisation uses one batch of labelled images, theirs 500 images; the average of the weights has a smaller "
    "decay in the first steps, where the authors' average starts at 0; Adam's epsilon of 1e-8 is added to the root, "
    "theirs under it, where it acts as 1e-4"
)

PAPER = Recipe(
    variant="ssgan",
    preset="paper",
    follows="train_mnist_feature_matching.py of the authors' code (openai/improved-gan)",
    data="mnist:train",
    resolution=28,
    channels=1,
    latent=Latent(100, "uniform", (0.0, 1.0)),
    batch=100,
    steps=300 * 600,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    ema=0.9999,
    differs=_DIFFERS,
    targets=(
        Target(
            metric="test_error",
            value=0.0093,
            data="mnist:test",
            protocol="mean of 10 draws of 100 labels",
            source="Salimans et al. 2016, table 1",
            recalled=True,
        ),
    ),
)

CIFAR10 = Recipe(
    variant="ssgan",
    preset="cifar10",
    follows="train_cifar_feature_matching.py of the authors' code (openai/improved-gan)",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(100, "uniform", (0.0, 1.0)),
    batch=100,
    steps=1200 * 500,
    optimizers={"discriminator": _CIFAR_ADAM, "generator": _CIFAR_ADAM},
    network="cifar",
    settings=Settings(labelled=4000, width=96, generator_width=128, generator_loss="matching-absolutes"),
    ema=0.9999,
    differs=_DIFFERS,
    targets=(
        Target(
            metric="test_error",
            value=0.1863,
            data="cifar10:test",
            protocol="mean of 10 draws of 4000 labels",
            source="Salimans et al. 2016, table 2",
        ),
    ),
)

QUICK = Recipe(
    variant="ssgan",
    preset="quick",
    follows="the paper's losses, at sizes, rates and noises that learn to draw 8 x 8 digits in seconds",
    data="digits:train",
    resolution=8,
    channels=1,
    latent=Latent(32, "uniform", (0.0, 1.0)),
    batch=64,
    steps=1000,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    network="plain",
    settings=Settings(width=256, generator_width=128, pixel_noise=0.1, unit_noise=0.2),
    ema=0.998,
)

VARIANT = Variant(
    name="ssgan",
    title="Semi-supervised GAN",
    paper="Salimans et al. 2016, arXiv:1606.03498",
    task="images, and the classes of images from few labels",
    model="reference_models.models.ssgan:SSGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, CIFAR10, QUICK)},
    parameters={"discriminator": 1_538_770, "generator": 694_568},
    networks=("paper", "plain", "cifar"),
)
