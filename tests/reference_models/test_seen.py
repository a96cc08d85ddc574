"""What is said of held-out images, pairs and sequences: how many of them the model was trained on."""

from pathlib import Path

import torch

from reference_models import train_and_score
from reference_models.scoring.seen import told


def test_rows_are_compared_by_their_content() -> None:
    """A row counts as often as it is held out, whatever its place among the known ones; others are new."""
    known = torch.arange(24, dtype=torch.uint8).reshape(4, 1, 2, 3)
    assert told("new", known + 24, known, what="images") == ("new, 4 images it was not trained on", ())
    words, caveats = told("mixed", torch.cat([known[[3, 1, 1]], known + 24]), known, what="images")
    assert words == "mixed, 7 images, 3 of which it was trained on"
    assert [text.split(", so that")[0] for text in caveats] == [
        "3 of the 7 held-out images are among those that the model was trained on"
    ]


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
