"""Features as directions, for metrics that compare by cosine."""

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import TOO_LARGE, pieces
from ganeval.metrics.moments import workable
from ganeval.spool import spooled


def unit_rows(features: Tensor, metric: str) -> Tensor:
    """Features [N, D] as unit rows, float32 or float64; MetricError for rows that are zero or too large."""
    parts = list(pieces(features.detach()))
    norms = (torch.linalg.vector_norm(workable(part), dim=1, keepdim=True, dtype=torch.float64) for part in parts)
    lengths = torch.cat(list(norms))
    if zeros := int((lengths == 0).sum()):
        raise MetricError(
            f"{zeros} of {len(features)} images have features of zeros only, which have no direction, but {metric} "
            "compares directions. Leave these images out, or use another extractor."
        )
    if not lengths.isfinite().all():
        raise MetricError(TOO_LARGE)
    pairs = zip(map(workable, parts), pieces(lengths), strict=True)
    return spooled((part / length.to(part.dtype) for part, length in pairs), len(features))
