"""Nearest neighbours of features: ganeval's search beside faiss, scikit-learn and torch.cdist.

All search exhaustively, in one process and in turn, faiss if it is installed. Times are of the process, so run it
with OMP_NUM_THREADS=1. Half of the fakes are near-copies of a real at distances of 1e-6 to 1e-1, which float32 products
cannot tell from the real itself. The true distances, of some of the fakes, are of float64 differences.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from benchmarks.harness import median, save, say, table
from ganeval.distances import Rows
from ganeval.neighbours import nearest

DIMENSIONS, CHECKED = 2048, 200
# Of each of M rows to the nearest of others, float64 [M].
Distances = NDArray[np.float64]
Search = Callable[[Tensor, Tensor], Distances]


def main(*, runs: int, counts: tuple[int, ...] = (4000, 10_000)) -> None:
    """Every tool that is installed, for two sets of each size."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    rows: list[list[object]] = []
    for count in counts:
        real, fake = _sets(count)
        true = _true(fake[:CHECKED], real)
        searches = _installed()
        seconds: dict[str, list[float]] = {name: [] for name in searches}
        errors: dict[str, float] = {}
        for _ in range(runs):
            for name, search in searches.items():
                start = time.process_time()
                distances = search(fake, real)
                seconds[name].append(time.process_time() - start)
                errors[name] = float(np.max(np.abs(distances[:CHECKED] - true) / true))
        ours = median(seconds["ganeval"])
        for name, found in seconds.items():
            taken = median(found)
            say(f"  {count}, {name}: {taken:.2f} s, error {errors[name]:.1e}")
            cells = [f"{taken:.2f} s", f"{taken / ours:.2f}", f"{errors[name]:.0e}"]
            rows.append([f"{count} x {DIMENSIONS}", name, *cells])
        figures[str(count)] = {
            name: {"seconds": median(found), "error": errors[name]} for name, found in seconds.items()
        }
    header = ["two sets of", "search", "processor time", "relative to ganeval", "largest relative error of a distance"]
    save("nearest", figures, table(header, rows))


def _sets(count: int) -> tuple[Tensor, Tensor]:
    """Reals, and fakes of which every second one is near a real."""
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(count, DIMENSIONS, generator=rng) ** power for power in (3.0, 2.5))
    copies = fake[::2]
    sizes = torch.logspace(-6, -1, len(copies))[torch.randperm(len(copies), generator=rng), None]
    copies.copy_(real[: len(copies)] + sizes * torch.randn(copies.shape, generator=rng) / DIMENSIONS**0.5)
    return real, fake


def _true(fake: Tensor, real: Tensor) -> Distances:
    """By float64 differences."""
    return np.array([float((real.double() - row.double()).square().sum(1).min().sqrt()) for row in fake])


def _installed() -> dict[str, Search]:
    found: dict[str, Search] = {"ganeval": _ganeval, "torch.cdist": _cdist, "scikit-learn": _sklearn}
    return found | {"faiss, IndexFlatL2": _faiss} if find_spec("faiss") else found


def _ganeval(fake: Tensor, real: Tensor) -> Distances:
    return nearest(Rows(fake), Rows(real)).distances[:, 0].numpy()


def _cdist(fake: Tensor, real: Tensor) -> Distances:
    parts = torch.split(fake, 512)
    return torch.cat([torch.cdist(part, real).min(1).values for part in parts]).double().numpy()


def _sklearn(fake: Tensor, real: Tensor) -> Distances:
    search = NearestNeighbors(n_neighbors=1, algorithm="brute", n_jobs=1).fit(real.numpy())
    distances, _ = search.kneighbors(fake.numpy())
    return np.asarray(distances[:, 0], np.float64)


def _faiss(fake: Tensor, real: Tensor) -> Distances:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(DIMENSIONS)
    index.add(real.numpy())
    squares, _ = index.search(fake.numpy(), 1)
    return np.sqrt(np.maximum(np.asarray(squares[:, 0], np.float64), 0))
