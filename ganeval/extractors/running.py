"""Runs an extractor on one batch, and holds it to its contract."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ganeval.autocast import autocast
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Extractor, Output
from ganeval.precision import full_precision
from ganeval.sources.base import Batch


def run(extractor: Extractor, batch: Batch, outputs: frozenset[Output]) -> dict[Output, Tensor]:
    """One extractor on one batch, in full precision, independent of what the calling program has switched on.

    Args:
        extractor: Any extractor.
        batch: Images of any mixture of sizes.
        outputs: What to keep.

    Returns:
        float32 [len(batch), D] on the CPU by output, in the batch's order.

    Raises:
        ExtractorError: It gives anything but one row per image.
    """
    # Around the extractor alone: a live generator draws its images as it always does.
    with torch.inference_mode(), full_precision(), autocast(extractor.device, "fp32"):
        prepared = [extractor.prepare(group.images) for group in batch.groups]
        inputs = prepared[0] if len(prepared) == 1 else torch.cat(prepared)
        given = extractor.forward(inputs, outputs)
        arrays = {output: _checked(given, output, extractor, len(batch)) for output in sorted(outputs)}
        if len(batch.groups) == 1:
            return arrays
        order = torch.tensor([row for group in batch.groups for row in group.rows], device="cpu")
        return {output: torch.empty_like(array).index_copy_(0, order, array) for output, array in arrays.items()}


def _checked(given: Mapping[Output, Tensor], output: Output, extractor: Extractor, count: int) -> Tensor:
    """One of an extractor's outputs, float32 [count, D] on the CPU."""
    if output not in given:
        raise ExtractorError(f"{extractor.name} returned no {output}, only {', '.join(sorted(given)) or 'nothing'}.")
    array = given[output]
    if array.ndim != 2 or len(array) != count:
        raise ExtractorError(
            f"{extractor.name} returned {list(array.shape)} as {output} of {count} images; expected one row per image."
        )
    return array.float().cpu()
