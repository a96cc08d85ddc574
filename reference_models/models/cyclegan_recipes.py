"""Unpaired image-to-image translation using cycle-consistent adversarial networks (Zhu et al. 2017)."""

from dataclasses import dataclass, field
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Linear, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width, critic_width: of the first layers. blocks: residual blocks of a generator.

    patch: strided layers of a discriminator. cycle: weight of the L1 distance after there and back.
    identity: weight, as a share of `cycle`, of the L1 distance between an image that needs no translation and its
    translation. adversarial: weight of the adversarial loss.
    pool: earlier fakes of each set that a discriminator may see again.
    norm, critic_norm: of activations; an instance norm in a discriminator hides the mean colour of small images.
    input_channels: of the inputs.
    """

    width: int = 64
    critic_width: int = 64
    blocks: int = 9
    patch: int = field(default=3, metadata=MAY_BE_ZERO)
    cycle: float = field(default=10.0, metadata=MAY_BE_ZERO)
    identity: float = field(default=0.5, metadata=MAY_BE_ZERO)
    adversarial: float = field(default=1.0, metadata=MAY_BE_ZERO)
    pool: int = 50
    norm: Literal["instance", "none"] = "instance"
    critic_norm: Literal["instance", "none"] = "instance"
    input_channels: int = 3


_ADAM = Adam(Linear(2e-4, 0.0, after=0.5), (0.5, 0.999))
_QUICK_ADAM = Adam(Linear(1e-3, 0.0, after=0.5), (0.5, 0.999))
# The cycle loss fixes the mapping of colours within a few hundred steps: the discriminators must learn faster.
_QUICK_DISCRIMINATORS = Adam(Linear(5e-3, 0.0, after=0.5), (0.5, 0.999))

PAPER = Recipe(
    variant="cyclegan",
    preset="paper",
    follows="Zhu et al. 2017, in the authors' PyTorch port (junyanz/pytorch-CycleGAN-and-pix2pix): horses and zebras, "
    "1,067 and 1,334 images, 200 epochs of batch 1",
    data="unpaired:horse2zebra/trainA,horse2zebra/trainB",
    resolution=256,
    channels=3,
    latent=Latent(1),
    batch=1,
    steps=266_800,
    optimizers={"discriminators": _ADAM, "generators": _ADAM},
    settings=Settings(),
    flips=True,
    differs="images are not enlarged to 286 pixels and cropped; the rate falls per step, not per epoch",
    targets=(
        Target(
            metric="fid",
            value=64.5,
            data="horse2zebra:testB",
            protocol="mmagic's, of 120 test images, rank-deficient",
            source="mmagic's re-run of the authors' recipe",
            fake=120,
        ),
    ),
)

QUICK = Recipe(
    variant="cyclegan",
    preset="quick",
    follows="the paper's losses on digits and recoloured digits, without pairs; the discriminators judge single pixels "
    "and learn five times as fast; there is no normalisation and no identity loss",
    data="recoloured:digits:train",
    resolution=16,
    channels=3,
    latent=Latent(1),
    batch=8,
    steps=200,
    optimizers={"discriminators": _QUICK_DISCRIMINATORS, "generators": _QUICK_ADAM},
    settings=Settings(width=8, critic_width=16, blocks=1, patch=0, identity=0.0, norm="none", critic_norm="none"),
)

VARIANT = Variant(
    name="cyclegan",
    title="Cycle-consistent adversarial networks",
    paper="Zhu et al. 2017, arXiv:1703.10593",
    task="images from unpaired images",
    model="reference_models.models.cyclegan:CycleGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, QUICK)},
    parameters={"generators": 2 * 11_378_179, "discriminators": 2 * 2_764_737},
)
