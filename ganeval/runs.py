"""Methods compared over several training runs: the result, and how it is written down.

The maths is in `ganeval.run_statistics`. There is no scipy and no torch here: saved comparisons are read with this
file, results.py and comparison.py alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ganeval.comparison import VERDICTS, Verdict
from ganeval.documents import finite
from ganeval.errors import ResultError
from ganeval.results import (
    SCHEMA,
    Evaluation,
    check_schema,
    damage_reported,
    optional_interval,
    optional_number,
    parse_document,
)

__all__ = ["MethodDifference", "RunsComparison", "Spread"]

# What varies in the error and the interval of a difference.
Scope = Literal["methods", "models"]
SCOPES: tuple[Scope, ...] = ("methods", "models")


@dataclass(frozen=True, slots=True)
class Spread:
    """One metric over the runs of one method.

    Args:
        metric: Its name.
        method: The method's name.
        values: Of each run, in their order.
        mean: Over the runs.
        standard_error: Of the mean, over repetitions with the same number of runs; None for one run, as for the next
            two.
        interval: 95%, of the mean over all possible runs (Student's); None where all values are equal, since other runs
            may still differ.
        deviation: The standard deviation of the values.
        within: The standard deviation of a run's value if its images were drawn again; None without standard errors.
        within_at_most: Whether the part of the standard errors that is due to the reals is not known, as for saved
            results. It is common to all runs and does not add to their spread, so `within` is then an upper and
            `between` a lower bound.
        between: The standard deviation between runs, without the part due to their images: sqrt(deviation^2 -
            within^2), 0 if `within` is larger; None for one run, for equal values, or where `within` is None.
        between_interval: 95%, of `between`. It begins at 0 if the runs do not differ by more than their images explain.
    """

    metric: str
    method: str
    values: tuple[float, ...]
    mean: float
    standard_error: float | None
    interval: tuple[float, float] | None
    deviation: float | None
    within: float | None
    within_at_most: bool
    between: float | None
    between_interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class MethodDifference:
    """One metric of method `second` minus that of `first`, over their runs.

    Args:
        metric: Its name.
        first: Name of one method.
        second: Name of the other.
        value: The difference of the means over runs; for a metric with an ideal, of the mean distances from it.
        standard_error: Of the difference; None where it is not known, as for the interval.
        interval: 95%.
        scope: What error and interval refer to: "methods", as if both were trained again; "models", if one method has
            one run, as if only the images of these models were drawn again.
        freedom: Degrees of freedom of the standard error (Welch-Satterthwaite); None for models.
        p_value: Two-sided (Welch 1947); None for models, as for the next one.
        p_corrected: Corrected for all differences of the comparison (Holm 1979).
        verdict: Whether `second` is "better" or "worse" than `first` at a corrected level of 5%; "unclear" where these
            runs cannot tell, "unknown" for models.
        needed: For an unclear verdict, roughly how many runs of each method would show a difference of this size with
            80% power; None where there is no difference, or no spread to estimate it from.
    """

    metric: str
    first: str
    second: str
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    scope: Scope
    freedom: float | None
    p_value: float | None
    p_corrected: float | None
    verdict: Verdict
    needed: int | None


@dataclass(frozen=True, slots=True)
class RunsComparison:
    """Several methods, each with one or more training runs that were measured against the same reals.

    Args:
        runs: The results, by method name and then by run name.
        spreads: Of every metric and method.
        differences: Of every metric, for every two methods.
        warnings: What to know before using them.
    """

    runs: Mapping[str, Mapping[str, Evaluation]]
    spreads: Sequence[Spread]
    differences: Sequence[MethodDifference]
    warnings: tuple[str, ...] = ()

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The results of all runs, by "METHOD: RUN"."""
        return {f"{method}: {run}": one for method, runs in self.runs.items() for run, one in runs.items()}

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as plain Python."""
        return {
            "schema": SCHEMA,
            "methods": {
                method: {run: one.to_dict() for run, one in runs.items()} for method, runs in self.runs.items()
            },
            "spreads": [asdict(one) for one in self.spreads],
            "differences": [asdict(one) for one in self.differences],
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, text: str, *, name: str = "comparison") -> "RunsComparison":
        """Read a saved comparison of methods.

        Args:
            text: JSON, as of `to_dict`.
            name: What error messages call it.

        Returns:
            The comparison.

        Raises:
            ResultError: It is not a comparison of methods, is damaged, or has a newer schema.
        """
        return cls.from_dict(parse_document(text, name=name), name=name)

    @classmethod
    def from_dict(cls, document: object, *, name: str = "comparison") -> "RunsComparison":
        """The comparison that `to_dict` wrote, also after a round trip through JSON.

        Args:
            document: The members of the JSON document.
            name: What messages call it.

        Returns:
            The comparison.

        Raises:
            ResultError: The document is damaged, no comparison of methods, or of a newer schema.
        """
        if not isinstance(document, dict) or "methods" not in document:
            raise ResultError(f"{name} is JSON but no ganeval comparison of methods: it has no 'methods'.")
        check_schema(document, name=name)
        with damage_reported(name):
            runs = {
                str(method): {
                    str(run): Evaluation.from_dict(one, name=f"{name}: {method}: {run}") for run, one in found.items()
                }
                for method, found in document["methods"].items()
            }
            spreads = tuple(_spread(fields, runs) for fields in document["spreads"])
            differences = tuple(_difference(fields, runs) for fields in document["differences"])
            warnings = tuple(str(text) for text in document["warnings"])
        return cls(runs, spreads, differences, warnings)


def _spread(fields: Mapping[str, Any], runs: Mapping[str, Mapping[str, Evaluation]]) -> Spread:
    """One entry of a document; KeyError, TypeError or ValueError if it is damaged."""
    metric, method = str(fields["metric"]), str(fields["method"])
    values = tuple(finite(value) for value in fields["values"])
    if len(values) != len(runs[method]) or any(metric not in one.metrics for one in runs[method].values()):
        raise ValueError(f"the values of {metric} are not those of the runs of {method}")
    return Spread(
        metric=metric,
        method=method,
        values=values,
        mean=finite(fields["mean"]),
        standard_error=optional_number(fields["standard_error"]),
        interval=optional_interval(fields["interval"]),
        deviation=optional_number(fields["deviation"]),
        within=optional_number(fields["within"]),
        within_at_most=fields["within_at_most"] is True,
        between=optional_number(fields["between"]),
        between_interval=optional_interval(fields["between_interval"]),
    )


def _difference(fields: Mapping[str, Any], runs: Mapping[str, object]) -> MethodDifference:
    """One entry of a document; KeyError, TypeError or ValueError if it is damaged."""
    if fields["verdict"] not in VERDICTS or fields["scope"] not in SCOPES:
        raise ValueError(f"unknown verdict {fields['verdict']!r} on {fields['scope']!r}")
    first, second = str(fields["first"]), str(fields["second"])
    if first not in runs or second not in runs:
        raise ValueError(f"a difference of {first} and {second}, which are not both among the methods")
    needed = optional_number(fields["needed"])
    return MethodDifference(
        metric=str(fields["metric"]),
        first=first,
        second=second,
        value=finite(fields["value"]),
        standard_error=optional_number(fields["standard_error"]),
        interval=optional_interval(fields["interval"]),
        scope=fields["scope"],
        freedom=optional_number(fields["freedom"]),
        p_value=optional_number(fields["p_value"]),
        p_corrected=optional_number(fields["p_corrected"]),
        verdict=fields["verdict"],
        needed=None if needed is None else int(needed),
    )
