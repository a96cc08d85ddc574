"""CycleGAN: does it find the hidden map between two sets of which it is shown no pair?

The quick recipe for four times its steps, as `train-and-score` runs it: digits, and recoloured digits. The true map is
known, so outputs are compared with the true target of each held-out input. The twin without discriminators has the
cycles alone; trivial methods are the input itself and the mean of the second set.
"""

from collections.abc import Mapping

from benchmarks.systems.translation import Twin, run_twins

TWINS: Mapping[str, Twin] = {
    "cyclegan": Twin(),
    "without cycles": Twin({"settings.cycle": 0.0}),
    "cycles alone": Twin({"settings.adversarial": 0.0}),
}


def main(*, runs: int) -> None:
    """Train and score each twin with seeds 0 to runs - 1."""
    run_twins("cyclegan", TWINS, runs, name="cyclegan")
