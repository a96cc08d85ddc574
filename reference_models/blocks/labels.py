"""Select the labels that a semi-supervised model uses."""

import torch
from torch import Tensor

from ganeval.errors import UsageError


def balanced(labels: Tensor, count: int, *, seed: int) -> Tensor:
    """A seeded choice of `count` rows with equally many of each class, up to one: int64 [count], on the CPU.

    Raises UsageError for fewer labels than classes, and for a class with too few images.
    """
    found = labels.cpu()
    classes = torch.unique(found).tolist()
    if count < len(classes):
        raise UsageError(
            f"labelled is {count}, and there are {len(classes)} classes; choose {len(classes)} or more, so that every "
            "class has a label (--set labelled=... on the command line)."
        )
    rng = torch.Generator().manual_seed(seed)
    more = set(torch.randperm(len(classes), generator=rng)[: count % len(classes)].tolist())
    rows = []
    for place, label in enumerate(classes):
        own = (found == label).nonzero().flatten()
        wanted = count // len(classes) + (place in more)
        if wanted > len(own):
            raise UsageError(
                f"labelled is {count}, which needs {wanted} images of class {label} (counted from 0), but there are "
                f"{len(own)}; choose fewer labels, or give more images."
            )
        rows.append(own[torch.randperm(len(own), generator=rng)[:wanted]])
    return torch.cat(rows)
