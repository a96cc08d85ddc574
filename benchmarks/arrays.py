"""Reading of arrays of small images: a batch at a time, image by image, and by PyTorch's DataLoader.

All of them give batches of the same pixels; ganeval also digests each image, by which copies are found. The DataLoader
is torch's own way to read arrays, as the evaluations of other tools use it: a TensorDataset, whose images it takes one
by one and stacks.
"""

import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.harness import save, say, table
from ganeval.sources import Source, items, open_source
from ganeval.sources.base import Reading, ReadReport

COUNT, SIDES, BATCH = 20_000, (8, 32, 64), 64
TOGETHER, ALONE = "a batch at a time", "image by image"


def main(*, runs: int) -> None:
    """Every size, in every way in turn."""
    rates = {side: _rates(side, runs) for side in SIDES}
    header = ["images/s"]
    for side in SIDES:
        header += [f"{side} px", f"relative to {TOGETHER}"]
    rows = []
    for way in rates[SIDES[0]]:
        cells = [way]
        for found in rates.values():
            cells += [f"{found[way]:,.0f}", f"{found[way] / found[f'ganeval, {TOGETHER}']:.2f}"]
        rows.append(cells)
    text = table(header, rows)
    text += (
        f"\n\n{os.cpu_count()} cores, batches of {BATCH}; {os.getloadavg()[0]:.1f} processes wanted them at the end."
    )
    save("arrays", {"rates": rates, "load": os.getloadavg()[0]}, text)


def _rates(side: int, runs: int) -> dict[str, float]:
    """Images per second of each way, the best of the runs."""
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 3, side, side), dtype=np.uint8)
    source, dataset = open_source(images), TensorDataset(torch.from_numpy(images))
    ways: dict[str, Callable[[], None]] = {
        f"ganeval, {TOGETHER}": partial(_read, source),
        f"ganeval, {ALONE}": partial(_read_alone, source),
        "DataLoader": partial(_load, dataset, 0),
        "DataLoader, 2 processes": partial(_load, dataset, 2),
    }
    found = dict.fromkeys(ways, 0.0)
    for _ in range(runs):
        for way, read in ways.items():
            start = time.perf_counter()
            read()
            found[way] = max(found[way], COUNT / (time.perf_counter() - start))
    say(f"  {side} px: {', '.join(f'{way} {rate:,.0f}' for way, rate in found.items())}")
    return found


def _read(source: Source) -> None:
    for _ in source.batches(Reading(batch_size=BATCH, workers=2), ReadReport()):
        pass


def _read_alone(source: Source) -> None:
    """As images are read that are too large to be loaded together."""
    with patch.object(items.ItemSource, "_batches_fit", lambda *_: False):
        _read(source)


def _load(dataset: TensorDataset, workers: int) -> None:
    with warnings.catch_warnings():
        # That there are as many workers as cores is wanted here.
        warnings.simplefilter("ignore")
        for _ in DataLoader(dataset, batch_size=BATCH, num_workers=workers):
            pass
