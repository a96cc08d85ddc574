"""Two processes that train together, of one thread each, against one process of two threads, on the same batches.

The peer is DistributedDataParallel around the loop of PyTorch's DCGAN example, in as many processes: it draws other
numbers in every process, and normalises each process's rows by their own statistics.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from torch import distributed, nn

from benchmarks.harness import median, save, say, table
from benchmarks.training import BATCH, CHANNELS, RESOLUTION, example, noise
from ganeval.processes import processes
from ganeval.ranks import launched
from reference_models import VARIANTS
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.models.dcgan_recipes import Settings

# The quick networks of these; of dcgan, that of the example.
NAMES = ("dcgan", "wgan-gp", "ddpm")
WIDTH = 32
EXAMPLE = "the example's loop, DDP"
STEPS = 5
ARRANGEMENTS = {"one process, two threads": (1, 2), "two processes, a thread each": (2, 1)}


def main(*, runs: int) -> None:
    """Images per second of both arrangements, in turn; the median of the runs."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in ARRANGEMENTS}
    for number in range(runs):
        for name, (size, threads) in ARRANGEMENTS.items():
            for what, rate in rates_of(size, threads).items():
                found[name].setdefault(what, []).append(rate)
            say(
                f"  {name}, run {number + 1}: "
                + ", ".join(f"{what} {one[-1]:.0f}" for what, one in found[name].items())
            )
    rates = {name: {what: median(one) for what, one in each.items()} for name, each in found.items()}
    one, two = rates.values()
    text = table(
        [f"images/s, {RESOLUTION} px, batch {BATCH} in all", *ARRANGEMENTS, "ratio"],
        [[what, f"{one[what]:.0f}", f"{two[what]:.0f}", f"{two[what] / one[what]:.2f}"] for what in one],
    )
    save("shared_training", {"rates": rates, "runs": found}, text)


def rates_of(size: int, threads: int) -> dict[str, float]:
    """Images per second of each training in so many processes, started by torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
    done = subprocess.run(
        [*command, "-m", "benchmarks.shared_training"],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def one_process() -> None:
    """What one of the processes does: train each for some steps, and print the rates in the first."""
    with launched():
        rates = {name: rate_of(training_of(name).advance) for name in NAMES}
        rates[EXAMPLE] = rate_of(peer())
        if processes().first:
            print(json.dumps(rates))


def training_of(name: str) -> Training:
    """A training on noise of CIFAR-10's size."""
    recipe = replace(VARIANTS[name].recipe("quick"), batch=BATCH)
    if name == "dcgan":
        recipe = replace(recipe, ema=None, settings=Settings(width=WIDTH))
    recipe = replace(recipe, resolution=RESOLUTION, channels=CHANNELS)
    return Training(TrainingPlan(recipe=recipe, data="noise"), noise())


def peer() -> Callable[[], object]:
    """The example's loop, with this process's share of the batch."""
    if not distributed.is_initialized():
        return example("cpu", WIDTH)
    return example("cpu", WIDTH, batch=BATCH // distributed.get_world_size(), wrap=wrapped)


def wrapped(network: nn.Module) -> nn.Module:
    """A network whose gradients are averaged over the processes."""
    return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)


def rate_of(step: Callable[[], object]) -> float:
    """Images of whole batches per second, over the same number of steps in every process."""
    step()
    processes().exchange(None)
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    processes().exchange(None)
    return STEPS * BATCH / (time.perf_counter() - start)


if __name__ == "__main__":
    one_process()
