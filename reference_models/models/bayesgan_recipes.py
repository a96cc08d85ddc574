"""Bayesian GAN (Saatchi, Wilson 2017): samples of generators and discriminators, on MNIST and CIFAR-10."""

from dataclasses import dataclass, field, replace
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, SGD, Decayed, Latent, Recipe, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """The sampled networks and the sampler.

    generators, discriminators: chains of each. samples: number of states of each chain that are used, the current one
    and earlier ones. thin: updates between them. burn_in: share of the run before the sampling, which uses Adam.
    observations: the number N of data points in the posteriors. prior: deviation of the normal prior of every weight.
    joined: how the posteriors given each opponent are combined: "logs" is the mean of their logarithms, and "densities"
    the logarithm of their mean, as in equations 3 and 4. sampler: "adam" for an ensemble that is optimised, without
    noise and prior. hidden: units of the perceptrons' hidden layers. generator_width, discriminator_width: channels
    next to the images.
    """

    generators: int = 10
    discriminators: int = 1
    samples: int = 2
    thin: int = 100
    burn_in: float = field(default=0.1, metadata=MAY_BE_ZERO)
    observations: int = 60_000
    prior: float = 1.0
    joined: Literal["logs", "densities"] = "logs"
    sampler: Literal["sghmc", "adam"] = "sghmc"
    hidden: int = 1000
    generator_width: int = 64
    discriminator_width: int = 96


_SGHMC = SGD(2e-4, 0.99)
_QUICK = SGD(Decayed(2e-3, by=10.0, after=0.5), 0.9)

PAPER = Recipe(
    variant="bayesgan",
    preset="paper",
    follows="Saatchi and Wilson 2017, and the authors' code (andrewgordonwilson/bayesgan)",
    data="mnist:train",
    resolution=28,
    channels=1,
    latent=Latent(101, "uniform"),
    batch=64,
    steps=50_000,
    optimizers={"discriminator": _SGHMC, "generator": _SGHMC},
    settings=Settings(),
    differs=(
        "sampling by SGHMC after the burn-in, where the code keeps Adam; noise and prior as in the paper, where the "
        "code scales both down; earlier states of a chain, where the code has more initialisations; no feature "
        "matching; the discriminator does not classify; one output instead of two; a constant rate, which the code's "
        "decay reaches after an epoch; posteriors are joined by the mean of their logarithms; layers are those of the "
        "code's construct_nets, which its programs do not call: these have 96, 192, 384 and 512 channels in both "
        "networks, and 3 x 3 kernels except next to the images; biases begin at 0, where the code draws them like "
        "weights; convolutions pad both sides equally"
    ),
)

CIFAR10 = replace(
    PAPER,
    preset="cifar10",
    data="cifar10:train",
    resolution=32,
    channels=3,
    settings=Settings(observations=50_000),
)

QUICK = Recipe(
    variant="bayesgan",
    preset="quick",
    follows="the paper's sampler, at sizes and rates that learn 8 x 8 digits in seconds",
    data="digits:train",
    resolution=8,
    channels=1,
    latent=Latent(17),
    batch=64,
    steps=800,
    optimizers={"discriminator": _QUICK, "generator": _QUICK},
    network="perceptron",
    settings=Settings(generators=3, discriminators=2, thin=50, burn_in=0.5, observations=1347, hidden=128),
)

VARIANT = Variant(
    name="bayesgan",
    title="Bayesian GAN",
    paper="Saatchi and Wilson 2017, arXiv:1705.09558",
    task="images, by sampled generators",
    model="reference_models.models.bayesgan:BayesGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, CIFAR10, QUICK)},
    parameters={"discriminator": 10_861_057, "generator": 45_096_970},
    networks=("paper", "perceptron", "unbounded"),
)
