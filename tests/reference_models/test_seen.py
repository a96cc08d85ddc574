"""What is said of held-out images, pairs and sequences: how many of them the model was trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reference_models import train_and_score
from reference_models.scoring import seen
from reference_models.scoring.seen import repeated, told


def test_rows_are_compared_by_their_content() -> None:
    """A row counts as often as it is held out, whatever its place among the known ones; others are new."""
    known = torch.arange(24, dtype=torch.uint8).reshape(4, 1, 2, 3)
    assert told("new", known + 24, known, what="images") == ("new, 4 images it was not trained on", ())
    words, caveats = told("mixed", torch.cat([known[[3, 1, 1]], known + 24]), known, what="images")
    assert words == "mixed, 7 images, 3 of which it was trained on"
    assert [text.split(", so ")[0] for text in caveats] == ["3 of the 7 held-out images are training data of the model"]


def test_a_pair_is_known_by_both_of_its_images() -> None:
    """Pairs of other inputs may have the same target, as a blank mask."""
    inputs, blank = torch.arange(24, dtype=torch.uint8).reshape(4, 1, 2, 3), torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
    assert repeated((inputs[:2], blank[:2]), (inputs[2:], blank[2:])) == 0
    assert repeated((inputs, blank), (inputs[2:], blank[2:])) == 2


def test_rows_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As large a set as there is has no copy beside it; the last part may be smaller."""
    known = torch.arange(24, dtype=torch.uint8).reshape(4, 1, 2, 3)
    monkeypatch.setattr(seen, "CHUNK", 3)
    assert repeated(known[[3, 0, 2, 2]], known[1:]) == 3


def test_held_out_pairs_of_known_targets_and_new_inputs_are_new(tmp_path: Path) -> None:
    """The targets are all black."""
    rng = np.random.default_rng(0)
    for name, count in (("inputs", 4), ("others", 4), ("targets", 4)):
        (tmp_path / name).mkdir()
        for index in range(count):
            pixels = rng.integers(256, size=(16, 16), dtype=np.uint8) * (name != "targets")
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    pairs, others = (f"pairs:{tmp_path / name},{tmp_path / 'targets'}" for name in ("inputs", "others"))
    small = {"steps": 1, "resolution": 16, "batch": 2, "settings.width": 2}
    asked = {"metrics": ["l1"], "device": "cpu"}
    run = train_and_score("pix2pix", tmp_path / "a", data=pairs, held_out=others, chosen=small, **asked)  # type: ignore[arg-type]
    assert run.scores.against.endswith(", 4 pairs it was not trained on")
    run = train_and_score("pix2pix", tmp_path / "b", data=pairs, held_out=pairs, chosen=small, **asked)  # type: ignore[arg-type]
    assert run.scores.against.endswith(", 4 pairs, 4 of which it was trained on")


def test_a_floor_of_training_images_is_not_called_one_of_new_images(tmp_path: Path) -> None:
    """Of all digits, 1,347 are those of the training."""
    small = {"steps": 1, "resolution": 8, "settings.hidden": 8}
    asked = {"metrics": ["fid"], "extractor": "digits", "device": "cpu"}
    run = train_and_score("gan", tmp_path / "a", chosen=small, held_out="digits:all", **asked)  # type: ignore[arg-type]
    assert run.scores.references_of["floor"] == "digits:all, 1797 real images, 1347 of which it was trained on"
    assert len(run.scores.caveats) == 1
    run = train_and_score("gan", tmp_path / "b", chosen=small, **asked)  # type: ignore[arg-type]
    assert run.scores.references_of["floor"] == "digits:test, 450 real images it was not trained on"
    assert run.scores.caveats == ()


def test_sequences_too(tmp_path: Path) -> None:
    """A file that is trained on and held out is said to be both."""
    (tmp_path / "words.txt").write_text("a b c d\nb c d a\nc d a b\nd a b c\n")
    data, small = f"text:{tmp_path / 'words.txt'}", {"batch": 4, "steps": 1}
    run = train_and_score("seqgan", tmp_path / "run", data=data, held_out=data, chosen=small, device="cpu")
    assert run.scores.references_of["floor"].endswith("4 real sequences, 4 of which it was trained on")
    assert len(run.scores.caveats) == 1
