"""Outcomes: the documented truth table, directions, sample sizes, and the error rates of the gate."""

import math
import random
import re
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
from gate_helpers import evaluation, metric
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval.errors import GanevalError, ResultError, UsageError
from ganeval.gate import Allowance, Check, MetricCheck, Thresholds, Tolerance, check, check_successor
from ganeval.gate.outcomes import GRAVITY
from ganeval.gate.thresholds import parse_thresholds
from ganeval.results import Evaluation, MetricResult

PAGE = Path(__file__).parents[2] / "docs/gate.md"
OTHERS = {"other protocol": {"protocol": "clean"}, "other reals": {"real": {"name": "r", "digest": "b", "count": 1000}}}


def truth_table() -> list[list[str]]:
    """The rows of the table of examples in docs/gate.md."""
    lines = PAGE.read_text(encoding="utf-8").split("| tolerance | baseline | result | outcome |\n")[1].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines[1:] if line.startswith("|")]
    return rows[: next((number for number, row in enumerate(rows) if len(row) != 4), len(rows))]


def read(cell: str) -> Evaluation | None:
    """A result, from its notation in a cell of the table."""
    words, _, other = cell.partition(", ")
    if words == "none":
        return None
    if words == "without fid":
        return evaluation({"kid": metric()})
    value, _, error = words.partition(" ± ")
    return evaluation({"fid": metric(float(value), float(error) if error else None)}, **OTHERS.get(other, {}))


@pytest.mark.parametrize(("tolerance", "baseline", "result", "verdict"), truth_table())
def test_the_truth_table_is_true(tolerance: str, baseline: str, result: str, verdict: str) -> None:
    """The gate agrees with every row of the documented table."""
    lines = re.sub(r", (?=\w+ = )", "\n", tolerance.strip("`"))
    thresholds = parse_thresholds(f"[fid]\n{lines}", name="t.toml")
    now = read(result)
    assert now is not None
    if verdict == "error":
        with pytest.raises(GanevalError):
            check(now, read(baseline), thresholds)
        return
    assert check(now, read(baseline), thresholds).outcome == verdict


def test_the_truth_table_has_every_verdict() -> None:
    """The table has every outcome and every kind of tolerance."""
    rows = truth_table()
    assert {row[3] for row in rows} == {*GRAVITY, "error"}
    assert {key for row in rows for key in re.findall(r"\w+(?= = )", row[0])} == {
        "max",
        "min",
        "worse_by",
        "significance",
        "may_be_missing",
    }


def judged(tolerance: Tolerance, was: MetricResult, now: MetricResult) -> MetricCheck:
    """The outcome of one metric."""
    (one,) = check(evaluation({"m": now}), evaluation({"m": was}), Thresholds({"m": tolerance}, "t.toml", {})).metrics
    return one


TOLERANCES = st.builds(
    Tolerance,
    worse_by=st.none() | st.builds(Allowance, st.floats(0, 5)),
    significance=st.none() | st.floats(0.001, 0.4),
).filter(lambda one: one.compares)
VALUES = st.floats(-100, 100)
ERRORS = st.floats(0, 10)


@settings(max_examples=60)
@given(TOLERANCES, VALUES, VALUES, ERRORS, ERRORS)
def test_higher_is_the_mirror_of_lower(
    tolerance: Tolerance, was: float, now: float, error: float, other: float
) -> None:
    """Where higher is better, the outcome equals that of the negated values where lower is better."""
    lower = judged(tolerance, metric(was, error), metric(now, other))
    higher = judged(tolerance, metric(-was, error, direction="higher"), metric(-now, other, direction="higher"))
    assert (lower.outcome, lower.images) == (higher.outcome, higher.images)


@settings(max_examples=60)
@given(TOLERANCES, VALUES, VALUES, ERRORS, ERRORS)
def test_worse_is_never_judged_better(
    tolerance: Tolerance, was: float, now: float, error: float, further: float
) -> None:
    """A worse value never has a better outcome."""
    order = ["improved", "pass", "inconclusive", "untestable", "regressed"]
    one = judged(tolerance, metric(was, error), metric(now, error)).outcome
    worse = judged(tolerance, metric(was, error), metric(now + further, error)).outcome
    assert order.index(worse) >= order.index(one)


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [(48.0, 46.0, "regressed"), (48.0, 54.0, "regressed"), (48.0, 52.0, "pass"), (46.0, 51.0, "improved")],
)
def test_closer_is_judged_by_the_way_from_the_ideal(was: float, now: float, verdict: str) -> None:
    """A metric with an ideal is worse when further from it, on either side."""
    ideal = {"direction": "closer", "ideal": 50.0}
    tolerance = parse_thresholds("[m]\nworse_by = 1", name="t").tolerances["m"]
    assert judged(tolerance, metric(was, **ideal), metric(now, **ideal)).outcome == verdict


def test_rounding_is_no_change() -> None:
    """A change in the last digits, as between devices, is no regression; without noise, no power is claimed."""
    tolerance = Tolerance(significance=0.01)
    one = judged(tolerance, metric(10.0, 0.0), metric(10.0 * (1 + 1e-12), 0.0))
    assert (one.outcome, one.reason) == ("pass", "unchanged; noise explains 0 (significance 0.01).")


def test_as_many_images_as_are_said_settle_it_four_times_in_five() -> None:
    """With the advised number of images, and a true change equal to the observed one, 80% of checks are conclusive."""
    tolerance = parse_thresholds("[m]\nworse_by = 1\nsignificance = 0.05", name="t").tolerances["m"]
    first = judged(tolerance, metric(10, 0.3), metric(11.5, 0.4))
    assert first.outcome == "inconclusive"
    assert first.images is not None
    shrink = math.sqrt(1000 / first.images)
    rng, settled = random.Random(0), 0
    for _ in range(2000):
        was, now = rng.gauss(10, 0.3 * shrink), rng.gauss(11.5, 0.4 * shrink)
        again = judged(tolerance, metric(was, 0.3 * shrink), metric(now, 0.4 * shrink))
        settled += again.outcome == "regressed"
    assert settled / 2000 == pytest.approx(0.8, abs=0.03)


def test_no_number_is_advised_where_none_would_do() -> None:
    """No number of images is advised for a change equal to the tolerance, and the reason says so."""
    tolerance = parse_thresholds("[m]\nworse_by = 1\nsignificance = 0.05", name="t").tolerances["m"]
    one = judged(tolerance, metric(10, 0.3), metric(11, 0.3))
    assert (one.outcome, one.images) == ("inconclusive", None)
    assert "would not settle it" in one.reason


def red_share(significance: float, change: float, *, worse_by: str = "", draws: int = 1024) -> float:
    """The share of red checks in repeated draws, for a true change in standard errors of the change.

    Both values are normal, and evenly spread (Hammersley's points): a rate of 5% or less is off by 0.12
    points at most, and a power by half a point.
    """
    text = f"[m]\nsignificance = {significance}\n" + (f"worse_by = {worse_by}" if worse_by else "")
    tolerance = parse_thresholds(text, name="t").tolerances["m"]
    errors, red = (0.3, 0.4), 0
    for number in range(draws):
        # The second is the number with its binary digits reversed.
        places = ((number + 0.5) / draws, int(f"{number:032b}"[::-1], 2) / 2**32 + 2**-11)
        first, second = map(NormalDist().inv_cdf, places)
        values = (10.0 + errors[0] * first, 10.0 + change * math.hypot(*errors) + errors[1] * second)
        one = judged(tolerance, *(metric(value, error) for value, error in zip(values, errors, strict=True)))
        red += one.outcome == "regressed"
    return red / draws


@pytest.mark.parametrize("significance", [0.05, 0.02, 0.01])
def test_noise_alone_fails_at_the_stated_rate(significance: float) -> None:
    """Without a true change the gate is red as often as the significance says, within 0.3 points."""
    assert red_share(significance, 0.0) == pytest.approx(significance, abs=0.003)


@pytest.mark.parametrize("significance", [0.05, 0.02])
def test_a_change_of_three_standard_errors_is_caught(significance: float) -> None:
    """A true change of 3 standard errors of the change is red in more than 80% of checks."""
    assert red_share(significance, 3.0) > 0.8


def test_a_change_of_the_allowed_size_fails_at_the_stated_rate() -> None:
    """With worse_by, a true change of exactly that size is red as often as the significance says."""
    assert red_share(0.05, 2.0, worse_by="1.0") == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize("significance", [0.05, 0.02, 0.01, 0.001])
def test_the_documented_power_is_right(significance: float) -> None:
    """The documented table of detection rates follows from the normal distribution."""
    page = PAGE.read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {significance:g} \| (.*) \|$", page, re.MULTILINE)
    quantile = NormalDist().inv_cdf(1 - significance)
    expected = [NormalDist().cdf(change - quantile) for change in (0, 2, 3, 4)]
    found = [float(cell.rstrip("%")) / 100 for cell in row.split(" | ")]
    assert found == pytest.approx(expected, abs=0.005)
    if significance == 0.01:
        assert red_share(significance, 3.0) == pytest.approx(found[2], abs=0.01)


def whole(**metrics: tuple[float, str]) -> Check:
    """A check of several metrics: each a value, and the tolerance as TOML; the baseline is 10 ± 0.3."""
    thresholds = parse_thresholds("\n".join(f"[{name}]\n{rest}" for name, (_, rest) in metrics.items()), name="t")
    result = evaluation({name: metric(value) for name, (value, _) in metrics.items()})
    return check(result, evaluation({name: metric() for name in metrics}), thresholds)


def test_several_metrics_come_to_the_gravest_verdict() -> None:
    """The overall outcome and exit code are the first of regressed, incomparable, inconclusive, improved, pass."""
    better, same = (8.0, "significance = 0.01"), (10.0, "significance = 0.01")
    open_ = (10.9, "worse_by = 1\nsignificance = 0.01")
    worse = (12.0, "significance = 0.01")
    assert whole(a=same).outcome == "pass"
    assert whole(a=same, b=better).outcome == "improved"
    unsure = whole(a=better, b=open_)
    assert (unsure.outcome, unsure.exit_code(), unsure.exit_code(strict=True)) == ("inconclusive", 0, 4)
    red = whole(a=open_, b=worse, c=better)
    assert (red.outcome, red.exit_code(), red.exit_code(strict=True)) == ("regressed", 1, 1)
    other = evaluation({"a": metric(), "b": metric(options={"k": 3})})
    text = "[a]\nsignificance = 0.01\n[b]\nsignificance = 0.01"
    mixed = check(other, evaluation({"a": metric(), "b": metric()}), parse_thresholds(text, name="t"))
    assert (mixed.outcome, mixed.exit_code()) == ("incomparable", 3)


def test_without_thresholds_every_metric_of_the_baseline_is_judged() -> None:
    """The significance is 0.01 for each; missing error bars, missing metrics and new metrics are reported."""
    result = evaluation({"a": metric(20), "b": metric(20, None), "c": metric(20)})
    baseline = evaluation({"a": metric(), "b": metric(10, None), "d": metric()})
    found = check(result, baseline, None)
    assert [(one.metric, one.outcome, str(one.tolerance)) for one in found.metrics] == [
        ("a", "regressed", "significance 0.01"),
        ("b", "untestable", "significance 0.01"),
        ("d", "missing", "significance 0.01"),
    ]
    assert "The baseline does not hold c: nothing was compared there." in found.notes


@pytest.mark.parametrize(
    ("result", "baseline", "text"),
    [
        (evaluation(), None, None),
        (evaluation(), evaluation({}), None),
        (evaluation({}), evaluation({}), None),
        (evaluation(), None, "[fid]\nmay_be_missing = true"),
    ],
)
def test_where_there_is_nothing_to_check_nothing_passes(
    result: Evaluation, baseline: Evaluation | None, text: str | None
) -> None:
    """Without a baseline, with an empty one, or with empty thresholds the check is an error."""
    with pytest.raises(UsageError, match="nothing to check"):
        check(result, baseline, None if text is None else parse_thresholds(text, name="t"))


def verdicts(result: Evaluation, baseline: Evaluation | None, text: str | None = None) -> dict[str, str]:
    """By metric; text: the thresholds, None for the usual ones."""
    found = check(result, baseline, None if text is None else parse_thresholds(text, name="t"))
    return {one.metric: one.outcome for one in found.metrics}


def test_what_the_baseline_holds_must_be_in_the_result() -> None:
    """A missing or renamed metric has its own outcome, even without a tolerance."""
    two, one = evaluation({"fid": metric(), "is": metric(7.0)}), evaluation({"is": metric(7.0)})
    assert verdicts(one, two) == {"fid": "missing", "is": "pass"}
    assert verdicts(one, two, "[is]\nmax = 9") == {"is": "pass", "fid": "missing"}
    assert verdicts(one, two, "[fid]\nmax = 9") == {"fid": "missing"}
    assert verdicts(evaluation({"FID": metric()}), evaluation()) == {"fid": "missing"}
    found = check(one, two, None)
    assert (found.outcome, found.exit_code(), found.exit_code(strict=True)) == ("missing", 5, 5)
    assert "write may_be_missing = true for it" in found.metrics[0].reason


def test_only_a_threshold_lets_a_metric_be_missing() -> None:
    """may_be_missing passes an absent metric; a present one is judged by the table, or by the usual significance."""
    two, one = evaluation({"fid": metric(), "is": metric(7.0)}), evaluation({"is": metric(7.0)})
    worse = evaluation({"fid": metric(20.0), "is": metric(7.0)})
    alone = "[fid]\nmay_be_missing = true"
    assert verdicts(one, two, alone) == {"fid": "pass", "is": "pass"}
    assert verdicts(worse, two, alone) == {"fid": "regressed", "is": "pass"}
    assert verdicts(one, two, f"{alone}\nmax = 12\n[is]\nmin = 5") == {"fid": "pass", "is": "pass"}
    assert verdicts(worse, two, f"{alone}\nmax = 12\n[is]\nmin = 5") == {"fid": "regressed", "is": "pass"}
    assert verdicts(worse, two, f"{alone}\n[is]\nmin = 5") == {"is": "pass"}


def test_a_pass_without_a_test_is_a_warning() -> None:
    """If no metric with a tolerance is present, the check warns that it tested nothing."""
    thresholds = parse_thresholds("[fdi]\nmax = 1\nmay_be_missing = true", name="t")
    warnings = check(evaluation(), None, thresholds).warnings
    assert warnings[0].startswith("No metric was tested")
    assert warnings[1] == "Neither result nor baseline holds fdi; is the name right?"


@pytest.mark.parametrize(
    "text", ["max = 12", "worse_by = 1", "significance = 0.01", "worse_by = 1\nsignificance = 0.1"]
)
@pytest.mark.parametrize("error", [1e300, 1e308, 1e5])
def test_an_error_bar_that_says_nothing_lets_nothing_pass(text: str, error: float) -> None:
    """An error of more than 1,000 times the value is untestable under every tolerance."""
    absurd = evaluation({"fid": metric(10.0, error)})
    assert verdicts(absurd, evaluation(), f"[fid]\n{text}") == {"fid": "untestable"}
    if "max" not in text:
        assert verdicts(evaluation(), absurd, f"[fid]\n{text}") == {"fid": "untestable"}
        assert verdicts(absurd, absurd, f"[fid]\n{text}") == {"fid": "untestable"}


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (1e6, 1e5, "regressed"),
        (1e6, 5e5, "untestable"),
        (1e6, 1e300, "untestable"),
        (40.0, 13.0, "untestable"),
        (12.0, 3.5, "untestable"),
        (12.0, 2.0, "pass"),
        (10.0, 2.9, "pass"),
    ],
)
def test_a_result_that_blunts_the_test_does_not_pass(value: float, error: float, verdict: str) -> None:
    """Against a baseline of 10 ± 0.3, an error 10 times as large makes a test that would miss a doubling untestable."""
    assert verdicts(evaluation({"fid": metric(value, error)}), evaluation()) == {"fid": verdict}
    both = verdicts(evaluation({"fid": metric(value, error)}), evaluation(), "[fid]\nworse_by = 1\nsignificance = 0.01")
    assert both == {"fid": "inconclusive" if verdict == "pass" else verdict}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ((-0.0065, 0.0058), (0.004, 0.006)),  # KID of a perfect generator, near 0
        ((1e-5, 0.0058), (-1e-5, 0.0058)),
        ((0.0, 0.0), (0.01, 0.005)),  # shares
        ((1.0, 0.0), (0.98, 0.02)),
        ((0.0, 0.0), (0.0, 0.0)),
        ((0.9, 0.18), (1.0, 0.4)),  # a small FID
    ],
)
def test_sane_error_bars_are_no_reason_to_doubt(was: tuple[float, float], now: tuple[float, float]) -> None:
    """Values near 0, shares without spread, and slightly different errors are tested as usual."""
    assert verdicts(evaluation({"fid": metric(*now)}), evaluation({"fid": metric(*was)})) == {"fid": "pass"}


def test_numbers_at_the_end_of_floats_are_judged_or_named() -> None:
    """A change that overflows a float is untestable; a significance of 1e-320 is valid."""
    low, high = (evaluation({"fid": metric(value, 1.0)}) for value in (-1e308, 1e308))
    for text in ("worse_by = 1", "worse_by = '5%'", "significance = 0.01", "worse_by = 1\nsignificance = 0.01"):
        assert verdicts(high, low, f"[fid]\n{text}") == {"fid": "untestable"}
    assert verdicts(high, high, "[fid]\nworse_by = '300%'") == {"fid": "untestable"}
    tiny = "[fid]\nsignificance = 1e-320"
    assert verdicts(evaluation({"fid": metric(25.0)}), evaluation(), tiny) == {"fid": "pass"}
    assert verdicts(evaluation({"fid": metric(30.0)}), evaluation(), tiny) == {"fid": "regressed"}


def test_doubts_about_the_files_are_warnings() -> None:
    """A result older than its baseline, the baseline's own measurement, and new warnings are reported."""
    old, new = (
        evaluation({"fid": metric(value)}, created=f"2026-01-0{day}T00:00:00+00:00")
        for value, day in ((10, 1), (11, 2))
    )
    assert check(new, old, None).warnings == ()
    (older,) = check(old, new, None).warnings
    assert older.startswith("The result (2026-01-01T00:00:00+00:00) is older than the baseline")
    (same,) = check(old, old, None).warnings
    assert same == "The result is the baseline's own measurement: nothing was measured since."
    noisy = replace(new, warnings=("kid is left out.", "known"))
    (told,) = check(noisy, replace(old, warnings=("known",)), None).warnings
    assert told == "The result was measured with a warning: kid is left out."
    for unknown in (None, "yesterday", 3):
        assert check(new, evaluation({"fid": metric(11.5)}, created=unknown), None).warnings == ()


def test_fakes_that_are_the_reals_are_a_warning() -> None:
    """A score of the reals against themselves has a warning, and so has a noise floor; unknown digests have none."""
    side = {"name": "x", "kind": "folder", "count": 1000, "digest": "a" * 64}
    perfect = evaluation({"fid": metric(0.0, 0.0)}, fake=side)
    found = check(perfect, evaluation(), None)
    assert (found.outcome, found.warnings) == (
        "improved",
        ("The result's fakes are its reals, byte for byte: it measures no generator.",),
    )
    halves = side | {"name": "x, random halves"}
    assert check(evaluation({"fid": metric(9.0)}, real=halves, fake=halves), evaluation(), None).warnings == (
        "The result is a noise floor, of halves of the reals: it measures no generator.",
    )
    nowhere = side | {"digest": None}
    for fake in (nowhere, side | {"digest": "b" * 64}):
        assert check(evaluation({"fid": metric(9.0)}, fake=fake), evaluation(), None).warnings == ()
    assert check(evaluation({"fid": metric(9.0)}, real=nowhere, fake=nowhere), evaluation(), None).warnings == ()


def test_a_successor_loses_nothing() -> None:
    """A new baseline keeps the old one's metrics and settings, and its other metrics can be tested."""
    two, one = evaluation({"fid": metric(), "is": metric(7.0)}), evaluation({"is": metric(7.0)})
    only_is = parse_thresholds("[is]\nmin = 5", name="t")
    assert check_successor(two, one, only_is).exit_code() == 0
    assert check_successor(one, two, only_is).outcome == "missing"
    other = evaluation({"fid": metric(n_fake=500), "is": metric(7.0)})
    assert check_successor(other, two, only_is).outcome == "incomparable"
    assert check_successor(evaluation({"fid": metric(10.0, 1e300)}), None, None).outcome == "untestable"
    assert check_successor(two, evaluation(), None).outcome == "pass"
    assert check_successor(evaluation(), None, None).warnings == ()


def test_notes_say_what_the_verdicts_do_not() -> None:
    """Another version of ganeval is noted, and so is a shared reference where noise matters."""
    result = evaluation(versions={"ganeval": "0.2.0"})
    thresholds = parse_thresholds("[fid]\nsignificance = 0.01", name="t")
    notes = check(result, evaluation(), thresholds).notes
    assert notes[0] == "The baseline was measured by ganeval 0.1.0, the result by 0.2.0."
    assert "same real images" in notes[1]
    by_amount = parse_thresholds("[fid]\nworse_by = 1", name="t")
    assert check(evaluation(), evaluation(), by_amount).notes == ()
    assert check(evaluation(), None, parse_thresholds("[fid]\nmax = 12", name="t")).notes == ()


@pytest.mark.parametrize(
    ("result", "baseline", "text", "kind", "words"),
    [
        (
            evaluation(),
            None,
            "[fdi]\nmax = 1",
            UsageError,
            r"t, line 1, \[fdi\]: .* no metric 'fdi'; did you mean 'fid'",
        ),
        (evaluation(), None, "[kid]\nmax = 1", UsageError, "did you mean .fid.. Or measure it as well"),
        (evaluation(), None, "\n[fid]\nworse_by = 1", UsageError, r"line 2, \[fid\] compares .*give --baseline"),
        (evaluation({"fid": metric(math.nan)}), None, "[fid]\nmax = 1", ResultError, "The result's fid is nan"),
        (
            evaluation(),
            evaluation({"fid": metric(error=math.inf)}),
            "[fid]\nmax = 1",
            ResultError,
            "The baseline's fid is 10.0 ± inf",
        ),
    ],
    ids=["misspelt", "not-measured", "no-baseline", "nan", "infinite"],
)
def test_what_cannot_be_judged_is_an_error(
    result: Evaluation, baseline: Evaluation | None, text: str, kind: type[Exception], words: str
) -> None:
    """A tolerance that cannot be applied is an error."""
    with pytest.raises(kind, match=words):
        check(result, baseline, parse_thresholds(text, name="t"))


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"extractor": "digits"}, ["extractor"]),
        ({"weights_sha256": "f" * 64}, ["weights_sha256"]),
        ({"preprocessing": "other", "precision": "bf16"}, ["preprocessing", "precision"]),
        ({"protocol": "clean"}, ["protocol"]),
        ({"real": {"name": "real", "kind": "folder", "count": 1000, "digest": "c" * 64}}, ["real"]),
        ({"real": {"name": "real", "kind": "folder", "count": 1000, "digest": None}}, ["real"]),
        ({"real": None}, ["real"]),
        ({"device": "cuda", "seed": 7}, []),
    ],
)
def test_what_was_measured_otherwise_is_incomparable(change: dict[str, Any], fields: list[str]) -> None:
    """Every field that determines a number must be equal, and a different one is named; devices may differ."""
    one = check(evaluation(**change), evaluation(), parse_thresholds("[fid]\nmax = 12", name="t")).metrics[0]
    assert [difference.field for difference in one.mismatches] == fields
    assert (one.outcome == "incomparable") == bool(fields)
    assert all(field in one.reason for field in fields)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"n_fake": 990}, []),
        ({"n_fake": 989}, ["n_fake"]),
        ({"n_real": 1011}, ["n_real"]),
        ({"n_real": None}, ["n_real"]),
        ({"options": {"k": 3}}, ["options.k"]),
        ({"options": {}}, ["options.k"]),
        ({"direction": "higher"}, ["direction"]),
        ({"direction": "closer", "ideal": 1.0}, ["direction", "ideal"]),
    ],
)
def test_a_metric_measured_otherwise_is_incomparable(change: dict[str, Any], fields: list[str]) -> None:
    """A metric's options and direction must be equal, and its counts equal within one percent."""
    result = evaluation({"fid": replace(metric(), **change)})
    one = check(result, evaluation(), parse_thresholds("[fid]\nworse_by = 1", name="t")).metrics[0]
    assert [difference.field for difference in one.mismatches] == fields


def test_reals_without_a_digest_are_known_by_name() -> None:
    """If neither side has a digest of the reals, their kind and name are compared."""
    live = {"kind": "generator", "count": 1000, "digest": None}
    one, same, other = (evaluation(real={**live, "name": name}) for name in ("a", "a", "b"))
    thresholds = parse_thresholds("[fid]\nworse_by = 1", name="t")
    assert check(one, same, thresholds).outcome == "pass"
    assert check(one, other, thresholds).outcome == "incomparable"


def test_a_metric_of_fakes_alone_does_not_mind_other_reals() -> None:
    """The inception score does not use the reals, so other reals do not make it incomparable."""
    alone = {"is": metric(n_real=None)}
    other = evaluation(alone, real={"name": "r", "kind": "folder", "count": 9, "digest": "b"})
    assert check(other, evaluation(alone), parse_thresholds("[is]\nworse_by = 1", name="t")).outcome == "pass"


def test_options_that_went_through_json_are_the_same() -> None:
    """A tuple in a new result equals the list in a saved one."""
    fresh, saved = (evaluation({"fid": metric(options={"orders": one})}) for one in ((1, 2), [1, 2]))
    assert check(fresh, saved, parse_thresholds("[fid]\nworse_by = 1", name="t")).outcome == "pass"


def test_a_metric_that_the_baseline_lacks_is_incomparable() -> None:
    """A tolerance that compares needs the metric on both sides; a bound alone does not."""
    result, baseline = evaluation({"kid": metric()}), evaluation()
    one = check(result, baseline, parse_thresholds("[kid]\nworse_by = 1", name="t")).metrics[0]
    assert [str(difference) for difference in one.mismatches] == ["metrics.kid (one, the baseline has none)"]
    bound = check(result, evaluation({}), parse_thresholds("[kid]\nmax = 12", name="t"))
    assert bound.outcome == "pass"
