"""The Fréchet distance alone, compared with the usual method: scipy.linalg.sqrtm of the product of covariances."""

import time
import warnings
from functools import partial

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance

from benchmarks.harness import best_seconds, save, say, table
from ganeval.metrics.fid import fid, frechet_distance
from ganeval.metrics.moments import Moments

DIMENSIONS = 2048


def main(*, runs: int) -> None:
    """From features to distance, 5,000 and 256 images per set: the value alone, and with its standard error."""
    rows, figures = [], {}
    for count in (5000, 256):
        rng = torch.Generator().manual_seed(0)
        real, fake = (torch.rand(count, DIMENSIONS, generator=rng) ** power for power in (3.0, 2.5))
        value, peer = _sqrtm(real, fake)
        bare = best_seconds(partial(_value, real, fake), runs=runs)
        with_error = best_seconds(partial(fid, real, fake), runs=runs)
        apart = abs(fid(real, fake).value - value) / value
        say(f"  {count}: sqrtm {peer:.2f} s, ganeval {bare:.3f} s, with error bar {with_error:.3f} s")
        seconds = [
            f"{peer:.2f} s",
            f"{bare:.3f} s",
            f"{peer / bare:.1f}",
            f"{with_error:.3f} s",
            f"{peer / with_error:.1f}",
        ]
        rows.append([f"{count} x {DIMENSIONS}", *seconds, f"{apart:.0e}"])
        figures[str(count)] = {"sqrtm": peer, "value": bare, "value_and_error": with_error, "relative": apart}
    header = [
        "two sets of",
        "mean, cov, sqrtm",
        "ganeval, value",
        "speedup",
        "ganeval, value ± s.e.",
        "speedup",
        "relative difference",
    ]
    save("distance", figures, table(header, rows))


def _value(real: torch.Tensor, fake: torch.Tensor) -> float:
    if len(real) <= DIMENSIONS:
        # With few images the small decomposition gives both value and error.
        return fid(real, fake).value
    first, second = (Moments.of(side).gaussian() for side in (real, fake))
    return frechet_distance(first.mean, first.covariance, second.mean, second.covariance)


def _sqrtm(real: torch.Tensor, fake: torch.Tensor) -> tuple[float, float]:
    """pytorch-fid's value, and the seconds of one call, which is long enough to time."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (m1, s1), (m2, s2) = (
            (side.mean(0), np.cov(side, rowvar=False)) for side in (real.double().numpy(), fake.double().numpy())
        )
        value = calculate_frechet_distance(m1, s1, m2, s2)
    return float(value), time.perf_counter() - start
