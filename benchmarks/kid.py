"""KID alone, compared with torch-fidelity on the same features: over all pairs of images, and over subsets."""

from functools import partial

import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from benchmarks.harness import best_seconds, save, say, table
from ganeval.metrics.kid import kid

DIMENSIONS = 2048
SUBSETS, SIZE = 100, 1000


def main(*, runs: int) -> None:
    """From features to KID, 2,000, 5,000 and 10,000 images per set; ganeval's values with their standard error."""
    rows, figures = [], {}
    for count in (2000, 5000, 10_000):
        rng = torch.Generator().manual_seed(0)
        real, fake = (torch.rand(count, DIMENSIONS, generator=rng) ** power for power in (3.0, 2.5))
        theirs = partial(kid_features_to_metric, real, fake, kid_subsets=SUBSETS, kid_subset_size=SIZE, verbose=False)
        ours = partial(kid, real, fake, subsets=SUBSETS, subset_size=SIZE)
        # In turn, so that a machine that slows down affects all of them.
        turns = [[best_seconds(tool, runs=1) for tool in (theirs, ours, partial(kid, real, fake))] for _ in range(runs)]
        peer, subsets, pairs = (min(times) for times in zip(*turns, strict=True))
        value = theirs()["kernel_inception_distance_mean"]
        apart = abs(ours().value - value) / value
        say(f"  {count}: torch-fidelity {peer:.2f} s, ganeval over subsets {subsets:.2f} s, all pairs {pairs:.2f} s")
        seconds = [
            f"{peer:.2f} s",
            f"{subsets:.2f} s",
            f"{peer / subsets:.1f}",
            f"{pairs:.2f} s",
            f"{peer / pairs:.1f}",
        ]
        rows.append([f"{count} x {DIMENSIONS}", *seconds, f"{apart:.0e}"])
        figures[str(count)] = {"torch_fidelity": peer, "subsets": subsets, "all_pairs": pairs, "relative": apart}
    header = [
        "two sets of",
        "torch-fidelity",
        "ganeval, its subsets",
        "speedup",
        "ganeval, all pairs",
        "speedup",
        "relative difference",
    ]
    threads = torch.get_num_threads()
    text = f"{table(header, rows)}\n\nThreads: {threads}."
    save("kid", {"threads": threads, **figures}, text)
