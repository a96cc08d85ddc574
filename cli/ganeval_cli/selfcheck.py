"""`ganeval selfcheck`: an installation checked against known numbers."""

from dataclasses import asdict
from pathlib import Path

import click

from ganeval.tables import Table
from ganeval_cli.console import out
from ganeval_cli.faults import FAILED
from ganeval_cli.options import as_json
from ganeval_cli.saving import to_json


@click.command()
@click.option("--device", default="auto", show_default=True, help="The device to check: cpu, cuda, mps, ...")
@click.option("--weights", type=click.Path(exists=True, path_type=Path), metavar="FILE", help="The published weights.")
@click.option(
    "--published", is_flag=True, help="Also measure CIFAR-10: 265 MB, and three quarters of an hour on a CPU."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bars.")
@as_json
@click.pass_context
def selfcheck(
    ctx: click.Context, *, device: str, weights: Path | None, published: bool, quiet: bool, format: str
) -> None:
    """Check this installation against known numbers.

    Says what passed, what failed, and what could not be checked and why; exits with 1 when something failed.
    """
    from ganeval.selfcheck import run_selfcheck
    from ganeval_cli.progress import bars

    checks = run_selfcheck(device=device, weights=weights, published=published, progress=bars(quiet=quiet))
    if format == "json":
        out(to_json({"checks": [asdict(check) for check in checks]}))
    else:
        out(
            Table(
                ("check", "outcome", "detail"),
                [(check.name, check.outcome, " ".join(check.detail.split())) for check in checks],
            ).text()
        )
    if any(check.outcome == "failed" for check in checks):
        ctx.exit(FAILED)
