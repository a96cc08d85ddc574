"""Several generators measured against the same reals, and the differences between them."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from ganeval.comparison import Comparison, differences
from ganeval.errors import UsageError
from ganeval.evaluation import Names
from ganeval.extractors.base import Output
from ganeval.features import FeatureSet, Progress, copied, silent
from ganeval.metrics import METRICS
from ganeval.metrics.nearest import near_copies
from ganeval.options import Options
from ganeval.pipeline import Measurement, Plan, Schemes
from ganeval.protocols import find_protocol
from ganeval.question import Question
from ganeval.settings import Settings


def compare(
    real: object,
    fakes: Mapping[str, object],
    *,
    metrics: Names = None,
    options: Options | None = None,
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> Comparison:
    """Measure two or more generators against the same reals, which are read once, and say which is better.

    fakes: by name, whatever `open_source` takes. The other arguments are those of `evaluate`.
    """
    measurements = measure_all(
        real, fakes, metrics=metrics, options=options, progress=progress, schemes=schemes, also=(), **settings
    )
    return comparison(measurements)


def measure_all(
    real: object,
    fakes: Mapping[str, object],
    *,
    metrics: Names = None,
    options: Options | None = None,
    progress: Progress = silent,
    schemes: Schemes | None = None,
    also: Collection[Output] = (),
    **settings: object,
) -> dict[str, Measurement]:
    """`compare`'s measurements by name, with everything that was looked at; UsageError for fewer than two."""
    if len(fakes) < 2:
        raise UsageError(f"A comparison needs at least two generators, found {len(fakes)}.")
    chosen = Settings.of(settings)
    plan = Plan.of(
        real,
        list(fakes.values()),
        Question.of(metrics, options or {}, also),
        settings=chosen,
        protocols=[find_protocol(chosen.protocol)],
        schemes=schemes,
    )
    return dict(zip(fakes, (lanes[0] for lanes in plan.measure(progress)), strict=True))


def comparison(measurements: Mapping[str, Measurement]) -> Comparison:
    """What measurements against the same reals say of each other."""

    def covariance(metric: str, first: str, second: str) -> float | None:
        if METRICS[metric].real is None:
            return 0.0
        one, other = (measurements[name].measured.estimates[metric].shared for name in (first, second))
        if one is None or other is None or one.shape != other.shape:
            return None
        return float(np.dot(one, other))

    evaluations = {name: one.measured.evaluation for name, one in measurements.items()}
    caveats = (*_unequal(measurements), *_copying(measurements))
    return Comparison(evaluations, differences(evaluations, covariance), caveats)


def _copying(measurements: Mapping[str, Measurement]) -> Iterator[str]:
    """A hint for every generator that gives copies of the reals, which most metrics take for quality."""
    for name, one in measurements.items():
        real, fake = (side and side.known for side in (one.real, one.fake))
        if not isinstance(real, FeatureSet) or not isinstance(fake, FeatureSet):
            continue
        places = copied(real, fake)
        exact = 0 if places is None else int((places >= 0).sum())
        found = [f"{exact} of its {len(fake)} images equal a real in every pixel"] if exact else []
        if "features" in real.arrays and "features" in fake.arrays:
            near = near_copies(real.arrays["features"], fake.arrays["features"])
            if near is not None:
                found.append(f"{near[0]} of {near[1]} are closer to a real than 99% of unseen reals would be")
        if found:
            yield (
                f"{name}: {', and '.join(found)}. FID, KID, precision, density and coverage take copies for quality; "
                f"see `ganeval nn` (metrics nn, authenticity, ct) before you call it better."
            )


def _unequal(measurements: Mapping[str, Measurement]) -> tuple[str, ...]:
    """A remark where generators gave different numbers of images."""
    counts = {name: one.fake.count for name, one in measurements.items()}
    if len(set(counts.values())) == 1:
        return ()
    found = ", ".join(f"{name} {count}" for name, count in counts.items())
    return (
        f"The generators have different numbers of images ({found}), and most metrics are biased by it: give "
        "--num-samples (num_samples=) to compare as many of each.",
    )
