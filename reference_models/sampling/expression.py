"""Arithmetic with latents, written as text."""

from torch import Tensor

from reference_models.sampling.interpolation import arithmetic, parse_arithmetic
from reference_models.sampling.sampler import Sampler


def latent_arithmetic(
    sampler: Sampler, expression: str, *, seed: int, label: int | None = None
) -> tuple[Tensor, tuple[str, ...], int]:
    """Add and subtract mean latents of samples, as in Radford et al. 2015, figure 7.

    One row per term: its samples, and last the image of their mean latent. The row below has the image of the result,
    and images of latents near it.

    Args:
        sampler: The model.
        expression: Numbers of samples: "0,3-1,2+4,8" is the mean latent of samples 0 and 3, minus that of 1 and 2,
            plus that of 4 and 8.
        seed: Seed of the samples.
        label: The class of all of them; None for a model that is not conditional.

    Returns:
        Images, uint8 ``[N, 3, H, W]``; a caption for each; the number of images per row.

    Raises:
        UsageError: The expression cannot be read, or the model does not have this class.
    """
    return arithmetic(sampler, parse_arithmetic(expression), seed=seed, label=label)
