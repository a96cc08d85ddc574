"""Diversity by LPIPS: how far apart two fakes are in the features of a network."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.lpips import LpipsNetwork, feature_distance
from ganeval.metrics.moments import check_features
from ganeval.metrics.random_pairs import FEWEST, Order, mean_of_pairs, square_size
from ganeval.uncertainty import Estimate, normal_interval

# Pairs per batch of the network.
BATCH = 16


def lpips_diversity(
    fake: Tensor, *, network: str | LpipsNetwork = "alex", pairs: int = 1000, seed: int = 0
) -> Estimate:
    """Mean LPIPS between pairs of fakes.

    Reals are not used: compute the same value for reals to know what to expect. StarGAN v2 reports the mean over source
    images of all 45 pairs of the ten outputs for each; that is this function's value for each group of ten with
    ``pairs=45``, and the mean of these. Values at different image sizes or of different networks are not comparable.

    Args:
        fake: Pixels of the generated images on 0..1, ``[N, 3 * S * S]``, channel by channel, of any floating dtype.
        network: A network opened by `ganeval.extractors.open_lpips`. For `ganeval.evaluate` it may be the text that
            this function takes: "alex", "vgg" or "squeeze", and after a colon a file with the weights of the trunk, or
            "untrained".
        pairs: Approximate number of pairs; all pairs if there are not more.
        seed: Seed of the order that pairs images.

    Returns:
        The mean, 0 or more; higher is more diverse, and 0 for copies of one image.

    Raises:
        MetricError: There are fewer than 4 images, ``pairs`` is below 1, they are not square with three channels, are
            too small for the network or have values outside 0..1; or ``network`` has not been opened.

    References:
        Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric"; Choi, Uh, Yoo and
        Ha 2020, "StarGAN v2: Diverse image synthesis for multiple domains".

    Examples:
        >>> import torch
        >>> from ganeval.extractors import open_lpips
        >>> from ganeval.metrics import lpips_diversity
        >>> images = torch.rand(8, 3 * 64 * 64, generator=torch.Generator().manual_seed(0))
        >>> lpips_diversity(images, network=open_lpips("alex:untrained"), pairs=8).value > 0
        True
    """
    check_options(lpips_diversity, locals())
    fake = check_features(fake)
    if len(fake) < FEWEST:
        raise MetricError(f"LPIPS between fakes needs at least {FEWEST} fake images, found {len(fake)}.")
    if pairs < 1:
        raise MetricError(f"LPIPS between fakes needs at least 1 pair, found {pairs}.")
    size = square_size(fake, of="LPIPS")
    if isinstance(network, str):
        raise MetricError(f"The network '{network}' is a name; open it with ganeval.extractors.open_lpips.")

    def compare(first: Order, second: Order) -> NDArray[np.float64]:
        found = []
        for start in range(0, len(first), BATCH):
            one, other = (
                fake[torch.from_numpy(order[start : start + BATCH]).to(fake.device)].float().reshape(-1, 3, size, size)
                for order in (first, second)
            )
            found.append(feature_distance(one * 2 - 1, other * 2 - 1, network).cpu().numpy())
        return np.concatenate(found)

    found = mean_of_pairs(len(fake), pairs, np.random.RandomState(seed), compare)
    error = math.sqrt(found.variance)
    return Estimate(
        found.mean,
        error,
        normal_interval(found.mean, error, minimum=0.0),
        "variance of pairs that may share an image",
        {"pixels": float(size)},
    )


LPIPS_DIVERSITY = Metric(
    title="Mean LPIPS between fakes",
    compute=lpips_diversity,
    real=None,
    fake="images",
    direction="higher",
    source="Zhang et al. 2018",
)
