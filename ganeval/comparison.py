"""Which of two generators is better: differences with intervals, p-values and a verdict, and how they are written down.

The generators were measured against the same reals. What these contribute to the error is common to both and cancels:

    Var(B - A) = Var A + Var B - 2 Cov(A, B),

where the covariance is that of the parts that hang on the reals (`Estimate.shared`, and of saved results
`MetricResult.reals`), and counts as 0 where a metric does not know it, which makes the error too large, never too
small. Differences count as normal, those of pairs of images as Student's; p-values are two-sided, and corrected over
all differences of a comparison (Holm 1979), since one metric in twenty differs by chance alone.

A standard error of zero is not certainty: this sample showed no variation (all alike, or very few images). The p-value
is then 1, and the verdict "unclear". Differences and errors at the level of rounding count as 0.

No torch here: saved comparisons are read with this file and results.py alone.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any, Literal, Protocol

from ganeval.documents import finite
from ganeval.errors import ResultError, UsageError
from ganeval.results import (
    SCHEMA,
    Evaluation,
    MetricResult,
    check_schema,
    damage_reported,
    optional_interval,
    optional_number,
    parse_document,
)
from ganeval.wording import NOTHING

__all__ = ["Comparison", "Difference", "ExtractorsComparison", "Verdict", "holm"]

Verdict = Literal["better", "worse", "unclear", "unknown"]
VERDICTS: tuple[Verdict, ...] = ("better", "worse", "unclear", "unknown")
SIGNIFICANCE, POWER = 0.05, 0.8
ROUNDING = 1e-12


class Normal:
    """The standard normal distribution; unlike that of the standard library, exact in the lower tail."""

    def cdf(self, x: float, /) -> float:
        """The probability of values up to this one."""
        return math.erfc(-x / math.sqrt(2)) / 2

    def inv_cdf(self, p: float, /) -> float:
        """The value up to which values have this probability."""
        return NormalDist().inv_cdf(p)


NORMAL = Normal()


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of generator `second` minus that of `first`.

    Args:
        metric: Its name.
        first: Name of one generator.
        second: Name of the other.
        value: The difference of the values; for a metric with an ideal, of their distances from it.
        standard_error: Of the difference; None where a value has no standard error, as for the next three.
        interval: 95%.
        p_value: Two-sided.
        p_corrected: Corrected for all differences of the comparison (Holm 1979).
        verdict: Whether `second` is "better" or "worse" than `first` at a corrected level of 5%; "unclear" where these
            images cannot tell, "unknown" without standard errors.
        needed: For an unclear verdict, roughly how many images per set would show a difference of this size with 80%
            power; None where there is no difference, or no standard error to estimate it from.
        paired: Whether the part of the error that both share through the same reals was removed.
    """

    metric: str
    first: str
    second: str
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    p_corrected: float | None
    verdict: Verdict
    needed: int | None
    paired: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several generators, measured against the same reals, and their differences.

    Args:
        evaluations: By the names of the generators, in the order given.
        differences: Of every metric that two generators share, for every two of them.
        warnings: What to know before using the differences.
    """

    evaluations: Mapping[str, Evaluation]
    differences: Sequence[Difference]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as plain Python."""
        return {
            "schema": SCHEMA,
            "generators": {name: one.to_dict() for name, one in self.evaluations.items()},
            "differences": [asdict(one) for one in self.differences],
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, text: str, *, name: str = "comparison") -> "Comparison":
        """Read a saved comparison.

        Args:
            text: JSON, as of `to_dict`.
            name: What error messages call it.

        Returns:
            The comparison.

        Raises:
            ResultError: It is not a comparison, is damaged, or has a newer schema.
        """
        return cls.from_dict(parse_document(text, name=name), name=name)

    @classmethod
    def from_dict(cls, document: object, *, name: str = "comparison") -> "Comparison":
        """The comparison that `to_dict` wrote, also after a round trip through JSON.

        Args:
            document: The members of the JSON document.
            name: What messages call it.

        Returns:
            The comparison.

        Raises:
            ResultError: The document is damaged, no comparison, or of a newer schema.
        """
        if not isinstance(document, dict) or "differences" not in document:
            raise ResultError(f"{name} is JSON but no ganeval comparison: it has no 'differences'.")
        check_schema(document, name=name)
        with damage_reported(name):
            evaluations = {
                str(key): Evaluation.from_dict(value, name=f"{name}: {key}")
                for key, value in document["generators"].items()
            }
            differences = tuple(_difference(fields, evaluations) for fields in document["differences"])
            warnings = tuple(str(text) for text in document["warnings"])
        return cls(evaluations, differences, warnings)


@dataclass(frozen=True, slots=True)
class ExtractorsComparison:
    """The same generators, compared by several extractors; verdicts are corrected over all of them.

    Args:
        comparisons: By the name of the extractor.
    """

    comparisons: Mapping[str, Comparison]

    @classmethod
    def of_one(cls, generator: str, evaluations: Mapping[str, Evaluation]) -> "ExtractorsComparison":
        """One generator evaluated by several extractors, without differences: for a report of `evaluate_extractors`.

        Args:
            generator: Its name.
            evaluations: By the name of the extractor.

        Returns:
            The comparison.
        """
        return cls({extractor: Comparison({generator: one}, ()) for extractor, one in evaluations.items()})

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Where verdicts depend on the extractor, a sentence each.

        Two extractors contradict each other on a pair of generators if both verdicts are significant and opposite. A
        generator is best by only one extractor if it is significantly better than every other one by this extractor,
        but not by any other extractor that has the metric.
        """
        found = []
        for metric, verdicts in self._verdicts().items():
            for (first, second), said in verdicts.items():
                better = [name for name, verdict in said.items() if verdict == "better"]
                worse = [name for name, verdict in said.items() if verdict == "worse"]
                if better and worse:
                    found.append(
                        f"{metric}: {second} is better than {first} by {', '.join(better)} and worse by "
                        f"{', '.join(worse)}."
                    )
            best = {name: self._best(name, metric) for name in next(iter(verdicts.values()))}
            for generator in dict.fromkeys(one for one in best.values() if one is not None):
                by = [name for name, one in best.items() if one == generator]
                others = [name for name in best if name not in by]
                if len(by) == 1 and others:
                    found.append(
                        f"{metric}: {generator} is better than all others by {by[0]} alone, and not by "
                        f"{', '.join(others)}."
                    )
        return tuple(found)

    @property
    def agreements(self) -> tuple[str, ...]:
        """The metrics in which all extractors have the same significant verdict on every pair of generators."""
        return tuple(
            metric
            for metric, verdicts in self._verdicts().items()
            if all(set(said.values()) in ({"better"}, {"worse"}) for said in verdicts.values())
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as plain Python."""
        return {
            "schema": SCHEMA,
            "extractors": {name: one.to_dict() for name, one in self.comparisons.items()},
            "disagreements": list(self.disagreements),
            "agreements": list(self.agreements),
        }

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """Every result, by "EXTRACTOR: GENERATOR"."""
        return {
            f"{extractor}: {name}": one
            for extractor, comparison in self.comparisons.items()
            for name, one in comparison.evaluations.items()
        }

    @classmethod
    def from_json(cls, text: str, *, name: str = "comparison") -> "ExtractorsComparison":
        """Read a saved comparison by several extractors.

        Args:
            text: JSON, as of `to_dict`.
            name: What error messages call it.

        Returns:
            The comparison.

        Raises:
            ResultError: It is not such a comparison, is damaged, or has a newer schema.
        """
        return cls.from_dict(parse_document(text, name=name), name=name)

    @classmethod
    def from_dict(cls, document: object, *, name: str = "comparison") -> "ExtractorsComparison":
        """The comparison that `to_dict` wrote, also after a round trip through JSON.

        Disagreements and agreements are derived from the verdicts, and not read.

        Args:
            document: The members of the JSON document.
            name: What messages call it.

        Returns:
            The comparison.

        Raises:
            ResultError: The document is damaged, no comparison by several extractors, or of a newer schema.
        """
        if not isinstance(document, dict) or "extractors" not in document:
            raise ResultError(
                f"{name} is JSON but no ganeval comparison by several extractors: it has no 'extractors'."
            )
        check_schema(document, name=name)
        with damage_reported(name):
            comparisons = {
                str(extractor): Comparison.from_dict(one, name=f"{name}: {extractor}")
                for extractor, one in document["extractors"].items()
            }
            generators = {tuple(one.evaluations) for one in comparisons.values()}
            if len(generators) != 1:
                raise ValueError("the extractors have no generators, or not the same ones")
        return cls(comparisons)

    def _verdicts(self) -> dict[str, dict[tuple[str, str], dict[str, Verdict]]]:
        """Verdicts by metric, pair and extractor, for the metrics that at least two extractors have."""
        found: dict[str, dict[tuple[str, str], dict[str, Verdict]]] = {}
        for extractor, comparison in self.comparisons.items():
            for one in comparison.differences:
                pairs = found.setdefault(one.metric, {})
                pairs.setdefault((one.first, one.second), {})[extractor] = one.verdict
        return {metric: pairs for metric, pairs in found.items() if all(len(said) > 1 for said in pairs.values())}

    def _best(self, extractor: str, metric: str) -> str | None:
        """The generator that an extractor calls significantly better than every other one."""
        compared = self.comparisons[extractor]
        wins: dict[str, int] = dict.fromkeys(compared.evaluations, 0)
        for one in compared.differences:
            if one.metric == metric and one.verdict in ("better", "worse"):
                wins[one.second if one.verdict == "better" else one.first] += 1
        return next((name for name, count in wins.items() if count == len(wins) - 1), None)


# The covariance of a metric's values of two generators; None where it is not known.
CovarianceOf = Callable[[str, str, str], float | None]
# Whether a metric of two generators may be compared.
Allowed = Callable[[str, str, str], bool]


class Distribution(Protocol):
    """The distribution of a difference over its standard error, if there is no difference: symmetric about 0."""

    def cdf(self, x: float, /) -> float: ...

    def inv_cdf(self, p: float, /) -> float: ...


def differences(
    evaluations: Mapping[str, Evaluation],
    covariance: CovarianceOf,
    distribution: Distribution = NORMAL,
    *,
    allowed: Allowed = lambda *_: True,
) -> tuple[Difference, ...]:
    """Every metric that two generators share, for every two of them in their order.

    covariance, allowed: called with the metric and the names of two generators. P-values are corrected for the
    differences that are allowed, and the others are left out.
    """
    gaps = [one for one in _gaps(evaluations, covariance, distribution) if allowed(one.metric, one.first, one.second)]
    return _judged([gaps])[0]


def joint_differences(
    compared: Sequence[tuple[Mapping[str, Evaluation], CovarianceOf]], distribution: Distribution = NORMAL
) -> list[tuple[Difference, ...]]:
    """The differences of several comparisons, as of `differences`, with p-values corrected over all of them."""
    return _judged([list(_gaps(evaluations, covariance, distribution)) for evaluations, covariance in compared])


def _judged(groups: "Sequence[Sequence[_Gap]]") -> list[tuple[Difference, ...]]:
    """Verdicts on the differences of all groups, with p-values corrected over all of them."""
    corrected = iter(holm([gap.p_value for gaps in groups for gap in gaps]))
    return [tuple(gap.judged(next(corrected)) for gap in gaps) for gaps in groups]


def _gaps(
    evaluations: Mapping[str, Evaluation], covariance: CovarianceOf, distribution: Distribution
) -> "Iterator[_Gap]":
    """The differences of one comparison, without verdicts yet."""
    for first, second in combinations(evaluations, 2):
        a, b = evaluations[first].metrics, evaluations[second].metrics
        for name in a:
            if name in b:
                yield _Gap.of(name, (first, a[name]), (second, b[name]), covariance(name, first, second), distribution)


def check_named(fakes: object, what: str) -> None:
    """UsageError for what is not two or more generators by name. what: what these are."""
    if not isinstance(fakes, Mapping):
        raise UsageError(f"Give {what} by name, as in {{'A': 'a/', 'B': 'b/'}}; found {type(fakes).__name__}.")
    other = next((name for name in fakes if not isinstance(name, str)), None)
    if other is not None:
        raise UsageError(f"Names of {what} are texts, as in {{'A': 'a/', 'B': 'b/'}}; found {other!r}.")
    if len(fakes) < 2:
        raise UsageError(f"A comparison needs at least two {what}, found {len(fakes)}.")


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values of several tests by Holm's method (1979).

    Without any difference, one of them is below 5% in at most 5% of cases.

    Args:
        p_values: Of each test; None where there is none.

    Returns:
        Corrected p-values, at most 1; None where there is none.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    known = sorted((p_value, place) for place, p_value in enumerate(p_values) if p_value is not None)
    found: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p_value, place) in enumerate(known):
        highest = max(highest, min(1.0, p_value * (len(known) - rank)))
        found[place] = highest
    return found


def verdict_on(worse: float, p_corrected: float | None) -> Verdict:
    """The verdict on a difference; worse: by how much, on the scale where less is better."""
    if p_corrected is None:
        return "unknown"
    if p_corrected >= SIGNIFICANCE:
        return "unclear"
    return "worse" if worse > 0 else "better"


@dataclass(frozen=True, slots=True)
class _Gap:
    """A difference without a verdict yet. worse: its size on a scale where less is better."""

    metric: str
    first: str
    second: str
    value: float
    worse: float
    standard_error: float | None
    count: int
    paired: bool
    distribution: Distribution

    @classmethod
    def of(
        cls,
        metric: str,
        first: tuple[str, MetricResult],
        second: tuple[str, MetricResult],
        shared: float | None,
        distribution: Distribution,
    ) -> "_Gap":
        (first_name, a), (second_name, b) = first, second
        rounding = rounding_of(a.value, b.value)
        worse = rounded(b.to_minimise(b.value) - a.to_minimise(a.value), rounding)
        error = difference_error(a, b, shared)
        return cls(
            metric=metric,
            first=first_name,
            second=second_name,
            # No negative zeros.
            value=(-worse if a.direction == "higher" else worse) + 0.0,
            worse=worse,
            standard_error=None if error is None else rounded(error, rounding),
            count=min(a.n_fake, b.n_fake),
            paired=shared is not None,
            distribution=distribution,
        )

    @property
    def p_value(self) -> float | None:
        if self.standard_error is None:
            return None
        if self.standard_error == 0:
            return 1.0
        return 2 * self.distribution.cdf(-abs(self.value) / self.standard_error)

    def judged(self, p_corrected: float | None) -> Difference:
        verdict = verdict_on(self.worse, p_corrected)
        error = self.standard_error
        half = None if error is None else self.distribution.inv_cdf(0.975) * error
        return Difference(
            metric=self.metric,
            first=self.first,
            second=self.second,
            value=self.value,
            standard_error=error,
            interval=None if half is None else (self.value - half, self.value + half),
            p_value=self.p_value,
            p_corrected=p_corrected,
            verdict=verdict,
            needed=self._needed(p_corrected) if verdict == "unclear" else None,
            paired=self.paired,
        )

    def _needed(self, p_corrected: float | None) -> int | None:
        """Images per set for a verdict: the error falls with their root, and the correction stays the same."""
        if not self.value or not self.standard_error or not self.p_value or p_corrected is None:
            return None
        level = SIGNIFICANCE * self.p_value / p_corrected
        wanted = NORMAL.inv_cdf(1 - level / 2) + NORMAL.inv_cdf(POWER)
        return math.ceil(self.count * (wanted * self.standard_error / self.value) ** 2)


def difference_error(a: MetricResult, b: MetricResult, shared: float | None) -> float | None:
    """The standard error of a difference of two values, which have this covariance; None counts as 0."""
    if a.standard_error is None or b.standard_error is None:
        return None
    apart = a.standard_error * a.standard_error + b.standard_error * b.standard_error
    if not math.isfinite(apart):
        return math.hypot(a.standard_error, b.standard_error)
    common = 2 * (shared or 0.0)
    # If the ideal lies between the values, a common change moves their distances from it in opposite directions.
    if a.ideal is not None and (a.value - a.ideal) * (b.value - a.ideal) < 0:
        common = -common
    # If the values share all their noise, what remains is only rounding.
    return math.sqrt(apart - common) if apart - common > ROUNDING * apart else 0.0


def rounding_of(*values: float) -> float:
    """The size of differences between such values that are rounding alone."""
    return max(NOTHING, ROUNDING * max(map(abs, values)))


def rounded(value: float, rounding: float) -> float:
    """The value, or 0 where it is rounding alone."""
    return 0.0 if abs(value) <= rounding else value


def _difference(fields: Mapping[str, Any], evaluations: Mapping[str, Evaluation]) -> Difference:
    """One entry of a document; KeyError, TypeError or ValueError if it is damaged."""
    if fields["verdict"] not in VERDICTS:
        raise ValueError(f"unknown verdict {fields['verdict']!r}")
    for name in (fields["first"], fields["second"]):
        if fields["metric"] not in evaluations[name]:
            raise ValueError(f"a difference in {fields['metric']}, which {name} does not have")
    needed = optional_number(fields["needed"])
    return Difference(
        metric=str(fields["metric"]),
        first=str(fields["first"]),
        second=str(fields["second"]),
        value=finite(fields["value"]),
        standard_error=optional_number(fields["standard_error"]),
        interval=optional_interval(fields["interval"]),
        p_value=optional_number(fields["p_value"]),
        p_corrected=optional_number(fields["p_corrected"]),
        verdict=fields["verdict"],
        needed=None if needed is None else int(needed),
        paired=fields["paired"] is True,
    )


def repeats_caveats(evaluations: Mapping[str, Evaluation]) -> Iterator[str]:
    """A warning for every two generators that gave the same images."""
    first: dict[object, str] = {}
    for name, one in evaluations.items():
        fake = one.provenance.get("fake")
        digest = fake.get("digest") if isinstance(fake, Mapping) else None
        if digest is not None and first.setdefault(digest, name) != name:
            yield (
                f"{name} and {first[digest]} are the same images: leave one of them out. All p-values are corrected "
                "for their differences, too."
            )


def counts_caveats(evaluations: Mapping[str, Evaluation]) -> Iterator[str]:
    """A warning where generators gave different numbers of images."""
    counts = {name: len(one.fake) for name, one in evaluations.items() if one.fake is not None}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield (
            f"The generators have different numbers of images ({found}), and most metrics are biased by it: give "
            "--num-samples (num_samples=) to compare as many of each."
        )
