"""`ganeval translate`: apply a trained model to images."""

from pathlib import Path
from typing import Literal

import click

from ganeval_cli.console import out
from ganeval_cli.io import LocalPath
from ganeval_cli.run import check_specs
from ganeval_cli.sample import check_grid_options

_POSITIVE = click.IntRange(min=1)


@click.command()
@click.argument("run")
@click.argument("source", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    type=LocalPath(),
    required=True,
    metavar="PATH",
    help="A folder for a PNG per image, a .png for a grid of inputs and outputs, or an .npz.",
)
@click.option("--num-samples", type=_POSITIVE, metavar="N", help="Translate N random images of INPUT.  [default: all]")
@click.option("--tile", type=_POSITIVE, metavar="PIXELS", help="Translate larger images in overlapping tiles.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of random numbers.",
)
@click.option(
    "--weights",
    type=click.Choice(("average", "raw")),
    default="average",
    show_default=True,
    help="The average over training, if the run kept one, or the last weights.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, ...; auto takes a GPU.")
@click.option("--columns", type=_POSITIVE, help="Pairs per row of a grid.  [default: 4]")
@click.option(
    "--scale", type=_POSITIVE, help="Enlargement of each pixel in a grid.  [default: 1, more for small images]"
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def translate(
    *,
    run: str,
    source: str,
    output: Path,
    num_samples: int | None,
    tile: int | None,
    seed: int,
    weights: Literal["average", "raw"],
    device: str,
    columns: int | None,
    scale: int | None,
    quiet: bool,
) -> None:
    """Translate the images of INPUT with a trained RUN.

    RUN is the folder of `ganeval train`, RUN@best its best checkpoint, RUN@2000 that of a step, or a checkpoint's file.
    INPUT is a folder, an archive or any other source of images. In a folder each output has the name of its input, so
    that `ganeval pairs TARGETS OUTPUTS` compares them.
    """
    check_grid_options(output, columns, scale)
    check_specs(source)
    from ganeval_cli.progress import bars
    from reference_models import open_translator
    from reference_models import translate as translate_all

    model = open_translator(run, weights=weights, device=device)
    count = translate_all(
        model,
        source,
        output,
        num_samples=num_samples,
        tile=tile,
        seed=seed,
        columns=columns,
        scale=scale,
        progress=bars(quiet=quiet),
    )
    out(f"{output}: {count} images of {source}, translated by {run}")
