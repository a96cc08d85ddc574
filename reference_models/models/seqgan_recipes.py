"""SeqGAN (Yu et al. 2017): a generator of token sequences that learns by policy gradient."""

from dataclasses import dataclass, field
from typing import Literal

from reference_models.recipes import MAY_BE_ZERO, Adam, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """embedding, hidden: sizes of the generator's LSTM. deviation: of its initial weights. clip: of its gradient norms.

    discriminator_embedding: size of its embedding. filters: its convolutions of width 1; those of other widths are
    multiples, and widths beyond the length of the sequences are left out. dropout: share of its features that are
    dropped. l2: weight of the penalty on its output layer.
    likelihood, pretraining, adversarial: lengths of the three phases in steps, for a run of this many steps in total;
    in a run of another length they keep their shares. discriminator_updates: per step of the third phase.
    rollouts: completions per prefix of a sequence. lag: share of the roll-out network's weights that is kept at each
        update.
    reward: "discriminator", or for comparison "constant" (1/2) or "random" (uniform in [0, 1), for every token).
    """

    embedding: int = 32
    hidden: int = 32
    deviation: float = 0.1
    clip: float = 5.0
    discriminator_embedding: int = 64
    filters: int = 100
    dropout: float = field(default=0.25, metadata=MAY_BE_ZERO)
    l2: float = field(default=0.2, metadata=MAY_BE_ZERO)
    likelihood: int = 18_720
    pretraining: int = field(default=23_400, metadata=MAY_BE_ZERO)
    adversarial: int = field(default=200, metadata=MAY_BE_ZERO)
    discriminator_updates: int = 2_340
    rollouts: int = 16
    lag: float = field(default=0.8, metadata=MAY_BE_ZERO)
    reward: Literal["discriminator", "constant", "random"] = "discriminator"


PAPER = Recipe(
    variant="seqgan",
    preset="paper",
    follows="Yu et al. 2017, synthetic data, and the authors' code (LantaoYu/SeqGAN)",
    data="oracle:5000,20,10000",
    resolution=1,
    channels=1,
    latent=Latent(20, "uniform", (0.0, 1.0)),
    batch=64,
    steps=42_320,
    optimizers={"likelihood": Adam(1e-2), "discriminator": Adam(1e-4), "generator": Adam(1e-2)},
    settings=Settings(),
    differs=(
        "the discriminator's batches have 64 reals and 64 new fakes, the authors' 64 sequences of 10,000 reals and "
        "10,000 fakes that are drawn anew every three epochs; in a round the discriminator is updated before the "
        "generator, in the authors' code after it; the roll-out network lags behind the generator as in the paper, "
        "whereas the authors' code computes its update but never uses it"
    ),
    targets=(
        Target(
            metric="nll_oracle",
            value=8.736,
            data="the authors' oracle",
            protocol="mean per token, at alpha 1",
            source="Yu et al. 2017, table 1, as others quote it",
        ),
    ),
)

QUICK = Recipe(
    variant="seqgan",
    preset="quick",
    follows="the paper's losses and phases, at sizes that learn an oracle of 100 tokens in seconds",
    data="oracle:100,12,10000",
    resolution=1,
    channels=1,
    latent=Latent(12, "uniform", (0.0, 1.0)),
    batch=64,
    steps=750,
    optimizers={"likelihood": Adam(1e-2), "discriminator": Adam(1e-3), "generator": Adam(1e-3)},
    settings=Settings(
        discriminator_embedding=16,
        filters=10,
        l2=0.01,
        likelihood=600,
        pretraining=100,
        adversarial=50,
        discriminator_updates=5,
        rollouts=4,
    ),
)

VARIANT = Variant(
    name="seqgan",
    title="Sequence GAN",
    paper="Yu et al. 2017, arXiv:1609.05473",
    task="sequences",
    model="reference_models.models.seqgan:SeqGAN",
    recipes={recipe.preset: recipe for recipe in (PAPER, QUICK)},
    parameters={"likelihood": 333_320, "discriminator": 7_045_402, "generator": 333_320},
)
