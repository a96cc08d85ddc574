"""Sources -> features -> metrics -> Evaluation, in one call."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, cast

from ganeval.errors import MetricError, UsageError
from ganeval.extractors.base import Output
from ganeval.features import Progress, silent
from ganeval.measure import open_lanes
from ganeval.options import Options, checked_options
from ganeval.pipeline import Measurement, Plan, Schemes, check_selected, open_collector, open_images
from ganeval.protocols import PROTOCOLS, find_protocol
from ganeval.provenance import about_extractor, about_source
from ganeval.question import Question, find_metrics
from ganeval.results import Evaluation
from ganeval.settings import Settings
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Gaussian, Statistics, read_statistics, write_statistics

# Names of metrics, "all" that can be had, or None for the usual ones.
Names = Sequence[str] | Literal["all"] | None


def evaluate(
    real: object,
    fake: object,
    *,
    metrics: Names = ("fid",),
    options: Options | None = None,
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> Evaluation:
    """Measure `fake` against `real`.

    real, fake: anything `open_source` takes: a path, a spec, a tensor, an array, a Dataset, a DataLoader, a
    generator. real may be a statistics file, or None when no metric looks at it.
    metrics: names of the METRICS table; None for the usual ones and "all" for all, as far as the extractor and the
    sets give what they need: one that cannot be had is left out, with a warning that says why.
    options: of metrics, as in {"prdc": {"k": 3}}. settings: the fields of `ganeval.Settings` (extractor=...,
    protocol=..., ...). progress: shows the reading. schemes: further schemes for `open_source`.
    """
    return measure(
        real, fake, metrics=metrics, options=options, progress=progress, schemes=schemes, also=(), **settings
    ).measured.evaluation


def measure(
    real: object,
    fake: object,
    *,
    metrics: Names = ("fid",),
    options: Options | None = None,
    progress: Progress = silent,
    schemes: Schemes | None = None,
    also: Collection[Output] = (),
    **settings: object,
) -> Measurement:
    """`evaluate`, with everything that was looked at beside the result: sources, features, estimates.

    also: outputs of the extractor to have at hand, besides what metrics need, where it gives them.
    """
    chosen = Settings.of(settings)
    question, protocols = Question.of(metrics, options or {}, also), [find_protocol(chosen.protocol)]
    plan = Plan.of(real, [fake], question, settings=chosen, protocols=protocols, schemes=schemes)
    return plan.measure(progress)[0][0]


def evaluate_protocols(
    real: object,
    fake: object,
    *,
    metrics: Names = ("fid",),
    options: Options | None = None,
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> dict[str, Evaluation]:
    """The same measurement under every protocol, decoding once: how far the choice alone moves the number."""
    chosen = Settings.of(settings)
    if chosen.extractor.partition(":")[0] != "inception":
        raise UsageError(
            f"Protocols differ in how images reach the inception network; the extractor '{chosen.extractor}' has a "
            "preprocessing of its own. Choose one protocol, or the extractor inception."
        )
    question = Question.of(metrics, options or {})
    protocols = list(PROTOCOLS.values())
    plan = Plan.of(real, [fake], question, settings=chosen, protocols=protocols, schemes=schemes)
    (found,) = plan.measure(progress)
    return {one.lane.protocol.name: one.measured.evaluation for one in found}


def write_reference(
    real: object,
    path: str | Path,
    *,
    options: Options | None = None,
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> Statistics:
    """Write mean and covariance of `real` to a file that `evaluate` takes as real, and pytorch-fid reads.

    path: must end in .npz, which is how such a file is recognised. options: those of "fid", as for `evaluate`.
    MetricError for fewer than 2 images.
    """
    path, chosen = Path(path), Settings.of(settings)
    asked = checked_options(options or {}, find_metrics(["fid"])).get("fid", {})
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{path} must end in .npz: that is how it is recognised as a statistics file.")
    protocol = find_protocol(chosen.protocol)
    source = open_images(real, chosen, schemes)
    if isinstance(source, Features):
        raise UsageError(
            f"{source.name} holds features; write their moments with numpy: "
            f"numpy.savez('{path}', mu=f.mean(0), sigma=numpy.cov(f, rowvar=False))."
        )
    check_selected(chosen, [source])
    lanes = open_lanes(chosen, [protocol])
    collector = open_collector(chosen, lanes, progress)
    (features,) = collector.features(source, frozenset(("features",)))
    extractor = lanes[0].extractor
    ddof = cast(int, asked.get("ddof", protocol.ddof))
    if len(features) < 2:
        raise MetricError(f"{source.name} holds 1 image, and a covariance needs at least 2.")
    gaussian = collector.moments(features, extractor).gaussian(ddof=ddof)
    write_statistics(
        path,
        Gaussian(gaussian.mean.numpy(), gaussian.covariance.numpy()),
        count=len(features),
        ddof=ddof,
        measured={**about_extractor(extractor, protocol), "source": about_source(source, features)},
    )
    return read_statistics(path)
