"""Eye in-painting with exemplar generative adversarial networks (Dolhansky and Canton Ferrer 2018)."""

from dataclasses import dataclass, field

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """l1: weight of the L1 distance in the hole. adversarial: weight of the adversarial loss. width,
    critic_width: of the first layers. bottleneck: units between encoder and decoder. sees_exemplar: whether the
    networks are given the exemplar; without it they get the image with the hole in its place.
    """

    l1: float = 1.0
    adversarial: float = field(default=1e-3, metadata=MAY_BE_ZERO)
    width: int = 64
    critic_width: int = 64
    bottleneck: int = 4000
    sees_exemplar: bool = True


_OURS = (
    "the paper names neither layers nor rates: networks, rates and the weight of the adversarial loss are those of the "
    "context encoder; the hole is the middle square of half the side, and not a box around each eye"
)


def _rates(discriminator: float) -> dict[str, Adam]:
    return {"discriminator": Adam(discriminator, (0.5, 0.999)), "generator": Adam(10 * discriminator, (0.5, 0.999))}


PAPER = Recipe(
    variant="exgan",
    preset="paper",
    follows="Dolhansky and Canton Ferrer 2018: the reference-based ExGAN on Celeb-ID, about 100,000 photographs of "
    "17,000 persons; 100 epochs of batch 64",
    data="hole:celeb-id/train",
    resolution=128,
    channels=3,
    latent=Latent(1),
    batch=64,
    steps=156_000,
    optimizers=_rates(2e-4),
    settings=Settings(),
    differs=f"{_OURS}; the exemplar is always the same other photograph of the person",
    targets=(
        Target(
            metric="fid",
            value=15.66,
            data="Celeb-ID",
            protocol="of the authors",
            source="Dolhansky and Canton Ferrer 2018, table 1, reference; with other networks than these",
            standing="aspirational",
            recalled=True,
        ),
    ),
)

QUICK = Recipe(
    variant="exgan",
    preset="quick",
    follows="the paper's losses on digits in 1,000 identities, whose colour shows only in the hole and in the exemplar",
    data="hole:identities:train",
    resolution=16,
    channels=3,
    latent=Latent(1),
    batch=32,
    steps=250,
    optimizers=_rates(2e-4),
    settings=Settings(width=32, critic_width=16, bottleneck=128),
    differs=_OURS,
)

VARIANT = Variant(
    name="exgan",
    title="Exemplar GAN",
    paper="Dolhansky and Canton Ferrer 2018, arXiv:1712.03999",
    task="images with a hole filled in after an exemplar",
    model="reference_models.models.exgan:ExGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, QUICK)},
    parameters={"discriminator": 13_936_128, "generator": 71_127_616},
)
