"""LPIPS of image pairs: a weighted distance between the features of a network."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import PairMetric, check_options
from ganeval.metrics.image_pairs import PEAK, check_pairs
from ganeval.precision import full_precision

# Added to the length of a feature vector, as in the published code.
EPSILON = 1e-10


class LpipsNetwork(Protocol):
    """A network whose layers are compared, as `ganeval.extractors.open_lpips` opens it."""

    @property
    def heads(self) -> Sequence[Tensor]:
        """The weights of the channels of each layer, ``[C]``."""
        ...

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """The features of each layer, ``[N, C, h, w]``.

        Args:
            images: float32 ``[N, 3, H, W]`` on -1..1.

        Returns:
            One tensor per layer.
        """
        ...


def lpips(real: Tensor, fake: Tensor, *, network: str | LpipsNetwork = "alex") -> Tensor:
    """Learned perceptual image patch similarity of each pair: a distance of features.

    With f the features of layer l at a position, divided by their length, and w the weights of its channels::

        LPIPS = sum over l of the mean over places of sum_c w_c (f_c(real) - f_c(fake))^2

    Args:
        real: The real images, ``[N, C, H, W]`` with 1 or 3 channels, uint8 or floats on 0..1.
        fake: The image that belongs to each, of the same shape.
        network: A network opened by `ganeval.extractors.open_lpips`. For `ganeval.evaluate_pairs` it may be the text
            that this function takes: "alex", "vgg" or "squeeze", and after a colon a file with the weights of the
            trunk, or "untrained".

    Returns:
        float64 ``[N]``, 0 or more, lower is better; 0 for equal images.

    Raises:
        MetricError: The shapes or values are not those of image pairs, the images are too small for the network, or
            ``network`` has not been opened.

    References:
        Zhang, Isola, Efros, Shechtman and Wang 2018, "The unreasonable effectiveness of deep features as a perceptual
        metric", with the heads of version 0.1, as the package lpips 0.1.4 has them.

    Examples:
        >>> import torch
        >>> from ganeval.extractors import open_lpips
        >>> from ganeval.metrics import lpips
        >>> real = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        >>> network = open_lpips("alex:untrained")
        >>> lpips(real, real, network=network).item(), lpips(real, 1 - real, network=network).item() > 0
        (0.0, True)
    """
    check_options(lpips, locals())
    if isinstance(network, str):
        raise MetricError(f"The network '{network}' is a name; open it with ganeval.extractors.open_lpips.")
    one, other = (images / PEAK * 2 - 1 for images in check_pairs(real, fake))
    return feature_distance(one.float(), other.float(), network)


def feature_distance(one: Tensor, other: Tensor, network: LpipsNetwork) -> Tensor:
    """LPIPS of float32 images [N, 1 or 3, H, W] on -1..1, which may leave this range: float64 [N]."""
    sides = []
    for images in (one, other):
        scaled = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        try:
            with torch.no_grad(), full_precision(), torch.autocast(images.device.type, enabled=False):
                sides.append(network(scaled))
        except RuntimeError as error:
            if "too small" not in str(error) and "Kernel size" not in str(error):
                raise
            height, width = images.shape[2:]
            raise MetricError(f"Images of {width} x {height} pixels are too small for the network of LPIPS.") from error
    total = torch.zeros(len(one), dtype=torch.float64, device=one.device)
    for first, second, weights in zip(*sides, network.heads, strict=True):
        squares = (_unit(first) - _unit(second)).double().square()
        total += (squares * weights.double().reshape(1, -1, 1, 1)).sum(1).mean((1, 2))
    return total


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + EPSILON)


LPIPS = PairMetric(title="LPIPS", compute=lpips, direction="lower", source="Zhang et al. 2018")
