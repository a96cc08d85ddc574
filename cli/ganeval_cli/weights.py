"""`ganeval weights`: the published Inception weights on this machine."""

from pathlib import Path

import click

from ganeval_cli.console import out
from ganeval_cli.io import LocalPath, check_writable
from ganeval_cli.options import QUIET


@click.group()
def weights() -> None:
    """The published Inception weights on this machine."""


@weights.command(params=[QUIET])
def fetch(*, quiet: bool) -> None:
    """Download and verify the weights.

    Prints their path. Weights that are there already are not downloaded again.
    """
    from ganeval.extractors import fetch_weights

    out(str(fetch_weights(progress=not quiet)))


@weights.command()
def path() -> None:
    """Print the path of the weights file.

    If there is none yet, where it would be downloaded to.
    """
    from ganeval.extractors import weights_path

    out(str(weights_path()))


@weights.command()
@click.argument("file", type=LocalPath(exists=True, dir_okay=False), required=False)
def verify(*, file: Path | None) -> None:
    """Check that FILE is the published weights file, byte for byte.

    Without FILE, check the file that `ganeval weights path` prints.
    """
    from ganeval.extractors import verify_weights, weights_path

    chosen = file or weights_path()
    digest = verify_weights(chosen)
    out(f"{chosen}: the published weights, SHA-256 {digest}")


@weights.command()
@click.argument("file", type=LocalPath())
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", default=0, show_default=True, help="Seed of the weights."
)
def untrained(*, file: Path, seed: int) -> None:
    """Write seeded random weights to FILE.

    They have the published layout, and serve to try things out without a download. Scores measured with them are
    marked as not comparable with published numbers.
    """
    check_writable(file)
    from ganeval.extractors import untrained_weights

    out(f"{untrained_weights(file, seed=seed)}: untrained weights, seed {seed}")
