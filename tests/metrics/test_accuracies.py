"""Accuracies by class: learned from reals, from fakes, or the extractor's; closed forms, loops, and their errors."""

import math
from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
import pytest
import torch
from class_helpers import gaussians
from scipy.special import ndtr
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import discriminant
from ganeval.metrics.cas import cas
from ganeval.metrics.conditional_accuracy import conditional_accuracy
from ganeval.metrics.discriminant import cut, held_out, rules, training_changes
from ganeval.metrics.head_accuracy import head_accuracy
from ganeval.metrics.labels import Shares
from ganeval.uncertainty import Estimate

Labelled = tuple[Tensor, Tensor]
Compute = Callable[..., Estimate]
learned = pytest.mark.parametrize("compute", [conditional_accuracy, cas])


def found(compute: Compute, real: Labelled, fake: Labelled, **options: object) -> Estimate:
    return compute(real[0], fake[0], real_labels=real[1], fake_labels=fake[1], **options)


def values_of(compute: Compute, sets: Sequence[tuple[Labelled, Labelled]]) -> np.ndarray:
    """The values of sets of reals and fakes, without the jackknife, which takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module(f"ganeval.metrics.{compute.__name__}"), "GROUPS", 2)
        return np.array([found(compute, *pair).value for pair in sets])


def logits(count: int, seed: int, *, right: float, classes: int = 4) -> Labelled:
    """Logits whose largest is the label's with this probability, and another one's otherwise; and the labels."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    wrong = torch.rand(count, generator=rng) >= right
    said = (labels + wrong * torch.randint(1, classes, (count,), generator=rng)) % classes
    return torch.nn.functional.one_hot(said, classes) + 0.3 * torch.rand(count, classes, generator=rng), labels


def naive(known: Labelled, tested: Labelled) -> float:
    """The mean over classes of scikit-learn's discriminant's accuracy, at Ledoit and Wolf's shrinkage."""
    (x, y), (unseen, asked) = ((rows.numpy(), labels.numpy()) for rows, labels in (known, tested))
    centred = np.concatenate([x[y == k] - x[y == k].mean(0) for k in np.unique(y)])
    shrinkage = ledoit_wolf(centred, assume_centered=True)[1]
    classes = np.unique(y)
    rule = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=shrinkage, priors=np.full(len(classes), 1 / len(classes))
    ).fit(x, y)
    return float(np.mean([(rule.predict(unseen[asked == k]) == k).mean() for k in classes]))


@pytest.mark.parametrize("width", [5, 60])
def test_learned_accuracies_are_those_of_a_peer(width: int) -> None:
    """scikit-learn's discriminant has the same accuracy, for more and for fewer images than dimensions."""
    real, fake = gaussians(60, 1, width=width), gaussians(90, 2, width=width, wrong=0.2)
    assert found(conditional_accuracy, real, fake).value == pytest.approx(naive(real, fake))
    assert found(cas, real, fake).value == pytest.approx(naive(fake, real))


@learned
def test_two_gaussians_are_told_as_well_as_can_be(compute: Compute) -> None:
    """For means d apart the best accuracy is Phi(d / 2), which a rule learned from many images approaches."""
    real, fake = (gaussians(4000, seed, classes=2, apart=math.sqrt(2)) for seed in (1, 2))
    estimate = found(compute, real, fake)
    best = float(ndtr(1.0))
    assert estimate.standard_error is not None
    assert estimate.value == pytest.approx(best, abs=3.5 * estimate.standard_error)
    assert estimate.standard_error < 0.008
    assert estimate.details["reals"] == pytest.approx(best, abs=0.02)


@learned
def test_values_by_class_are_in_the_details(compute: Compute) -> None:
    """The value is the mean of the values by class, for any number of images of each."""
    (real, a), (fake, b) = gaussians(90, 1), gaussians(90, 2)
    real, a = real[a != 1], a[a != 1]
    kept = torch.cat([torch.where(b == 0)[0][:5], torch.where(b == 2)[0]])
    estimate = found(compute, (real, a), (fake[kept], b[kept]))
    values = [value for name, value in estimate.details.items() if name.startswith("class ")]
    assert list(estimate.details) == ["reals", "class 0", "class 2"]
    assert estimate.value == pytest.approx(np.mean(values))


@learned
def test_what_was_not_asked_for_costs_accuracy(compute: Compute) -> None:
    """Fakes of the wrong class, more of them, and distant fakes lower the accuracy."""
    real = gaussians(300, 1, apart=4.0)
    values = [found(compute, real, gaussians(300, 2, apart=4.0, wrong=wrong)).value for wrong in (0.0, 0.6, 1.0)]
    assert values[0] > 0.97
    assert values[0] > values[1] > values[2]
    assert values[2] == pytest.approx(1 / 3, abs=0.12)


def test_only_the_score_learned_from_fakes_sees_classes_without_variety() -> None:
    """Copies of one typical image per class are all recognised, but teach little."""
    real, (fake, labels) = gaussians(600, 1, apart=2.5, width=20), gaussians(300, 9, apart=2.5, width=20)
    best = [fake[labels == k][(fake[labels == k][:, k]).argmax()] for k in range(3)]
    collapsed = torch.stack(best)[labels] + 1e-3 * fake, labels
    assert found(conditional_accuracy, real, collapsed).value == 1
    assert found(cas, real, collapsed).value < found(cas, real, (fake, labels)).value - 0.05


@learned
def test_order_names_scale_and_place_do_not_matter(compute: Compute) -> None:
    """The value is invariant up to rounding; the error depends on the order through its groups."""
    (real, a), (fake, b) = gaussians(90, 1), gaussians(60, 2, wrong=0.3)
    expected = found(compute, (real, a), (fake, b))
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    for after in (
        found(compute, (real[order], a[order]), (fake.flip(0), b.flip(0))),
        found(compute, (real, 7 - a), (fake, 7 - b)),
        found(compute, (1e-4 * real + 5, a), (1e-4 * fake + 5, b)),
        found(compute, (real, a), (fake, b), seed=3),
    ):
        assert after.value == pytest.approx(expected.value)
        assert after.standard_error == pytest.approx(expected.standard_error, rel=0.3)


@pytest.mark.parametrize(("compute", "n", "m"), [(conditional_accuracy, 60, 240), (cas, 90, 60)])
def test_standard_error_matches_the_spread_over_draws(compute: Compute, n: int, m: int) -> None:
    """The jackknife agrees within a fifth, being a little too large, and intervals contain the mean."""
    sets = [(gaussians(n, 2 * i), gaussians(m, 2 * i + 1, wrong=0.1)) for i in range(110)]
    values = values_of(compute, sets)
    draws = [found(compute, *pair) for pair in sets[:50]]
    ratio = np.mean([draw.standard_error for draw in draws]) / values.std()
    assert 0.87 < ratio < 1.27
    held = [draw.interval is not None and draw.interval[0] <= values.mean() <= draw.interval[1] for draw in draws]
    assert np.mean(held) >= 0.9


@learned
def test_standard_error_counts_the_few_that_a_rule_was_learned_from(compute: Compute) -> None:
    """Learned from 24 images and asked about 1,500, three times the error of the question alone is right."""
    sets = []
    for i in range(60):
        few, many = (gaussians(count, 2 * i + far, apart=1.0, width=8) for far, count in enumerate((24, 1500)))
        sets.append((few, many) if compute is conditional_accuracy else (many, few))
    values = values_of(compute, sets)
    ratio = np.mean([found(compute, *pair).standard_error for pair in sets[:20]]) / values.std()
    assert 0.8 < ratio < 1.3
    assert math.sqrt(values.mean() * (1 - values.mean()) / 1500) < 0.4 * values.std()


@pytest.mark.parametrize("compute", [conditional_accuracy, cas])
def test_what_two_sets_share_is_their_covariance(compute: Compute) -> None:
    """Over draws of few reals, two large sets of fakes have about the covariance that `shared` says."""
    fakes = [gaussians(400, seed, width=12, apart=1.5) for seed in (1001, 1002)]
    reals = [gaussians(60, i, width=12, apart=1.5) for i in range(100)]
    covariance = np.cov(*(values_of(compute, [(real, fake) for real in reals]) for fake in fakes))[0, 1]
    draws = [[found(compute, real, fake) for fake in fakes] for real in reals[:30]]
    said = [float(one.shared @ other.shared) for one, other in draws if one.shared is not None is not other.shared]
    assert np.mean(said) == pytest.approx(covariance, rel=0.45)


@learned
def test_identical_images_are_no_obstacle(compute: Compute) -> None:
    """If the images of a class are identical the nearest class decides, and if all are, the first class wins."""
    points = torch.eye(3, 4).repeat(5, 1), torch.arange(15) % 3
    assert found(compute, points, points).value == 1
    same = torch.ones(15, 4), torch.arange(15) % 3
    assert found(compute, same, same).value == pytest.approx(1 / 3)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over chunks equal sums over all rows."""
    real, fake = gaussians(90, 1), gaussians(60, 2, wrong=0.3)
    expected = found(cas, real, fake)
    monkeypatch.setattr("ganeval.linalg.CHUNK", 7)
    monkeypatch.setattr(discriminant, "CHUNK", 7)
    after = found(cas, real, fake)
    assert (after.value, after.standard_error) == pytest.approx((expected.value, expected.standard_error))


def test_groups_take_from_every_class_alike() -> None:
    """The groups' numbers of each class differ by one at most, and no group holds a whole class."""
    places = np.repeat([0, 1, 2], [40, 13, 2])
    groups = cut(places, 10, seed=0)
    counts = np.array([np.bincount(groups[places == k], minlength=10) for k in range(3)])
    assert counts.max(1).tolist() == [4, 2, 1]
    assert (counts.max(1) - counts.min(1) <= 1).all()
    assert not np.array_equal(groups, cut(places, 10, seed=1))


def test_a_group_left_out_is_a_rule_of_the_others() -> None:
    """Subtracting a group's sums gives the rule learned from the other images, at the same shrinkage."""
    features, labels = gaussians(60, 1)
    _, *others = rules(features, labels.numpy(), groups=4, seed=2)
    group = cut(labels.numpy(), 4, seed=2)
    for number, rule in enumerate(others):
        kept = torch.from_numpy(group != number)
        x, y = features[kept].numpy(), labels[kept].numpy()
        means = np.stack([x[y == k].mean(0) for k in range(3)])
        # W' m = m' S^-1 m: symmetric, and -2 b on its diagonal.
        product = (means - rule.origin.numpy()) @ rule.weights.numpy()
        assert product == pytest.approx(product.T, abs=1e-8)
        assert np.diag(product) == pytest.approx(-2 * rule.offsets.numpy())


def test_reals_are_told_by_their_other_half() -> None:
    """scikit-learn's discriminant of one half has about the same accuracy on the other."""
    features, labels = gaussians(120, 3)
    half, told = cut(labels.numpy(), 2, seed=5), np.zeros(120, dtype=bool)
    for number in (0, 1):
        rule = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.9, priors=[1 / 3] * 3)
        rule.fit(features[half != number].numpy(), labels[half != number].numpy())
        told[half == number] = rule.predict(features[half == number].numpy()) == labels[half == number].numpy()
    found_out = held_out(features, labels.numpy(), seed=5)
    assert found_out.mean == pytest.approx(Shares.of(told, labels.numpy()).mean, abs=0.02)
    assert found_out.counts.tolist() == [40, 40, 40]


def test_steps_of_the_accuracy_are_no_variance() -> None:
    """Random changes, of a different image each time, have no variance on average."""
    rng = np.random.RandomState(0)
    places = np.repeat([0, 1], 50)
    base = rng.rand(100) < 0.8
    variances = []
    for _ in range(200):
        hits = np.stack([base ^ (rng.rand(100) < 0.05) for _ in range(10)])
        variances.append(training_changes(hits, places)[1])
    # What squares of changes are without the subtraction: ten groups', each of 100 images that flip or not.
    unsubtracted = 0.9 * 10 * 0.9 * 0.05 * 0.95 / 100
    assert np.mean(variances) < 0.4 * unsubtracted


def test_what_all_tested_images_agree_on_is_variance() -> None:
    """Groups that each cause the same share of errors have the jackknife's variance."""
    places, lost = np.repeat([0, 1], 5000), np.linspace(0, 0.2, 10)
    hits = np.random.RandomState(0).rand(10000) > lost[:, None]
    changes, variance = training_changes(hits, places)
    assert changes == pytest.approx(lost.mean() - lost, abs=0.01)
    assert variance == pytest.approx(0.9 * 10 * lost.var(), rel=0.1)


def test_the_heads_accuracy_is_its_definition() -> None:
    """The value is the share of largest logits that are the label's, by class and also for the reals."""
    real, fake = logits(200, 1, right=0.9), logits(120, 2, right=0.7)
    estimate = found(head_accuracy, real, fake)
    shares = {f"class {k}": float((fake[0][fake[1] == k].argmax(1) == k).double().mean()) for k in range(4)}
    reals = np.mean([float((real[0][real[1] == k].argmax(1) == k).double().mean()) for k in range(4)])
    assert estimate.details == pytest.approx({"reals": reals, **shares})
    assert estimate.value == pytest.approx(np.mean(list(shares.values())))


def test_the_heads_error_is_binomial() -> None:
    """The error matches the spread over draws of the fakes, and the interval has its nominal coverage."""
    real = logits(80, 1, right=0.9)
    draws = [found(head_accuracy, real, logits(80, seed, right=0.8)) for seed in range(2, 402)]
    values = np.array([draw.value for draw in draws])
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(math.sqrt(0.8 * 0.2 / 80), rel=0.05)
    assert values.std() == pytest.approx(math.sqrt(0.8 * 0.2 / 80), rel=0.12)
    held = [draw.interval is not None and draw.interval[0] <= 0.8 <= draw.interval[1] for draw in draws]
    assert 0.92 <= np.mean(held) <= 0.98
    sure = found(head_accuracy, real, logits(80, 5, right=1.0))
    assert (sure.value, sure.standard_error) == (1, 1 / 80)
    assert sure.interval is not None
    assert sure.interval[0] == pytest.approx(0.954, abs=0.003)


def test_a_head_that_does_not_know_a_class_says_so() -> None:
    """A class whose reals are mostly missed is named with the share; otherwise there is no remark."""
    real, fake = logits(200, 1, right=0.95), logits(120, 2, right=0.95)
    assert found(head_accuracy, real, fake).notes == ()
    of_two = real[1] == 2
    blind = torch.where(of_two[:, None] & (torch.arange(200) % 10 > 0)[:, None], real[0].roll(1, 1), real[0])
    estimate = head_accuracy(blind, fake[0], real_labels=real[1], fake_labels=fake[1], class_names={2: "bag"})
    (note,) = estimate.notes
    share = float((blind[of_two].argmax(1) == 2).double().mean())
    assert share < 0.3
    assert f"does not know 1 of 4 classes: it classifies only {share:.0%} of the reals of class bag correctly" in note
    assert "use conditional_accuracy" in note


def test_a_share_of_all_is_as_sure_as_a_share_of_all_but_one() -> None:
    """For classes without a miss the error is that of one miss, averaged over images, for equal and unequal sizes."""
    for counts in ([20, 20], [5, 40, 100]):
        places = np.repeat(np.arange(len(counts)), counts)
        certain = Shares.of(np.ones(len(places), dtype=bool), places)
        missed = [Shares.of(np.arange(len(places)) != miss, places) for miss in range(len(places))]
        assert certain.variance == 0
        assert certain.error() == pytest.approx(np.mean([math.sqrt(one.variance) for one in missed]))
        assert certain.error(learned=0.25) == 0.5


def test_a_head_of_other_classes_is_refused() -> None:
    """Shifted classes, a few random hits, and unknown classes are refused with what would work."""
    real, labels = logits(200, 1, right=0.9)
    for others in (labels + 1, torch.where(labels > 0, 1 + labels % 3, 0), labels + 50, -labels - 1):
        with pytest.raises(MetricError, match=r"for only [01] of 4 classes .* Use conditional_accuracy"):
            head_accuracy(real, real, real_labels=others, fake_labels=others)
