"""Decide whether two results are comparable, and which fields differ if they are not."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ganeval.results import SIGNED, Evaluation, MetricResult

# Metrics depend on the number of images (FID falls with it), so counts may differ by this fraction at most.
COUNTS_WITHIN = 0.01


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A field that must be equal and is not.

    Attributes:
        field: Its name.
        baseline: The baseline's value, shortened.
        result: The result's value, shortened.
    """

    field: str
    baseline: str
    result: str

    def __str__(self) -> str:
        return f"{self.field} ({self.result}, the baseline has {self.baseline})"


def mismatches(metric: str, result: Evaluation, baseline: Evaluation) -> tuple[Mismatch, ...]:
    """The reasons why two results are not comparable in a metric.

    Args:
        metric: The metric's name.
        result: The newer result.
        baseline: The result to compare with.

    Returns:
        The fields that differ; empty if the results are comparable.
    """
    if metric not in baseline.metrics:
        return (Mismatch(f"metrics.{metric}", "none", "one"),)
    if metric not in result.metrics:
        return (Mismatch(f"metrics.{metric}", "one", "none"),)
    now, was = result.metrics[metric], baseline.metrics[metric]
    found = [*_unequal(result.provenance, baseline.provenance, SIGNED), *_measured_otherwise(now, was)]
    if _looks_at_reals(now, result) or _looks_at_reals(was, baseline):
        found += _references(result.provenance.get("real"), baseline.provenance.get("real"))
    return tuple(found)


def same_reals(metric: str, result: Evaluation, baseline: Evaluation) -> bool:
    """Whether both values were computed with the same real images, by their content digest."""
    digests = [_digest(one, "real") for one in (result, baseline)]
    return _looks_at_reals(result.metrics[metric], result) and digests[0] is not None and digests[0] == digests[1]


def covariance(metric: str, one: Evaluation, other: Evaluation) -> float | None:
    """The covariance of a metric's values of two saved results, due to their common reals; None where it is unknown."""
    results = [evaluation.metrics[metric] for evaluation in (one, other)]
    if not any(map(_looks_at_reals, results, (one, other))):
        return 0.0
    ours, theirs = (result.reals for result in results)
    alike = results[0].n_real == results[1].n_real and same_reals(metric, one, other)
    return ours.covariance(theirs) if alike and ours is not None and theirs is not None else None


def same_images(result: Evaluation) -> bool:
    """Whether fakes and reals are the same images, by their content digest."""
    real, fake = _digest(result, "real"), _digest(result, "fake")
    return real is not None and real == fake


def _digest(result: Evaluation, side: str) -> object:
    """The content digest of one set; None if the result has none or is damaged."""
    about = result.provenance.get(side)
    return about.get("digest") if isinstance(about, Mapping) else None


def _unequal(now: Mapping[str, Any], was: Mapping[str, Any], fields: tuple[str, ...]) -> Iterator[Mismatch]:
    """Fields of the provenance that differ."""
    for field in fields:
        if now[field] != was[field]:
            yield Mismatch(field, _short(was[field]), _short(now[field]))


def _measured_otherwise(now: MetricResult, was: MetricResult) -> Iterator[Mismatch]:
    """Fields of the metric's result that differ, the numbers of images among them."""
    yield from measured_otherwise(now, was)
    for field in ("n_real", "n_fake"):
        count, before = getattr(now, field), getattr(was, field)
        if not _alike(count, before):
            yield Mismatch(field, _short(before), _short(count))


def measured_otherwise(now: MetricResult, was: MetricResult) -> Iterator[Mismatch]:
    """Which of a metric's direction, ideal and options differ, whatever the number of images is.

    Args:
        now: The newer result.
        was: The result to compare with.

    Yields:
        Each field that differs.
    """
    for field in ("direction", "ideal"):
        if getattr(now, field) != getattr(was, field):
            yield Mismatch(field, _short(getattr(was, field)), _short(getattr(now, field)))
    # JSON turns tuples into lists. An option that is None is not used, and an older result may not name it.
    ours, theirs = (json.loads(json.dumps(dict(one.options), default=str)) for one in (now, was))
    for option in sorted({*ours, *theirs}):
        if ours.get(option) != theirs.get(option):
            yield Mismatch(f"options.{option}", _short(theirs.get(option, "none")), _short(ours.get(option, "none")))


def _alike(count: int | None, before: int | None) -> bool:
    """Whether two counts are close enough."""
    if count is None or before is None:
        return count == before
    return abs(count - before) <= COUNTS_WITHIN * max(count, before)


def _looks_at_reals(metric: MetricResult, evaluation: Evaluation) -> bool:
    """Whether a metric uses the reals: it has their count, or they are statistics without a count."""
    real = evaluation.provenance.get("real")
    return metric.n_real is not None or (real is not None and real.get("count") is None)


def _references(now: Mapping[str, Any] | None, was: Mapping[str, Any] | None) -> Iterator[Mismatch]:
    """Differences of the reals by content digest; by kind and name if neither result has one (a live generator)."""
    if now is None or was is None:
        if now is not was:
            yield Mismatch("real", _reference(was), _reference(now))
        return
    prepared = [one.get("prepared") for one in (now, was)]
    if None not in prepared and prepared[0] != prepared[1]:
        yield Mismatch("real.prepared", _short(prepared[1]), _short(prepared[0]))
    keys = ("digest",) if now.get("digest") or was.get("digest") else ("kind", "name")
    if any(now.get(key) != was.get(key) for key in keys):
        yield Mismatch("real", _reference(was), _reference(now))


def _reference(real: Mapping[str, Any] | None) -> str:
    """A set of reals in words."""
    if real is None:
        return "none"
    digest = real.get("digest")
    return f"{real.get('name')}, content {str(digest)[:12]}" if digest else f"{real.get('name')}, content unknown"


def _short(value: object) -> str:
    """A value as text, cut if it is long."""
    if value is None or value == "":
        return "none"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:12]}..."
