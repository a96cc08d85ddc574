"""Context encoders: feature learning by inpainting (Pathak et al. 2016)."""

from dataclasses import dataclass, field

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """The generator predicts the middle square of half the side. overlap: width in pixels of the band within it that
    the input shows; the hole is the rest. band: weight of the squared error in that band. reconstruction: weight of the
    squared error, from 0 to 1; 1 minus it is the weight of the adversarial loss. width, critic_width: of the first
    layers. bottleneck: units between encoder and decoder.
    """

    overlap: int = field(default=4, metadata=MAY_BE_ZERO)
    band: float = 10.0
    reconstruction: float = field(default=0.999, metadata=MAY_BE_ZERO)
    width: int = 64
    critic_width: int = 64
    bottleneck: int = 4000


def _rates(discriminator: float) -> dict[str, Adam]:
    """The generator's rate is ten times the discriminator's."""
    return {"discriminator": Adam(discriminator, (0.5, 0.999)), "generator": Adam(10 * discriminator, (0.5, 0.999))}


_FILL = (
    "the hole is filled with ImageNet's mean colour (123, 117, 104); the authors' code fills it with (117, 104, 123), "
    "the same numbers in another order"
)

PAPER = Recipe(
    variant="context-encoder",
    preset="paper",
    follows="Pathak et al. 2016, the authors' Torch code (pathak22/context-encoder): 14,900 images of Paris "
    "StreetView, 500 epochs of batch 64",
    data="hole:paris/train,56",
    resolution=128,
    channels=3,
    latent=Latent(1),
    batch=64,
    steps=116_400,
    optimizers=_rates(2e-4),
    settings=Settings(),
    flips=True,
    differs=f"{_FILL}; images are not enlarged to 350 pixels and cropped; the generator's step runs the discriminator "
    "again, where the authors' code reuses its outputs from before the discriminator's update",
    targets=(
        Target(
            metric="psnr",
            value=18.58,
            data="Paris StreetView, 100 held-out images",
            protocol="of the hole",
            source="Pathak et al. 2016, table 1, joint loss, as others quote it",
            fake=100,
        ),
    ),
)

QUICK = Recipe(
    variant="context-encoder",
    preset="quick",
    follows="the paper's losses and a smaller network, on 32-pixel crops of photographs",
    data="hole:photos:train:32,12",
    resolution=32,
    channels=3,
    latent=Latent(1),
    batch=32,
    steps=200,
    optimizers=_rates(2e-4),
    settings=Settings(overlap=2, width=32, critic_width=16, bottleneck=256),
    ema=0.99,
    flips=True,
    differs=f"{_FILL}; the generator keeps an average of its weights",
)

VARIANT = Variant(
    name="context-encoder",
    title="Context encoder",
    paper="Pathak et al. 2016, arXiv:1604.07379",
    task="images with a hole filled in",
    model="reference_models.models.context_encoder:ContextEncoder",
    recipes={recipe.preset: recipe for recipe in (PAPER, QUICK)},
    parameters={"discriminator": 2_765_568, "generator": 71_124_544},
)
