"""Denoising diffusion probabilistic models (Ho et al. 2020), sampled as they are or by DDIM (Song et al. 2021)."""

from dataclasses import dataclass, field, replace
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Recipe, Target, Variant, WarmedUp


@dataclass(frozen=True, slots=True)
class Settings:
    """The U-Net, the diffusion, and how images are drawn from it.

    width: channels at the full resolution; every lower one has twice as many. levels: resolutions, each half of the one
    before. blocks: residual blocks per level. groups: of the normalisation. attention: the resolution in pixels at
    which there is attention, in addition to the lowest. dropout: of the residual blocks.
    diffusion_steps: T. beta_start, beta_end: variances of the first and the last step, linear between them.
    sampler: "ddim" without noise, or "ddpm", the ancestral chain. sampling_steps: passes through the network per image.
    spacing: of the steps that the sampler visits, as in the authors' code of DDIM.
    """

    width: int = 128
    levels: int = 4
    blocks: int = 2
    groups: int = 32
    attention: int = 16
    dropout: float = field(default=0.1, metadata=MAY_BE_ZERO)
    diffusion_steps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    sampler: Literal["ddim", "ddpm"] = "ddim"
    sampling_steps: int = 100
    spacing: Literal["linear", "quadratic"] = "quadratic"


_STEPS = 800_000

PAPER = Recipe(
    variant="ddpm",
    preset="paper",
    follows="Ho et al. 2020, CIFAR-10, and the authors' code (hojonathanho/diffusion)",
    data="cifar10:train",
    resolution=32,
    channels=3,
    latent=Latent(3 * 32 * 32),
    batch=128,
    steps=_STEPS,
    optimizers={"generator": Adam(WarmedUp(2e-4, within=5000 / _STEPS), max_norm=1.0)},
    settings=Settings(sampler="ddpm", sampling_steps=1000, spacing="linear"),
    ema=0.9999,
    flips=True,
    differs="the decay of the average is at most (1 + t) / (10 + t); the authors' is 0.9999 from the second step on",
    targets=(
        Target(
            metric="fid",
            value=3.17,
            data="cifar10:train",
            protocol="tensorflow",
            source="Ho et al. 2020, table 1",
            real=50_000,
            fake=50_000,
        ),
        Target(
            metric="is",
            value=9.46,
            data="cifar10:train",
            protocol="tensorflow",
            source="Ho et al. 2020, table 1",
            fake=50_000,
        ),
    ),
)

DDIM = replace(
    PAPER,
    preset="ddim",
    follows="Song et al. 2021, table 1, CIFAR-10: the network of Ho et al. 2020, sampled in 100 steps without noise",
    settings=Settings(),
    targets=(
        Target(
            metric="fid",
            value=4.16,
            data="cifar10:train",
            protocol="tensorflow",
            source="Song et al. 2021, table 1",
            real=50_000,
            fake=50_000,
            recalled=True,
        ),
    ),
)

QUICK = Recipe(
    variant="ddpm",
    preset="quick",
    follows="the paper's loss and network, at a size and a rate that learn digits in seconds",
    data="digits:train",
    resolution=8,
    channels=1,
    latent=Latent(8 * 8),
    batch=32,
    steps=500,
    optimizers={"generator": Adam(4e-3, max_norm=1.0)},
    settings=Settings(
        width=16,
        levels=2,
        blocks=1,
        groups=4,
        attention=4,
        dropout=0.0,
        diffusion_steps=200,
        beta_start=5e-4,
        beta_end=0.1,
        sampling_steps=20,
        spacing="linear",
    ),
    ema=0.995,
)

VARIANT = Variant(
    name="ddpm",
    title="Denoising diffusion probabilistic model",
    paper="Ho et al. 2020, arXiv:2006.11239",
    task="images",
    model="reference_models.models.ddpm:DDPM",
    recipes={recipe.preset: recipe for recipe in (PAPER, DDIM, QUICK)},
    parameters={"generator": 35_746_307},
    image_latents=True,
)
