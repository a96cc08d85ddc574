"""Scores of a model while it trains: the extractor is loaded and the reals are read once."""

from collections.abc import Callable, Sequence
from typing import Any

from ganeval.pipeline import FeatureSet, Options, Selection, Setup, compute, extract_set, prepare, select_metrics
from ganeval.progress import Progress, silent
from ganeval.results import Evaluation
from ganeval.settings import Settings
from ganeval.sources import GeneratorSource
from reference_models.base import GAN
from reference_models.data.images import Images
from reference_models.sampling.sampler import Sampler
from reference_models.scoring.dry_run import Counted, obstacles

# Metrics of a score during training, and the number of fakes.
TRAINING_METRICS, TRAINING_SAMPLES = ("fid", "recall", "coverage", "diversity"), 400


def scorer(
    real: object,
    *,
    metrics: Sequence[str] = ("fid",),
    num_samples: int,
    options: Options | None = None,
    progress: Progress = silent,
    **settings: object,
) -> Callable[[GAN], Evaluation]:
    """What scores a model as it trains: the extractor is loaded and the reals are found once, the fakes drawn anew.

    The other arguments are those of `ganeval.evaluate`; the seed draws the same latents each time, so that two scores
    differ by the weights alone. Weights, modes and random states are left as they were.
    """
    chosen = Settings.of({**settings, "num_samples": num_samples})
    asked = select_metrics(metrics, options)
    prepared: list[tuple[Selection, list[Setup], FeatureSet | None]] = []

    def score(model: GAN) -> Evaluation:
        if not prepared:
            prepared.append(prepare(real, [Sampler(model)], asked, chosen)[:3])
        selection, setups, reals = prepared[0]
        fakes = GeneratorSource(Sampler(model), name=model.recipe.variant, num_samples=num_samples, seed=chosen.seed)
        real_set = None if reals is None else extract_set(reals, setups, selection, chosen, progress)[0]
        (fake_set,) = extract_set(FeatureSet(source=fakes), setups, selection, chosen, progress, real=False)
        return compute(selection, setups[0], real_set, fake_set, seed=chosen.seed)

    return score


def training_metrics(setup: Setup, images: Images) -> dict[str, Any]:
    """Metrics and draws of a look at a model while it trains, as far as there are training images enough for them."""
    against = obstacles(select_metrics(TRAINING_METRICS), setup, Counted(len(images)), Counted(TRAINING_SAMPLES))
    return {"metrics": [name for name in TRAINING_METRICS if name not in against], "num_samples": TRAINING_SAMPLES}
