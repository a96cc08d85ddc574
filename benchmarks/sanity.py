"""Sanity checks of every metric that compares features: the fifteen published ones, and others on features of images.

A check draws reals and fakes at several settings (checks.py), and asks something of the curve of values (criteria.py).
A value is the mean over repeats, one in each run of the benchmark, where the paper has ten; distances, which are
slower, are drawn once. Metrics have their usual options, so their values are those of `ganeval score`.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.checks import Case, Check, Pictures, as_they_are, on_pictures, published, standardised, tensors
from benchmarks.criteria import Curve, Finding, judged
from benchmarks.damage import Labelled
from benchmarks.harness import RESULTS, save, say, table
from benchmarks.photographs import BATCH, crops
from benchmarks.sensitivity import digits
from benchmarks.simulated import OPTIONS
from ganeval.errors import MetricError
from ganeval.extractors import Extractor, open_extractor
from ganeval.metrics import METRICS
from ganeval.metrics.gaussian_kernel import Bandwidth
from ganeval.outputs import Output
from ganeval.precision import full_precision
from ganeval.protocols import DEFAULT, find_protocol
from ganeval.uncertainty import Estimate

Kind = Literal["fidelity", "diversity", "distance"]
# What each metric of two sets of features measures. Others are not judged: they need labels, logits or images, do not
# look at the reals, ask for copies, or have no fixed scale; or are slower than another of their kind (`c2st_knn`,
# `c2st_mlp`, `ndb`, `jsd`, `fld`).
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(("precision", "density", "clipped_density", "symmetric_precision", "p_precision"), "fidelity"),
        **dict.fromkeys(("recall", "coverage", "clipped_coverage", "symmetric_recall", "p_recall"), "diversity"),
        **dict.fromkeys(
            ("fid", "fid_infinity", "kid", "mind", "cmmd", "rrke", "c2st_1nn", "c2st_logistic"),
            "distance",
        ),
    }
)
# Fewer permutations and directions, on which values depend little or not at all.
CHEAPER = MappingProxyType({name: OPTIONS[name] for name in ("c2st_1nn", "mind")})
DOCS = Path(__file__).parent.parent / "docs"
BEGIN = "<!-- Sanity checks, up to their end: written by `python -m benchmarks sanity`. -->"
END = "<!-- End of the sanity checks. -->"
# Crops of photographs.
CROPS = 1080
# Standard deviations of noise, as a share of the range.
NOISE = (0.0, 0.1, 0.3, 1.0)
# By check, case and metric.
Curves = dict[tuple[str, str, str], Curve]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One metric in one check, about one thing. found, words: the number that decides; kind: low or high."""

    check: str
    about: str
    metric: str
    passed: bool
    found: float
    words: str
    kind: str = ""

    def __str__(self) -> str:
        if not self.passed:
            return "**fail**" if math.isnan(self.found) else f"**{_signed(self.found)}**"
        return f"pass ({self.kind})" if self.kind else "pass"


def main(*, runs: int, metrics: Sequence[str] = ()) -> None:
    """All checks of all metrics; rewrites the tables in docs/sensitivity.md.

    metrics: check these alone; the verdicts on others are those of the last run.
    """
    torch.set_num_threads(1)
    if unknown := set(metrics) - set(KINDS):
        raise ValueError(f"{', '.join(sorted(unknown))} are not judged; choose from {', '.join(KINDS)}.")
    known = earlier(runs) if metrics else {}
    verdicts: dict[str, list[Verdict]] = {}
    for title, checks in groups():
        names = [name for name in METRICS if name in (metrics or KINDS)]
        curves = measured(checks, [name for name in names if KINDS[name] != "distance"], repeats=runs)
        curves |= measured(checks, [name for name in names if KINDS[name] == "distance"], repeats=1)
        verdicts[title] = together(known.get(title, ()), verdicts_of(checks, curves), names)
    text = "\n\n".join(report(title, found) for title, found in verdicts.items())
    figures = {
        title: [
            {
                "check": one.check,
                "about": one.about,
                "metric": one.metric,
                "passed": one.passed,
                "found": None if math.isnan(one.found) else one.found,
                "what": one.words,
                "kind": one.kind,
            }
            for one in found
        ]
        for title, found in verdicts.items()
    }
    save("sanity", {"repeats": runs, "verdicts": figures}, text)
    rewrite(DOCS / "sensitivity.md", text)


def earlier(runs: int) -> dict[str, list[Verdict]]:
    """The verdicts of the last run, by group; RuntimeError if it had another number of repeats."""
    kept = json.loads((RESULTS / "sanity.json").read_text(encoding="utf-8"))
    if kept["repeats"] != runs:
        raise RuntimeError(f"The other metrics were checked with --runs {kept['repeats']}, not {runs}.")
    return {
        title: [
            Verdict(
                one["check"],
                one["about"],
                one["metric"],
                passed=one["passed"],
                found=math.nan if one["found"] is None else one["found"],
                words=one["what"],
                kind=one["kind"],
            )
            for one in found
        ]
        for title, found in kept["verdicts"].items()
    }


def together(known: Sequence[Verdict], found: Sequence[Verdict], names: Sequence[str]) -> list[Verdict]:
    """The verdicts that were found of these metrics, and those that are known of others, in the order of METRICS."""
    both = [*(one for one in known if one.metric not in names), *found]
    checks, order = list(dict.fromkeys(one.check for one in both)), list(METRICS)
    return sorted(both, key=lambda one: (checks.index(one.check), order.index(one.metric)))


def groups() -> Iterable[tuple[str, list[Check]]]:
    """The checks by the data they are made of."""
    yield "Published checks", [*published(), *as_they_are()]
    yield "Digits, features of `digits`", on_pictures(pictures(digits().images, "digits"))
    yield "Photographs, features of `lite0`", on_pictures(pictures(crops(CROPS, seed=0), "lite0"))


def pictures(images: Labelled, extractor: str, noise: Sequence[float] = NOISE) -> Pictures:
    """Features of images, as they are and with noise added."""
    network, rng = open_extractor(extractor, protocol=find_protocol(DEFAULT)), np.random.RandomState(0)
    noisy = {}
    for strength in noise:
        added = torch.from_numpy(rng.normal(0, 255 * strength, tuple(images.images.shape))) if strength else 0
        noisy[strength] = features(network, (images.images + added).round().clamp(0, 255).to(torch.uint8))
    return Pictures(noisy[0.0], images.labels.numpy(), noisy)


def features(extractor: Extractor, images: Tensor) -> NDArray[np.float64]:
    """uint8 [N, C, H, W] to float64 [N, D]."""
    wanted: frozenset[Output] = frozenset({"features"})
    with torch.inference_mode(), full_precision():
        parts = torch.split(images.expand(-1, 3, -1, -1), BATCH)
        found = [extractor.forward(extractor.prepare(part), wanted)["features"] for part in parts]
    rows: NDArray[np.float64] = torch.cat(found).double().numpy()
    return rows


def measured(checks: Sequence[Check], names: Sequence[str], *, repeats: int) -> Curves:
    """The curve of every metric in every case: means over repeats, nan where the metric refused in one."""
    chosen = [name for name in names if name in KINDS]
    found: Curves = {}
    for check in checks if chosen else ():
        for case in check.cases:
            sums = {name: dict.fromkeys(map(float, case.settings), 0.0) for name in chosen}
            for repeat in range(repeats):
                draw = case.draws(np.random.RandomState(repeat))
                for setting in case.settings:
                    values = judge_sets(case, draw, setting, chosen)
                    for name in chosen:
                        sums[name][float(setting)] += values[name] / repeats
            found |= {(check.name, case.name, name): curve for name, curve in sums.items()}
        say(f"  {check.name}")
    return found


def judge_sets(
    case: Case,
    draw: Callable[[float], tuple[NDArray[np.float64], NDArray[np.float64]]],
    setting: float,
    names: Sequence[str],
) -> dict[str, float]:
    """The value of each metric at one setting; a distance as its distance from the ideal value."""
    sets = draw(setting)
    real, fake = tensors(*(standardised(*sets) if case.standardised else sets))
    found: dict[str, float] = {}
    # Values do not depend on what only the standard errors are made of: random halves, and other bandwidths.
    spread = patch.object(Bandwidth, "spread_of", lambda *_: np.zeros(1))
    with patch("ganeval.uncertainty.SPLITS", 1), spread:
        for name in names:
            if name not in found:
                found |= {one: value for one, value in _values(name, real, fake).items() if one in names}
    return found


def _values(name: str, real: Tensor, fake: Tensor) -> dict[str, float]:
    """The values of a metric and of its family, nan where it refuses."""
    row = METRICS[name]
    try:
        given = row.compute(real, fake, **CHEAPER.get(name, {}))
    except MetricError:
        family = [one for one, other in METRICS.items() if row.family and other.family == row.family]
        return dict.fromkeys(family or [name], math.nan)
    estimates = {name: given} if isinstance(given, Estimate) else given
    return {
        one: abs(estimate.value - (METRICS[one].ideal or 0.0)) if KINDS.get(one) == "distance" else estimate.value
        for one, estimate in estimates.items()
    }


def verdicts_of(checks: Sequence[Check], curves: Curves) -> list[Verdict]:
    """One verdict for each check, thing that its rules are about, and metric that they ask something of."""
    found = []
    names = {name for _, _, name in curves}
    for check in checks:
        for metric in [name for name in METRICS if name in names]:
            findings: dict[str, list[tuple[str, Finding]]] = {}
            for case in check.cases:
                for rule in check.rules_of(case):
                    criterion = getattr(rule, KINDS[metric])
                    if criterion is not None:
                        given = judged(criterion, curves[check.name, case.name, metric])
                        findings.setdefault(rule.about, []).append((case.name, given))
            found += [_together(check.name, about, metric, some) for about, some in findings.items()]
    return found


def _together(check: str, about: str, metric: str, findings: Sequence[tuple[str, Finding]]) -> Verdict:
    """All must pass, and be low in all cases or high in all; the first that fails gives the number."""
    kinds = {finding.kind for _, finding in findings} - {""}
    failed = [(case, finding) for case, finding in findings if not finding.passed]
    if not failed and len(kinds) > 1:
        return Verdict(check, about, metric, passed=False, found=math.nan, words="low in one case and high in another")
    case, decisive = failed[0] if failed else findings[0]
    words = f"{case}: {decisive.words}" if case else decisive.words
    return Verdict(
        check,
        about,
        metric,
        passed=not failed,
        found=decisive.found,
        words=words,
        kind="".join(kinds) if not failed else "",
    )


def report(title: str, verdicts: Sequence[Verdict]) -> str:
    """One table for each kind of metric: what passes, and the number by which the others fail."""
    parts = [f"### {title}"]
    for kind in ("fidelity", "diversity", "distance"):
        mine = [one for one in verdicts if KINDS[one.metric] == kind]
        metrics = [name for name in METRICS if any(one.metric == name for one in mine)]
        cells = {(one.check, one.about, one.metric): str(one) for one in mine}
        places = dict.fromkeys((one.check, one.about) for one in mine)
        lines: list[list[str]] = [
            [check, about, *(cells.get((check, about, name), "") for name in metrics)] for check, about in places
        ]
        passed = [sum(one.passed for one in mine if one.metric == name) for name in metrics]
        lines.append(["**passed**", f"of {len(places)}", *(f"**{count}**" for count in passed)])
        if metrics:
            parts.append(table([f"{kind}: check", "about", *(f"`{name}`" for name in metrics)], lines))
    return "\n\n".join(parts)


def rewrite(page: Path, text: str) -> None:
    """Replace what is between the two marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the line {BEGIN} or the line {END}.")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")
