"""Baselines for a semi-supervised model's classifier: its supervised twin, and label spreading.

Both learn from the same few labels. The twin shows what unlabelled images and fakes add; label spreading shows what
unlabelled images add without training.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.processes import processes
from ganeval.results import Evaluation
from reference_models.base import Model, SemiSupervised
from reference_models.data.images import Images
from reference_models.engine.folder import Folder
from reference_models.engine.loop import Callbacks, Intervals, Loop
from reference_models.engine.resume import place_of, resume
from reference_models.engine.run import start
from reference_models.engine.training import Training
from reference_models.scoring.classification import TEST_ERROR, classification_error, classified, error_result
from reference_models.scoring.job import ScoringOptions

# The names of the baselines, and the folder of the twin's run in the model's folder.
TWIN, SPREADING, TWIN_FOLDER = "labels alone", "label spreading", "labels-alone"
IN_WORDS: Mapping[str, str] = {
    TWIN: "its classifier, trained for the same number of steps on only these labels",
    SPREADING: "scikit-learn's label spreading over the 7 nearest neighbours in pixels, which also uses all images",
}
NEIGHBOURS = 7


def with_test_error(
    evaluation: Evaluation, loop: Loop, held_out: Images, options: ScoringOptions
) -> tuple[Evaluation, Mapping[str, Evaluation]]:
    """An evaluation with the row `test_error`, and the same row for every baseline, by name."""
    training = loop.training
    model, rows = training.best_model, labelled_rows(training)
    assert held_out.labels is not None
    results, labels = {}, held_out.labels
    own = classification_error(classified(model, held_out), labels)
    for name, assigned in _rivals(loop, held_out, rows, options):
        found = classification_error(assigned, labels)
        results[name] = Evaluation(
            metrics={TEST_ERROR: error_result(found, held_out, labelled=len(rows))},
            provenance={**evaluation.provenance, "fake": {"name": IN_WORDS[name], "kind": "classifier"}},
            comparable=evaluation.comparable,
            estimates={TEST_ERROR: found},
        )
    row = {TEST_ERROR: error_result(own, held_out, labelled=len(rows))}
    whole = replace(
        evaluation,
        metrics={**evaluation.metrics, **row},
        estimates={**evaluation.estimates, TEST_ERROR: own},
    )
    return whole, results


def labelled_rows(training: Training) -> Tensor:
    """The indices of the training images whose labels a semi-supervised model learns from, int64."""
    plan, labels, model = training.plan, training.images.labels, training.model
    assert isinstance(model, SemiSupervised)
    assert labels is not None
    return model.labelled(labels, plan.recipe, plan.seed)


def _rivals(loop: Loop, held_out: Images, rows: Tensor, options: ScoringOptions) -> Iterator[tuple[str, Tensor]]:
    """Every baseline by name, with the classes that it assigns to the held-out images."""
    training = loop.training
    twin = _twin(loop, options)
    if twin is not None:
        yield TWIN, classified(twin, held_out)
    images = training.images
    assert images.labels is not None
    yield SPREADING, torch.from_numpy(spread(images, images.labels, rows, held_out))


def _twin(loop: Loop, options: ScoringOptions) -> Model | None:
    """The twin, trained as a run in the model's folder and reused by later calls; None if the model is its own twin."""
    plan, model = loop.training.plan, loop.training.model
    assert isinstance(model, SemiSupervised)
    chosen = plan.choose(model.labels_alone)
    if chosen.recipe == plan.recipe:
        return None
    team, folder = processes(), Folder(loop.folder.root / TWIN_FOLDER)
    # The current location of the run's images, which may have changed.
    data = place_of(team.by_first(loop.folder.read_config), plan)
    callbacks, often = Callbacks(progress=options.training_progress), Intervals(sample_every=0)
    # A late process would find the run of the first.
    if team.by_first(folder.config.is_file):
        asked = {"data": data, "device": plan.device}
        run = resume(
            folder.root,
            steps=plan.recipe.steps,
            asked=asked,
            intervals=often,
            callbacks=callbacks,
            may_be_done=True,
        )
    else:
        run = start(replace(chosen, data=data), folder.root, intervals=often, callbacks=callbacks)
        options.notify(f"training its twin on only the labels into {folder.root}")
    run.run()
    return run.training.best_model


def spread(images: Images, labels: Tensor, rows: Tensor, unseen: Images) -> NDArray[np.int64]:
    """Classify unseen images by label spreading from some labelled training images."""
    known = np.full(len(images), -1, dtype=np.int64)
    known[rows.numpy()] = labels.cpu().numpy()[rows.numpy()]
    return label_spreading(pixel_rows(images), known, pixel_rows(unseen))


def label_spreading(
    seen: NDArray[np.float64], labels: NDArray[np.int64], unseen: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Classify unseen images by scikit-learn's label spreading over the 7 nearest neighbours of every image.

    labels: of the seen images, -1 for unknown. An image that is not connected to any label gets the first class.
    """
    from sklearn.semi_supervised import LabelSpreading

    with np.errstate(invalid="ignore"):
        fitted = LabelSpreading(kernel="knn", n_neighbors=min(NEIGHBOURS, len(seen)), max_iter=200).fit(seen, labels)
        return np.asarray(fitted.predict(unseen), dtype=np.int64)


def pixel_rows(images: Images) -> NDArray[np.float64]:
    """Pixels as rows of numbers in [0, 1]."""
    scale = 255 if images.pixels.dtype == torch.uint8 else 1
    return images.pixels.cpu().flatten(1).double().numpy() / scale
