"""What an evaluation says, and how it is written down: values with error bars, provenance, and a signature.

JSON, schema 1 (`SCHEMA`, described in docs/results.md). No maths, no torch: the gate and the report read results with
this file alone.
"""

import base64
import hashlib
import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from ganeval.documents import DocumentError, finite, parse_json
from ganeval.errors import ResultError

if TYPE_CHECKING:
    from ganeval.features import FeatureSet
    from ganeval.pairs import PairValues
    from ganeval.uncertainty import Estimate

__all__ = ["CLASS", "PAIRS", "SCHEMA", "Evaluation", "MetricResult", "RealsPart", "warnings_of"]

SCHEMA = 1
# The fields that decide whether two numbers may be compared; the signature lists them in this order.
SIGNED = ("extractor", "weights_sha256", "preprocessing", "protocol", "precision")

# The end of both sets' names if they are halves of the reals: a noise floor.
HALVES = ", random halves"

# The provenance of metrics of pairs instead of an extractor's: they use unchanged pixels.
PAIRS: Mapping[str, object] = MappingProxyType(
    {
        "extractor": "none",
        "weights": "none",
        "weights_sha256": "",
        "published_weights": True,
        "preprocessing": "none: pairs of images as they are",
        "protocol": "pairs",
        "precision": "fp64",
        "dimensions": None,
    }
)

# The key of a detail of one class begins with it.
CLASS = "class "
DIRECTIONS = ("lower", "higher", "closer")
# No set has more images; a larger count means a damaged file.
MAX_IMAGES = 10**15

# Options may be infinite (vendi.order), and JSON has no number for it.
INFINITE = MappingProxyType({"Infinity": math.inf, "-Infinity": -math.inf})


@dataclass(frozen=True, slots=True)
class RealsPart:
    """The part of a value's error that is due to the reals, in a form in which two results have their covariance.

    Args:
        error: Its standard deviation.
        direction: How the value depends on the reals, up to a factor: at most 256 whole numbers from -127 to 127. The
            cosine of two of these is the correlation r of the parts. Where there are more reals than numbers, it is
            estimated, with a standard deviation of about (1 - r^2) / 16.
    """

    error: float
    direction: tuple[int, ...]

    def covariance(self, other: "RealsPart") -> float | None:
        """The covariance of two values that were measured against the same reals, in the same order.

        Args:
            other: The part of the other value.

        Returns:
            The covariance; None where the two parts are of different kinds.
        """
        if len(self.direction) != len(other.direction):
            return None
        product, ours, theirs = (
            sum(a * b for a, b in zip(first, second, strict=True))
            for first, second in (
                (self.direction, other.direction),
                (self.direction, self.direction),
                (other.direction, other.direction),
            )
        )
        # The root of a product of integer squares, so that equal directions have a correlation of exactly 1.
        return self.error * other.error * (product / math.sqrt(ours * theirs)) if product else 0.0


@dataclass(frozen=True, slots=True)
class MetricResult:
    """The value of one metric, with its uncertainty.

    Args:
        value: The value.
        standard_error: How far the value would move if the images were drawn again; None if unknown.
        interval: 95%; None where it is not known.
        direction: Which values are better: "lower", "higher", or "closer" to `ideal`.
        n_real: Real images used; None where the metric does not use them, or their number is unknown.
        n_fake: Fake images used.
        method: How the standard error was computed.
        options: The options of the metric, as used.
        details: Further numbers, by name.
        notes: What to know before using the value.
        ideal: The best value, for the direction "closer"; None for others.
        reals: The part of the error that is due to the reals; None where it is not known, and where they are not used.
    """

    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    direction: str
    n_real: int | None
    n_fake: int
    method: str
    options: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ideal: float | None = None
    reals: RealsPart | None = None

    def to_minimise(self, value: float) -> float:
        """A value on a scale where lower is better: itself, its negative, or its distance from the ideal.

        Args:
            value: A value of this metric.

        Returns:
            The value, its negative, or its distance from the ideal.
        """
        if self.direction == "closer":
            return abs(value - cast(float, self.ideal))
        return -value if self.direction == "higher" else value


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics of one generator, and how they were computed.

    Args:
        metrics: By name.
        provenance: Extractor, weights, preprocessing, protocol, both sets, versions and more (docs/results.md).
        comparable: Whether the numbers can be compared with published ones.
        warnings: What to know before using the numbers; also why they are not comparable.
        estimates: What the metrics returned; empty for a saved result.
        real: Features of the reals; None for a saved result, and where no metric uses them.
        fake: Features of the fakes; None for a saved result.
        pairs: The values of single pairs of images; None for a saved result, and for metrics of sets.
    """

    metrics: Mapping[str, MetricResult]
    provenance: Mapping[str, Any]
    comparable: bool
    warnings: tuple[str, ...] = ()
    estimates: "Mapping[str, Estimate]" = field(default_factory=dict, compare=False, repr=False)
    real: "FeatureSet | None" = field(default=None, compare=False, repr=False)
    fake: "FeatureSet | None" = field(default=None, compare=False, repr=False)
    pairs: "PairValues | None" = field(default=None, compare=False, repr=False)

    def __getitem__(self, metric: str) -> MetricResult:
        """The result of a metric; KeyError, which names those that there are, for one that was not computed."""
        if metric not in self.metrics:
            raise KeyError(f"no metric '{metric}' was computed, only {', '.join(self.metrics) or 'none'}")
        return self.metrics[metric]

    def __iter__(self) -> Iterator[str]:
        """The names of the metrics."""
        return iter(self.metrics)

    def __len__(self) -> int:
        """How many metrics there are."""
        return len(self.metrics)

    def __contains__(self, metric: object) -> bool:
        """Whether a metric was computed."""
        return metric in self.metrics

    @property
    def is_noise_floor(self) -> bool:
        """Whether reals were measured against other reals, by `noise_floor`."""
        sides = [self.provenance.get(side) for side in ("real", "fake")]
        return all(isinstance(one, Mapping) and str(one.get("name", "")).endswith(HALVES) for one in sides)

    @property
    def signature(self) -> str:
        """One line that describes how this result was computed; results with equal signatures are comparable."""
        options = {name: dict(result.options) for name, result in sorted(self.metrics.items())}
        counts = {name: (result.n_real, result.n_fake) for name, result in sorted(self.metrics.items())}
        parts = [f"{key}={_word(self.provenance[key])}" for key in SIGNED]
        parts += [f"{name}:{_word(options[name])}:n={_pair(*counts[name])}" for name in options]
        return "|".join([*parts, f"ganeval={self.provenance['versions']['ganeval']}"])

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as plain Python."""
        return {
            "schema": SCHEMA,
            "metrics": {name: _fields(one) for name, one in self.metrics.items()},
            "comparable": self.comparable,
            "warnings": list(self.warnings),
            "provenance": dict(self.provenance),
            "signature": self.signature,
        }

    def to_json(self) -> str:
        """Indented JSON; ResultError for NaN and infinity, which JSON cannot hold."""
        try:
            text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise ResultError(f"This result holds a number that is not finite ({error}).") from error
        # File names may hold bytes that are not text; Python's surrogates for these become JSON escapes.
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    @classmethod
    def from_json(cls, text: str, *, name: str = "result") -> "Evaluation":
        """Read a saved result.

        Args:
            text: JSON, as of `to_json`.
            name: What error messages call it.

        Returns:
            The result, without the features that it was computed from.

        Raises:
            ResultError: It is not a result, is damaged, or has a newer schema.
        """
        return cls.from_dict(parse_document(text, name=name), name=name)

    @classmethod
    def from_dict(cls, document: object, *, name: str = "result") -> "Evaluation":
        """The result that `to_dict` wrote, also after a round trip through JSON.

        Args:
            document: The members of the JSON document.
            name: What messages call it.

        Returns:
            The result, without the features that it was computed from.

        Raises:
            ResultError: The document is damaged, no result, or of a newer schema.
        """
        if not isinstance(document, dict) or "schema" not in document:
            raise ResultError(f"{name} is JSON but no ganeval result: it has no 'schema'.")
        check_schema(document, name=name)
        if "protocols" in document:
            raise ResultError(f"{name} holds a result for every protocol; take one of them out of its 'protocols'.")
        if "extractors" in document:
            raise ResultError(f"{name} holds a result for every extractor; take one of them out of its 'extractors'.")
        if "metrics" not in document:
            raise ResultError(f"{name} is JSON but no ganeval result: it has no 'metrics'.")
        with damage_reported(name):
            metrics = {str(key): _metric(value) for key, value in document["metrics"].items()}
            warnings = tuple(str(warning) for warning in document["warnings"])
            result = cls(metrics, document["provenance"], document["comparable"] is True, warnings)
            # The signature can be written only if all of its fields are present.
            _ = result.signature
        return result


def warnings_of(evaluations: Iterable[Evaluation]) -> list[str]:
    """Everything to know before using results: their warnings, and the notes of their metrics.

    Args:
        evaluations: The results.

    Returns:
        Each sentence once; a note begins with its metric.
    """
    found: dict[str, None] = {}
    for evaluation in evaluations:
        found |= dict.fromkeys(evaluation.warnings)
        for name, result in evaluation.metrics.items():
            found |= dict.fromkeys(f"{name}: {text}" for text in result.notes)
    return list(found)


def parse_document(text: str, *, name: str) -> object:
    """The value of a JSON text; ResultError, which begins with the name, where it is not JSON or beyond the bounds."""
    if not isinstance(text, str | bytes):
        raise ResultError(f"{name} must be a JSON text, found {type(text).__name__}; from_dict() reads a dictionary.")
    try:
        return parse_json(text)
    except DocumentError as error:
        raise ResultError(f"{name} {error}") from error


def check_schema(document: Mapping[str, Any], *, name: str) -> None:
    """ResultError for a document of another schema than this version reads."""
    if document.get("schema") != SCHEMA:
        raise ResultError(f"{name} has schema {str(document.get('schema'))[:40]}; this ganeval reads schema {SCHEMA}.")


@contextmanager
def damage_reported(name: str) -> Iterator[None]:
    """Inside, what a document lacks or holds in a wrong form is a ResultError that names the document."""
    try:
        yield
    except KeyError as error:
        raise ResultError(f"{name} is damaged: it lacks {error}.") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise ResultError(f"{name} is damaged ({type(error).__name__}: {error}).") from error


def optional_number(value: object) -> float | None:
    """A finite number or None; ValueError for anything else."""
    return None if value is None else finite(value)


def optional_interval(value: Any) -> tuple[float, float] | None:
    """Two finite numbers in order, or None; ValueError or TypeError for anything else."""
    if value is None:
        return None
    low, high = map(finite, value)
    if low > high:
        raise ValueError(f"an interval from {low} to {high}")
    return low, high


def _fields(result: MetricResult) -> dict[str, Any]:
    """One entry of a document."""
    reals = None
    if result.reals is not None:
        direction = base64.b64encode(array("b", result.reals.direction).tobytes()).decode("ascii")
        reals = {"error": result.reals.error, "direction": direction}
    return {**asdict(result), "options": _finite_words(result), "reals": reals}


def _reals(fields: Mapping[str, Any] | None) -> RealsPart | None:
    """What `_fields` wrote, None in files of earlier versions; KeyError, TypeError or ValueError if it is damaged."""
    if fields is None:
        return None
    error = finite(fields["error"])
    if error < 0:
        raise ValueError(f"an error of {error}")
    return RealsPart(error, tuple(array("b", base64.b64decode(fields["direction"], validate=True))))


def _finite_words(result: MetricResult) -> dict[str, object]:
    """The options, with words for values that JSON lacks; a text equal to such a word gets an apostrophe before it."""
    words = {number: word for word, number in INFINITE.items()}

    def written(value: object) -> object:
        if isinstance(value, str) and value.lstrip("'") in INFINITE:
            return f"'{value}"
        return words.get(value, value) if isinstance(value, float) else value

    return {key: written(value) for key, value in result.options.items()}


def _option(value: object) -> object:
    """The value of an option as `_finite_words` wrote it."""
    if not isinstance(value, str) or value.lstrip("'") not in INFINITE:
        return value
    return INFINITE.get(value, value[1:])


def _metric(fields: Mapping[str, Any]) -> MetricResult:
    """One entry of a document, without additions of later versions; KeyError, TypeError or ValueError for damage."""
    n_real, direction, ideal = fields["n_real"], str(fields["direction"]), fields["ideal"]
    if direction not in DIRECTIONS or (direction == "closer") != (ideal is not None):
        raise ValueError(f"direction '{direction[:40]}' with the ideal {ideal}")
    return MetricResult(
        value=finite(fields["value"]),
        standard_error=optional_number(fields["standard_error"]),
        interval=optional_interval(fields["interval"]),
        direction=direction,
        n_real=None if n_real is None else _count(n_real),
        n_fake=_count(fields["n_fake"]),
        method=str(fields["method"]),
        options={str(key): _option(value) for key, value in fields["options"].items()},
        details={str(key): finite(value) for key, value in fields["details"].items()},
        notes=tuple(str(note) for note in fields["notes"]),
        ideal=optional_number(ideal),
        reals=_reals(fields.get("reals")),
    )


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_IMAGES:
        raise ValueError(f"{str(value)[:20]} is not a number of images")
    return value


def _word(value: object) -> str:
    """A value as one word of the signature; long digests are cut to 12 characters."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_word(item)}" for key, item in sorted(value.items()))
    text = str(value)
    is_digest = len(text) == hashlib.sha256().digest_size * 2 and set(text) <= set("0123456789abcdef")
    return text[:12] if is_digest else text.replace(" ", "_").replace("|", "/")


def _pair(real: int | None, fake: int) -> str:
    return f"{fake}" if real is None else f"{real}x{fake}"
