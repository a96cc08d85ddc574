"""Leave-one-out 1-nearest-neighbour accuracy: how often an image's nearest neighbour is of its own set.

0.5 where the sets are alike (to be exact (n - 1) / (2 n - 1), since an image is not its own neighbour), 1 where they
keep apart, and *below* 0.5 where fakes are nearer to reals than reals are to one another: memorised images.

The images are not independent tests: two that are each other's nearest neighbour are right or wrong together, and the
count of hits is more spread than a binomial one (Schilling 1986; Henze 1988). For sets that are alike every labelling
of the pooled images is as likely as any other and leaves the graph of neighbours as it is; so labels are shuffled
on the fixed graph, and the p-value is exact. The images are pooled in a seeded random order, so that ties of distance
go to either set alike.

The standard error sums the products of all pairs of results that share an image, about the accuracies of the two
sets: hits have in common only the images at both ends. In simulations it was right to 15%, from two dimensions to 64.

Sources: Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests"; Xu et al. 2018, "An empirical study on
evaluation metrics of generative adversarial networks".
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.c2st import accuracy_error, balance_notes, balanced, check_sides
from ganeval.neighbours import nearest_others
from ganeval.uncertainty import Estimate, share_interval

# Labellings judged at once: bounds memory at this many bytes an image.
BLOCK = 50
SURE = 0.05


def c2st_1nn(real: Tensor, fake: Tensor, *, permutations: int = 1000, seed: int = 0) -> Estimate:
    """Leave-one-out 1-NN accuracy of features [N, D] and [M, D], Euclidean, as they are.

    The larger set is cut down to the smaller by `seed`. permutations: labellings drawn for the p-value, which is at
    least 1 / (permutations + 1). details: "p_value" for an accuracy as high, "p_value_below" for one as low, and both
    sets' accuracies: few hits among the fakes say that they sit on reals. Raises MetricError for fewer than 2 images of
    a set or 1 permutation, mismatched dimensions, or features that are not finite.
    """
    real, fake = check_sides(real, fake, least=2, why="one to judge, one to compare it with")
    if permutations < 1:
        raise MetricError(f"A permutation test needs at least 1 permutation, found {permutations}; 1000 are usual.")
    rng = np.random.RandomState(seed)
    chosen = [torch.from_numpy(part).to(real.device) for part in balanced(len(real), len(fake), rng)]
    count = len(chosen[0])
    order = rng.permutation(2 * count)
    pool = torch.cat([real[chosen[0]], fake.to(real.device)[chosen[1]]])[torch.from_numpy(order).to(real.device)]
    is_fake = order >= count
    nearest = nearest_others(Rows(pool)).indices[:, 0].cpu().numpy()
    hits = is_fake[nearest] == is_fake
    shares = (float(hits[~is_fake].mean()), float(hits[is_fake].mean()))
    value, error = float(hits.mean()), _error(hits, is_fake, nearest, shares)
    above, below = _p_values(is_fake, nearest, int(hits.sum()), permutations, rng)
    return Estimate(
        value,
        error,
        share_interval(value, error, 2 * count),
        f"leave-one-out; pairs that share an image; p-value of {permutations} permutations on the graph of neighbours",
        {"p_value": above, "p_value_below": below, "accuracy_real": shares[0], "accuracy_fake": shares[1]},
        (*balance_notes(len(real), len(fake)), *_memory_notes(value, below)),
    )


def _error(
    hits: NDArray[np.bool_], is_fake: NDArray[np.bool_], nearest: NDArray[np.int64], shares: tuple[float, float]
) -> float:
    count = len(hits)
    residual: NDArray[np.float64] = hits - np.where(is_fake, shares[1], shares[0])
    # Products of results at one image, summed over images, count a result's own square twice, and mutual pairs too.
    at_image = residual + np.bincount(nearest, residual, count)
    mutual = nearest[nearest] == np.arange(count)
    twice = (residual**2).sum() + (residual * residual[nearest])[mutual].sum()
    variance = float((at_image**2).sum() - twice) / count**2
    return math.sqrt(max(variance, accuracy_error(shares, count // 2) ** 2))


def _p_values(
    is_fake: NDArray[np.bool_], nearest: NDArray[np.int64], hits: int, permutations: int, rng: np.random.RandomState
) -> tuple[float, float]:
    """How often shuffled labels have as many hits or more, and as many or fewer; the labels at hand count as one."""
    above = below = 1
    for start in range(0, permutations, BLOCK):
        labels = np.stack([rng.permutation(is_fake) for _ in range(min(BLOCK, permutations - start))], axis=1)
        found = (labels[nearest] == labels).sum(0)
        above += int((found >= hits).sum())
        below += int((found <= hits).sum())
    return above / (permutations + 1), below / (permutations + 1)


def _memory_notes(value: float, below: float) -> tuple[str, ...]:
    if below > SURE:
        return ()
    return (
        f"An accuracy of {value:.3f} is lower than that of sets that are alike (p = {below:.2g}): fakes and reals are "
        "nearer to each other than to their own kind, as copies of the reals would be.",
    )
