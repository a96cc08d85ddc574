"""Classifier two-sample tests: naive loops, the distributions of the p-values, and simulated draws."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from core_helpers import values_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, mannwhitneyu
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.c2st import _accuracy_p_value, _auc, accuracy_error, c2st_logistic, c2st_mlp
from ganeval.metrics.c2st_1nn import _error, c2st_1nn
from ganeval.metrics.c2st_knn import _Part, c2st_knn
from ganeval.metrics.classifiers import odd_root
from ganeval.metrics.drawn import Drawn
from ganeval.metrics.most_discriminable import CLASSIFIERS, most_discriminable
from ganeval.uncertainty import Estimate

Test = Callable[..., Estimate]
FITTED: list[Test] = [c2st_knn, c2st_logistic, c2st_mlp]
ALL: list[Test] = [c2st_1nn, *FITTED]
# Options that leave a test what it is, in a fraction of the time.
QUICK: dict[Test, dict[str, int]] = {
    c2st_1nn: {"permutations": 99},
    c2st_knn: {"folds": 3},
    c2st_logistic: {"folds": 2},
    c2st_mlp: {"steps": 60},
}


def draw(n: int, d: int, seed: int, *, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def draws(test: Test, count: int, n: int, d: int, *, shift: float = 0.0) -> list[Estimate]:
    return [test(draw(n, d, 2 * i), draw(n, d, 2 * i + 1, shift=shift), **QUICK[test]) for i in range(count)]


def naive_1nn(real: Tensor, fake: Tensor) -> float:
    """One image at a time."""
    rows = [(row, 0) for row in real] + [(row, 1) for row in fake]
    hits = 0
    for i, (row, label) in enumerate(rows):
        others = [(float((row - other).norm()), of) for j, (other, of) in enumerate(rows) if j != i]
        hits += min(others)[1] == label
    return hits / len(rows)


def naive_logistic(real: Tensor, fake: Tensor, folds: int, seed: int) -> tuple[float, float]:
    """Progressive validation written out: accuracy, and the mean AUC of the parts."""
    rng = np.random.RandomState(seed)
    x, y = (side.numpy()[rng.permutation(len(side))] for side in (real, fake))
    size = len(x) // folds
    hits, areas = 0, []
    for part in range(1, folds):
        seen = np.concatenate([x[: part * size], y[: part * size]])
        unseen = np.concatenate([side[part * size : (part + 1) * size] for side in (x, y)])
        mean, std = seen.mean(0), seen.std(0)
        model = LogisticRegression(C=1 / x.shape[1], tol=1e-6).fit(
            (seen - mean) / std, np.arange(len(seen)) >= len(seen) / 2
        )
        labels = np.arange(2 * size) >= size
        guess = model.decision_function((unseen - mean) / std)
        hits += int(((guess > 0) == labels).sum())
        areas.append(roc_auc_score(labels, guess))
    return hits / (2 * size * (folds - 1)), float(np.mean(areas))


def test_1nn_is_the_naive_loop() -> None:
    """The accuracy equals that of a loop over all other images."""
    real, fake = draw(40, 5, 1), draw(40, 5, 2, shift=0.4)
    assert c2st_1nn(real, fake).value == naive_1nn(real, fake)


def test_1nn_error_adds_the_products_of_results_that_share_an_image() -> None:
    """Each result is of an image and its neighbour: two results depend on each other if they have one in common."""
    rng = np.random.RandomState(0)
    points, is_fake = rng.randn(30, 2), np.arange(30) >= 15
    distances = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(30, math.inf))
    nearest = distances.argmin(1)
    # Neighbours are right or wrong together.
    hits = points[:, 0] > -0.3
    shares = (float(hits[:15].mean()), float(hits[15:].mean()))
    residual = hits - np.repeat(shares, 15)
    variance = sum(
        residual[i] * residual[j]
        for i, j in itertools.product(range(30), repeat=2)
        if {i, int(nearest[i])} & {j, int(nearest[j])}
    )
    assert math.sqrt(variance) / 30 > accuracy_error(shares, 15)
    assert _error(hits, is_fake, nearest, shares) == pytest.approx(math.sqrt(variance) / 30, rel=1e-12)


def test_logistic_is_progressive_validation_written_out() -> None:
    """Parts of 20, each judged by a regression on the parts before it, standardised by them."""
    real, fake = draw(100, 4, 1), draw(100, 4, 2, shift=0.3)
    accuracy, area = naive_logistic(real, fake, 5, 3)
    found = c2st_logistic(real, fake, seed=3)
    # Weights within the solver's tolerance: an image at the very border may fall to the other side.
    assert found.value == pytest.approx(accuracy, abs=1 / 160)
    assert found.details["auc"] == pytest.approx(area, abs=2e-3)
    assert found.details["tested"] == 160


def test_accuracy_p_value_counts_all_labellings() -> None:
    """For two parts of four images, it is the share of all 6 x 6 labellings with as many hits."""
    parts = [np.array([[0.1, 0.9], [0.6, 0.8]]), np.array([[0.2, 0.3], [0.7, 0.4]])]
    hits = sum(int((part[1] > 0.5).sum()) for part in parts)
    as_many = 0
    for chosen in itertools.product(itertools.combinations(range(4), 2), repeat=2):
        called = [(part > 0.5).ravel() for part in parts]
        as_many += sum(int(part[list(at)].sum()) for part, at in zip(called, chosen, strict=True)) >= hits
    assert _accuracy_p_value(parts, hits) == pytest.approx(as_many / 36, rel=1e-12)


@settings(max_examples=30)
@given(st.integers(4, 30), st.integers(0, 1000), st.booleans())
def test_auc_and_its_p_value_are_the_mann_whitney_test(count: int, seed: int, ties: bool) -> None:
    """For one part, the area is scikit-learn's and the p-value SciPy's, including ties."""
    scores = np.random.RandomState(seed).uniform(size=(2, count))
    scores = np.round(scores, 1) if ties else scores
    area, p_value = _auc([scores])
    assert area == pytest.approx(roc_auc_score(np.repeat([0, 1], count), scores.ravel()), abs=1e-12)
    expected = mannwhitneyu(scores[1], scores[0], alternative="greater", method="asymptotic", use_continuity=False)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("test", [c2st_1nn, c2st_knn, c2st_logistic])
def test_sets_that_are_alike_are_told_apart_as_often_as_promised(test: Test) -> None:
    """At level 20% the share of rejections is within binomial noise of 20%, or lower for discrete accuracies."""
    with values_alone():
        found = draws(test, 200, 60, 5)
    low_high = binomtest(40, 200).proportion_ci(confidence_level=0.999)
    for name in {"p_value", "accuracy_p_value"} & set(found[0].details):
        share = np.mean([estimate.details[name] <= 0.2 for estimate in found])
        assert low_high.low - (0.05 if name == "accuracy_p_value" else 0) <= share <= low_high.high


@pytest.mark.parametrize(
    ("test", "count", "shift"),
    [(c2st_1nn, 150, 0.5), (c2st_knn, 120, 0.3), (c2st_logistic, 80, 0.3)],
)
def test_standard_error_matches_the_spread_over_many_draws(test: Test, count: int, shift: float) -> None:
    """The error agrees to a fifth: three times the noise of the spread, and the omitted effect of training images."""
    with values_alone():
        values = np.array([estimate.value for estimate in draws(test, count, 120, 4, shift=shift)])
    errors = np.array([estimate.standard_error for estimate in draws(test, 20, 120, 4, shift=shift)])
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.2)


def test_votes_that_are_wrong_together_are_allowed_for() -> None:
    """For features with hubs the spread exceeds the binomial one, and the error is right to 30%."""
    mix = draw(40, 40, 99) / math.sqrt(40)
    pairs = [[(draw(100, 40, 2 * i + j) @ mix).relu() * 2 + 0.5 * j for j in (0, 1)] for i in range(80)]
    with values_alone():
        found = [c2st_knn(*pair, folds=3) for pair in pairs]
    spread = np.std([estimate.value for estimate in found], ddof=1)
    mean = np.mean([estimate.value for estimate in found])
    assert spread > 1.3 * math.sqrt(mean * (1 - mean) / found[0].details["tested"])
    errors = [c2st_knn(*pair, folds=3).standard_error for pair in pairs[:20]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize("test", ALL)
def test_sets_far_apart_are_told_apart_surely(test: Test) -> None:
    """The accuracy is 1, the p-value the smallest possible, and the error bar allows a rare miss."""
    found = test(draw(50, 4, 1), draw(50, 4, 2, shift=9.0), **({} if test is c2st_1nn else QUICK[test]))
    assert found.value == 1
    assert found.details["p_value"] < 0.002
    assert found.standard_error > 0
    assert found.interval is not None
    assert found.interval[0] < 1 == found.interval[1]


def test_copies_are_called_memorised() -> None:
    """Fakes that are the reals with little noise have their neighbours in the other set: accuracy far below 0.5."""
    real = draw(100, 6, 1)
    found = c2st_1nn(real, real + 1e-3 * draw(100, 6, 2))
    assert found.value == 0
    assert found.details["p_value"] == 1
    assert found.details["p_value_below"] == 1 / 1001
    assert "copies of the reals" in found.notes[0]
    assert c2st_1nn(real, draw(100, 6, 2)).notes == ()


def test_1nn_says_which_set_keeps_together() -> None:
    """Fakes of a narrow distribution have fakes as neighbours, and so have the reals around them."""
    found = c2st_1nn(draw(200, 20, 1), 0.5 * draw(200, 20, 2))
    assert found.details["accuracy_fake"] > 0.95
    assert found.details["accuracy_real"] < 0.3


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_1nn_of_constants_is_a_draw(value: float) -> None:
    """For identical images ties go to a random image in any order of the sets, and nothing is significant."""
    p_values = [
        c2st_1nn(torch.full((20, 3), value), torch.full((20, 3), value), seed=seed).details["p_value"]
        for seed in range(8)
    ]
    assert min(p_values) > 0.05


@pytest.mark.parametrize("test", FITTED)
def test_constants_cannot_be_told_apart(test: Test) -> None:
    """Equal scores give an AUC of 0.5 and a p-value of 1."""
    found = test(torch.ones(30, 3), torch.ones(30, 3), **QUICK[test])
    assert found.value == 0.5
    assert found.details["auc"] == 0.5
    assert found.details["p_value"] == 1


def test_network_sees_what_a_line_cannot() -> None:
    """For a ring around a blob the means are equal: logistic regression guesses, and the others do not."""
    angle = 2 * math.pi * torch.rand(200, generator=torch.Generator().manual_seed(0))
    ring = 3 * torch.stack([angle.cos(), angle.sin()], 1)
    blob = draw(200, 2, 1)
    assert abs(c2st_logistic(ring, blob).value - 0.5) < 0.1
    assert c2st_mlp(ring, blob).value > 0.9
    assert c2st_knn(ring, blob).value > 0.9


@pytest.mark.parametrize("test", ALL)
def test_larger_set_is_cut_down_and_that_is_said(test: Test) -> None:
    """The larger set is subsampled with a note, as guessing it would be right more than half of the time."""
    found = test(draw(40, 3, 1), draw(300, 3, 2), **QUICK[test])
    assert "Of the 300 fakes, 40" in found.notes[0]
    assert abs(found.value - 0.5) < 0.2


@pytest.mark.parametrize("test", ALL)
def test_seed_decides_everything(test: Test) -> None:
    """Equal seeds give equal results, different ones other parts or labellings."""
    real, fake = draw(60, 3, 1), draw(60, 3, 2, shift=0.1)
    one, again, other = (test(real, fake, seed=seed, **QUICK[test]) for seed in (1, 1, 2))
    assert one == again
    assert one.details["p_value"] != other.details["p_value"]


@pytest.mark.parametrize("test", ALL)
def test_half_precision_is_widened(test: Test) -> None:
    """float16 features give what the same numbers in float64 give."""
    real, fake = draw(60, 4, 1).half(), draw(60, 4, 2, shift=0.5).half()
    found, wide = test(real, fake, **QUICK[test]), test(real.double(), fake.double(), **QUICK[test])
    assert found.value == pytest.approx(wide.value, abs=0.02)


@pytest.mark.parametrize("classifier", list(CLASSIFIERS))
def test_the_most_discriminable_images_are_the_odd_ones(classifier: str) -> None:
    """Fakes far from the reals come first, by falling score, under their own indices; sizes may differ."""
    real, fake = draw(100, 3, 1), draw(260, 3, 2)
    fake[200:] += 8.0
    found = most_discriminable(real, fake, count=30, classifier=classifier)
    assert len(found.fake) == len(found.real) == len(found.real_scores) == 30
    assert (found.fake >= 200).float().mean() > 0.9
    assert (found.fake_scores.diff() <= 0).all()
    assert (found.real_scores.diff() >= 0).all()
    assert found.real_scores[-1] < 0.5 < found.fake_scores[-1]


def test_no_image_is_scored_by_a_classifier_that_saw_it() -> None:
    """For equal distributions, mean scores of reals and fakes are equal; on training images they would not be."""
    real, fake = draw(40, 60, 1), draw(40, 60, 2)
    found = most_discriminable(real, fake, count=40)
    assert sorted(found.real.tolist()) == list(range(40))
    assert float(found.fake_scores.mean() - found.real_scores.mean()) == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize(
    ("test", "real", "fake", "options", "message"),
    [
        (c2st_1nn, 1, 5, {}, "at least 2 images of each set .* found 1 real"),
        (c2st_1nn, 5, 5, {"permutations": 0}, "at least 1 permutation, found 0"),
        (c2st_logistic, 20, 9, {}, "at least 10 images of each set .* found 9 fake"),
        (c2st_logistic, 20, 20, {"folds": 1}, "at least 2 folds, found 1"),
        (c2st_knn, 20, 20, {"k": 4}, "odd k of at most 8 .* found 4"),
        (c2st_knn, 20, 20, {"k": 9}, "odd k of at most 8 .* found 9"),
        (c2st_knn, 20, 20, {"k": 0}, "odd k"),
        (c2st_mlp, 20, 20, {"hidden": 0}, "found 0 and 300"),
        (most_discriminable, 20, 20, {"classifier": "logistics"}, "did you mean 'logistic'"),
        (most_discriminable, 20, 20, {"count": 0}, "at least 1, found 0"),
        (most_discriminable, 20, 3, {}, "found 3 fake"),
    ],
)
def test_what_cannot_be_tested_is_refused(
    test: Test, real: int, fake: int, options: dict[str, object], message: str
) -> None:
    """Untestable sets are refused with the reason and what would work."""
    with pytest.raises(MetricError, match=message):
        test(draw(real, 3, 1), draw(fake, 3, 2), **options)


@pytest.mark.parametrize("test", ALL)
def test_features_of_two_extractors_are_refused(test: Test) -> None:
    """Sets of different dimensions, and features that are not finite, are refused."""
    with pytest.raises(MetricError, match="3 dimensions and fake ones 4"):
        test(draw(20, 3, 1), draw(20, 4, 2))
    with pytest.raises(MetricError, match="20 of 20 images have NaN"):
        test(draw(20, 3, 1), torch.full((20, 3), math.nan))


def test_images_of_a_graph_are_scored_as_others_are() -> None:
    """Features that require gradients give the same indices and scores."""
    real, fake = draw(40, 3, 1), draw(40, 3, 2, shift=1.0)
    expected = most_discriminable(real, fake, count=5)
    found = most_discriminable(real.requires_grad_(), fake.requires_grad_(), count=5)
    assert torch.equal(found.fake, expected.fake)
    assert torch.equal(found.real_scores, expected.real_scores)


def test_neighbours_of_halves_are_found_among_those_of_the_whole() -> None:
    """In a random half, hits are those of scikit-learn's classifier that has seen the half alone."""
    rng = np.random.RandomState(0)
    real, fake = rng.standard_normal((2, 300, 4)) + np.array([[[0.0]], [[0.5]]])
    everyone = (np.arange(len(real)), np.arange(len(fake)))
    drawn = Drawn.of(torch.from_numpy(real), torch.from_numpy(fake), everyone)
    part = _Part.of(drawn, 200, 300, None, seed=0)
    votes = odd_root(part.k**2 // 2)
    for _ in range(5):
        there = np.zeros((2, 300), dtype=bool)
        for side in there:
            side[rng.permutation(200)[:100]] = True
            side[200 + rng.permutation(100)[:50]] = True
        known = np.concatenate([side[:200][kept[:200]] for side, kept in zip((real, fake), there, strict=True)])
        asked = np.concatenate([side[200:][kept[200:]] for side, kept in zip((real, fake), there, strict=True)])
        peer = KNeighborsClassifier(votes).fit(known, np.repeat([0, 1], 100))
        assert part.hits(there).tolist() == (peer.predict(asked) == np.repeat([0, 1], 50)).tolist()
