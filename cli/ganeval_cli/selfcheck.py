"""`ganeval selfcheck`: check an installation against known numbers."""

from dataclasses import asdict
from pathlib import Path

import click

from ganeval_cli.console import out, wrapped_entry
from ganeval_cli.errors import FAILED
from ganeval_cli.io import LocalPath, to_json
from ganeval_cli.options import FORMAT, QUIET, command


@command(QUIET, FORMAT)
@click.option("--device", default="auto", show_default=True, help="The device to check: cpu, cuda, mps, ...")
@click.option("--weights", type=LocalPath(exists=True), metavar="FILE", help="The published weights.")
@click.option(
    "--published",
    is_flag=True,
    help="Also check published numbers: of CIFAR-10 (265 MB to download, and 45 minutes on a CPU), and of other "
    "encoders whose images are in GANEVAL_DATA/published.",
)
@click.pass_context
def selfcheck(
    ctx: click.Context, *, device: str, weights: Path | None, published: bool, quiet: bool, format: str
) -> None:
    """Check this installation against known numbers.

    Prints what passed, what failed, and what could not be checked and why. Exits with 1 if a check failed.
    """
    from ganeval.selfcheck import run_selfcheck
    from ganeval_cli.progress import bars

    checks = run_selfcheck(device=device, weights=weights, published=published, progress=bars(quiet=quiet))
    if format == "json":
        out(to_json({"checks": [asdict(check) for check in checks]}))
    else:
        out("\n".join(wrapped_entry([f"{one.outcome}: {one.name}", one.detail]) for one in checks))
    if any(check.outcome == "failed" for check in checks):
        ctx.exit(FAILED)
