"""The error of a semi-supervised classifier over draws of labels, next to that of baselines on the same draws."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ganeval.errors import UsageError
from reference_models.scoring.classification import TEST_ERROR
from reference_models.scoring.scores import Scores

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class OverDraws:
    """The mean of a number over draws of labels.

    Attributes:
        mean: Over the draws.
        deviation: The standard deviation from draw to draw.
        standard_error: Of the mean: the deviation over the root of the number of draws. All draws share the held-out
            images, whose choice is not in it.
        interval: 95% for the mean, by Student's t.
    """

    mean: float
    deviation: float
    standard_error: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LabelDraws:
    """Errors of a classifier and its rivals on the same draws of labels.

    Attributes:
        labelled: Labels in each draw.
        held_out: Images that the errors were measured on.
        errors: By method, the share of held-out images put into a wrong class, draw by draw. The model is the first;
            the others are its twin that learned from the "labels alone", and "label spreading".
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
            Mean, deviation, standard error and interval.
        """
        values = np.array(self.errors[method])
        return over_draws(values if minus is None else values - np.array(self.errors[minus]))

    def methods(self) -> Iterator[tuple[str, OverDraws, OverDraws | None]]:
        """Every method with its error over draws, and by how much the model's exceeds it; None for the model itself."""
        model, *_ = self.errors
        for method in self.errors:
            yield method, self.over_draws(method), None if method == model else self.over_draws(model, minus=method)

    def to_dict(self) -> dict[str, object]:
        """The JSON document as plain Python."""
        return {
            "labelled": self.labelled,
            "held_out": self.held_out,
            "methods": {
                method: {
                    "errors": list(self.errors[method]),
                    "over_draws": asdict(own),
                    "model_minus_it": None if gap is None else asdict(gap),
                }
                for method, own, gap in self.methods()
            },
        }


def label_draws(name: str, scores: Sequence[Scores]) -> LabelDraws:
    """The errors of a semi-supervised model and its rivals over the label draws of several runs.

    Args:
        name: What the model is called.
        scores: Of runs that differ in their seed, which draws the labels (`train_and_score_seeds`), 2 or more.

    Returns:
        The errors, by method and draw.

    Raises:
        UsageError: There are fewer than 2 runs, one has no `test_error`, or they have other numbers of labels or other
            held-out images.

    >>> import reference_models, tempfile
    >>> few = {"steps": 2, "batch": 8, "settings.width": 8, "settings.labelled": 10}
    >>> folder = tempfile.mkdtemp() + "/runs"
    >>> runs = reference_models.train_and_score_seeds("ssgan", folder, seeds=2, chosen=few, device="cpu")
    >>> found = reference_models.label_draws("ssgan", [run.scores for run in runs])
    >>> list(found.errors), len(found.errors["ssgan"]), found.labelled, found.held_out
    (['ssgan', 'labels alone', 'label spreading'], 2, 10, 450)
    """
    if len(scores) < 2:
        raise UsageError(f"The spread over draws of labels takes 2 runs or more (--seeds 2), found {len(scores)}.")
    if any(TEST_ERROR not in one.evaluation for one in scores):
        raise UsageError(
            f"A run has no {TEST_ERROR}; it is measured for a model that classifies, such as ssgan, where images are "
            "held out."
        )
    results = [one.evaluation[TEST_ERROR] for one in scores]
    kinds = {(one.details["labelled"], one.n_real, str(one.options["held_out"])) for one in results}
    if len(kinds) > 1:
        told = "; ".join(f"{labelled:g} labels, {count} images of {of}" for labelled, count, of in sorted(kinds))
        raise UsageError(
            f"Draws must have the same number of labels and the same held-out images, but these have {told}."
        )
    errors = {name: tuple(one.value for one in results)}
    for rival in scores[0].rivals:
        errors[rival] = tuple(one.rivals[rival][TEST_ERROR].value for one in scores)
    return LabelDraws(int(results[0].details["labelled"]), results[0].n_real or 0, MappingProxyType(errors))


def over_draws(values: NDArray[np.float64]) -> OverDraws:
    """Numbers, one per draw => their mean, deviation, standard error and interval; UsageError for fewer than two."""
    from scipy.stats import t

    count = len(values)
    if count < 2:
        raise UsageError(f"The spread over draws takes 2 draws or more, found {count}.")
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    error = deviation / math.sqrt(count)
    reach = float(t.ppf((1 + LEVEL) / 2, count - 1)) * error
    return OverDraws(mean, deviation, error, (mean - reach, mean + reach))
