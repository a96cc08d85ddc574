"""Coverage of error bars as in calibration.py, of lite0's features of photographs instead of simulated ones.

The reals and the fakes of a draw are taken from two pools of crops (photographs.py). In "alike" nothing is done to the
fakes, in "near" they have noise of 2% of the range, in "far" a blur of one pixel. A draw takes a share s of a pool, so
that values vary by sqrt(1 - s) of what they would with an endless supply; the spread is divided by that.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import torch

from benchmarks.calibration import Cell
from benchmarks.damage import DAMAGES, Draw, Labelled
from benchmarks.harness import RESULTS, save, say, table
from benchmarks.photographs import Remembering, crops
from benchmarks.sensitivity import Listed
from benchmarks.simulated import CASES, OPTIONS
from ganeval.evaluation import evaluate
from ganeval.metrics import METRICS
from ganeval.results import MetricResult
from ganeval.uncertainty import Estimate

RESULT = RESULTS / "calibration_photographs.json"
# Crops in each pool, in each set of a draw, and draws per run of the benchmark.
POOL, COUNT, DRAWS = 400, 100, 10
# What is done to the fakes: a damage and its strength.
DONE: Mapping[str, tuple[str, float]] = {"near": ("noise", 0.02), "far": ("blur", 1.0)}


def main(*, runs: int, metrics: Sequence[str] = ()) -> None:
    """Coverage in three cases.

    metrics: measure these alone; the cells of others are those of the last run.
    """
    torch.set_num_threads(1)
    cells = _earlier(runs) if metrics and RESULT.exists() else {}
    reals, extractor = crops(POOL, seed=1), Remembering()
    for case in CASES:
        found: dict[str, list[MetricResult]] = {}
        fakes = _fakes(reals, case)
        for number in range(DRAWS * runs):
            rng = np.random.RandomState(number)
            sides = [side[torch.from_numpy(rng.permutation(POOL)[:COUNT])] for side in (reals, fakes)]
            for name, result in _measured(extractor, sides, metrics or "all").items():
                found.setdefault(name, []).append(result)
            say(f"  {case}, draw {number + 1} of {DRAWS * runs}")
        cells |= {f"{name}, {case}": _cell(results) for name, results in found.items()}
    names = [name for name in METRICS if f"{name}, {CASES[0]}" in cells]
    lines = [[name, *(cells.get(f"{name}, {case}", "refused") for case in CASES)] for name in names]
    text = table([f"photographs, 2 x {COUNT}, {DRAWS * runs} draws", *CASES], lines)
    figures = {key: asdict(cell) for key, cell in cells.items()}
    save("calibration_photographs", {"runs": runs, "cells": figures}, text)


def _earlier(runs: int) -> dict[str, Cell]:
    """The cells of the last run; RuntimeError if it had another number of draws."""
    kept = json.loads(RESULT.read_text())
    if kept["runs"] != runs:
        raise RuntimeError(f"The other metrics were measured with --runs {kept['runs']}, not {runs}.")
    return {key: Cell(**cell) for key, cell in kept["cells"].items()}


def _fakes(reals: Labelled, case: str) -> Labelled:
    """The pool of fakes of a case."""
    plain = crops(POOL, seed=2)
    if case not in DONE:
        return plain
    name, strength = DONE[case]
    return DAMAGES[name].apply(Draw(reals, plain, reals), strength, np.random.RandomState(0))


def _measured(extractor: Remembering, sides: Sequence[Labelled], names: Sequence[str] | str) -> dict[str, MetricResult]:
    """Results of the metrics that do not refuse."""
    real, fake = map(Listed, sides)
    measured = [
        name for name in METRICS if METRICS[name].fake in extractor.outputs and (names == "all" or name in names)
    ]
    options = {name: OPTIONS[name] for name in measured if name in OPTIONS}
    found = evaluate(
        real, fake, metrics=names, options=options, extractor=extractor, cache=False, batch_size=64, device="cpu"
    )
    return dict(found.metrics)


def _cell(results: Sequence[MetricResult]) -> Cell:
    cell = Cell.of([Estimate(one.value, one.standard_error, one.interval, "") for one in results], None)
    return replace(cell, deviation=cell.deviation / math.sqrt(1 - COUNT / POOL))
