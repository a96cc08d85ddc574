"""A trained run is a live generator like any other, and evaluating a training does not change it."""

import math
import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ganeval
from ganeval.errors import CheckpointError, UsageError
from ganeval.images import to_uint8
from ganeval.sources import chunk_seed
from ganeval.sources.base import Reading, ReadReport
from reference_models import VARIANTS, build_model
from reference_models.base import GAN
from reference_models.batches import Data
from reference_models.data.images import load_images
from reference_models.engine.checkpoint import load_model
from reference_models.engine.folder import Folder
from reference_models.engine.loop import Callbacks, Intervals, Loop, Monitor
from reference_models.engine.monitors import HeldOut, SpreadMonitor
from reference_models.engine.plan import make_plan
from reference_models.engine.run import start
from reference_models.sampling.sampler import (
    DEFAULT_NUM_SAMPLES,
    Sampler,
    checkpoint_path,
    open_checkpoint,
)
from reference_models.scoring.periodic import scorer

SMALL = {"steps": 4, "resolution": 16, "batch": 16, "ema": 0.5}


def begun(root: Path, **callbacks: Any) -> Loop:
    """A small training of four steps, ready to run."""
    plan = make_plan("dcgan", data="digits:train", chosen=SMALL, train_images=64)
    intervals = Intervals(log_every=2, score_every=2, sample_every=0, save_every=0, keep_every=2)
    return start(plan, root, intervals=intervals, callbacks=Callbacks(**callbacks))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run."""
    root = tmp_path_factory.mktemp("runs") / "short"
    begun(root).run()
    return root


def images_of(spec: object, **settings: Any) -> Tensor:
    """All images of a source as one tensor."""
    source = ganeval.open_source(spec, **settings)
    batches = source.batches(Reading(batch_size=7), ReadReport())
    return torch.cat([group.images for batch in batches for group in batch.groups])


def model_of(variant: str, *, classes: int | None = None) -> GAN:
    """An untrained model for grey images of 32 pixels."""
    recipe = VARIANTS[variant].recipe("quick")
    return build_model(recipe, Data(1, recipe.resolution, classes))


def test_ckpt_draws_the_averaged_weights_of_the_last_checkpoint(run: Path) -> None:
    """`ckpt:RUN` gives the images of the last checkpoint's averaged weights."""
    drawn = images_of(f"ckpt:{run}", num_samples=20, seed=3)
    wanted = _first(load_model(run / "checkpoints" / "last.pt"), 20, seed=3)
    raw = _first(load_model(run / "checkpoints" / "last.pt", average=False), 20, seed=3)
    assert torch.equal(drawn, wanted)
    assert not torch.equal(drawn, raw)
    assert torch.equal(drawn, images_of(f"ckpt:{run / 'checkpoints' / 'last.pt'}", num_samples=20, seed=3))
    assert torch.equal(drawn, images_of(f"ckpt:{run}@4", num_samples=20, seed=3))
    assert not torch.equal(drawn, images_of(f"ckpt:{run}@2", num_samples=20, seed=3))


def _first(model: GAN, count: int, *, seed: int) -> Tensor:
    """The first images of a seed, up to a chunk of them, by hand."""
    rng = torch.Generator().manual_seed(chunk_seed(seed, 0))
    with torch.no_grad():
        images = model.generate(model.latent(count, rng=rng))
    return to_uint8(images, model.value_range, where="here").expand(-1, 3, -1, -1)


def test_a_run_stands_for_as_many_images_as_papers_draw(run: Path) -> None:
    """The default number of images is ten thousand."""
    assert len(ganeval.open_source(f"ckpt:{run}")) == DEFAULT_NUM_SAMPLES == 10_000


def test_a_run_is_scored_like_a_folder_of_its_samples(run: Path) -> None:
    """The score of `ckpt:` equals that of the same images as an array."""
    settings: dict[str, Any] = {"extractor": "digits", "cache": False}
    sampler = ganeval.evaluate("digits:test", f"ckpt:{run}", num_samples=80, **settings)["fid"]
    array = ganeval.evaluate("digits:test", images_of(f"ckpt:{run}", num_samples=80), **settings)["fid"]
    assert sampler.value == pytest.approx(array.value, rel=1e-6)
    assert sampler.n_fake == 80


def test_a_run_may_be_named_as_a_source_is(run: Path) -> None:
    """`ckpt:RUN` is accepted where a run is expected."""
    assert checkpoint_path(f"ckpt:{run}@last") == checkpoint_path(str(run))


def test_what_leads_to_no_checkpoint_is_refused_in_words(run: Path, tmp_path: Path) -> None:
    """A missing run, a missing checkpoint, a folder without a run, and another file have messages."""
    with pytest.raises(UsageError, match="There is no run"):
        open_checkpoint(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="A run is missing"):
        open_checkpoint("")
    with pytest.raises(UsageError, match="has no checkpoint 'best'; it has: last, step-00000002, step-00000004"):
        open_checkpoint(f"{run}@best")
    with pytest.raises(UsageError, match="is not a run"):
        open_checkpoint(str(tmp_path))
    (tmp_path / "seeds/seed-10").mkdir(parents=True)
    (tmp_path / "seeds/seed-10/config.json").touch()
    shutil.copytree(run, tmp_path / "seeds/seed-2")
    with pytest.raises(UsageError, match=r"several seeds \(seed-2, seed-10\); name one, as in .*seed-2"):
        open_checkpoint(str(tmp_path / "seeds"))
    with pytest.raises(UsageError, match=r"several seeds \(seed-2, seed-10\); name one, as in .*seed-2"):
        Folder(tmp_path / "seeds").read_config()
    foreign = tmp_path / "foreign.pt"
    foreign.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"foreign\.pt"):
        open_checkpoint(str(foreign))


def test_a_conditional_model_is_asked_for_every_class_alike() -> None:
    """Its classes are balanced, and each image is of its label."""
    model = model_of("cgan", classes=10)
    source = ganeval.open_source(Sampler(model), num_samples=40, seed=0)
    assert source.labels is not None
    assert sorted(source.labels) == sorted(list(range(10)) * 4)
    (batch,) = source.batches(Reading(batch_size=40), ReadReport())
    rng, generator, by_hand = torch.Generator(), model.eval(), []
    with torch.no_grad():
        for number, (at, n) in enumerate(((0, 32), (32, 8))):
            z = model.latent(n, rng=rng.manual_seed(chunk_seed(0, number)))
            by_hand.append(generator.generate(z, torch.tensor(source.labels[at : at + n])))
    assert torch.equal(batch.groups[0].images[:, :1], to_uint8(torch.cat(by_hand), model.value_range, where="here"))


def test_a_model_without_labels_declares_no_classes() -> None:
    """Labels in the training data do not make a model conditional."""
    assert Sampler(model_of("gan", classes=10)).num_classes is None


def test_truncated_latents_follow_the_normal_law_between_the_bounds() -> None:
    """No number exceeds the bound, and the spread is that of the truncated normal distribution (0.54 at 1)."""
    sampler = Sampler(model_of("wgan-gp"), truncation=1.0)
    z = sampler.latent(2000, torch.Generator().manual_seed(0))
    assert float(z.abs().max()) <= 1.0
    assert float(z.std()) == pytest.approx(0.5396, abs=0.01)
    assert float(z.mean()) == pytest.approx(0.0, abs=0.01)
    wide = Sampler(sampler.model, truncation=8.0).latent(4, torch.Generator().manual_seed(0))
    assert torch.allclose(wide, Sampler(sampler.model).latent(4, torch.Generator().manual_seed(0)), atol=1e-5)


def test_truncation_is_refused_where_it_means_nothing() -> None:
    """A uniform distribution has no tails, and a bound must be above 0."""
    with pytest.raises(UsageError, match=r"uniformly within \[-1, 1\], so there is nothing to truncate"):
        Sampler(model_of("dcgan"), truncation=0.7)
    with pytest.raises(UsageError, match=r"bgan draws its latents uniformly within \[0, 1\]"):
        Sampler(model_of("bgan"), truncation=0.7)
    with pytest.raises(UsageError, match="must be above 0"):
        Sampler(model_of("wgan-gp"), truncation=0.0)
    with pytest.raises(UsageError, match="above 0"):
        Sampler(model_of("wgan-gp"), truncation=math.nan)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """A training with all scores and monitors enabled."""
    held_out = load_images("digits:test", resolution=16, channels=1, resize=True)
    score = scorer("digits:test", metrics=("fid", "recall"), num_samples=40, extractor="digits")
    monitors: list[Monitor] = [SpreadMonitor(), HeldOut(held_out)]
    loop = begun(tmp_path_factory.mktemp("runs") / "watched", scorer=score, monitors=monitors)
    loop.run()
    return loop


def test_evaluation_during_training_leaves_no_trace(run: Path, looked_at: Loop) -> None:
    """Scores and monitors leave weights, optimizers and random states unchanged."""
    plain = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    watched = torch.load(looked_at.folder.checkpoint_path("last"), weights_only=True)
    for name in ("model", "average", "optimizers", "random", "step", "seen"):
        assert_equal(plain[name], watched[name])


def assert_equal(one: object, other: object) -> None:
    """Nested values are equal to the last bit."""
    if isinstance(one, Tensor):
        assert isinstance(other, Tensor)
        assert torch.equal(one, other)
    elif isinstance(one, Mapping):
        assert isinstance(other, Mapping)
        assert one.keys() == other.keys()
        for name in one:
            assert_equal(one[name], other[name])
    elif isinstance(one, list):
        assert isinstance(other, list)
        for first, second in zip(one, other, strict=True):
            assert_equal(first, second)
    else:
        assert one == other


def test_scores_and_probes_are_in_the_log(looked_at: Loop) -> None:
    """The log has every score with its error, and every monitor."""
    lines = looked_at.folder.lines()
    scores = [line for line in lines if "score/fid" in line]
    assert [line["step"] for line in scores] == [0, 2, 4]
    assert all(line["error/fid"] > 0 and 0 <= line["score/recall"] <= 1 for line in scores)
    looks = [line for line in lines if "spread" in line]
    assert [line["step"] for line in looks] == [2, 4]
    assert all({"logit/train", "logit/held-out", "logit/fakes"} <= set(line) for line in looks)


def test_a_scorer_is_ganevals_evaluation_and_touches_nothing(run: Path) -> None:
    """A scorer gives the same as `evaluate` each time, and leaves modes and random states unchanged."""
    model = load_model(run / "checkpoints" / "last.pt").train()
    before = [tensor.clone() for tensor in model.state_dict().values()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    score = scorer("digits:test", metrics=("fid",), num_samples=60, seed=5, extractor="digits")
    first, second = score(model), score(model)
    assert all(part.training for part in model.modules())
    assert all(torch.equal(one, other) for one, other in zip(before, model.state_dict().values(), strict=True))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    spec = f"ckpt:{run}"
    wanted = ganeval.fid("digits:test", spec, num_samples=60, seed=5, extractor="digits")
    assert (first["fid"].value, second["fid"].value) == (wanted.value, wanted.value)


def test_spread_is_one_for_reals_and_none_for_copies(tmp_path: Path) -> None:
    """The spread of identical images is 0, and that of training images is the reals'."""
    training = begun(tmp_path / "run").training
    pixels = training.images.pixels.float() / 127.5 - 1
    training.average = None
    training.model.generate = lambda z, labels=None: pixels[:1].expand(len(z), -1, -1, -1)  # type: ignore[method-assign]
    assert SpreadMonitor()(training) == {"spread": 0.0, "error/spread": 0.0}
    training.model.generate = lambda z, labels=None: pixels[: len(z)]  # type: ignore[method-assign]
    found = SpreadMonitor()(training)
    assert found["spread"] == pytest.approx(1.0, rel=1e-5)
    assert 0.01 < found["error/spread"] < 0.1
    training.examples = replace(training.images, pixels=training.images.pixels[:1].expand(64, -1, -1, -1))
    assert SpreadMonitor()(training) == {}


def test_held_out_images_are_rated_by_the_discriminator(tmp_path: Path) -> None:
    """A discriminator that rates images by brightness rates black held-out images at -1."""
    training = begun(tmp_path / "run").training
    training.model.discriminator = _Ink()
    blank = replace(training.images, pixels=torch.zeros_like(training.images.pixels))
    found = HeldOut(blank)(training)
    assert found["logit/held-out"] == -1.0
    assert found["logit/train"] == pytest.approx(float(training.images.pixels.float().mean()) / 127.5 - 1, rel=1e-3)


class _Ink(torch.nn.Module):
    """Images => their mean, as a logit."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).mean(1, keepdim=True)
