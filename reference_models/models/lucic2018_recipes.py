"""Are GANs created equal? A large-scale study (Lucic et al. 2018): one network under seven losses.

Settings are the defaults of the study's code (google/compare_gan from 2018-02 to 2018-10), near those of the losses'
own papers. Its figures are the best of a search over settings around them, one search per data set, so runs of these
recipes are shown next to them without a verdict.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Linear, Optimizer, Recipe, RMSprop, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """objective: a row of losses.OBJECTIVES. penalty: on the slope "between" real and fake or "around" real, if any.

    weight: of the penalty. clip: bound of the critic's weights, if any. normalised: whether the
    discriminator has batch normalisation. updates: of the discriminator, per step. width, dense: of the network.
    momentum: weight of each batch in the running statistics of normalisation.
    """

    objective: Literal["minimax", "non-saturating", "sigmoid-least-squares", "wasserstein"]
    penalty: Literal["between", "around"] | None = None
    weight: float = field(default=10.0, metadata=MAY_BE_ZERO)
    clip: float | None = None
    normalised: bool = True
    updates: int = 1
    width: int = 64
    dense: int = 1024
    momentum: float = 0.001


@dataclass(frozen=True, slots=True)
class BoundarySettings:
    """gamma, rate: BEGAN's equilibrium. updates: of the auto-encoder, per step. The others are as in `Settings`."""

    gamma: float = 0.75
    rate: float = 0.001
    updates: int = 5
    width: int = 64
    dense: int = 1024
    momentum: float = 0.001


@dataclass(frozen=True, slots=True)
class _Set:
    """A set of images: its preset, its size, and the study's discriminator updates per step on it."""

    preset: str
    data: str
    resolution: int
    channels: int
    updates: int


_SETS = (
    _Set("paper-mnist", "mnist", 28, 1, 20 * 50_000 // 64),
    _Set("paper-fashionmnist", "fashionmnist", 28, 1, 20 * 50_000 // 64),
    _Set("paper", "cifar10", 32, 3, 100 * 50_000 // 64),
    _Set("paper-celeba", "celeba", 64, 3, 40 * 162_000 // 64),
)
_ALL_DIFFER = "generator and discriminator draw latents of their own"


@dataclass(frozen=True, slots=True)
class _Quick:
    """The settings of the quick preset: rates for the few steps, and a narrow network.

    discriminator: its optimizer, if it differs from the generator's.
    """

    settings: Settings | BoundarySettings
    optimizer: Optimizer
    steps: int
    discriminator: Optimizer | None = None


def _variant(
    loss: str,
    paper: tuple[Settings | BoundarySettings, Optimizer],
    values: tuple[float, float, float, float],
    *,
    discriminator: int,
    quick: _Quick,
    differs: str = "",
    recalled: bool = False,
) -> Variant:
    """values: the study's FIDs, in the order of _SETS. discriminator: its number of parameters for CIFAR-10."""
    settings, optimizer = paper
    recipes = [
        Recipe(
            variant=f"lucic2018-{loss}",
            preset=images.preset,
            follows="the defaults of Lucic et al. 2018, as in their code (google/compare_gan, 2018-02 to 2018-10)",
            data=f"{images.data}:train",
            resolution=images.resolution,
            channels=images.channels,
            latent=Latent(64, "uniform"),
            batch=64,
            steps=images.updates // settings.updates,
            optimizers={"discriminator": optimizer, "generator": optimizer},
            settings=settings,
            differs="; ".join(filter(None, (_ALL_DIFFER, differs))),
            targets=(_target(images, value, recalled=recalled),),
        )
        for images, value in zip(_SETS, values, strict=True)
    ]
    model = "Lucic2018" if isinstance(settings, Settings) else "Lucic2018BEGAN"
    (full,) = [recipe for recipe in recipes if recipe.preset == "paper"]
    shortest = replace(
        full,
        preset="quick",
        follows="the study's losses, at sizes and rates that learn digits in seconds",
        data="digits:train",
        resolution=16,
        channels=1,
        batch=32,
        steps=quick.steps,
        optimizers={"discriminator": quick.discriminator or quick.optimizer, "generator": quick.optimizer},
        settings=replace(quick.settings, width=16, dense=128, momentum=0.1),
        ema=0.98,
        differs="",
        targets=(),
    )
    return Variant(
        name=f"lucic2018-{loss}",
        title=f"One small network, {loss} loss",
        paper="Lucic et al. 2018, arXiv:1711.10337",
        task="images",
        model=f"reference_models.models.lucic2018:{model}",
        recipes={recipe.preset: recipe for recipe in (full, *recipes, shortest)},
        parameters={"discriminator": discriminator, "generator": 8_616_131},
    )


def _target(images: _Set, value: float, *, recalled: bool) -> Target:
    """The number of fakes that the study scores, against the test images."""
    return Target(
        metric="fid",
        value=value,
        data=f"{images.data}:test",
        protocol="tensorflow",
        source="Lucic et al. 2018, table 2",
        real=10_000,
        fake=10_000,
        standing="searched",
        recalled=recalled,
    )


_SLOW, _USUAL = Adam(5e-5, (0.0, 0.999)), Adam(1e-4, (0.5, 0.999))
_QUICK, _FAST = Adam(1e-3, (0.5, 0.999)), Adam(2e-3, (0.5, 0.999))
_MINIMAX, _NON_SATURATING, _SQUARES = Settings("minimax"), Settings("non-saturating"), Settings("sigmoid-least-squares")
_CLIPPED = Settings("wasserstein", clip=0.01, updates=5)
_PENALISED = Settings("wasserstein", penalty="between", normalised=False, updates=5)
_AROUND = Settings("non-saturating", penalty="around", normalised=False)
_BOUNDARY = BoundarySettings()

VARIANTS = (
    _variant(
        "minimax",
        (_MINIMAX, _SLOW),
        (9.8, 29.6, 72.7, 65.6),
        discriminator=8_527_297,
        # With the generator's rate, the discriminator makes the gradient of the minimax loss vanish.
        quick=_Quick(_MINIMAX, _FAST, 300, discriminator=Adam(5e-4, (0.5, 0.999))),
    ),
    _variant(
        "non-saturating",
        (_NON_SATURATING, _SLOW),
        (6.8, 26.5, 58.5, 55.0),
        discriminator=8_527_297,
        quick=_Quick(_NON_SATURATING, _QUICK, 400),
    ),
    _variant(
        "least-squares",
        (_SQUARES, Adam(2e-4, (0.5, 0.999))),
        (7.8, 30.7, 87.1, 53.9),
        discriminator=8_527_297,
        quick=_Quick(_SQUARES, _QUICK, 500),
    ),
    _variant(
        "wgan",
        (_CLIPPED, Adam(5e-5, (0.5, 0.999))),
        (6.7, 21.5, 55.2, 41.3),
        discriminator=8_527_297,
        differs="weights are clipped after the critic's update; the study's code does not fix this order",
        quick=_Quick(replace(_CLIPPED, clip=0.05, updates=3), RMSprop(5e-4), 350),
    ),
    _variant(
        "wgan-gp",
        (_PENALISED, _USUAL),
        (20.3, 24.5, 55.8, 30.3),
        discriminator=8_524_993,
        quick=_Quick(replace(_PENALISED, updates=2), _FAST, 250),
    ),
    _variant(
        "dragan",
        (_AROUND, _USUAL),
        (7.6, 27.7, 69.8, 42.3),
        discriminator=8_524_993,
        quick=_Quick(replace(_AROUND, weight=1.0, updates=2), Adam(Linear(2e-3, 0.0), (0.5, 0.999)), 500),
        differs="the discriminator has no batch normalisation, as in the study's narrow search, not as by default",
        recalled=True,
    ),
    _variant(
        "began",
        (_BOUNDARY, _USUAL),
        (13.1, 22.9, 71.4, 38.9),
        discriminator=1_325_379,
        differs="k_t is updated by the errors before each update of the auto-encoder, not by those after it",
        quick=_Quick(replace(_BOUNDARY, rate=0.2, updates=1), _QUICK, 900),
    ),
)
