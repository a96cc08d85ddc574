"""A run: the files it writes, evaluation without side effects, and how it ends on errors."""

import json
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from core_helpers import terminated_child
from engine_helpers import assert_same_state, small_plan, small_run, some_images
from PIL import Image
from torch import nn

import ganeval.interrupts
import reference_models
from ganeval.errors import Interrupted, SourceError, TrainingError, UsageError
from ganeval.processes import Processes, working
from ganeval.results import Evaluation, MetricResult
from ganeval.sources.sandbox import RandomState
from reference_models import VARIANTS
from reference_models.base import GAN, Model
from reference_models.engine import checkpoint
from reference_models.engine.curves import CurvePoint, read_curve
from reference_models.engine.diagnostics import Finding
from reference_models.engine.folder import Folder, check_new_run, read_log, tensorboard
from reference_models.engine.interrupts import deferred_signals
from reference_models.engine.log_buffer import LogBuffer
from reference_models.engine.loop import Callbacks, Intervals
from reference_models.engine.plan import make_plan
from reference_models.engine.resume import resume
from reference_models.engine.run import start
from reference_models.engine.training import Average, Training
from reference_models.scoring.train_and_score import _free


def scored(*values: float, metric: str = "fid", direction: str = "lower") -> Callable[[GAN], Evaluation]:
    """A scorer that returns these values in turn, and changes all state that a scorer could change."""
    rest = iter(values)

    def score(model: GAN) -> Evaluation:
        model.train()
        torch.rand(3)
        result = MetricResult(next(rest), 0.5, None, direction, 10, 10, "none")
        return Evaluation({metric: result}, {}, comparable=False)

    return score


def named(folder: Folder) -> list[str]:
    """The names of the existing checkpoints."""
    return sorted(path.stem for path in folder.checkpoints.iterdir())


def test_a_run_writes_down_all_of_it(tmp_path: Path) -> None:
    """The run has the plan, one line per step, a picture of the fixed latents, and the last checkpoint."""
    loop = small_run(tmp_path / "run", {"log_every": 2, "sample_every": 3})
    loop.run()
    folder = loop.folder
    assert [line["step"] for line in folder.lines()] == [2, 4, 6]
    assert {"loss/discriminator", "loss/generator", "grad/generator", "logit/real", "images/s"} < set(folder.lines()[0])
    assert [path.name for path in sorted(folder.samples.iterdir())] == ["step-00000003.png", "step-00000006.png"]
    assert named(folder) == ["last"]
    config = folder.read_config()
    assert config["plan"]["recipe"]["variant"] == "gan"
    assert config["digest"] == loop.training.images.digest
    assert {"torch", "python", "ganeval", "created"} < set(config)


def test_logged_numbers_are_means_of_the_steps_since_the_last_line(tmp_path: Path) -> None:
    """Logging every second step gives means of pairs of the values logged at every step."""
    for every in (1, 2):
        small_run(tmp_path / str(every), {"log_every": every}).run()
    single, double = (Folder(tmp_path / name).lines() for name in ("1", "2"))
    pairs = [(single[at]["loss/generator"] + single[at + 1]["loss/generator"]) / 2 for at in (0, 2, 4)]
    assert [line["loss/generator"] for line in double] == pytest.approx(pairs)


def test_a_grid_shows_every_sample(tmp_path: Path) -> None:
    """A hundred samples of 8 x 8 in ten columns, two pixels apart."""
    small_run(tmp_path / "run", {"sample_every": 6}).run()
    with Image.open(tmp_path / "run/samples/step-00000006.png") as picture:
        assert picture.size == (102, 102)


def test_the_same_seed_trains_the_same_weights_whatever_is_done_beside(tmp_path: Path) -> None:
    """Logging, drawing, saving and scoring do not change the trained weights, and another seed does."""
    quiet = small_run(tmp_path / "quiet", {"log_every": 100})
    busy = small_run(
        tmp_path / "busy",
        {"sample_every": 1, "save_every": 1, "keep_every": 2, "score_every": 1},
        Callbacks(scorer=scored(*range(7))),
    )
    for loop in (quiet, busy):
        loop.run()
    assert_same_state(quiet.training.state(), busy.training.state())
    other = Training(make_plan("gan", chosen=dict(small_plan().chosen), seed=1), quiet.training.images)
    assert not torch.equal(next(other.model.parameters()), next(quiet.training.model.parameters()))


def test_a_training_leaves_the_callers_randomness_alone(tmp_path: Path) -> None:
    """The global random state is neither changed nor used, though dropout draws from it."""
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = small_run(tmp_path / "first")
    first.run()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    second = small_run(tmp_path / "second")
    second.run()
    assert_same_state(first.training.state(), second.training.state())


def test_the_best_checkpoint_is_the_best_by_the_first_metric(tmp_path: Path) -> None:
    """Lower or higher is best, as for the metric; the log has all scores, the untrained model's first."""
    for direction, untrained, best in (("lower", 1, 2), ("higher", 20, 3)):
        loop = small_run(
            tmp_path / direction,
            {"score_every": 1},
            Callbacks(scorer=scored(untrained, 5, 3, 9, 4, 4, 4, direction=direction)),
        )
        loop.run()
        assert named(loop.folder) == ["best", "last"]
        assert checkpoint.load(loop.folder.checkpoint_path("best"))["step"] == best
        scores = [line for line in loop.folder.lines() if "score/fid" in line]
        assert [line["step"] for line in scores] == [0, 1, 2, 3, 4, 5, 6]
        assert [(line["score/fid"], line["error/fid"]) for line in scores][:2] == [(untrained, 0.5), (5, 0.5)]


def test_checkpoints_are_kept_as_often_as_asked(tmp_path: Path) -> None:
    """Each is named by its step."""
    loop = small_run(tmp_path / "run", {"keep_every": 2})
    loop.run()
    assert named(loop.folder) == ["last", "step-00000002", "step-00000004", "step-00000006"]
    assert checkpoint.load(loop.folder.checkpoint_path(4))["step"] == 4


def broken_at(step: int) -> Callable[[Training], Mapping[str, float]]:
    """A monitor that puts NaN into a weight of the generator after a step."""

    def monitor(training: Training) -> Mapping[str, float]:
        if training.step == step:
            with torch.no_grad():
                training.model.get_parameter("generator.2.weight")[3, 5] = float("nan")
        return {}

    return monitor


@pytest.mark.parametrize("log_every", [1, 3])
def test_a_loss_that_is_nan_ends_the_run_and_names_the_first_bad_tensor(tmp_path: Path, log_every: int) -> None:
    """Error and log name the tensor and the step, logged or not, and the previous checkpoint is intact."""
    heard: list[Finding] = []
    intervals = {"save_every": 2, "log_every": log_every}
    loop = small_run(tmp_path / "run", intervals, Callbacks(monitors=[broken_at(3)], warn=heard.append))
    found = r"divergence at step 4: loss/discriminator is nan.* parameter generator\.2\.weight, in 1 of its 1024 "
    with pytest.raises(TrainingError, match=found):
        loop.run()
    assert [finding.alarm for finding in heard] == ["divergence"]
    assert [line["alarm"] for line in loop.folder.lines() if "alarm" in line] == ["divergence"]
    assert checkpoint.load(loop.folder.checkpoint_path("last"))["step"] == 2


def test_a_probe_that_gives_nan_is_a_divergence(tmp_path: Path) -> None:
    """The log holds no NaN, and the error names the monitored number."""
    loop = small_run(tmp_path / "run", callbacks=Callbacks(monitors=[lambda training: {"spread": float("nan")}]))
    with pytest.raises(TrainingError, match="spread is nan"):
        loop.run()
    assert ["alarm" in line for line in loop.folder.lines()] == [True]


def test_weights_that_are_nan_are_never_saved(tmp_path: Path) -> None:
    """Weights that are NaN are not saved, even before a loss shows it."""
    loop = small_run(tmp_path / "run", {"save_every": 2}, Callbacks(monitors=[broken_at(4)]))
    with pytest.raises(TrainingError, match=r"at step 4: .*generator\.2\.weight.*not saved"):
        loop.run()
    assert checkpoint.load(loop.folder.checkpoint_path("last"))["step"] == 2


def test_an_alarm_that_was_to_stop_the_run_does_and_is_saved(tmp_path: Path) -> None:
    """A rising FID is a collapse; without --stop-on the run continues to its end."""
    values = (100, 10, 100, 100, 100, 100, 100)
    loop = small_run(tmp_path / "stops", {"score_every": 1, "stop_on": ["collapse"]}, Callbacks(scorer=scored(*values)))
    with pytest.raises(TrainingError, match=r"collapse at step 3.*is saved"):
        loop.run()
    assert checkpoint.load(loop.folder.checkpoint_path("last"))["step"] == 3
    heard: list[Finding] = []
    loop = small_run(tmp_path / "goes", {"score_every": 1}, Callbacks(scorer=scored(*values), warn=heard.append))
    loop.run()
    assert loop.training.step == 6
    assert [finding.alarm for finding in heard] == ["collapse"]


def test_a_full_disk_in_the_middle_of_a_run_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with an error, and is resumed from the last save when there is room again."""

    loop = small_run(tmp_path / "run", {"save_every": 2})
    sync = os.fsync

    def full(descriptor: int) -> None:
        if loop.training.step == 4:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"step 4 could not be written \(No space left on device\).*still valid"):
        loop.run()
    monkeypatch.undo()
    assert named(loop.folder) == ["last"]
    again = resume(tmp_path / "run", intervals=Intervals(log_every=1, sample_every=0))
    assert again.training.step == 2
    again.run()
    assert again.training.step == 6


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    """The signal takes effect between steps, and the previous handler is restored."""

    def interrupt(training: Training) -> Mapping[str, float]:
        if training.step == 3:
            signal.raise_signal(signal.SIGINT)
        return {}

    before = signal.getsignal(signal.SIGINT)
    loop = small_run(tmp_path / "run", callbacks=Callbacks(monitors=[interrupt]))
    with pytest.raises(KeyboardInterrupt, match=r"Step 3 of 6 is saved; `ganeval train --resume .*run` continues"):
        loop.run()
    assert checkpoint.load(loop.folder.checkpoint_path("last"))["step"] == 3
    assert signal.getsignal(signal.SIGINT) is before


@contextmanager
def raising(*numbers: int) -> Iterator[None]:
    """Inside, signals raise KeyboardInterrupt, as they do in a command."""

    def stop(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_signals_in_quick_succession_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later one interrupts at once."""
    with raising(signal.SIGTERM), deferred_signals() as noted:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert noted.number == signal.SIGTERM
        monkeypatch.setattr(ganeval.interrupts, "SAME_REQUEST", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_came_before_drops_what_may_be_left_undone() -> None:
    """It is not begun; a signal after it is noted again."""
    with raising(signal.SIGINT), deferred_signals() as noted:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted), noted.at_once():
            raise AssertionError("it was begun")
        assert not noted.immediate


def test_a_process_that_is_forked_during_training_ends_as_usual() -> None:
    """A worker of an extractor that is terminated does not wait for the end of a step."""
    with raising(signal.SIGTERM), deferred_signals() as noted:
        assert terminated_child() == -signal.SIGTERM
        assert not noted.number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_state_is_restored_after_a_score_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The training goes on from the state that it had before the score."""
    restore = RandomState.restore

    def interrupted(state: RandomState) -> None:
        signal.raise_signal(number)
        restore(state)

    with raising(number):
        loop = small_run(tmp_path / "run", {"score_every": 2}, Callbacks(scorer=scored(1.0)))
        monkeypatch.setattr(RandomState, "restore", interrupted)
        before = torch.get_rng_state()
        with pytest.raises(Interrupted, match=r"Step 0 of 6 is saved"):
            loop.run()
    assert torch.equal(torch.get_rng_state(), before)
    assert loop.training.model.training


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drops_the_score_that_is_being_computed(tmp_path: Path, number: signal.Signals) -> None:
    """It ends at once, its step is saved, and a resumed run gets the weights of one that was not interrupted."""
    scored: list[int] = []

    def score(_: Model) -> Evaluation:
        torch.rand(3)
        scored.append(len(scored))
        if len(scored) == 3:
            signal.raise_signal(number)
            raise AssertionError("the score went on")
        found = MetricResult(
            value=1.0, standard_error=0.1, interval=None, direction="lower", n_real=9, n_fake=9, method=""
        )
        return Evaluation({"fid": found}, {}, comparable=True)

    loop = small_run(tmp_path / "run", {"score_every": 2}, Callbacks(scorer=score))
    with raising(number), pytest.raises(Interrupted, match=r"Step 4 of 6 is saved") as ended:
        loop.run()
    assert ended.value.number == number
    assert [line["step"] for line in read_log(tmp_path / "run") if "score/fid" in line] == [0, 2]
    again = resume(tmp_path / "run", intervals=Intervals(log_every=1, sample_every=0, save_every=0))
    again.run()
    whole = small_run(tmp_path / "whole")
    whole.run()
    assert_same_state(again.training.state()["model"], whole.training.state()["model"])


def test_epochs_are_as_many_steps_as_draw_every_image_so_often(tmp_path: Path) -> None:
    """1,347 digits in batches of 16: two epochs are 169 steps."""
    loop = start(small_plan(), tmp_path / "run", epochs=2)
    assert loop.training.plan.recipe.steps == 169
    assert Folder(tmp_path / "run").read_config()["plan"]["recipe"]["steps"] == 169


@pytest.mark.parametrize("epochs", [math.inf, math.nan, 0.0, -1.0, 1e308, 1e4])
def test_epochs_that_nobody_could_train_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: float
) -> None:
    """They must be finite, above 0, and give a countable number of steps; no run is begun."""
    monkeypatch.setattr("reference_models.engine.training.MAX_STEPS", 1000)
    with pytest.raises(UsageError, match="epochs is "):
        start(small_plan(), tmp_path / "run", epochs=epochs)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("variant", "batch", "parts"), [("bigan", 1, 1), ("bigan", 7, 3), ("lucic2018-wgan-gp", 4, 4)])
def test_a_part_of_one_image_is_refused_where_images_are_normalised_together(
    tmp_path: Path, variant: str, batch: int, parts: int
) -> None:
    """A last part of one image has no variance, so no run is begun."""
    plan = make_plan(variant, chosen={"batch": batch, "steps": 1}, accumulate=parts)
    with pytest.raises(UsageError, match=f"batch is {batch} and accumulate is {parts}, .* 2 images or more"):
        start(plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    Training(make_plan(variant, chosen={"batch": 8, "steps": 1}, accumulate=3), some_images(8, size=16)).advance()


def test_a_folder_that_holds_something_is_not_written_over(tmp_path: Path) -> None:
    """Neither a run nor another folder is overwritten, and the message says what to do."""
    small_run(tmp_path / "run")
    with pytest.raises(UsageError, match=r"already holds a run; resume it .*--resume"):
        small_run(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").touch()
    with pytest.raises(UsageError, match="not an empty folder"):
        small_run(tmp_path / "other")


def test_two_processes_do_not_train_into_one_folder(tmp_path: Path) -> None:
    """The second process gets an error."""
    loop = small_run(tmp_path / "run")
    with loop.folder.hold():
        for begin in (loop.run, lambda: resume(tmp_path / "run")):
            with pytest.raises(UsageError, match="Another process is training into"):
                begin()


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    """A refused run leaves no folder."""
    with pytest.raises(SourceError, match="too few for a batch"):
        small_run(tmp_path / "run", batch=2000)
    assert not (tmp_path / "run").exists()


def test_a_run_whose_settings_cannot_be_written_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a full disk, the same command finds a place that is free."""

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(TrainingError, match="cannot be written: No space left on device"):
            small_run(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    small_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("variant", "data"),
    [("bigan", "digits:test"), ("context-encoder", "hole:photos:test:32,12"), ("exgan", "hole:identities:test")],
)
def test_a_single_image_cannot_be_normalised(tmp_path: Path, variant: str, data: str) -> None:
    """Over images alone, or in maps of one pixel: a part of one image is refused, with the options that decide it."""
    for batch, accumulate in ((1, 1), (3, 2)):
        chosen = {"batch": batch, "steps": 1, "channels": 3}
        plan = make_plan(variant, data=data, chosen=chosen, accumulate=accumulate, device="cpu")
        with pytest.raises(UsageError, match=f"accumulate is {accumulate}, so that {variant} would be given a single"):
            start(plan, tmp_path / "run").run()
        assert not (tmp_path / "run").exists()


def test_a_single_image_has_pixels_to_normalise(tmp_path: Path) -> None:
    """Maps of more pixels than one can be normalised for one image alone."""
    assert reference_models.train("dcgan", tmp_path / "run", chosen={"batch": 1, "steps": 1}, device="cpu").step == 1


def test_a_run_that_never_began_takes_nobodys_files_along(tmp_path: Path) -> None:
    """Its own plan and folders are removed, and other files in the folder stay."""
    for notes in ((), ("notes.txt",)):
        folder = Folder(tmp_path / f"run{len(notes)}")
        folder.create()
        folder.write_config({})
        for name in notes:
            (folder.root / name).write_text("mine")
        with pytest.raises(RuntimeError), folder.hold(), folder.kept_if_used():
            raise RuntimeError
        assert [path.name for path in folder.root.glob("*")] == list(notes)
        assert folder.root.exists() == bool(notes)


def test_python_trains_in_one_call(tmp_path: Path) -> None:
    """`reference_models.train` runs the loop to its end."""
    done = reference_models.train(
        "gan", tmp_path / "run", device="cpu", chosen={"steps": 2, "resolution": 8, "batch": 8}
    )
    assert done.step == 2
    assert named(Folder(tmp_path / "run")) == ["last"]


class Norm(nn.Module):
    """A weight, a buffer that remembers, and the usual decay of an average."""

    recipe = replace(VARIANTS["dcgan"].recipe("quick"), ema=0.5)
    decay = GAN.decay

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)


def test_the_average_is_exponential_and_copies_buffers() -> None:
    """By hand: warmed up by (1 + t) / (10 + t) at most the decay; statistics of batches are the model's own."""
    model: Any = Norm()
    average = Average(model)
    expected = 1.0
    for step in range(1, 20):
        with torch.no_grad():
            model.norm.weight.fill_(float(step))
            model.norm.running_mean.fill_(float(step))
            model.norm.num_batches_tracked.fill_(step)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    kept: Any = average.model
    assert float(kept.norm.weight.detach()) == pytest.approx(expected)
    assert float(kept.norm.running_mean) == 19.0
    assert int(kept.norm.num_batches_tracked) == 19


def test_a_window_gives_every_number_once() -> None:
    """The buffer returns every logged value in order, and means over the steps that logged a name."""
    window = LogBuffer()
    window.add({"a": torch.tensor(1.0), "b": 2.0})
    window.add({"a": torch.tensor(3.0, dtype=torch.bfloat16)})
    assert window.fetch() == [{"a": 1.0, "b": 2.0}, {"a": 3.0}]
    assert window.fetch() == []
    window.add({"a": 5.0})
    window.fetch()
    assert window.mean() == {"a": 3.0, "b": 2.0}
    assert window.mean() == {}


def test_tensorboard_is_optional(tmp_path: Path) -> None:
    """Without it the message says how to install it; with it, events are written."""
    loop = small_run(tmp_path / "run", {"tensorboard": True})
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"pip install 'ganeval\[tensorboard\]'"):
            loop.run()
    else:
        loop.run()
        assert list(loop.folder.events.iterdir())


def test_intervals_that_cannot_be_kept_are_refused() -> None:
    """An interval of 0 means never, and the log's interval must be at least 1."""
    with pytest.raises(UsageError, match="log_every is 0"):
        Intervals(log_every=0)
    with pytest.raises(UsageError, match="save_every is -1"):
        Intervals(save_every=-1)


def test_a_log_line_is_there_at_once(tmp_path: Path) -> None:
    """A step's line is in the file before the next step."""
    seen: list[int] = []

    def look(training: Training) -> Mapping[str, float]:
        log = tmp_path / "run/log.jsonl"
        seen.append(len(log.read_text().splitlines()) if log.exists() else 0)
        return {}

    small_run(tmp_path / "run", callbacks=Callbacks(monitors=[look])).run()
    assert seen == [0, 1, 2, 3, 4, 5]


def test_conditional_models_need_labelled_images(tmp_path: Path) -> None:
    """A folder without classes is refused."""
    from reference_models import VARIANTS

    for image in range(3):
        Image.new("L", (16, 16), image).save(tmp_path / f"{image}.png")
    plan = make_plan("cgan", data=str(tmp_path), chosen={"batch": 2, "resolution": 16})
    with pytest.raises(UsageError, match="learns from labels, but these images have none"):
        start(plan, tmp_path / "run")
    assert "cgan" in VARIANTS


def test_config_is_json_and_damage_to_it_is_named(tmp_path: Path) -> None:
    """A folder without a run and a damaged config are errors."""
    loop = small_run(tmp_path / "run")
    assert json.loads(loop.folder.config.read_text())["schema"] == 2
    loop.run()
    for damaged in ('{"schema": 1}', '{"schema": 1, "plan": {}}', "[]"):
        loop.folder.config.write_text(damaged)
        with pytest.raises(TrainingError, match=r"config\.json is not the config\.json of a training run"):
            resume(tmp_path / "run", steps=9)
    loop.folder.config.write_text('{"schema": 1, "plan": {}, "digest": "", "ganeval": "0.1.0"}')
    with pytest.raises(TrainingError, match=r"schema 1, written by ganeval 0\.1\.0.*Use that version"):
        resume(tmp_path / "run", steps=9)
    loop.folder.config.write_text("{")
    with pytest.raises(TrainingError, match=r"config\.json is not JSON"):
        resume(tmp_path / "run")
    with pytest.raises(UsageError, match="is not a run"):
        resume(tmp_path)


def test_gpu_training_runs_in_both_precisions(tmp_path: Path) -> None:
    """On a GPU the images are on the device, and both precisions train."""
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    for precision in ("fp32", "bf16"):
        plan = make_plan("gan", chosen=dict(small_plan(ema=0.9).chosen), device="cuda", precision=precision)  # type: ignore[arg-type]
        training = Training(plan, some_images(40))
        assert training.images.pixels.is_cuda
        for _ in range(3):
            logs = training.advance()
        assert all(bool(torch.as_tensor(value).isfinite()) for value in logs.values())


def test_tensorboard_names_a_folder_it_cannot_write(tmp_path: Path) -> None:
    """It encodes names as UTF-8, so another name is an error before the training begins."""
    pytest.importorskip("tensorboard")
    with (
        pytest.raises(UsageError, match=r"TensorBoard cannot write to .*choose another folder"),
        tensorboard(tmp_path / "run\udcff", 0),
    ):
        pass


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema": ' + "1" * 5000 + "}", '{"plan": 1, "plan": 2}'])
def test_a_hostile_config_is_refused(tmp_path: Path, text: str) -> None:
    """A malicious config is an error of one line, and a malicious log line is treated as the log's end."""
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(TrainingError, match=r"config\.json (is nested deeper|holds)"):
        Folder(tmp_path).read_config()
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n' + text + '\n{"step": 2}\n')
    assert Folder(tmp_path).lines() == [{"step": 1}]


def test_a_late_process_takes_the_folder_that_the_first_found_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may look when the first has begun the run already, and must neither refuse it nor choose another."""

    class Late(Processes):
        def by_first(self, task: Callable[[], Any]) -> Any:
            return Path("runs/gan")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "gan" / "samples").mkdir(parents=True)
    with working(Late(1, 2)):
        check_new_run("runs/gan")
        assert _free("gan") == Path("runs/gan")
    assert _free("gan") == Path("runs/gan-2")
    with pytest.raises(UsageError, match="is not an empty folder"):
        check_new_run("runs/gan")


def test_a_number_of_the_log_is_read_as_a_curve(tmp_path: Path) -> None:
    """Numbers have their standard errors, if the log does; without a name it is fid, or else the first score."""
    small_run(tmp_path / "run", {"score_every": 3}, Callbacks(scorer=scored(9.0, 8.0, 7.0))).run()
    curve = read_curve(tmp_path / "run")
    assert curve.name == "fid"
    assert curve.points == (CurvePoint(0, 9.0, 0.5), CurvePoint(3, 8.0, 0.5), CurvePoint(6, 7.0, 0.5))
    losses = read_curve(tmp_path / "run", "loss/generator").points
    assert [one.step for one in losses] == [1, 2, 3, 4, 5, 6]
    assert all(one.standard_error is None for one in losses)
    assert all(one.standard_error for one in read_curve(tmp_path / "run", "logit/real").points)
    small_run(tmp_path / "other", {"score_every": 6}, Callbacks(scorer=scored(0.1, 0.2, metric="recall"))).run()
    assert read_curve(tmp_path / "other").name == "recall"


def test_a_number_that_the_log_lacks_is_refused(tmp_path: Path) -> None:
    """The error names the nearest that the log holds; what an alarm says is no number."""
    small_run(tmp_path / "run", {"score_every": 6}, Callbacks(scorer=scored(9.0, 8.0))).run()
    with pytest.raises(UsageError, match=r"its log has no 'kid': did you mean 'fid'"):
        read_curve(tmp_path / "run", "kid")
    (tmp_path / "alarm").mkdir()
    (tmp_path / "alarm" / "log.jsonl").write_text('{"step": 1, "alarm": "collapse", "text": "it is", "final": true}\n')
    for name in ("alarm", "final", None):
        with pytest.raises(UsageError, match="it is empty"):
            read_curve(tmp_path / "alarm", name)
    with pytest.raises(UsageError, match=r"is not a run: it has no config\.json"):
        read_curve(tmp_path)
