"""`ganeval augment`: whether fakes in the training data of a classifier improve it."""

from collections.abc import Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

import click

from ganeval.tables import DIFFERENCE_HEAD, comma_separated, difference_cells
from ganeval.wording import four_digits
from ganeval_cli.console import note
from ganeval_cli.options import OUTPUT, OutputOptions, command
from ganeval_cli.render import laid_out, prose
from ganeval_cli.run import save_and_print, warn
from ganeval_cli.train_options import parsed_settings

if TYPE_CHECKING:
    from reference_models import Augmentation

_POSITIVE = click.IntRange(min=1)


@command(OUTPUT)
@click.argument("data")
@click.option(
    "--variant", metavar="NAME", help="The generator.  [default: acgan; for tables a perceptron per class, r3gan's]"
)
@click.option("--preset", metavar="NAME", default="quick", show_default=True, help="The generator's recipe.")
@click.option("--steps", type=_POSITIVE, metavar="N", help="Generator steps.  [default: the preset's; 300 for tables]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="lr=1e-4, latent=64, or a setting of the variant's own. Repeatable.",
)
@click.option(
    "--splits",
    type=click.IntRange(min=2),
    metavar="N",
    default=10,
    show_default=True,
    help="Random splits into training and held-out rows.",
)
@click.option(
    "--labels-per-class",
    type=click.IntRange(min=2),
    metavar="N",
    help="Train on N rows of each class.  [default: all that a split does not hold out: three quarters]",
)
@click.option(
    "--held-out",
    metavar="SOURCE",
    help="Images to test on, with --labels-per-class.  [default: a data set's own test images, or a quarter]",
)
@click.option(
    "--fakes-per-real",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    default=1.0,
    show_default=True,
    help="Fakes per real of each class.",
)
@click.option(
    "--classifier",
    type=click.Choice(("tree", "logistic", "mlp")),
    help="A decision tree, logistic regression, or a small network.  [default: tree for tables, logistic for images]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of splits, generators and classifiers.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, ...; auto takes a GPU.")
def augment(
    *,
    data: str,
    variant: str | None,
    preset: str,
    steps: int | None,
    settings: tuple[str, ...],
    splits: int,
    labels_per_class: int | None,
    held_out: str | None,
    fakes_per_real: float,
    classifier: str | None,
    seed: int,
    device: str,
    output: OutputOptions,
) -> None:
    """Whether fakes in its training data improve a classifier.

    DATA is a source of labelled images, or a table: table:FILE.csv,LABEL_COLUMN, or table:breast_cancer. In each split
    a generator learns from the training rows, and classifiers learn from the reals, from reals and fakes, and from the
    fakes alone. All are tested on the same real rows, which are held out. Classes of a table that differ in size are
    also filled up by fakes, by copies, and by SMOTE (ganeval[smote]).
    """
    output.check()
    chosen = parsed_settings(settings) | ({} if steps is None else {"steps": steps})
    from reference_models import augment as augmented

    found = augmented(
        data,
        variant=variant,
        preset=preset,
        chosen=chosen,
        splits=splits,
        labels_per_class=labels_per_class,
        held_out=held_out,
        fakes_per_real=fakes_per_real,
        classifier=classifier,
        seed=seed,
        device=device,
        progress=(lambda _: None) if output.quiet else note,
    )
    document = found.to_dict()
    save_and_print(document, partial(_csv, found), lambda: "\n\n".join(_parts(found, output)), output)
    warn(found.notes, output)


def _by_split(found: "Augmentation") -> tuple[Sequence[str], list[tuple[str, int, int, Sequence[float]]]]:
    """Per row: training set, rows, number of the split, and its scores; and the names of the scores."""
    metrics = list(next(iter(found.scores.values())))
    rows: list[tuple[str, int, int, Sequence[float]]] = [
        (name, found.rows[name], number + 1, values)
        for name, scores in found.scores.items()
        for number, values in enumerate(zip(*(scores[metric] for metric in metrics), strict=True))
    ]
    return metrics, rows


def _csv(found: "Augmentation") -> str:
    """The scores of every split, in full precision."""
    metrics, rows = _by_split(found)
    return comma_separated(("training set", "rows", "split", *metrics), [(*row, *values) for *row, values in rows])


def _parts(found: "Augmentation", output: OutputOptions) -> Iterator[str]:
    """Scores, differences, how they were measured, and the verdict."""
    metrics = list(next(iter(found.scores.values())))
    means = [
        (name, str(found.rows[name]), *(four_digits(fmean(scores[metric])) for metric in metrics))
        for name, scores in found.scores.items()
    ]
    yield laid_out(("training set", "rows", *metrics), means, output)
    yield laid_out(DIFFERENCE_HEAD, [difference_cells(one, one.first, one.second) for one in found.differences], output)
    if output.verbose:
        rows = [(name, str(split), *map(four_digits, values)) for name, _, split, values in _by_split(found)[1]]
        yield laid_out(("training set", "split", *metrics), rows, output)
    kind = (
        "random splits; standard errors corrected for shared rows (Nadeau and Bengio 2003)"
        if found.design == "splits"
        else "disjoint draws, all tested on the same rows; standard errors of draws and held-out rows"
    )
    lines = [
        f"{found.data}: {len(found.classes)} classes, {found.train} real rows to train on and {found.held_out} held "
        f"out in each of {found.splits} {kind}",
        f"generator {found.variant}, classifier {found.classifier}",
    ]
    yield prose(lines, output)
    yield prose([found.verdict], output)
