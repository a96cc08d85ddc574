"""Methods compared over training runs: spreads, Welch's test, verdicts, and what is refused."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

import ganeval
from ganeval.comparison import holm
from ganeval.errors import ResultError, UsageError
from ganeval.gate import read_history
from ganeval.report import ReportInputs, Subject, read_inputs, render
from ganeval.results import Evaluation, MetricResult
from ganeval.run_statistics import compare_saved_runs, run_spreads, runs_needed
from ganeval.runs import RunsComparison
from ganeval.tables import spread_cells
from ganeval.uncertainty import Estimate
from ganeval.wording import between_text, method_verdict_text, within_text

SCHEMA = json.loads((Path(__file__).parents[1] / "docs/result.schema.json").read_text(encoding="utf-8"))
ABOUT: dict[str, Any] = {
    **dict.fromkeys(("extractor", "weights", "preprocessing", "protocol", "device"), "x"),
    "weights_sha256": "",
    "published_weights": True,
    "precision": "fp32",
    "dimensions": 8,
    "seed": 0,
    "versions": {"ganeval": "1", "python": "3", "torch": "2"},
    "created": "2026-01-01T00:00:00+00:00",
    "real": {"name": "reals", "kind": "folder", "count": 100, "digest": "abc"},
    "fake": {"name": "fakes", "kind": "generator", "count": 100, "digest": None},
}
values_of_runs = st.lists(st.floats(-100, 100), min_size=2, max_size=6, unique=True)


def result(value: float, error: float | None = 0.1, **fields: Any) -> MetricResult:
    """A metric's result of 100 fakes, which does not look at the reals."""
    given = {"direction": "lower", "n_real": None, "n_fake": 100, "method": "m", **fields}
    return MetricResult(value, error, None, **given)


def run(value: float, error: float | None = 0.1, *, about: dict[str, Any] | None = None, **fields: Any) -> Evaluation:
    """A run with one metric."""
    return Evaluation({"m": result(value, error, **fields)}, {**ABOUT, **(about or {})}, comparable=True)


def methods(a: Sequence[float], b: Sequence[float], **fields: Any) -> RunsComparison:
    """Two methods with runs of these values."""
    return compare_saved_runs(
        {
            name: {str(number): run(value, **fields) for number, value in enumerate(side)}
            for name, side in zip("AB", (a, b), strict=True)
        }
    )


@settings(max_examples=60, deadline=None)
@given(values_of_runs, values_of_runs)
def test_the_test_of_two_methods_is_welchs(a: list[float], b: list[float]) -> None:
    """Difference, interval, degrees of freedom and p-value are those of scipy's t-test with unequal variances."""
    if set(a) & set(b) or min(np.ptp(a), np.ptp(b)) < 1e-3:
        return
    (found,) = methods(a, b).differences
    wanted = stats.ttest_ind(b, a, equal_var=False)
    interval = wanted.confidence_interval(0.95)
    assert found.scope == "methods"
    assert found.value == pytest.approx(np.mean(b) - np.mean(a), abs=1e-9)
    assert found.freedom == pytest.approx(wanted.df)
    assert found.p_value == pytest.approx(wanted.pvalue, rel=1e-6, abs=1e-12)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    ("direction", "ideal", "means", "value", "verdict"),
    [
        ("lower", None, (1.0, 2.0), 1.0, "worse"),
        ("higher", None, (1.0, 2.0), 1.0, "better"),
        ("closer", 0.5, (0.9, 0.4), -0.3, "better"),
    ],
)
def test_the_verdict_follows_the_direction(
    direction: str, ideal: float | None, means: tuple[float, float], value: float, verdict: str
) -> None:
    """Of a metric with an ideal, the distances of the runs from it are compared."""
    a, b = ([mean - 0.01, mean, mean + 0.01] for mean in means)
    (found,) = methods(a, b, direction=direction, ideal=ideal).differences
    assert found.value == pytest.approx(value)
    assert found.verdict == verdict


def test_p_values_are_corrected_over_metrics_and_pairs() -> None:
    """Three methods and two metrics are six tests, corrected by Holm's method."""
    rng = np.random.RandomState(0)
    runs = {
        name: {
            str(number): replace(run(0), metrics={"m": result(shift + rng.randn()), "k": result(rng.randn())})
            for number in range(3)
        }
        for name, shift in (("A", 0), ("B", 3), ("C", 9))
    }
    found = compare_saved_runs(runs).differences
    pairs = [("A", "B", "m"), ("A", "B", "k"), ("A", "C", "m"), ("A", "C", "k"), ("B", "C", "m"), ("B", "C", "k")]
    assert [(one.first, one.second, one.metric) for one in found] == pairs
    assert [one.p_corrected for one in found] == holm([one.p_value for one in found])
    assert [one.metric for one in compare_saved_runs(runs, metrics=["k"]).differences] == ["k"] * 3


def test_values_without_any_spread_prove_nothing() -> None:
    """Where the runs of both methods are equal to the last digit, p is 1 and no number of runs is named."""
    runs = {
        name: {str(n): run(value, about={"created": f"2026-01-0{n + 1}"}) for n in range(2)}
        for name, value in (("A", 1.0), ("B", 2.0))
    }
    compared = compare_saved_runs(runs)
    (found,) = compared.differences
    assert (found.value, found.standard_error, found.p_value, found.verdict, found.needed) == (1, 0, 1, "unclear", None)
    for one in compared.spreads:
        cells = spread_cells(one, runs[one.method]["0"]["m"], comparable=True)
        assert cells[1:4] == (f"{one.mean:.3f} ± 0", "-", "-")


@pytest.mark.parametrize("variances", [(1.0, 1.0), (1.0, 9.0), (0.01, 4.0)])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_the_runs_that_are_needed_have_a_power_of_four_fifths(variances: tuple[float, float], level: float) -> None:
    """The power by scipy's noncentral t is 80% at the number of runs, and less with one fewer."""

    def power(count: int) -> float:
        parts = [one / count for one in variances]
        freedom = sum(parts) ** 2 / sum(part**2 / (count - 1) for part in parts)
        bound, shift = stats.t.ppf(1 - level / 2, freedom), 1 / math.sqrt(sum(parts))
        return float(stats.nct.sf(bound, freedom, shift) + stats.nct.cdf(-bound, freedom, shift))

    count = runs_needed(1.0, variances, level)
    assert count is not None
    assert power(count) >= 0.8
    assert power(count - 1) < 0.8


def test_the_textbooks_number_of_runs() -> None:
    """A difference of one standard deviation needs 17 a group, and half of it 64 (Cohen 1988)."""
    assert (runs_needed(1.0, (1.0, 1.0)), runs_needed(0.5, (1.0, 1.0))) == (17, 64)
    # Beyond a thousand, the normal distribution: 2 (1.95996 + 0.84162)^2 / 0.01^2 = 156977.6.
    assert runs_needed(0.01, (1.0, 1.0)) == 156978
    assert runs_needed(100.0, (1.0, 1.0)) == 2
    assert runs_needed(0.0, (1.0, 1.0)) is runs_needed(1.0, (0.0, 0.0)) is None


@settings(max_examples=40, deadline=None)
@given(values_of_runs, st.floats(0, 50))
def test_the_variance_of_runs_is_that_between_and_that_within(values: list[float], error: float) -> None:
    """deviation^2 = between^2 + within^2 where the runs spread more than their images, and between is 0 otherwise."""
    (found,) = run_spreads({"A": {str(n): run(value, error) for n, value in enumerate(values)}}, ["m"])
    assert found.deviation is not None
    assume(found.deviation)
    assert found.between is not None
    assert found.between_interval is not None
    assert found.mean == pytest.approx(np.mean(values))
    assert found.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert found.within == pytest.approx(error)
    assert found.between**2 == pytest.approx(max(found.deviation**2 - error**2, 0), abs=1e-6)
    low, high = found.between_interval
    assert 0 <= low <= high
    bounds = [(len(values) - 1) * found.deviation**2 / stats.chi2(len(values) - 1).isf(tail) for tail in (0.025, 0.975)]
    assert [low**2, high**2] == pytest.approx([max(one - error**2, 0) for one in bounds], abs=1e-6)


def test_the_part_of_the_error_that_is_common_to_all_runs_is_not_within_them() -> None:
    """With errors of 5 of which the reals' part is 4, one run's own is 3; from saved results it is at most 5."""
    shared = np.array([4.0])
    live = {
        str(n): replace(run(value, 5.0, n_real=100), estimates={"m": Estimate(value, 5.0, None, "m", shared=shared)})
        for n, value in enumerate((10.0, 20.0, 30.0))
    }
    saved = {name: replace(one, estimates={}) for name, one in live.items()}
    (exact,), (bound,) = run_spreads({"A": live}, ["m"]), run_spreads({"A": saved}, ["m"])
    assert [exact.within, bound.within] == pytest.approx([3, 5])
    assert [exact.within_at_most, bound.within_at_most] == [False, True]
    assert exact.between_interval is not None
    assert bound.between_interval is not None
    # Its upper end holds whatever the images' part is.
    assert bound.between_interval[1] == pytest.approx(10 * math.sqrt(2 / stats.chi2(2).isf(0.975)))
    assert within_text(bound) == "at most 5.0"
    assert between_text(bound).startswith("at least 8.7 (")


def test_one_run_a_side_says_nothing_of_the_methods() -> None:
    """The interval is of these models, there is no p-value and no verdict, and a warning says what is missing."""
    compared = methods([10.0], [20.0], error=3.0)
    (found,) = compared.differences
    assert (found.scope, found.verdict, found.p_value, found.freedom) == ("models", "unknown", None, None)
    assert found.standard_error == pytest.approx(math.sqrt(18))
    assert found.interval == pytest.approx((10 - 1.959964 * math.sqrt(18), 10 + 1.959964 * math.sqrt(18)))
    assert "A and B have one run" in compared.warnings[0]
    assert method_verdict_text(found, "A", "B") == "no verdict on the methods: one run"
    assert compared.spreads[0].standard_error is compared.spreads[0].between is None


def test_two_runs_against_more_are_warned_of() -> None:
    """Welch's test is too bold there, as the benchmark shows; with as many runs of each it is not."""
    assert "A: two runs, and more of another method" in methods([1.0, 2.0], [3.0, 4.0, 5.0]).warnings[0]
    assert methods([1.0, 2.0], [3.0, 4.0]).warnings == methods([1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]).warnings == ()


def test_the_error_of_models_is_rather_too_large() -> None:
    """Saved runs of a method may owe their errors to the same reals, so their mean has the error of one."""
    (found,) = methods([10.0], [20.0, 22.0, 24.0], error=3.0, n_real=100).differences
    assert found.standard_error == pytest.approx(math.sqrt(3**2 + 3**2))
    (known,) = methods([10.0], [20.0, 22.0, 24.0], error=3.0).differences
    assert known.standard_error == pytest.approx(math.sqrt(3**2 + 3**2 / 3))
    (unknown,) = methods([10.0], [20.0], error=None).differences
    assert (unknown.standard_error, unknown.interval) == (None, None)


def test_what_is_needed_is_in_the_words_of_the_verdict() -> None:
    """An unclear verdict names the number of runs, unless it is too large to be advice."""
    (found,) = methods((1.0, 2.0, 3.0), (1.5, 2.5, 3.6)).differences
    assert found.needed == runs_needed(found.value, (1.0, float(np.var((1.5, 2.5, 3.6), ddof=1))))
    assert method_verdict_text(found, "A", "B") == f"can't tell; about {found.needed} runs of each method would"
    assert "not even 10,000 runs" in method_verdict_text(replace(found, needed=10**6), "A", "B")


def _runs(**other: Any) -> dict[str, dict[str, Evaluation]]:
    """Two methods of two runs, the last of which is replaced. other: what the last run has instead."""
    return {
        "A": {"1": run(1.0), "2": run(2.0)},
        "B": {"1": run(3.0), "2": run(4.0, **other)},
    }


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"A": {"1": run(1.0)}}, "needs at least two of them, found 1"),
        ({"A": {"1": run(1.0)}, "B": {}}, "The method 'B' has no run"),
        ({"A": {"1": run(1.0)}, "B": {"2": run(1.0)}}, "B: 2 and A: 1 are the same images"),
        (
            _runs(about={"fake": {"digest": "x"}}) | {"C": {"1": run(9.0, about={"fake": {"digest": "x"}})}},
            "same images",
        ),
        (_runs(about={"extractor": "other"}), "extractor is other for the one and x for the other"),
        (_runs(about={"protocol": "clean"}), "protocol is clean"),
        (_runs(n_fake=50), "n_fake is 50 for the one and 100 for the other; give --num-samples"),
        (_runs(n_real=100), "n_real is 100"),
        (_runs(options={"k": 3}), r"options.k is 3"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(runs: dict[str, dict[str, Evaluation]], message: str) -> None:
    """Too few methods, a run twice, and runs that were measured differently are refused, with what differs."""
    with pytest.raises(UsageError, match=message):
        compare_saved_runs(runs)


def test_a_metric_that_one_run_lacks_is_left_out_or_refused() -> None:
    """It is left out with a warning; if it was asked for, or nothing is left, that is an error."""
    runs = _runs()
    runs["A"]["2"] = replace(runs["A"]["2"], metrics={**runs["A"]["2"].metrics, "k": result(0)})
    found = compare_saved_runs(runs)
    assert [one.metric for one in found.differences] == ["m"]
    assert found.warnings == ("k is left out: A: 1, B: 1, B: 2 have none.",)
    with pytest.raises(UsageError, match="A: 1 has no k; all runs have m"):
        compare_saved_runs(runs, metrics=["k"])
    runs["B"]["1"] = replace(runs["B"]["1"], metrics={"k": result(0)})
    with pytest.raises(UsageError, match="no metric in common"):
        compare_saved_runs(runs)


def test_a_comparison_survives_its_json() -> None:
    """It is read back as it was, and its document has the published schema."""
    found = methods([1.0, 2.0], [3.0])
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert RunsComparison.from_json(json.dumps(document)) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"methods": {"A": {"0": {"schema": 1}}}}, "no ganeval result: it has no 'metrics'"),
        ({"spreads": [{"metric": "m"}]}, "is damaged: it lacks 'method'"),
        ({"differences": [{"verdict": "good", "scope": "methods"}]}, "unknown verdict"),
    ],
)
def test_damaged_documents_are_refused(change: dict[str, Any], message: str) -> None:
    """A newer schema and missing or unknown fields are refused with the document's name."""
    document = methods([1.0, 2.0], [3.0, 4.0]).to_dict() | change
    with pytest.raises(ResultError, match=message):
        RunsComparison.from_dict(document, name="a.json")
    with pytest.raises(ResultError, match="no 'methods'"):
        RunsComparison.from_dict({"schema": 1})


def test_values_of_runs_that_are_not_there_are_damage() -> None:
    """A spread has a value for every run of its method, and a difference is one of methods of the document."""
    document = methods([1.0, 2.0], [3.0, 4.0]).to_dict()
    document["spreads"][0]["values"] = (1.0,)
    with pytest.raises(ResultError, match="not those of the runs of A"):
        RunsComparison.from_dict(document)
    document = methods([1.0, 2.0], [3.0, 4.0]).to_dict()
    document["differences"][0]["first"] = "C"
    with pytest.raises(ResultError, match="not both among the methods"):
        RunsComparison.from_dict(document)


def _draw(top: int, seed: int) -> torch.Tensor:
    return torch.randint(top, (40, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_runs_are_measured_against_the_same_reals() -> None:
    """Measured together, each run has the value that it has alone; results know what the reals contribute to each."""
    how: dict[str, Any] = {"metrics": ["fid"], "extractor": "pixels:4", "cache": False}
    real, runs = _draw(256, 0), {"A": [_draw(256, 1), _draw(250, 2)], "B": [_draw(200, 3), _draw(210, 4)]}
    found = ganeval.compare_runs(real, runs, **how)
    assert list(found.evaluations) == ["A: 1", "A: 2", "B: 1", "B: 2"]
    alone = ganeval.evaluate(real, runs["B"][1], **how)
    assert found.runs["B"]["2"]["fid"] == alone["fid"]
    assert [one.within_at_most for one in found.spreads] == [False, False]
    saved = compare_saved_runs(RunsComparison.from_dict(found.to_dict()).runs)
    assert saved.differences == found.differences
    assert [one.within_at_most for one in saved.spreads] == [False, False]
    document = found.to_dict()
    for runs_of_one in document["methods"].values():
        for run in runs_of_one.values():
            del run["metrics"]["fid"]["reals"]
    earlier = compare_saved_runs(RunsComparison.from_dict(document).runs)
    assert [one.within_at_most for one in earlier.spreads] == [True, True]
    for known, kept, bound in zip(found.spreads, saved.spreads, earlier.spreads, strict=True):
        assert known.within is not None
        assert bound.within is not None
        # Whole numbers up to 127 stand for the influences.
        assert kept.within == pytest.approx(known.within, rel=0.02)
        assert known.within < bound.within


def test_a_run_is_given_once() -> None:
    """A name that occurs twice is refused before anything is read."""
    with pytest.raises(UsageError, match="has the run digits:test twice"):
        ganeval.compare_runs("digits:train", {"A": ["digits:test", "digits:test"], "B": ["digits:train"]})


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"A": "a", "B": ["b"]}, "The runs of 'A' are a list, a run each; found str"),
        ({"A": ["a"], "B": torch.zeros(2, 3, 4, 4)}, "The runs of 'B' are a list, a run each; found Tensor"),
        ([["a"], ["b"]], "Give methods by name, .*; found list"),
    ],
)
def test_runs_are_lists_by_the_name_of_the_method(runs: Any, message: str) -> None:
    """A text is not taken for a list of its letters, nor a tensor for one of its images."""
    with pytest.raises(UsageError, match=message):
        ganeval.compare_runs("digits:train", runs)


def test_a_page_shows_runs_as_dots(tmp_path: Path) -> None:
    """The page has a dot per run, the verdict on the methods, one colour per method, and no differences of runs."""
    compared = compare_saved_runs(
        {
            name: {str(n): run(value, n_real=100) for n, value in enumerate(side)}
            for name, side in (("the <old> one", (1.0, 1.1, 1.2)), ("new", (5.0, 5.1)))
        }
    )
    (tmp_path / "runs.json").write_text(json.dumps(compared.to_dict()))
    inputs = read_inputs([tmp_path / "runs.json"])
    assert inputs.methods is not None
    page = render(inputs)
    section = page[page.index('<section id="runs"') : page.index('<section id="values"')]
    assert section.count("<circle") == 5
    assert "the &lt;old&gt; one" in section
    assert "<bdi>new</bdi> is worse than" in section
    assert 'id="differences"' not in page
    assert page.count("--c: var(--series-1)") == 4
    subjects = [Subject(name, one) for name, one in compared.evaluations.items()]
    assert render(ReportInputs(subjects, methods=compared)) == page


def test_history_shows_the_seeds_of_a_method_as_one_entry(tmp_path: Path) -> None:
    """seed-0 and seed-1 of a folder are one entry with their mean; those measured differently stay apart."""

    def save(name: str, one: Evaluation) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(one.to_json())

    for number, value in enumerate((1.0, 2.0, 6.0)):
        save(f"v1/seed-{number}/result.json", run(value, about={"created": f"2026-01-0{number + 1}"}))
    save("single.json", run(7.0, about={"created": "2026-01-02"}))
    save("v2/seed-0/result.json", run(4.0, about={"created": "2026-01-05"}))
    save("v3/seed-0/result.json", run(4.0, about={"created": "2026-01-06", "extractor": "other"}))
    save("v3/seed-1/result.json", run(5.0, about={"created": "2026-01-07"}))
    found = read_history(tmp_path, "m")
    names = ["single.json", "v1", "v2/seed-0/result.json", "v3/seed-0/result.json", "v3/seed-1/result.json"]
    assert [one.name for one in found.entries] == names
    entry = found.entries[1]
    assert (entry.value.value, entry.runs, entry.created) == (3.0, (1.0, 2.0, 6.0), "2026-01-03")
    assert entry.value.standard_error == pytest.approx(np.std((1, 2, 6), ddof=1) / math.sqrt(3))
    assert [one.name for one in read_history(tmp_path / "v1", "m").entries] == ["v1"]


def test_saved_runs_are_files_or_results(tmp_path: Path) -> None:
    """Files give what the results in them give, and both can be mixed; a file counts once, under any spelling."""
    values = {"A": (1.0, 1.1), "B": (2.0, 2.2)}
    files = {name: [tmp_path / f"{name}{number}.json" for number in (0, 1)] for name in values}
    for name, paths in files.items():
        for path, value in zip(paths, values[name], strict=True):
            path.write_text(run(value).to_json(), encoding="utf-8")
    found = compare_saved_runs(files)
    assert found.differences == methods(*values.values()).differences
    assert list(found.runs["A"]) == [str(path) for path in files["A"]]
    mixed = compare_saved_runs({"A": {"x": run(1.0), "y": run(1.1)}, "B": list(map(str, files["B"]))})
    assert mixed.differences == found.differences
    other = tmp_path / "." / "A0.json"
    with pytest.raises(UsageError, match=r"A0\.json is twice a run of A"):
        compare_saved_runs({"A": [files["A"][0], f"{tmp_path}/../{tmp_path.name}/A0.json"], "B": files["B"]})
    with pytest.raises(UsageError, match=r"A0\.json is a run of A and of B"):
        compare_saved_runs({"A": files["A"], "B": [other]})
    for wrong, kind in (([run(2.0)], "Evaluation"), ({"b": str(files["B"][0])}, "str")):
        with pytest.raises(UsageError, match=f"found {kind} of 'B'"):
            compare_saved_runs({"A": files["A"], "B": wrong})
    with pytest.raises(ResultError, match=r"none\.json cannot be read"):
        compare_saved_runs({"A": files["A"], "B": [tmp_path / "none.json"]})
