"""Checkpoints round-trip; damaged, foreign or hostile ones are refused, and a full disk loses none."""

import json
import os
import pickle
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_helpers import assert_same_state, small_plan, some_images

from ganeval.errors import CheckpointError, UsageError
from reference_models.engine import checkpoint
from reference_models.engine.training import Training


@pytest.fixture(scope="module")
def training() -> Training:
    """Three steps of a small GAN with an average."""
    made = Training(small_plan(ema=0.9), some_images())
    for _ in range(3):
        made.advance()
    return made


@pytest.fixture
def saved(training: Training, tmp_path: Path) -> Path:
    """Its checkpoint."""
    path = tmp_path / "last.pt"
    checkpoint.save(path, training, {"best": 1.5})
    return path


def changed(path: Path, **changes: Any) -> Path:
    """The same checkpoint with other parts."""
    document = {**torch.load(path, weights_only=True), **changes}
    torch.save(document, path)
    return path


def test_everything_comes_back(saved: Path, training: Training) -> None:
    """Every tensor and number of the training is restored bit for bit, and so are the notes."""
    document = checkpoint.load(saved, variant="gan")
    for name, part in training.state().items():
        assert_same_state(part, document[name], name)
    assert document["notes"] == {"best": 1.5}
    other = Training(checkpoint.plan_of(document, saved), some_images())
    other.restore(document)
    assert_same_state(other.state(), training.state())
    assert other.plan == training.plan


def test_nothing_but_the_checkpoint_is_left_behind(saved: Path) -> None:
    """No temporary file is left in the folder."""
    assert [one.name for one in saved.parent.iterdir()] == ["last.pt"]


def test_a_truncated_checkpoint_is_refused(saved: Path) -> None:
    """A checkpoint truncated at any place is refused, and the message names the file."""
    whole = saved.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"last\.pt is damaged"):
            checkpoint.load(saved)


def test_a_flipped_byte_is_noticed(saved: Path) -> None:
    """A changed byte in the weights is detected."""
    whole = bytearray(saved.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    saved.write_bytes(whole)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(saved)


class Hostile:
    """Runs a command when it is unpickled by someone who trusts it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


def test_a_hostile_checkpoint_runs_nothing(tmp_path: Path) -> None:
    """Code in a file is not executed, neither in a checkpoint nor in a bare pickle."""
    path, trace = tmp_path / "last.pt", tmp_path / "trace"
    torch.save({"format": checkpoint.FORMAT, "model": Hostile(trace)}, path)
    with pytest.raises(CheckpointError, match="could run code"):
        checkpoint.load(path)
    path.write_bytes(pickle.dumps(Hostile(trace)))
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        checkpoint.load(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {"model": {}}, {"format": "other"}, torch.zeros(3)], ids=["list", "dict", "other", "tensor"]
)
def test_a_foreign_file_of_torch_is_refused(tmp_path: Path, content: object) -> None:
    """A file of torch that is readable but not a checkpoint is refused."""
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of ganeval"):
        checkpoint.load(tmp_path / "last.pt")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"{}", b"PK\x03\x04rest"], ids=["png", "json", "zip"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    """Files of other formats are refused."""
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        checkpoint.load(tmp_path / "last.pt")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    """The message says how a checkpoint is made."""
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        checkpoint.load(tmp_path / "last.pt")


def test_another_version_is_refused(saved: Path) -> None:
    """The message has the version found and the version that can be read."""
    with pytest.raises(CheckpointError, match=r"checkpoint format 1, written by.*reads format 2.*Use the version that"):
        checkpoint.load(changed(saved, version=1))


def test_another_variant_is_refused(saved: Path) -> None:
    """With both names."""
    with pytest.raises(CheckpointError, match="is of the variant 'gan', but 'dcgan' is needed"):
        checkpoint.load(saved, variant="dcgan")


@pytest.mark.parametrize("part", ["plan", "data", "step", "model", "optimizers", "random", "notes"])
def test_a_part_of_another_kind_is_refused(saved: Path, part: str) -> None:
    """A part of the wrong type is refused."""
    with pytest.raises(CheckpointError, match=f"{part} is of type str"):
        checkpoint.load(changed(saved, **{part: "nonsense"}))


@pytest.mark.parametrize(
    "change",
    [
        {"model": {}},
        {"model": {"generator.0.weight": torch.zeros(3)}},
        {"optimizers": {}},
        {"random": {}},
        {"random": {"cpu": torch.zeros(3, dtype=torch.uint8), "losses": torch.zeros(3, dtype=torch.uint8)}},
        {"step": -1},
        {"average": None},
    ],
    ids=["no weights", "other weights", "no optimizers", "no randomness", "other randomness", "step", "average"],
)
def test_parts_that_do_not_fit_are_refused(saved: Path, change: dict[str, Any]) -> None:
    """A checkpoint is restored completely or not at all."""
    document = checkpoint.load(changed(saved, **change))
    other = Training(small_plan(ema=0.9), some_images())
    with pytest.raises(CheckpointError, match="does not fit"), checkpoint.damage_named(saved):
        other.restore(document)


def test_a_damaged_plan_is_refused(saved: Path) -> None:
    """A plan with missing fields is refused."""
    document = checkpoint.load(saved)
    plan = {name: part for name, part in document["plan"].items() if name != "seed"}
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.plan_of({**document, "plan": plan}, saved)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Limit files to 100 kB, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_last_good_checkpoint(saved: Path, training: Training, full_disk: None) -> None:
    """The error has the system's message and says that the old checkpoint is intact, which is true."""
    before = saved.read_bytes()
    with pytest.raises(
        CheckpointError, match=r"step 3 could not be written \(File too large\); the previous one is still valid"
    ):
        checkpoint.save(saved, training, {})
    assert saved.read_bytes() == before
    assert [one.name for one in saved.parent.iterdir()] == ["last.pt"]
    assert checkpoint.load(saved)["step"] == 3


def test_a_full_disk_names_the_checkpoints_that_are_left(saved: Path, training: Training, full_disk: None) -> None:
    """If a checkpoint of a step cannot be written, the last one stays, and the message names it."""
    with pytest.raises(CheckpointError, match=r"the previous ones are still valid: last\.pt\. Make room"):
        checkpoint.save(saved.with_name("step-00000003.pt"), training, {})


def test_a_failure_that_torch_alone_reports_is_told_in_its_first_line(
    saved: Path, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's RuntimeError has no cause where its own writer fails."""

    def fail(*_: object) -> None:
        raise RuntimeError("unexpected pos 64\nframe #0")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(CheckpointError, match=r"could not be written \(unexpected pos 64\); the previous one"):
        checkpoint.save(saved, training, {})


def test_a_folder_that_is_gone_is_an_error_of_its_own(tmp_path: Path, training: Training) -> None:
    """A folder that was removed is an error without a traceback."""
    with pytest.raises(CheckpointError, match=r"No such file or directory.*a resumed run begins again"):
        checkpoint.save(tmp_path / "gone" / "last.pt", training, {})


def test_a_model_comes_back_ready_to_sample(saved: Path, training: Training) -> None:
    """In evaluation mode, with the average or the raw weights, and the caller's random state as it was."""
    state = torch.get_rng_state()
    assert training.average is not None
    for average, model in ((True, training.average.model), (False, training.model)):
        loaded = checkpoint.load_model(saved, average=average)
        assert_same_state(loaded.state_dict(), model.state_dict())
        assert not loaded.training
    assert torch.equal(torch.get_rng_state(), state)


def test_checkpoints_are_found_by_name_and_step(tmp_path: Path) -> None:
    """A checkpoint that does not exist is answered with those that do."""
    folder = tmp_path / "checkpoints"
    with pytest.raises(UsageError, match="is not a run"):
        checkpoint.find_checkpoint(tmp_path)
    folder.mkdir()
    for name in ("last.pt", "step-00000020.pt"):
        (folder / name).touch()
    assert checkpoint.find_checkpoint(tmp_path) == folder / "last.pt"
    assert checkpoint.find_checkpoint(tmp_path, "20") == folder / "step-00000020.pt"
    assert checkpoint.find_checkpoint(folder / "last.pt") == folder / "last.pt"
    with pytest.raises(UsageError, match="has no checkpoint 'best'; it has: last, step-00000020"):
        checkpoint.find_checkpoint(tmp_path, "best")


def test_a_checkpoint_says_what_made_it(saved: Path) -> None:
    """A checkpoint has the JSON of the plan, and the version of ganeval."""
    document = checkpoint.load(saved)
    assert json.loads(json.dumps(document["plan"])) == document["plan"]
    assert document["plan"]["recipe"]["ema"] == 0.9
    assert document["ganeval"]
