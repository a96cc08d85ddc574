"""Are GANs created equal? A large-scale study (Lucic et al. 2018): one network under seven losses.

Rates and balances are the defaults of the study's code, near those of the losses' own papers; its figures are the best
of a search over many settings around them.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Linear, Optimizer, Recipe, RMSprop, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """objective: a row of losses.OBJECTIVES. penalty: on the slope "between" real and fake or "around" real, if any.

    weight: of the penalty. clip: the reach of the critic's weights, if they have one. normalised: whether the
    discriminator has batch normalisation. updates: of the discriminator, a step. width, dense: of the network.
    """

    objective: Literal["minimax", "non-saturating", "least-squares", "wasserstein"]
    penalty: Literal["between", "around"] | None = None
    weight: float = field(default=10.0, metadata=MAY_BE_ZERO)
    clip: float | None = None
    normalised: bool = True
    updates: int = 1
    width: int = 64
    dense: int = 1024


@dataclass(frozen=True, slots=True)
class BoundarySettings:
    """gamma, rate: BEGAN's equilibrium. updates: of the auto-encoder, a step. width, dense: of the network."""

    gamma: float = 0.75
    rate: float = 0.001
    updates: int = 1
    width: int = 64
    dense: int = 1024


_DATA = ("mnist:train", "fashionmnist:train", "cifar10:train", "celeba:train")


@dataclass(frozen=True, slots=True)
class _Quick:
    """What the smoke preset has of its own: a rate that fits the few steps, and a narrow network."""

    settings: Settings | BoundarySettings
    optimizer: Optimizer
    steps: int


def _variant(
    loss: str,
    paper: tuple[Settings | BoundarySettings, Optimizer],
    values: tuple[float, float, float, float],
    *,
    judge: int,
    quick: _Quick,
    reread: bool = True,
) -> Variant:
    """values: the study's FIDs, in the order of _DATA. judge: the size of the discriminator.

    reread: False for figures quoted from memory.
    """
    settings, optimizer = paper
    targets = tuple(
        Target(
            metric="fid",
            value=value,
            data=data,
            protocol="tensorflow",
            source="Lucic et al. 2018, table 2",
            standing="reproduced" if reread else "aspirational",
        )
        for data, value in zip(_DATA, values, strict=True)
    )
    full = Recipe(
        variant=f"yardstick-{loss}",
        preset="paper",
        data="cifar10:train",
        resolution=32,
        channels=3,
        latent=Latent(64, "uniform"),
        batch=64,
        steps=200 * (50_000 // 64),
        optimizers={"discriminator": optimizer, "generator": optimizer},
        settings=settings,
        targets=targets,
    )
    smoke = replace(
        full,
        preset="smoke",
        data="digits:train",
        resolution=16,
        channels=1,
        batch=32,
        steps=quick.steps,
        optimizers={"discriminator": quick.optimizer, "generator": quick.optimizer},
        settings=replace(quick.settings, width=16, dense=128),
        ema=0.98,
        targets=(),
    )
    return Variant(
        name=f"yardstick-{loss}",
        title=f"One small network, {loss} loss",
        paper="Lucic et al. 2018, arXiv:1711.10337",
        task="images",
        model=f"reference_models.yardstick:{'Yardstick' if isinstance(settings, Settings) else 'YardstickBEGAN'}",
        recipes={"paper": full, "smoke": smoke},
        parameters={"discriminator": judge, "generator": 8_616_064},
    )


_SLOW, _FAST, _USUAL = Adam(5e-5, (0.0, 0.999)), Adam(2e-3, (0.5, 0.999)), Adam(1e-4, (0.5, 0.999))
_MINIMAX, _NON_SATURATING, _SQUARES = Settings("minimax"), Settings("non-saturating"), Settings("least-squares")
_CLIPPED = Settings("wasserstein", clip=0.01, updates=5)
_PENALISED = Settings("wasserstein", penalty="between", normalised=False, updates=5)
_AROUND = Settings("non-saturating", penalty="around", normalised=False)
_BOUNDARY = BoundarySettings()

YARDSTICKS = (
    _variant(
        "minimax",
        (_MINIMAX, _SLOW),
        (9.8, 29.6, 72.7, 65.6),
        judge=8_527_105,
        quick=_Quick(_MINIMAX, _FAST, 300),
    ),
    _variant(
        "non-saturating",
        (_NON_SATURATING, _SLOW),
        (6.8, 26.5, 58.5, 55.0),
        judge=8_527_105,
        quick=_Quick(_NON_SATURATING, _FAST, 300),
    ),
    _variant(
        "least-squares",
        (_SQUARES, Adam(2e-4, (0.5, 0.999))),
        (7.8, 30.7, 87.1, 53.9),
        judge=8_527_105,
        quick=_Quick(_SQUARES, _FAST, 500),
    ),
    _variant(
        "wgan",
        (_CLIPPED, RMSprop(5e-5)),
        (6.7, 21.5, 55.2, 41.3),
        judge=8_527_105,
        quick=_Quick(replace(_CLIPPED, clip=0.05, updates=3), RMSprop(5e-4), 350),
    ),
    _variant(
        "wgan-gp",
        (_PENALISED, _USUAL),
        (20.3, 24.5, 55.8, 30.3),
        judge=8_524_801,
        quick=_Quick(replace(_PENALISED, updates=2), _FAST, 250),
    ),
    _variant(
        "dragan",
        (_AROUND, _USUAL),
        (7.6, 27.7, 69.8, 42.3),
        judge=8_524_801,
        quick=_Quick(replace(_AROUND, updates=2), Adam(Linear(2e-3, 0.0), (0.5, 0.999)), 500),
        reread=False,
    ),
    _variant(
        "began",
        (_BOUNDARY, _USUAL),
        (13.1, 22.9, 71.4, 38.9),
        judge=1_325_120,
        quick=_Quick(replace(_BOUNDARY, rate=0.2), Adam(1e-3, (0.5, 0.999)), 900),
    ),
)
