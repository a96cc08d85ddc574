"""A run is resumed bit for bit with moved images, and on another device with a note on the differences."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_helpers import assert_same_state, small_plan
from PIL import Image

from ganeval.errors import SourceError, UsageError
from reference_models.engine import checkpoint
from reference_models.engine.folder import Folder
from reference_models.engine.loop import Intervals, Loop
from reference_models.engine.plan import make_plan
from reference_models.engine.resume import resume
from reference_models.engine.run import start

RARELY = Intervals(log_every=1, sample_every=0, save_every=0)
CHOSEN = {**dict(small_plan().chosen), "steps": 2}


def pictures(root: Path) -> Path:
    """Twenty images, 8 x 8, in a folder."""
    rng = np.random.RandomState(0)
    root.mkdir()
    for number in range(20):
        Image.fromarray(rng.randint(0, 256, (8, 8), np.uint8)).save(root / f"{number}.png")
    return root


def run_on(data: str, output: Path) -> Loop:
    """Two steps of a small run."""
    loop = start(make_plan("gan", data=data, chosen=CHOSEN), output, intervals=RARELY)
    loop.run()
    return loop


def to_four(run: Path, **asked: object) -> Loop:
    """The run continued to its fourth step."""
    loop = resume(run, steps=4, asked=asked, intervals=RARELY)
    loop.run()
    return loop


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """Four steps without interruption."""
    root = tmp_path_factory.mktemp("whole")
    plan = make_plan("gan", data=str(pictures(root / "data")), chosen={**CHOSEN, "steps": 4})
    loop = start(plan, root / "run", intervals=RARELY)
    loop.run()
    return loop


Move = Callable[[Path], "str | None"]


def renamed(data: Path) -> str:
    """The folder has another name."""
    return str(data.rename(data.parent / "moved"))


def with_a_slash(data: Path) -> str:
    """The same folder, written otherwise."""
    return f"{data}{os.sep}"


def as_array(data: Path) -> str:
    """The same images in another form."""
    names = sorted(data.iterdir(), key=lambda path: int(path.stem))
    np.save(data.parent / "data.npy", np.stack([np.asarray(Image.open(name)) for name in names])[..., None])
    for name in names:
        name.unlink()
    data.rmdir()
    return str(data.parent / "data.npy")


@pytest.mark.parametrize("move", [renamed, with_a_slash, as_array])
def test_data_that_moved_go_on_bit_for_bit(
    tmp_path: Path, whole: Loop, monkeypatch: pytest.MonkeyPatch, move: Move
) -> None:
    """Another path, a trailing slash or another format are accepted by digest, and remembered for the next time."""
    monkeypatch.chdir(tmp_path)
    run_on("data", tmp_path / "run") if pictures(tmp_path / "data") else None
    place = move(tmp_path / "data")
    loop = to_four(tmp_path / "run", data=place)
    assert_same_state(whole.training.state(), loop.training.state())
    assert resume(tmp_path / "run", steps=5).training.step == 4


def test_a_relative_path_is_found_from_another_working_directory(
    tmp_path: Path, whole: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No message is needed, also for an older run after --data was given once."""
    monkeypatch.chdir(pictures(tmp_path / "data").parent)
    run_on("data", tmp_path / "run")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert_same_state(whole.training.state(), to_four(tmp_path / "run").training.state())
    config = json.loads((tmp_path / "run/config.json").read_text())
    del config["data_at"]
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=r"cannot be read from data: .* give their location with --data SOURCE"):
        resume(tmp_path / "run", steps=5)
    resume(tmp_path / "run", steps=5, asked={"data": "../data"})
    assert resume(tmp_path / "run", steps=5).training.step == 4


def test_a_project_that_moved_as_a_whole_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the images are not at their old absolute path, the path as written is tried."""
    pictures(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    run_on("data", Path("run"))
    project = tmp_path / "project"
    project.mkdir()
    for name in ("data", "run"):
        (tmp_path / name).rename(project / name)
    monkeypatch.chdir(project)
    assert to_four(Path("run")).training.step == 4


def test_the_recipes_own_data_may_be_read_from_a_file(tmp_path: Path) -> None:
    """They are converted like the recipe's own data, from any source."""
    plan = make_plan("gan", chosen=CHOSEN)
    start(plan, tmp_path / "run", intervals=RARELY).run()
    from sklearn.datasets import load_digits

    bunch = load_digits()
    kept = np.arange(len(bunch.images)) % 4 != 0
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[kept]
    np.savez(tmp_path / "digits.npz", arr_0=images[..., None], arr_1=bunch.target[kept])
    assert resume(tmp_path / "run", steps=3, asked={"data": str(tmp_path / "digits.npz")}).training.step == 2


def test_other_images_at_the_new_place_are_refused(tmp_path: Path) -> None:
    """The content is compared, and the message names the place."""
    run_on(str(pictures(tmp_path / "data")), tmp_path / "run")
    Image.new("L", (8, 8)).save(tmp_path / "data/3.png")
    with pytest.raises(UsageError, match=r"The images of .*data are not those that .*run was trained on"):
        resume(tmp_path / "run", steps=3, asked={"data": str(tmp_path / "data")})


def test_a_run_of_an_earlier_version_with_gaps_in_its_labels_says_why(tmp_path: Path) -> None:
    """Such a run counted classes without images, and cannot be resumed without them."""
    loop = run_on(str(pictures(tmp_path / "data")), tmp_path / "run")
    path = loop.folder.checkpoint_path("last")
    document = dict(checkpoint.load(path))
    data = {"channels": 1, "resolution": 8, "classes": 6}
    torch.save({**document, "data": data, "digest": "0" * 32}, path)
    loop.folder.note({"digest": "0" * 32})
    with pytest.raises(UsageError, match="counted 6 classes in their labels"):
        resume(tmp_path / "run", steps=3)


def saved_on_a_gpu(loop: Loop) -> Path:
    """A run as if trained on a GPU: its plan, and random states that a CPU cannot use."""
    loop.training.plan = replace(loop.training.plan, device="cuda")
    config = json.loads(loop.folder.config.read_text())
    config["plan"]["device"] = "cuda"
    loop.folder.config.write_text(json.dumps(config))
    path = loop.folder.checkpoint_path("last")
    document = dict(checkpoint.load(path))
    document["plan"]["device"] = "cuda"
    few = torch.zeros(16, dtype=torch.uint8)
    document["random"] = {"cpu": document["random"]["cpu"], "cuda": few, "losses": few}
    torch.save(document, path)
    return loop.folder.root


def test_a_gpu_run_goes_on_on_a_cpu(tmp_path: Path) -> None:
    """Weights, optimizers and order are as saved, the result is repeatable, and the log notes what differs."""
    states = []
    for name in ("one", "two"):
        run = saved_on_a_gpu(start_small(tmp_path / name))
        before = checkpoint.load(run / "checkpoints/last.pt")
        loop = resume(run, steps=4, asked={"device": "cpu"}, intervals=RARELY)
        assert_same_state(before["model"], loop.training.model.state_dict())
        assert (loop.training.step, [loop.training.seen]) == (before["step"], before["seen"])
        assert loop.notices
        assert "so far it was trained with cuda" in loop.notices[0]
        assert "random numbers of the losses (latents, dropout) start again" in loop.notices[0]
        loop.run()
        states.append(loop.training.state())
        assert [line["device"] for line in Folder(run).lines() if "device" in line] == ["cpu"]
        again = resume(run, steps=5)
        assert (again.training.plan.device, again.notices) == ("cpu", [])
    assert_same_state(*states)


def start_small(output: Path) -> Loop:
    """Two steps on the digits, on a CPU."""
    loop = start(make_plan("gan", chosen=CHOSEN), output, intervals=RARELY)
    loop.run()
    return loop


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_here_is_named_with_the_way_on(tmp_path: Path) -> None:
    """The device is changed only on request."""
    run = saved_on_a_gpu(start_small(tmp_path / "run"))
    with pytest.raises(UsageError, match=r"was trained with cuda\. The device 'cuda' cannot be used here.* --device"):
        resume(run, steps=4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(("then", "now"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_changes_between_gpu_and_cpu(tmp_path: Path, then: str, now: str) -> None:
    """Weights are kept in both directions."""
    loop = start(make_plan("dcgan", device=then, chosen={"steps": 2, "ema": 0.9}), tmp_path / "run", intervals=RARELY)
    loop.run()
    moved = resume(tmp_path / "run", steps=4, asked={"device": now}, intervals=RARELY)
    saved = checkpoint.load(tmp_path / "run/checkpoints/last.pt")
    assert_same_state(saved["model"], {name: one.cpu() for name, one in moved.training.model.state_dict().items()})
    moved.run()
    assert moved.notices
    assert resume(tmp_path / "run", steps=5).training.plan.device == now
