"""Generators compared: differences, their errors, p-values and verdicts."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core_helpers import values_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

import ganeval
from ganeval.comparison import Comparison, Difference, differences, holm
from ganeval.errors import ResultError, UsageError
from ganeval.metrics import METRICS
from ganeval.metrics.nearest import near_copies
from ganeval.results import Evaluation, MetricResult
from ganeval.uncertainty import Estimate

PROVENANCE = {
    "extractor": "x",
    "weights_sha256": "",
    "preprocessing": "",
    "protocol": "tensorflow",
    "precision": "fp32",
    "versions": {"ganeval": "1"},
}


def result(value: float, error: float | None, *, direction: str = "lower", ideal: float | None = None) -> MetricResult:
    interval = None if error is None else (value - 2 * error, value + 2 * error)
    return MetricResult(value, error, interval, direction, 100, 100, "m", ideal=ideal)


def evaluation(**metrics: MetricResult) -> Evaluation:
    return Evaluation(metrics, PROVENANCE, comparable=True)


def only(a: MetricResult, b: MetricResult, shared: float | None = None) -> Difference:
    """The difference of one metric of two generators."""
    (found,) = differences({"A": evaluation(m=a), "B": evaluation(m=b)}, lambda *_: shared)
    return found


def test_a_difference_has_the_error_of_what_is_not_common() -> None:
    """The error is sqrt(3^2 + 4^2 - 2 * 8) = 3 with a covariance of 8, and 5 if it is unknown."""
    paired, unpaired = only(result(10, 3.0), result(16, 4.0), 8.0), only(result(10, 3.0), result(16, 4.0))
    assert (paired.value, paired.standard_error, paired.paired) == (6, 3, True)
    assert (unpaired.standard_error, unpaired.paired) == (5, False)
    assert paired.p_value == pytest.approx(2 * stats.norm.sf(2))
    assert paired.interval == pytest.approx((6 - 1.959964 * 3, 6 + 1.959964 * 3))
    assert (paired.verdict, unpaired.verdict) == ("worse", "unclear")


@pytest.mark.parametrize(
    ("direction", "ideal", "values", "value", "verdict"),
    [
        ("lower", None, (1.0, 2.0), 1.0, "worse"),
        ("lower", None, (2.0, 1.0), -1.0, "better"),
        ("higher", None, (1.0, 2.0), 1.0, "better"),
        ("higher", None, (2.0, 1.0), -1.0, "worse"),
        ("closer", 0.5, (0.6, 0.9), 0.3, "worse"),
        ("closer", 0.5, (0.9, 0.4), -0.3, "better"),
    ],
)
def test_the_verdict_follows_the_direction(
    direction: str, ideal: float | None, values: tuple[float, float], value: float, verdict: str
) -> None:
    """The difference of a metric with an ideal is that of the distances from it."""
    one, other = (result(number, 0.01, direction=direction, ideal=ideal) for number in values)
    found = only(one, other)
    assert found.value == pytest.approx(value)
    assert found.verdict == verdict


def test_on_either_side_of_an_ideal_common_noise_adds() -> None:
    """On opposite sides of an ideal, a change common to both values improves one and worsens the other."""
    one, other = (result(number, 0.1, direction="closer", ideal=0.5) for number in (0.2, 0.8))
    assert only(one, other, 0.01).standard_error == pytest.approx(0.2)
    # 0.01 + 0.01 - 0.02 is 2e-18 in floats.
    assert only(other, other, 0.01).standard_error == 0


def test_without_an_error_bar_nothing_is_said() -> None:
    """Without an error bar the difference has no p-value or verdict."""
    found = only(result(1.0, None), result(2.0, 0.1))
    assert (found.value, found.standard_error, found.p_value, found.interval) == (1.0, None, None, None)
    assert (found.verdict, found.needed) == ("unknown", None)


def test_the_same_numbers_are_no_difference() -> None:
    """Equal values are no difference, even with an error of 0."""
    found = only(result(1.0, 0.1), result(1.0, 0.1), 0.01)
    assert (found.value, found.p_value, found.verdict, found.needed) == (0.0, 1.0, "unclear", None)


@pytest.mark.parametrize("error", [0.0, 1e-17])
def test_no_error_is_no_certainty(error: float) -> None:
    """If neither set showed variation, the verdict is that these images cannot tell, for any difference."""
    found = only(result(1.0, error), result(0.5, 0.0))
    assert (found.value, found.standard_error, found.p_value) == (-0.5, 0.0, 1.0)
    assert (found.verdict, found.needed) == ("unclear", None)


@pytest.mark.parametrize(("one", "other"), [(0.0, 4.4e-16), (1e6, 1e6 + 1e-7)])
def test_rounding_is_no_difference(one: float, other: float) -> None:
    """Rounding of zero or large values is no difference, however small the errors are."""
    found = only(result(one, 0.0), result(other, 7e-17))
    assert (found.value, found.p_value, found.verdict) == (0.0, 1.0, "unclear")


@pytest.mark.parametrize(("images", "verdict"), [(2, "unclear"), (40, "worse")])
def test_shares_of_few_images_prove_nothing(images: int, verdict: str) -> None:
    """One class of two wrong is not significant with two images each, and is with 40."""
    labels = torch.arange(2).repeat(images)
    right, wrong = torch.eye(2)[labels], torch.eye(2)[labels * 0]
    for name in ("head_accuracy", "conditional_accuracy", "mode_coverage"):
        row, found = METRICS[name], []
        for fake in (right, wrong):
            data = {} if name == "mode_coverage" else {"real_labels": labels, "fake_labels": labels}
            given = row.compute(right, fake, **data)
            one = given if isinstance(given, Estimate) else given[name]
            found.append(MetricResult(one.value, one.standard_error, one.interval, "higher", 4, 4, "m"))
        difference = only(*found, 0.0)
        assert (difference.value, difference.verdict) == (-0.5, verdict)


def test_as_many_images_as_needed_would_tell() -> None:
    """With the error for the advised number of images, four of five draws are significant."""
    found = only(result(0.0, 1.0), result(1.0, 1.0))
    assert found.needed is not None
    error = math.sqrt(2) * math.sqrt(100 / found.needed)
    assert stats.norm.sf(1.959964 - 1 / error) == pytest.approx(0.8, abs=0.002)
    assert only(result(0.0, 0.1), result(1.0, 0.1)).needed is None


def test_every_two_generators_are_compared_in_every_shared_metric() -> None:
    """Pairs are in the given order, the later generator against the earlier."""
    sets = {
        "A": evaluation(m=result(1, 1), k=result(1, 1)),
        "B": evaluation(m=result(2, 1), k=result(1, 1)),
        "C": evaluation(m=result(3, 1)),
    }
    found = [(one.metric, one.first, one.second, one.value) for one in differences(sets, lambda *_: None)]
    assert found == [("m", "A", "B", 1), ("k", "A", "B", 0), ("m", "A", "C", 2), ("m", "B", "C", 1)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_holm_is_scipys_step_down(p_values: Sequence[float]) -> None:
    """Each corrected value is the running maximum of p times the number of hypotheses that are left."""
    ordered = sorted(range(len(p_values)), key=lambda place: p_values[place])
    expected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(ordered):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        expected[place] = highest
    assert holm([*p_values, None]) == [*expected, None]


def test_correction_keeps_false_alarms_rare() -> None:
    """Of 400 comparisons of 10 true nulls, about 5% have a significant difference; uncorrected it would be 40%."""
    rng = np.random.RandomState(0)
    p_values = 2 * stats.norm.sf(np.abs(rng.randn(400, 10)))
    corrected = [min(float(p) for p in holm(row.tolist()) if p is not None) < 0.05 for row in p_values]
    assert 0.02 < np.mean(corrected) < 0.085
    assert (p_values.min(1) < 0.05).mean() > 0.3


def draw(rng: np.random.RandomState, count: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """A skewed distribution in 4 dimensions."""
    normal = rng.randn(count, 4)
    return torch.from_numpy(scale * (normal + normal**2 / 4) + shift)


@pytest.mark.parametrize("name", ["fid", "kid", "precision", "nn", "diversity", "mifid", "fid_infinity"])
def test_paired_errors_are_right_where_the_reals_are_shared(name: str) -> None:
    """Over fresh reals and fakes the difference has the stated error, and pairing makes it smaller."""
    rng = np.random.RandomState(1)
    sets = []
    for _ in range(40):
        real = draw(rng, 100)
        sets.append([(real, draw(rng, 200, scale=scale, shift=0.8)) for scale in (1.0, 1.1)])

    def measured(pair: tuple[Tensor, Tensor]) -> Estimate:
        given = METRICS[name].compute(*pair)
        return given[name] if isinstance(given, Mapping) else given

    with values_alone():
        values = [measured(other).value - measured(one).value for one, other in sets]
    paired, unpaired = [], []
    for pairs in sets[:15]:
        a, b = map(measured, pairs)
        assert a.shared is not None
        assert b.shared is not None
        assert a.standard_error is not None
        assert b.standard_error is not None
        apart = a.standard_error**2 + b.standard_error**2
        unpaired.append(apart)
        paired.append(max(apart - 2 * float(a.shared @ b.shared), 0.0))
    spread = np.var(values, ddof=1)
    # The variance of 40 draws is known to 23%; the mean of 15 estimates of so few reals is off by a third at times.
    assert 0.45 * spread < np.mean(paired) < 2.2 * spread
    assert np.mean(paired) < 0.9 * np.mean(unpaired)


def test_a_comparison_reads_the_reals_once_and_says_who_is_better() -> None:
    """Digits with noise are worse in all metrics of quality, and the error of FID is a paired one."""
    reals, fakes = (torch.from_numpy(part) for part in digits())
    noisy = (fakes.float() + 60 * torch.randn(fakes.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    found = ganeval.compare(
        reals,
        {"clean": fakes, "noisy": noisy.to(torch.uint8)},
        metrics=["fid", "is", "precision"],
        extractor="digits",
        cache=False,
    )
    assert {one.metric: one.verdict for one in found.differences} == {
        "fid": "worse",
        "is": "worse",
        "precision": "worse",
    }
    fid = found.differences[0]
    a, b = (found.evaluations[name]["fid"] for name in ("clean", "noisy"))
    assert fid.value == pytest.approx(b.value - a.value)
    assert fid.standard_error is not None
    assert fid.standard_error < math.hypot(a.standard_error or 0, b.standard_error or 0)
    assert all(one.paired for one in found.differences)


def test_unequal_numbers_of_images_are_remarked_on() -> None:
    """Unequal numbers have a remark, because most metrics are biased by them."""
    reals, fakes = (torch.from_numpy(part[:60]) for part in digits())
    found = ganeval.compare(reals, {"a": fakes, "b": fakes[:40]}, metrics=["kid"], extractor="pixels:8", cache=False)
    assert "a 60, b 40" in found.warnings[0]
    assert found.differences[0].verdict == "unclear"


def test_small_p_values_are_no_zeros() -> None:
    """At 6.5, 11 and 35 standard errors they are scipy's to twelve digits; rounding had made them 0 beyond 8.3."""
    for distance in (6.5, 11.0, 35.0):
        pair = {"a": evaluation(m=result(1.0, 0.6)), "b": evaluation(m=result(1.0 + distance, 0.8))}
        (found,) = differences(pair, lambda *_: None)
        assert found.p_value == pytest.approx(2 * stats.norm.sf(distance), rel=1e-12, abs=0)


def test_the_same_images_under_two_names_are_remarked_on(tmp_path: Path) -> None:
    """Whatever holds them; other images are not."""
    reals, fakes = (torch.from_numpy(part[:60]) for part in digits())
    np.save(tmp_path / "again.npy", fakes.permute(0, 2, 3, 1).numpy())
    given = {"a": fakes, "again": tmp_path / "again.npy", "b": fakes.flip(3), "twice": fakes.clone()}
    found = ganeval.compare(reals, given, metrics=["kid"], extractor="pixels:8", cache=False)
    alike = [text.split(":")[0] for text in found.warnings if "the same images" in text]
    assert alike == ["again and a are the same images", "twice and a are the same images"]


def test_copies_are_no_quality() -> None:
    """Exact or near copies are reported for every precision, and other generators are not."""
    real, held_out = (torch.from_numpy(side) for side in digits())
    near = real[:200].clone()
    near[:, :, 4, 4] += 1
    fakes = {"honest": held_out[:200], "copies": torch.cat([held_out[:190], real[:10]]), "near": near}
    chosen = {"extractor": "digits", "cache": False}
    found = ganeval.compare(real[:600], fakes, metrics=["precision", "coverage"], **chosen)
    exact, close = (text for text in found.warnings if "see `ganeval nn`" in text)
    assert exact.startswith("copies: 10 of its 200 images equal a real in every pixel. FID, KID, precision")
    assert close.startswith("near: 144 of 200 are closer to a real than 99% of unseen reals would be.")
    assert found.evaluations["near"]["precision"].value > found.evaluations["honest"]["precision"].value
    # Without features exact copies are seen all the same.
    logits = ganeval.compare(real[:600], fakes, metrics=["mode_coverage"], **chosen)
    assert [text[:25] for text in logits.warnings if "ganeval nn" in text] == ["copies: 10 of its 200 ima"]


@pytest.mark.parametrize(("n", "m", "width"), [(40, 60, 2), (100, 60, 50), (300, 300, 8)])
def test_a_set_of_the_reals_own_kind_is_not_suspected(n: int, m: int, width: int) -> None:
    """None of 30 draws is suspected, with heavy tails, with clusters or without; copies always are."""
    for seed in range(30):
        rng = torch.Generator().manual_seed(seed)
        both = torch.randn(n + m, width, generator=rng)
        if seed % 3 == 0:
            both *= torch.exp(torch.randn(n + m, 1, generator=rng))
        if seed % 3 == 1:
            both += 8 * torch.randint(0, 4, (n + m, 1), generator=rng)
        real, fake = both[:n], both[n:]
        assert near_copies(real, fake) is None
        if seed < 6:
            assert near_copies(real, real[torch.arange(m) % n] + 1e-5) == (m, m)


def test_one_generator_is_no_comparison() -> None:
    """A comparison needs at least two generators, by name."""
    for compared, what in ((ganeval.compare, "generators"), (ganeval.compare_pairs, "methods")):
        with pytest.raises(UsageError, match=f"at least two {what}, found 1"):
            compared("digits:train", {"a": "digits:test"})
        fakes: Any
        for fakes in (["digits:test", "digits:train"], None):
            with pytest.raises(UsageError, match=f"Give {what} by name, .*; found {type(fakes).__name__}"):
                compared("digits:train", fakes)
        with pytest.raises(UsageError, match=f"Names of {what} are texts, as in .*; found 1"):
            compared("digits:train", {1: "digits:test", 2: "digits:train"})  # type: ignore[dict-item]


def test_a_comparison_survives_being_saved() -> None:
    """Every field survives JSON."""
    sets = {"A": evaluation(m=result(1, 0.1)), "B": evaluation(m=result(2, None)), "C": evaluation(m=result(9, 0.1))}
    found = Comparison(sets, differences(sets, lambda *_: 0.001), ("careful",))
    assert Comparison.from_json(json.dumps(found.to_dict())) == found


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": 2}, "schema 2"),
        ({"differences": [{}]}, "damaged"),
        ({"generators": {"A": {}}}, "'schema'"),
        ({"warnings": None}, "damaged"),
    ],
)
def test_what_is_no_comparison_is_refused(change: dict[str, Any], complaint: str) -> None:
    """A newer schema, a missing field, another document, and invalid JSON are refused."""
    document = Comparison({"A": evaluation(m=result(1, 0.1))}, ()).to_dict()
    with pytest.raises(ResultError, match=complaint):
        Comparison.from_json(json.dumps({**document, **change}))
    with pytest.raises(ResultError, match="not JSON"):
        Comparison.from_json("{")
    with pytest.raises(ResultError, match="no ganeval comparison"):
        Comparison.from_json("{}")


def digits() -> tuple[Any, Any]:
    """The embedded digits as uint8 [N, 3, 8, 8]: training and test."""
    from sklearn.datasets import load_digits

    images = (load_digits().images * 15.9375).astype(np.uint8)[:, None].repeat(3, 1)
    return images[:600], images[600:900]
