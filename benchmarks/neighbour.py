"""Inception's images per second, alone and beside a process that keeps one core busy.

ganeval's arrangement is a batch on each thread. It is compared with all threads at one batch, with one thread, and
with the networks of pytorch-fid and torch-fidelity in batches of their default sizes. All have the same weights and
images and run in turn. What other processes took of the cores in the meantime is part of the result: on a machine that
has other work, the figures say little.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from pytorch_fid import inception
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchmarks.harness import median, save, say, table
from ganeval.extractors import open_extractor, untrained_weights
from ganeval.extractors.base import Extractor, identity
from ganeval.extractors.running import run, run_all
from ganeval.outputs import Output
from ganeval.protocols import find_protocol
from ganeval.sources.base import Group, ImageBatch

FEATURES: frozenset[Output] = frozenset(("features",))
IMAGES, SIDE, BATCH = 64, 256, 8
OURS, ONE_BATCH, ONE_THREAD = (
    "ganeval: a batch on each thread",
    "ganeval: all threads at one batch",
    "ganeval: one thread",
)
# Images per batch, by default.
PEERS = {"pytorch-fid": 50, "torch-fidelity": 64}
SPIN = "while True: pass"


def main(*, runs: int) -> None:
    """Every arrangement alone, then with the neighbour, in turn."""
    images = torch.randint(
        0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with tempfile.TemporaryDirectory() as name:
        weights = untrained_weights(Path(name) / "weights.pth")
        tools = _tools(images, weights)
    rates: dict[str, dict[str, float]] = {tool: {} for tool in tools}
    others: dict[str, float] = {}
    for condition, neighbours in (("alone", 0), ("neighbour", 1)):
        turns: dict[str, list[float]] = {tool: [] for tool in tools}
        with _spinning(neighbours) as elsewhere:
            for _ in range(runs):
                for tool, extract in tools.items():
                    start = time.perf_counter()
                    extract()
                    turns[tool].append(IMAGES / (time.perf_counter() - start))
                    say(f"  {condition}, {tool}: {turns[tool][-1]:.1f} images/s")
        others[condition] = elsewhere[0]
        for tool, found in turns.items():
            rates[tool][condition] = median(found)
    save(
        "neighbour",
        {"threads": torch.get_num_threads(), "images_per_second": rates, "others": others},
        _text(rates, others),
    )


def _text(rates: dict[str, dict[str, float]], others: dict[str, float]) -> str:
    """The table."""
    rows = []
    for tool, found in rates.items():
        cells = [tool]
        for condition in ("alone", "neighbour"):
            rate = found[condition]
            cells += [f"{rate:.1f}"] + [f"{rate / rates[other][condition]:.2f}" for other in (ONE_BATCH, ONE_THREAD)]
        rows.append(cells)
    relative = ("relative to one batch", "relative to one thread")
    header = ["images/s", "alone", *relative, "next to a busy process", *relative]
    return (
        f"{table(header, rows)}\n\nTorch had {torch.get_num_threads()} threads on {os.cpu_count()} cores. Other "
        f"processes took {others['alone']:.2f} cores while it ran alone, and {others['neighbour']:.2f} besides the "
        "neighbour's one."
    )


def _tools(images: Tensor, weights: Path) -> dict[str, Callable[[], object]]:
    """By name, what computes the features of all images."""
    extractor = open_extractor("inception", protocol=find_protocol("tensorflow"), weights=weights)
    key = identity(extractor)
    batches = [ImageBatch((Group(tuple(range(len(part))), part),)) for part in torch.split(images, BATCH)]
    original = inception.load_state_dict_from_url
    inception.load_state_dict_from_url = lambda *args, **kwargs: torch.load(weights)  # noqa: ARG005
    try:
        theirs = inception.InceptionV3([3]).eval()
    finally:
        inception.load_state_dict_from_url = original
    fidelity = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))
    return {
        OURS: lambda: list(run_all(batches, {key: extractor}, FEATURES)),
        ONE_BATCH: lambda: [run(extractor, batch, FEATURES) for batch in batches],
        ONE_THREAD: lambda: _on_one_thread(extractor, batches),
        "pytorch-fid": lambda: _forward(lambda part: theirs(part.float() / 255), images, PEERS["pytorch-fid"]),
        "torch-fidelity": lambda: _forward(fidelity, images, PEERS["torch-fidelity"]),
    }


def _forward(network: Callable[[Tensor], object], images: Tensor, size: int) -> None:
    with torch.inference_mode():
        for part in torch.split(images, size):
            network(part)


def _on_one_thread(extractor: Extractor, batches: list[ImageBatch]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for batch in batches:
        run(extractor, batch, FEATURES)
    torch.set_num_threads(before)


@contextmanager
def _spinning(count: int) -> Iterator[list[float]]:
    """So many processes that compute without end; at the end gives the cores that yet other processes took, mean."""
    busy = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    elsewhere: list[float] = []
    start, before = time.perf_counter(), _busy_seconds() - time.process_time()
    try:
        yield elsewhere
    finally:
        wall, total = time.perf_counter() - start, _busy_seconds() - time.process_time() - before
        used = 0.0
        for process in busy:
            process.kill()
            usage = os.wait4(process.pid, 0)[2]
            process.returncode = -9
            used += usage.ru_utime + usage.ru_stime
        elsewhere.append(max(0.0, total - used) / wall)


def _busy_seconds() -> float:
    """Seconds that all cores together have computed since the machine started; only Linux says."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return float("nan")
    user, nice, system, _, _, interrupt, soft, stolen, *_ = map(int, stat.read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + interrupt + soft + stolen) / os.sysconf("SC_CLK_TCK")
