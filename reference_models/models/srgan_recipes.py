"""Photo-realistic single image super-resolution using a generative adversarial network (Ledig et al. 2017)."""

from dataclasses import dataclass, field, replace
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Dropped, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """scale: how many times larger the outputs are, 2 or 4. blocks, width: residual blocks of the generator and their
    channels. critic_width, dense: channels of the discriminator's first layer, and units of its dense one.
    pretraining: share of the steps in which the generator is trained only by the pixels' mean squared error (SRResNet);
    1 for all steps. content: the loss after that, in addition to the adversarial loss with the weight `adversarial`:
    the mean squared error of pixels, or of VGG-19's features. vgg: the file of its weights, null for the one in torch's
    cache. skip: "bicubic" adds the enlarged input to the output.
    """

    scale: int = 4
    blocks: int = 16
    width: int = 64
    critic_width: int = 64
    dense: int = 1024
    pretraining: float = field(default=5 / 6, metadata=MAY_BE_ZERO)
    content: Literal["pixels", "vgg"] = "vgg"
    adversarial: float = field(default=1e-3, metadata=MAY_BE_ZERO)
    vgg: str | None = None
    skip: Literal["none", "bicubic"] = "none"


_BY = "Ledig et al. 2017, table 2"
_PROTOCOL = "luma, without a border of 4 pixels"
_DATA = ("Set5", "Set14", "BSD100")


def _targets(*values: float) -> tuple[Target, ...]:
    return tuple(
        Target(metric="psnr", value=value, data=data, protocol=_PROTOCOL, source=_BY, recalled=True)
        for data, value in zip(_DATA, values, strict=True)
    )


_RATE = Adam(1e-4)
# The rate is divided by 10 in the middle of the adversarial phase, which is the last sixth of the run.
_LATER = Adam(Dropped(1e-4, 10, after=11 / 12))

PAPER = Recipe(
    variant="srgan",
    preset="paper",
    follows="Ledig et al. 2017: 350,000 images of ImageNet, x4, a million steps of SRResNet and 200,000 of SRGAN",
    data="lowres:imagenet96/,4",
    resolution=96,
    channels=3,
    latent=Latent(1),
    batch=16,
    steps=1_200_000,
    optimizers={"srresnet": _RATE, "discriminator": _LATER, "generator": _LATER},
    settings=Settings(),
    differs="images are cropped once, to 96 x 96 pixels, not again each time; they are reduced by Pillow's bicubic "
    "filter, not by MATLAB's; VGG-19's weights are torchvision's, and not downloaded",
    targets=_targets(29.40, 26.02, 25.16),
)

SRRESNET = replace(
    PAPER,
    preset="srresnet",
    follows="Ledig et al. 2017: SRResNet, trained by the mean squared error of pixels",
    steps=1_000_000,
    settings=Settings(pretraining=1.0, content="pixels"),
    differs="images are cropped once, to 96 x 96 pixels, not again each time; they are reduced by Pillow's bicubic "
    "filter, not by MATLAB's",
    targets=_targets(32.05, 28.49, 27.58),
)

_QUICK_RATE = Adam(1e-3)

QUICK = Recipe(
    variant="srgan",
    preset="quick",
    follows="both phases of the paper, x4 on 32-pixel crops of photographs",
    data="lowres:photos:train:32,4",
    resolution=32,
    channels=3,
    latent=Latent(1),
    batch=16,
    steps=300,
    optimizers={"srresnet": _QUICK_RATE, "discriminator": Adam(5e-4), "generator": Adam(5e-4)},
    settings=Settings(
        blocks=4,
        width=32,
        critic_width=16,
        dense=64,
        content="pixels",
        adversarial=1e-3,
        skip="bicubic",
    ),
    ema=0.99,
    flips=True,
    differs="the content loss is that of pixels, since VGG-19 would have to be downloaded; the generator adds to the "
    "input enlarged by a bicubic filter, from which it begins; it keeps an average of its weights",
)

VARIANT = Variant(
    name="srgan",
    title="Super-resolution by a generative adversarial network",
    paper="Ledig et al. 2017, arXiv:1609.04802",
    task="larger images",
    model="reference_models.models.srgan:SRGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, SRRESNET, QUICK)},
    parameters={"srresnet": 1_549_462, "discriminator": 23_565_505, "generator": 1_549_462},
)
