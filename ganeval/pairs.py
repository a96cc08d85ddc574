"""Metrics of pairs: each fake is compared with the real image that belongs to it.

One straight line: select metrics, open the sets and find each image's partner, read both sets in lockstep, and make
estimates of the values of the pairs. No set is held in memory, and images may differ in size from pair to pair.

A pair is the unit of all errors. The value of most metrics is the mean over pairs, and its standard error that of a
mean. Metrics of pooled statistics (Fréchet distance, IoU) have the error of the jackknife that leaves out one group of
pairs at a time. Two methods are compared on the same pairs, so that what is common to both cancels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.comparison import Comparison, check_named, differences
from ganeval.compute import metric_result
from ganeval.devices import find_device
from ganeval.errors import GanevalError, MetricError, UsageError, did_you_mean
from ganeval.metrics import PAIR_METRICS, PairMetric
from ganeval.metrics.base import defaults
from ganeval.metrics.lookup import ALL, find_rows
from ganeval.metrics.pooled import Pooled
from ganeval.option_objects import open_objects, written
from ganeval.options import checked_options, options_key
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.provenance import versions_and_time
from ganeval.results import PAIRS, Evaluation, MetricResult
from ganeval.settings import MetricOptions, Settings
from ganeval.sources import open_source
from ganeval.sources.base import Reading, part_of
from ganeval.sources.items import choose
from ganeval.sources.lockstep import Indexed, PairedSide, check_indexed, joined_sides, partners, read_lockstep
from ganeval.sources.remarks import reading_remarks, skips, value_remarks
from ganeval.uncertainty import Estimate, StudentT, shared_by_influence, student_interval

# The metrics computed when none are named.
USUAL = ("psnr", "ssim", "l1")
PairMetricNames = Sequence[Any] | Literal["all"] | None


class PairsKeywords(TypedDict, total=False):
    """The fields of `ganeval.Settings` that metrics of pairs use, as keywords."""

    device: str
    workers: int | None
    num_samples: int | None
    seed: int
    on_error: Literal["fail", "skip"]
    include: Sequence[str]
    exclude: Sequence[str]
    value_range: str | None


@dataclass(frozen=True, slots=True)
class PairValues:
    """The value of every pair that was measured.

    Attributes:
        real: Names of the real images.
        fake: Names of the fakes that belong to them.
        values: By metric, float64 ``[N]``; without metrics of pooled statistics.
    """

    real: Sequence[str]
    fake: Sequence[str]
    values: Mapping[str, NDArray[np.float64]]


def evaluate_pairs(
    real: object,
    fake: object,
    *,
    metrics: PairMetricNames = None,
    options: MetricOptions | None = None,
    progress: Progress = silent,
    **settings: Unpack[PairsKeywords],
) -> Evaluation:
    """Compare every fake with the real image that belongs to it.

    Images are paired by file name without the ending, or by position if one of the sets has no file names. The images
    of a pair must have one size, which may differ from pair to pair.

    Args:
        real: A path, a spec, an array or a data set: what `open_source` takes, except for streams and live generators.
        fake: The same.
        metrics: Names of the PAIR_METRICS table, or functions of image pairs, uint8 ``[N, 3, H, W]`` each, that return
            the value of each pair ``[N]``; None for psnr, ssim and l1, and "all" for all. A metric that was not named
            and cannot be computed is left out with a warning.
        options: Of metrics, as in {"psnr": {"channel": "y", "border": 4}}.
        progress: Shows the reading.
        **settings: Fields of `ganeval.Settings`: num_samples (pairs) and seed, include and exclude, value_range,
            on_error ("skip" leaves out pairs with an image that cannot be read), workers and device.

    Returns:
        The results by metric: the mean over pairs, its standard error and 95% interval (Student's), with provenance
        and warnings. ``pairs`` has the value of every pair.

    Raises:
        UsageError: A name, option or setting does not exist, or a set cannot be read in pairs.
        SourceError: An image has no partner or cannot be read, or the sizes within a pair differ.
        MetricError: A metric is not defined for a pair.

    >>> import torch
    >>> real = torch.full((3, 3, 16, 16), 100, dtype=torch.uint8)
    >>> found = ganeval.evaluate_pairs(real, real + 51, metrics=["l1"])
    >>> found["l1"].value, found["l1"].standard_error, found["l1"].n_fake
    (0.2, 0.0, 3)
    """
    (found,) = _evaluations(real, [fake], metrics, options, settings, progress=progress)
    return found


def compare_pairs(
    real: object,
    fakes: Mapping[str, object],
    *,
    metrics: PairMetricNames = None,
    options: MetricOptions | None = None,
    progress: Progress = silent,
    **settings: Unpack[PairsKeywords],
) -> Comparison:
    """Compare two or more methods on the same pairs, and say which is better.

    Differences are paired: their standard error is that of the mean difference of the same inputs, and their p-value
    that of the paired t-test, corrected for all differences (Holm 1979).

    Args:
        real: As for `evaluate_pairs`.
        fakes: What `evaluate_pairs` takes, by the name of the method; at least two.
        metrics: As for `evaluate_pairs`.
        options: As for `evaluate_pairs`.
        progress: Shows the reading.
        **settings: As for `evaluate_pairs`.

    Returns:
        The evaluations by name, and the difference of every two of them.

    Raises:
        UsageError: There are fewer than two methods, or what `evaluate_pairs` raises it for.
        SourceError: An image has no partner or cannot be read, or the sizes within a pair differ.
        MetricError: A metric is not defined for a pair.

    >>> import torch
    >>> real = torch.randint(0, 200, (8, 3, 16, 16), dtype=torch.uint8)
    >>> fakes = {"near": real + torch.arange(8, dtype=torch.uint8).reshape(8, 1, 1, 1), "far": real + 50}
    >>> ganeval.compare_pairs(real, fakes, metrics=["l1"]).differences[0].verdict
    'worse'
    """
    check_named(fakes, "methods")
    evaluations = _evaluations(real, list(fakes.values()), metrics, options, settings, progress=progress)
    found = dict(zip(fakes, evaluations, strict=True))
    count = min(result.n_fake for one in found.values() for result in one.metrics.values())
    return Comparison(found, differences(found, partial(_covariance, found), StudentT(max(count - 1, 1))))


def _covariance(evaluations: Mapping[str, Evaluation], metric: str, first: str, second: str) -> float | None:
    """The covariance of a metric's values for two methods over the same pairs; None if unknown."""
    one, other = (evaluations[name].estimates[metric].shared for name in (first, second))
    return None if one is None or other is None else float(np.dot(one, other))


def _evaluations(
    real: object,
    fakes: Sequence[object],
    names: PairMetricNames,
    asked: MetricOptions | None,
    given: Mapping[str, Any],
    *,
    progress: Progress,
) -> list[Evaluation]:
    """An evaluation of each set of fakes, all on the same pairs."""
    for name in given:
        if name not in PairsKeywords.__annotations__:
            raise UsageError(
                f"Metrics of pairs have no setting '{name}'; {did_you_mean(name, list(PairsKeywords.__annotations__))}"
            )
    settings = Settings.of(given)
    rows, left_out = _rows(names)
    options = checked_options(asked or {}, rows, PAIR_METRICS)
    device = find_device(settings.device)
    # Metrics compute in float64, which only CPUs and CUDA have.
    device = device if device.startswith("cuda") else "cpu"
    sides = _sides([_open(one, settings) for one in (real, *fakes)], settings)
    lenient = names is None or isinstance(names, str)
    families: dict[str, _Family] = {}
    refused: dict[str, GanevalError] = {}
    for key, row in {options_key(name, row): row for name, row in rows.items()}.items():
        try:
            families[key] = _Family.of(row, options.get(key, {}), device)
        except GanevalError as error:
            if not lenient:
                raise
            refused[key] = error
    tallies = [_Tally(rows, families, refused, lenient=lenient) for _ in fakes]
    reading = Reading(batch_size=1, workers=settings.decoding_threads, on_error=settings.on_error)
    team = processes()
    own: list[int] = []
    places = part_of(len(sides[0].source), team.rank, team.size, batch_size=1)
    with team.together(), progress(sides[0].source.name, len(places)) as advance:
        for pair, images in read_lockstep(sides, reading, places):
            own.append(pair)
            first, *others = (image[None].to(device) for image in images)
            for tally, side, other in zip(tallies, sides[1:], others, strict=True):
                tally.add(first, other, pair=f"{_name(sides[0], pair)} and {_name(side, pair)}")
            team.check()
            advance(1)
    measured = [pair for part in team.exchange(own) for pair in part]
    sides = joined_sides(sides, reading)
    for tally in tallies:
        tally.share()
    about = [_provenance(side, len(measured)) for side in sides]
    named = [[_name(side, pair) for pair in measured] for side in sides]
    return [
        tally.evaluation(
            PairValues(named[0], named[number], {}),
            {**PAIRS, "device": device, "seed": settings.seed, "real": about[0], "fake": told, **versions_and_time()},
            (*_warnings(sides[0], len(measured)), *_warnings(side, len(measured)), *left_out),
        )
        for number, (tally, side, told) in enumerate(zip(tallies, sides[1:], about[1:], strict=True), start=1)
    ]


def _rows(names: PairMetricNames) -> tuple[Mapping[str, PairMetric], list[str]]:
    """The rows of the metrics, and the errors of other packages' metrics if "all" was requested."""
    if isinstance(names, str) and names == ALL:
        return PAIR_METRICS.usable(), PAIR_METRICS.problems()
    return find_rows(USUAL if names is None else names, PAIR_METRICS), []


def _open(spec: object, settings: Settings) -> Indexed:
    source = open_source(
        spec, include=settings.include, exclude=settings.exclude, value_range=settings.value_range, seed=settings.seed
    )
    return check_indexed(source)


def _sides(sources: Sequence[Indexed], settings: Settings) -> list[PairedSide]:
    """The sets with their images in the order of the pairs, or of a seeded subset of these."""
    real, *fakes = sources
    orders = [range(len(real)), *(partners(real, fake) for fake in fakes)]
    chosen = choose(len(real), settings.num_samples, settings.seed, name=real.name)
    subset = {"num_samples": settings.num_samples, "of": len(real), "seed": settings.seed}
    return [
        PairedSide(source.take([order[pair] for pair in chosen], None if settings.num_samples is None else subset))
        for source, order in zip(sources, orders, strict=True)
    ]


def _name(side: PairedSide, pair: int) -> str:
    return side.source.item_name(pair)


def _provenance(side: PairedSide, count: int) -> dict[str, object]:
    source = side.source
    return {
        **{"name": source.name, "kind": source.kind, **source.describe()},
        "count": count,
        "digest": blake2b(side.contents, digest_size=32).hexdigest(),
        "cached": False,
        "conversions": dict(side.report.conversions),
        "skipped": [list(skip) for skip in side.report.skipped],
    }


def _warnings(side: PairedSide, count: int) -> list[str]:
    source, declared = side.source, str(side.source.describe().get("range", "uint8"))
    return [
        *skips(source.name, side.report),
        *reading_remarks(source, side.report),
        *value_remarks(source.name, side.report, count=count, declared=declared),
    ]


@dataclass(frozen=True, slots=True)
class _Family:
    """Metrics that are computed together, with their options.

    row: one of the metrics. given: all options as written to the result. options: the same, with opened objects.
    caveat: why the values must not be compared with published ones; None if they may be.
    """

    row: PairMetric
    given: Mapping[str, object]
    options: Mapping[str, object]
    caveat: str | None

    @classmethod
    def of(cls, row: PairMetric, asked: Mapping[str, object], device: str) -> "_Family":
        """Open the objects that the requested options name."""
        given = {**defaults(row.compute), **asked}
        opened = open_objects(given, device)
        caveats = [getattr(one, "caveat", None) for one in opened.values()]
        told = {name: written(value) for name, value in given.items()}
        return cls(row, told, opened, next(filter(None, caveats), None))


class _Tally:
    """The values of the pairs so far, for one set of fakes.

    families: by `options_key`. refused: why other metrics cannot be computed.
    """

    def __init__(
        self,
        rows: Mapping[str, PairMetric],
        families: Mapping[str, _Family],
        refused: Mapping[str, GanevalError],
        *,
        lenient: bool,
    ) -> None:
        self._rows, self._families, self._lenient = rows, families, lenient
        self._found: dict[str, list[Tensor]] = {key: [] for key in families}
        self._refused = dict(refused)

    def add(self, real: Tensor, fake: Tensor, *, pair: str) -> None:
        """Compute all metrics of one pair, uint8 [1, 3, H, W] each."""
        for key, family in self._families.items():
            if key in self._refused:
                continue
            row = family.row
            try:
                found = _checked(key, row.compute(real, fake, **family.options), pooled=row.pool is not None)
            except MetricError as error:
                self._refuse(key, MetricError(f"{key} of {pair}: {error}"), error)
                continue
            self._found[key].append(found)

    def _refuse(self, key: str, error: GanevalError, cause: GanevalError | None = None) -> None:
        if not self._lenient:
            raise error from cause
        self._refused[key] = error

    def share(self) -> None:
        """Add the values that other processes computed for their pairs, in the order of the pairs."""
        team = processes()
        for refused in reversed(team.exchange(self._refused)):
            self._refused.update(refused)
        for key, found in self._found.items():
            if key not in self._refused:
                self._found[key] = [one for part in team.exchange(found) for one in part]

    def evaluation(self, names: PairValues, provenance: dict[str, object], warnings: Sequence[str]) -> Evaluation:
        """The results, with the value of every pair."""
        estimates: dict[str, Estimate] = {}
        for name, row in self._rows.items():
            key = options_key(name, row)
            if key in self._refused:
                continue
            try:
                if row.pool is None:
                    estimates[name] = _mean(name, row, self._values(key), names)
                else:
                    pooled = Pooled()
                    for statistic in self._found[key]:
                        pooled.add(statistic)
                    estimates[name] = pooled.estimate(row.pool)
            except MetricError as error:
                self._refuse(name, error)
        if not estimates:
            raise next(iter(self._refused.values()))
        results = {name: self._result(name, one, len(names.real)) for name, one in estimates.items()}
        values = {name: self._values(name) for name in results if self._rows[name].pool is None}
        return Evaluation(
            metrics=results,
            provenance=provenance,
            comparable=all(self._family(name).caveat is None for name in results),
            warnings=tuple(dict.fromkeys((*warnings, *(f"Not measured: {error}" for error in self._refused.values())))),
            estimates=estimates,
            pairs=PairValues(names.real, names.fake, values),
        )

    def _values(self, key: str) -> NDArray[np.float64]:
        """The value of every pair."""
        return np.array([float(one) for one in self._found[key]])

    def _family(self, name: str) -> _Family:
        return self._families[options_key(name, self._rows[name])]

    def _result(self, name: str, estimate: Estimate, count: int) -> MetricResult:
        row, family = self._rows[name], self._family(name)
        caveat = () if family.caveat is None else (family.caveat,)
        return metric_result(
            replace(estimate, notes=(*estimate.notes, *caveat)),
            direction=row.direction,
            n_real=count,
            n_fake=count,
            options=family.given,
            ideal=row.ideal,
            of_reals=False,
        )


def _checked(key: str, found: object, *, pooled: bool) -> Tensor:
    """The value or statistic of one pair; UsageError if a function returned something else."""
    if not isinstance(found, Tensor) or found.ndim < 1 or len(found) != 1 or (not pooled and found.ndim != 1):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UsageError(f"The metric '{key}' must return one value for each pair, a tensor [N]; found {shape} for 1.")
    return found[0].detach().double().cpu()


def _mean(name: str, row: PairMetric, values: NDArray[np.float64], names: PairValues) -> Estimate:
    """The mean over pairs; MetricError if a value is not finite."""
    outside = np.flatnonzero(~np.isfinite(values))
    if len(outside):
        first = int(outside[0])
        raise MetricError(
            f"{name} is {values[first]} for {len(outside)} of {len(values)} pairs, the first {names.real[first]} and "
            f"{names.fake[first]}, and a mean of such values does not exist. {row.infinite or ''}".rstrip()
        )
    details = {"median": float(np.median(values)), "min": float(values.min()), "max": float(values.max())}
    # Centred on one value, so that equal values have exactly this mean and an error of 0.
    around, count = values - values[0], len(values)
    value = float(values[0]) + math.fsum(around) / count
    if count < 2:
        return Estimate(value, None, None, "one pair alone; a standard error needs two", details)
    spread = shared_by_influence(around)
    error = float(np.linalg.norm(spread))
    return Estimate(
        value,
        error,
        student_interval(value, error, count - 1),
        "mean over pairs; standard deviation over the root of their number",
        {**details, "standard_deviation": float(values.std(ddof=1))},
        shared=spread,
    )
