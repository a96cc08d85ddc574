"""`ganeval pairs`: each fake against the real image that belongs to it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ganeval.errors import UsageError
from ganeval.settings import MetricOptions
from ganeval.wording import four_digits
from ganeval_cli.compare import show_comparison
from ganeval_cli.gate_options import GATE, GateOptions
from ganeval_cli.options import OUTPUT, READING, OutputOptions, command, metric_option, metrics_option
from ganeval_cli.render import laid_out
from ganeval_cli.run import Supplement, check_specs, show_one

if TYPE_CHECKING:
    from ganeval import Evaluation
    from ganeval.pipeline import MetricNames

# Pairs on the screen; the JSON document has every pair.
SHOWN = 5
DETAILS = ("median", "min", "max", "standard_deviation")


@command(metrics_option("psnr,ssim,l1"), metric_option("psnr.channel=y"), READING, OUTPUT, GATE)
@click.argument("real")
@click.argument("fakes", nargs=-1, required=True, metavar="FAKE [FAKE...]")
def pairs(
    *,
    real: str,
    fakes: tuple[str, ...],
    metrics: "MetricNames",
    options: MetricOptions,
    reading: Mapping[str, Any],
    output: OutputOptions,
    gate: GateOptions,
) -> None:
    """PSNR, SSIM, LPIPS and others, of pairs of images.

    Each image of FAKE is compared with the real image that belongs to it: by file name without the ending, or by
    position if there are no names. The value of a metric is its mean over pairs. With two or more FAKE, methods are
    compared on the same pairs. REAL and FAKE are written as for `ganeval fid`; `ganeval metrics` lists the metrics that
    need pairs.
    """
    if len(set(fakes)) < len(fakes):
        raise UsageError("The same FAKE was given twice; a comparison needs different ones.")
    with gate.exit_codes():
        opened = gate.open(writes=(output.path,), several="FAKE" if len(fakes) > 1 else None)
        check_specs(real, *fakes)
        output.check()
        from ganeval import compare_pairs, evaluate_pairs
        from ganeval_cli.progress import bars

        given = {"metrics": metrics, "options": options, "progress": bars(quiet=output.quiet), **reading}
        if len(fakes) > 1:
            show_comparison(compare_pairs(real, {name: name for name in fakes}, **given), output)
            return
        found = evaluate_pairs(real, fakes[0], **given)
        show_one(found, output=output, supplement=every_pair(found, output))
        if opened is not None:
            opened.hold(found, output)


def every_pair(found: "Evaluation", output: OutputOptions) -> Supplement | None:
    """The value of every pair; on the screen, the worst pairs by the first metric."""
    measured = found.pairs
    if measured is None or not measured.values:
        return None
    names, metrics = zip(measured.real, measured.fake, strict=True), list(measured.values)
    every: list[dict[str, object]] = [
        {"real": real, "fake": fake, "values": {metric: float(measured.values[metric][row]) for metric in metrics}}
        for row, (real, fake) in enumerate(names)
    ]
    first = found[metrics[0]]
    minimised = [first.to_minimise(float(value)) for value in measured.values[metrics[0]]]
    worst = sorted(range(len(every)), key=lambda row: -minimised[row])[:SHOWN]
    rows: list[Sequence[str]] = [
        (measured.fake[row], *(four_digits(float(measured.values[metric][row])) for metric in metrics)) for row in worst
    ]
    text = laid_out((f"worst by {metrics[0]}", *metrics), rows, output)
    return Supplement({"image_pairs": every}, text, DETAILS)
