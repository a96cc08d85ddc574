"""lite0 beside timm's eager model on the same images and weights: images per second, memory, and a whole command."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.harness import save, say, table
from benchmarks.images import write_crops
from ganeval.extractors.lite0 import Lite0Extractor, load_lite0
from ganeval.outputs import Output
from ganeval.precision import full_precision

FEATURES: frozenset[Output] = frozenset(("features",))
BATCHES, IMAGES, SIDE = (1, 2, 4, 8, 16, 32), 32, 128
OURS, PEER, PEER_LAST = "ganeval", "timm", "timm, channels_last"
Network = Callable[[Tensor], object]


def main(*, runs: int) -> None:
    """Processor time on one thread, the best of several passes, which other programs disturb least."""
    torch.set_num_threads(1)
    x = torch.randn(IMAGES, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    rates: dict[str, dict[int, float]] = {}
    with torch.inference_mode(), full_precision():
        for name, network in networks().items():
            rates[name] = {batch: IMAGES / seconds(network, x, batch, runs) for batch in BATCHES}
            say(f"  {name}: {rates[name]}")
    best = {name: max(of.values()) for name, of in rates.items()}
    peaks = {name: peak(name) for name in rates}
    with tempfile.TemporaryDirectory() as folder:
        sets = [str(write_crops(Path(folder) / name, IMAGES, SIDE, seed=seed)) for seed, name in enumerate(("a", "b"))]
        turns = [(command(sets, "pixels:2"), command(sets, "lite0")) for _ in range(runs)]
    without, whole = (min(side) for side in zip(*turns, strict=True))
    bare = 2 * IMAGES / best[OURS]
    rows = [
        [
            name,
            *(f"{rate:.1f}" for rate in of.values()),
            f"{best[name] / best[PEER]:.2f}",
            f"{peaks[name] / 2**20:.0f} MB",
        ]
        for name, of in rates.items()
    ]
    header = ["images/s of processor time, in batches of", *map(str, BATCHES), "best / timm's best", "peak, batch 8"]
    text = table(header, rows)
    text += (
        f"\n\n`ganeval fid` of 2 x {IMAGES} PNG files of {SIDE} pixels takes {whole:.1f} s of processor time; the bare "
        f"network takes {bare:.1f} s for as many images, and the command without a network (`pixels:2`) "
        f"{without:.1f} s."
    )
    figures = {"images_per_second": rates, "peak": peaks, "command": whole, "network": bare, "without": without}
    save("lite0", figures, text)


def networks() -> Mapping[str, Network]:
    """Functions from prepared inputs to features."""
    import timm

    state, weights = load_lite0()
    extractor = Lite0Extractor(state, weights)
    extractor.cpu_batch = IMAGES
    plain, last = (timm.create_model("tf_efficientnet_lite0").eval() for _ in range(2))
    for model in (plain, last):
        model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    last.to(memory_format=torch.channels_last)
    return {
        OURS: lambda x: extractor.forward(x, FEATURES),
        PEER: lambda x: features(plain, x),
        PEER_LAST: lambda x: features(last, x.contiguous(memory_format=torch.channels_last)),
    }


def features(model: nn.Module, x: Tensor) -> Tensor:
    """timm's features before the classifier."""
    found: Tensor = model.forward_head(model.forward_features(x), pre_logits=True)  # type: ignore[operator]
    return found


def seconds(network: Network, x: Tensor, batch: int, runs: int) -> float:
    """The least processor time of a pass over the images, after a warm-up."""
    network(x[:batch])
    times = []
    for _ in range(runs):
        before = time.process_time()
        for part in torch.split(x, batch):
            network(part)
        times.append(time.process_time() - before)
    return min(times)


def peak(name: str) -> int:
    """Bytes at the peak of a process that runs one network in batches of 8."""
    code = (
        "import torch; from benchmarks.lite0 import networks; torch.set_num_threads(1)\n"
        f"with torch.inference_mode():\n    run = networks()[{name!r}]\n"
        "    for _ in range(4):\n        run(torch.randn(8, 3, 224, 224))\n"
        "print(open('/proc/self/status').read())"
    )
    # Not ru_maxrss, which counts what this process held when it started the other.
    status = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def command(sets: Sequence[str], extractor: str) -> float:
    """Processor seconds of `ganeval fid` over two folders of image files."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "ganeval_cli", "fid", *sets, "--extractor", extractor, "--no-cache"]
    subprocess.run(words, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
