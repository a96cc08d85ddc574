"""`ganeval merge`: one file of features from those of the shards."""

import click

from ganeval.places import Place
from ganeval_cli.extract import check_features_file, show_part
from ganeval_cli.io import OutputFile, check_apart
from ganeval_cli.options import PRINTING, OutputOptions, command


@command(PRINTING)
@click.argument("parts", nargs=-1, required=True, type=OutputFile(), metavar="PART...")
@click.option(
    "-o", "--output", type=OutputFile(), required=True, metavar="FILE.npz", help="The file to write, a path or a URL."
)
@click.option("--partial", is_flag=True, help="Allow missing shards: the file can be merged again, but not evaluated.")
def merge(*, parts: tuple[Place, ...], output: Place, partial: bool, printing: OutputOptions) -> None:
    """Merge the features of shards.

    PARTs are files of `ganeval extract --shard`, or of this command, in any order. They must be of one set, and
    extracted in the same way, without overlap. The result is the same to the last digit as that of one extraction of
    the whole set.
    """
    check_features_file(output)
    check_apart([output], parts)
    from ganeval import merge_parts

    show_part(merge_parts(parts, output, partial=partial), printing)
