"""The digest of a module: equal only for modules that make the same numbers."""

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

    None where that does not say what it computes: it holds what has no lasting form (a lambda, an open file,
    TorchScript), or its class is in no file (a notebook). Other files that these import are not looked at.
    """
    digest = hashlib.sha256()
    try:
        files = {inspect.getsourcefile(type(one)) for one in module.modules()}
        for file in sorted(str(file) for file in files):
            digest.update(Path(file).read_bytes())
        stream = BytesIO()
        _Pickler(stream, protocol=4).dump(module)
    # RuntimeErrors are torch's, of what it cannot pickle or copy.
    except (OSError, TypeError, AttributeError, ValueError, RuntimeError, pickle.PicklingError):
        return None
    digest.update(stream.getvalue())
    return digest.hexdigest()


class _Pickler(pickle.Pickler):
    """Tensors by their values, wherever they lie in memory."""

    def persistent_id(self, obj: object) -> tuple[object, ...] | None:
        """What stands for a tensor; None for everything else, which is pickled."""
        if not isinstance(obj, Tensor):
            return None
        values = obj.detach().cpu().contiguous().flatten().view(torch.uint8)
        return str(obj.dtype), tuple(obj.shape), sys.byteorder, hashlib.sha256(values.numpy().data).hexdigest()
