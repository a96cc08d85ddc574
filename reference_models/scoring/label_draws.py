"""The error of a semi-supervised classifier over draws of labels, and that of rivals on the same draws."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from ganeval.devices import find_device
from ganeval.errors import SourceError, UsageError
from reference_models.blocks.labels import balanced
from reference_models.data.images import Images
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.reading import read_held_out, read_images
from reference_models.engine.training import Training
from reference_models.scoring.classification import error_rate, mistakes
from reference_models.scoring.scores import held_out_of

VARIANT = "ssgan"
# The names of methods: the GAN, its discriminator trained on the labels alone, and scikit-learn's label spreading.
GAN, TWIN, SPREADING = "ssgan", "labels alone", "label spreading"
LEVEL = 0.95

# (pixels of the training images [N, D], their labels, -1 for unknown, and pixels of the held-out ones) => their labels.
Rival = Callable[[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class OverDraws:
    """A number over draws of labels.

    Attributes:
        mean: Over the draws.
        deviation: The standard deviation from draw to draw.
        interval: 95% for the mean, by Student's t; all draws share the held-out images, whose choice is not in it.
    """

    mean: float
    deviation: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LabelDraws:
    """Errors of several methods on the same draws of labels.

    Attributes:
        labelled: Labels in each draw.
        held_out: Images that the errors were measured on.
        errors: By method, the share of held-out images put into a wrong class, draw by draw: "ssgan", its
            discriminator on the "labels alone", and "label spreading".
    """

    labelled: int
    held_out: int
    errors: Mapping[str, tuple[float, ...]]

    def over_draws(self, method: str, *, minus: str | None = None) -> OverDraws:
        """The error of a method, or by how much it exceeds that of another, paired by the draw.

        Args:
            method: A key of `errors`.
            minus: Another key.

        Returns:
            Mean, deviation and interval.
        """
        values = np.array(self.errors[method])
        return over_draws(values if minus is None else values - np.array(self.errors[minus]))


def over_draws(values: NDArray[np.float64]) -> OverDraws:
    """Numbers, one per draw => their mean, deviation and interval."""
    from scipy.stats import t

    mean, deviation, count = float(values.mean()), float(values.std(ddof=1)), len(values)
    reach = float(t.ppf((1 + LEVEL) / 2, count - 1)) * deviation / math.sqrt(count)
    return OverDraws(mean, deviation, (mean - reach, mean + reach))


def semi_supervised_error(
    labelled: int,
    *,
    draws: int = 10,
    preset: str = "quick",
    data: str | None = None,
    held_out: str | None = None,
    chosen: Mapping[str, object] | None = None,
    device: str = "auto",
    progress: Callable[[str], object] = lambda text: None,  # noqa: ARG005
) -> LabelDraws:
    """Train the semi-supervised GAN on several draws of labels, with its rivals on the same draws.

    The rivals are its discriminator, trained for as many steps on the labels alone, and scikit-learn's label spreading
    over the 7 nearest neighbours in pixels, which sees the unlabelled images too. Draw i has seed i, for the labels and
    for the training.

    Args:
        labelled: Labels in all, at least one per class.
        draws: Draws of labels, 2 or more.
        preset: Recipe of "ssgan".
        data: Source of labelled training images; None for those of the recipe.
        held_out: Source of labelled images for the errors; None for the data set's own test images.
        chosen: Settings that replace the preset's: {"steps": 500, "settings.width": 32}.
        device: "auto", "cpu", "cuda", ...
        progress: Called with a sentence after each training.

    Returns:
        The errors, by method and draw.

    Raises:
        UsageError: Too few draws, too few labels for the classes, or no held-out images.
        SourceError: The images cannot be read, or have no labels.

    >>> import reference_models
    >>> few = {"steps": 2, "batch": 8, "settings.width": 8}
    >>> found = reference_models.semi_supervised_error(10, draws=2, chosen=few, device="cpu")
    >>> list(found.errors), len(found.errors["ssgan"]), found.held_out
    (['ssgan', 'labels alone', 'label spreading'], 2, 450)
    """
    plan = make_plan(VARIANT, preset=preset, data=data, chosen=chosen, device=find_device(device))
    spec = held_out or held_out_of(plan.data)
    if spec is None:
        raise UsageError(
            f"There are no held-out images for {plan.data}; name labelled images that are not trained on as held_out."
        )
    images = read_images(plan)
    if images.labels is None:
        raise SourceError(f"The images of {plan.data} have no labels, of which some are needed to learn the classes.")
    unseen = read_held_out(spec, Training(plan.choose({"settings.labelled": labelled}), images))
    return errors_over_draws(plan, images, unseen, labelled, draws=draws, progress=progress)


def errors_over_draws(
    plan: TrainingPlan,
    images: Images,
    held_out: Images,
    labelled: int,
    *,
    draws: int,
    rivals: Mapping[str, Rival] | None = None,
    progress: Callable[[str], object],
) -> LabelDraws:
    """As `semi_supervised_error`, for images that were read. rivals: further methods, besides label spreading."""
    if draws < 2:
        raise UsageError(f"draws is {draws}; it must be 2 or more, so that the error's spread over draws is known.")
    assert images.labels is not None
    assert held_out.labels is not None
    seen, unseen = _rows(images), _rows(held_out)
    classes, truth = images.labels.cpu().numpy(), held_out.labels.cpu().numpy()
    errors: dict[str, list[float]] = {}
    for draw in range(draws):
        for name, source in ((GAN, "everything"), (TWIN, "labels")):
            settings = {"settings.labelled": labelled, "settings.draw": draw, "settings.learns_from": source}
            training = Training(replace(plan.choose(settings), seed=draw), images)
            for _ in range(plan.recipe.steps):
                training.advance()
            found, _ = error_rate(mistakes(training.best_model, held_out))
            errors.setdefault(name, []).append(found)
            progress(f"{labelled} labels, draw {draw}, {name}: {found:.1%} wrong")
        known = np.full(len(classes), -1, dtype=np.int64)
        rows = balanced(images.labels, labelled, seed=draw).numpy()
        known[rows] = classes[rows]
        for name, rival in {SPREADING: label_spreading, **(rivals or {})}.items():
            errors.setdefault(name, []).append(float((rival(seen, known, unseen) != truth).mean()))
    return LabelDraws(labelled, len(held_out), MappingProxyType({name: tuple(own) for name, own in errors.items()}))


def label_spreading(
    seen: NDArray[np.float64], labels: NDArray[np.int64], unseen: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Labels of unseen images by scikit-learn's label spreading over the 7 nearest neighbours of every image.

    An image whose neighbours are joined to no label counts as one of the first class.
    """
    from sklearn.semi_supervised import LabelSpreading

    with np.errstate(invalid="ignore"):
        fitted = LabelSpreading(kernel="knn", n_neighbors=7, max_iter=200).fit(seen, labels)
        return np.asarray(fitted.predict(unseen), dtype=np.int64)


def _rows(images: Images) -> NDArray[np.float64]:
    """Pixels as rows of numbers in [0, 1]."""
    scale = 255 if images.pixels.dtype == torch.uint8 else 1
    return images.pixels.cpu().flatten(1).double().numpy() / scale
