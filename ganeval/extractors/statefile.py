"""Files of named tensors: read without executing code from them, and written atomically."""

import hashlib
import pickle
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ganeval.atomic import atomic_path
from ganeval.devices import one_thread
from ganeval.errors import WeightsError


def load_state(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a file written by `torch.save(model.state_dict())` or by safetensors.

    Args:
        path: The file.

    Returns:
        Tensors by name, and the SHA-256 of the file's bytes.

    Raises:
        WeightsError: The file cannot be read, is empty or damaged, or holds anything other than named tensors.
    """
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            state = _parsed(stream, path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise WeightsError(f"{path} holds no state_dict: expected tensors by name, as model.state_dict() returns them.")
    # Not copied: load_state_dict reads the modules' versions from an attribute of the state_dict.
    return state, sha256


def _parsed(stream: BinaryIO, path: Path) -> object:
    head = stream.read(9)
    stream.seek(0)
    if not head:
        raise WeightsError(f"{path} is empty.")
    try:
        if head[8:] == b"{":
            from safetensors.torch import load

            return load(stream.read())
        with warnings.catch_warnings():
            # Other pickle protocols than torch's own are either readable or refused below.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is damaged, or holds more than tensors: pickled code is refused and was not run. "
            "Save only the model's state_dict()."
        ) from error
    except Exception as error:
        # Damaged bytes surface as nearly any exception of the two parsers.
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise WeightsError(f"{path} is damaged, or no weights file: {reason}") from error


def save_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write `path` as `torch.save` does, for any tool that reads a state_dict; equal tensors make equal bytes.

    Raises WeightsError when the file cannot be written; an existing file is then unchanged.
    """
    try:
        with atomic_path(path) as temporary, temporary.open("xb") as stream:
            torch.save(dict(state), stream)
    except (OSError, RuntimeError) as error:
        # torch's zip writer reports a full disk as a RuntimeError.
        raise WeightsError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error


def check_layout(
    state: Mapping[str, Tensor], layout: Mapping[str, tuple[int, ...]], *, where: str, whole: Collection[str] = ()
) -> None:
    """WeightsError unless `state` has exactly these entries, of these shapes, its parameters floating and finite.

    layout: shapes by name. where: the file, for messages. whole: the names of entries that are whole numbers, such as
    indices; counters of batches are whole numbers, too.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    reshaped = [
        f"{name} is {list(shapes[name])} instead of {list(shape)}"
        for name, shape in layout.items()
        if shapes.get(name, shape) != shape
    ]
    faults = {
        "missing": [name for name in layout if name not in shapes],
        "unexpected": [name for name in shapes if name not in layout],
        "of another shape": reshaped,
    }
    found = [f"{len(names)} {what} ({_first(names)})" for what, names in faults.items() if names]
    if found:
        raise WeightsError(
            f"{where} is of another layout: of its {len(state)} entries (expected {len(layout)}), {', '.join(found)}."
        )
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if tensor.is_floating_point() == (name in whole):
            wanted = "whole numbers" if name in whole else "floats"
            raise WeightsError(f"{where}: {name} holds {str(tensor.dtype).removeprefix('torch.')}, expected {wanted}.")
        if name in whole:
            continue
        with one_thread():
            # A sum with NaN or infinity is not finite; where large values overflow, each one is looked at.
            values = tensor if tensor.dtype.itemsize > 1 else tensor.float()
            finite = bool(values.sum().isfinite()) or bool(values.isfinite().all())
        if not finite:
            raise WeightsError(f"{where}: {name} contains NaN or infinity.")


def check_fits(state: Mapping[str, Tensor], own: Mapping[str, Tensor], *, where: str) -> None:
    """`check_layout` of a network's own state_dict, or of a part of it."""
    whole = [name for name, value in own.items() if not value.is_floating_point()]
    check_layout(state, {name: tuple(value.shape) for name, value in own.items()}, where=where, whole=whole)


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
