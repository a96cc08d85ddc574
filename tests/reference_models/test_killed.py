"""Runs of models with phases, growth, pools or chains are killed in the middle of a step, and go on bit for bit."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import assert_same_state

from reference_models.engine import checkpoint
from reference_models.engine.loop import Intervals
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.resume import resume
from reference_models.engine.run import start
from reference_models.engine.training import Training

ROOT = Path(__file__).parent.parent.parent
HABITS: dict[str, Any] = {"log_every": 1, "sample_every": 0, "save_every": 2}


@dataclass(frozen=True)
class Case:
    """A small run. kills: the steps in the middle of which it is killed, each with its phase."""

    variant: str
    steps: int
    kills: Mapping[int, str]
    chosen: Mapping[str, object]
    data: str | None = None

    def plan(self) -> TrainingPlan:
        """The run's plan."""
        return make_plan(self.variant, data=self.data, chosen={"steps": self.steps, **self.chosen})


CASES = {
    # Its second fade is in steps 6 to 9.
    "progan": Case(
        "progan",
        20,
        {9: "fade to 16 x 16"},
        {
            **{"batch": 8, "ema": 0.9, "settings.maps": 64, "settings.widest": 8, "settings.halved_from": 8},
            "settings.last": 0.4,
        },
    ),
    # Four of six places of the pools are filled at step 2, and all at step 6.
    "cyclegan": Case(
        "cyclegan", 8, {3: "", 7: ""}, {"batch": 2, "settings.pool": 6, "settings.width": 2, "settings.critic_width": 2}
    ),
    "srgan": Case(
        "srgan",
        8,
        {3: "srresnet", 7: "adversarial"},
        {
            **{"batch": 2, "settings.pretraining": 0.5, "settings.blocks": 1, "settings.width": 4},
            **{"settings.critic_width": 2, "settings.dense": 4, "resolution": 8, "settings.scale": 2},
        },
        "lowres:digits:train,2",
    ),
    "seqgan": Case(
        "seqgan",
        12,
        {3: "likelihood", 7: "pretraining", 11: "adversarial"},
        {
            **{"batch": 8, "settings.embedding": 4, "settings.hidden": 4, "settings.filters": 2},
            **{"settings.likelihood": 4, "settings.pretraining": 4, "settings.adversarial": 4},
        },
        "oracle:5,6,40",
    ),
    # A chain is kept from step 4 on, after the burn-in.
    "bayesgan": Case(
        "bayesgan", 8, {3: "burn-in", 7: "sampling"}, {"batch": 8, "settings.hidden": 8, "settings.thin": 1}
    ),
    "ssgan": Case("ssgan", 4, {3: ""}, {"batch": 16, "settings.width": 8, "settings.generator_width": 8}),
}
KILLS = [(name, step) for name, case in CASES.items() for step in case.kills]

# One process imports everything once and begins the runs. Each goes on in a fork, which SIGKILL ends when the first
# player of a step has been updated.
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_killed import CASES, HABITS, KILLS
from torch.optim.optimizer import register_optimizer_step_post_hook
from reference_models.engine.loop import Intervals
from reference_models.engine.run import start

for name, step in KILLS:
    loop = start(CASES[name].plan(), Path({folder!r}) / f"{{name}}-{{step}}", intervals=Intervals(**HABITS))
    child = os.fork()
    if not child:
        def die(*_):
            if loop.training.step == step:
                os.kill(os.getpid(), signal.SIGKILL)
        register_optimizer_step_post_hook(die)
        loop.run()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, (name, step, status)
"""


@dataclass(frozen=True)
class Killed:
    """A killed run. saved: its last checkpoint."""

    folder: Path
    saved: Mapping[str, Any]


@pytest.fixture(scope="module")
def killed(python: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, int], Killed]:
    """The killed runs, by name and step."""
    folder = tmp_path_factory.mktemp("killed")
    code = KILLED.format(paths=[str(ROOT), str(Path(__file__).parent)], folder=str(folder))
    done = subprocess.run([*python, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folders = {(name, step): folder / f"{name}-{step}" for name, step in KILLS}
    return {kill: Killed(run, checkpoint.load(run / "checkpoints/last.pt")) for kill, run in folders.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Training]:
    """Runs that nothing stopped, at their end."""
    folder, found = tmp_path_factory.mktemp("whole"), {}
    for name, case in CASES.items():
        loop = start(case.plan(), folder / name, intervals=Intervals(**HABITS))
        loop.run()
        found[name] = loop.training
    return found


@pytest.mark.parametrize(("name", "step"), KILLS)
def test_a_run_killed_within_a_step_goes_on_bit_for_bit(
    name: str, step: int, killed: Mapping[tuple[str, int], Killed], whole: Mapping[str, Training]
) -> None:
    """Weights, averages, moments, pools, chains, random states and data are as without the kill -9, in any phase."""
    run = killed[name, step]
    assert run.saved["step"] == step // 2 * 2
    resumed = resume(run.folder, intervals=Intervals(**HABITS))
    assert resumed.training.model.phase(step) == CASES[name].kills[step]
    # Of the oracle as well: its sequences are made anew.
    assert_same_state(resumed.training.examples.tensors, whole[name].examples.tensors)
    resumed.run()
    assert_same_state(resumed.training.state(), whole[name].state())


def test_the_kills_are_where_state_is_at_stake(killed: Mapping[tuple[str, int], Killed]) -> None:
    """Within a fade, with pools in part filled and full, and with and without chains that are kept."""
    saved = {kill: run.saved["model"] for kill, run in killed.items()}
    level, alpha = saved["progan", 9]["growth"].tolist()
    assert level > 0
    assert 0 < alpha < 1
    assert [int(saved["cyclegan", step]["images_kept"]) for step in (3, 7)] == [4, 6]
    assert [int(saved["bayesgan", step]["generators.filled"]) for step in (3, 7)] == [0, 1]
