"""Augmentation: constructed generators, standard errors by their formulas, no leakage, and what is refused."""

import builtins
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reference_models
from ganeval.errors import SourceError, TrainingError, UsageError
from reference_models import Augmentation
from reference_models.models.r3gan import R3GAN
from reference_models.scoring import augmentation
from reference_models.scoring.augmentation import (
    ACCURACY,
    BALANCED,
    BALANCED_ACCURACY,
    BOTH,
    COPIED,
    FAKES,
    NO_SMOTE,
    REALS,
    SMOTE,
    Draw,
    Fit,
    LabelArray,
    Labelled,
    RowArray,
    Split,
    balanced_accuracy,
    corrected_error,
    crossed_error,
    disjoint_draws,
    over_splits,
    random_splits,
    training_sets,
)

FEW = {"steps": 2, "batch": 8, "settings.width": 4}
# Two classes whose means are two deviations apart: an ideal classifier is right for 84%.
MEANS = np.array([[0.0, 0.0], [2.0, 0.0]])


def population(count: int, label: int, rng: np.random.Generator) -> RowArray:
    """Rows of a class."""
    return MEANS[label] + rng.normal(size=(count, 2))


def labelled(*counts: int, seed: int = 0) -> Labelled:
    """So many rows of each class."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([population(count, label, rng) for label, count in enumerate(counts)])
    labels = np.repeat(np.arange(len(counts)), counts)
    return Labelled(rows, labels, tuple("ab"[: len(counts)]), standardise=False)


def copies(rows: RowArray, labels: LabelArray, seed: int) -> Draw:
    """A generator that writes the training rows of a class in their order."""
    return lambda label, count: np.resize(rows[labels == label], (count, rows.shape[1]))


def perfect(rows: RowArray, labels: LabelArray, seed: int) -> Draw:
    """A generator that draws from the population itself."""
    return lambda label, count: population(count, label, np.random.default_rng((seed, label)))


def noise(rows: RowArray, labels: LabelArray, seed: int) -> Draw:
    """A generator that knows nothing of the classes."""
    return lambda label, count: np.random.default_rng((seed, label)).uniform(-3, 5, (count, 2))


def over(drawn: Iterator[Split], fit: Fit, *, classifier: str = "tree", fakes_per_real: float = 1.0) -> Augmentation:
    """The scores over draws with the same held-out rows."""
    return over_splits(
        drawn,
        fit,
        design="draws",
        standardise=False,
        fakes_per_real=fakes_per_real,
        classifier=classifier,
        seed=0,
        data="two Gaussians",
        variant="constructed",
        classes=("a", "b"),
        progress=lambda text: None,
    )


def draws(per_class: int, number: int = 10) -> Iterator[Split]:
    """Few training rows, many held-out ones."""
    return disjoint_draws(
        labelled(per_class * number, per_class * number), labelled(500, 500, seed=1), number, per_class, seed=0
    )


def of(found: Augmentation, second: str, *, first: str = REALS, score: str = BALANCED_ACCURACY) -> object:
    """The verdict on a difference."""
    return next(
        one.verdict for one in found.differences if (one.first, one.second, one.metric) == (first, second, score)
    )


def test_a_generator_that_copies_changes_nothing() -> None:
    """A tree of all rows twice, and one of the copies alone, are the tree of the reals; no difference is shown."""
    found = over(draws(10), copies)
    assert found.scores[BOTH] == found.scores[REALS] == found.scores[FAKES]
    assert {one.verdict for one in found.differences} == {"unclear"}
    assert {one.p_value for one in found.differences} == {1.0}
    assert found.verdict.startswith("no difference shown: ")


def test_a_perfect_generator_makes_a_classifier_of_few_rows_better() -> None:
    """Twenty fakes for each of three reals per class; fakes alone are better than so few reals, too."""
    found = over(draws(3), perfect, fakes_per_real=20, classifier="logistic")
    assert (of(found, BOTH), of(found, FAKES)) == ("better", "better")
    assert of(found, BOTH, score=ACCURACY) == "better"
    assert found.verdict.startswith("better: ")
    assert dict(found.rows) == {REALS: 6, BOTH: 126, FAKES: 120}


def test_noise_makes_a_classifier_worse() -> None:
    """Fakes of any class everywhere lower the accuracy, and alone they are worth no more than chance."""
    found = over(draws(20), noise, fakes_per_real=2)
    assert (of(found, BOTH), of(found, FAKES)) == ("worse", "worse")
    assert found.verdict.startswith("worse: ")
    assert np.mean(found.scores[FAKES][BALANCED_ACCURACY]) == pytest.approx(0.5, abs=0.06)


def test_equal_generators_are_rarely_told_apart() -> None:
    """Nothing is found where a perfect generator's fakes replace as many reals."""
    found = over(draws(20), perfect)
    assert of(found, FAKES) == "unclear"


def test_the_corrected_error_is_nadeau_and_bengios() -> None:
    """(1/J + n2/n1) times the variance over splits; 75 training and 25 held-out rows triple that of ten splits."""
    values = np.array([0.01, 0.03, -0.02, 0.02])
    variance = sum((value - 0.01) ** 2 for value in values) / 3
    assert corrected_error(values, train=75, held_out=25) == pytest.approx(math.sqrt((1 / 4 + 1 / 3) * variance))


def test_the_crossed_error_adds_what_draws_and_rows_contribute() -> None:
    """The variance over draws by their number, and over held-out rows by theirs, stratum by stratum."""
    values, items = np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    of_draws, of_rows = 0.01 / 3, np.var(items, ddof=1) / 6
    assert crossed_error(values, items, np.zeros(6, dtype=int)) == pytest.approx(math.sqrt(of_draws + of_rows))
    strata = np.array([0, 0, 1, 1, 1, 1])
    of_rows = (np.var(items[:2], ddof=1) / 2 + np.var(items[2:], ddof=1) / 4) / 4
    assert crossed_error(values, items, strata) == pytest.approx(math.sqrt(of_draws + of_rows))


def test_the_crossed_interval_holds_the_true_difference() -> None:
    """Over 200 repetitions of 5 draws and 60 held-out rows, about 95% of the intervals hold it; they are cautious."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        # A difference per draw, one per row, and one of each pair, all of mean 0.
        cells = rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.5, (1, 60)) + rng.normal(0, 0.5, (5, 60))
        error = crossed_error(cells.mean(1), cells.mean(0), np.zeros(60, dtype=int))
        held += abs(cells.mean()) < 2.776 * error
    assert held / 200 >= 0.93


def test_differences_are_paired_tested_and_corrected() -> None:
    """Interval and p-value are Student's, the p-values of a score are Holm's, and rivals are compared, too."""
    from scipy.stats import t

    found = reference_models.augment("table:breast_cancer", splits=3, chosen=FEW, device="cpu")
    assert [(one.first, one.second) for one in found.differences[:7]] == [
        *((REALS, name) for name in (BOTH, FAKES, BALANCED, COPIED, SMOTE)),
        (COPIED, BALANCED),
        (SMOTE, BALANCED),
    ]
    first = found.differences[0]
    apart = np.array(found.scores[BOTH][BALANCED_ACCURACY]) - np.array(found.scores[REALS][BALANCED_ACCURACY])
    error = math.sqrt((1 / 3 + found.held_out / found.train) * apart.var(ddof=1))
    assert first.value == pytest.approx(apart.mean())
    assert first.standard_error == pytest.approx(error)
    assert first.interval == pytest.approx((apart.mean() - 4.302653 * error, apart.mean() + 4.302653 * error))
    assert first.p_value == pytest.approx(2 * t.cdf(-abs(apart.mean()) / error, 2))
    smallest = min(one.p_value for one in found.differences[:7] if one.p_value is not None)
    corrected = min(one.p_corrected for one in found.differences[:7] if one.p_corrected is not None)
    assert corrected == pytest.approx(min(1.0, 7 * smallest))


def test_balanced_accuracy_is_scikit_learns() -> None:
    """The mean of the classes' shares, however many rows they have."""
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    assert balanced_accuracy(found == truth, truth) == pytest.approx(balanced_accuracy_score(truth, found))


def test_random_splits_hold_out_a_quarter_of_each_class() -> None:
    """No row is on both sides, none is lost, and splits differ."""
    known = labelled(40, 9)
    first, second = random_splits(known, 2, seed=0)
    assert np.bincount(first.test_labels).tolist() == [10, 2]
    assert len(first.train) + len(first.test) == 49
    assert not {*map(tuple, first.train)} & {*map(tuple, first.test)}
    assert not np.array_equal(first.test, second.test)
    assert np.array_equal(first.test, next(random_splits(known, 2, seed=0)).test)


def test_draws_share_no_training_row() -> None:
    """All are tested on the same rows, none of which is trained on."""
    found = list(disjoint_draws(labelled(40, 40), None, 3, 10, seed=0))
    trained = [{*map(tuple, one.train)} for one in found]
    assert len(set.union(*trained)) == 60
    assert all(np.array_equal(one.test, found[0].test) for one in found)
    assert not set.union(*trained) & {*map(tuple, found[0].test)}


@pytest.mark.parametrize("classifier", ["tree", "logistic"])
def test_no_held_out_row_reaches_the_training(classifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other held-out rows change no scale, no training row, no fake, and no prediction of the rows that stay."""
    seen: list[bytes] = []
    fit = augmentation._fitted

    def watched(name: str, rows: RowArray, labels: LabelArray, seed: int) -> object:
        seen.append(rows.tobytes())
        return fit(name, rows, labels, seed)

    monkeypatch.setattr(augmentation, "_fitted", watched)
    table = reference_models.data.tables.load_table("table:breast_cancer")  # type: ignore[attr-defined]
    whole = Labelled(table.features, table.labels, table.class_names, standardise=True)
    (split,) = random_splits(whole, 1, seed=0)
    plan = reference_models.make_plan("r3gan", chosen={**FEW, "network": "perceptron"})
    generator = augmentation._fitting(plan, (30, 1, 1), table.class_names, quantised=False)
    rest = {"standardise": True, "fakes_per_real": 1.0, "classifier": classifier, "seed": 0}
    rest |= {"data": "", "variant": "", "classes": table.class_names, "progress": lambda text: None}
    other = replace(split, test=split.test * 1e6)
    over_splits(iter([split, split]), generator, design="splits", **rest)  # type: ignore[arg-type]
    first = list(seen)
    seen.clear()
    over_splits(iter([other, other]), generator, design="splits", **rest)  # type: ignore[arg-type]
    assert len(first) == 12
    assert seen == first


def test_columns_are_standardised_by_the_training_rows() -> None:
    """They have mean 0 and deviation 1 there, and held-out rows go through the same map; constants are no error."""
    train, test = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[4.0, 6.0]])
    found = augmentation._standardised(Split(train, np.array([0, 1]), test, np.array([0])))
    assert found.train.tolist() == [[-1, 0], [1, 0]]
    assert found.test.tolist() == [[2, 1]]


def test_smaller_classes_are_filled_up_to_the_largest() -> None:
    """By fakes, by copies and by SMOTE, whose rows lie between reals of the class."""
    known = labelled(8, 3)
    split = Split(known.features, known.labels, known.features, known.labels)
    sets, notes = training_sets(split, noise, fakes_per_real=0.1, balance=True, classes=2, seed=0)
    assert not notes
    for name in (BALANCED, COPIED, SMOTE):
        rows, labels = sets[name]
        assert np.bincount(labels).tolist() == [8, 8], name
        assert np.array_equal(rows[:11], known.features)
    assert {*map(tuple, sets[COPIED][0])} == {*map(tuple, known.features)}
    low, high = known.features[8:].min(0), known.features[8:].max(0)
    assert bool(((sets[SMOTE][0][11:] >= low) & (sets[SMOTE][0][11:] <= high)).all())
    assert np.bincount(sets[FAKES][1]).tolist() == [1, 1]


def test_classes_of_one_size_are_not_filled_up() -> None:
    """There is nothing to balance."""
    known = labelled(5, 5)
    split = Split(known.features, known.labels, known.features, known.labels)
    assert list(training_sets(split, noise, fakes_per_real=1, balance=True, classes=2, seed=0)[0]) == [
        *(REALS, BOTH, FAKES)
    ]


def test_without_imbalanced_learn_smote_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other training sets stay."""
    imported = builtins.__import__

    def lacking(name: str, *rest: object) -> object:
        if name.partition(".")[0] == "imblearn":
            raise ImportError(name)
        return imported(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", lacking)
    known = labelled(8, 3)
    split = Split(known.features, known.labels, known.features, known.labels)
    sets, notes = training_sets(split, noise, fakes_per_real=1, balance=True, classes=2, seed=0)
    assert SMOTE not in sets
    assert COPIED in sets
    assert notes == [NO_SMOTE]


@pytest.mark.parametrize("variant", ["r3gan", "cgan", "gan"])
def test_fakes_of_a_table_have_the_units_of_its_rows(variant: str) -> None:
    """Each class is learned alone or by its label; bounded generators stay in the range of the training rows."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.uniform(10, 20, (20, 3)), rng.uniform(-9, -5, (20, 3))])
    labels = np.repeat([0, 1], 20)
    chosen = {"network": "perceptron", **FEW} if variant == "r3gan" else {"steps": 2}
    fit = augmentation._fitting(
        reference_models.make_plan(variant, chosen=chosen), (3, 1, 1), ("a", "b"), quantised=False
    )
    draw = fit(rows, labels, 3)
    fakes = draw(0, 7)
    assert fakes.shape == (7, 3)
    assert np.array_equal(fakes, draw(0, 7))
    if variant != "r3gan":
        assert bool((fakes >= rows.min(0) - 1e-6).all())
        assert bool((fakes <= rows.max(0) + 1e-6).all())


def test_methods_repeat_themselves_and_the_seed_matters() -> None:
    """The same call gives the same numbers, whatever the caller's random state; another seed gives others."""
    calls: list[Callable[[], Augmentation]] = [
        lambda: reference_models.augment("table:breast_cancer", splits=2, chosen=FEW, device="cpu"),
        lambda: reference_models.augment("table:breast_cancer", splits=2, chosen=FEW, device="cpu", seed=1),
    ]
    first = calls[0]()
    torch.rand(3)
    np.random.rand(3)
    assert calls[0]() == first
    assert calls[1]().scores != first.scores


def test_images_are_split_or_drawn(tmp_path: Path) -> None:
    """With few labels the data set's own test images are held out, and otherwise a quarter of the images."""
    chosen = {"steps": 1, "batch": 8}
    found = reference_models.augment("digits:train", labels_per_class=3, splits=2, chosen=chosen, device="cpu")
    assert (found.design, found.train, found.held_out, found.classifier) == ("draws", 30, 450, "logistic")
    assert list(found.rows) == [REALS, BOTH, FAKES]
    assert min(found.scores[REALS][ACCURACY]) > 0.5
    found = reference_models.augment("digits:test", splits=2, chosen=chosen, classifier="tree", device="cpu")
    assert (found.design, found.train + found.held_out) == ("splits", 450)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"splits": 1}, "splits is 1; it must be 2 or more"),
        ({"labels_per_class": 1}, "labels_per_class is 1; it must be 2 or more"),
        ({"held_out": "digits:test"}, "A table is split into"),
        ({"data": "digits:train", "held_out": "digits:test"}, "Without labels_per_class"),
        ({"fakes_per_real": 0.0}, "fakes_per_real is 0.0; it must be a finite number above 0"),
        ({"fakes_per_real": math.inf}, "fakes_per_real is inf"),
        ({"classifier": "forest"}, "'forest' is not a classifier; choose from: tree, logistic, mlp"),
        ({"variant": "gun"}, "'gun' is not a variant"),
        ({"variant": "pix2pix"}, "pix2pix makes no images from latents"),
        ({"variant": "seqgan"}, "seqgan makes no images from latents"),
        ({"variant": "ssgan"}, "ssgan learns labels, but"),
        ({"variant": "dcgan"}, "The network of dcgan cannot learn a table"),
        ({"labels_per_class": 50, "splits": 10}, "10 disjoint draws of 50 rows of each class need 500"),
        ({"data": "table:rows.csv"}, "names no label column"),
        ({"data": "nowhere:x"}, "nowhere"),
    ],
)
def test_impossible_values_are_refused(given: dict[str, object], message: str) -> None:
    """Before anything is trained, and with what is allowed."""
    with pytest.raises((UsageError, SourceError), match=message):
        reference_models.augment(**{"data": "table:breast_cancer", "device": "cpu", **given})  # type: ignore[arg-type]


def test_a_class_with_too_few_rows_is_named(tmp_path: Path) -> None:
    """Two rows cannot be split into two to train on and one to hold out."""
    path = tmp_path / "rows.csv"
    path.write_text("a,kind\n" + "".join(f"{n},x\n" for n in range(9)) + "1,rare\n2,rare\n", encoding="utf-8")
    with pytest.raises(SourceError, match="The class 'rare' has 2 rows; every class needs 3 or more"):
        reference_models.augment(f"table:{path},kind", chosen=FEW, device="cpu")
    with pytest.raises(SourceError, match="Fewer than 2 rows are held out of the classes rare"):
        reference_models.augment(f"table:{path},kind", chosen=FEW, labels_per_class=2, device="cpu")


def test_held_out_images_that_are_not_apart_are_told_of(tmp_path: Path) -> None:
    """Those that are training images are counted, and classes that were found by their place are named."""
    for name in ("cat", "dog", "0", "1"):
        folder = tmp_path / ("others" if name.isdigit() else "images") / name
        folder.mkdir(parents=True)
        for index in range(4):
            value = 30 * index + 10 * (name in {"dog", "1"}) + 3 * (name == "1" and index == 3)
            Image.new("L", (8, 8), value).save(folder / f"{index}.png")
    asked = {"labels_per_class": 2, "splits": 2, "chosen": {"steps": 1, "resolution": 8, "batch": 2}, "device": "cpu"}
    data, others = str(tmp_path / "images"), str(tmp_path / "others")
    found = reference_models.augment(data, variant="cgan", held_out=others, **asked)  # type: ignore[arg-type]
    assert found.notes[0].startswith(f"7 of the 8 held-out images are also images of {data}")
    assert (
        found.notes[1]
        == "Classes of the held-out images were matched to the model's by position: 0 for cat, 1 for dog."
    )


def test_images_without_classes_are_refused(tmp_path: Path) -> None:
    """A classifier needs two classes."""
    from PIL import Image

    for number in range(4):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    with pytest.raises(SourceError, match="have no labels"):
        reference_models.augment(str(tmp_path), splits=2, chosen={"steps": 1, "resolution": 8}, device="cpu")


def test_fakes_that_are_not_finite_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variant, the class and the number of steps are told."""
    monkeypatch.setattr(R3GAN, "generate", lambda self, z, labels=None: z.new_full((len(z), 30, 1, 1), math.nan))
    with pytest.raises(TrainingError, match="fakes of r3gan of the class 'malignant' are not finite after 2 steps"):
        reference_models.augment("table:breast_cancer", splits=2, chosen=FEW, device="cpu")
