"""Rates of false and of missed training alarms over simulated runs.

A simulated run yields the lines of its log or its scores. The discriminator's output for each image drifts from line to
line; the images are finite sets, so that an unlucky held-out set stays unlucky; scores scatter by their stated error.
In the first cases nothing is wrong; in the others the fault that the alarm is meant for is present.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from torch import nn

from benchmarks.harness import save, say, table
from ganeval.results import Evaluation, MetricResult
from reference_models.engine.diagnostics import Diagnostics
from reference_models.engine.monitors import NUM_IMAGES

# Per run of 10,000 steps: log lines (every 20 steps), and scores (every 50 steps).
LINES, SCORES = 500, 200
RUNS = 200
# Number of training images; correlation of an image's output with its output one log line earlier.
TRAINING, MEMORY = 1000, 0.9
Draw = Callable[[np.random.Generator], np.ndarray]
Run = Iterator[Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of run. alarm: the alarm that is counted; wrong: whether it should be raised."""

    name: str
    alarm: str
    wrong: bool
    lines: Callable[[np.random.Generator], Run]
    scored: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """raised: the share of runs with the alarm. bound: its one-sided 95% upper bound (Clopper-Pearson)."""

    raised: float
    bound: float
    looks: float | None


def ratings(*, gap: float, share: float, held_out: int = 450, skewed: bool = False) -> Callable[..., Run]:
    """Outputs for training images, others and fakes, with a spread of 1.

    gap: between the means of training images and fakes. share: of the way from training images to fakes at which all
    images that were never trained on lie. held_out: how many of them there are.
    """

    def run(rng: np.random.Generator) -> Run:
        sets = {"logit/train": (0.0, TRAINING), "logit/held-out": (-share * gap, held_out)}
        outputs = {name: drifting(rng, count) for name, (_, count) in sets.items()}
        for _ in range(LINES):
            line: dict[str, float] = {}
            for name, (mean, count) in sets.items():
                seen = rng.choice(next(outputs[name]), min(NUM_IMAGES, count), replace=False)
                line |= summary(name, mean + shaped(seen, skewed=skewed))
            yield line | summary("logit/fakes", -gap + shaped(rng.standard_normal(NUM_IMAGES), skewed=skewed))

    return run


def drifting(rng: np.random.Generator, count: int, memory: float = MEMORY) -> Iterator[np.ndarray]:
    """Standard normal numbers, one per image, correlated with their values one line earlier."""
    now = rng.standard_normal(count)
    while True:
        yield now
        now = memory * now + (1 - memory**2) ** 0.5 * rng.standard_normal(count)


def shaped(normal: np.ndarray, *, skewed: bool) -> np.ndarray:
    """Unchanged, or with a long lower tail (chi-square with one degree of freedom) and the same mean and spread."""
    return (1 - normal**2) / 2**0.5 if skewed else normal


def summary(name: str, outputs: np.ndarray) -> dict[str, float]:
    """The mean of outputs and its standard error, as a monitor writes them."""
    count, mean = len(outputs), float(outputs.sum()) / len(outputs)
    variance = (float(outputs @ outputs) - count * mean**2) / (count - 1)
    return {name: mean, f"error/{name}": (variance / count) ** 0.5}


def equal_players(*, batch: int, lead: float = 0.0) -> Callable[..., Run]:
    """A discriminator whose mean outputs for reals and fakes drift slowly around one level.

    lead: of fakes, in units of the spread of outputs.
    """

    def run(rng: np.random.Generator) -> Run:
        # Each drifts by a tenth of the spread, with a correlation length of about 50 lines.
        means = drifting(rng, 2, memory=0.98)
        for _ in range(LINES):
            real, fake = 0.1 * next(means) + rng.standard_normal(2) / (20 * batch) ** 0.5
            errors = {"error/logit/real": batch**-0.5, "error/logit/fake": batch**-0.5}
            yield {"logit/real": real, "logit/fake": fake + lead, **errors}

    return run


def spreads(start: float, end: float, *, error: float = 0.03) -> Callable[..., Run]:
    """Spread that moves from one value to another over the first tenth of the run, and then stays."""

    def run(rng: np.random.Generator) -> Run:
        for line in range(LINES):
            value = end + (start - end) * max(0.0, 1 - 10 * line / LINES)
            yield {"spread": value * (1 + error * rng.standard_normal()), "error/spread": value * error}

    return run


def steady(metric: str, value: float, error: float, *, later: float | None = None) -> Callable[..., Run]:
    """Scores that scatter around one value, and in the second half of the run around `later`, if given."""

    def run(rng: np.random.Generator) -> Run:
        for look in range(SCORES):
            mean = value if later is None or look < SCORES // 2 else later
            yield {metric: max(0.0, mean + error * rng.standard_normal()), f"error/{metric}": error}

    return run


CASES = (
    Case("outputs do not tell fakes from reals", "overfitting", False, ratings(gap=0, share=0)),
    Case("hardly (0.2 of their spread), all unseen images at 17%", "overfitting", False, ratings(gap=0.2, share=0.17)),
    Case("clearly (2), at 17%", "overfitting", False, ratings(gap=2, share=0.17)),
    Case("clearly (2), at 35%", "overfitting", False, ratings(gap=2, share=0.35)),
    Case("clearly (2), at 35%, skewed", "overfitting", False, ratings(gap=2, share=0.35, skewed=True)),
    Case("hardly, 64 held-out images", "overfitting", False, ratings(gap=0.2, share=0.17, held_out=64)),
    Case("moderately (1), at 17%, 64 held-out", "overfitting", False, ratings(gap=1, share=0.17, held_out=64)),
    Case("moderately (1), at 17%, 20 held-out", "overfitting", False, ratings(gap=1, share=0.17, held_out=20)),
    Case("moderately (1), at 17%, skewed", "overfitting", False, ratings(gap=1, share=0.17, skewed=True)),
    Case("players that wander around each other, batch 16", "imbalance", False, equal_players(batch=16)),
    Case("players that wander around each other, batch 128", "imbalance", False, equal_players(batch=128)),
    Case("spread that stays", "collapse", False, spreads(0.9, 0.9)),
    Case("spread of noise that becomes that of images", "collapse", False, spreads(2.5, 0.9)),
    Case("FID that stays, with an error of 15%", "collapse", False, steady("fid", 1.0, 0.15), scored=True),
    Case("FID that stays, with an error of 5%", "collapse", False, steady("fid", 10.0, 0.5), scored=True),
    Case("recall that stays at 0.05, of 400", "collapse", False, steady("recall", 0.05, 0.011), scored=True),
    Case("recall that stays at 0.5, of 100", "collapse", False, steady("recall", 0.5, 0.05), scored=True),
    Case("coverage that stays at 0.2, of 100", "collapse", False, steady("coverage", 0.2, 0.04), scored=True),
    Case("diversity that stays", "collapse", False, steady("diversity", 0.85, 0.01), scored=True),
    Case("unseen images at 80%, gap 2", "overfitting", True, ratings(gap=2, share=0.8)),
    Case("unseen images at 100%, gap 1", "overfitting", True, ratings(gap=1, share=1.0)),
    Case("unseen images at 100%, gap 2, 64 held-out", "overfitting", True, ratings(gap=2, share=1.0, held_out=64)),
    Case("fakes rated above reals by 2 of their spread, batch 64", "imbalance", True, equal_players(batch=64, lead=2)),
    Case("spread that falls to 0.2", "collapse", True, spreads(0.9, 0.2)),
    Case("recall from 0.8 to 0.2, of 400", "collapse", True, steady("recall", 0.8, 0.02, later=0.2), scored=True),
    Case("FID from 49 to 137", "collapse", True, steady("fid", 49.0, 2.0, later=137.0), scored=True),
)


def main(*, runs: int) -> None:
    """Takes some minutes on one core for three runs."""
    found = {case: rate(case, RUNS * runs) for case in CASES}
    parts = []
    for wrong, title in ((False, "no fault"), (True, "fault")):
        rows = [
            [case.name, case.alarm, f"{one.raised:.1%}", *([f"{one.bound:.2%}"] if not wrong else [_median(one)])]
            for case, one in found.items()
            if case.wrong == wrong
        ]
        parts.append(
            table(
                [title, "alarm", "runs with alarm", "first raised at check (median)" if wrong else "upper bound (95%)"],
                rows,
            )
        )
    figures = {case.name: asdict(one) for case, one in found.items()}
    save("alarms", {"runs": RUNS * runs, "cases": figures}, "\n\n".join(parts))


def rate(case: Case, runs: int) -> Rate:
    """Count the alarm over `runs` runs, with seeds from 0."""
    from scipy.stats import beta

    first = [raised(case, np.random.default_rng(seed)) for seed in range(runs)]
    hits = [look for look in first if look is not None]
    bound = 1.0 if len(hits) == runs else float(beta.ppf(0.95, len(hits) + 1, runs - len(hits)))
    say(f"  {case.name}: {len(hits)} of {runs}")
    return Rate(len(hits) / runs, bound, float(np.median(hits)) if hits else None)


def raised(case: Case, rng: np.random.Generator) -> int | None:
    """The index of the line at which a run first raises the alarm; None if it never does."""
    diagnostics, model = Diagnostics(), nn.Identity()
    for look, line in enumerate(case.lines(rng)):
        found = diagnostics.scores(look, _evaluation(line)) if case.scored else diagnostics.logs(look, line, model)
        if any(finding.alarm == case.alarm for finding in found):
            return look
    return None


def _median(one: Rate) -> str:
    return "-" if one.looks is None else f"{one.looks:.0f}"


def _evaluation(line: Mapping[str, float]) -> Evaluation:
    return Evaluation(
        {
            name: MetricResult(
                value=value,
                standard_error=line[f"error/{name}"],
                interval=None,
                direction="lower" if name == "fid" else "higher",
                n_real=100,
                n_fake=100,
                method="simulated",
            )
            for name, value in line.items()
            if not name.startswith("error/")
        },
        {},
        comparable=True,
    )
