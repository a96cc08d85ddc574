"""Builds the report data of an evaluation.

What is chosen, in order of interest if there is an order:

    samples       of either set, by chance
    pairs         fakes with their nearest reals, the most suspicious first (metrics/nearest.py)
    modes         images of modes that one set has and the other lacks (metrics/ken.py)
    common_modes  images of the commonest modes of either set (metrics/fkea.py)
    told_apart    the most discriminable images: a classifier that was not trained on them is surest of these
                  (metrics/most_discriminable.py); the files have kept the key
    typical       the images nearest to reals: mean distance to the K nearest reals, not counting the image itself
    untypical     those furthest (a k-nearest-neighbour outlier score: Ramaswamy et al. 2000)
    realistic     images with the highest realism (metrics/realism.py), and unrealistic: with the lowest
    rare          images of the highest rarity (metrics/rarity.py); those outside of all neighbourhoods have none

What cannot be computed is left out, with the reason.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from ganeval.errors import GanevalError, SourceError
from ganeval.metrics import METRICS, common_modes, novel_modes
from ganeval.metrics.most_discriminable import most_discriminable
from ganeval.metrics.nearest import NearestPairs, nearest_pairs
from ganeval.metrics.rarity import rarity_scores
from ganeval.metrics.realism import realism_scores
from ganeval.report.data import Gallery, GalleryImage, Mode, Pair, Picture, ReportData
from ganeval.report_data import figures
from ganeval.report_data.image_set import ImageSet, image_set_of
from ganeval.results import Evaluation

K = 5
SAMPLES, PAIRS, REALS_A_PAIR, DISCRIMINABLE, TYPICAL = 32, 12, 3, 12, 8
# Images of either set that the classifier sees.
CLASSIFIED = 2000
# Modes per set, images per mode, and images per set in which modes are searched: for modes that the other set
# lacks, with the exact kernel, and for the commonest, with Fourier features.
MODES, MODE_IMAGES, MODES_AMONG, COMMON_AMONG = 4, 8, 500, 2000

Made = TypeVar("Made")


def select_report_data(real: ImageSet | None, fake: ImageSet, *, created: str, seed: int = 0) -> ReportData:
    """Choose what a report shows of two sets, or only of the fakes if the images of the reals are not available.

    Args:
        real: The reals with their features; None where there are only statistics of them.
        fake: The fakes with their features.
        created: When the result was measured, as the result states it.
        seed: The seed of all random choices.
    """
    left_out: dict[str, str] = {}
    if real is None:
        samples = Gallery((), _plain(fake, fake.sample(SAMPLES, seed)))
        found = ReportData(created, galleries={"samples": samples}, left_out=left_out)
        left_out["pairs"] = "The real images are not available, only statistics of them."
        return _with_pictures(found, [fake], left_out)
    return _with_pictures(_chosen(real, fake, created, seed, left_out), [real, fake], left_out)


def build_report_data(evaluation: Evaluation, *, seed: int = 0) -> ReportData:
    """The report data of an evaluation that still holds its features and images (`evaluate(..., also=...)`).

    Args:
        evaluation: Features are used, and labels and logits where the evaluation has them.
        seed: The seed of all random choices.

    Returns:
        The report data; what cannot be computed is left out, with the reason in `left_out`.
    """
    has_reals = evaluation.real is not None and evaluation.real.source is not None
    real, fake = image_set_of(evaluation, "real") if has_reals else None, image_set_of(evaluation, "fake")
    found = select_report_data(real, fake, created=str(evaluation.provenance["created"]), seed=seed)
    # A function that was given as a metric is not in the table.
    titles = {name: METRICS[name].title if name in METRICS else name for name in evaluation.metrics}
    return replace(found, titles=titles)


def _attempt(what: str, left_out: dict[str, str], make: Callable[[], Made]) -> Made | None:
    """The result of `make`, or None, with the reason kept."""
    try:
        return make()
    except GanevalError as error:
        left_out[what] = str(error)
        return None


def _chosen(real: ImageSet, fake: ImageSet, created: str, seed: int, left_out: dict[str, str]) -> ReportData:
    """Everything except the pictures."""
    samples = Gallery(_plain(real, real.sample(SAMPLES, seed)), _plain(fake, fake.sample(SAMPLES, seed)))
    surest = _attempt("told_apart", left_out, lambda: _most_discriminable(real, fake, seed))
    realistic = _attempt("realistic", left_out, lambda: _by_realism(real, fake))
    rare = _attempt("rare", left_out, lambda: _by_rarity(real, fake))
    pairs = _attempt("pairs", left_out, lambda: nearest_pairs(real.features, fake.features, min(K, len(real))))
    classes, classes_by = ((), "") if pairs is None else figures.classes(real, fake, pairs)
    return ReportData(
        created,
        galleries={"samples": samples}
        | ({} if surest is None else {"told_apart": surest})
        | ({} if pairs is None else _by_typicality(real, fake, pairs))
        | (realistic or {})
        | ({} if rare is None else {"rare": rare}),
        pairs=() if pairs is None else _suspicious(real, fake, pairs),
        modes=_attempt("modes", left_out, lambda: _modes(real, fake, seed)) or (),
        common_modes=_attempt("common_modes", left_out, lambda: _common_modes(real, fake, seed)) or (),
        projection=_attempt("projection", left_out, lambda: figures.projection(real, fake, seed=seed)),
        trade_off=_attempt("trade_off", left_out, lambda: figures.trade_off(real, fake, seed=seed)),
        distances=None if pairs is None else figures.distances(pairs),
        classes=classes,
        classes_by=classes_by,
        class_names=tuple(real.class_names or ()),
        left_out=left_out,
    )


def _plain(side: ImageSet, rows: Tensor) -> tuple[GalleryImage, ...]:
    return tuple(GalleryImage(side.key(int(row))) for row in rows)


def _valued(side: ImageSet, rows: Tensor, values: Tensor) -> tuple[GalleryImage, ...]:
    """Images with the values they were chosen by; infinite values cannot be shown."""
    shown = [value if math.isfinite(value) else None for value in values.tolist()]
    return tuple(GalleryImage(side.key(int(row)), value) for row, value in zip(rows, shown, strict=True))


def _most_discriminable(real: ImageSet, fake: ImageSet, seed: int) -> Gallery:
    """The most discriminable of CLASSIFIED random images of each set; value: the probability of being a fake."""
    among = [side.sample(CLASSIFIED, seed) for side in (real, fake)]
    features = figures.reduced(real.features[among[0]], fake.features[among[1]])
    found = most_discriminable(*features, count=DISCRIMINABLE, seed=seed)
    return Gallery(
        _valued(real, among[0][found.real], found.real_scores), _valued(fake, among[1][found.fake], found.fake_scores)
    )


def _modes(real: ImageSet, fake: ImageSet, seed: int) -> tuple[Mode, ...]:
    """Modes of the fakes that the reals lack, then the reverse, among a random sample."""
    sides = [(side, side.sample(MODES_AMONG, seed)) for side in (real, fake)]
    found: list[Mode] = []
    for (other, others), (side, rows) in (sides, sides[::-1]):
        for mode in novel_modes(other.features[others], side.features[rows], modes=MODES, count=MODE_IMAGES):
            shown = _valued(side, rows[mode.images.cpu()], mode.loadings.cpu())
            found.append(Mode(side.name, mode.excess, shown))
    return tuple(found)


def _common_modes(real: ImageSet, fake: ImageSet, seed: int) -> tuple[Mode, ...]:
    """Modes of the fakes, then of the reals, with one kernel and among a random sample."""
    rows = {side.name: side.sample(COMMON_AMONG, seed) for side in (real, fake)}
    reals = real.features[rows["real"]]
    found: list[Mode] = []
    for side in (fake, real):
        among = rows[side.name]
        for mode in common_modes(reals, side.features[among], modes=MODES, count=MODE_IMAGES, seed=seed):
            found.append(Mode(side.name, mode.share, _valued(side, among[mode.images.cpu()], mode.loadings.cpu())))
    return tuple(found)


def _by_typicality(real: ImageSet, fake: ImageSet, pairs: NearestPairs) -> dict[str, Gallery]:
    strangeness = torch.empty(len(fake), dtype=torch.float64)
    strangeness[pairs.fakes.cpu()] = pairs.distances.mean(1).cpu()
    reals, fakes = _extremes(real, pairs.own.mean(1).cpu()), _extremes(fake, strangeness)
    return {"typical": Gallery(reals[0], fakes[0]), "untypical": Gallery(reals[1], fakes[1])}


def _extremes(side: ImageSet, scores: Tensor) -> tuple[tuple[GalleryImage, ...], tuple[GalleryImage, ...]]:
    """The images with the lowest scores, and with the highest."""
    order = scores.argsort(stable=True)
    least, most = order[:TYPICAL], order.flip(0)[:TYPICAL]
    return _valued(side, least, scores[least]), _valued(side, most, scores[most])


def _by_realism(real: ImageSet, fake: ImageSet) -> dict[str, Gallery]:
    reals = _extremes(real, realism_scores(real.features, k=K).cpu())
    fakes = _extremes(fake, realism_scores(real.features, fake.features, k=K).cpu())
    return {"realistic": Gallery(reals[1], fakes[1]), "unrealistic": Gallery(reals[0], fakes[0])}


def _by_rarity(real: ImageSet, fake: ImageSet) -> Gallery:
    return Gallery(
        _rarest(real, rarity_scores(real.features).cpu()),
        _rarest(fake, rarity_scores(real.features, fake.features).cpu()),
    )


def _rarest(side: ImageSet, scores: Tensor) -> tuple[GalleryImage, ...]:
    order = scores.argsort(descending=True, stable=True)[:TYPICAL]
    order = order[scores[order] > 0]
    return _valued(side, order, scores[order])


def _suspicious(real: ImageSet, fake: ImageSet, pairs: NearestPairs) -> tuple[Pair, ...]:
    reals = min(REALS_A_PAIR, pairs.reals.shape[1])
    return tuple(
        Pair(
            fake.key(int(pairs.fakes[rank])),
            tuple(real.key(int(row)) for row in pairs.reals[rank, :reals]),
            tuple(float(distance) for distance in pairs.distances[rank, :reals]),
            None if pairs.ratios is None else float(pairs.ratios[rank]),
        )
        for rank in range(min(PAIRS, len(fake)))
    )


def _with_pictures(found: ReportData, sides: Sequence[ImageSet], left_out: dict[str, str]) -> ReportData:
    """The same with all pictures; without galleries if a set's images are gone."""
    keys = {shown.picture for gallery in found.galleries.values() for shown in (*gallery.real, *gallery.fake)}
    keys |= {key for pair in found.pairs for key in (pair.fake, *pair.reals)}
    keys |= {shown.picture for mode in (*found.modes, *found.common_modes) for shown in mode.images}
    pictures: dict[str, Picture] = {}
    images: dict[str, bytes] = {}
    try:
        for side in sides:
            rows = sorted(int(key.rpartition("-")[2]) for key in keys if key.startswith(f"{side.name}-"))
            about, thumbnails = side.pictures(rows)
            pictures |= about
            images |= thumbnails
    except SourceError as error:
        left_out["pictures"] = str(error)
        return replace(found, galleries={}, pairs=(), modes=(), common_modes=())
    return replace(found, pictures=pictures, images=images)
