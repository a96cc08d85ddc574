"""The sensitivity benchmark: every damage does what it says, and a tiny run gives a table, a figure and a page."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import harness, photographs, sensitivity
from benchmarks.damage import CONTROL, DAMAGES, IN_COLOUR, Draw, Labelled
from ganeval.results import MetricResult


@pytest.fixture(scope="module")
def draw() -> Draw:
    """Digits: 300 reals, 100 fakes, and the rest."""
    return Draw.of(sensitivity.digits().images, reals=300, fakes=100, rng=np.random.RandomState(0))


@pytest.fixture(scope="module")
def coloured() -> Draw:
    """Patches of photographs."""
    return Draw.of(sensitivity.patches().images, reals=300, fakes=100, rng=np.random.RandomState(0))


def damaged(name: str, draw: Draw, strength: float) -> Labelled:
    return DAMAGES[name].apply(draw, strength, np.random.RandomState(1))


def keys(images: Labelled) -> list[bytes]:
    """One key an image, equal for equal images."""
    return [image.numpy().tobytes() for image in images.images]


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_keeps_the_number_and_the_kind_of_images(name: str, draw: Draw, coloured: Draw) -> None:
    """Shape and dtype are kept, the same seed gives the same images, and the input is unchanged."""
    mine = coloured if name in IN_COLOUR else draw
    before = mine.fakes.images.clone()
    for strength in DAMAGES[name].strengths:
        found, again = (damaged(name, mine, strength) for _ in range(2))
        assert found.images.shape == mine.fakes.images.shape
        assert found.images.dtype == torch.uint8
        assert len(found.labels) == len(mine.fakes)
        assert torch.equal(found.images, again.images)
        changed = (found.images != mine.fakes.images).flatten(1).any(1) | (found.labels != mine.fakes.labels)
        assert changed.any()
    assert torch.equal(mine.fakes.images, before)


def test_crops_are_of_all_photographs_and_extracted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops are pieces of ten photographs; an image that occurs again is not given to the network again."""
    found = photographs.crops(60, seed=0)
    assert found.images.shape == (60, 3, 96, 96)
    assert found.images.dtype == torch.uint8
    assert len(found.labels.unique()) == 10
    extractor = photographs.Remembering()
    few = torch.cat([found.images[:2], found.images[:1]])
    first = extractor.forward(extractor.prepare(few), frozenset(("features", "logits")))
    assert torch.equal(first["features"][0], first["features"][2])
    monkeypatch.setattr(extractor._lite0, "prepare", None)
    again = extractor.forward(extractor.prepare(few.flip(0)), frozenset(("features",)))
    assert torch.equal(again["features"], first["features"].flip(0))


def test_digits_and_patches_are_all_there_and_differ() -> None:
    """1,797 digits of ten classes, and the whole patches of two photographs."""
    assert len(sensitivity.digits().images) == 1797
    patches = sensitivity.patches().images
    assert patches.labels.bincount().tolist() == [1855, 1855]
    from sklearn.datasets import load_sample_image

    corner = torch.from_numpy(load_sample_image("china.jpg")[12:24, 24:36].copy()).permute(2, 0, 1)
    assert torch.equal(patches.images[53 + 2], corner)


def test_shares_are_what_they_say(draw: Draw) -> None:
    """Copies of fakes, copies of reals, missing or rare classes, and wrong labels have the requested shares."""
    assert len(set(keys(damaged("duplicates", draw, 0.3)))) == 70
    reals = set(keys(draw.reals))
    assert sum(key in reals for key in keys(damaged("memorised", draw, 0.6))) == 60
    assert len(damaged("dropped classes", draw, 3).labels.unique()) == 7
    counts = damaged("imbalance", draw, 10).labels.bincount()
    assert counts.sum() == 100
    assert 8 <= counts.max() / counts.min() <= 13
    assert int((damaged("wrong labels", draw, 0.3).labels != draw.fakes.labels).sum()) == 30
    invented = damaged("invented modes", draw, 0.3)
    brighter = (invented.images >= draw.fakes.images).flatten(1).all(1)
    assert brighter.all()
    assert int((invented.images != draw.fakes.images).flatten(1).any(1).sum()) == 30
    fakes = set(keys(draw.fakes)) | reals
    assert not fakes & set(keys(damaged(CONTROL, draw, 0)))


@pytest.mark.parametrize("name", ["blur", "noise", "JPEG"])
def test_more_damage_changes_more(name: str, draw: Draw) -> None:
    """Pixels move further from the originals, and keep roughly their mean."""
    changes = []
    for strength in DAMAGES[name].strengths:
        moved = damaged(name, draw, strength).images.double() - draw.fakes.images
        changes.append(float(moved.square().mean()))
        assert abs(float(moved.mean())) < 20
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_red_gains_what_blue_loses(coloured: Draw) -> None:
    """Red gains what blue loses, except where values are clipped."""
    before = coloured.fakes.images.double()
    moved = damaged("colour shift", coloured, 0.05).images - before
    middle = (before > 40) & (before < 215)
    for channel, expected in enumerate((12.75, 0, -12.75)):
        found = moved[:, channel][middle[:, channel]]
        assert (found - expected).abs().max() <= 0.5


def result(value: float, half: float, direction: str, ideal: float | None = None) -> MetricResult:
    interval = (value - half, value + half)
    return MetricResult(value, half / 1.96, interval, direction, 5, 5, "", {}, {}, (), ideal)  # type: ignore[arg-type]


def test_moves_are_towards_worse() -> None:
    """Moves are positive for worse in every direction, in standard errors."""
    before = 3.0, 0.98
    assert sensitivity.move(result(*before, "lower"), result(4.0, 1, "lower")) == pytest.approx(2)
    assert sensitivity.move(result(*before, "higher"), result(4.0, 1, "higher")) == pytest.approx(-2)
    assert sensitivity.move(result(*before, "closer", 5.0), result(8.0, 1, "closer", 5.0)) == pytest.approx(2)


def test_sentences_say_what_the_numbers_are() -> None:
    """Each metric is in one list, by how early it says worse."""
    moves: sensitivity.Moves = {
        "a": {"noise": [2.5, 1.0, 9.0]},
        "b": {"noise": [0.3, 1.0, 12.3]},
        "c": {"noise": [-1.0, -2.0, -4.0]},
        "d": {"noise": [0.0, 1.9, -0.04]},
        "e": {"noise": [None, None, None]},
    }
    text = sensitivity.report(moves)
    assert "| `b` | 0.3 / 1.0 / 12 |" in text
    assert "| `d` | 0.0 / 1.9 / 0.0 |" in text
    assert "| `e` | refused / refused / refused |" in text
    assert text.endswith(
        "**noise** (0.05, 0.1, 0.2 share of the range). Noticed at the mildest: `a`. Noticed later: `b`. "
        "Refused: `e`. Says better: `c`. Missed: `d`."
    )


def test_a_tiny_run_ends_in_a_table_a_figure_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strong noise is noticed, missing classes are refused, and hand-written text stays."""
    images = sensitivity.digits().images
    kinds = [
        sensitivity.Kind(images, (CONTROL, "noise", "dropped classes"), {"digits": ("fid", "precision")}),
        sensitivity.Kind(sensitivity.patches().images, ("colour shift",), {"pixels:2": ("fid",)}),
    ]
    others = sensitivity.Kind(sensitivity.patches().images, (CONTROL, "noise"), {"pixels:2": ("fid", "nn")})
    sizes = {"reals": 200, "fakes": 60, "splits": 1}
    data = {
        "digits": sensitivity.Data("Digits", lambda: kinds, **sizes),
        "photographs": sensitivity.Data("Photographs", lambda: (others,), **sizes),
    }
    monkeypatch.setattr(sensitivity, "DATA", data)
    monkeypatch.setattr(sensitivity, "DOCS", tmp_path)
    for module in (harness, sensitivity):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    page = tmp_path / "sensitivity.md"
    page.write_text(f"# By hand\n\n{sensitivity.MARK}\n\nfrom last time\n")
    sensitivity.main(runs=1)
    text = page.read_text()
    assert text.startswith(f"# By hand\n\n{sensitivity.MARK}\n\n## Digits\n\n| metric |")
    assert "\n\n## Photographs\n\n| metric |" in text
    assert "from last time" not in text
    results = tmp_path / "results" / "sensitivity.json"
    measured = json.loads(results.read_text())
    moves = measured["digits"]["moves"]
    assert moves["fid"].keys() == {CONTROL, "noise", "dropped classes", "colour shift"}
    assert moves["precision"]["noise"][2] > 2
    assert "colour shift" not in moves["precision"]
    assert (tmp_path / "sensitivity.svg").read_text().count("dropped classes") == 1
    # Measured again alone, a metric's row is the same, and the other rows and the other table are kept.
    sensitivity.main(runs=1, metrics=["nn"], data=["photographs"])
    assert json.loads(results.read_text()) == measured
    with pytest.raises(SystemExit, match="other rows are of 1 splits"):
        sensitivity.main(runs=2, metrics=["nn"], data=["photographs"])
    refusing = sensitivity.Kind(images, ("dropped classes",), {"digits": "all"})
    refused = sensitivity.measured(refusing, splits=1, reals=200, fakes=60)
    assert refused["cas"]["dropped classes"] == [None, None, None]
