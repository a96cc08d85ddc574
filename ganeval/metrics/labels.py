"""Class labels for metrics of labelled sets: checks, and one value per class."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.results import CLASS
from ganeval.uncertainty import share_error

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of two labelled sets, the same ones in both.

    names: int64 [C], class numbers, ascending. real, fake: int64 [N] and [M], for each image the index of its class in
    `names`. words: names of classes that have one, by number.
    """

    names: Labels
    real: Labels
    fake: Labels
    words: Mapping[int, str]

    def details(self, values: NDArray[np.float64]) -> dict[str, float]:
        """Values [C] by class, in the form of `Estimate.details`."""
        called = (_called(name, self.words) for name in self.names)
        return {f"{CLASS}{name}": float(value) for name, value in zip(called, values, strict=True)}


def common_classes(
    real: Tensor,
    fake: Tensor,
    real_labels: Tensor,
    fake_labels: Tensor,
    *,
    metric: str,
    least: int,
    class_names: Mapping[int, str] | None = None,
) -> Classes:
    """The classes of features [N, D] and [M, D] with integer labels [N] and [M].

    metric: the metric's name, for messages. least: minimum number of images per class in both sets. class_names: names
    of classes by number. Raises MetricError for labels that are not one integer per image, fewer than two classes, a
    class of one set that the other lacks, or fewer images.
    """
    words = {} if class_names is None else class_names
    if not isinstance(words, Mapping):
        raise MetricError(
            f"class_names must be names by number of class, as in {{0: 'cat', 1: 'dog'}}, found {type(words).__name__}."
        )
    known, asked = _checked(real, real_labels, "real"), _checked(fake, fake_labels, "fake")
    names = np.unique(known)
    if len(names) < 2:
        raise MetricError(f"{metric} needs at least 2 classes, but all reals are of class {_called(names[0], words)}.")
    _check_missing(known, asked, f"{metric} needs fakes of every class of the reals", words)
    _check_missing(asked, known, f"{metric} needs reals of every class of the fakes", words)
    places = np.searchsorted(names, known), np.searchsorted(names, asked)
    for place, side in zip(places, ("real", "fake"), strict=True):
        counts = np.bincount(place, minlength=len(names))
        if counts.min() < least:
            raise MetricError(
                f"{metric} needs at least {least} {side} images of every class, found {counts.min()} of class "
                f"{_called(names[counts.argmin()], words)}. Use more images, or leave this class out of both sets."
            )
    return Classes(names, *places, words)


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of hits in each class. values: float64 [C]. counts: int64 [C], images."""

    values: NDArray[np.float64]
    counts: Labels

    @classmethod
    def of(cls, hits: NDArray[np.bool_], places: Labels) -> "Shares":
        """hits: [N]; places: the class of each image, 0 to C - 1, none of them empty."""
        counts = np.bincount(places)
        return cls(np.bincount(places, weights=hits) / counts, counts)

    @property
    def mean(self) -> float:
        """The mean over classes, with equal weights."""
        return float(self.values.mean())

    @property
    def variance(self) -> float:
        """The variance of that mean over draws of equally many images per class; unbiased for 2 or more."""
        each = self.values * (1 - self.values) / (self.counts - 1)
        return float(each.sum()) / len(self.counts) ** 2

    def error(self, *, learned: float = 0.0) -> float:
        """The standard error of that mean. learned: the part of its variance due to the training set.

        It is at least the change of the mean by one miss, as it may be by chance that all are hits.
        """
        return share_error(math.sqrt(self.variance + learned), int(self.counts.sum()))


def influence(hits: NDArray[np.bool_], places: Labels) -> NDArray[np.float64]:
    """[N], by class: the contribution of each image to the mean of shares; its squared length is `Shares.variance`."""
    shares = Shares.of(hits, places)
    scale = np.sqrt(shares.counts * (shares.counts - 1.0)) * len(shares.counts)
    return np.asarray((hits - shares.values[places]) / scale[places])


def by_class(features: Tensor, places: Labels) -> Iterator[Tensor]:
    """The rows [N, D] of each class in their order, a class at a time."""
    at = torch.from_numpy(places).to(features.device)
    return (features[at == place] for place in range(int(places.max()) + 1))


def _checked(features: Tensor, labels: object, side: str) -> Labels:
    if not isinstance(labels, Tensor):
        raise MetricError(
            f"Labels must be an integer tensor [images], found {type(labels).__name__} for the {side} images; convert "
            "arrays and lists with torch.as_tensor(labels)."
        )
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not whole or labels.shape != (len(features),):
        raise MetricError(
            f"Labels must be one integer per image; for {len(features)} {side} images found {labels.dtype} of shape "
            f"{list(labels.shape)}."
        )
    return np.asarray(labels.detach().cpu().numpy(), dtype=np.int64)


def _called(number: np.int64, words: Mapping[int, str]) -> str:
    return words.get(int(number), str(number))


def _check_missing(wanted: Labels, there: Labels, need: str, words: Mapping[int, str]) -> None:
    missing = np.setdiff1d(wanted, there)
    if len(missing):
        shown = ", ".join(_called(number, words) for number in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise MetricError(
            f"{need}, found none of {len(missing)} (class {shown}). Use more images, or leave these classes out of "
            "both sets."
        )
