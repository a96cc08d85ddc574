"""Whether a classifier of real data improves if a GAN's fakes are added to its training set.

Every split has its own training rows, its own generator, trained only on these rows, and a classifier for each training
set; all are tested on the same held-out rows, so that differences are paired.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ganeval.comparison import Difference, Verdict, holm
from ganeval.devices import find_device
from ganeval.errors import SourceError, TrainingError, UsageError, did_you_mean
from ganeval.processes import processes, working_apart
from reference_models.base import GAN
from reference_models.batches import Data
from reference_models.data.classes import listed
from reference_models.data.images import Images, images_of, load_images
from reference_models.data.specs import check_data
from reference_models.data.tables import is_table, load_table
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.reading import read_images, resizes, with_classes
from reference_models.engine.training import Training
from reference_models.models import build_model, model_class
from reference_models.recipes import plain
from reference_models.sampling.sampler import Sampler
from reference_models.scoring.scores import held_out_of
from reference_models.scoring.seen import repeated

# Training sets.
REALS, BOTH, FAKES = "reals", "reals + fakes", "fakes"
BALANCED, COPIED, SMOTE = "balanced by fakes", "balanced by copies", "balanced by SMOTE"
# Scores; verdicts use the first.
BALANCED_ACCURACY, ACCURACY = "balanced accuracy", "accuracy"
CLASSIFIERS = ("tree", "logistic", "mlp")
# The share of rows that a split holds out.
HELD_OUT_SHARE = 0.25
SIGNIFICANCE = 0.05
# Minimum number of training rows per class: SMOTE and batch normalisation need two.
LEAST = 2
# The default variant for a table, and its settings: a perceptron per class.
TABLE_VARIANT, TABLE_SETTINGS = "r3gan", {"network": "perceptron", "settings.width": 64, "batch": 64, "steps": 300}
IMAGE_VARIANT = "acgan"
NO_SMOTE = "SMOTE is left out: imbalanced-learn is not installed (pip install 'ganeval[smote]')."

RowArray = NDArray[np.float64]
LabelArray = NDArray[np.int64]
# (class, number of fakes) => fakes, float64 [n, D]
Draw = Callable[[int, int], RowArray]
# (training rows [N, D], their labels, seed) => a trained generator
Fit = Callable[[RowArray, LabelArray, int], Draw]


class SklearnClassifier(Protocol):
    """The interface of scikit-learn's classifiers."""

    def fit(self, rows: RowArray, labels: LabelArray, /) -> object: ...

    def predict(self, rows: RowArray, /) -> LabelArray: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Scores of a classifier that learned from different training sets, and their differences.

    Attributes:
        data: The labelled data.
        variant: The generator.
        classifier: "tree", "logistic" or "mlp".
        classes: Names of the classes.
        splits: How many times training rows were drawn.
        train: Real rows that were trained on in each split.
        held_out: Real rows that were held out in each split.
        design: "splits": each split divides all rows into training rows and held-out ones. "draws": disjoint draws of
            training rows, and the same held-out rows for all.
        rows: Rows of each training set, "reals" the first.
        scores: By training set and score, the score of each split: "balanced accuracy", the mean over classes of the
            share of their held-out rows that are put into the right class, and "accuracy", the share of all rows.
        differences: Of each training set from "reals", and of "balanced by fakes" from other ways to balance, by both
            scores. Each has a 95% interval; p-values are corrected over the differences of a score (Holm 1979), and a
            verdict says what remains significant at 5%.
        notes: What to know before using the numbers.
    """

    data: str
    variant: str
    classifier: str
    classes: tuple[str, ...]
    splits: int
    train: int
    held_out: int
    design: Literal["splits", "draws"]
    rows: Mapping[str, int]
    scores: Mapping[str, Mapping[str, tuple[float, ...]]]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """A sentence on adding fakes to the reals."""
        one = next(one for one in self.differences if one.metric == BALANCED_ACCURACY and one.second == BOTH)
        said = "no difference shown" if one.verdict == "unclear" else one.verdict
        assert one.interval is not None
        low, high = one.interval
        return (
            f"{said}: with fakes added to the reals, the classifier's balanced accuracy changed by {one.value:+.4f} "
            f"(95% interval {low:+.4f} to {high:+.4f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as plain Python."""
        return {**cast("dict[str, Any]", plain(self)), "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled rows. standardise: whether columns have different units, as in a table.

    features: float64 [N, D]. labels: int64 [N], from 0 to K - 1.
    """

    features: RowArray
    labels: LabelArray
    class_names: tuple[str, ...]
    standardise: bool

    def counts(self) -> list[int]:
        """Rows of each class."""
        return [int(count) for count in np.bincount(self.labels, minlength=len(self.class_names))]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on and rows to test with, [N, D] each, with their labels."""

    train: RowArray
    train_labels: LabelArray
    test: RowArray
    test_labels: LabelArray


@dataclass(frozen=True, slots=True)
class _Tested:
    """Which held-out rows the classifiers of a split classified correctly.

    right: by training set, one bool per held-out row. rows: by training set, its number of rows.
    """

    truth: LabelArray
    right: Mapping[str, NDArray[np.bool_]]
    rows: Mapping[str, int]
    notes: Sequence[str]


def augment(
    data: str,
    *,
    variant: str | None = None,
    preset: str = "quick",
    chosen: Mapping[str, object] | None = None,
    splits: int = 10,
    labels_per_class: int | None = None,
    held_out: str | None = None,
    fakes_per_real: float = 1.0,
    classifier: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[str], object] = lambda text: None,  # noqa: ARG005
) -> Augmentation:
    """Train a generator on labelled data, add its fakes, and compare classifiers on real held-out data.

    In each split a classifier learns from the reals, from reals and fakes, and from the fakes alone (the classification
    accuracy score of Ravuri and Vinyals 2019). For a table whose classes differ in size, it also learns from reals in
    which every class is filled up to the size of the largest: by fakes (Tanaka and Aranha 2019), by copies of its rows,
    and by SMOTE (Chawla et al. 2002, as in imbalanced-learn, where that is installed).

    Without `labels_per_class` each split holds out a quarter of all rows, drawn by class. The training rows of splits
    overlap, so standard errors are those of Nadeau and Bengio 2003 for J splits of n1 training and n2 held-out rows::

        standard error = sqrt((1/J + n2/n1) s^2),    s^2 = variance of the differences of the J splits

    with intervals of Student's t with J - 1 degrees of freedom. With `labels_per_class` the splits are disjoint draws,
    and all are tested on the same held-out rows. The variance is then the sum of the draws' part, s^2 / J, and the
    held-out rows' part, estimated from each row's mean difference over the draws.

    Processes that share their work take turns with the splits; the result is that of one process, bit for bit.

    Args:
        data: A source of labelled images, "table:FILE.csv,LABEL_COLUMN", or "table:breast_cancer".
        variant: A model that makes images from latents. A conditional one learns all classes at once, any other is
            trained once per class. None for "acgan" of images, and the perceptron of "r3gan" for tables, whose rows are
            images of one pixel with a channel per column.
        preset: Recipe of the variant.
        chosen: Settings that replace the preset's: {"steps": 500}.
        splits: How many, 2 or more.
        labels_per_class: Training rows of each class; None for all that are not held out.
        held_out: With `labels_per_class`, a source of held-out images; None for the data set's own test images, or else
            a quarter of the rows.
        fakes_per_real: Fakes of each class for each real of it.
        classifier: "tree" (a decision tree), "logistic" (logistic regression) or "mlp" (a hidden layer of 100 units),
            of scikit-learn; None for "tree" for tables, "logistic" for images.
        seed: Seed of splits, generators and classifiers.
        device: "auto", "cpu", "cuda", ...
        progress: Called with a sentence after each split.

    Returns:
        Scores, differences and verdicts.

    Raises:
        UsageError: A value is impossible, or the variant makes no images from latents.
        SourceError: The data cannot be read, have no labels, or too few rows of a class.
        TrainingError: A generator's fakes are not finite.

    >>> import reference_models
    >>> few = {"steps": 2, "batch": 8}
    >>> found = reference_models.augment("digits:train", labels_per_class=5, splits=2, chosen=few, device="cpu")
    >>> dict(found.rows), found.held_out
    ({'reals': 50, 'reals + fakes': 100, 'fakes': 50}, 450)
    """
    table = is_table(data)
    chosen_classifier = classifier or ("tree" if table else "logistic")
    _check(splits, labels_per_class, held_out, fakes_per_real, chosen_classifier, table=table)
    own_settings = TABLE_SETTINGS if table and variant in (None, TABLE_VARIANT) else {}
    plan = make_plan(
        variant or (TABLE_VARIANT if table else IMAGE_VARIANT),
        preset=preset,
        data=None if table else data,
        chosen={**own_settings, **(chosen or {})},
        seed=seed,
        device=find_device(device),
    )
    if not issubclass(model_class(plan.recipe), GAN):
        raise UsageError(
            f"{plan.recipe.variant} makes no images from latents; choose a variant that does, such as cgan."
        )
    if table:
        read = load_table(data)
        known, tests = Labelled(read.features, read.labels, read.class_names, standardise=True), None
        shape, caveats = (read.features.shape[1], 1, 1), tuple[str, ...]()
    else:
        known, tests, shape, caveats = _images(plan, data, held_out, apart=labels_per_class is not None)
    fit = _fitting(plan, shape, known.class_names, quantised=not table)
    design: Literal["splits", "draws"] = "splits" if labels_per_class is None else "draws"
    drawn = (
        random_splits(known, splits, seed=seed)
        if labels_per_class is None
        else disjoint_draws(known, tests, splits, labels_per_class, seed=seed)
    )
    found = over_splits(
        drawn,
        fit,
        design=design,
        standardise=known.standardise,
        fakes_per_real=fakes_per_real,
        classifier=chosen_classifier,
        seed=seed,
        data=data,
        variant=plan.recipe.variant,
        classes=known.class_names,
        progress=progress,
    )
    return replace(found, notes=(*caveats, *found.notes))


def _check(
    splits: int,
    labels_per_class: int | None,
    held_out: str | None,
    fakes_per_real: float,
    classifier: str,
    *,
    table: bool,
) -> None:
    """UsageError for impossible values."""
    if splits < 2:
        raise UsageError(f"splits is {splits}; it must be 2 or more, so that the spread over splits is known.")
    if labels_per_class is not None and labels_per_class < LEAST:
        raise UsageError(f"labels_per_class is {labels_per_class}; it must be {LEAST} or more.")
    if held_out is not None and table:
        raise UsageError("A table is split into training and held-out rows; leave held_out (--held-out) out.")
    if held_out is not None and labels_per_class is None:
        raise UsageError(
            "Without labels_per_class (--labels-per-class) every split holds out a quarter of the images itself; give "
            "labels_per_class, or leave held_out (--held-out) out."
        )
    if not 0 < fakes_per_real < math.inf:
        raise UsageError(f"fakes_per_real is {fakes_per_real}; it must be a finite number above 0.")
    if classifier not in CLASSIFIERS:
        raise UsageError(f"'{classifier}' is not a classifier; {did_you_mean(classifier, CLASSIFIERS)}")


def _images(
    plan: TrainingPlan, data: str, held_out: str | None, *, apart: bool
) -> tuple[Labelled, Labelled | None, tuple[int, int, int], tuple[str, ...]]:
    """Labelled images, separate held-out images if there are any, the shape of an image, and caveats."""
    check_data(data)
    images = read_images(plan)
    if images.labels is None or images.class_names is None:
        why = "" if images.unlabelled is None else f" ({images.unlabelled})"
        raise SourceError(f"The images of {data} have no labels{why}; a classifier needs the class of every image.")
    if len(images.class_names) == 1:
        raise SourceError(f"All images of {data} are of one class; a classifier needs at least two classes.")
    size, channels = images.data.resolution, images.data.channels
    shape = (channels, size, size)
    spec = (held_out or held_out_of(data)) if apart else None
    if spec is None:
        return _labelled(images), None, shape, ()
    check_data(spec)
    others = load_images(spec, resolution=size, channels=channels, resize=resizes(plan))
    others = with_classes(others, images.class_names, learner="The classifier")
    same = repeated(others.pixels, images.pixels)
    caveat = (
        f"{same} of the {len(others)} held-out images are also images of {data}, from which training rows are drawn, "
        "so classifiers may be tested on known rows; hold out others (--held-out)."
    )
    return _labelled(images), _labelled(others), shape, tuple(filter(None, [caveat if same else None, others.caveat]))


def _labelled(images: Images) -> Labelled:
    """Images as rows of pixels in [0, 1]."""
    assert images.labels is not None
    assert images.class_names is not None
    pixels = images.pixels.flatten(1).numpy().astype(np.float64) / 255
    return Labelled(pixels, images.labels.numpy().astype(np.int64), images.class_names, standardise=False)


def random_splits(known: Labelled, splits: int, *, seed: int) -> Iterator[Split]:
    """Independent splits of all rows: a quarter of each class, at least one row, is held out.

    Raises SourceError for a class with too few rows.
    """
    few = next((place for place, count in enumerate(known.counts()) if count < LEAST + 1), None)
    if few is not None:
        raise SourceError(
            f"The class '{known.class_names[few]}' has {known.counts()[few]} rows; every class needs {LEAST + 1} or "
            f"more: {LEAST} to train on and one to hold out. Give more rows, or leave the class out."
        )
    for number in range(splits):
        held, kept = _apart(known.labels, np.random.default_rng((seed, number)))
        yield Split(known.features[kept], known.labels[kept], known.features[held], known.labels[held])


def _apart(labels: LabelArray, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of held-out rows, a quarter of each class, and of the other rows."""
    held = []
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        held.append(own[: max(1, round(HELD_OUT_SHARE * len(own)))])
    places = np.sort(np.concatenate(held))
    return places, np.setdiff1d(np.arange(len(labels)), places)


def disjoint_draws(
    known: Labelled, tests: Labelled | None, splits: int, labels_per_class: int, *, seed: int
) -> Iterator[Split]:
    """Disjoint draws of training rows, with the same held-out rows; None holds out a quarter of the known rows.

    Raises SourceError for held-out rows that lack a class, UsageError for more draws than there are rows.
    """
    rng = np.random.default_rng(seed)
    if tests is None:
        held, kept = _apart(known.labels, rng)
        rows, labels = known.features, known.labels
        tests = Labelled(rows[held], labels[held], known.class_names, known.standardise)
        known = Labelled(rows[kept], labels[kept], known.class_names, known.standardise)
    poor = [name for name, count in zip(known.class_names, tests.counts(), strict=True) if count < LEAST]
    if poor:
        raise SourceError(
            f"Fewer than {LEAST} rows are held out of the classes {listed(poor)}; give more rows of them, or other "
            "held-out images."
        )
    places = [rng.permutation(np.flatnonzero(known.labels == label)) for label in range(len(known.class_names))]
    small = min(range(len(places)), key=lambda label: len(places[label]))
    if len(places[small]) < splits * labels_per_class:
        raise UsageError(
            f"{splits} disjoint draws of {labels_per_class} rows of each class need {splits * labels_per_class}; the "
            f"class '{known.class_names[small]}' has {len(places[small])} to train on. Choose fewer splits or fewer "
            "labels per class."
        )
    for number in range(splits):
        span = slice(number * labels_per_class, (number + 1) * labels_per_class)
        drawn = np.concatenate([own[span] for own in places])
        yield Split(known.features[drawn], known.labels[drawn], tests.features, tests.labels)


def over_splits(
    drawn: Iterator[Split],
    fit: Fit,
    *,
    design: Literal["splits", "draws"],
    standardise: bool,
    fakes_per_real: float,
    classifier: str,
    seed: int,
    data: str,
    variant: str,
    classes: tuple[str, ...],
    progress: Callable[[str], object],
) -> Augmentation:
    """Train and test on every split, and compare. fit: trains a generator; the other arguments as in `augment`."""

    def tested(number: int, split: Split) -> _Tested:
        own_seed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
        split = _standardised(split) if standardise else split
        sets, left_out = training_sets(
            split, fit, fakes_per_real=fakes_per_real, balance=standardise, classes=len(classes), seed=own_seed
        )
        right = {
            name: _fitted(classifier, rows, labels, own_seed).predict(split.test) == split.test_labels
            for name, (rows, labels) in sets.items()
        }
        return _Tested(split.test_labels, right, {name: len(rows) for name, (rows, _) in sets.items()}, left_out)

    splits: list[_Tested] = []
    for found in _shared(drawn, tested):
        splits.append(found)
        told = ", ".join(f"{name} {balanced_accuracy(own, found.truth):.3f}" for name, own in found.right.items())
        progress(f"split {len(splits)}: balanced accuracy {told}")
    truths, rows = [one.truth for one in splits], splits[-1].rows
    right = {name: [one.right[name] for one in splits] for name in rows}
    train = rows[REALS]
    held_out = len(truths[-1])
    scores = {
        name: MappingProxyType(
            {
                BALANCED_ACCURACY: tuple(map(balanced_accuracy, own, truths)),
                ACCURACY: tuple(float(one.mean()) for one in own),
            }
        )
        for name, own in right.items()
    }
    differences: list[Difference] = []
    for score in (BALANCED_ACCURACY, ACCURACY):
        found_errors = []
        for first, second in _compared(list(scores)):
            apart = np.array(scores[second][score]) - np.array(scores[first][score])
            if design == "splits":
                error = corrected_error(apart, train=train, held_out=held_out)
            else:
                strata = truths[-1] if score == BALANCED_ACCURACY else np.zeros_like(truths[-1])
                items = np.mean([b.astype(float) - a for a, b in zip(right[first], right[second], strict=True)], axis=0)
                error = crossed_error(apart, items, strata)
            found_errors.append((first, second, float(apart.mean()), error))
        differences += _judged(score, found_errors, freedom=len(truths) - 1)
    return Augmentation(
        data=data,
        variant=variant,
        classifier=classifier,
        classes=classes,
        splits=len(truths),
        train=train,
        held_out=held_out,
        design=design,
        rows=MappingProxyType(dict(rows)),
        scores=MappingProxyType(scores),
        differences=tuple(differences),
        notes=tuple(dict.fromkeys(note for one in splits for note in one.notes)),
    )


def _shared(drawn: Iterator[Split], tested: Callable[[int, Split], _Tested]) -> Iterator[_Tested]:
    """The results of all splits, in order. Processes take one split at a time, and exchange the results."""
    team = processes()
    for first in itertools.count(0, team.size):
        own: _Tested | None = None
        with working_apart():
            for rank in range(team.size):
                split = next(drawn, None)
                if rank == team.rank and split is not None:
                    own = tested(first + rank, split)
        found = [one for one in team.exchange(own) if one is not None]
        yield from found
        if len(found) < team.size:
            return


def _compared(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of training sets to compare: each with the reals, and fakes with other ways to balance."""
    rivals = [(rival, BALANCED) for rival in (COPIED, SMOTE) if rival in names]
    return [(REALS, name) for name in names if name != REALS] + rivals


def _standardised(split: Split) -> Split:
    """Columns with mean 0 and deviation 1 on the training rows; constant columns are only centred."""
    mean, deviation = split.train.mean(0), split.train.std(0)
    scale = np.where(deviation > 0, deviation, 1.0)
    return Split((split.train - mean) / scale, split.train_labels, (split.test - mean) / scale, split.test_labels)


def training_sets(
    split: Split, fit: Fit, *, fakes_per_real: float, balance: bool, classes: int, seed: int
) -> tuple[dict[str, tuple[RowArray, LabelArray]], list[str]]:
    """The training sets of a split by name, as rows with labels, and notes.

    balance: whether to balance the classes, too.
    """
    reals = split.train, split.train_labels
    draw = fit(*reals, seed)
    counts = np.bincount(split.train_labels, minlength=classes)
    wanted = [max(1, round(fakes_per_real * int(count))) for count in counts]
    missing = [int(counts.max() - count) for count in counts]
    fills = balance and any(missing)
    made = [draw(label, max(wanted[label], missing[label] if fills else 0)) for label in range(classes)]
    fakes = _joined([(rows[:count], label) for label, (rows, count) in enumerate(zip(made, wanted, strict=True))])
    sets = {REALS: reals, BOTH: _together(reals, fakes), FAKES: fakes}
    if not fills:
        return sets, []
    filling = _joined([(rows[:count], label) for label, (rows, count) in enumerate(zip(made, missing, strict=True))])
    rng = np.random.default_rng(seed)
    copies = _joined(
        [
            (split.train[rng.choice(np.flatnonzero(split.train_labels == label), count)], label)
            for label, count in enumerate(missing)
        ]
    )
    sets |= {BALANCED: _together(reals, filling), COPIED: _together(reals, copies)}
    by_smote = _smote(*reals, seed=seed, smallest=int(counts.min()))
    if by_smote is None:
        return sets, [NO_SMOTE]
    return {**sets, SMOTE: by_smote}, []


def _joined(parts: Sequence[tuple[RowArray, int]]) -> tuple[RowArray, LabelArray]:
    """Rows of one class each => all rows, and their labels."""
    labels = np.concatenate([np.full(len(rows), label, dtype=np.int64) for rows, label in parts])
    return np.concatenate([rows for rows, _ in parts]), labels


def _together(first: tuple[RowArray, LabelArray], second: tuple[RowArray, LabelArray]) -> tuple[RowArray, LabelArray]:
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def _smote(rows: RowArray, labels: LabelArray, *, seed: int, smallest: int) -> tuple[RowArray, LabelArray] | None:
    """Reals balanced by SMOTE, with 5 neighbours or as many as a class has; None without the package."""
    try:
        from imblearn import over_sampling
    except ImportError:
        return None
    found = over_sampling.SMOTE(random_state=seed, k_neighbors=min(5, smallest - 1)).fit_resample(rows, labels)
    return np.asarray(found[0], dtype=np.float64), np.asarray(found[1], dtype=np.int64)


def _fitted(name: str, rows: RowArray, labels: LabelArray, seed: int) -> SklearnClassifier:
    """A trained classifier."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.tree import DecisionTreeClassifier

    makers: Mapping[str, Callable[[], Any]] = {
        "tree": lambda: DecisionTreeClassifier(random_state=seed),
        "logistic": lambda: LogisticRegression(max_iter=1000),
        "mlp": lambda: MLPClassifier((100,), random_state=seed),
    }
    found: SklearnClassifier = makers[name]()
    with warnings.catch_warnings():
        # A limit on iterations is part of the classifier, and the same for every training set.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found.fit(rows, labels)
    return found


def balanced_accuracy(right: NDArray[np.bool_], truth: LabelArray) -> float:
    """The mean over classes of the share of correctly classified rows."""
    return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))


def corrected_error(values: NDArray[np.float64], *, train: int, held_out: int) -> float:
    """The standard error of a mean over random splits of the same rows (Nadeau and Bengio 2003).

    values: of each split. train, held_out: rows in each.
    """
    return math.sqrt((1 / len(values) + held_out / train) * float(values.var(ddof=1)))


def crossed_error(values: NDArray[np.float64], items: NDArray[np.float64], strata: LabelArray) -> float:
    """The standard error of a mean over independent draws that are tested on the same rows.

    values: of each draw. items: of each held-out row, the mean over draws. strata: the score is the mean over strata of
    the mean over their rows.
    """
    groups = [items[strata == stratum] for stratum in np.unique(strata)]
    of_rows = sum(float(own.var(ddof=1)) / len(own) for own in groups) / len(groups) ** 2
    return math.sqrt(float(values.var(ddof=1)) / len(values) + of_rows)


def _judged(score: str, found: Sequence[tuple[str, str, float, float]], *, freedom: int) -> list[Difference]:
    """(first, second, difference, standard error) each => differences with interval, p-value and verdict."""
    from scipy.stats import t

    # No spread is not certainty: as in `ganeval.comparison`, it shows no difference.
    p_values = [1.0 if error == 0 else float(2 * t.sf(abs(value) / error, freedom)) for _, _, value, error in found]
    reach = float(t.ppf(0.975, freedom))
    judged = []
    for (first, second, value, error), p_value, corrected in zip(found, p_values, holm(p_values), strict=True):
        seen = corrected is not None and corrected < SIGNIFICANCE
        verdict: Verdict = ("better" if value > 0 else "worse") if seen else "unclear"
        judged.append(
            Difference(
                metric=score,
                first=first,
                second=second,
                value=value,
                standard_error=error,
                interval=(value - reach * error, value + reach * error),
                p_value=p_value,
                p_corrected=corrected,
                verdict=verdict,
                needed=None,
                paired=True,
            )
        )
    return judged


def _fitting(plan: TrainingPlan, shape: tuple[int, int, int], class_names: tuple[str, ...], *, quantised: bool) -> Fit:
    """A function that trains the plan's model on rows, which are images of a shape.

    quantised: whether fakes are rounded to 256 levels between 0 and 1, as images are; others are scaled to the
    range of the training rows. Raises UsageError if the model cannot be built for these images.
    """
    channels, size = shape[:2]
    plan = plan.choose({"channels": channels, "resolution": size})
    try:
        trial = build_model(plan.recipe, Data(channels, size, len(class_names), class_names))
    except UsageError as error:
        if quantised:
            raise
        raise UsageError(
            f"The network of {plan.recipe.variant} cannot learn a table, whose rows are images of one pixel; choose "
            "one that can: r3gan (its perceptron), cgan or gan."
        ) from error
    assert isinstance(trial, GAN)
    conditional, value_range = trial.conditional, trial.value_range
    if trial.learns_labels and not conditional:
        raise UsageError(f"{plan.recipe.variant} learns labels, but makes no images of a class; choose cgan.")
    lowest, width = (-1.0, 2.0) if value_range == "[-1,1]" else (0.0, 1.0)

    def trained(rows: RowArray, labels: LabelArray, seed: int) -> Draw:
        low, high = (0.0, 1.0) if quantised else (rows.min(0), rows.max(0))
        span = np.where(np.asarray(high) > low, np.asarray(high) - low, 1.0)
        pixels = torch.from_numpy((rows - low) / span * width + lowest).float().view(-1, *shape)
        places = torch.from_numpy(labels)
        groups = [places >= 0] if conditional else [places == label for label in range(len(class_names))]
        samplers = [
            Sampler(_trained(plan, pixels[own], places[own] if conditional else None, seed + number))
            for number, own in enumerate(groups)
        ]

        def draw(label: int, count: int) -> RowArray:
            rng = torch.Generator(samplers[0].device).manual_seed((seed + label) % 2**32)
            sampler = samplers[0 if conditional else label]
            wanted = torch.full((count,), label, device=sampler.device) if conditional else None
            with torch.no_grad():
                images = sampler.sample(count, labels=wanted, rng=rng).flatten(1).double().cpu().numpy()
            if not np.isfinite(images).all():
                raise TrainingError(
                    f"The fakes of {plan.recipe.variant} of the class '{class_names[label]}' are not finite after "
                    f"{plan.recipe.steps} steps; choose fewer steps, a lower rate, or another variant."
                )
            scaled = (images - lowest) / width
            return np.round(scaled.clip(0, 1) * 255) / 255 if quantised else scaled * span + low

        return draw

    return trained


def _trained(plan: TrainingPlan, pixels: torch.Tensor, labels: torch.Tensor | None, seed: int) -> GAN:
    """A model that the plan trains on these images, in evaluation mode."""
    own = replace(plan.choose({"batch": min(plan.recipe.batch, len(pixels))}), seed=seed % 2**32)
    training = Training(own, images_of(pixels, labels))
    for _ in range(own.recipe.steps):
        processes().check()
        training.advance()
    model = training.best_model.eval()
    assert isinstance(model, GAN)
    return model
