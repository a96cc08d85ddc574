"""`ganeval sample`, `interpolate` and `arithmetic`: images of a trained run, and paths through its latents."""

import csv
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ganeval.errors import UsageError
from ganeval_cli.console import out
from ganeval_cli.io import LocalPath, check_png
from ganeval_cli.options import CommandFunction

if TYPE_CHECKING:
    from torch import Tensor

    from reference_models import Sampler

_POSITIVE = click.IntRange(min=1)
# Width in pixels that holds the captions of latent arithmetic.
CAPTION_WIDTH = 64


@dataclass(frozen=True, slots=True)
class Drawing:
    """The model to draw from, and how, from the command line. run: as `ckpt:` takes it."""

    run: str
    output: Path
    seed: int
    weights: Literal["average", "raw"]
    truncation: float | None
    device: str
    scale: int | None

    def open(self) -> "Sampler":
        """The generator; UsageError and CheckpointError if it cannot be opened."""
        from reference_models import open_sampler

        return open_sampler(self.run, weights=self.weights, truncation=self.truncation, device=self.device)

    def write(
        self, images: "Tensor", *, columns: int, captions: tuple[str, ...] | None = None, what: str = "images"
    ) -> None:
        """Write a grid, and print a line about it."""
        from ganeval.grids import write_grid

        scale = self.scale or (2 if captions is None else max(2, CAPTION_WIDTH // images.shape[3]))
        write_grid(images, self.output, columns=columns, captions=captions, scale=scale)
        out(f"{self.output}: {what} of {self.run}, seed {self.seed}")


_OPTIONS = (
    click.argument("run"),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        metavar="N",
        default=0,
        show_default=True,
        help="Seed of the latents.",
    ),
    click.option(
        "--weights",
        type=click.Choice(("average", "raw")),
        default="average",
        show_default=True,
        help="The average over training, if the run kept one, or the last weights.",
    ),
    click.option("--truncation", type=float, metavar="T", help="Truncate normal latents to [-T, T]."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, ...; auto takes a GPU."),
    click.option(
        "--scale", type=_POSITIVE, help="Enlargement of each pixel in a grid.  [default: 2, or as wide as captions]"
    ),
)
_GRID = click.option(
    "-o", "--output", type=LocalPath(), required=True, metavar="FILE.png", help="The picture to write."
)
_LABEL = click.option("--label", metavar="CLASS", help="A class of a conditional model, by name.")


def drawing(command: CommandFunction) -> CommandFunction:
    """RUN and the options of drawing; the command gets them as `drawing`."""

    @wraps(command)
    def parsed(
        *,
        run: str,
        output: Path,
        seed: int,
        weights: Literal["average", "raw"],
        truncation: float | None,
        device: str,
        scale: int | None,
        **given: Any,
    ) -> None:
        command(drawing=Drawing(run, output, seed, weights, truncation, device, scale), **given)

    for option in reversed(_OPTIONS):
        parsed = option(parsed)
    return parsed


@click.command()
@click.option("-n", "count", type=_POSITIVE, default=64, show_default=True, help="Images to draw.")
@click.option(
    "-o",
    "--output",
    type=LocalPath(),
    required=True,
    metavar="PATH",
    help="A .png for a grid, an .npz, a .txt for sequences, or else a folder of PNG files.",
)
@click.option(
    "--labels",
    metavar="CLASSES",
    help="Classes of a conditional model, in turn: 3,1,4, or by name: cat,dog.  [default: all]",
)
@click.option("--columns", type=_POSITIVE, help="Columns of a grid.  [default: 8, or one per class]")
@click.option(
    "--alpha",
    type=click.FloatRange(min=0, min_open=True),
    metavar="A",
    help="For sequences: factor of the logits; above 1, sequences are likelier.  [default: 1]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@drawing
def sample(
    *, drawing: Drawing, count: int, labels: str | None, columns: int | None, alpha: float | None, quiet: bool
) -> None:
    """Draw images, or sequences, from a trained RUN.

    RUN is a folder of `ganeval train`, RUN@best its best checkpoint, RUN@2000 that of a step, or a checkpoint file.
    Image i of a seed is the same in a folder, in a grid, and in a metric (ckpt:RUN).
    """
    if drawing.output.suffix.lower() == ".txt":
        _sample_sequences(drawing, count, alpha, images_only=(labels, columns, drawing.scale, drawing.truncation))
        return
    check_grid_options(drawing.output, columns, drawing.scale)
    if alpha is not None:
        raise UsageError("--alpha applies to sequences, which are written to a .txt; leave it out.")
    wanted = None if labels is None else _words(labels)
    sampler = drawing.open()
    from ganeval_cli.progress import bars
    from reference_models import sample as draw

    draw(
        sampler,
        drawing.output,
        num_samples=count,
        classes=wanted,
        seed=drawing.seed,
        columns=columns,
        scale=drawing.scale,
        name=drawing.run,
        progress=bars(quiet=quiet),
    )
    out(f"{drawing.output}: {count} images of {drawing.run}, seed {drawing.seed}")


@click.command()
@_GRID
@click.option("--rows", type=click.IntRange(1, 100), default=4, show_default=True, help="Walks.")
@click.option("--columns", type=click.IntRange(2, 100), default=10, show_default=True, help="Images per walk.")
@_LABEL
@drawing
def interpolate(*, drawing: Drawing, rows: int, columns: int, label: str | None) -> None:
    """Walk between samples of RUN, in a grid.

    Row r goes from sample 2r to sample 2r + 1 of the seed. RUN is written as for `ganeval sample`.
    """
    check_png(drawing.output)
    sampler = drawing.open()
    from reference_models import interpolate as interpolated

    images = interpolated(sampler, rows=rows, columns=columns, seed=drawing.seed, label=label)
    drawing.write(images, columns=columns, what=f"{rows} walks between samples")


@click.command()
@_GRID
@_LABEL
@drawing
@click.argument("terms")
def arithmetic(*, drawing: Drawing, terms: str, label: str | None) -> None:
    """Add and subtract latents of RUN, in a grid.

    TERMS name samples of the seed by number: '0,3-1,2+4,8' is the mean latent of samples 0 and 3, minus that of 1 and
    2, plus that of 4 and 8. Each term is a row that ends with its mean; the last row is the result and its neighbours.
    RUN is written as for `ganeval sample`.
    """
    check_png(drawing.output)
    sampler = drawing.open()
    from reference_models import latent_arithmetic

    images, captions, columns = latent_arithmetic(sampler, terms, seed=drawing.seed, label=label)
    drawing.write(images, columns=columns, captions=captions, what=f"{terms} in latents")


def check_grid_options(output: Path, columns: int | None, scale: int | None) -> None:
    """UsageError for options of a grid if the output is not a grid."""
    if output.suffix.lower() != ".png" and (columns is not None or scale is not None):
        raise UsageError(f"--columns and --scale apply to a grid (.png), but {output} is not one; leave them out.")


def _sample_sequences(drawing: Drawing, count: int, alpha: float | None, *, images_only: tuple[object, ...]) -> None:
    """Sequences in a text file; UsageError for options of images."""
    if any(option is not None for option in images_only):
        raise UsageError(
            "--labels, --columns, --scale and --truncation apply to images, but a .txt holds sequences; leave them out."
        )
    from reference_models import sample_sequences

    sample_sequences(
        drawing.run,
        drawing.output,
        num_samples=count,
        seed=drawing.seed,
        weights=drawing.weights,
        alpha=1.0 if alpha is None else alpha,
        device=drawing.device,
    )
    out(f"{drawing.output}: {count} sequences of {drawing.run}, seed {drawing.seed}")


def _words(text: str) -> list[str]:
    """Names of classes, separated by commas; a name with a comma is in quotes."""
    try:
        words = [word.strip() for word in next(csv.reader([text], skipinitialspace=True), [])]
    except csv.Error:
        words = []
    if not all(words) or not words:
        raise UsageError(f"{text!r} is not a list of classes; write their names, separated by commas, as in 3,1,4.")
    return words
