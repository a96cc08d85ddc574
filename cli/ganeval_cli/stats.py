"""`ganeval stats`: a reference, measured once and kept in a file."""

from pathlib import Path

import click

from ganeval.errors import UsageError
from ganeval.tables import facts
from ganeval_cli.answering import check_specs, how
from ganeval_cli.console import out
from ganeval_cli.options import Choices, OptionsAsked, View, measuring, options_as_in, showing_plain
from ganeval_cli.saving import check_writable, to_json


@click.command()
@click.argument("real")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE.npz", help="Where to.")
@options_as_in("fid.ddof=0")
@measuring
@showing_plain
def stats(*, real: str, output: Path, options: OptionsAsked, choices: Choices, view: View) -> None:
    """Write mean and covariance of REAL's features to a file.

    The file stands for REAL in `ganeval fid` and in pytorch-fid; ganeval also finds in it how it was measured, and
    refuses to compare it with images that are measured otherwise.
    """
    if choices.every_protocol:
        raise UsageError("A statistics file belongs to one protocol; choose one.")
    if output.suffix.lower() != ".npz":
        raise UsageError(f"{output} must end in .npz: that is how it is recognised as a statistics file.")
    check_specs(real)
    check_writable(output)
    from ganeval.evaluation import write_reference

    written = write_reference(real, output, options=options, **how(choices, view))
    about: dict[str, object] = {
        "file": written.name,
        "count": written.count,
        "dimensions": len(written.features.mean),
        "ddof": written.ddof,
        "sha256": written.sha256,
        "measured": dict(written.measured or {}),
    }
    if view.format == "json":
        out(to_json(about))
        return
    out(f"{output}: mean and covariance of {about['count']} images, {about['dimensions']} dimensions")
    if view.verbose:
        out(facts((name, str(value)) for name, value in (written.measured or {}).items()))
