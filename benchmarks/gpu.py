"""On a GPU: the network at several batch sizes and precisions, as a CUDA graph, and whole folders end to end."""

import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from pytorch_fid import inception
from torch import Tensor

from benchmarks.harness import best_seconds, save, say, table
from benchmarks.images import write_crops
from ganeval.autocast import PRECISIONS
from ganeval.evaluation import evaluate
from ganeval.extractors.base import Weights
from ganeval.extractors.inception import InceptionExtractor
from ganeval.extractors.untrained import untrained_state, untrained_weights
from ganeval.outputs import Output
from ganeval.precision import full_precision, tf32_products
from ganeval.protocols import find_protocol

FEATURES: frozenset[Output] = frozenset(("features",))
BATCHES = (16, 64, 256)


def main(*, runs: int) -> None:
    """Stop with a message if there is no GPU."""
    if not torch.cuda.is_available():
        say("  no CUDA device here: nothing measured")
        return
    state = untrained_state(torch.Generator().manual_seed(0))
    rates = _network(state, runs)
    rates |= _folders()
    rows = [[name, f"{rate:.0f}"] for name, rate in rates.items()]
    save("gpu", {"images_per_second": rates}, table(["on " + torch.cuda.get_device_name(), "images/s"], rows))


def _timed(function: Callable[[], object], images: int, runs: int) -> float:
    def finished() -> None:
        function()
        torch.cuda.synchronize()

    return images / best_seconds(finished, runs=4 * runs)


def _network(state: dict[str, Tensor], runs: int) -> dict[str, float]:
    original = inception.load_state_dict_from_url
    inception.load_state_dict_from_url = lambda *args, **kwargs: state  # noqa: ARG005
    try:
        peer = inception.InceptionV3([3], resize_input=False, normalize_input=False).eval().cuda()
    finally:
        inception.load_state_dict_from_url = original
    rates: dict[str, float] = {}
    x = torch.rand(max(BATCHES), 3, 299, 299, device="cuda") * 2 - 1
    with torch.inference_mode(), full_precision():
        rates["pytorch-fid, fp32, batch 50"] = _timed(lambda: peer(x[:50]), 50, runs)
        for precision in PRECISIONS:
            weights = Weights("generated", "", published=False)
            protocol = find_protocol("tensorflow")
            extractor = InceptionExtractor(state, weights, protocol, device="cuda", precision=precision)
            for batch in BATCHES:
                part = x[:batch]

                def forward(extractor: InceptionExtractor = extractor, part: Tensor = part) -> object:
                    with tf32_products() if extractor.precision == "tf32" else nullcontext():
                        return extractor.forward(part, FEATURES)

                rates[f"ganeval, {precision}, batch {batch}"] = _timed(forward, batch, runs)
                rates[f"ganeval, {precision}, batch {batch}, CUDA graph"] = _timed(_captured(forward), batch, runs)
                say(f"  {precision}, batch {batch}: {rates[f'ganeval, {precision}, batch {batch}']:.0f} images/s")
    return rates


def _captured(function: Callable[[], object]) -> Callable[[], object]:
    """The same work as a CUDA graph, which launches all its kernels at once."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def _folders(count: int = 4096) -> dict[str, float]:
    """Two folders of PNG files from disk to FID: shows whether decoding keeps up with the device."""
    rates = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = untrained_weights(folder / "weights.pth")
        real = write_crops(folder / "real", count, 256)
        fake = write_crops(folder / "fake", count, 256, noise=20, seed=1)
        for precision in ("fp32", "tf32", "bf16"):
            start = time.perf_counter()
            evaluate(real, fake, weights=weights, device="cuda", precision=precision, cache=False)
            rates[f"ganeval fid, folders, {precision}"] = 2 * count / (time.perf_counter() - start)
    return rates
