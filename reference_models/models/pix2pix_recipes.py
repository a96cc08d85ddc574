"""Image-to-image translation with conditional adversarial networks (Isola et al. 2017)."""

from dataclasses import dataclass, field
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """levels: halvings of the U-Net. width, critic_width: of the first layers.

    patch: strided layers of the discriminator, 3 for patches of 70 pixels. l1: weight of the pixels' loss.
    adversarial: weight of the adversarial loss, 0 for only the pixels' loss.
    norm: of activations; "batch" uses the statistics of the current images.
    dropout: in the first three levels on the way up. sees_input: whether the discriminator sees the input.
    input_channels: of the inputs.
    """

    levels: int = 8
    width: int = 64
    critic_width: int = 64
    patch: int = field(default=3, metadata=MAY_BE_ZERO)
    l1: float = field(default=100.0, metadata=MAY_BE_ZERO)
    adversarial: float = field(default=1.0, metadata=MAY_BE_ZERO)
    norm: Literal["batch", "instance", "none"] = "batch"
    dropout: float = field(default=0.5, metadata=MAY_BE_ZERO)
    sees_input: bool = True
    input_channels: int = 3


_ADAM = Adam(2e-4, (0.5, 0.999))
_QUICK_ADAM = Adam(1e-3, (0.5, 0.999))

PAPER = Recipe(
    variant="pix2pix",
    preset="paper",
    follows="Isola et al. 2017, the authors' Torch code (phillipi/pix2pix): facades, 400 pairs, 200 epochs of batch 1",
    data="pairs:facades/train,reversed",
    resolution=256,
    channels=3,
    latent=Latent(1),
    batch=1,
    steps=80_000,
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    flips=True,
    differs="images are not enlarged to 286 pixels and cropped; the discriminator's loss is halved, as in the paper, "
    "which the authors' code does only in its log; the generator's step runs the discriminator again, where the code "
    "uses its outputs from before the discriminator's update; biases of the generator's last layer and of the "
    "discriminator's first and last learn, where the code sets those of all convolutions to 0 before each update",
    targets=(
        Target(
            metric="fid",
            value=124.98,
            data="facades:test",
            protocol="mmagic's, of the test images, rank-deficient",
            source="mmagic's re-run of the authors' recipe",
        ),
        Target(
            metric="fcn-per-pixel-accuracy",
            value=0.66,
            data="cityscapes:labels",
            protocol="FCN-8s of the authors, labels to photographs",
            source="Isola et al. 2017, table 1, L1 + cGAN; of the same network trained on Cityscapes",
            standing="aspirational",
            recalled=True,
        ),
    ),
)

QUICK = Recipe(
    variant="pix2pix",
    preset="quick",
    follows="the paper's networks and losses, without dropout in so small a network, on edges of digits",
    data="edges:digits:train",
    resolution=16,
    channels=1,
    latent=Latent(1),
    batch=4,
    steps=200,
    optimizers={"discriminator": _QUICK_ADAM, "generator": _QUICK_ADAM},
    settings=Settings(levels=4, width=16, critic_width=16, patch=1, norm="instance", dropout=0.0, input_channels=1),
)

VARIANT = Variant(
    name="pix2pix",
    title="Image-to-image translation with conditional adversarial networks",
    paper="Isola et al. 2017, arXiv:1611.07004",
    task="images from paired images",
    model="reference_models.models.pix2pix:Pix2Pix",
    recipes={recipe.preset: recipe for recipe in (PAPER, QUICK)},
    parameters={"discriminator": 2_768_705, "generator": 54_413_955},
)
