"""`ganeval train-and-score` and commands that draw samples from a run."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import ganeval
from ganeval.results import Evaluation
from ganeval_cli.main import cli

TRAIN = ("train-and-score", "--variant", "dcgan", "--resolution", "16", "--steps", "4", "--batch", "16")


def invoke(*arguments: str | Path) -> Result:
    """A command in this process."""
    return CliRunner().invoke(cli, [str(one) for one in arguments], prog_name="ganeval")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A short run in runs/dcgan of an empty folder, scored in JSON, with a report."""
    root = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("GANEVAL_CACHE", str(root / "cache"))
        done = invoke(*TRAIN, "--score-every", "2", "--report", "page.html", "--format", "json")
    assert done.exit_code == 0, done.output
    return root, done


def test_every_score_stands_beside_its_floor(trained: tuple[Path, Result]) -> None:
    """The document has each metric for the model and for held-out reals, with equal counts and error bars."""
    document = json.loads(trained[1].stdout)
    scores, floor = document["scores"]["metrics"], document["floor"]["metrics"]
    assert (
        list(scores) == list(floor) == ["fid", "kid", "is", "precision", "recall", "density", "coverage", "diversity"]
    )
    assert all(one["standard_error"] is not None for one in scores.values())
    assert {one["n_fake"] for one in (*scores.values(), *floor.values())} == {450}
    assert floor["fid"]["value"] < 2 < scores["fid"]["value"]
    assert floor["diversity"]["value"] == pytest.approx(1, abs=0.05)
    assert document["floor_of"].startswith("digits:test, 450 real images")


def test_the_floor_is_that_of_reals_as_the_model_sees_them(trained: tuple[Path, Result]) -> None:
    """The noise floor is the distance between train and test images at the model's resolution."""
    from reference_models.data.images import load_images

    sides = [
        load_images(f"digits:{split}", resolution=16, channels=1, resize=True).pixels for split in ("train", "test")
    ]
    wanted = ganeval.fid(*sides, extractor="digits")
    assert json.loads(trained[1].stdout)["floor"]["metrics"]["fid"]["value"] == pytest.approx(wanted.value, rel=1e-6)


def test_the_run_holds_pictures_and_a_result_that_other_commands_read(trained: tuple[Path, Result]) -> None:
    """samples.png, neighbours.png and result.json are in the run, and result.json equals the printed document."""
    root, done = trained
    run = root / "runs" / "dcgan"
    with Image.open(run / "samples.png") as samples, Image.open(run / "neighbours.png") as neighbours:
        assert samples.width == 10 * (64 + 2) + 2
        assert neighbours.width == 5 * (80 + 2) + 2
    result = Evaluation.from_json((run / "result.json").read_text(encoding="utf-8"))
    assert result["fid"].value == json.loads(done.stdout)["scores"]["metrics"]["fid"]["value"]
    page = (root / "page.html").read_text(encoding="utf-8")
    assert "runs/dcgan" in page


def test_scores_of_the_run_are_those_of_its_checkpoint(
    trained: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live score equals that of `ckpt:` in another process."""
    root, done = trained
    monkeypatch.chdir(root)
    again = invoke("is", "ckpt:runs/dcgan", "--num-samples", "450", "--extractor", "digits", "--format", "json")
    wanted = json.loads(done.stdout)["scores"]["metrics"]["is"]["value"]
    assert json.loads(again.stdout)["metrics"]["is"]["value"] == pytest.approx(wanted, rel=1e-9)


def test_the_text_has_the_table_the_verdict_and_where_things_are(
    trained: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run takes the next free name, and the text has the table, the verdict and the paths."""
    monkeypatch.chdir(trained[0])
    done = invoke(*TRAIN, "--metrics", "fid,recall", "--num-samples", "100", "-v")
    assert done.exit_code == 0, done.output
    assert "runs/dcgan-2: dcgan after 4 steps, 64 images of 16 x 16" in done.stdout
    # Four steps teach it nothing, and the verdict agrees with the table.
    assert "collapse at step 4: Final scores far from those of real images: recall 0 (0.9" in done.stdout
    assert "quality at step 4: Final scores far from those of real images: fid " in done.stdout
    assert "Nothing suspicious" not in done.stdout
    lines = done.stdout.splitlines()
    row, *_ = [line for line in lines if line.startswith("fid ")]
    assert row.count("±") == 2
    assert row.endswith("lower   100")
    assert "ckpt:runs/dcgan-2 is a source in every command" in done.stdout
    assert any("extractor=digits|" in line for line in lines)
    assert "training dcgan (quick) on digits:train" in done.stderr


def test_a_conditional_model_is_scored_per_class(tmp_path: Path) -> None:
    """Every class has its FID, the share of its fakes that a classifier recognises, and noise floors."""
    done = invoke("train-and-score", "--variant", "cgan", "--steps", "2", "-o", tmp_path / "run", "-q")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("class "))
    assert lines[head].split() == ["class", "intra_fid", "floor", "conditional_accuracy", "floor"]
    assert all(float(line.split()[4]) > 0.8 for line in lines[head + 1 : head + 11])
    assert [line.split()[0] for line in lines[head + 1 : head + 11]] == [str(label) for label in range(10)]


def test_a_classifiers_error_stands_beside_its_rivals(tmp_path: Path) -> None:
    """A table of its own has the held-out images, the twin and label spreading, and says what its error is over."""
    short = ("--steps", "3", "--batch", "8", "--set", "width=8", "--set", "labelled=20", "--num-samples", "40")
    done = invoke("train-and-score", "--variant", "ssgan", *short, "-q", "-o", tmp_path / "run")
    assert done.exit_code == 0, done.output
    images, classifier = (part for part in done.stdout.split("\n\n") if part.startswith("metric "))
    assert images.splitlines()[0].split() == ["metric", "value", "floor", "better", "fakes"]
    assert "test_error" not in images
    head, row = classifier.splitlines()
    assert head.split("  ", 1)[0] == "metric"
    assert [one.strip() for one in head.split("  ") if one] == [
        *("metric", "value", "labels alone", "label spreading", "better", "held out")
    ]
    cells = [one.strip() for one in row.split("  ") if one]
    assert (cells[0], cells[-2:]) == ("test_error", ["lower", "450"])
    assert all(" ± " in cell for cell in cells[1:4])
    assert "held out: digits:test; ± is over these images, after one draw of 20 labels: --seeds N" in done.stdout
    assert "labels alone: its classifier, trained for the same number of steps on only these labels" in done.stdout
    written = json.loads((tmp_path / "run/result.json").read_text())
    schema = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, schema)
    assert (written["metrics"]["test_error"]["n_real"], written["metrics"]["test_error"]["n_fake"]) == (450, 450)


def test_without_held_out_images_the_floor_is_that_of_halves(tmp_path: Path, digits: tuple[str, str]) -> None:
    """Without a test part, random halves of the folder give the floor, and there are as many fakes."""
    run = tmp_path / "run"
    done = invoke(
        *TRAIN, "--data", digits[0], "--extractor", "digits", "--metrics", "fid", "-o", run, "--format", "json"
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["floor_of"] == "random halves of them, 20 each"
    assert [document[side]["metrics"]["fid"]["n_fake"] for side in ("scores", "floor")] == [20, 20]


def test_a_paper_run_says_whether_it_reached_the_published_numbers(tmp_path: Path) -> None:
    """Targets for other data, or of metrics that ganeval lacks, are listed with the reason."""
    collection = ("train-and-score", "--variant", "dcgan", "--preset", "pytorch-gan-collections", "--set", "width=4")
    where = ("--data", "digits:train", "--steps", "1", "--batch", "8", "-o", tmp_path / "run", "-q")
    paper = (*collection, "--resolution", "32")
    done = invoke(*paper, *where, "--metrics", "fid")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("published fid")]
    assert line.endswith("not compared; published for cifar10:train, but this run learned from digits:train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--extractor", "digit"), "did you mean 'digits'"),
        (("--metrics", "fidd"), "did you mean 'fid'"),
        (("--stop-on", "colapse"), "did you mean 'collapse'"),
        (("--report", "missing/page.html"), "does not exist"),
        (("--extractor", "pixels", "--metrics", "is"), "needs logits"),
        (("--held-out", "nowhere/at/all"), "does not exist"),
        (("--held-out", "oracle:5,5,5"), "learns from images, but 'oracle:5,5,5' is a source of sequences"),
        (("--protocol", "cleen"), "did you mean 'clean'"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Errors that are detectable at once are reported at once, and no run is begun."""
    done = invoke(*TRAIN, "-o", tmp_path / "run", *arguments)
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert not (tmp_path / "run").exists()


def test_samples_and_walks_are_drawn_of_a_run(trained: tuple[Path, Result], tmp_path: Path) -> None:
    """Samples, grids, interpolations and arithmetic are written where requested; `ckpt:` equals a folder of samples."""
    run = trained[0] / "runs" / "dcgan"
    for arguments in (
        ("sample", run, "-n", "20", "-o", tmp_path / "folder", "-q"),
        ("sample", run, "-n", "20", "-o", tmp_path / "samples.npz", "--weights", "raw", "-q"),
        ("sample", f"{run}@best", "-o", tmp_path / "grid.png", "--columns", "4"),
        ("interpolate", run, "-o", tmp_path / "walk.png", "--rows", "2", "--columns", "5", "--scale", "1"),
        ("arithmetic", run, "0,3-1+2", "-o", tmp_path / "sum.png", "--seed", "1"),
    ):
        done = invoke(*arguments)
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith(str(arguments[arguments.index("-o") + 1]))
    assert len(list((tmp_path / "folder").iterdir())) == 20
    with Image.open(tmp_path / "walk.png") as walk:
        assert walk.size == (5 * 18 + 2, 2 * 18 + 2)
    same = ("--metrics", "fid", "--extractor", "digits", "--format", "json", "-q")
    live = invoke("score", "digits:test", f"ckpt:{run}", "--num-samples", "20", *same)
    folder = invoke("score", "digits:test", tmp_path / "folder", *same)
    values = [json.loads(one.stdout)["metrics"]["fid"]["value"] for one in (live, folder)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "nowhere", "-o", "grid.png"), "There is no run nowhere"),
        (("sample", "RUN@7", "-o", "grid.png"), "has no checkpoint '7'; it has: best, last"),
        (("sample", "RUN", "-o", "grid.png", "--labels", "1,,x"), "is not a list of classes"),
        (("sample", "RUN", "-o", "grid.png", "--labels", "1"), "has no classes"),
        (("sample", "RUN", "-o", "grid.png", "--truncation", "1"), "nothing to truncate"),
        (("sample", "RUN", "-o", "samples", "--columns", "3"), "--columns and --scale apply to a grid (.png)"),
        (("sample", "RUN", "-o", "samples.npz", "--scale", "3"), "--columns and --scale apply to a grid (.png)"),
        (("translate", "RUN", "photos", "-o", "samples", "--scale", "3"), "--columns and --scale apply to a grid"),
        (("interpolate", "RUN", "-o", "walk.npz"), "must end in .png"),
        (("interpolate", "RUN", "-o", "walk.png", "--label", "1"), "no classes"),
        (("arithmetic", "RUN", "1*2", "-o", "sum.png"), "is not latent arithmetic"),
        (("fid", "digits:test", "ckpt:nowhere"), "There is no run nowhere"),
    ],
)
def test_mistakes_in_drawing_are_said_in_words(
    trained: tuple[Path, Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """Unknown runs, checkpoints, classes and terms exit with 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    run = str(trained[0] / "runs" / "dcgan")
    done = invoke(*(argument.replace("RUN", run) for argument in arguments))
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "fid digits:test RUN",
        "is RUN",
        "kid RUN RUN",
        "prdc RUN digits:test",
        "nn digits:test RUN",
        "c2st digits:test RUN --classifier knn",
        "score digits:test RUN --metrics fid",
        "compare digits:test RUN digits:test --metrics fid",
        "noise-floor RUN --metrics fid",
        "stats RUN -o stats.npz",
    ],
)
def test_a_run_is_a_source_in_every_command(
    trained: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Every command that takes images takes `ckpt:RUN`."""
    monkeypatch.chdir(tmp_path)
    run = f"ckpt:{trained[0] / 'runs' / 'dcgan'}"
    words = [run if word == "RUN" else word for word in command.split()]
    done = invoke(*words, "--num-samples", "24", "--extractor", "digits", "-q")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "section", "further"),
    [
        (("pix2pix", "--set", "width=4"), ("examples", "the mean of the training targets"), "translate run INPUT"),
        (
            ("seqgan", "--data", "oracle:5,6,40", "--set", "filters=2"),
            ("sequences", "written by the model"),
            "sample run -o",
        ),
    ],
)
def test_a_page_of_a_model_of_another_kind(
    arguments: tuple[str, ...],
    section: tuple[str, str],
    further: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Translations are shown in rows next to trivial methods, sequences as text; what can be done next is said."""
    monkeypatch.chdir(tmp_path)
    given = (
        "--steps",
        "2",
        "--batch",
        "4",
        "--num-samples",
        "8",
        "-o",
        "run",
        "--report",
        "page.html",
        "--device",
        "cpu",
    )
    done = invoke("train-and-score", "--variant", *arguments, *given)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "page.html").read_text()
    assert f'<section id="{section[0]}"' in page
    assert section[1] in page
    assert '<section id="training"' in page
    assert f"`ganeval {further}" in done.stdout
