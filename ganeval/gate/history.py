"""Read the results of one metric over time from a folder, and mark those that are not comparable with the newest."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from ganeval.errors import ResultError, did_you_mean
from ganeval.gate.baseline import SavedResult, read_result
from ganeval.gate.comparability import Mismatch, mismatches
from ganeval.results import MetricResult

USUAL = "fid"
# The result of one seed of `ganeval train-and-score --seeds`, below the folder of the method.
SEED = re.compile(r"(?P<method>(?:.*/)?)seed-\d+/result\.json")
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One result's value of the metric.

    Attributes:
        name: The file, relative to the folder.
        created: Date and time from the result, ISO 8601.
        value: The metric's result; of several training runs their mean, with the standard error of a mean.
        mismatches: Why it is not comparable with the newest result; empty if it is.
        runs: The value of each training run that the entry stands for; empty for a single result.
    """

    name: str
    created: str
    value: MetricResult
    mismatches: tuple[Mismatch, ...]
    runs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """The history of a metric.

    Attributes:
        metric: Its name.
        entries: Oldest first.
        left_out: Why other files are not among them, one sentence each.
    """

    metric: str
    entries: tuple[HistoryEntry, ...]
    left_out: tuple[str, ...]

    @property
    def sparkline(self) -> str:
        """One bar per entry, scaled over the comparable ones; a dot for an entry that is not comparable."""
        return sparkline([None if entry.mismatches else entry.value.value for entry in self.entries])


def read_history(folder: Path, metric: str | None = None) -> History:
    """Read all results in a folder and its subfolders, in order of creation.

    Results of `ganeval train-and-score --seeds` (seed-0/result.json, seed-1/result.json, ... in one folder) are
    training runs of one method. They become one entry, in the place of the newest, unless they were measured
    differently.

    Args:
        folder: Where to look for saved results.
        metric: A metric's name; None for fid, or the first metric of the newest result if that has no fid.

    Returns:
        The values of the metric.

    Raises:
        ResultError: There is no folder, no result, or no value of this metric.
    """
    saved, left_out = _results(folder)
    newest = saved[-1].evaluation
    if metric is None:
        metric = USUAL if USUAL in newest.metrics else next(iter(newest.metrics))
    having = [one for one in saved if metric in one.evaluation.metrics]
    if not having:
        known = sorted({name for one in saved for name in one.evaluation.metrics})
        raise ResultError(f"No result in {folder} holds the metric '{metric}'; {did_you_mean(metric, known)}")
    last = having[-1].evaluation
    entries = tuple(
        HistoryEntry(one.name, _created(one), one.evaluation.metrics[metric], mismatches(metric, one.evaluation, last))
        for one in having
    )
    absent = [f"{one.name} holds no {metric}." for one in saved if metric not in one.evaluation.metrics]
    return History(metric, _by_method(entries, folder), (*left_out, *absent))


def _by_method(entries: Sequence[HistoryEntry], folder: Path) -> tuple[HistoryEntry, ...]:
    """The entries, with those of several seeds of one method as one, in the place of the last of them."""
    groups: dict[tuple[str, tuple[Mismatch, ...]] | str, list[HistoryEntry]] = {}
    for entry in entries:
        found = SEED.fullmatch(entry.name)
        key = entry.name if found is None else (found["method"], entry.mismatches)
        # Taken out and put in again, so that a method stands where its last run does.
        groups[key] = [*groups.pop(key, []), entry]
    return tuple(
        found[0] if len(found) == 1 else _mean(key[0].rstrip("/") or folder.resolve().name, found)
        for key, found in groups.items()
    )


def _mean(method: str, runs: Sequence[HistoryEntry]) -> HistoryEntry:
    """One entry of several training runs."""
    values = tuple(one.value.value for one in runs)
    value = replace(
        runs[-1].value,
        value=fmean(values),
        standard_error=stdev(values) / math.sqrt(len(values)),
        interval=None,
        method=f"mean over {len(values)} training runs",
        details={},
        notes=(),
    )
    return HistoryEntry(method, runs[-1].created, value, runs[-1].mismatches, values)


def _results(folder: Path) -> tuple[Sequence[SavedResult], Sequence[str]]:
    """Results in a folder, named by their relative path, oldest first; and why other JSON files are not results."""
    if not folder.is_dir():
        raise ResultError(f"{folder} is not a folder; give one that holds saved results (ganeval score ... -o FILE).")
    saved, left_out = [], []
    for path in sorted(folder.rglob("*.json")):
        # The configuration of a training run, next to its log.
        if path.name == "config.json" and path.with_name("log.jsonl").is_file():
            continue
        try:
            one = read_result(path)
            saved.append(SavedResult(path.relative_to(folder).as_posix(), one.evaluation, one.declaration))
        except ResultError as error:
            left_out.append(str(error))
    if not saved:
        found = f"none of its {len(left_out)} JSON files is one: {left_out[0]}" if left_out else "it has no JSON file."
        raise ResultError(f"{folder} holds no saved result (ganeval score ... -o FILE writes them); {found}")
    return sorted(saved, key=lambda one: (_created(one), one.name)), left_out


def _created(saved: SavedResult) -> str:
    """When a result was created, as it says; "" if it does not."""
    return str(saved.evaluation.provenance.get("created", ""))


def sparkline(values: Sequence[float | None]) -> str:
    """One bar per value, scaled from the lowest to the highest; a dot for None.

    Args:
        values: The values; None for one that is not known.

    Returns:
        A character per value.

    >>> sparkline([1.0, 3.0, None, 2.0])
    '▁█·▅'
    """
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    return "".join("·" if value is None else _bar(value, low, high) for value in values)


def _bar(value: float, low: float, high: float) -> str:
    """The bar of one value."""
    if math.isclose(low, high):
        return BARS[len(BARS) // 2]
    # Halved, because the difference of the largest floats would overflow.
    return BARS[round((value / 2 - low / 2) / (high / 2 - low / 2) * (len(BARS) - 1))]
