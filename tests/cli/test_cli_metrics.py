"""prdc, nn, c2st, compare and noise-floor, options of metrics, and tables for papers."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from ganeval.comparison import Comparison
from ganeval.metrics import METRICS
from ganeval.results import Evaluation

Run = Callable[..., Result]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text(encoding="utf-8"))
DIGITS = ("--extractor", "digits")


def valid(text: str) -> Any:
    """The document in a text, held to the published schema."""
    document = json.loads(text)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    return document


@pytest.fixture
def copies(digits: tuple[str, str], tmp_path: Path) -> str:
    """A folder of fakes, two of which are real digits of the first folder."""
    for number in range(12):
        folder = digits[0] if number in (3, 8) else digits[1]
        Image.open(Path(folder) / f"{number}.png").save(tmp_path / f"fake{number}.png")
    return str(tmp_path)


def test_prdc_measures_four_numbers_with_its_options(run: Run, digits: tuple[str, str]) -> None:
    """--k and --ties reach the metric and are recorded in the result."""
    usual = valid(run("prdc", *digits, *DIGITS, "--format", "json").stdout)["metrics"]
    other = valid(run("prdc", *digits, *DIGITS, "--k", "2", "--ties", "inclusive", "--format", "json").stdout)[
        "metrics"
    ]
    assert list(usual) == ["precision", "recall", "density", "coverage"]
    assert usual["recall"]["options"] == {"k": 5, "ties": "strict", "subset_size": None, "seed": 0}
    assert other["recall"]["options"] == {"k": 2, "ties": "inclusive", "subset_size": None, "seed": 0}
    assert usual["recall"]["value"] > other["recall"]["value"]


def test_kid_over_subsets_is_torch_fidelitys(run: Run, digits: tuple[str, str]) -> None:
    """--subsets and --subset-size must be given together."""
    document = valid(run("kid", *digits, *DIGITS, "--subsets", "5", "--subset-size", "20", "--format", "json").stdout)
    assert document["metrics"]["kid"]["options"] == {"subsets": 5, "subset_size": 20, "seed": 2020}
    refused = run("kid", *digits, *DIGITS, "--subsets", "5")
    assert refused.exit_code == 1
    assert "give both" in refused.stderr


def test_nn_names_copies_first(run: Run, digits: tuple[str, str], copies: str) -> None:
    """A copied real is at distance 0 from the file that it was copied from."""
    result = run("nn", digits[0], copies, *DIGITS, "--k", "2", "--format", "json")
    pairs = valid(result.stdout)["pairs"]
    assert len(pairs) == 12
    for pair, number in zip(pairs[:2], (3, 8), strict=True):
        assert (Path(pair["fake"]).name, Path(pair["reals"][0]["real"]).name) == (f"fake{number}.png", f"{number}.png")
        assert (pair["ratio"], pair["reals"][0]["distance"]) == (0, 0)
        assert len(pair["reals"]) == 2
    assert pairs[2]["ratio"] > 0
    table = run("nn", digits[0], copies, *DIGITS).stdout
    assert "exact copies         2" in table
    assert table.index("fake3.png") < table.index("fake8.png")


def test_nn_of_reals_that_are_there_twice(
    run: Run, digits: tuple[str, str], copies: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Near-copies of a duplicated real come first, in JSON and report data too; identical reals give no ratios."""
    tmp_path = tmp_path_factory.mktemp("reals")
    for number in range(40):
        Image.open(Path(digits[0]) / f"{number}.png").save(tmp_path / f"{number}.png")
    near = np.array(Image.open(tmp_path / "7.png"))
    near[0, 0] += 20
    saved = tmp_path_factory.mktemp("saved") / "saved.json"
    Image.fromarray(near).save(Path(copies) / "fake5.png")
    Image.open(tmp_path / "7.png").save(tmp_path / "again.png")
    document = valid(run("nn", tmp_path, copies, *DIGITS, "--format", "json").stdout)
    assert "fake5.png" in {Path(pair["fake"]).name for pair in document["pairs"][:3]}
    assert max(pair["ratio"] for pair in document["pairs"]) < 10
    assert run("score", tmp_path, copies, *DIGITS, "--metrics", "nn", "-o", saved, "--report-data").exit_code == 0
    for number in range(40):
        Image.open(tmp_path / "again.png").save(tmp_path / f"{number}.png")
    equal = run("nn", tmp_path, digits[1], *DIGITS, "-o", saved, "--grid", saved.with_suffix(".png"))
    assert equal.exit_code == 0
    assert "real to unseen real" not in equal.stdout
    assert {pair["ratio"] for pair in valid(saved.read_text(encoding="utf-8"))["pairs"]} == {None}


def test_nn_in_pixels_and_by_cosine(run: Run, digits: tuple[str, str]) -> None:
    """--distance reaches the metric, and the extractor determines the features that are compared."""
    document = valid(run("nn", *digits, "--extractor", "pixels:8", "--distance", "cosine", "--format", "json").stdout)
    assert document["metrics"]["nn"]["options"]["distance"] == "cosine"
    assert document["metrics"]["nn"]["value"] < 1


def test_names_are_right_where_images_were_left_out(run: Run, digits: tuple[str, str], copies: str) -> None:
    """An unreadable file at the beginning does not shift the names of the others."""
    Path(copies, "aaa.png").write_bytes(b"no image")
    pairs = valid(run("nn", digits[0], copies, *DIGITS, "--on-error", "skip", "--format", "json").stdout)["pairs"]
    assert [Path(pair["fake"]).name for pair in pairs[:2]] == ["fake3.png", "fake8.png"]
    names = ["aaa.png", *(f"fake{number}.png" for number in range(12))]
    assert all(Path(pair["fake"]).name == names[pair["index"]] for pair in pairs)


def test_c2st_says_how_sure_it_is_and_of_what(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """Dark digits are distinguished from real ones, and other real digits are not."""
    for number in range(40):
        image = np.asarray(Image.open(Path(digits[1]) / f"{number}.png")) // 3
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    result = run("c2st", digits[0], tmp_path, *DIGITS, "--classifier", "1nn,logistic", "--format", "json")
    document = valid(result.stdout)
    assert list(document["metrics"]) == ["c2st_1nn", "c2st_logistic"]
    assert all(metric["value"] > 0.8 and metric["details"]["p_value"] < 0.01 for metric in document["metrics"].values())
    surest = document["most_discriminable"]["fake"][0]
    assert Path(surest["name"]).parent == tmp_path
    assert surest["probability_fake"] > 0.8
    alike = valid(run("c2st", *digits, *DIGITS, "--classifier", "logistic", "--format", "json").stdout)
    assert alike["metrics"]["c2st_logistic"]["details"]["p_value"] > 0.01
    text = run("c2st", *digits, *DIGITS, "--classifier", "logistic").stdout
    assert "p-value" in text
    assert "surest fakes" in text


def test_compare_does_not_take_copies_for_quality_unsaid(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """Exact copies have a lower `nn`, and a warning says that this is not better."""
    for number in range(40):
        Image.open(Path(digits[0]) / f"{number}.png").save(tmp_path / f"{number}.png")
    found = run("compare", digits[0], digits[1], tmp_path, *DIGITS, "--metrics", "nn")
    assert "warning: nn: Fakes are nearer to the reals than held-out reals are" in found.stderr
    alike = run("compare", digits[0], digits[1], tmp_path, *DIGITS, "--metrics", "fid")
    assert "no better" not in alike.stderr


def test_c2st_of_few_images_names_none(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """The nearest-neighbour test needs two images; the list of most discriminable images and the grid need ten."""
    command = ("c2st", *digits, *DIGITS, "--num-samples", "4", "--classifier", "1nn")
    document = valid(run(*command, "--format", "json").stdout)
    assert document["metrics"]["c2st_1nn"]["n_fake"] == 4
    assert "at least 10 images" in document["left_out"]["most_discriminable"]
    assert "surest images: left out. A classifier" in run(*command).stdout
    assert run(*command, "--grid", tmp_path / "surest.png").exit_code == 1


def test_c2st_and_nn_say_it_in_every_format(run: Run, digits: tuple[str, str], copies: str) -> None:
    """P-values and counts of copies are columns of CSV and tables of Markdown."""
    document = valid(run("c2st", *digits, *DIGITS, "--classifier", "1nn,logistic", "--format", "json").stdout)
    csv_text = run("c2st", *digits, *DIGITS, "--classifier", "1nn,logistic", "--format", "csv").stdout
    nearest, logistic = csv.DictReader(io.StringIO(csv_text))
    assert float(nearest["p_value"]) == document["metrics"]["c2st_1nn"]["details"]["p_value"]
    assert float(logistic["auc"]) == document["metrics"]["c2st_logistic"]["details"]["auc"]
    assert nearest["auc"] == ""
    text = run("c2st", *digits, *DIGITS, "--classifier", "1nn", "--format", "markdown").stdout
    assert "| test | p-value |" in text
    assert "| surest fakes |" in text
    row, other = csv.DictReader(io.StringIO(run("nn", digits[0], copies, *DIGITS, "--format", "csv").stdout))
    assert (row["metric"], float(row["duplicates"]), other["duplicates"]) == ("nn", 2, "")
    text = run("nn", digits[0], copies, *DIGITS, "--format", "markdown").stdout
    assert "| exact copies | 2 |" in text
    assert "| most suspicious fakes | nearest real |" in text


def test_compare_says_which_is_better(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """`compare` names the better generator in words, in JSON that can be read back, and in CSV."""
    for number in range(40):
        image = np.asarray(Image.open(Path(digits[1]) / f"{number}.png")) // 3
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    command = ("compare", digits[0], digits[1], tmp_path, *DIGITS, "--metrics", "fid,kid")
    text = run(*command).stdout
    assert f"A: {digits[1]}\nB: {tmp_path}\n" in text
    assert text.count("B is worse than A") == 2
    found = Comparison.from_json(json.dumps(valid(run(*command, "--format", "json").stdout)))
    assert [(one.metric, one.verdict, one.paired) for one in found.differences] == [
        ("fid", "worse", True),
        ("kid", "worse", True),
    ]
    rows = list(csv.DictReader(io.StringIO(run(*command, "--format", "csv").stdout)))
    assert [(row["metric"], row["verdict"]) for row in rows] == [("fid", "worse"), ("kid", "worse")]


def test_compare_says_what_it_cannot_tell(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """An inconclusive comparison gives the number of images that would be conclusive."""
    for number in range(40):
        image = np.asarray(Image.open(Path(digits[1]) / f"{number}.png")).copy()
        image[0, 0] = 40
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    text = run("compare", digits[0], digits[1], tmp_path, *DIGITS, "--metrics", "kid").stdout
    assert "can't tell; " in text
    assert "images of each set would" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("A",), "at least two generators"),
        (("A", "A"), "given twice"),
        (("A", "digits:test", "--protocol", "all"), "choose one"),
        (("A", "nowhere/"), "nowhere"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    run: Run, digits: tuple[str, str], arguments: tuple[str, ...], complaint: str
) -> None:
    """Sets that cannot be compared are refused with a message of one line."""
    given = [digits[1] if one == "A" else one for one in arguments]
    result = run("compare", digits[0], *given, *DIGITS)
    assert result.exit_code != 0
    assert complaint in result.stderr


def test_noise_is_a_result_of_halves(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """A noise floor is saved and read back like any other result."""
    path = tmp_path / "floor.json"
    result = run("noise-floor", digits[0], *DIGITS, "--metrics", "fid,kid", "--splits", "3", "-o", path)
    assert result.exit_code == 0
    found = Evaluation.from_json(path.read_text(encoding="utf-8"))
    valid(path.read_text(encoding="utf-8"))
    assert (found["kid"].n_real, found["kid"].n_fake) == (20, 20)
    assert "3 random splits" in found["kid"].method


def test_an_option_is_typed_as_json_or_as_text(run: Run, digits: tuple[str, str]) -> None:
    """Options may be given several times, for one metric and for its family."""
    options = ("--option", "prdc.k=3", "--option", "prdc.ties=inclusive", "--option", "vendi.order=Infinity")
    result = run("score", *digits, *DIGITS, "--metrics", "recall,vendi", *options, "--format", "json")
    metrics = valid(result.stdout)["metrics"]
    assert metrics["recall"]["options"] == {"k": 3, "ties": "inclusive", "subset_size": None, "seed": 0}
    assert metrics["vendi"]["options"]["order"] == "Infinity"


def test_no_classifier_is_refused_with_those_there_are(run: Run, digits: tuple[str, str]) -> None:
    """An unknown classifier is refused with the list of classifiers, not of metrics."""
    result = run("c2st", *digits, *DIGITS, "--classifier", " , ")
    assert result.exit_code == 2
    assert "No classifier was requested; choose from: 1nn, knn, logistic, mlp." in result.stderr


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("prdc", "METRIC.OPTION=VALUE"),
        ("k=3", "METRIC.OPTION=VALUE"),
        ("fid.dof=0", "did you mean"),
        ("kid.seed=x", "whole"),
        ("kid.seed=-1", "from 0 to 4294967295"),
        ("kid.seed=NaN", "whole"),
    ],
)
def test_an_option_that_is_none_is_refused(run: Run, digits: tuple[str, str], option: str, complaint: str) -> None:
    """A malformed option is refused with the expected form."""
    result = run("score", *digits, *DIGITS, "--metrics", "fid,kid", "--option", option)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_all_metrics_at_once(run: Run, digits: tuple[str, str]) -> None:
    """Metrics that need more than 40 images are left out with a warning that gives the reason."""
    result = run("score", *digits, *DIGITS, "--metrics", "all", "--format", "json")
    metrics = valid(result.stdout)["metrics"]
    assert {"fid", "mifid", "kid", "is", "nn", "c2st_1nn", "vendi", "mode_coverage"} <= set(metrics)
    assert set(METRICS) > set(metrics)
    assert "warning: ct was not measured: " in result.stderr


@pytest.mark.parametrize("format", ["csv", "markdown"])
def test_tables_for_papers(run: Run, digits: tuple[str, str], format: str) -> None:
    """A table has one line per metric; CSV has numbers in full precision."""
    result = run("score", *digits, *DIGITS, "--metrics", "fid,is", "--format", format)
    exact = valid(run("score", *digits, *DIGITS, "--metrics", "fid,is", "--format", "json").stdout)["metrics"]
    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [float(row["value"]) for row in rows] == [exact["fid"]["value"], exact["is"]["value"]]
        assert rows[1]["n_real"] == ""
    else:
        assert result.stdout.startswith(
            "| metric | value | 95% interval | better | images |\n|---|---|---|---|---|\n| fid | "
        )
