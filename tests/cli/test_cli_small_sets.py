"""`train-and-score` with few images or uneven classes is refused before the training, or scored as far as possible."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

Run = Callable[..., Result]
TRAIN = ("train-and-score", "--steps", "1", "--device", "cpu", "--extractor", "pixels:4")


def digits_of(root: Path, classes: Mapping[str, tuple[int, int]], *, first: int = 0) -> Path:
    """Class folders with these numbers of real digits; a class without a name is the folder itself."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for name, (digit, count) in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for row in np.flatnonzero(bunch.target == digit)[first : first + count]:
            Image.fromarray((bunch.images[row] * 15).astype(np.uint8)).save(root / name / f"{row}.png")
    return root


def trained(run: Run, tmp_path: Path, *arguments: str | Path, batch: int = 4) -> Result:
    """The command on a run in tmp_path, with small batches."""
    return run(*TRAIN, "--batch", str(batch), "-o", tmp_path / "run", *arguments)


def rows(result: Result) -> dict[str, list[str]]:
    """The lines of the tables by their first word."""
    return {line.split()[0]: line.split() for line in result.stdout.splitlines() if line}


def test_a_class_of_one_image_costs_only_metrics_of_classes(run: Run, tmp_path: Path) -> None:
    """Metrics of classes are left out with the reason, and all others are computed."""
    data = digits_of(tmp_path / "data", {"a": (0, 20), "b": (1, 6), "c": (2, 1)})
    done = trained(run, tmp_path, "--variant", "cgan", "--data", data)
    assert done.exit_code == 0, done.output
    assert {"fid", "kid", "diversity"} <= rows(done).keys()
    assert "intra_fid" not in rows(done)
    assert "intra_fid was not measured: Intra-class FID needs at least 2 real images" in done.stderr
    assert (tmp_path / "run/result.json").exists()


def test_halves_that_lack_a_class_cost_only_the_floor(run: Run, tmp_path: Path) -> None:
    """The model has its scores by class, with a dash for the floor where the reals have none."""
    data = digits_of(tmp_path / "data", {"a": (0, 8), "b": (1, 3)})
    done = trained(run, tmp_path, "--variant", "cgan", "--data", data, "--num-samples", "12")
    assert done.exit_code == 0, done.output
    found = rows(done)
    assert found["intra_fid"][4:] == ["-", "lower", "12"]
    assert found["class"] == ["class", "intra_fid", "floor", "conditional_accuracy", "floor"]
    assert [found[name][index] for name in "ab" for index in (2, 4)] == ["-"] * 4
    assert done.stderr.count("floor: intra_fid was not measured") == 1


def test_held_out_images_that_miss_a_class_cost_only_its_floor(run: Run, tmp_path: Path) -> None:
    """The missing class is named, and the other scores have their floor."""
    data = digits_of(tmp_path / "data", {"a": (0, 12), "b": (1, 12), "c": (2, 12)})
    unseen = digits_of(tmp_path / "unseen", {"a": (0, 12), "b": (1, 12)}, first=100)
    done = trained(run, tmp_path, "--variant", "cgan", "--data", data, "--held-out", unseen, "--metrics", "fid,cas")
    assert done.exit_code == 0, done.output
    assert rows(done)["fid"][4] != "-"
    assert "floor: cas was not measured: Classification accuracy needs fakes of every class" in done.stderr
    assert "(class c)" in done.stderr


def test_classes_have_their_floor_beside_them(run: Run, tmp_path: Path) -> None:
    """The table of classes has the noise floor of each class, from held-out images as from halves."""
    data = digits_of(tmp_path / "data", {"7": (0, 30), "9": (1, 30)})
    unseen = digits_of(tmp_path / "unseen", {"9": (1, 20), "7": (0, 20)}, first=100)
    metrics = ("--variant", "cgan", "--data", data, "--metrics", "conditional_accuracy")
    for more in (("--held-out", unseen), ()):
        done = run(*TRAIN, "--batch", "4", *metrics, *more, "-o", tmp_path / f"run{len(more)}")
        assert done.exit_code == 0, done.output
        found = rows(done)
        assert found["class"] == ["class", "conditional_accuracy", "floor"]
        assert [float(found[name][2]) for name in "79"] == pytest.approx([1, 1], abs=0.05)


def test_a_renamed_class_is_refused_before_the_training(run: Run, tmp_path: Path) -> None:
    """Renamed classes are refused by name, and no run is begun."""
    data = digits_of(tmp_path / "data", {"a": (0, 8), "b": (1, 8)})
    unseen = digits_of(tmp_path / "unseen", {"a": (0, 8), "z": (1, 8)}, first=100)
    done = trained(run, tmp_path, "--variant", "cgan", "--data", data, "--held-out", unseen)
    assert done.exit_code == 2
    assert "cgan learns the classes a, b, and the held-out images of" in done.stderr
    assert "have others: z" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("count", "arguments", "said"),
    [
        (
            1,
            (),
            "'fid' cannot be measured here (training images: 1, fakes: 2): A covariance needs at least 2 real",
        ),
        (2, ("--metrics", "fid,precision"), "'precision' cannot be measured here (training images: 2, fakes: 2)"),
        (9, ("--metrics", "kid", "--num-samples", "2", "--option", "kid.subset_size=1000"), "'kid' cannot be measured"),
        (9, ("--metrics", "cas"), "'cas' needs the class of every image, but gan is not conditional"),
        (9, ("--metrics", "fid", "--option", "cas.seed=1"), "options for 'cas', which is not measured"),
    ],
)
def test_what_can_be_known_is_said_before_the_training(
    run: Run, tmp_path: Path, count: int, arguments: tuple[str, ...], said: str
) -> None:
    """Too few images, options that they do not allow, and classes of a model without classes: no run is begun."""
    data = digits_of(tmp_path / "data", {"": (0, count)})
    done = trained(run, tmp_path, "--variant", "gan", "--data", data, "--resolution", "8", *arguments, batch=1)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_named_metric_of_a_class_of_one_image_is_refused(run: Run, tmp_path: Path) -> None:
    """A metric that is named explicitly is refused instead of left out."""
    data = digits_of(tmp_path / "data", {"a": (0, 8), "b": (1, 1)})
    done = trained(run, tmp_path, "--variant", "cgan", "--data", data, "--metrics", "intra_fid")
    assert done.exit_code == 2
    assert "found 1 of class b" in done.stderr
    assert not (tmp_path / "run").exists()


def test_two_images_are_scored_as_far_as_can_be(run: Run, tmp_path: Path) -> None:
    """Two images are scored during and after the training, with pictures and a report, but without a floor."""
    data = digits_of(tmp_path / "data", {"": (0, 2)})
    more = ("--resolution", "8", "--score-every", "1", "--report", tmp_path / "page.html")
    done = trained(run, tmp_path, "--variant", "gan", "--data", data, *more, batch=2)
    assert done.exit_code == 0, done.output
    assert rows(done)["fid"][4] == "-"
    assert "floor: Halves need at least 4 images, found 2." in done.stderr
    assert {"samples.png", "neighbours.png", "result.json"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert (tmp_path / "page.html").exists()


def test_one_held_out_image_makes_no_floor(run: Run, tmp_path: Path) -> None:
    """With one held-out image the scores are computed without a floor."""
    data, unseen = digits_of(tmp_path / "data", {"": (0, 20)}), digits_of(tmp_path / "unseen", {"": (1, 1)})
    more = ("--resolution", "8", "--held-out", unseen, "--metrics", "fid", "--num-samples", "20")
    done = trained(run, tmp_path, "--variant", "gan", "--data", data, *more)
    assert done.exit_code == 0, done.output
    assert rows(done)["fid"][4:] == ["-", "lower", "20"]
    assert "floor: fid: A covariance needs at least 2 fake images, found 1." in done.stderr


def test_scores_without_reals_have_no_neighbours(run: Run, tmp_path: Path) -> None:
    """The picture is left out, and is not mentioned."""
    data = digits_of(tmp_path / "data", {"": (0, 60)})
    more = ("--resolution", "8", "--metrics", "is", "--extractor", "digits")
    done = trained(run, tmp_path, "--variant", "gan", "--data", data, *more)
    assert done.exit_code == 0, done.output
    assert "neighbours.png" not in done.stdout
    assert not (tmp_path / "run/neighbours.png").exists()


def test_a_run_is_scored_again_without_training(run: Run, tmp_path: Path) -> None:
    """Other metrics and held-out images can be used, and the same ones give the same numbers as the first time."""
    data = digits_of(tmp_path / "data", {"": (0, 60)})
    more = ("--resolution", "8", "--format", "json", "--num-samples", "40")
    first = json.loads(trained(run, tmp_path, "--variant", "gan", "--data", data, *more).stdout)
    before = (tmp_path / "run/checkpoints/last.pt").read_bytes()
    again = run("train-and-score", "--resume", tmp_path / "run", "--extractor", "pixels:4", *more[2:])
    assert again.exit_code == 0, again.output
    document = json.loads(again.stdout)
    assert document["scores"]["metrics"] == first["scores"]["metrics"]
    assert document["floor"]["metrics"] == first["floor"]["metrics"]
    assert (document["steps"], (tmp_path / "run/checkpoints/last.pt").read_bytes()) == (1, before)
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["alarm"] for line in lines if line.get("final")] == [one["alarm"] for one in document["alarms"]] != []
    history = run("history", tmp_path / "run")
    assert history.exit_code == 0, history.output
    assert "left out" not in history.output
    other = run("train-and-score", "--resume", tmp_path / "run", "--extractor", "pixels:8", "--metrics", "vendi")
    assert other.exit_code == 0, other.output
    assert "vendi" in json.loads((tmp_path / "run/result.json").read_text())["metrics"]


def test_a_run_that_was_stopped_goes_on_before_it_is_scored(run: Run, tmp_path: Path) -> None:
    """A stopped run continues to --steps, with moved images; other settings and another folder are refused."""
    data = digits_of(tmp_path / "data", {"": (0, 20)})
    assert trained(run, tmp_path, "--variant", "gan", "--data", data, "--resolution", "8").exit_code == 0
    moved = data.rename(tmp_path / "moved")
    scoring = ("train-and-score", "--resume", tmp_path / "run", "--extractor", "pixels:4", "--metrics", "fid")
    done = run(*scoring, "--steps", "3", "--data", moved)
    assert done.exit_code == 0, done.output
    assert "gan after 3 steps" in done.stdout
    assert run(*scoring).exit_code == 0
    for wrong, said in ((("-o", tmp_path / "b"), "leave --output"), (("--batch", "8"), "recipe.batch was 4 and is 8")):
        refused = run(*scoring, *wrong)
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_a_scoring_that_fails_says_that_the_training_is_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says that the training is kept and how to score it again."""
    from ganeval.errors import MetricError
    from reference_models.scoring.scores import Scoring

    def fail(*args: object, **kwargs: object) -> None:
        raise MetricError("Nothing can be measured today.")

    monkeypatch.setattr(Scoring, "of", fail)
    data = digits_of(tmp_path / "data", {"": (0, 20)})
    done = trained(run, tmp_path, "--variant", "gan", "--data", data, "--resolution", "8")
    assert done.exit_code == 1
    assert (
        f"complete, in {tmp_path / 'run'}: `ganeval train-and-score --resume {tmp_path / 'run'}` scores it again"
        in done.stderr
    )
    assert (tmp_path / "run/checkpoints/last.pt").exists()


def test_classes_are_drawn_and_written_by_name(run: Run, tmp_path: Path) -> None:
    """--labels prefers names, samples are in folders of these names, and interpolations take a class by name."""
    data = digits_of(tmp_path / "data", {"1": (1, 8), "2": (2, 8), "a, b": (3, 8)})
    small = ("--variant", "cgan", "--data", data, "--steps", "1", "--batch", "4", "--device", "cpu", "-q")
    assert run("train", *small, "-o", tmp_path / "run").exit_code == 0
    done = run("sample", tmp_path / "run", "-n", "4", "--labels", '2,"a, b"', "-o", tmp_path / "some")
    assert done.exit_code == 0, done.output
    assert {path.name: len(list(path.iterdir())) for path in (tmp_path / "some").iterdir()} == {"2": 2, "a, b": 2}
    assert run("sample", tmp_path / "run", "-n", "6", "-o", tmp_path / "all", "-q").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["1", "2", "a, b"]
    for command in (("interpolate", tmp_path / "run"), ("arithmetic", tmp_path / "run", "0-1")):
        assert run(*command, "--label", "a, b", "-o", tmp_path / "grid.png").exit_code == 0
        refused = run(*command, "--label", "3", "-o", tmp_path / "grid.png")
        assert refused.exit_code == 2
        assert "'3' is not one of this model's classes: 1, 2, a, b." in refused.stderr
    for text in ("1,,2", "", "a\nb"):
        refused = run("sample", tmp_path / "run", "--labels", text, "-o", tmp_path / "none")
        assert refused.exit_code == 2
        assert "is not a list of classes" in refused.stderr


@pytest.mark.parametrize("option", ["--data", "--held-out", "--real"])
def test_a_run_is_no_data_to_train_on(run: Run, tmp_path: Path, option: str) -> None:
    """A run is refused wherever the command takes images."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text('{"plan": {"recipe": {}}}')
    done = run("train", "--variant", "gan", option, tmp_path / "run", "-o", tmp_path / "new")
    assert done.exit_code == 2
    assert "is a run" in done.stderr
    assert "write ckpt:" in done.stderr
