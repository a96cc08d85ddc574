"""Features that were extracted elsewhere, given in place of images: `features:FILE`, or `ganeval.Features`.

A file is a .npy of [N, D], a .pt with one tensor [N, D] (torch-fidelity's cache), or a .npz with `features` (or
`arr_0`, or dgm-eval's `reps`, or its only array of two axes). A .npz may also hold `labels` (or `arr_1`), one whole
number per row, `class_names`, the names of classes 0, 1, ..., and `extractor`, the name of the extractor, which
`features:FILE?extractor=NAME` can also give.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import SourceError, UsageError
from ganeval.images import as_tensor
from ganeval.places import Place, RemotePath, place_of
from ganeval.sources.base import Fingerprint, ImageBatch, Reading, ReadReport
from ganeval.sources.files import refuse_pickle
from ganeval.sources.items import choose
from ganeval.sources.labels import Labelling, from_array, with_names
from ganeval.sources.missing import missing
from ganeval.sources.npz import mapped_arrays
from ganeval.sources.pickled import load_tensors
from ganeval.sources.queries import split_options

_ROWS, _LABELS = ("features", "arr_0"), ("labels", "arr_1")
# dgm-eval writes pickled objects next to its features.
_DGM_EVAL = "reps"


class WithoutImages:
    """The source interface for features given in place of images.

    Attributes:
        name: The name in results and messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def item_name(self, index: int) -> str:
        """The row."""
        return f"{self.name}[{index}]"

    def batches(self, reading: Reading, report: ReadReport) -> Generator[ImageBatch]:  # noqa: ARG002, what a source is asked
        """Raises SourceError: there are no images."""
        raise SourceError(f"{self.name} holds features, and not the images they are of, which are needed here.")

    def part(self, number: int, of: int, batch_size: int) -> None:
        """None: there are no images to share out."""

    def fingerprint(self) -> Fingerprint | None:
        """None: these are features already, so nothing is cached."""
        return None

    def digests(self) -> Iterator[bytes]:
        """Empty: there are no images."""
        return iter(())


class Features(WithoutImages):
    """Features of N images, given in place of the images, for every metric that needs only features.

    Args:
        array: A tensor or array [N, D] of finite numbers; float16 and bfloat16 become float32, integers float64.
        labels: The class of every image: whole numbers [N] from 0, one-hot vectors [N, C], or a Labelling.
        name: The name of the set in results and messages.
        extractor: The extractor of the features ("inception", "dinov2"), if it is known. Two sets of different
            extractors are not compared, and features are compared with images only if they name the extractor that is
            used for the images.

    Raises:
        SourceError: The array is not [N, D], or has NaN or infinite values; or the labels are not classes.

    >>> import torch, ganeval
    >>> len(ganeval.Features(torch.zeros(5, 3), extractor="inception"))
    5
    """

    kind = "features"

    def __init__(
        self, array: object, *, labels: object = None, name: str = "features", extractor: str | None = None
    ) -> None:
        super().__init__(name)
        self.extractor = extractor
        self.rows = _checked_rows(array, name)
        self._labelling = _labelling(labels, len(self.rows), name)
        self._subset: dict[str, object] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Sequence[int] | None:
        """One class per image, None where none were given."""
        return self._labelling.labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, unless these are just numbers."""
        return self._labelling.class_names

    def subset(self, num_samples: int | None, *, seed: int) -> "Features":
        """A seeded random subset of the rows, chosen as for a folder of images.

        Args:
            num_samples: Number of rows; None for all.
            seed: Seed of the choice.

        Returns:
            Features of these rows, with their labels.

        Raises:
            UsageError: `num_samples` is not positive.
            SourceError: There are fewer rows.
        """
        if num_samples is None:
            return self
        chosen = choose(len(self), num_samples, seed, name=self.name)
        labels = None if self.labels is None else [self.labels[index] for index in chosen]
        known = replace(self._labelling, labels=labels)
        part = Features(self.rows[torch.tensor(chosen)], labels=known, name=self.name, extractor=self.extractor)
        part._subset = {"num_samples": num_samples, "of": len(self), "seed": seed}
        return part

    def digest(self) -> str:
        """A digest of the values, their dtype and shape."""
        state = blake2b(f"{self.rows.dtype} {list(self.rows.shape)}".encode(), digest_size=32)
        state.update(self.rows.contiguous().numpy().data)
        return state.hexdigest()

    def describe(self) -> dict[str, object]:
        """The extractor, the subset, and where the classes were read from."""
        described: dict[str, object] = {"measured_with": self.extractor, **self._labelling.describe()}
        if self._subset is not None:
            described["subset"] = self._subset
        if self.labels is not None:
            described["classes"] = len(set(self.labels))
        return described


def open_features(rest: str) -> Features:
    """Open `FILE[?extractor=NAME]`; SourceError for a file without features, UsageError for an unknown option."""
    file, asked = split_options("features", rest, ("extractor",))
    path = place_of(file)
    if not path.exists():
        raise missing(path)
    if isinstance(path, RemotePath):
        path.fetch()
    if path.suffix.lower() == ".pt":
        return Features(_tensor(path), name=str(path), extractor=asked.get("extractor"))
    refuse_pickle(path)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise UsageError(
            f"{path}: features come from a .npy of [N, D], a .npz with `features`, or a .pt with one tensor; save them "
            "with numpy.save."
        )
    arrays = mapped_arrays(path, only=(_DGM_EVAL,)) if path.suffix.lower() == ".npz" else {}
    arrays = arrays or mapped_arrays(path)
    rows = arrays[_rows_name(arrays, path)]
    stated = str(arrays["extractor"]) if "extractor" in arrays and arrays["extractor"].ndim == 0 else None
    if stated is not None and asked.get("extractor", stated) != stated:
        raise UsageError(f"{path} says that its features are of '{stated}', and not of '{asked['extractor']}'.")
    labels = _labels_in(arrays, len(rows))
    return Features(rows, labels=labels, name=str(path), extractor=asked.get("extractor", stated))


def _tensor(path: Place) -> Tensor:
    """The one tensor in a file of torch.save; SourceError for anything else, which is not loaded."""
    found = load_tensors(path)
    if not isinstance(found, Tensor):
        raise SourceError(f"{path} must hold one tensor [N, D], found {type(found).__name__}.")
    return found


def _labels_in(arrays: Mapping[str, NDArray[Any]], count: int) -> Labelling:
    """The labels in a file, with the names of the classes, if it has any."""
    key = next((key for key in _LABELS if key in arrays), None)
    if key is None:
        return Labelling()
    names = arrays.get("class_names")
    named = () if names is None or names.dtype.kind != "U" or names.ndim != 1 else tuple(names.tolist())
    return with_names(from_array(arrays[key], count, f"'{key}'"), named)


def _rows_name(arrays: dict[str, np.ndarray], path: Place) -> str:
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
    """Labels as the user gives them, checked; SourceError unless there is one class per row."""
    if labels is None:
        return Labelling()
    if isinstance(labels, Labelling):
        return labels
    found = as_tensor(np.asarray(labels) if isinstance(labels, list | tuple) else labels, where=f"{name}, labels").cpu()
    known = from_array((found.double() if found.is_floating_point() else found).numpy(), count, "labels")
    if known.obstacle is not None:
        raise SourceError(f"{name}: {known.obstacle}.")
    return known
