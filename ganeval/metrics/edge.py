"""Distance of the Sobel gradients of image pairs."""

from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import PairMetric
from ganeval.metrics.image_pairs import PEAK, check_pairs, means


def edge(real: Tensor, fake: Tensor) -> Tensor:
    """Mean distance between the gradients of each pair: how far its edges differ in strength, place and direction.

    With the gradient g by Sobel's 3 x 3 filters divided by 8 (the change of the value per pixel), on 0..1::

        edge = mean |g(real) - g(fake)| over all inner pixels and channels

    where ``|.|`` is the Euclidean length. A constant offset does not change it.

    Args:
        real: The real images, ``[N, C, H, W]`` with 1 or 3 channels, uint8 or floats on 0..1.
        fake: The image that belongs to each, of the same shape.

    Returns:
        float64 ``[N]``, 0 or more, lower is better; 0 for images with the same edges.

    Raises:
        MetricError: The shapes or values are not those of image pairs, or the images are smaller than 3 x 3.

    References:
        Sobel's filters; OpenCV uses them without the factor 1/8, scikit-image with 1/4.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import edge
        >>> ramp = torch.arange(8, dtype=torch.uint8).expand(1, 3, 8, 8) * 5
        >>> flat = torch.zeros_like(ramp)
        >>> round(edge(ramp, flat).item() * 255, 6)
        5.0
    """
    real, fake = check_pairs(real, fake)
    height, width = real.shape[2:]
    if min(height, width) < 3:
        raise MetricError(f"Gradients need images of at least 3 x 3 pixels, found {width} x {height}.")
    # The filters are linear: the difference of gradients is the gradient of the difference.
    across, down = _gradients(real - fake)
    return means((across.square() + down.square()).sqrt()) / PEAK


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's filters, divided by 8, of images [..., H, W] at the inner pixels."""
    smooth_down = images[..., :-2, :] + 2 * images[..., 1:-1, :] + images[..., 2:, :]
    smooth_across = images[..., :-2] + 2 * images[..., 1:-1] + images[..., 2:]
    return (
        (smooth_down[..., 2:] - smooth_down[..., :-2]) / 8,
        (smooth_across[..., 2:, :] - smooth_across[..., :-2, :]) / 8,
    )


EDGE = PairMetric(title="Distance of Sobel gradients, on 0..1", compute=edge, direction="lower", source="")
