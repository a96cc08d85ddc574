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

    lenient: nobody named the metrics, so those that these sets do not allow are left out with a warning.
    also: outputs to have at hand besides those that metrics need, as far as the extractor gives them.
    left_out: why metrics were left out before anything was measured, if any were.
    """

    rows: Rows
    options: Options
    lenient: bool = False
    also: frozenset[Array] = frozenset()
    left_out: str | None = None

    @classmethod
    def of(cls, names: Sequence[str] | None, options: Options, also: Iterable[Array] = ()) -> "Question":
        """names: of metrics, "all" of them, or None for the usual ones. UsageError for what there is not."""
        lenient = names is None or names == ALL
        rows = find_metrics(USUAL if names is None else tuple(METRICS) if names == ALL else names)
        return cls(rows, checked_options(options, rows), lenient, frozenset(also))

    def without(self, reasons: Mapping[str, str]) -> "Question":
        """The same without the metrics that there is a reason against, by name; UsageError where none is left."""
        if not reasons:
            return self
        names: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            names.setdefault(reason, []).append(name)
        listed = "; ".join(f"{', '.join(some)} ({reason})" for reason, some in names.items())
        rows = {name: row for name, row in self.rows.items() if name not in reasons}
        if not rows:
            raise UsageError(f"No metric can be had of these sets by this extractor: {listed}.")
        return replace(self, rows=rows, left_out=f"Left out: {listed}.")


def find_metrics(names: Sequence[str]) -> Rows:
    """Rows of the METRICS table by name; UsageError for none, or an unknown one."""
    if isinstance(names, str):
        raise UsageError(f"metrics is a list of names, found the text '{names}'; write metrics=['{names}'].")
    if not names:
        raise UsageError(f"No metric was asked for; choose from: {', '.join(METRICS)}.")
    for name in names:
        if name not in METRICS:
            raise UsageError(f"Unknown metric '{name}'; {_hint(name)}")
    return {name: METRICS[name] for name in names}


def _hint(name: str) -> str:
    """What may have been meant by a word that is no metric."""
    if name == ALL:
        return f"'{ALL}' stands alone, without names beside it."
    members = [member for member, row in METRICS.items() if row.family == name or member.startswith(f"{name}_")]
    return f"give one or more of {','.join(members)}." if members else did_you_mean(str(name), list(METRICS))


def needs_labels(row: Metric) -> bool:
    """Whether a metric looks at the classes of images."""
    return takes(row.compute, "real_labels") or takes(row.compute, "fake_labels")
