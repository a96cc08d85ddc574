"""How often verdicts on methods are wrong, and their intervals right, when both methods are trained a few times.

Three tables. Values of runs that are normal, with a between-run spread three times that of redrawing a run's images, as
measured for FID, with methods that spread differently and have different numbers of runs. FIDs of simulated features
against reals that are common to all runs and drawn again for every comparison: what the reals contribute is not in the
interval. And the power with as many runs as are said to be needed.
"""

import math
from collections.abc import Sequence

import torch
from scipy.stats import ttest_ind
from torch import Tensor

from benchmarks.harness import save, say, table
from ganeval.comparison import differences
from ganeval.metrics.fid import fid
from ganeval.results import Evaluation, MetricResult
from ganeval.run_statistics import compare_saved_runs, runs_needed
from ganeval.runs import RunsComparison

DRAWS_A_RUN, FID_DRAWS_A_RUN = 1000, 200
# Runs of A and B, and their spreads between runs.
DESIGNS = (
    *(((count, count), spreads) for count in (2, 3, 5, 10) for spreads in ((1.0, 1.0), (1.0, 3.0))),
    *(((few, many), spreads) for few, many in ((2, 5), (3, 10)) for spreads in ((1.0, 1.0), (1.0, 3.0), (3.0, 1.0))),
)
WITHIN = 1 / 3
EFFECTS = (1.0, 1.5, 2.5, 4.0)
# FID: dimensions and images of each set; how far the fakes of A and B are, and their spread between runs.
DIMENSIONS, IMAGES = 8, 400
CASES = (
    ("alike, runs alike", (0.3, 0.3), 0.0),
    ("alike", (0.3, 0.3), 0.03),
    ("far apart, runs alike", (0.1, 0.6), 0.0),
    ("far apart", (0.1, 0.6), 0.03),
)


def main(*, runs: int) -> None:
    """All three tables."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    normal = [_normal(counts, spreads, DRAWS_A_RUN * runs, rng) for counts, spreads in DESIGNS]
    fids = [_fids(*case, count=count, draws=FID_DRAWS_A_RUN * runs, rng=rng) for case in CASES for count in (3, 5)]
    power = [_power(effect, DRAWS_A_RUN * runs, rng) for effect in EFFECTS]
    parts = [
        ("Normal values, no true difference", normal),
        ("FIDs against reals drawn again", fids),
        ("As many runs as needed", power),
    ]
    text = "\n\n".join(
        f"{title}:\n\n{table(list(rows[0]), [list(row.values()) for row in rows])}" for title, rows in parts
    )
    save("runs", {"normal": normal, "fids": fids, "power": power, "draws": DRAWS_A_RUN * runs}, text)


def _normal(
    counts: tuple[int, int], spreads: tuple[float, float], draws: int, rng: torch.Generator
) -> dict[str, object]:
    """Coverage, false verdicts and the estimates of the spread, without a true difference."""
    wrong = covered = inside = pooled = single = 0
    between = 0.0
    for _ in range(draws):
        values = [_values(count, spread, rng) for count, spread in zip(counts, spreads, strict=True)]
        found = _compared(values)
        (one,) = found.differences
        assert one.interval is not None
        covered += one.interval[0] <= 0 <= one.interval[1]
        wrong += one.verdict in ("better", "worse")
        pooled += float(ttest_ind(*values).pvalue) < 0.05
        a, b = ({"m": _result(side[0])} for side in values)
        (plain,) = differences({"A": _evaluation(a), "B": _evaluation(b)}, lambda *_: 0.0)
        single += plain.verdict in ("better", "worse")
        spread = found.spreads[0]
        assert spread.between is not None
        assert spread.between_interval is not None
        inside += spread.between_interval[0] <= spreads[0] <= spread.between_interval[1]
        between += spread.between**2
    row: dict[str, object] = {
        "runs of A, B": f"{counts[0]}, {counts[1]}",
        "spread of A, B": f"{spreads[0]:g}, {spreads[1]:g}",
        "interval covers": f"{covered / draws:.1%}",
        "false verdicts": f"{wrong / draws:.1%}",
        "with one variance (Student)": f"{pooled / draws:.1%}",
        "one run each, images alone": f"{single / draws:.1%}",
        "interval of the spread covers": f"{inside / draws:.1%}",
        "mean estimated variance between / true": f"{between / draws / spreads[0] ** 2:.2f}",
    }
    say(f"  {row}")
    return row


def _values(count: int, spread: float, rng: torch.Generator) -> list[float]:
    return [float(x) for x in 10 + math.hypot(spread, WITHIN) * torch.randn(count, generator=rng, dtype=torch.float64)]


def _compared(values: Sequence[Sequence[float]]) -> RunsComparison:
    return compare_saved_runs(
        {
            name: {str(number): _evaluation({"m": _result(value)}) for number, value in enumerate(side)}
            for name, side in zip("AB", values, strict=True)
        }
    )


def _result(value: float, error: float | None = WITHIN) -> MetricResult:
    return MetricResult(value, error, None, "lower", None, IMAGES, "simulated")


def _evaluation(metrics: dict[str, MetricResult]) -> Evaluation:
    about = dict.fromkeys(("extractor", "weights_sha256", "preprocessing", "protocol", "precision"), "simulated")
    return Evaluation(metrics, {**about, "real": None, "fake": {}, "versions": {"ganeval": "here"}}, comparable=True)


def _fids(
    name: str, far: tuple[float, float], spread: float, *, count: int, draws: int, rng: torch.Generator
) -> dict[str, object]:
    """Coverage of the interval for FIDs, whose reals are drawn again every time."""

    def fakes(place: float) -> Tensor:
        moved = place + spread * float(torch.randn(1, generator=rng))
        return torch.randn(IMAGES, DIMENSIONS, generator=rng, dtype=torch.float64) * (1 + 0.2 * moved) + moved / 2

    found = []
    for _ in range(draws):
        real = torch.randn(IMAGES, DIMENSIONS, generator=rng, dtype=torch.float64)
        values = [[fid(real, fakes(place)).value for _ in range(count)] for place in far]
        found.append(_compared(values).differences[0])
    truth = math.fsum(one.value for one in found) / draws
    covered = sum(1 for one in found if one.interval is not None and one.interval[0] <= truth <= one.interval[1])
    claimed = math.fsum((one.standard_error or 0.0) ** 2 for one in found) / draws
    actual = math.fsum((one.value - truth) ** 2 for one in found) / (draws - 1)
    row: dict[str, object] = {
        "methods": name,
        "runs of each": count,
        "true difference": f"{truth:.3f}",
        "interval covers": f"{covered / draws:.1%}",
        "actual / claimed variance": f"{actual / claimed:.2f}",
    }
    say(f"  {row}")
    return row


def _power(effect: float, draws: int, rng: torch.Generator) -> dict[str, object]:
    """How often the true difference is found with the runs that are needed for it. effect: in spreads of a run."""
    variances = (1.0, 4.0)
    count = runs_needed(effect, variances)
    assert count is not None
    found = 0
    for _ in range(draws):
        a, b = (
            [float(x) for x in 10 + math.sqrt(one) * torch.randn(count, generator=rng, dtype=torch.float64)]
            for one in variances
        )
        found += _compared([a, [value + effect for value in b]]).differences[0].verdict == "worse"
    row: dict[str, object] = {
        "difference / spread of A": f"{effect:g}",
        "runs needed": count,
        "found": f"{found / draws:.1%}",
    }
    say(f"  {row}")
    return row
