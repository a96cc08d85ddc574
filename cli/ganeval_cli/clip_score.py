"""`ganeval clip-score`: how well images fit their captions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ganeval_cli.gate_options import GATE, GateOptions
from ganeval_cli.io import LocalPath
from ganeval_cli.options import EVALUATION, OUTPUT, OptionGroup, OutputOptions, command
from ganeval_cli.pairs import every_pair
from ganeval_cli.run import check_specs, show_one

_LEFT_OUT = ("extractor", "protocol", "prepared")
_READING = OptionGroup("reading", tuple(one for one in EVALUATION.options if one.name not in _LEFT_OUT), dict)


@command(_READING, OUTPUT, GATE, name="clip-score")
@click.argument("images")
@click.option(
    "--captions",
    type=LocalPath(exists=True, dir_okay=False),
    metavar="FILE",
    help="A .csv or .jsonl file with a column of files and one of texts.  [default: that of the folder, or NAME.txt]",
)
@click.option(
    "--extractor",
    metavar="SPEC",
    help="A model of images and texts, open_clip:NAME/TAG or hf:OWNER/NAME.  "
    "[default: that of the convention's published numbers]",
)
@click.option(
    "--convention",
    metavar="NAME",
    default="torchmetrics",
    show_default=True,
    help="torchmetrics (100 x cosine, of ViT-L/14), or hessel (2.5 x cosine, of ViT-B/32).",
)
def clip_score(
    *,
    images: str,
    captions: Path | None,
    extractor: str | None,
    convention: str,
    reading: Mapping[str, Any],
    output: OutputOptions,
    gate: GateOptions,
) -> None:
    """How well the images of a folder fit their captions.

    Captions are read from metadata.jsonl or metadata.csv (file_name, text) or captions.csv in the folder IMAGES, or
    from NAME.txt next to NAME.png.
    """
    with gate.exit_codes():
        opened = gate.open(writes=(output.path,), several=None)
        check_specs(images)
        output.check()
        from ganeval import clip_score as scored
        from ganeval_cli.progress import bars

        found = scored(
            images,
            captions,
            convention=convention,
            extractor=extractor,
            progress=bars(quiet=output.quiet),
            **reading,
        )
        show_one(found, output=output, supplement=every_pair(found, output))
        if opened is not None:
            opened.hold(found, output)
