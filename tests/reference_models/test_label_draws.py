"""Errors of classifiers, on held-out images and over draws of labels."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import zero_one_loss
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor

from ganeval.errors import MetricError, UsageError
from ganeval.gate import mismatches, read_result
from reference_models import (
    VARIANTS,
    LabelDraws,
    ScoredRun,
    build_model,
    classification_error,
    label_draws,
    make_plan,
    score_run,
    summarize_seeds,
    train_and_score,
    train_and_score_seeds,
)
from reference_models.batches import Data
from reference_models.blocks.labels import balanced
from reference_models.data.images import Images, images_of, load_images
from reference_models.engine.training import Training
from reference_models.models.ssgan import SSGAN, PartlyLabelled
from reference_models.scoring.classification import classified
from reference_models.scoring.label_draws import over_draws
from reference_models.scoring.rivals import label_spreading

FEW = {"steps": 3, "batch": 8, "settings.width": 8, "settings.labelled": 20}
QUICKLY = {"device": "cpu", "metrics": ["fid", "test_error"], "num_samples": 40}
METHODS = ["ssgan", "labels alone", "label spreading"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Sequence[ScoredRun]:
    """Two runs of a few steps, from the seeds 0 and 1."""
    root = tmp_path_factory.mktemp("label_draws") / "runs"
    return list(train_and_score_seeds("ssgan", root, seeds=2, chosen=FEW, **QUICKLY))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def digits() -> tuple[Images, Images]:
    """The digits that are learned from, and those that are held out."""
    seen, unseen = (load_images(f"digits:{part}", resolution=8, channels=1) for part in ("train", "test"))
    return seen, unseen


def test_mean_deviation_and_interval_are_students() -> None:
    """For 0.1, 0.2 and 0.3: mean 0.2, deviation 0.1, and 4.303 standard errors of the mean on each side."""
    found = over_draws(np.array([0.1, 0.2, 0.3]))
    assert found.mean == pytest.approx(0.2)
    assert found.deviation == pytest.approx(0.1)
    assert found.standard_error == pytest.approx(0.1 / math.sqrt(3))
    reach = 4.302653 * 0.1 / math.sqrt(3)
    assert found.interval == pytest.approx((0.2 - reach, 0.2 + reach), rel=1e-6)
    with pytest.raises(UsageError, match="takes 2 draws or more, found 1"):
        over_draws(np.array([0.1]))


def test_differences_are_paired_by_the_draw() -> None:
    """Errors that vary from draw to draw, and differ by a constant, differ by it exactly."""
    draws = LabelDraws(20, 500, {"ssgan": (0.1, 0.3, 0.2), "labels alone": (0.2, 0.4, 0.3)})
    found = draws.over_draws("ssgan", minus="labels alone")
    assert (found.mean, found.deviation) == pytest.approx((-0.1, 0.0), abs=1e-12)
    assert draws.over_draws("ssgan").deviation == pytest.approx(0.1)


def test_the_seed_draws_the_labels(digits: tuple[Images, Images]) -> None:
    """The labelled images of a training are those of its seed, with their labels."""
    seen, _ = digits
    assert seen.labels is not None
    for seed in (0, 5):
        rows = balanced(seen.labels, 20, seed=seed)
        known = {(seen.pixels[row].numpy().tobytes(), int(seen.labels[row])) for row in rows.tolist()}
        batch = Training(make_plan("ssgan", chosen={**FEW, "batch": 40}, seed=seed), seen).tools.draw()
        assert isinstance(batch, PartlyLabelled)
        pixels = (batch.labelled * 255).round().to(torch.uint8)
        drawn = {(one.numpy().tobytes(), int(label)) for one, label in zip(pixels, batch.labels, strict=True)}
        assert drawn == known


def test_errors_over_draws_are_those_of_separate_trainings(
    runs: Sequence[ScoredRun], digits: tuple[Images, Images]
) -> None:
    """Each draw's errors are counted anew: of a training, of one on the labels alone, and of scikit-learn's method."""
    seen, unseen = digits
    assert seen.labels is not None
    assert unseen.labels is not None
    found = label_draws("ssgan", [one.scores for one in runs])
    assert (list(found.errors), found.labelled, found.held_out) == (METHODS, 20, 450)
    for draw in range(2):
        for name, source in (("ssgan", "everything"), ("labels alone", "labels")):
            training = Training(make_plan("ssgan", chosen={**FEW, "settings.learns_from": source}, seed=draw), seen)
            while training.step < 3:
                training.advance()
            model = training.best_model.eval()
            assert isinstance(model, SSGAN)
            with torch.no_grad():
                right = model.classify(unseen.pixels.float() / 255).argmax(1) == unseen.labels
            assert found.errors[name][draw] == pytest.approx(1 - float(right.double().mean()))
        known = np.full(len(seen), -1)
        rows = balanced(seen.labels, 20, seed=draw).numpy()
        known[rows] = seen.labels.numpy()[rows]
        # Images whose neighbours are joined to no label divide 0 by 0.
        with np.errstate(invalid="ignore"):
            spread = LabelSpreading(kernel="knn", n_neighbors=7, max_iter=200)
            spread.fit(seen.pixels.flatten(1).double().numpy() / 255, known)
            wrong = spread.predict(unseen.pixels.flatten(1).double().numpy() / 255) != unseen.labels.numpy()
        assert found.errors["label spreading"][draw] == pytest.approx(wrong.mean())
    assert found.errors["label spreading"][0] != found.errors["label spreading"][1]
    assert max(found.errors["label spreading"]) < 0.4


def test_draws_that_cannot_be_put_together_are_refused(runs: Sequence[ScoredRun]) -> None:
    """One run, a run without the metric, other numbers of labels and other held-out images are errors."""
    first, second = (one.scores for one in runs)
    with pytest.raises(UsageError, match=r"takes 2 runs or more \(--seeds 2\), found 1"):
        label_draws("ssgan", [first])
    metrics = dict(second.evaluation.metrics)
    error = metrics.pop("test_error")
    with pytest.raises(UsageError, match="A run has no test_error"):
        label_draws("ssgan", [first, replace(second, evaluation=replace(second.evaluation, metrics=metrics))])
    for changed, told in (
        (replace(error, details={"labelled": 30.0}), "20 labels, .*; 30 labels"),
        (replace(error, options={"held_out": "others"}), "450 images of digits:test; .* of others"),
    ):
        other = replace(second.evaluation, metrics={**metrics, "test_error": changed})
        with pytest.raises(UsageError, match=told):
            label_draws("ssgan", [first, replace(second, evaluation=other)])


def test_a_summary_of_seeds_has_their_draws(runs: Sequence[ScoredRun]) -> None:
    """A page of all runs shows no rival, as each run has its own; a single run is one draw, and has no spread."""
    found = summarize_seeds(runs, report=True)
    assert found.label_draws == label_draws("ssgan", [one.scores for one in runs])
    assert found.report is not None
    assert found.report.references == {}
    assert list(runs[0].report_inputs().references) == METHODS[1:]
    alone = summarize_seeds(runs[:1])
    assert alone.label_draws is None
    assert "label_draws" not in alone.to_dict()


def test_the_twin_is_a_run_that_is_found_again(
    runs: Sequence[ScoredRun], tmp_path: Path, digits: tuple[Images, Images]
) -> None:
    """It lies in the run's folder; scoring again trains it no further, and a longer run trains it as long."""
    root = tmp_path / "run"
    first = train_and_score("ssgan", root, chosen=FEW, **QUICKLY)  # type: ignore[arg-type]
    last = root / "labels-alone/checkpoints/last.pt"
    written = last.stat().st_mtime_ns
    again = score_run(root, **{name: one for name, one in QUICKLY.items() if name != "device"})  # type: ignore[arg-type]
    assert last.stat().st_mtime_ns == written
    errors = [one.scores.references["labels alone"]["test_error"].value for one in (first, again, runs[0])]
    assert errors[0] == errors[1] == errors[2]
    longer = score_run(root, steps=5, metrics=["fid", "test_error"], num_samples=40)
    seen, unseen = digits
    training = Training(make_plan("ssgan", chosen={**FEW, "steps": 5, "settings.learns_from": "labels"}), seen)
    while training.step < 5:
        training.advance()
    assert unseen.labels is not None
    wanted = classification_error(classified(training.best_model, unseen), unseen.labels).value
    assert longer.scores.references["labels alone"]["test_error"].value == wanted


def test_the_twin_learns_from_images_that_were_moved(tmp_path: Path) -> None:
    """Where the run finds its images in another place, its twin does, too, whether it has begun or not."""
    rng = np.random.default_rng(0)
    for place in ("seen", "unseen"):
        for number in range(24):
            path = tmp_path / place / "abc"[number % 3] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(256, size=(8, 8), dtype=np.uint8)).save(path)
    scoring: Any = {"metrics": ["fid", "test_error"], "extractor": "pixels:4", "held_out": str(tmp_path / "unseen")}
    small = {"steps": 2, "batch": 8, "settings.width": 8, "settings.labelled": 3}
    run = tmp_path / "run"
    first = train_and_score("ssgan", run, data=tmp_path / "seen", chosen=small, device="cpu", **scoring)
    (tmp_path / "seen").rename(tmp_path / "moved")
    for begun in (True, False):
        if not begun:
            shutil.rmtree(run / "labels-alone")
        found = score_run(run, asked={"data": str(tmp_path / "moved")}, **scoring)
        for name in METHODS[1:]:
            errors = [one.scores.rivals[name]["test_error"].value for one in (first, found)]
            assert errors[0] == errors[1]


def test_a_twin_has_label_spreading_alone_beside_it(tmp_path: Path) -> None:
    """A model that learns from labels alone is its own twin, and is trained once."""
    alone = {**FEW, "settings.learns_from": "labels"}
    found = train_and_score("ssgan", tmp_path / "run", chosen=alone, **QUICKLY)  # type: ignore[arg-type]
    assert list(found.scores.rivals) == ["label spreading"]
    assert not (tmp_path / "run/labels-alone").exists()


def test_saved_errors_are_read_and_are_of_the_same_images_only(runs: Sequence[ScoredRun]) -> None:
    """A saved result has the error with its part of the reals; errors on other held-out images are not compared."""
    saved = read_result(runs[0].run / "result.json").evaluation
    own = runs[0].scores.evaluation["test_error"]
    read = saved["test_error"]
    assert (read.value, read.standard_error, read.n_real, read.n_fake) == (own.value, own.standard_error, 450, 450)
    assert read.reals == own.reals
    assert read.reals is not None
    assert read.reals.error == pytest.approx(own.standard_error)
    assert not mismatches("test_error", saved, runs[1].scores.evaluation)
    moved = replace(saved, metrics={**saved.metrics, "test_error": replace(read, options={"held_out": "others"})})
    assert [one.field for one in mismatches("test_error", moved, saved)] == ["options.held_out"]


def test_metrics_that_cannot_be_measured_are_refused(tmp_path: Path) -> None:
    """It takes a model that classifies, held-out images, and a metric of images beside it; unasked it is left out."""
    train = partial(train_and_score, output=tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match="'test_error' needs a model that classifies images, and gan does not"):
        train("gan", metrics=["fid", "test_error"])
    with pytest.raises(UsageError, match=r"together with metrics of the images .* as in fid,test_error"):
        train("ssgan", metrics=["test_error"])
    for wrong in ("fid", 5):
        with pytest.raises(UsageError, match="metrics is a list of names"):
            train("ssgan", metrics=wrong)
    with pytest.raises(UsageError, match="no images with classes are held out from digits:test; name some"):
        train("ssgan", data="digits:test", chosen=FEW, metrics=["fid", "test_error"])
    with pytest.raises(UsageError, match="labelled is 5, and there are 10 classes"):
        train("ssgan", chosen={**FEW, "settings.labelled": 5})
    assert not (tmp_path / "run").exists()
    for name, given in {"a": {"data": "digits:test", "num_samples": 40}, "b": {**QUICKLY, "metrics": ["fid"]}}.items():
        found = train("ssgan", output=tmp_path / name, chosen=FEW, **given)  # type: ignore[arg-type]
        assert "test_error" not in found.scores.evaluation
        assert list(found.scores.references) == ["floor"]


def test_label_spreading_follows_the_clusters() -> None:
    """Two clusters with one label each are told apart, and so are two images, which have fewer neighbours than 7."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 0.1, (30, 2)), rng.normal(3, 0.1, (30, 2))])
    labels = np.full(60, -1)
    labels[[0, 30]] = 0, 1
    unseen = np.array([[0.0, 0.0], [3.0, 3.0]])
    assert label_spreading(points, labels, unseen).tolist() == [0, 1]
    assert len(label_spreading(points[[0, 30]], np.array([0, 1]), unseen)) == 2


def test_an_error_is_a_binomial_share() -> None:
    """It is scikit-learn's, with the standard error sqrt(p (1 - p) / n); without mistakes, that of a single one."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=200)
    assigned = np.where(rng.random(200) < 0.3, rng.integers(4, size=200), labels)
    found = classification_error(torch.from_numpy(assigned), torch.from_numpy(labels))
    assert found.value == pytest.approx(zero_one_loss(labels, assigned))
    assert found.standard_error == pytest.approx(math.sqrt(found.value * (1 - found.value) / 200))
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]
    right = classification_error(torch.arange(20), torch.arange(20))
    assert (right.value, right.standard_error) == (0, 1 / 20)
    with pytest.raises(MetricError, match=r"shape \[3\] and true ones of shape \[2\]"):
        classification_error(torch.arange(3), torch.arange(2))
    with pytest.raises(MetricError, match="2 images or more"):
        classification_error(torch.arange(1), torch.arange(1))


def test_the_error_bar_is_the_spread_over_held_out_sets() -> None:
    """Over 2,000 sets of 100 images, of which each is wrong with probability 0.2, errors vary as their bars say."""
    rng = torch.Generator().manual_seed(0)
    sets = (torch.rand(2000, 100, generator=rng) < 0.2).long()
    found = [classification_error(one, torch.zeros(100, dtype=torch.int64)) for one in sets]
    spread = float(np.std([one.value for one in found]))
    assert spread == pytest.approx(float(np.mean([one.standard_error or 0 for one in found])), rel=0.05)


def test_errors_on_the_same_images_have_their_covariance() -> None:
    """The variance of the difference of two classifiers' errors is that of the paired mistakes, over their number."""
    rng = torch.Generator().manual_seed(0)
    hard = torch.rand(300, generator=rng)
    wrong = [(hard + 0.3 * torch.rand(300, generator=rng) < level).long() for level in (0.3, 0.5)]
    first, second = (classification_error(one, torch.zeros(300, dtype=torch.int64)) for one in wrong)
    assert first.shared is not None
    assert second.shared is not None
    apart = (first.standard_error or 0) ** 2 + (second.standard_error or 0) ** 2 - 2 * first.shared @ second.shared
    assert apart == pytest.approx(float((wrong[0] - wrong[1]).double().var(correction=0)) / 300)


def test_images_are_classified_outside_training_in_the_models_range() -> None:
    """Images arrive in [0, 1] in evaluation mode, and the model is left in training mode."""
    recipe = replace(VARIANTS["ssgan"].recipe("quick"), batch=4)
    model = build_model(recipe, Data(1, 8, 3))
    assert isinstance(model, SSGAN)
    seen: list[tuple[float, bool]] = []

    def classify(images: Tensor) -> Tensor:
        seen.append((float(images.max()), model.training))
        return torch.eye(3)[torch.arange(len(images)) % 3]

    model.classify = classify  # type: ignore[method-assign]
    images = images_of(torch.full((6, 1, 8, 8), 255, dtype=torch.uint8), torch.arange(6) % 3)
    assert classified(model, images).tolist() == [0, 1, 2] * 2
    assert seen == [(1.0, False)]
    assert model.training
