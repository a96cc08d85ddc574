"""Training moves no number unseen: five steps of every variant's quick recipe give what is written in quick_runs.json.

`python tests/reference_models/test_quick_runs.py` writes the file anew, for a change that is meant to move numbers.
"""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from reference_models import VARIANTS
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_examples
from reference_models.engine.training import Training
from scripts import golden

FILE = Path(__file__).with_name("quick_runs.json")
STEPS = 5
# Relative and absolute tolerances on another processor, which rounds otherwise. In some runs optimizers that divide a
# gradient by its size make the most of it: on an Intel Xeon, the critic of wgan-gp had, after 25 updates, a loss 7%
# away from that on an AMD EPYC.
USUAL, AMPLIFIED = (1e-3, 1e-5), (0.1, 1e-3)
SENSITIVE = ("bigan", "lucic2018-least-squares", "lucic2018-wgan", "sngan", "wgan", "wgan-gp")


def run_of(name: str) -> dict[str, object]:
    """The logs of the last step, and a digest of the weights and their average."""
    plan = make_plan(name)
    training = Training(plan, read_examples(plan))
    logs = [training.advance() for _ in range(STEPS)][-1]
    digest = hashlib.blake2b(digest_size=16)
    models = [training.model] if training.average is None else [training.model, training.average.model]
    for model in models:
        for tensor in model.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
    return {"logs": {key: float(value) for key, value in logs.items()}, "weights": digest.hexdigest()}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_quick_run_gives_what_it_gave(name: str) -> None:
    """Numbers are equal bit for bit on the machine that wrote the file, and up to rounding on another."""
    kept, threads = json.loads(FILE.read_text(encoding="utf-8")), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = run_of(name)
    finally:
        torch.set_num_threads(threads)
    if kept["machine"] == golden.machine():
        assert found == kept["runs"][name]
    else:
        relative, absolute = AMPLIFIED if name in SENSITIVE else USUAL
        assert found["logs"] == pytest.approx(kept["runs"][name]["logs"], rel=relative, abs=absolute)


if __name__ == "__main__":
    torch.set_num_threads(1)
    runs = {"machine": golden.machine(), "runs": {name: run_of(name) for name in VARIANTS}}
    FILE.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
