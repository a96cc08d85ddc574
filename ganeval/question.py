"""What is asked: metrics by name, with their options; checked before anything is opened."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import METRICS, Array, Metric
from ganeval.options import Options, checked_options, takes

Rows = Mapping[str, Metric]
# What a question that names no metric is answered with, as far as the extractor and the sets can.
USUAL = ("fid", "kid", "is", "precision", "recall", "density", "coverage")
ALL = "all"


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured: rows of the METRICS table, and the options asked for, by `options_key`.

    lenient: nobody named the metrics, so one that these sets do not allow is left out with a warning.
    also: outputs to have at hand besides those that metrics need, as far as the extractor gives them.
    """

    rows: Rows
    options: Options
    lenient: bool = False
    also: frozenset[Array] = frozenset()

    @classmethod
    def of(cls, names: Sequence[str] | None, options: Options, also: Iterable[Array] = ()) -> "Question":
        """names: of metrics, "all" of them, or None for the usual ones. UsageError for what there is not."""
        lenient = names is None or names == ALL
        rows = find_metrics(USUAL if names is None else tuple(METRICS) if names == ALL else names)
        return cls(rows, checked_options(options, rows), lenient, frozenset(also))

    def narrowed(self, names: Iterable[str]) -> "Question":
        """The same without the rows of other names; UsageError where none is left."""
        kept = set(names)
        rows = {name: row for name, row in self.rows.items() if name in kept}
        if not rows:
            raise UsageError(f"Of the metrics {', '.join(self.rows)} none can be had of these sets by this extractor.")
        return replace(self, rows=rows)


def find_metrics(names: Sequence[str]) -> Rows:
    """Rows of the METRICS table by name; UsageError for none, or an unknown one."""
    if isinstance(names, str):
        raise UsageError(f"metrics is a list of names, found the text '{names}'; write metrics=['{names}'].")
    if not names:
        raise UsageError(f"No metric was asked for; choose from: {', '.join(METRICS)}.")
    for name in names:
        if name not in METRICS:
            raise UsageError(f"Unknown metric '{name}'; {did_you_mean(name, list(METRICS))}")
    return {name: METRICS[name] for name in names}


def needs_labels(row: Metric) -> bool:
    """Whether a metric looks at the classes of images."""
    return takes(row.compute, "real_labels") or takes(row.compute, "fake_labels")
