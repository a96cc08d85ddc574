"""Metrics: documented functions of feature tensors, and the METRICS table that lists them.

    from ganeval.metrics import fid, kid

    fid(real, fake).value

Each metric is a function of tensors ``[N, D]`` that returns an Estimate: a value with its standard error. Its row in
the table stands next to the function.

An option of the wrong type or value raises a MetricError that says what is allowed; a seed is a whole number from 0 to
4294967295. Features whose squares float64 cannot hold raise a MetricError or give a value that is NaN or infinite, for
which `ganeval.evaluate` raises one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

from torch import Tensor

from ganeval.distances import Distance
from ganeval.errors import UsageError
from ganeval.metrics.authenticity import AUTHENTICITY, authenticity
from ganeval.metrics.base import Direction, Metric, PairMetric
from ganeval.metrics.c2st import C2ST_LOGISTIC, C2ST_MLP, c2st_logistic, c2st_mlp
from ganeval.metrics.c2st_1nn import C2ST_1NN, c2st_1nn
from ganeval.metrics.c2st_knn import C2ST_KNN, c2st_knn
from ganeval.metrics.cas import CAS, cas
from ganeval.metrics.clipped import CLIPPED_COVERAGE, CLIPPED_DENSITY, clipped
from ganeval.metrics.cmmd import CMMD, cmmd
from ganeval.metrics.conditional_accuracy import CONDITIONAL_ACCURACY, conditional_accuracy
from ganeval.metrics.custom import as_metric, as_pair_metric
from ganeval.metrics.diversity import DIVERSITY, diversity
from ganeval.metrics.edge import EDGE, edge
from ganeval.metrics.fid import FID, SFID, fid, frechet_distance
from ganeval.metrics.fid_infinity import FID_INFINITY, fid_infinity
from ganeval.metrics.fkea import FKEA, CommonMode, common_modes, fkea
from ganeval.metrics.fld import FLD, FLD_GAP, fld, fld_score
from ganeval.metrics.fwd import FWD, fwd
from ganeval.metrics.head_accuracy import HEAD_ACCURACY, head_accuracy
from ganeval.metrics.inception_score import INCEPTION_SCORE, inception_score
from ganeval.metrics.intra_fid import INTRA_FID, intra_fid
from ganeval.metrics.ken import KEN, NovelMode, ken, novel_modes
from ganeval.metrics.kid import KID, kid
from ganeval.metrics.l1 import L1, l1
from ganeval.metrics.lpips import LPIPS, LpipsNetwork, lpips
from ganeval.metrics.lpips_diversity import LPIPS_DIVERSITY, lpips_diversity
from ganeval.metrics.memorization import CT, memorization, memorization_score
from ganeval.metrics.mifid import MIFID, mifid
from ganeval.metrics.mind import MIND, mind
from ganeval.metrics.mode_coverage import CLASS_BALANCE, MODE_COVERAGE, Modes, mode_coverage, modes_covered
from ganeval.metrics.moments import Gaussian, Moments
from ganeval.metrics.most_discriminable import most_discriminable
from ganeval.metrics.ms_ssim_diversity import MS_SSIM_DIVERSITY, ms_ssim_diversity
from ganeval.metrics.ndb import JSD, NDB, ndb
from ganeval.metrics.nearest import NEAREST_DISTANCE, nearest_distance, nearest_pairs
from ganeval.metrics.patch_frechet import PATCH_FRECHET, patch_frechet
from ganeval.metrics.prd import prd_curve
from ganeval.metrics.prdc import (
    COVERAGE,
    DENSITY,
    PRECISION,
    RECALL,
    SYMMETRIC_PRECISION,
    SYMMETRIC_RECALL,
    prdc,
)
from ganeval.metrics.probabilistic import P_PRECISION, P_RECALL, probabilistic
from ganeval.metrics.psnr import PSNR, psnr
from ganeval.metrics.rarity import RARITY, rarity, rarity_scores
from ganeval.metrics.realism import REALISM, realism, realism_scores
from ganeval.metrics.rke import RKE, rke
from ganeval.metrics.rrke import RRKE, rrke
from ganeval.metrics.segmentation import CLASS_ACCURACY, IOU, PIXEL_ACCURACY, segmentation
from ganeval.metrics.ssim import MS_SSIM, SSIM, ms_ssim, ssim
from ganeval.metrics.vendi import VENDI, vendi
from ganeval.outputs import Output
from ganeval.registry import Registry
from ganeval.uncertainty import Estimate, normal_interval, share_of_reals

# Every metric by name, in the order of listings.
METRICS: Registry[Metric] = Registry(
    "metric",
    group="ganeval.metrics",
    accept=as_metric,
    rows={
        "fid": FID,
        "sfid": SFID,
        "fid_infinity": FID_INFINITY,
        "mifid": MIFID,
        "is": INCEPTION_SCORE,
        "kid": KID,
        "cmmd": CMMD,
        "mind": MIND,
        "fwd": FWD,
        "precision": PRECISION,
        "recall": RECALL,
        "density": DENSITY,
        "coverage": COVERAGE,
        "symmetric_precision": SYMMETRIC_PRECISION,
        "symmetric_recall": SYMMETRIC_RECALL,
        "clipped_density": CLIPPED_DENSITY,
        "clipped_coverage": CLIPPED_COVERAGE,
        "p_precision": P_PRECISION,
        "p_recall": P_RECALL,
        "realism": REALISM,
        "rarity": RARITY,
        "nn": NEAREST_DISTANCE,
        "authenticity": AUTHENTICITY,
        "ct": CT,
        "fld": FLD,
        "fld_gap": FLD_GAP,
        "diversity": DIVERSITY,
        "ms_ssim_diversity": MS_SSIM_DIVERSITY,
        "lpips_diversity": LPIPS_DIVERSITY,
        "vendi": VENDI,
        "rke": RKE,
        "rrke": RRKE,
        "fkea": FKEA,
        "ken": KEN,
        "c2st_1nn": C2ST_1NN,
        "c2st_knn": C2ST_KNN,
        "c2st_logistic": C2ST_LOGISTIC,
        "c2st_mlp": C2ST_MLP,
        "ndb": NDB,
        "jsd": JSD,
        "mode_coverage": MODE_COVERAGE,
        "class_balance": CLASS_BALANCE,
        "intra_fid": INTRA_FID,
        "conditional_accuracy": CONDITIONAL_ACCURACY,
        "head_accuracy": HEAD_ACCURACY,
        "cas": CAS,
    },
)

# Every metric of image pairs by name, in the order of listings.
PAIR_METRICS: Registry[PairMetric] = Registry(
    "metric of pairs",
    group="ganeval.pair_metrics",
    accept=as_pair_metric,
    rows={
        "psnr": PSNR,
        "ssim": SSIM,
        "ms_ssim": MS_SSIM,
        "l1": L1,
        "lpips": LPIPS,
        "edge": EDGE,
        "patch_frechet": PATCH_FRECHET,
        "pixel_accuracy": PIXEL_ACCURACY,
        "class_accuracy": CLASS_ACCURACY,
        "iou": IOU,
    },
)

__all__ = [
    "METRICS",
    "PAIR_METRICS",
    "CommonMode",
    "Direction",
    "Distance",
    "Estimate",
    "Gaussian",
    "LpipsNetwork",
    "Metric",
    "Modes",
    "Moments",
    "NovelMode",
    "PairMetric",
    "authenticity",
    "c2st_1nn",
    "c2st_knn",
    "c2st_logistic",
    "c2st_mlp",
    "cas",
    "clipped",
    "cmmd",
    "common_modes",
    "conditional_accuracy",
    "diversity",
    "edge",
    "fid",
    "fid_infinity",
    "fkea",
    "fld",
    "fld_score",
    "frechet_distance",
    "fwd",
    "head_accuracy",
    "inception_score",
    "intra_fid",
    "ken",
    "kid",
    "l1",
    "lpips",
    "lpips_diversity",
    "memorization",
    "memorization_score",
    "mifid",
    "mind",
    "mode_coverage",
    "modes_covered",
    "most_discriminable",
    "ms_ssim",
    "ms_ssim_diversity",
    "ndb",
    "nearest_distance",
    "nearest_pairs",
    "normal_interval",
    "novel_modes",
    "patch_frechet",
    "prd_curve",
    "prdc",
    "probabilistic",
    "psnr",
    "rarity",
    "rarity_scores",
    "realism",
    "realism_scores",
    "register_metric",
    "register_pair_metric",
    "rke",
    "rrke",
    "segmentation",
    "share_of_reals",
    "ssim",
    "vendi",
]


def register_metric(
    name: str,
    metric: Metric | Callable[..., object],
    *,
    title: str | None = None,
    output: Output = "features",
    direction: Direction = "lower",
    ideal: float | None = None,
    source: str = "",
) -> None:
    """Add a metric to `evaluate`, listings and reports, in this process.

    An installed package adds one with an entry point of the group ``ganeval.metrics``, which names a Metric or a
    function.

    Args:
        name: As in ``metrics=[name]``.
        metric: A function ``metric(real, fake)`` of tensors [N, D] and [M, D], or ``metric(fake)`` if it does not use
            the reals, with keyword-only options, that returns a number or an Estimate. Or a Metric, whose own fields
            replace the arguments below.
        title: Title in listings; by default the first line of the function's docstring, or the name.
        output: The extractor's output that is computed for both sets: "features", "logits", "spatial" or "images".
        direction: Which values are better: "lower", "higher", or "closer" to `ideal`.
        ideal: The best value, where `direction` is "closer".
        source: The paper, for listings.

    Raises:
        UsageError: The name is taken or cannot be typed, or the object cannot be a metric.

    >>> import ganeval
    >>> def mean_gap(real, fake):
    ...     return (real.mean(0) - fake.mean(0)).norm()
    >>> ganeval.register_metric("mean_gap", mean_gap)
    >>> found = ganeval.evaluate("digits:train", "digits:test", metrics=["mean_gap"], extractor="digits", cache=False)
    >>> list(found.metrics)
    ['mean_gap']
    """
    about = {"title": title, "output": output, "direction": direction, "ideal": ideal, "source": source}
    METRICS.register(name, metric if isinstance(metric, Metric) else as_metric(name, metric, **about))  # type: ignore[arg-type]


def register_pair_metric(
    name: str, metric: PairMetric | Callable[..., Tensor], *, direction: Direction = "lower", source: str = ""
) -> None:
    """Add a metric of image pairs to `evaluate_pairs` and listings, in this process.

    An installed package adds one with an entry point of the group ``ganeval.pair_metrics``, which names a PairMetric or
    a function.

    Args:
        name: As in ``metrics=[name]``.
        metric: A function ``metric(real, fake)`` of images uint8 [N, 3, H, W], with keyword-only options, that returns
            the value of each pair, float64 [N]. Or a PairMetric, whose own fields replace the arguments below.
        direction: Which values are better: "lower" or "higher".
        source: The paper, for listings.

    Raises:
        UsageError: The name is taken or cannot be typed, or the object cannot be a metric.

    >>> import ganeval
    >>> def brightness(real, fake):
    ...     return (real.double() - fake.double()).mean((1, 2, 3)).abs()
    >>> ganeval.register_pair_metric("brightness", brightness)
    >>> ganeval.evaluate_pairs("digits:test", "digits:test", metrics=["brightness"])["brightness"].value
    0.0
    """
    row = metric if isinstance(metric, PairMetric) else as_pair_metric(name, metric)
    if not isinstance(metric, PairMetric):
        row = replace(row, direction=direction, source=source)
    if row.direction not in get_args(Direction) or (row.direction == "closer") != (row.ideal is not None):
        raise UsageError(
            f"The metric '{name}' has the direction '{row.direction}' and the ideal {row.ideal}; the direction is one "
            f"of {', '.join(get_args(Direction))}, and only 'closer' has an ideal."
        )
    PAIR_METRICS.register(name, row)
