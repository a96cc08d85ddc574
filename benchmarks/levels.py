"""Type I error of classifier two-sample tests at level 5%: correct tests reject in 5% of draws.

For comparison, the common procedure that treats the hits of K-fold cross-validation as a binomial count.
"""

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor

from benchmarks.harness import save, table
from benchmarks.simulated import Setting, Simulated
from ganeval.metrics import METRICS
from ganeval.metrics.classifiers import logistic, scores
from ganeval.metrics.drawn import Drawn

LEVEL = 0.05
SETTING = Setting(300, 24, 250)
FOLDS = 5
TESTS = tuple(name for name in METRICS if name.startswith("c2st_"))
KEYS = ("p_value", "accuracy_p_value")
NAIVE = "logistic regression, hits of 5-fold cross-validation as binomial"


def main(*, runs: int) -> None:
    """The share of p-values at or below 5%, for each test and kind of p-value."""
    torch.set_num_threads(1)
    simulated, draws = Simulated(SETTING.dimensions, "alike"), SETTING.draws * runs
    found: dict[str, dict[str, list[float]]] = {name: {} for name in (*TESTS, NAIVE)}
    for _ in range(draws):
        sides = simulated.draw(SETTING.count)
        for name in TESTS:
            details = simulated.measure(name, sides)[name].details
            for key in set(KEYS) & set(details):
                found[name].setdefault(key, []).append(details[key])
        hits = _cross_validated(*(side.features for side in sides))
        found[NAIVE].setdefault("accuracy_p_value", []).append(float(binom.sf(hits - 1, 2 * SETTING.count, 0.5)))
    shares = {
        name: {key: float((np.array(values) <= LEVEL).mean()) for key, values in by_key.items()}
        for name, by_key in found.items()
    }
    lines = [
        [name, *(f"{by_key[key]:.1%}" if key in by_key else "-" for key in KEYS)] for name, by_key in shares.items()
    ]
    save("levels", {"draws": draws, "shares": shares}, table([f"{SETTING}, {draws} draws", *KEYS], lines))


def _cross_validated(real: Tensor, fake: Tensor) -> int:
    """Hits of K-fold cross-validation."""
    hits = 0
    for fold in range(FOLDS):
        left_out = np.arange(len(real)) % FOLDS == fold
        sides = ((np.flatnonzero(part),) * 2 for part in (~left_out, left_out))
        known, unseen = (Drawn.of(real, fake, side, real[0]) for side in sides)
        told = scores(logistic(), known, unseen, seed=0).reshape(2, -1) > 0.5
        hits += int((~told[0]).sum() + told[1].sum())
    return hits
