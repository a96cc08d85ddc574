"""A stopped run is resumed bit for bit, however it was stopped, and only with the same settings."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_helpers import assert_same_state, small_plan, small_run
from PIL import Image

from ganeval.errors import CheckpointError, UsageError
from reference_models.engine import checkpoint
from reference_models.engine.folder import Folder
from reference_models.engine.loop import Intervals, Loop
from reference_models.engine.plan import make_plan
from reference_models.engine.resume import resume
from reference_models.engine.run import start

ROOT = Path(__file__).parent.parent.parent
HABITS = {"log_every": 2, "sample_every": 5, "save_every": 3, "keep_every": 6}
CHOSEN = {"steps": 11, "ema": 0.9, "flips": True}

# Trains as the tests do, and kills itself at a chosen moment.
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from engine_helpers import small_run
from reference_models.engine.loop import Callbacks

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def monitor(training):
    if {moment!r} == "between" and training.step == 8:
        die()
    if {moment!r} == "first" and training.step == 2:
        die()
    return {{}}

sync, calls = os.fsync, []
def within(descriptor):
    calls.append(descriptor)
    if {moment!r} == "within" and len(calls) == 3:
        die()
    sync(descriptor)
os.fsync = within
small_run(Path({folder!r}), {intervals!r}, Callbacks(monitors=[monitor]), **{chosen!r}).run()
"""


def kill(python: Sequence[str], folder: Path, moment: str) -> None:
    """Train in another process that is killed by SIGKILL at a given moment."""
    paths = [str(ROOT), str(Path(__file__).parent)]
    code = KILLED.format(paths=paths, moment=moment, folder=str(folder), intervals=HABITS, chosen=CHOSEN)
    done = subprocess.run([*python, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr


def go_on(folder: Path, **given: Any) -> Loop:
    """Resume a run and finish it."""
    loop = resume(folder, intervals=Intervals(**HABITS), **given)
    loop.run()
    return loop


def timeless(folder: Path) -> list[dict[str, Any]]:
    """The log without the timings."""
    return [{name: value for name, value in line.items() if name != "images/s"} for line in Folder(folder).lines()]


def assert_same_run(one: Path, other: Path) -> None:
    """Assert that all checkpoints, pictures and log lines are bit-equal."""
    names = [sorted(path.name for path in (folder / "checkpoints").iterdir()) for folder in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        assert_same_state(*(dict(checkpoint.load(folder / "checkpoints" / name)) for folder in (one, other)), name)
    pictures = [sorted((folder / "samples").iterdir()) for folder in (one, other)]
    assert [path.name for path in pictures[0]] == [path.name for path in pictures[1]]
    assert all(left.read_bytes() == right.read_bytes() for left, right in zip(*pictures, strict=True))
    assert timeless(one) == timeless(other)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    small_run(folder, HABITS, **CHOSEN).run()
    return folder


@pytest.mark.parametrize(("moment", "saved"), [("between", 6), ("within", 3), ("first", None)])
def test_a_killed_run_goes_on_as_if_it_never_stopped(
    python: Sequence[str], tmp_path: Path, whole: Path, moment: str, saved: int | None
) -> None:
    """A run killed between two saves, within one, or before the first equals an uninterrupted one."""
    folder = tmp_path / "run"
    kill(python, folder, moment)
    last = folder / "checkpoints/last.pt"
    assert (int(checkpoint.load(last)["step"]) if last.exists() else None) == saved
    go_on(folder)
    assert_same_run(folder, whole)


def test_a_run_may_be_stopped_again_and_again(tmp_path: Path, whole: Path) -> None:
    """Three pieces make the same run, and a run may be continued beyond its planned end."""
    folder = tmp_path / "run"
    small_run(folder, HABITS, **{**CHOSEN, "steps": 3}).run()
    go_on(folder, steps=6)
    loop = go_on(folder, steps=11)
    last = checkpoint.load(whole / "checkpoints/last.pt")
    state = loop.training.state()
    assert_same_state({name: last[name] for name in state}, state)


@pytest.mark.parametrize("variant", ["gan", "began", "wgan"])
def test_every_kind_of_state_survives(tmp_path: Path, variant: str) -> None:
    """Momentum, dropout's randomness, Adam's and RMSprop's moments, k_t, and a schedule of turns are restored."""
    states = []
    for stops in (False, True):
        loop = begun(tmp_path / str(stops), variant, steps=4)
        if stops:
            stop_at(loop, 2)
            loop = resume(loop.folder.root, intervals=Intervals(sample_every=0))
        loop.run()
        states.append(loop.training.state())
    assert_same_state(*states)


def begun(folder: Path, variant: str, steps: int) -> Loop:
    """A run of a quick recipe in small batches."""
    plan = make_plan(variant, chosen={"steps": steps, "batch": 4, "resolution": 16})
    return start(plan, folder, intervals=Intervals(sample_every=0))


def stop_at(loop: Loop, step: int) -> None:
    """Train up to this step, and save."""
    while loop.training.step < step:
        loop.training.advance()
    loop.save()


def test_a_schedule_stretches_to_the_steps_that_a_run_is_taken_to(tmp_path: Path) -> None:
    """A rate that had reached its end returns to that of a longer run, is reported, and falls again."""
    loop = begun(tmp_path / "run", "lucic2018-dragan", steps=4)
    assert loop.notices == []
    loop.run()
    log = Folder(tmp_path / "run")
    assert [line["rate/generator"] for line in log.lines()] == pytest.approx([2e-3 * (1 + 0.75 + 0.5 + 0.25) / 4])
    longer = resume(tmp_path / "run", steps=8, intervals=Intervals(sample_every=0, log_every=1))
    assert longer.notices[0] == (
        "The learning rates of this run depend on its length, which is now 8 steps, not 4; at step 4 they change to "
        "those of a run of this length: discriminator 0 to 0.001, generator 0 to 0.001."
    )
    longer.run()
    found = [line["rate/discriminator"] for line in log.lines()][1:]
    assert found == pytest.approx([2e-3 * (1 - step / 8) for step in (4, 5, 6, 7)])


def test_epochs_decide_how_long_a_schedule_is(tmp_path: Path) -> None:
    """A run of a number of epochs anneals over the corresponding steps."""
    plan = make_plan("lucic2018-dragan", train_images=12, chosen={"batch": 4, "resolution": 16})
    loop = start(plan, tmp_path / "run", intervals=Intervals(sample_every=0), epochs=2)
    # Two updates of the discriminator, each with a batch of its own.
    assert loop.training.plan.recipe.steps == loop.training.model.recipe.steps == 3
    assert [loop.training.advance()["rate/generator"] for _ in range(3)] == pytest.approx(
        [2e-3, 2e-3 * 2 / 3, 2e-3 / 3]
    )


def test_a_line_that_was_cut_off_does_no_harm(tmp_path: Path) -> None:
    """An incomplete line at the end of the log is removed, with all lines after the checkpoint."""
    folder = tmp_path / "run"
    small_run(folder, {"save_every": 2}, steps=4).run()
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "loss/discriminator": 1.0}\n{"step": 6, "lo')
    resume(folder, steps=6, intervals=Intervals(log_every=1)).run()
    assert [line["step"] for line in Folder(folder).lines()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("damage", ["[1, 2]", '{"a": 1}', '"step"', '{"step": "9"}', "\udcff"])
def test_a_damaged_line_does_no_harm(tmp_path: Path, damage: str) -> None:
    """A damaged line is treated as the end of the log."""
    folder = tmp_path / "run"
    small_run(folder, {"save_every": 2}, steps=4).run()
    with (folder / "log.jsonl").open("a", errors="surrogateescape") as log:
        log.write(f"{damage}\n")
    resume(folder, steps=6, intervals=Intervals(log_every=1)).run()
    assert [line["step"] for line in Folder(folder).lines()] == [1, 2, 3, 4, 5, 6]


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run stopped at the third of six steps."""
    loop = small_run(tmp_path / "run", {"save_every": 3})
    for _ in range(3):
        loop.training.advance()
    loop.save()
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"batch": 32}, "recipe.batch was 16 and is 32"),
        ({"seed": 7}, "seed was 0 and is 7"),
        ({"data": "digits:test"}, "The images of digits:test are not those that"),
        ({"variant": "dcgan"}, "recipe.variant was 'gan' and is 'dcgan'"),
        ({"latent": 7}, "recipe.latent.size was 100 and is 7"),
        ({"lr": 0.5}, "recipe.optimizers.discriminator.lr was 0.001 and is 0.5; recipe.optimizers.generator.lr was"),
        ({"lr.generator": 0.5}, "this command recipe.optimizers.generator.lr was 0.001 and is 0.5."),
        ({"settings.loss": "minimax"}, "recipe.settings.loss was 'non-saturating' and is 'minimax'"),
        ({"precision": "bf16", "accumulate": 2}, "precision was 'fp32' and is 'bf16'; accumulate was 1"),
    ],
)
def test_changed_settings_are_refused_by_name(stopped: Path, asked: Mapping[str, object], named: str) -> None:
    """The message has the old and the new value of each."""
    with pytest.raises(UsageError) as refusal:
        resume(stopped, asked=asked)
    assert named in str(refusal.value)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"settings.los": "minimax"}, "no setting 'los'; did you mean 'loss'?"),
        ({"lr.generater": 1e-3}, "no setting 'lr.generater'; did you mean 'lr.generator'?"),
        ({"bath": 16}, "did you mean 'batch'?"),
    ],
)
def test_settings_that_there_are_not_are_refused(stopped: Path, asked: Mapping[str, object], named: str) -> None:
    """Unknown settings are refused, as at the beginning of a run."""
    with pytest.raises(UsageError) as refusal:
        resume(stopped, asked=asked)
    assert named in str(refusal.value)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, stopped: Path) -> None:
    """A checkpoint of another variant or seed than config.json has is refused."""
    last = stopped / "checkpoints/last.pt"
    dcgan = make_plan("dcgan", chosen={"steps": 1, "resolution": 16, "batch": 4, "settings.width": 2})
    for number, plan in enumerate((dcgan, make_plan("gan", seed=1, chosen=dict(small_plan().chosen)))):
        other = start(plan, tmp_path / f"other-{number}")
        other.save()
        last.write_bytes(other.folder.checkpoint_path("last").read_bytes())
        named = r"recipe\.variant is 'gan' there and 'dcgan' here" if plan is dcgan else "seed is 0 there and 1 here"
        with pytest.raises(CheckpointError, match=named):
            resume(stopped)


def test_settings_that_are_what_they_were_are_welcome(stopped: Path) -> None:
    """Repeating the original settings changes nothing."""
    loop = resume(stopped, asked={"batch": 16, "seed": 0, "variant": "gan", "settings.loss": "non-saturating"})
    assert loop.training.step == 3


def test_chosen_rates_and_latents_are_kept_by_a_run(tmp_path: Path) -> None:
    """They are in the config and the checkpoint, are kept on resuming, and are refused if they differ."""
    chosen = {"lr": 0.004, "lr.generator": 0.002, "latent": 5, "steps": 4, "batch": 4, "resolution": 16}
    loop = start(make_plan("lucic2018-dragan", chosen=chosen), tmp_path / "run", intervals=Intervals(sample_every=0))
    stop_at(loop, 2)
    config = json.loads((tmp_path / "run/config.json").read_text())["plan"]
    assert config["chosen"] == chosen
    assert config["recipe"]["latent"]["size"] == 5
    assert [config["recipe"]["optimizers"][one]["lr"]["start"] for one in ("discriminator", "generator")] == [
        4e-3,
        2e-3,
    ]
    again = resume(tmp_path / "run", asked={"lr": 0.004, "lr.generator": 0.002, "latent": 5}).training
    assert again.advance()["rate/generator"] == 0.001
    assert again.model.latent(1, rng=torch.Generator()).shape == (1, 5)
    assert checkpoint.load_model(tmp_path / "run/checkpoints/last.pt").recipe.latent.size == 5
    with pytest.raises(UsageError, match=r"generator\.lr\.start was 0\.002 and is 0\.004"):
        resume(tmp_path / "run", asked={"lr": 0.004})


def test_a_recipe_that_has_changed_is_refused_by_name(stopped: Path) -> None:
    """A run is not resumed with a recipe whose rate differs in a later version."""
    path = stopped / "checkpoints/last.pt"
    document = dict(torch.load(path, weights_only=True))
    document["plan"]["recipe"]["optimizers"]["generator"]["lr"] = 0.5
    torch.save(document, path)
    with pytest.raises(UsageError, match=r"recipe\.optimizers\.generator\.lr was 0\.5 and is") as refusal:
        resume(stopped)
    with pytest.raises(UsageError) as unloaded:
        checkpoint.load_model(path)
    assert str(unloaded.value) == str(refusal.value)
    assert "Use the version of ganeval that it was trained with" in str(unloaded.value)


def test_other_images_are_refused(tmp_path: Path) -> None:
    """The data of a run are identified by content, not by name."""
    for name in range(20):
        Image.new("L", (8, 8), name).save(tmp_path / f"{name}.png")
    plan = make_plan("gan", data=str(tmp_path), chosen=dict(small_plan().chosen))
    loop = start(plan, tmp_path.with_suffix(".run"))
    loop.run()
    Image.new("L", (8, 8), 99).save(tmp_path / "0.png")
    with pytest.raises(UsageError, match="are not those that"):
        resume(tmp_path.with_suffix(".run"), steps=9)


def test_a_finished_run_says_how_to_take_it_further(tmp_path: Path) -> None:
    """A finished run is not resumed unless there are more steps."""
    small_run(tmp_path / "run").run()
    with pytest.raises(UsageError, match="is at step 6, its last; give a larger --steps to train longer"):
        resume(tmp_path / "run")
    assert resume(tmp_path / "run", steps=7).training.plan.recipe.steps == 7


def test_a_run_does_not_go_back(stopped: Path) -> None:
    """A step that is passed is refused, with the step of the run."""
    with pytest.raises(
        UsageError,
        match="is already at step 3, but --steps is 2; give more than 3, or leave it out to continue",
    ):
        resume(stopped, steps=2)
    with pytest.raises(UsageError, match="--steps is 2; give 3 or more, or leave it out"):
        resume(stopped, steps=2, may_be_done=True)
    assert resume(stopped, steps=3, may_be_done=True).training.step == 3


def test_a_damaged_last_checkpoint_is_named(stopped: Path) -> None:
    """A damaged last checkpoint is an error, not a run without checkpoints."""
    (stopped / "checkpoints/last.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"last\.pt is damaged"):
        resume(stopped)


def test_a_missing_last_checkpoint_is_named_where_others_are(stopped: Path) -> None:
    """A run whose last checkpoint is missing does not start again silently."""
    (stopped / "checkpoints/last.pt").rename(stopped / "checkpoints/best.pt")
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        resume(stopped)


def test_a_run_without_checkpoints_says_that_it_begins_again(stopped: Path) -> None:
    """Its log shows that it has made steps. Folders that a copy lacks, since they were empty, are made anew."""
    shutil.rmtree(stopped / "checkpoints")
    shutil.rmtree(stopped / "samples")
    assert resume(stopped).notices == []
    (stopped / "log.jsonl").write_text('{"step": 2}\n')
    loop = resume(stopped)
    assert loop.training.step == 0
    assert loop.notices == [
        f"{stopped} was at step 2 or later, but has no checkpoint: it begins again at its first step."
    ]
    loop.run()
    assert (stopped / "checkpoints/last.pt").exists()


def test_the_plan_in_the_config_is_the_plan_in_the_checkpoint(stopped: Path) -> None:
    """The plans in both files are equal."""
    config = json.loads((stopped / "config.json").read_text())
    assert config["plan"] == checkpoint.load(stopped / "checkpoints/last.pt")["plan"]
