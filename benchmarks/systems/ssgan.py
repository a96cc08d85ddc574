"""The semi-supervised GAN on 20 and on 100 labels of the embedded digits, over draws of labels.

Its twin is its discriminator, trained for as many steps on the labels alone. Rivals on the same draws are label
spreading, which sees the unlabelled images too, logistic regression and the nearest labelled neighbour.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness import mean_text, save, say, table
from reference_models.data.images import Images, images_of, load_images
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.training import Training
from reference_models.models.ssgan import SSGAN
from reference_models.scoring.classification import classification_error, classified
from reference_models.scoring.label_draws import LabelDraws
from reference_models.scoring.rivals import SPREADING, TWIN, label_spreading, pixel_rows

# (pixels of the training images [N, D], their labels, -1 for unknown, and pixels of the held-out ones) => their labels.
Rival = Callable[[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]], NDArray[np.int64]]
GAN = "ssgan"
LABELS = (20, 100)
HELD_OUT = 500
STEPS = 1200
# As in the paper: the quick recipe has less, which draws better and classifies worse.
NOISE = {"settings.pixel_noise": 0.3, "settings.unit_noise": 0.5}


def main(*, runs: int) -> None:
    """Trains on each of `runs` draws of 20 and of 100 labels, about a minute of CPU time each."""
    torch.set_num_threads(1)
    plan = make_plan("ssgan", chosen={"steps": STEPS, **NOISE})
    seen, unseen = split()
    found: dict[int, LabelDraws] = {}
    for labelled in LABELS:
        found[labelled] = errors_over_draws(plan, seen, unseen, labelled, draws=runs)
        # Kept after each number of labels, so that an interrupted run is of use.
        _save(found)


def split() -> tuple[Images, Images]:
    """All 1,797 digits => 1,297 to learn from and 500 held out, equally many of each class, with seed 0."""
    from sklearn.model_selection import train_test_split

    parts = [load_images(f"digits:{part}", resolution=8, channels=1) for part in ("train", "test")]
    pixels, labels = (torch.cat([getattr(part, name) for part in parts]) for name in ("pixels", "labels"))
    rows = train_test_split(np.arange(len(pixels)), test_size=HELD_OUT, random_state=0, stratify=labels.numpy())
    seen, unseen = (images_of(pixels[one], labels[one], about={"name": "digits"}) for one in rows)
    return seen, unseen


def errors_over_draws(plan: TrainingPlan, images: Images, held_out: Images, labelled: int, *, draws: int) -> LabelDraws:
    """Train the GAN, its twin and the other rivals on draws of labels; draw i has seed i, for labels and training."""
    assert images.labels is not None
    assert held_out.labels is not None
    seen, unseen = pixel_rows(images), pixel_rows(held_out)
    classes = images.labels.numpy()
    errors: dict[str, list[float]] = {}

    def keep(name: str, draw: int, assigned: Tensor) -> None:
        assert held_out.labels is not None
        error = classification_error(assigned, held_out.labels).value
        errors.setdefault(name, []).append(error)
        say(f"  {labelled} labels, draw {draw}, {name}: {error:.1%} wrong")

    for draw in range(draws):
        for name, chosen in ((GAN, {}), (TWIN, SSGAN.labels_alone)):
            own = replace(plan.choose({"settings.labelled": labelled, **chosen}), seed=draw)
            training = Training(own, images)
            for _ in range(plan.recipe.steps):
                training.advance()
            keep(name, draw, classified(training.best_model, held_out))
        known = np.full(len(classes), -1, dtype=np.int64)
        rows = SSGAN.labelled(images.labels, own.recipe, draw).numpy()
        known[rows] = classes[rows]
        for name, rival in {SPREADING: label_spreading, **RIVALS}.items():
            keep(name, draw, torch.from_numpy(rival(seen, known, unseen)))
    return LabelDraws(labelled, len(held_out), {name: tuple(own) for name, own in errors.items()})


def logistic(seen: NDArray[np.float64], labels: NDArray[np.int64], unseen: NDArray[np.float64]) -> NDArray[np.int64]:
    """Logistic regression on the labelled images."""
    from sklearn.linear_model import LogisticRegression

    known = labels >= 0
    fitted = LogisticRegression(max_iter=2000).fit(seen[known], labels[known])
    return np.asarray(fitted.predict(unseen), dtype=np.int64)


def nearest(seen: NDArray[np.float64], labels: NDArray[np.int64], unseen: NDArray[np.float64]) -> NDArray[np.int64]:
    """The label of the nearest labelled image."""
    from sklearn.neighbors import KNeighborsClassifier

    known = labels >= 0
    return np.asarray(KNeighborsClassifier(1).fit(seen[known], labels[known]).predict(unseen), dtype=np.int64)


RIVALS: Mapping[str, Rival] = {"logistic regression": logistic, "nearest neighbour": nearest}


def _save(found: Mapping[int, LabelDraws]) -> None:
    labels = {
        str(labelled): {
            "errors": dict(one.errors),
            "over draws": {method: asdict(one.over_draws(method)) for method in one.errors},
            "ssgan minus": {
                method: asdict(one.over_draws(GAN, minus=method)) for method in one.errors if method != GAN
            },
        }
        for labelled, one in found.items()
    }
    figures = {"steps": STEPS, "noise": NOISE, "held_out": HELD_OUT, "labels": labels}
    save("ssgan", figures, tables(figures))


def tables(figures: Mapping[str, Any]) -> str:
    """For each number of labels, means over draws in percent, and differences from the GAN, by draw."""
    found = []
    for labelled, one in figures["labels"].items():
        errors = {method: 100 * np.array(one["errors"][method]) for method in (GAN, TWIN, SPREADING, *RIVALS)}
        rows = [
            [method, mean_text(list(own)), "" if method == GAN else mean_text(list(errors[GAN] - own))]
            for method, own in errors.items()
        ]
        title = f"{labelled} labels, {len(errors[GAN])} draws, {figures['steps']} steps, {figures['held_out']} held out"
        found.append(table([f"{title}, 95% intervals", "error, %", "ssgan minus this, paired"], rows))
    return "\n\n".join(found)
