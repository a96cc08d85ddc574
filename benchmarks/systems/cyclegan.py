"""CycleGAN: does it find the hidden map between two sets of which it is shown no pair?

The quick recipe for four times its steps, as `train-and-score` runs it: digits, and recoloured digits. The true map is
known, so outputs are compared with the true target of each held-out input. The twin without discriminators has the
cycles alone; trivial methods are the input itself and the mean of the second set. Cycles are judged by the L1 distance
of held-out inputs from what they are after both translations, sets by FID and by a classifier's accuracy (0.5 is best).
"""

from collections.abc import Mapping
from typing import cast

import torch

from benchmarks.systems.translation import OF_SETS, Twin, run_twins
from reference_models.base import Translator
from reference_models.data.images import Images
from reference_models.models.cyclegan import CycleGAN

TWINS: Mapping[str, Twin] = {
    "cyclegan": Twin(),
    "without cycles": Twin({"settings.cycle": 0.0}),
    "cycles alone": Twin({"settings.adversarial": 0.0}),
}


def main(*, runs: int) -> None:
    """Train and score each twin with seeds 0 to runs - 1."""
    run_twins("cyclegan", TWINS, runs, name="cyclegan", of_sets=(*OF_SETS, "c2st_knn"), further=round_trip)


def round_trip(model: Translator, pairs: Images) -> Mapping[str, float]:
    """The L1 distance of inputs from their translations there and back, where black and white have 1."""
    assert pairs.inputs is not None
    network, inputs = cast(CycleGAN, model).eval(), pairs.inputs.float() / 127.5 - 1
    with torch.no_grad():
        back = network.back(network.forth(inputs))
    return {"cycle l1": float((back - inputs).abs().mean()) / 2}
