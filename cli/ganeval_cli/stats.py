"""`ganeval stats`: the statistics of a reference set, kept in a file."""

import click

from ganeval.errors import UsageError
from ganeval.places import Place
from ganeval.settings import MetricOptions
from ganeval.tables import facts
from ganeval_cli.console import out
from ganeval_cli.io import OutputFile, check_writable, to_json
from ganeval_cli.options import (
    EVALUATION,
    PRINTING,
    EvaluationOptions,
    OutputOptions,
    command,
    metric_option,
)
from ganeval_cli.run import check_one_setup, check_specs, keywords, warn


@command(metric_option("fid.ddof=0"), EVALUATION, PRINTING)
@click.argument("real")
@click.option(
    "-o",
    "--output",
    type=OutputFile(),
    required=True,
    metavar="FILE.npz",
    help="The statistics file to write, a path or a URL.",
)
def stats(
    *, real: str, output: Place, options: MetricOptions, evaluation: EvaluationOptions, printing: OutputOptions
) -> None:
    """Write the feature statistics of REAL to a file.

    The file holds the mean and covariance of the features. It can be given as REAL to `ganeval fid`, and to
    pytorch-fid. It also records how it was measured, and ganeval refuses to compare it with images that are measured
    differently.
    """
    check_one_setup(evaluation, "A statistics file is measured")
    if output.suffix.lower() != ".npz":
        raise UsageError(f"{output} must end in .npz: that is how it is recognised as a statistics file.")
    check_specs(real)
    check_writable(output)
    from ganeval import write_reference

    written = write_reference(real, output, options=options, **keywords(evaluation, printing))
    warn(written.warnings, printing)
    measured, dimensions = dict(written.measured or {}), len(written.features.mean)
    if printing.format == "json":
        known = {"file": written.name, "count": written.count, "dimensions": dimensions, "ddof": written.ddof}
        out(to_json({**known, "sha256": written.sha256, "measured": measured}))
        return
    out(f"{output}: mean and covariance of {written.count} images, {dimensions} dimensions")
    if printing.verbose:
        out(facts((name, str(value)) for name, value in measured.items()))
