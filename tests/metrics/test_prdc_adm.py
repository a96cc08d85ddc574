"""ADM's float16 precision and recall, restated from openai/guided-diffusion's evaluator, compared with ours."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ganeval.metrics.prdc import prdc

Floats = NDArray[np.floating]
Distances = Callable[[Floats, Floats], Floats]


def half_precision(left: Floats, right: Floats) -> Floats:
    """Squared distances of `_batch_pairwise_distances` in float16, for hardware that sums in float32."""
    left, right = left.astype(np.float16), right.astype(np.float16)
    norms = [np.square(side).astype(np.float32).sum(1).astype(np.float16) for side in (left, right)]
    products = (left.astype(np.float32) @ right.astype(np.float32).T).astype(np.float16)
    return np.maximum(norms[0][:, None] - np.float16(2) * products + norms[1][None], 0)


def exact(left: Floats, right: Floats) -> Floats:
    """Squared distances in float64."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    return np.square(left).sum(1)[:, None] - 2 * left @ right.T + np.square(right).sum(1)[None]


def by_adm(real: Floats, fake: Floats, distances: Distances) -> tuple[float, float]:
    """ManifoldEstimator.evaluate_pr with 3 neighbours."""
    of_real, of_fake = (np.partition(distances(side, side), 3, axis=1)[:, 3] for side in (real, fake))
    between = distances(real, fake)
    return float((between <= of_real[:, None]).any(0).mean()), float((between <= of_fake[None]).any(1).mean())


def test_ours_is_adms_rule_in_float64_and_float16_moves_it() -> None:
    """As `ganeval protocols` says, the rule without rounding is ours, and rounding moves it by up to 0.015."""
    rng = np.random.RandomState(0)
    real, fake = (np.abs(rng.randn(500, 2048) * scale).astype(np.float32) for scale in (0.3494, 0.3528))
    given = prdc(torch.from_numpy(real), torch.from_numpy(fake), k=3, ties="inclusive")
    ours = given["precision"].value, given["recall"].value
    assert ours == by_adm(real, fake, exact)
    moved = np.abs(np.subtract(by_adm(real, fake, half_precision), ours))
    assert 0.003 < moved.max() <= 0.015
