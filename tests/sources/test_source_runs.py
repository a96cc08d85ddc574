"""The folder of a run is not a set of images, and the message says what to write."""

import json
from pathlib import Path

import pytest
from PIL import Image

from ganeval.errors import UsageError
from ganeval.sources import check_spec, open_source
from ganeval.sources.runs import is_run


def run_at(root: Path, config: object = None) -> Path:
    """The contents of a run's folder: its config, a grid of samples and a checkpoint."""
    (root / "samples").mkdir(parents=True)
    (root / "checkpoints").mkdir()
    (root / "checkpoints/last.pt").write_bytes(b"")
    Image.new("L", (40, 40)).save(root / "samples/step-00000001.png")
    document = {"schema": 1, "plan": {"recipe": {"variant": "gan"}}} if config is None else config
    (root / "config.json").write_text(json.dumps(document))
    return root


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("runs/first", "runs/first is a run, and its pictures are grids of samples; write ckpt:"),
        ("runs/first/", "is a run"),
        ("runs", "runs holds the run "),
        ("runs/first/samples", "samples holds grids of samples of a run; write ckpt:"),
        ("runs/first/checkpoints/last.pt", "last.pt is a checkpoint of a run; write ckpt:"),
    ],
)
def test_a_run_is_no_source_of_images(tmp_path: Path, place: str, said: str) -> None:
    """Its folder, a parent, its grids and its checkpoints are refused before opening, from Python as well."""
    run_at(tmp_path / "runs/first")
    for refuse in (check_spec, open_source):
        with pytest.raises(UsageError, match=r"ckpt:.*first") as refusal:
            refuse(f"{tmp_path}/{place}")
        assert said in str(refusal.value)


@pytest.mark.parametrize(
    "config", [[], {"plan": 3}, {"plan": {"recipe": "soup"}}, {"model_type": "unet"}, "plan", {"plan": {}}]
)
def test_a_config_of_something_else_makes_no_run(tmp_path: Path, config: object) -> None:
    """Images in a folder with another tool's config.json are images."""
    folder = run_at(tmp_path / "images", config)
    assert len(open_source(str(folder))) == 1
    assert len(open_source(str(tmp_path))) == 1


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b" " * (1 << 20) + b"{}", b""])
def test_a_hostile_config_makes_no_run(tmp_path: Path, content: bytes) -> None:
    """A truncated, undecodable, deeply nested or endless config is not a run's."""
    (tmp_path / "config.json").write_bytes(content)
    assert not is_run(tmp_path)


def test_what_is_not_there_is_no_run(tmp_path: Path) -> None:
    """A missing path, a file, and a folder whose config.json is a folder are not runs."""
    (tmp_path / "config.json").mkdir()
    assert not any(is_run(place) for place in (tmp_path, tmp_path / "nowhere", Path(__file__)))
