"""Images by name: fakes with their nearest reals, and most discriminable images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import Tensor

from ganeval.errors import UsageError
from ganeval.features import FeatureSet
from ganeval.grids import check_path
from ganeval.metrics import Distance
from ganeval.metrics.most_discriminable import most_discriminable
from ganeval.metrics.nearest import nearest_pairs
from ganeval.report_data.grids import most_discriminable_grid, neighbour_grid
from ganeval.results import Evaluation


@dataclass(frozen=True, slots=True)
class NearReal:
    """A real near a fake.

    Attributes:
        real: The name of the image.
        index: Its index in the source.
        distance: From the fake, between features.
    """

    real: str
    index: int
    distance: float


@dataclass(frozen=True, slots=True)
class NearestImages:
    """A fake with its nearest reals.

    Attributes:
        fake: The name of the image.
        index: Its index in the source.
        ratio: The distance to the nearest real over that real's own distance to the nearest different real; below 1,
            the fake is closer to it than any other real. None if all reals are equal.
        reals: The nearest reals, nearest first.
    """

    fake: str
    index: int
    ratio: float | None
    reals: tuple[NearReal, ...]


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """An image that a classifier has seen.

    Attributes:
        name: The name of the image.
        index: Its index in the source.
        probability_fake: The probability of being fake, from a classifier that was not trained on the image.
    """

    name: str
    index: int
    probability_fake: float


@dataclass(frozen=True, slots=True)
class DiscriminableImages:
    """The images that a classifier tells apart with the highest confidence, highest first.

    Attributes:
        real: Reals.
        fake: Fakes.
    """

    real: tuple[ScoredImage, ...]
    fake: tuple[ScoredImage, ...]


def nearest_images(
    evaluation: Evaluation, k: int = 1, *, distance: Distance | None = None, grid: str | Path | None = None
) -> tuple[NearestImages, ...]:
    """Every fake with its nearest reals by name, as `ganeval nn` lists them; suspected copies come first.

    Args:
        evaluation: Of `ganeval.evaluate`, with features of both sets: any metric of features gives them.
        k: Number of nearest reals.
        distance: "euclidean" or "cosine"; None for that of the metric `nn`, if the evaluation has it, or else
            euclidean.
        grid: Also write the first of them as a PNG (`ganeval.report_data.neighbour_grid`).

    Returns:
        The fakes, sorted by ratio, with their nearest reals.

    Raises:
        UsageError: The evaluation has no features of the images (it was read from a file, or there are only
            statistics of a set), or ``grid`` does not end in .png.
        MetricError: There are fewer than 2 reals or fewer than k, or ``distance`` is unknown.
        SourceError: The grid needs images that can no longer be read.
        ResultError: The grid cannot be written.

    >>> import torch
    >>> real = torch.randint(0, 256, (9, 3, 4, 4), dtype=torch.uint8)
    >>> found = ganeval.evaluate(real, real[4:], metrics=["nn"], extractor="pixels:4", cache=False)
    >>> first = ganeval.nearest_images(found)[0]
    >>> first.index + 4 == first.reals[0].index, first.reals[0].distance
    (True, 0.0)
    """
    real, fake = _prepared(evaluation, grid)
    if distance is None:
        distance = cast("Distance", evaluation["nn"].options["distance"]) if "nn" in evaluation else "euclidean"
    found = nearest_pairs(real.rows(), fake.rows(), k, distance=distance)
    if grid is not None:
        neighbour_grid(evaluation, found, Path(grid))
    ratios = [None] * len(fake) if found.ratios is None else found.ratios.tolist()
    return tuple(
        NearestImages(
            fake.image_name(row),
            fake.index(row),
            ratio,
            tuple(
                NearReal(real.image_name(near), real.index(near), far)
                for near, far in zip(nearest, far_off, strict=True)
            ),
        )
        for row, ratio, nearest, far_off in zip(
            found.fakes.tolist(), ratios, found.reals.tolist(), found.distances.tolist(), strict=True
        )
    )


def most_discriminable_images(
    evaluation: Evaluation,
    *,
    count: int = 16,
    classifier: str = "logistic",
    folds: int = 5,
    seed: int = 0,
    grid: str | Path | None = None,
) -> DiscriminableImages:
    """The reals and fakes that a classifier tells apart with the highest confidence, as `ganeval c2st` names them.

    Args:
        evaluation: Of `ganeval.evaluate`, with features of both sets: any metric of features gives them.
        count: Number of images of each set; all of a set that has fewer.
        classifier: "logistic", "knn" or "mlp".
        folds: Folds of the cross-validation.
        seed: Seed of the folds and of the classifier.
        grid: Also write them as a PNG (`ganeval.report_data.most_discriminable_grid`).

    Returns:
        Their names and probabilities, as `ganeval.metrics.most_discriminable` finds them.

    Raises:
        UsageError: The evaluation has no features of the images (it was read from a file, or there are only
            statistics of a set), or ``grid`` does not end in .png.
        MetricError: ``classifier`` is unknown, or there are too few images.
        SourceError: The grid needs images that can no longer be read.
        ResultError: The grid cannot be written.

    >>> import torch
    >>> real = torch.randint(0, 200, (40, 3, 4, 4), dtype=torch.uint8)
    >>> fake = torch.randint(0, 200, (40, 3, 4, 4), dtype=torch.uint8)
    >>> fake[7] = 255
    >>> found = ganeval.evaluate(real, fake, metrics=["fid"], extractor="pixels:4", cache=False)
    >>> ganeval.most_discriminable_images(found, count=1).fake[0].index
    7
    """
    real, fake = _prepared(evaluation, grid)
    found = most_discriminable(real.rows(), fake.rows(), count=count, classifier=classifier, folds=folds, seed=seed)
    if grid is not None:
        most_discriminable_grid(evaluation, found, Path(grid))
    return DiscriminableImages(
        _scored(real, found.real, found.real_scores), _scored(fake, found.fake, found.fake_scores)
    )


def _scored(side: FeatureSet, rows: Tensor, scores: Tensor) -> tuple[ScoredImage, ...]:
    """Images of one set, by name."""
    pairs: Sequence[tuple[int, float]] = list(zip(rows.tolist(), scores.tolist(), strict=True))
    return tuple(ScoredImage(side.image_name(row), side.index(row), score) for row, score in pairs)


def _prepared(evaluation: Evaluation, grid: str | Path | None) -> tuple[FeatureSet, FeatureSet]:
    """The features of the reals and of the fakes; UsageError if there are none, or the grid is not a PNG."""
    if grid is not None:
        check_path(Path(grid))
    if evaluation.real is None or evaluation.fake is None:
        raise UsageError(
            "Images are found by their features, and this evaluation has none of both sets: it was read from a file, "
            "or has no reals. Give one that ganeval.evaluate(real, fake) returned."
        )
    return evaluation.real, evaluation.fake
