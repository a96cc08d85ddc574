"""`ganeval fid`, `is`, `kid`, `prdc` and `score`: metrics of one set of fakes."""

from typing import TYPE_CHECKING

import click

from ganeval.settings import MetricOptions
from ganeval_cli.gate_options import GATE, GateOptions
from ganeval_cli.options import (
    EVALUATION,
    METRIC_OPTION,
    METRICS,
    OUTPUT,
    EvaluationOptions,
    OutputOptions,
    command,
    metric_option,
    with_flags,
)
from ganeval_cli.report_options import REPORT, ReportOptions
from ganeval_cli.run import evaluate_sets, show

if TYPE_CHECKING:
    from ganeval.pipeline import MetricNames


@command(metric_option("fid.ddof=0"), EVALUATION, OUTPUT)
@click.argument("real")
@click.argument("fake")
def fid(*, real: str, fake: str, options: MetricOptions, evaluation: EvaluationOptions, output: OutputOptions) -> None:
    """Fréchet inception distance of FAKE from REAL.

    REAL and FAKE are folders, .zip, .tar, .npz, .npy, data sets (digits:train), live generators (py:file.py:name),
    degraded images of any of these (lowres:digits:train,2), or features (features:file.npy); REAL may be a statistics
    file made by `ganeval stats`.
    """
    found = evaluate_sets(real, fake, metrics=("fid",), options=options, evaluation=evaluation, output=output)
    show(found, evaluation=evaluation, output=output)


@command(metric_option("is.shuffle_seed=null"), EVALUATION, OUTPUT, name="is")
@click.argument("fake")
@click.option(
    "--splits",
    type=click.IntRange(min=1),
    metavar="N",
    help="Parts that are scored separately.  [default: the protocol's]",
)
def inception_score(
    *, fake: str, splits: int | None, options: MetricOptions, evaluation: EvaluationOptions, output: OutputOptions
) -> None:
    """Inception score of FAKE.

    FAKE is a folder, .zip, .tar, .npz, .npy, a data set (digits:test), or a live generator (py:file.py:name).
    """
    options = with_flags(options, "is", splits=splits)
    found = evaluate_sets(None, fake, metrics=("is",), options=options, evaluation=evaluation, output=output)
    show(found, evaluation=evaluation, output=output)


@command(metric_option("kid.seed=1"), EVALUATION, OUTPUT)
@click.argument("real")
@click.argument("fake")
@click.option(
    "--subsets", type=click.IntRange(min=1), metavar="N", help="Mean over N random subsets, as in papers (100)."
)
@click.option("--subset-size", type=click.IntRange(min=2), metavar="N", help="Images per subset (1000 in papers).")
def kid(
    *,
    real: str,
    fake: str,
    subsets: int | None,
    subset_size: int | None,
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
) -> None:
    """Kernel inception distance of FAKE from REAL.

    The estimate is unbiased at any number of images, so it can be negative. It uses all pairs of images unless
    subsets are asked for. REAL and FAKE are written as for `ganeval fid`, but stored statistics do not suffice.
    """
    options = with_flags(options, "kid", subsets=subsets, subset_size=subset_size)
    found = evaluate_sets(real, fake, metrics=("kid",), options=options, evaluation=evaluation, output=output)
    show(found, evaluation=evaluation, output=output)


@command(metric_option("prdc.seed=1"), EVALUATION, OUTPUT)
@click.argument("real")
@click.argument("fake")
@click.option(
    "--k", type=click.IntRange(min=1), metavar="N", help="The neighbour that sets a ball's radius.  [default: 5]"
)
@click.option(
    "--ties",
    type=click.Choice(("strict", "inclusive")),
    help="Whether a ball includes its surface: strict as in prdc and StudioGAN, inclusive as in torch-fidelity and "
    "ADM.  [default: strict]",
)
def prdc(
    *,
    real: str,
    fake: str,
    k: int | None,
    ties: str | None,
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
) -> None:
    """Precision, recall, density and coverage of FAKE.

    How many fakes lie among the reals, and how many reals among the fakes, by balls that reach to each image's k-th
    nearest neighbour. REAL and FAKE are written as for `ganeval fid`.
    """
    metrics = ("precision", "recall", "density", "coverage")
    options = with_flags(options, "prdc", k=k, ties=ties)
    found = evaluate_sets(real, fake, metrics=metrics, options=options, evaluation=evaluation, output=output)
    show(found, evaluation=evaluation, output=output)


@command(METRICS, METRIC_OPTION, EVALUATION, OUTPUT, REPORT, GATE)
@click.argument("real")
@click.argument("fake")
def score(
    *,
    real: str,
    fake: str,
    metrics: "MetricNames",
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
    report: ReportOptions,
    gate: GateOptions,
) -> None:
    """Several metrics of FAKE against REAL.

    Each set is read once. REAL and FAKE are written as for `ganeval fid`. A metric that was not named, and that cannot
    be computed for these images, is left out with a warning.
    """
    with gate.exit_codes():
        opened = gate.open(writes=(output.path, report.page), several=evaluation.several)
        report.check(output.path, every_protocol=evaluation.every_protocol)
        also = report.extractor_outputs
        found = evaluate_sets(
            real, fake, metrics=metrics, options=options, evaluation=evaluation, output=output, also=also
        )
        show(found, evaluation=evaluation, output=output)
        if evaluation.extractors:
            from ganeval import ExtractorsComparison

            report.write(ExtractorsComparison.of_one(fake, found), output.path)
        if evaluation.several is not None:
            return
        result = found[evaluation.settings.protocol]
        checks = {} if opened is None else {fake: opened.check(result)}
        report.write(result, output.path, name=fake, checks=checks)
        if opened is not None:
            opened.hold(result, output)
