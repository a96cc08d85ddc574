"""Progressive growing of GANs (Karras et al. 2017): CelebA-HQ in 1024 x 1024, CIFAR-10, and digits in seconds."""

from dataclasses import dataclass, field

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """Networks: layers at S x S pixels have maps * 2 / S feature maps, and at most `widest`.

    start: side of the first images; equal to the final side for a model that does not grow. last: share of all images
    seen after the last fade; before it, phases of equal length fade in a level and train it. halved_from: the largest
    side with the recipe's batch size; each doubling of the side halves the batch, to no less than 4.
    group: images over which the discriminator computes its standard deviations; 0 for a discriminator without them.
    penalty, slope: weight of the gradient penalty, and its target slope. drift: weight of the squared outputs
    for reals.
    """

    maps: int = 8192
    widest: int = 512
    start: int = 4
    last: float = 0.2
    halved_from: int = 16
    group: int = field(default=4, metadata=MAY_BE_ZERO)
    penalty: float = field(default=10.0, metadata=MAY_BE_ZERO)
    slope: float = 1.0
    drift: float = field(default=0.001, metadata=MAY_BE_ZERO)


_ADAM = Adam(1e-3, (0.0, 0.99))
_QUICK_ADAM = Adam(3e-3, (0.0, 0.99))
_DIFFERS = (
    "level and fade change at every step, not at every fourth; reals are averaged to the level's size from their full "
    "size, not rounded in between; the average of the weights follows the generator's update of a step, not the "
    "discriminator's, and its decay rises to 0.999 in the first 9,000 steps"
)

PAPER = Recipe(
    variant="progan",
    preset="paper",
    follows="the authors' code (tkarras/progressive_growing_of_gans), CelebA-HQ on one GPU: 12 million images, 600,000 "
    "of them in each phase, in batches of 128 to 4",
    data="celeba-hq",
    resolution=1024,
    channels=3,
    latent=Latent(512),
    batch=128,
    steps=1_354_688,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    ema=0.999,
    flips=True,
    differs="the 30,000 images must be in a folder celeba-hq; the rate stays at 0.001, as in the paper, and is not "
    "raised to 0.0015 for 1024 x 1024; the penalty's slope is that in pixels of the level, as in the authors' code for "
    f"Theano, and not in those of images enlarged to full size; {_DIFFERS}",
    targets=(
        Target(
            metric="fid",
            value=7.30,
            data="celeba-hq",
            protocol="tensorflow",
            source="the authors' code, README",
            fake=50_000,
            recalled=True,
        ),
    ),
)

CIFAR10 = Recipe(
    variant="progan",
    preset="cifar10",
    follows="the authors' code for Theano (branch original-theano-version), CIFAR-10: 20 million images, of which "
    "400,000 for each phase",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(128),
    batch=16,
    steps=1_250_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(maps=4096, widest=128, last=0.88, halved_from=32, group=16, slope=750.0),
    ema=0.999,
    differs=f"the code updates both networks at once; {_DIFFERS}",
    targets=(
        Target(
            metric="is",
            value=8.56,
            data="cifar10:train",
            protocol="tensorflow",
            source="Karras et al. 2017, CIFAR10 inception scores: mean of ten runs, each at its best",
            fake=50_000,
        ),
        Target(
            metric="is",
            value=8.80,
            data="cifar10:train",
            protocol="tensorflow",
            source="Karras et al. 2017, CIFAR10 inception scores: the best of ten runs",
            fake=50_000,
            standing="aspirational",
        ),
    ),
)

QUICK = Recipe(
    variant="progan",
    preset="quick",
    follows="the paper's networks, losses and growth, at sizes and rates that learn digits in seconds",
    data="digits:train",
    resolution=16,
    channels=1,
    latent=Latent(32),
    batch=16,
    steps=600,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    settings=Settings(maps=128, widest=32, last=0.6),
    ema=0.98,
)

VARIANT = Variant(
    name="progan",
    title="Progressive growing of GANs",
    paper="Karras et al. 2017, arXiv:1710.10196",
    task="images",
    model="reference_models.models.progan:ProGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, CIFAR10, QUICK)},
    parameters={"discriminator": 23_087_249, "generator": 23_079_115},
)
