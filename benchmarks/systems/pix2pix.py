"""pix2pix: does it learn digits from their edges, and from what is around a hole; what do its parts add?

The quick recipe for four times its steps, as `train-and-score` runs it, next to two twins: one with the L1 loss alone,
and one that is shown false pairs. Trivial methods are the input, the mean target, and the target of the nearest input.
Edges nearly determine a digit. What was in a hole of 6 of 8 pixels is open, and there L1 alone blurs.
"""

from collections.abc import Mapping

from benchmarks.systems.translation import Twin, run_twins, shuffled

TWINS: Mapping[str, Twin] = {
    "pix2pix": Twin(),
    "L1 alone": Twin({"settings.adversarial": 0.0}),
    "false pairs": Twin(change=shuffled),
}
# Of digits of 8 x 8 pixels, before they are enlarged.
HOLES = "hole:digits:train,6"


def main(*, runs: int) -> None:
    """Train and score each twin with seeds 0 to runs - 1."""
    run_twins("pix2pix", TWINS, runs, name="pix2pix")
    judged = {name: twin for name, twin in TWINS.items() if name != "false pairs"}
    run_twins("pix2pix", judged, runs, data=HOLES, name="pix2pix_holes")
