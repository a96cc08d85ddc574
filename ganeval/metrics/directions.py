"""Features as directions, for metrics that compare by cosine."""

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import TOO_LARGE
from ganeval.metrics.moments import workable


def unit_rows(features: Tensor, metric: str) -> Tensor:
    """Features [N, D] as unit rows, float32 or float64; MetricError for rows of zeros, and for too large ones."""
    rows = workable(features.detach())
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True, dtype=torch.float64)
    if zeros := int((lengths == 0).sum()):
        raise MetricError(
            f"{zeros} of {len(rows)} images have features of zeros only, which have no direction, but {metric} "
            "compares directions. Leave these images out, or use another extractor."
        )
    if not lengths.isfinite().all():
        raise MetricError(TOO_LARGE)
    unit: Tensor = rows / lengths.to(rows.dtype)
    return unit
