"""`ganeval extract`: the features of a set or of one of its shards, in a file that replaces the set."""

import re
from typing import TYPE_CHECKING

import click

from ganeval.errors import UsageError
from ganeval.places import Place, place_of
from ganeval.tables import facts
from ganeval_cli.console import out
from ganeval_cli.io import OutputFile, check_apart, check_writable, to_json
from ganeval_cli.options import EVALUATION, METRICS, PRINTING, EvaluationOptions, OutputOptions, command
from ganeval_cli.run import check_one_setup, check_specs, keywords, warn

if TYPE_CHECKING:
    from ganeval import ExtractedPart
    from ganeval.pipeline import MetricNames

_SHARD = re.compile(r"([0-9]+)/([0-9]+)")


@command(METRICS, EVALUATION, PRINTING)
@click.argument("source")
@click.option(
    "-o", "--output", type=OutputFile(), required=True, metavar="FILE.npz", help="The file to write, a path or a URL."
)
@click.option(
    "--shard",
    default="1/1",
    show_default=True,
    metavar="I/N",
    help="Of N shards, extract number I, from 1 to N; `ganeval merge` merges them.",
)
def extract(
    *,
    source: str,
    output: Place,
    shard: str,
    metrics: "MetricNames",
    evaluation: EvaluationOptions,
    printing: OutputOptions,
) -> None:
    """Save the features of SOURCE, or of one shard of it.

    Every command takes the file in place of SOURCE, as REAL or FAKE, and gives the same numbers. Programs that read
    statistics (pytorch-fid, clean-fid) take it, too. --metrics says which metrics the features are for.

    A shard that is already in the file is not extracted again. An interrupted extraction goes on where it stopped.
    """
    check_one_setup(evaluation, "Features are extracted")
    asked = _SHARD.fullmatch(shard)
    if asked is None:
        raise UsageError(f"--shard {shard} does not name a shard; write I/N, as in --shard 3/8.")
    check_specs(source)
    check_features_file(output)
    check_apart([output], [place_of(source)])
    from ganeval import extract_features

    number, of = int(asked[1]), int(asked[2])
    found = extract_features(source, output, shard=(number, of), metrics=metrics, **keywords(evaluation, printing))
    show_part(found, printing)


def check_features_file(output: Place) -> None:
    """UsageError for a file that does not end in .npz; other errors as in `check_writable`."""
    if output.suffix.lower() != ".npz":
        raise UsageError(f"{output} must end in .npz: that is how a file of features is recognised.")
    check_writable(output)


def show_part(found: "ExtractedPart", printing: OutputOptions) -> None:
    """Print what a file of features holds, and warnings."""
    warn(found.warnings, printing)
    if printing.format == "json":
        known = {"file": str(found.path), "images": found.images, "of": found.total, "skipped": found.skipped}
        out(to_json({**known, "shards": found.shards, "missing": found.missing, **_rest(found)}))
        return
    images = f"{found.images} images" if found.images == found.total else f"{found.images} of {found.total} images"
    images += f", without {found.skipped} that could not be read" if found.skipped else ""
    kept = "" if found.written else "; they already existed, so nothing was read"
    out(f"{found.path}: features of {images}{kept}")
    if printing.verbose:
        out(facts([("skipped", str(found.skipped)), *((name, str(width)) for name, width in found.outputs.items())]))


def _rest(found: "ExtractedPart") -> dict[str, object]:
    return {"outputs": dict(found.outputs), "written": found.written}
