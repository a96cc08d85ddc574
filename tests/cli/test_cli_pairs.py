"""`ganeval pairs`: the table, the document, comparisons, the gate, and what is refused."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cli_helpers import Run
from PIL import Image

import ganeval

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "result.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Reals, fakes near them, and fakes farther away: 6 images each, of 16 x 16 pixels."""
    root, rng = tmp_path_factory.mktemp("pairs"), np.random.RandomState(0)
    for folder in ("real", "near", "far"):
        (root / folder).mkdir()
    for number in range(6):
        real = rng.randint(60, 190, (16, 16, 3))
        noise = rng.randn(16, 16, 3) * (number + 2)
        for folder, strength in (("real", 0), ("near", 1), ("far", 3)):
            image = Image.fromarray((real + strength * noise).clip(0, 255).astype(np.uint8))
            image.save(root / folder / f"{number}.{'png' if folder == 'real' else 'bmp'}")
    return str(root / "real"), str(root / "near"), str(root / "far")


def test_the_table_has_the_metrics_and_the_worst_pairs(run: Run, folders: tuple[str, str, str]) -> None:
    """And a line that says what was measured."""
    done = run("pairs", *folders[:2], "--option", "psnr.border=1")
    assert done.exit_code == 0, done.output
    assert "measured on pairs of images as they are, fp64 on cpu" in done.stdout
    table, worst = done.stdout.split("\n\n")[0], done.stdout.split("\n\n")[-1].splitlines()
    assert [line.split()[0] for line in table.splitlines()] == ["metric", "psnr", "ssim", "l1"]
    assert worst[0].split() == ["worst", "by", "psnr", "psnr", "ssim", "l1"]
    assert worst[1].split()[0].endswith("5.bmp")


def test_the_document_has_every_pair_and_follows_the_schema(
    run: Run, folders: tuple[str, str, str], tmp_path: Path
) -> None:
    """Printed and written alike; the values are those of Python."""
    done = run("pairs", *folders[:2], "--format", "json", "-o", tmp_path / "pairs.json")
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "pairs.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, SCHEMA)
    found = ganeval.evaluate_pairs(*folders[:2])
    assert document["metrics"]["psnr"]["value"] == found["psnr"].value
    assert found.pairs is not None
    assert [one["values"]["ssim"] for one in document["image_pairs"]] == list(found.pairs.values["ssim"])
    assert Path(document["image_pairs"][3]["fake"]).name == "3.bmp"


def test_csv_has_the_spread_over_pairs(run: Run, folders: tuple[str, str, str]) -> None:
    """A row per metric."""
    lines = run("pairs", *folders[:2], "--format", "csv").stdout.splitlines()
    assert lines[0].endswith("comparable,median,min,max,standard_deviation")
    assert [line.split(",")[0] for line in lines[1:]] == ["psnr", "ssim", "l1"]


def test_two_methods_are_compared_on_the_same_pairs(run: Run, folders: tuple[str, str, str]) -> None:
    """As in Python."""
    done = run("pairs", *folders, "--metrics", "l1,edge", "--format", "json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert [(one["metric"], one["verdict"], one["paired"]) for one in document["differences"]] == [
        ("l1", "worse", True),
        ("edge", "worse", True),
    ]
    assert "A is better" in run("pairs", *folders, "--metrics", "l1").stdout or "worse" in run("pairs", *folders).stdout


def test_the_gate_holds_pairs_to_a_baseline(run: Run, folders: tuple[str, str, str], tmp_path: Path) -> None:
    """The same result passes, a worse one regresses with exit code 1."""
    saved = tmp_path / "baseline.json"
    run("pairs", *folders[:2], "-o", saved)
    assert run("pairs", *folders[:2], "--check", "--baseline", saved).exit_code == 0
    worse = run("pairs", folders[0], folders[2], "--check", "--baseline", saved)
    assert worse.exit_code == 1, worse.output
    assert "regressed" in worse.stdout
    assert run("pairs", *folders, "--check", "--baseline", saved).exit_code == 2


def test_a_segmenter_is_a_function_in_a_file(run: Run, folders: tuple[str, str, str], tmp_path: Path) -> None:
    """py:FILE.py:NAME."""
    code = tmp_path / "segment.py"
    code.write_text("def segment(images):\n    return (images[:, 0] // 64).long()\n", encoding="utf-8")
    given = ("--metrics", "iou", "--option", f"segmentation.segmenter=py:{code}:segment")
    done = run("pairs", *folders[:2], *given, "--format", "json")
    assert done.exit_code == 0, done.output
    assert 0 < json.loads(done.stdout)["metrics"]["iou"]["value"] < 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--metrics", "fid"), "metric of sets of images: ganeval score"),
        (("--metrics", "lpips", "--option", "lpips.network=resnet"), "LPIPS has no network 'resnet'"),
        (("--option", "psnr.channel=luma"), "must be 'rgb' or 'y'"),
        (("--num-samples", "7"), "7 images were requested, but there are only 6"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    run: Run, folders: tuple[str, str, str], given: tuple[str, ...], message: str
) -> None:
    """On standard error."""
    done = run("pairs", *folders[:2], *given)
    assert done.exit_code in (1, 2)
    assert message in done.stderr


def test_the_same_fake_twice_is_refused(run: Run, folders: tuple[str, str, str]) -> None:
    """A difference of 0 says nothing."""
    done = run("pairs", folders[0], folders[1], folders[1])
    assert done.exit_code == 2
    assert "given twice" in done.stderr
