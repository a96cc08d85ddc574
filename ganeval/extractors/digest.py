"""The digest of a module: equal only for modules that compute the same numbers."""

import hashlib
import inspect
import pickle
import sys
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn


def digest_of(module: nn.Module) -> str | None:
    """SHA-256 of a module's parameters, buffers and attributes, and of the files that its classes are written in.

    None if these do not determine what it computes: it holds an object that cannot be pickled (a lambda, an open file,
    TorchScript), or its class is not in a file (a notebook). Files that these files import are not included.
    """
    digest = hashlib.sha256()
    try:
        files = {inspect.getsourcefile(type(one)) for one in module.modules()}
        for file in sorted(str(file) for file in files):
            digest.update(Path(file).read_bytes())
        stream = BytesIO()
        _Pickler(stream, protocol=4).dump(module)
    # torch raises RuntimeError for objects that it cannot pickle or copy.
    except (OSError, TypeError, AttributeError, ValueError, RuntimeError, pickle.PicklingError):
        return None
    digest.update(stream.getvalue())
    return digest.hexdigest()


class _Pickler(pickle.Pickler):
    """Pickles tensors by value, independent of their place in memory."""

    def persistent_id(self, obj: object) -> tuple[object, ...] | None:
        """What represents a tensor in the pickle; None for other objects, which are pickled as usual."""
        if not isinstance(obj, Tensor):
            return None
        values = obj.detach().cpu().contiguous().flatten().view(torch.uint8)
        return str(obj.dtype), tuple(obj.shape), sys.byteorder, hashlib.sha256(values.numpy().data).hexdigest()
