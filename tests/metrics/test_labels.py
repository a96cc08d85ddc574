"""Classes of two sets: what is refused, and shares by class."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.cas import cas
from ganeval.metrics.conditional_accuracy import conditional_accuracy
from ganeval.metrics.head_accuracy import head_accuracy
from ganeval.metrics.intra_fid import intra_fid
from ganeval.metrics.labels import Shares, by_class, common_classes, influence

METRICS = {
    "Intra-class FID": intra_fid,
    "Classification accuracy": cas,
    "Accuracy by class": conditional_accuracy,
    "Accuracy by class (head)": head_accuracy,
}


def labels(*of_classes: int) -> Tensor:
    return torch.tensor(of_classes)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("real_labels", "fake_labels", "message"),
    [
        (labels(7, 7, 7, 7, 7, 7), labels(7, 7, 7, 7, 7, 7), "at least 2 classes, but all reals are of class 7"),
        (labels(1, 1, 2, 2, 5, 5), labels(1, 1, 1, 1, 1, 1), r"fakes of every class .*none of 2 \(class 2, 5\)"),
        (labels(1, 1, 1, 2, 2, 2), labels(1, 1, 2, 2, 3, 4), r"reals of every class .*none of 2 \(class 3, 4\)"),
        (
            labels(1, 1, 1, 2, 2, 2),
            labels(1, 1, 1, 1, 1, 2),
            "at least 2 fake images of every class, found 1 of class 2",
        ),
        (
            labels(1, 2, 2, 2, 2, 2),
            labels(1, 1, 1, 2, 2, 2),
            "at least 2 real images of every class, found 1 of class 1",
        ),
        (labels(1, 1, 1, 2, 2), labels(1, 1, 1, 2, 2, 2), r"for 6 real images found torch.int64 of shape \[5\]"),
        (torch.ones(6), labels(1, 1, 1, 2, 2, 2), "integer .*found torch.float32"),
        ([1, 1, 1, 2, 2, 2], labels(1, 1, 1, 2, 2, 2), "integer tensor .*found list"),
    ],
)
def test_labels_that_make_no_sense_are_refused(
    metric: str, real_labels: Tensor, fake_labels: Tensor, message: str
) -> None:
    """One class, classes of one set alone, too few images of one, another number of labels, fractions, and a list."""
    real, fake = torch.randn(6, 8), torch.randn(6, 8)
    with pytest.raises(MetricError, match=message) as raised:
        METRICS[metric](real, fake, real_labels=real_labels, fake_labels=fake_labels)
    assert str(raised.value).startswith(("Labels must", metric.partition(" (")[0]))
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize("metric", [intra_fid, conditional_accuracy, head_accuracy, cas])
@pytest.mark.parametrize("names", [["cat", "dog"], "cat", 5])
def test_names_of_classes_are_by_number(metric, names: object) -> None:  # type: ignore[no-untyped-def]
    """A list of names is refused with the form that is expected."""
    features, labels = torch.eye(4).repeat(10, 1), torch.arange(40) % 4
    with pytest.raises(MetricError, match=rf"as in \{{0: 'cat', 1: 'dog'\}}, found {type(names).__name__}\."):
        metric(features, features, real_labels=labels, fake_labels=labels, class_names=names)


def test_many_missing_classes_are_counted_and_not_listed() -> None:
    """A message stays readable for a thousand classes."""
    with pytest.raises(MetricError, match=r"none of 998 \(class 2, 3, 4, 5, 6, \.\.\.\)"):
        common_classes(
            torch.randn(1000, 2), torch.randn(4, 2), torch.arange(1000), labels(0, 0, 1, 1), metric="It", least=1
        )


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_shares_are_their_definition(images: list[tuple[int, bool]]) -> None:
    """A loop over classes gives the same shares, and each image's part adds up to the variance."""
    names = sorted({name for name, _ in images})
    images += [(name, True) for name in names]
    places = np.array([names.index(name) for name, _ in images])
    hits = np.array([hit for _, hit in images])
    shares = Shares.of(hits, places)
    expected = [np.mean([hit for name, hit in images if name == wanted]) for wanted in names]
    assert shares.values == pytest.approx(np.array(expected))
    assert shares.mean == pytest.approx(np.mean(expected))
    variances = [np.var([hit for name, hit in images if name == wanted], ddof=1) for wanted in names]
    variance = sum(one / count for one, count in zip(variances, shares.counts, strict=True)) / len(names) ** 2
    assert shares.variance == pytest.approx(variance)
    assert np.square(influence(hits, places)).sum() == pytest.approx(variance)


def test_rows_are_parted_by_class_in_their_order() -> None:
    """Class names need not begin at 0 nor follow each other."""
    real = torch.arange(6.0)[:, None]
    classes = common_classes(real, real, labels(9, -4, 9, 3, 3, -4), labels(3, 3, 9, 9, -4, -4), metric="It", least=2)
    assert classes.names.tolist() == [-4, 3, 9]
    assert [rows[:, 0].tolist() for rows in by_class(real, classes.real)] == [[1, 5], [3, 4], [0, 2]]
    assert classes.details(np.array([1.0, 2.0, 3.0])) == {"class -4": 1, "class 3": 2, "class 9": 3}
