"""Cost of every metric of features against the number of images: processor time and memory, from 1,000 to 1,000,000.

The features are generated, and mapped from a file as those of a large set are. Each metric runs in a process of its
own on one thread, on sets that grow by half a power of ten until the next one would take longer than the limit. The
exponent is that between the last two sizes, as smaller sets cost what does not grow with them, and times at 1,000,000
images that were not measured are extrapolated with it; sets below 30,000 images say too little for either. Memory is
what the process allocates beyond what it had before; pages of the mapped file are not counted, as the system takes
them back when it needs to.
"""

import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import RESULTS, save, say, table
from ganeval.metrics import METRICS
from ganeval.options import takes

DIMENSIONS, CLASSES = 2048, 10
SIZES = tuple(round(10 ** (3 + step / 2)) for step in range(7))
# Processor seconds of the largest set, as predicted from the smaller ones.
LIMIT = 300.0
# Images from which the cost of products of all pairs shows.
ENOUGH = 30_000
# Seconds that a user may wait for one metric: the table says how many images it takes in this time.
PATIENCE = 600
# Options with which papers sample where a metric is quadratic.
SAMPLED: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "kid of 100 subsets of 1000": ("kid", {"subsets": 100, "subset_size": 1000}),
    "prdc of subsets of 10000": ("prdc", {"subset_size": 10_000}),
}
Measured = list[tuple[int, float, int]]


def cases() -> dict[str, tuple[str, Mapping[str, object]]]:
    """By name: a metric or family of features alone, and its options."""
    found: dict[str, tuple[str, Mapping[str, object]]] = {}
    for name, metric in METRICS.items():
        if {metric.real, metric.fake} <= {"features", None}:
            key = metric.family or name
            found.setdefault(key, (key, {}))
    return found | dict(SAMPLED)


def main(*, runs: int, metrics: Sequence[str] | None = None, limit: float = LIMIT, most: int = SIZES[-1]) -> None:
    """Measure all of them, each size once, or those named, and keep the others' earlier rows."""
    del runs
    kept = RESULTS / "scaling.json"
    measured: dict[str, Measured] = json.loads(kept.read_text())["measured"] if metrics and kept.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / "real", Path(name) / "fake"]
        for case in cases():
            if metrics and case not in metrics:
                continue
            measured[case] = list(_of_process(case, files, limit, most))
            say(f"  {case}: {', '.join(f'{count} in {seconds:.1f} s' for count, seconds, _ in measured[case])}")
    ordered = {case: measured[case] for case in cases() if case in measured}
    save("scaling", {"dimensions": DIMENSIONS, "limit": limit, "measured": ordered}, _text(ordered))


def _of_process(case: str, files: Sequence[Path], limit: float, most: int) -> Iterator[tuple[int, float, int]]:
    """Sizes that one process gets to, with seconds and bytes."""
    seconds: list[float] = []
    arguments = [sys.executable, "-m", "benchmarks.scaling", case, *map(str, files)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for count in SIZES:
            if count > most or _predicted(seconds) > limit:
                break
            for seed, file in enumerate(files):
                _grow(file, count, seed)
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                say(f"  {case} ended at {count} images")
                break
            taken, peak = json.loads(answer)
            seconds.append(taken)
            yield count, taken, peak
        process.stdin.close()


def _predicted(seconds: Sequence[float]) -> float:
    """Of the next size: as the last step grew, and at least in proportion."""
    if not seconds:
        return 0.0
    step = math.sqrt(10)
    return seconds[-1] * max(step, seconds[-1] / seconds[-2] if len(seconds) > 1 else step)


def _grow(file: Path, count: int, seed: int) -> None:
    """Append generated features until there are so many; non-negative and skewed, as Inception's."""
    there = file.stat().st_size // (4 * DIMENSIONS) if file.exists() else 0
    with file.open("ab") as out:
        for start in range(there, count, 10_000):
            rng = torch.Generator().manual_seed(2 * start + seed)
            rows = torch.rand(min(10_000, count - start), DIMENSIONS, generator=rng) ** (3.0 - 0.5 * seed)
            out.write(rows.numpy().tobytes())


def _text(measured: Mapping[str, Measured]) -> str:
    """The table."""
    rows = []
    for case, found in measured.items():
        count, seconds, peak = found[-1]
        exponent = _exponent(found)
        cells = [case, f"{count:,}", f"{seconds:.1f} s", f"{peak / 2**20:.0f} MB"]
        if exponent is None:
            rows.append([*cells, "-", "-", "-"])
            continue
        at_most = seconds * (SIZES[-1] / count) ** exponent
        # Times of samples do not grow, and so have no number of images at which they are reached.
        images = SIZES[-1] if at_most <= PATIENCE else count * (PATIENCE / seconds) ** (1 / exponent)
        rows.append([*cells, f"{exponent:.1f}", _duration(at_most), _rounded(images)])
    header = ["two sets of n x 2048", "largest n", "time", "memory", "exponent", "at 1,000,000", "n in 10 minutes"]
    return table(header, rows)


def _exponent(found: Measured) -> float | None:
    """The slope of the last two times over the number of images, in logarithms; None for small sets."""
    if len(found) < 2 or found[-1][0] < ENOUGH:
        return None
    (less, faster, _), (more, slower, _) = found[-2:]
    return math.log(slower / faster) / math.log(more / less)


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _rounded(images: float) -> str:
    """Two digits, and no more than were asked for."""
    if images >= SIZES[-1]:
        return "all"
    digits = int(math.log10(images)) - 1
    return f"{round(images / 10**digits) * 10**digits:,}"


def _serve(case: str, files: Sequence[str]) -> None:
    """Compute one metric for each number of images that is read, and answer with seconds and bytes."""
    torch.set_num_threads(1)
    key, options = cases()[case]
    metric = next(one for name, one in METRICS.items() if key in (name, one.family))
    for line in sys.stdin:
        count = int(line)
        sets = [torch.from_numpy(np.memmap(file, np.float32, "c", shape=(count, DIMENSIONS))) for file in files]
        given = sets if metric.real is not None else sets[1:]
        with _memory() as peak:
            start = time.process_time()
            metric.compute(*given, **_labels(metric.compute, count), **options)
            seconds = time.process_time() - start
        print(json.dumps([seconds, peak[0]]), flush=True)


def _labels(compute: Callable[..., object], count: int) -> dict[str, Any]:
    """Classes of both sets, where a metric takes them."""
    classes: Tensor = torch.arange(count) % CLASSES
    return {name: classes for name in ("real_labels", "fake_labels") if takes(compute, name)}


@contextmanager
def _memory() -> Iterator[list[int]]:
    """The most bytes that the process has allocated inside, beyond what it had; looked up 50 times a second."""
    peak, ended = [0], threading.Event()
    before = _allocated()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], _allocated() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _allocated() -> int:
    """Bytes of memory that belongs to no file; only Linux says."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
