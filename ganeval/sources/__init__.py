"""Where images come from. `open_source` understands every way to say it; importing this module imports no torch."""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ganeval.errors import SourceError, UsageError, did_you_mean

if TYPE_CHECKING:
    from ganeval.sources.base import Source
    from ganeval.sources.items import Items

Opener = Callable[[str], object]


def _digits(rest: str) -> object:
    from ganeval.sources.datasets import digits

    return digits(rest)


SCHEMES: Mapping[str, Opener] = MappingProxyType({"digits": _digits})


def open_source(
    spec: object,
    *,
    num_samples: int | None = None,
    seed: int = 0,
    schemes: Mapping[str, Opener] | None = None,
) -> "Source":
    """The images a spec stands for.

    spec: a path (a folder, .zip, .tar, .npz, .npy), "scheme:rest" (one of `SCHEMES`, or of `schemes`), or an object: a
        tensor or array of uint8 images, a torch Dataset or DataLoader, a live generator, an iterable of batches, or a
        Source.
    num_samples: how many images to take: a random subset by `seed` of what has indices, the first ones of a stream, and
        how many to draw from a live generator.
    Raises UsageError for a spec that cannot be understood, SourceError for images that cannot be had.
    """
    if not isinstance(spec, str | Path):
        return _finish(spec, name=type(spec).__name__, num_samples=num_samples, seed=seed)
    text = str(spec)
    openers = {**SCHEMES, **(schemes or {})}
    scheme, colon, rest = text.partition(":")
    if isinstance(spec, str) and colon and scheme in openers:
        opened = openers[scheme](rest)
    elif isinstance(spec, str) and colon and not Path(text).exists() and scheme.isidentifier():
        raise UsageError(f"'{text}': unknown kind of source '{scheme}:'; {did_you_mean(scheme, sorted(openers))}")
    else:
        opened = _open_path(text)
    return _finish(opened, name=text, num_samples=num_samples, seed=seed)


def _finish(opened: object, *, name: str, num_samples: int | None, seed: int) -> "Source":
    import numpy as np
    from torch import Tensor

    from ganeval.sources.arrays import ArrayItems
    from ganeval.sources.base import Source
    from ganeval.sources.items import Items, ItemSource

    if isinstance(opened, Items):
        return ItemSource(opened, name=name, num_samples=num_samples, seed=seed)
    if isinstance(opened, Source):
        if num_samples is not None:
            raise UsageError(f"{name} is an open source already; num_samples must be given when it is opened.")
        return opened
    if isinstance(opened, Tensor | np.ndarray):
        kind = "tensor" if isinstance(opened, Tensor) else "array"
        return ItemSource(ArrayItems(opened, name=kind, kind=kind), name=name, num_samples=num_samples, seed=seed)
    raise UsageError(f"{name}: images cannot be read from an object of type {type(opened).__name__}.")


def _open_path(text: str) -> "Items":
    path = Path(text)
    if path.is_dir():
        from ganeval.sources.folder import FolderItems

        return FolderItems(path)
    if not path.exists():
        raise _missing(path)
    raise UsageError(f"{text} is no folder.")


def _missing(path: Path) -> SourceError:
    """The error for a path that is not there, with the nearest name that is."""
    whole = path.absolute()
    parent = next(folder for folder in whole.parents if folder.is_dir())
    wanted = whole.relative_to(parent).parts[0]
    near = difflib.get_close_matches(wanted, [entry.name for entry in parent.iterdir()], n=1)
    hint = f" Did you mean {parent / near[0]}?" if near else f" {parent} exists, but '{wanted}' in it does not."
    return SourceError(f"{whole} does not exist.{hint}")
