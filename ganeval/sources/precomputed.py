"""Features that were measured elsewhere, given in the place of images: `features:FILE`, or `ganeval.Features`.

A file is a .npy of [N, D], or a .npz with `features` (or `arr_0`, or its only array of two axes). It may also hold
`labels` (or `arr_1`), one whole number per row, `class_names`, what classes 0, 1, ... are called, and `extractor`, a
text that names what measured them, as does `features:FILE?extractor=NAME`.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import SourceError, UsageError, did_you_mean
from ganeval.images import as_tensor
from ganeval.sources.base import Batch, Fingerprint, Reading, ReadReport
from ganeval.sources.files import refuse_pickle
from ganeval.sources.items import choose
from ganeval.sources.labels import Labelling, from_array, with_names
from ganeval.sources.missing import missing
from ganeval.sources.npz import mapped_arrays

_ROWS, _LABELS = ("features", "arr_0"), ("labels", "arr_1")


class Features:
    """Features [N, D] of N images, in the place of the images, for every metric that looks at nothing else.

    array: a tensor or an array of finite numbers; halves become float32, whole numbers float64. labels: the class of
    every image, whole numbers [N] from 0 or one-hot vectors [N, C], or a Labelling. name: what to call them. extractor:
    what measured them, as far as that is known ("inception", "dinov2"): two sets that name different ones are not
    compared, and features are compared with images only where they name the extractor that measures these.
    Raises SourceError for anything else than such an array and such labels.
    """

    kind = "features"

    def __init__(
        self, array: object, *, labels: object = None, name: str = "features", extractor: str | None = None
    ) -> None:
        self.name, self.extractor = name, extractor
        self.rows = _checked_rows(array, name)
        self._labelling = _labelling(labels, len(self.rows), name)
        self._subset: dict[str, object] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Sequence[int] | None:
        """One class an image, where they were given."""
        return self._labelling.labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the classes are called, where that is not just their number."""
        return self._labelling.class_names

    def subset(self, num_samples: int | None, *, seed: int) -> "Features":
        """A seeded random subset of so many rows, as of a folder of images; all of them for None."""
        if num_samples is None:
            return self
        chosen = choose(len(self), num_samples, seed, name=self.name)
        labels = None if self.labels is None else [self.labels[index] for index in chosen]
        known = replace(self._labelling, labels=labels)
        part = Features(self.rows[torch.tensor(chosen)], labels=known, name=self.name, extractor=self.extractor)
        part._subset = {"num_samples": num_samples, "of": len(self), "seed": seed}
        return part

    def item_name(self, index: int) -> str:
        """The row."""
        return f"{self.name}[{index}]"

    def batches(self, reading: Reading, report: ReadReport) -> Generator[Batch]:  # noqa: ARG002, what a source is asked
        """SourceError: there are no images."""
        raise SourceError(f"{self.name} holds features, and not the images they are of, which are needed here.")

    def fingerprint(self) -> Fingerprint | None:
        """None: there is nothing to keep, they are features already."""
        return None

    def digests(self) -> Iterator[bytes]:
        """None to be had: there are no images."""
        return iter(())

    def digest(self) -> str:
        """Of the numbers, their type and shape."""
        state = blake2b(f"{self.rows.dtype} {list(self.rows.shape)}".encode(), digest_size=32)
        state.update(self.rows.contiguous().numpy().data)
        return state.hexdigest()

    def describe(self) -> dict[str, object]:
        """What they are said to have been measured with, the subset, and where the classes were read."""
        described: dict[str, object] = {"measured_with": self.extractor, **self._labelling.describe()}
        if self._subset is not None:
            described["subset"] = self._subset
        if self.labels is not None:
            described["classes"] = len(set(self.labels))
        return described


def open_features(rest: str) -> Features:
    """`FILE[?extractor=NAME]` => its features; SourceError for a file without any, UsageError for another question."""
    file, _, query = rest.partition("?")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    for key in asked:
        if key != "extractor":
            raise UsageError(f"features:{rest}: unknown option '{key}'; {did_you_mean(key, ('extractor',))}")
    path = Path(file)
    if not path.exists():
        raise missing(path)
    refuse_pickle(path)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise UsageError(
            f"{path}: features come from a .npy of [N, D], or a .npz with `features`; save them with numpy.save."
        )
    arrays = mapped_arrays(path)
    rows = arrays[_rows_name(arrays, path)]
    stated = str(arrays["extractor"]) if "extractor" in arrays and arrays["extractor"].ndim == 0 else None
    if stated is not None and asked.get("extractor", stated) != stated:
        raise UsageError(f"{path} says that its features are of '{stated}', and not of '{asked['extractor']}'.")
    labels = _labels_in(arrays, len(rows))
    return Features(rows, labels=labels, name=str(path), extractor=asked.get("extractor", stated))


def _labels_in(arrays: Mapping[str, NDArray[Any]], count: int) -> Labelling:
    """The classes that a file gives its rows, with their names, if it has any."""
    key = next((key for key in _LABELS if key in arrays), None)
    if key is None:
        return Labelling()
    names = arrays.get("class_names")
    named = () if names is None or names.dtype.kind != "U" or names.ndim != 1 else tuple(names.tolist())
    return with_names(from_array(arrays[key], count, f"'{key}'"), named)


def _rows_name(arrays: dict[str, np.ndarray], path: Path) -> str:
    flat = [key for key, array in arrays.items() if array.ndim == 2 and array.dtype.kind in "biuf"]
    named = [key for key in _ROWS if key in flat]
    if named or len(flat) == 1:
        return (named or flat)[0]
    found = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items()) or "nothing"
    raise SourceError(f"{path} holds no array that is clearly features [N, D]; call it `features`. Found: {found}.")


def _checked_rows(array: object, name: str) -> Tensor:
    rows = as_tensor(array, where=name).cpu()
    if rows.ndim != 2 or 0 in rows.shape:
        raise SourceError(f"{name}: features must be [images, dimensions], found {list(rows.shape)}.")
    if rows.is_complex():
        raise SourceError(f"{name}: features must be real numbers, found {str(rows.dtype).removeprefix('torch.')}.")
    if not rows.is_floating_point():
        rows = rows.double()
    elif rows.dtype not in (torch.float32, torch.float64):
        rows = rows.float()
    bad = int((~rows.isfinite()).any(1).sum())
    if bad:
        raise SourceError(f"{name}: {bad} of {len(rows)} rows contain NaN or infinity.")
    return rows


def _labelling(labels: object, count: int, name: str) -> Labelling:
    """Labels as they were given => their classes; SourceError for what is no class per row."""
    if labels is None:
        return Labelling()
    if isinstance(labels, Labelling):
        return labels
    found = as_tensor(np.asarray(labels) if isinstance(labels, list | tuple) else labels, where=f"{name}, labels").cpu()
    known = from_array((found.double() if found.is_floating_point() else found).numpy(), count, "labels")
    if known.obstacle is not None:
        raise SourceError(f"{name}: {known.obstacle}.")
    return known
