"""How often the 95% interval of FID holds what it should: FID's mean over repeated draws of sets of the same sizes.

Features are simulated: rectified, correlated, with a decaying spectrum, as a network's are. Three cases: the same
distribution twice (where FID is all bias and its first-order influence vanishes), a slightly different one, and a
plainly different one.
"""

import math

import torch
from torch import Tensor

from benchmarks.harness import save, say, table
from ganeval.metrics.fid import fid

DIMENSIONS = 48
DRAWS_A_RUN = 400
SIZES = (0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 40.0)


def main(*, runs: int) -> None:
    """Coverage and the mean standard error over the true one, a case and a number of images a dimension."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    mix = torch.randn(DIMENSIONS, DIMENSIONS, generator=rng) / torch.arange(1, DIMENSIONS + 1) ** 0.7
    near = mix + 0.15 * mix.std() * torch.randn(DIMENSIONS, DIMENSIONS, generator=rng)
    far = 1.3 * mix + 0.5 * mix.std() * torch.randn(DIMENSIONS, DIMENSIONS, generator=rng)
    rows, figures = [], {}
    for name, other in (("the same", mix), ("slightly different", near), ("different", far)):
        for ratio in SIZES:
            count = max(2, int(ratio * DIMENSIONS))
            estimates = [fid(_draw(mix, count, rng), _draw(other, count, rng)) for _ in range(DRAWS_A_RUN * runs)]
            values = torch.tensor([estimate.value for estimate in estimates])
            truth = float(values.mean())
            held = sum(
                estimate.interval is not None and estimate.interval[0] <= truth <= estimate.interval[1]
                for estimate in estimates
            )
            mean_error = math.fsum(estimate.standard_error or 0.0 for estimate in estimates) / len(estimates)
            coverage, relative = held / len(estimates), mean_error / float(values.std())
            say(f"  {name}, {ratio:g} a dimension: {coverage:.3f}")
            rows.append([name, f"{ratio:g}", f"{truth:.3f}", f"{coverage:.1%}", f"{relative:.2f}"])
            figures[f"{name}, {ratio:g}"] = {"coverage": coverage, "error_over_true": relative, "mean": truth}
    header = ["distributions", "images a dimension", "mean FID", "intervals that hold it", "s.e. / true s.d."]
    save("coverage", figures, table(header, rows))


def _draw(mix: Tensor, count: int, rng: torch.Generator) -> Tensor:
    return (torch.randn(count, DIMENSIONS, generator=rng) @ mix.T + 0.2).relu()
