"""Every variant's quick recipe from its first step to its last: CPU seconds, images per CPU second, and peak memory.

Each run has its own data, is alone in a process, and has one thread, so that other work on the machine hardly changes
the figures. `train-and-score` makes four times as many steps. Peak memory is that of the whole process with torch; the
last row has a process that gets the smallest model ready and makes no step.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.harness import save, say, table
from reference_models import VARIANTS
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_examples
from reference_models.engine.training import Training


@dataclass(frozen=True, slots=True)
class QuickRun:
    """One run. seen: images or sequences that its steps took in. seconds: of CPU time, of the steps. peak: bytes."""

    steps: int
    seen: int
    seconds: float
    peak: int


def main(*, runs: int) -> None:
    """All variants, each `runs` times; the shortest run counts."""
    found: dict[str, list[QuickRun]] = {}
    for name in VARIANTS:
        found[name] = [in_a_process(name) for _ in range(runs)]
        say(f"  {name}: {found[name]}")
    ready = in_a_process("gan", steps=0)
    rows = [row(name, of) for name, of in found.items()]
    rows.append(["gan, before its first step", 0, "", "", f"{ready.peak / 2**20:.0f}"])
    head = ["quick recipe, one thread", "steps", "CPU seconds", "images per CPU second", "peak memory, MB"]
    figures = {name: [asdict(one) for one in of] for name, of in found.items()}
    save("quick_runs", {"runs": runs, "variants": figures, "ready": asdict(ready)}, table(head, rows))


def row(name: str, of: Sequence[QuickRun]) -> list[object]:
    """The shortest of a variant's runs, and the middle one of their peaks."""
    best = min(of, key=lambda one: one.seconds)
    peak = statistics.median(one.peak for one in of)
    return [name, best.steps, f"{best.seconds:.1f}", f"{best.seen / best.seconds:.0f}", f"{peak / 2**20:.0f}"]


def in_a_process(name: str, *, steps: int | None = None) -> QuickRun:
    """The quick run of a variant in a process of its own, or its first steps."""
    code = f"from benchmarks.quick_runs import measure; measure({name!r}, {steps})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The quick run of {name} failed:\n{done.stderr[-2000:]}")
    return QuickRun(**json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, steps: int | None = None) -> None:
    """Make the run in this process, and print it as JSON. steps: None for those of the recipe."""
    torch.set_num_threads(1)
    plan = make_plan(name)
    training = Training(plan, read_examples(plan))
    begin = time.process_time()
    for _ in range(plan.recipe.steps if steps is None else steps):
        training.advance()
    seconds = time.process_time() - begin
    print(json.dumps(asdict(QuickRun(training.step, training.seen, seconds, peak()))))


def peak() -> int:
    """The most memory that this process has held, in bytes. What a parent held is not counted, as getrusage does."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
