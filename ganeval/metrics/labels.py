"""Classes of images, as metrics of labelled sets need them: checked, and one value a class."""

import math
from collections.abc import Mapping
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

    names: int64 [C], ascending. real, fake: int64 [N] and [M], for each image the place of its class among the names.
    words: what classes are called where not by their number.
    """

    names: Labels
    real: Labels
    fake: Labels
    words: Mapping[int, str]

    def details(self, values: NDArray[np.float64]) -> dict[str, float]:
        """Values [C] by class, as `Estimate.details` has them."""
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
    """The classes of features [N, D] and [M, D] with labels int64 [N] and [M].

    metric: what asks, for the messages. least: images of every class in both sets. class_names: what some of the
    numbers stand for. Raises MetricError for labels that are not one whole number an image, fewer than two classes,
    classes of one set that the other lacks, or fewer images.
    """
    words = class_names or {}
    known, asked = _checked(real, real_labels, "real"), _checked(fake, fake_labels, "fake")
    names = np.unique(known)
    if len(names) < 2:
        raise MetricError(f"{metric} needs at least 2 classes, and all reals are of class {_called(names[0], words)}.")
    _check_missing(known, asked, f"{metric} needs fakes of every class of the reals", words)
    _check_missing(asked, known, f"{metric} needs reals of every class of the fakes", words)
    places = np.searchsorted(names, known), np.searchsorted(names, asked)
    for place, side in zip(places, ("real", "fake"), strict=True):
        counts = np.bincount(place, minlength=len(names))
        if counts.min() < least:
            raise MetricError(
                f"{metric} needs at least {least} {side} images of every class, found {counts.min()} of class "
                f"{_called(names[counts.argmin()], words)}. Take more images, or leave this class out of both sets."
            )
    return Classes(names, *places, words)


@dataclass(frozen=True, slots=True)
class Shares:
    """How often something is so, by class. values: float64 [C]. counts: int64 [C], images."""

    values: NDArray[np.float64]
    counts: Labels

    @classmethod
    def of(cls, hits: NDArray[np.bool_], places: Labels) -> "Shares":
        """hits: [N]; places: each image's class, 0 to C - 1, none of them empty."""
        counts = np.bincount(places)
        return cls(np.bincount(places, weights=hits) / counts, counts)

    @property
    def mean(self) -> float:
        """Of the classes, each counting alike."""
        return float(self.values.mean())

    @property
    def variance(self) -> float:
        """Of that mean, over draws of as many images a class; unbiased, for 2 images a class and more."""
        each = self.values * (1 - self.values) / (self.counts - 1)
        return float(each.sum()) / len(self.counts) ** 2

    def error(self, *, learned: float = 0.0) -> float:
        """The standard error of that mean. learned: its variance because of what was learned from.

        It is never below what one miss in an image of any class moves the mean by: all hits were not certain to be.
        """
        return share_error(math.sqrt(self.variance + learned), int(self.counts.sum()))


def influence(hits: NDArray[np.bool_], places: Labels) -> NDArray[np.float64]:
    """[N], by class: what each image adds to the mean of shares, of length `Shares.variance` squared."""
    shares = Shares.of(hits, places)
    scale = np.sqrt(shares.counts * (shares.counts - 1.0)) * len(shares.counts)
    return np.asarray((hits - shares.values[places]) / scale[places])


def by_class(features: Tensor, places: Labels) -> Mapping[int, Tensor]:
    """Rows [N, D] of each class, in their order."""
    at = torch.from_numpy(places).to(features.device)
    return {place: features[at == place] for place in range(int(places.max()) + 1)}


def _checked(features: Tensor, labels: Tensor, side: str) -> Labels:
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not whole or labels.shape != (len(features),):
        raise MetricError(
            f"Labels must be one whole number an image; for {len(features)} {side} images found {labels.dtype} of "
            f"shape {list(labels.shape)}."
        )
    return np.asarray(labels.detach().cpu().numpy(), dtype=np.int64)


def _called(number: np.int64, words: Mapping[int, str]) -> str:
    return words.get(int(number), str(number))


def _check_missing(wanted: Labels, there: Labels, need: str, words: Mapping[int, str]) -> None:
    missing = np.setdiff1d(wanted, there)
    if len(missing):
        shown = ", ".join(_called(number, words) for number in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise MetricError(
            f"{need}, and there are none of {len(missing)} (class {shown}). Take more images, or leave these classes "
            "out of both sets."
        )
