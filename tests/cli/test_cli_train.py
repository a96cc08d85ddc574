"""`ganeval train`: a new run, a resumed one, and errors."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from ganeval_cli.train_options import Wanted

Run = Callable[..., Result]
SMALL = ("--variant", "gan", "--resolution", "8", "--batch", "16", "--set", "hidden=16", "--device", "cpu")


@pytest.fixture
def begun(run: Run, tmp_path: Path) -> Path:
    """A run of four steps."""
    result = run("train", *SMALL, "--steps", "4", "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    return tmp_path / "run"


def log(folder: Path) -> list[dict[str, object]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_run_ends_with_where_it_is_and_what_was_noticed(run: Run, tmp_path: Path) -> None:
    """Standard output gives the folder and the alarms, and the folder has the expected files."""
    result = run("train", *SMALL, "--steps", "4", "-o", tmp_path / "run")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"{tmp_path}/run: gan after 4 steps, 64 images of 8 x 8\n"
        "learning rate: discriminator 0.001, generator 0.001\nNothing suspicious"
    )
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "config.json",
        "log.jsonl",
        "samples",
        "checkpoints",
    }


def test_rates_and_the_latent_are_set_by_name(run: Run, tmp_path: Path) -> None:
    """Learning rates apply to all players or one, and are shown in the summary, the log and a resumed run."""
    small = ("--variant", "lucic2018-dragan", "--resolution", "16", "--batch", "4")
    chosen = ("--set", "lr=4e-3", "--set", "lr.generator=2e-3", "--set", "latent=5")
    begun = run("train", *small, *chosen, "--steps", "2", "-o", tmp_path / "run", "--sample-every", "0")
    assert "learning rate: discriminator 0.004 to 0.002, generator 0.002 to 0.001\n" in begun.stdout
    further = run("train", "--resume", tmp_path / "run", *chosen, "--steps", "4", "--log-every", "1")
    assert further.exit_code == 0, further.stderr
    assert "at step 2 they change to those of a run of this length: discriminator 0 to 0.002" in further.stderr
    assert log(tmp_path / "run")[-1]["rate/generator"] == pytest.approx(0.0005)
    refused = run("train", "--resume", tmp_path / "run", "--steps", "6", "--set", "lr.generator=1e-3")
    assert refused.exit_code == 2
    assert "recipe.optimizers.generator.lr.start was 0.002 and is 0.001" in refused.stderr


def test_images_learned_at_another_size_than_theirs_are_told_of(run: Run, tmp_path: Path) -> None:
    """A resolution that the preset chose is mentioned; one that the user chose is not, and with -q neither."""
    data = tmp_path / "data"
    data.mkdir()
    for shade in range(8):
        Image.new("L", (28, 28), 30 * shade).save(data / f"{shade}.png")
    common = ("--variant", "bigan", "--data", data, "--steps", "1", "--batch", "8", "--sample-every", "0")
    told = run("train", *common, "-o", tmp_path / "told")
    assert "have 28 x 28 pixels, and are resized to 8 x 8, as in the quick preset; --resolution 28" in told.stderr
    for number, more in enumerate((("--resolution", "28"), ("--resolution", "8"), ("-q",))):
        quiet = run("train", *common, *more, "-o", tmp_path / f"quiet-{number}")
        assert quiet.exit_code == 0
        assert "are resized to" not in quiet.stderr


def test_history_shows_what_a_run_scored(run: Run, tmp_path: Path) -> None:
    """History shows scores by step with errors, or any logged number; an unknown one is answered with a list."""
    scored = ("--score-every", "2", "--extractor", "digits", "--num-samples", "40", "--metrics", "fid,recall")
    assert run("train", *SMALL, "--steps", "4", "-o", tmp_path / "run", *scored).exit_code == 0
    lines = run("history", tmp_path / "run").stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["step", "0", "2", "4"]
    assert all("±" in line for line in lines[1:4])
    assert lines[-1].startswith("fid  ")
    points = json.loads(run("history", tmp_path / "run", "--metric", "recall", "--format", "json").stdout)["steps"]
    assert [point["step"] for point in points] == [0, 2, 4]
    assert "loss/generator" in run("history", tmp_path / "run", "--metric", "loss/generator").stdout
    refused = run("history", tmp_path / "run", "--metric", "coverage")
    assert refused.exit_code == 2
    assert "is a training run, but its log has no 'coverage': " in refused.stderr
    assert "--plot draws saved results" in run("history", tmp_path / "run", "--plot", tmp_path / "h.svg").stderr


def test_a_run_goes_on(run: Run, begun: Path) -> None:
    """--resume continues to more steps, and only with the original settings."""
    assert run("train", "--resume", begun).exit_code == 2
    changed = run("train", "--resume", begun, "--steps", "6", "--batch", "8")
    assert changed.exit_code == 2
    assert "recipe.batch was 16 and is 8" in changed.stderr
    assert log(begun)[-1]["step"] == 4
    result = run("train", "--resume", begun, "--steps", "6", "--batch", "16", "--device", "cpu", "--set", "hidden=16")
    assert result.exit_code == 0, result.output
    assert log(begun)[-1]["step"] == 6


def test_scores_are_measured_on_the_way(run: Run, tmp_path: Path) -> None:
    """Any metric can be scored during training against any reals, and the best checkpoint is kept."""
    scoring = ("--score-every", "2", "--metrics", "fid,kid", "--extractor", "pixels:4", "--num-samples", "20")
    beside = ("--real", "digits:test", "--held-out", "digits:test", "--keep-every", "2")
    result = run("train", *SMALL, "--steps", "4", *scoring, *beside, "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    scores = [line for line in log(tmp_path / "run") if "score/fid" in line]
    assert [line["step"] for line in scores] == [0, 2, 4]
    assert {"score/kid", "error/fid"} < set(scores[0])
    assert {"logit/held-out", "spread"} < set(
        log(tmp_path / "run")[-3 if "score/fid" in log(tmp_path / "run")[-2] else -2]
    )
    names = {path.name for path in (tmp_path / "run/checkpoints").iterdir()}
    assert names == {"best.pt", "last.pt", "step-00000002.pt", "step-00000004.pt"}


MISTAKES = {
    "no variant": (("-o", "r"), "Give a model to train with --variant"),
    "no folder": (("--variant", "gan"), "-o RUN"),
    "unknown variant": (("--variant", "gna", "-o", "r"), "did you mean 'gan'?"),
    "unknown preset": (("--variant", "gan", "--preset", "papr", "-o", "r"), "did you mean 'paper'?"),
    "unknown network": (("--variant", "gan", "--network", "big", "-o", "r"), "not a network of gan"),
    "unknown setting": (
        ("--variant", "gan", "--set", "los=1", "-o", "r"),
        "no setting 'los'; did you mean 'loss'?",
    ),
    "no settings at all": (
        ("--variant", "cgan", "--set", "hidden=3", "-o", "r"),
        "cgan has no setting 'hidden'; choose from: latent, lr, lr.discriminator, lr.generator.",
    ),
    "width of nothing": (("--variant", "dcgan", "--set", "width=0", "-o", "r"), "a whole number from 1 to 16777216"),
    "a size beyond 64 bits": (
        ("--variant", "dcgan", "--set", "latent=99999999999999999999", "-o", "r"),
        "latent of dcgan is 99999999999999999999; it must be a whole number from 1 to 16777216, and is 100 by default.",
    ),
    "a resolution beyond 64 bits": (
        ("--variant", "dcgan", "--resolution", "1" + "0" * 27, "-o", "r"),
        "it must be a whole number from 1 to 16777216",
    ),
    "a value of 5,000 letters": (
        ("--variant", "gan", "--set", f"loss={'x' * 5000}", "-o", "r"),
        f"'{'x' * 12}...{'x' * 13}' is not a known loss of gan; choose from: minimax, non-saturating.",
    ),
    "no number": (("--variant", "wgan", "--set", "clip=NaN", "-o", "r"), "it must be a finite number above 0"),
    "setting without a value": (("--variant", "gan", "--set", "loss", "-o", "r"), "NAME=VALUE"),
    "unknown precision": (("--variant", "gan", "--precision", "fp16", "-o", "r"), "fp16 is only for scoring"),
    "unknown scheme": (("--variant", "gan", "--data", "digts:train", "-o", "r"), "did you mean 'digits'?"),
    "unknown alarm": ((*SMALL, "--stop-on", "colapse", "-o", "r"), "did you mean 'collapse'?"),
    "unknown metric": ((*SMALL, "--score-every", "1", "--metrics", "fdi", "-o", "r"), "did you mean 'fid'?"),
    "unknown metric, unscored": ((*SMALL, "--metrics", "fdi", "-o", "r"), "did you mean 'fid'?"),
    "unknown extractor": ((*SMALL, "--extractor", "digit", "-o", "r"), "did you mean 'digits'?"),
    "a size that another network makes": (
        ("--variant", "dcgan", "--resolution", "28", "-o", "r"),
        "such as 32 (--resolution 32 on the command line), or the network that makes 28 x 28: --network upsample.",
    ),
    "no rate": (
        ("--variant", "gan", "--set", "lr=0", "-o", "r"),
        "lr of gan is 0; it must be a finite number above 0, and is 0.001 (discriminator), 0.001 (generator) by",
    ),
    "weights that are not there": (("--variant", "gan", "--weights", "no.pth", "-o", "r"), "'no.pth' does not exist"),
    "unknown device": (("--variant", "gan", "--device", "cdua", "-o", "r"), "The device 'cdua' cannot be used here"),
    "steps and epochs": (("--variant", "gan", "--steps", "1", "--epochs", "1", "-o", "r"), "give one of them"),
    "epochs without end": ((*SMALL, "--epochs", "inf", "-o", "r"), "it must be a finite number above 0"),
    "batch of one": (("--variant", "bigan", "--batch", "1", "-o", "r"), "choose --batch and --accumulate"),
    "average of nothing": (("--variant", "gan", "--ema", "1.5", "-o", "r"), "between 0 and 1"),
    "too many parts": ((*SMALL, "--accumulate", "17", "-o", "r"), "1 to 16 parts"),
    "impossible resolution": (("--variant", "dcgan", "--resolution", "17", "-o", "r"), "16, 32, 64 or 128"),
    "impossible channels": ((*SMALL, "--channels", "2", "-o", "r"), "1 or 3 channels"),
    "two folders": (("--resume", "a", "-o", "b"), "leave --output and --epochs out"),
    "no run": (("--resume", "."), "is not a run"),
}
FAILURES = {
    "no images": ((*SMALL, "--data", "empty", "-o", "r"), "holds no images"),
    "no such images": ((*SMALL, "--data", "nowhere", "-o", "r"), "does not exist"),
    "too few for a batch": ((*SMALL, "--train-images", "15", "-o", "r"), "has 15 images, too few for a batch of 16"),
}


def saved(folder: Path, mode: str, classes: int = 1) -> Path:
    """Twenty images of noise, in one folder per class if there are several."""
    rng = np.random.RandomState(0)
    for number in range(20):
        place = folder / (f"{number % classes}" if classes > 1 else "")
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.randint(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(place / f"{number}.png")
    return folder


@pytest.mark.parametrize(("data", "held_out"), [("L", "RGB"), ("RGB", "L")])
def test_held_out_images_are_read_as_the_training_images_are(
    run: Run, tmp_path: Path, data: str, held_out: str
) -> None:
    """Held-out images have as many channels as the model's training images."""
    sources = ("--data", saved(tmp_path / "data", data), "--held-out", saved(tmp_path / "unseen", held_out))
    result = run("train", *SMALL, *sources, "--steps", "2", "-q", "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "logit/held-out" in log(tmp_path / "run")[0]


@pytest.mark.parametrize("variant", ["cgan", "acgan"])
@pytest.mark.parametrize(("classes", "said"), [(1, "have no labels"), (5, "have others: 4")])
def test_held_out_images_of_other_classes_are_refused(
    run: Run, tmp_path: Path, variant: str, classes: int, said: str
) -> None:
    """A conditional model refuses them before a run is begun."""
    data, unseen = saved(tmp_path / "data", "L", 4), saved(tmp_path / "unseen", "L", classes)
    small = ("--batch", "8", "--resolution", "16", "--steps", "2", "--device", "cpu", "-q")
    result = run("train", "--variant", variant, "--data", data, "--held-out", unseen, *small, "-o", tmp_path / "run")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_that_cannot_start_leaves_its_folder_free(run: Run, tmp_path: Path) -> None:
    """A run that fails because scores are impossible leaves the folder free for a corrected command."""
    scoring = ("--score-every", "2", "--extractor", "pixels:4", "--num-samples", "20", "-o", tmp_path / "run")
    refused = run("train", *SMALL, "--steps", "2", "--metrics", "is", *scoring)
    assert refused.exit_code != 0
    assert not (tmp_path / "run").exists()
    assert run("train", *SMALL, "--steps", "2", *scoring).exit_code == 0


def test_all_metrics_can_be_scored_on_the_way(run: Run, tmp_path: Path) -> None:
    """`--metrics all` computes every metric that the extractor supports."""
    scoring = ("--score-every", "2", "--metrics", "all", "--extractor", "pixels:4", "--num-samples", "40")
    few = ("--steps", "2", "--train-images", "40", "--log-every", "2")
    result = run("train", *SMALL, *few, *scoring, "-q", "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert {"score/fid", "score/kid", "score/recall"} < set(log(tmp_path / "run")[0])


def test_what_is_no_run_is_answered_with_one(run: Run, begun: Path) -> None:
    """A checkpoint is answered with its run, and anything else with the command that makes one."""
    checkpoint = run("train", "--resume", begun / "checkpoints/last.pt")
    assert f"but a checkpoint of one; name the run's folder, {begun}." in checkpoint.stderr
    assert "`ganeval train --variant NAME -o RUN`" in run("train", "--resume", begun.parent).stderr


@pytest.mark.parametrize("mistake", [*MISTAKES, *FAILURES])
def test_mistakes_are_said_in_a_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    """Errors go to standard error with the right exit code, and no run is begun."""
    arguments, said = {**MISTAKES, **FAILURES}[mistake]
    code = 2 if mistake in MISTAKES else 1
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    result = run("train", *arguments)
    assert said in result.stderr
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert not Path("r").exists()


def test_a_folder_that_is_taken_is_refused(run: Run, begun: Path) -> None:
    """An existing folder is not overwritten."""
    before = (begun / "config.json").read_bytes()
    result = run("train", *SMALL, "-o", begun)
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    assert (begun / "config.json").read_bytes() == before


def test_a_plan_is_checked_without_torch() -> None:
    """Most errors are reported before torch is imported."""
    plan = "from ganeval_cli.train_options import Wanted; Wanted('gan', None, {}).plan()"
    code = f"import sys; {plan}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout == "False\n"


def test_what_was_said_is_what_a_run_must_have() -> None:
    """Every given setting must match the run's, except the number of steps."""
    wanted = Wanted("gan", None, {"batch": 3, "steps": 7, "settings.loss": "minimax"})
    assert wanted.to_resume(None) == (7, {"variant": "gan", "batch": 3, "settings.loss": "minimax"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(python: Sequence[str], tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C gives exit code 130, a scheduler's SIGTERM 143, and the run can be resumed."""
    command = [*python, "-m", "ganeval_cli", "train", *SMALL, "--log-every", "1", "--steps", "1000000"]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "run")], stderr=subprocess.PIPE, text=True, env=_environment()
    )
    for _ in range(1200):
        if (tmp_path / "run/log.jsonl").exists():
            break
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert "is saved; `ganeval train --resume" in errors
    assert (tmp_path / "run/checkpoints/last.pt").exists()


def _environment() -> dict[str, str]:
    root = Path(__file__).parent.parent.parent
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'cli'}"}
