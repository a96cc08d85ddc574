"""Several extractors over one reading, and where their verdicts disagree."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core_helpers import count_decodes, random_images, write_folder

import ganeval
from ganeval.comparison import Comparison, ExtractorsComparison, joint_differences
from ganeval.errors import ResultError, UsageError
from ganeval.results import Evaluation, MetricResult

PROVENANCE = {
    "extractor": "x",
    "weights_sha256": "",
    "preprocessing": "",
    "protocol": "tensorflow",
    "precision": "fp32",
    "versions": {"ganeval": "1"},
}


def compared(**values: dict[str, float]) -> ExtractorsComparison:
    """By extractor and generator, the value of a metric with a standard error of 1."""
    sets = {
        extractor: {
            name: Evaluation(
                {"fid": MetricResult(value, 1.0, (value - 2, value + 2), "lower", 100, 100, "m")},
                PROVENANCE,
                comparable=True,
            )
            for name, value in found.items()
        }
        for extractor, found in values.items()
    }
    judged = joint_differences([(one, lambda *_: 0.0) for one in sets.values()])
    pairs = zip(sets.items(), judged, strict=True)
    return ExtractorsComparison({name: Comparison(one, gaps) for (name, one), gaps in pairs})


@pytest.mark.parametrize("extractors", [["digits", "pixels:2"], ["pixels:2", "digits"]])
def test_images_are_decoded_once_and_every_extractor_gives_what_it_gives_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extractors: list[str]
) -> None:
    """Two extractors read each image once, with the values and signatures of each alone; both compute moments.

    Only the digits' have logits, whichever comes first.
    """
    real, fake = write_folder(tmp_path / "real", 80, seed=1), write_folder(tmp_path / "fake", 80, seed=2)
    decoded = count_decodes(monkeypatch)
    both = ganeval.evaluate_extractors(real, fake, extractors=extractors, metrics=None, cache=False)
    assert len(decoded) == 160
    for name, found in both.items():
        alone = ganeval.evaluate(real, fake, extractor=name, metrics=None, cache=False)
        assert found.signature == alone.signature
        assert {key: one.value for key, one in found.metrics.items()} == {
            key: one.value for key, one in alone.metrics.items()
        }
    assert set(both["digits"]) - set(both["pixels:2"]) == {"is"}
    assert any("is (the extractor 'pixels:2' gives no logits)" in text for text in both["pixels:2"].warnings)


def test_features_of_several_extractors_are_kept_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run reads no image, also where the extractors have different outputs."""
    real, fake = write_folder(tmp_path / "real", 6, seed=1), write_folder(tmp_path / "fake", 6, seed=2)
    settings = {"extractors": ["digits", "pixels:4"], "metrics": None, "cache_dir": tmp_path / "cache"}
    first = ganeval.evaluate_extractors(real, fake, **settings)
    decoded = count_decodes(monkeypatch)
    again = ganeval.evaluate_extractors(real, fake, **settings)
    assert decoded == []
    assert again["pixels:4"]["fid"].value == first["pixels:4"]["fid"].value


def test_a_metric_that_was_named_must_be_allowed_by_all() -> None:
    """A named metric that one extractor does not allow is refused."""
    with pytest.raises(UsageError, match="'pixels' gives only features"):
        ganeval.evaluate_extractors(
            random_images(4), random_images(4), extractors=["digits", "pixels"], metrics=["is"], cache=False
        )


@pytest.mark.parametrize(
    ("extractors", "settings", "complaint"),
    [
        (["digits"], {}, "two or more"),
        ("digits", {}, "two or more"),
        (["digits", "digits"], {}, "'digits' was given twice"),
        (["digits", "pixels"], {"extractor": "digits"}, "leave extractor out"),
        (["digits", "pixels"], {"weights": Path("some.pth")}, "A weights file belongs to one extractor"),
        (["digits", "pixels"], {"protocol": "cmmd"}, "The protocol cmmd uses the extractor"),
    ],
)
def test_what_is_not_several_extractors_is_refused(
    extractors: list[str], settings: dict[str, object], complaint: str
) -> None:
    """One extractor, one twice, or settings of one extractor alone are errors."""
    with pytest.raises(UsageError, match=complaint):
        ganeval.evaluate_extractors(random_images(4), random_images(4), extractors=extractors, **settings)


def test_features_are_of_one_extractor(tmp_path: Path) -> None:
    """Precomputed features cannot be measured by several extractors."""
    np.save(tmp_path / "rows.npy", np.random.RandomState(0).randn(20, 4).astype(np.float32))
    features = f"features:{tmp_path / 'rows.npy'}"
    with pytest.raises(UsageError, match="holds features of one extractor"):
        ganeval.evaluate_extractors(features, features, extractors=["digits", "pixels"])


def test_verdicts_that_contradict_each_other_are_pointed_out() -> None:
    """Opposite significant verdicts give a sentence, and each generator is best by one extractor alone."""
    found = compared(lite0={"A": 10.0, "B": 30.0}, digits={"A": 30.0, "B": 10.0})
    assert found.disagreements == (
        "fid: B is better than A by digits and worse by lite0.",
        "fid: A is better than all others by lite0 alone, and not by digits.",
        "fid: B is better than all others by digits alone, and not by lite0.",
    )
    assert found.agreements == ()


def test_a_verdict_of_one_extractor_alone_is_pointed_out() -> None:
    """A generator that only one extractor calls best is named; the other is unclear, so nothing is contradicted."""
    found = compared(lite0={"A": 10.0, "B": 30.0}, digits={"A": 10.0, "B": 10.5})
    assert found.disagreements == ("fid: A is better than all others by lite0 alone, and not by digits.",)


def test_agreement_is_of_all_pairs_and_extractors() -> None:
    """Equal significant verdicts are agreement."""
    found = compared(lite0={"A": 10.0, "B": 30.0}, digits={"A": 1.0, "B": 9.0})
    assert (found.disagreements, found.agreements) == ((), ("fid",))


def test_p_values_are_corrected_over_all_extractors() -> None:
    """A difference with p = 0.034 is significant by one extractor, and not beside a second unclear one."""
    assert compared(a={"A": 0.0, "B": 3.0}).comparisons["a"].differences[0].verdict == "worse"
    both = compared(a={"A": 0.0, "B": 3.0}, b={"A": 0.0, "B": 0.1})
    assert both.comparisons["a"].differences[0].verdict == "unclear"


def test_generators_are_compared_by_every_extractor() -> None:
    """Evaluations and differences of each extractor equal those of a comparison by it alone, but for the correction."""
    real, fakes = random_images(40), {"A": random_images(30, seed=1), "B": random_images(30, seed=2) // 2}
    both = ganeval.compare_extractors(real, fakes, extractors=["pixels:2", "pixels:4"], metrics=["kid"], cache=False)
    (alone,) = ganeval.compare(real, fakes, extractor="pixels:2", metrics=["kid"], cache=False).differences
    (found,) = both.comparisons["pixels:2"].differences
    assert (found.value, found.standard_error, found.p_value) == (alone.value, alone.standard_error, alone.p_value)


def test_a_saved_comparison_is_read_as_it_was() -> None:
    """JSON and back gives the same comparisons, disagreements and document."""
    found = compared(lite0={"A": 10.0, "B": 30.0}, digits={"A": 30.0, "B": 10.0})
    again = ExtractorsComparison.from_json(json.dumps(found.to_dict()))
    assert again == found
    assert again.to_dict() == found.to_dict()
    assert list(again.evaluations) == ["lite0: A", "lite0: B", "digits: A", "digits: B"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("extractors"), "no 'extractors'"),
        (lambda document: document.update(schema=2), "schema 2"),
        (lambda document: document.update(extractors={}), "no generators"),
        (lambda document: document["extractors"]["a"]["generators"].pop("B"), "damaged"),
        (lambda document: document["extractors"]["a"]["differences"][0].update(first="C"), "damaged"),
        (lambda document: document["extractors"]["a"].update(differences=[], generators={}), "not the same ones"),
    ],
)
def test_a_damaged_comparison_is_refused(change: Callable[[Any], object], message: str) -> None:
    """Missing parts, differences of unknown generators, and extractors with different generators are errors."""
    document = compared(a={"A": 1.0, "B": 2.0}, b={"A": 1.0, "B": 2.0}).to_dict()
    change(document)
    with pytest.raises(ResultError, match=message):
        ExtractorsComparison.from_dict(document)


def test_a_document_of_several_extractors_is_no_single_result() -> None:
    """Reading it as one result says what to do."""
    with pytest.raises(ResultError, match="take one of them out of its 'extractors'"):
        Evaluation.from_dict({"schema": 1, "extractors": {}})
