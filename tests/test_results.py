"""Results round-trip, damaged ones are refused, and signatures distinguish settings."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ganeval.errors import ResultError
from ganeval.results import SCHEMA, Evaluation, MetricResult, RealsPart

finite = st.floats(allow_nan=False, allow_infinity=False)
# Any text, with the stand-ins that Python has for bytes of file names that are no text.
words = st.text(max_size=8) | st.just("caf\udce9.png")
plain = st.none() | st.booleans() | st.integers(-5, 5) | finite | words

directions = st.sampled_from([("lower", None), ("higher", None)]) | finite.map(lambda ideal: ("closer", ideal))
metric_results = st.builds(
    lambda direction, **fields: MetricResult(direction=direction[0], ideal=direction[1], **fields),
    value=finite,
    standard_error=st.none() | finite,
    interval=st.none() | st.tuples(finite, finite).map(sorted).map(tuple),
    direction=directions,
    n_real=st.none() | st.integers(1, 10**6),
    n_fake=st.integers(1, 10**6),
    method=words,
    options=st.dictionaries(words, plain, max_size=3),
    details=st.dictionaries(words, finite, max_size=3),
    notes=st.lists(words, max_size=2).map(tuple),
    reals=st.none()
    | st.builds(RealsPart, st.floats(0, 1e300), st.lists(st.integers(-127, 127), max_size=300).map(tuple)),
)
provenances = st.fixed_dictionaries(
    {
        "extractor": words,
        "weights_sha256": st.sampled_from(["", "0123456789abcdef" * 4]),
        "preprocessing": words,
        "protocol": words,
        "precision": words,
        "versions": st.just({"ganeval": "1.0"}),
        "real": st.none() | st.dictionaries(words, plain | st.lists(plain, max_size=2), max_size=3),
    }
)
evaluations = st.builds(
    Evaluation,
    metrics=st.dictionaries(words, metric_results, max_size=3),
    provenance=provenances,
    comparable=st.booleans(),
    warnings=st.lists(words, max_size=2).map(tuple),
)


# Words for numbers that JSON cannot hold, as numbers and as texts.
INFINITE = {"a": float("inf"), "b": float("-inf"), "c": "Infinity", "d": "-Infinity", "e": "'Infinity"}


def evaluation(**changes: Any) -> Evaluation:
    """A result of two metrics; changes: of the first one's fields."""
    fid = MetricResult(2.5, 0.1, (2.3, 2.7), "lower", 100, 50, "influence function", {"ddof": 1}, {}, ("few images",))
    score = MetricResult(7.0, None, None, "higher", None, 50, "none", {"splits": 10, "shuffle_seed": None})
    return Evaluation(
        metrics={"fid": replace(fid, **changes), "is": score},
        provenance={
            "extractor": "inception",
            "weights_sha256": "0123456789abcdef" * 4,
            "preprocessing": "tf1 to 299, (x-128)/128",
            "protocol": "tensorflow",
            "precision": "fp32",
            "device": "cpu",
            "versions": {"ganeval": "1.2.3"},
        },
        comparable=True,
    )


@settings(max_examples=100)
@given(evaluations)
@example(evaluation(options=INFINITE))
def test_what_is_written_is_read_back(result: Evaluation) -> None:
    """Any result survives JSON, in any encoding of a file, exactly."""
    text = result.to_json().encode("utf-8").decode("utf-8")
    again = Evaluation.from_json(text)
    assert again == result
    assert again.signature == result.signature
    assert again.to_json() == text


def test_the_document_is_as_promised() -> None:
    """Schema, metrics with their error bars, provenance and signature, in names that scripts rely on."""
    document = json.loads(evaluation().to_json())
    assert list(document) == ["schema", "metrics", "comparable", "warnings", "provenance", "signature"]
    assert document["schema"] == SCHEMA == 1
    assert document["metrics"]["fid"] == {
        "value": 2.5,
        "standard_error": 0.1,
        "interval": [2.3, 2.7],
        "direction": "lower",
        "n_real": 100,
        "n_fake": 50,
        "method": "influence function",
        "options": {"ddof": 1},
        "details": {},
        "notes": ["few images"],
        "ideal": None,
        "reals": None,
    }
    with_reals = json.loads(evaluation(reals=RealsPart(0.5, (127, -1, 0))).to_json())
    assert with_reals["metrics"]["fid"]["reals"] == {"error": 0.5, "direction": "f/8A"}


@pytest.mark.parametrize(
    ("direction", "ideal", "better", "worse"),
    [("lower", None, 1.0, 2.0), ("higher", None, 2.0, 1.0), ("closer", 0.5, 0.4, 0.7), ("closer", 0.0, 1.0, -2.0)],
)
def test_less_of_the_value_to_minimise_is_better(
    direction: str, ideal: float | None, better: float, worse: float
) -> None:
    """A smaller value to minimise is better for every direction."""
    result = evaluation(direction=direction, ideal=ideal)["fid"]
    assert result.to_minimise(better) < result.to_minimise(worse)


def test_an_ideal_goes_with_its_direction() -> None:
    """A direction "closer" without an ideal, and an ideal without it, are damage."""
    for direction, ideal in (("closer", None), ("lower", 0.5)):
        text = evaluation(direction=direction, ideal=ideal).to_json()
        with pytest.raises(ResultError, match="damaged"):
            Evaluation.from_json(text)


def test_a_metric_is_had_by_its_name() -> None:
    """`result["fid"].value` is the value."""
    assert evaluation()["fid"].value == 2.5


def test_the_signature_spells_out_what_must_be_equal() -> None:
    """The signature has extractor, weights, preprocessing, protocol, precision, options, counts and version."""
    assert evaluation().signature == (
        "extractor=inception|weights_sha256=0123456789ab|preprocessing=tf1_to_299,_(x-128)/128|protocol=tensorflow|"
        "precision=fp32|fid:ddof=1:n=100x50|is:shuffle_seed=None,splits=10:n=50|ganeval=1.2.3"
    )


@pytest.mark.parametrize("changes", [{"options": {"ddof": 0}}, {"n_real": 99}, {"n_fake": 51}])
def test_other_options_and_counts_have_another_signature(changes: dict[str, object]) -> None:
    """Other options and counts give another signature."""
    assert evaluation(**changes).signature != evaluation().signature


@pytest.mark.parametrize("key", ["extractor", "weights_sha256", "preprocessing", "protocol", "precision"])
def test_another_protocol_has_another_signature(key: str) -> None:
    """Each field that affects a number is part of the signature."""
    result = evaluation()
    other = replace(result, provenance={**result.provenance, key: "f" * 64})
    assert other.signature != result.signature


def test_what_does_not_decide_a_number_leaves_the_signature_alone() -> None:
    """The value, its error and the device are not part of the signature."""
    result = evaluation(value=3.0, standard_error=None, interval=None, notes=())
    other = replace(result, provenance={**result.provenance, "device": "cuda"}, warnings=("careful",))
    assert other.signature == evaluation().signature


def test_no_field_can_pretend_to_be_another() -> None:
    """A separator inside a value does not make a second field."""
    result = evaluation()
    spoof = replace(result, provenance={**result.provenance, "preprocessing": "a|protocol=clean b"})
    assert spoof.signature.count("|") == result.signature.count("|")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("field", ["value", "standard_error"])
def test_numbers_that_are_not_finite_are_neither_written_nor_read(field: str, value: float) -> None:
    """NaN is neither written nor read."""
    with pytest.raises(ResultError, match="not finite"):
        evaluation(**{field: value}).to_json()
    document = evaluation().to_dict()
    document["metrics"]["fid"][field] = value
    with pytest.raises(ResultError, match=r"saved\.json holds -?(NaN|Infinity), which is not a JSON number"):
        Evaluation.from_json(json.dumps(document), name="saved.json")


def test_fields_of_a_later_version_are_passed_over() -> None:
    """Additional fields do not raise the schema, so an older reader ignores them."""
    document = evaluation().to_dict()
    document["further"] = document["metrics"]["fid"]["further"] = document["provenance"]["further"] = 1
    assert Evaluation.from_json(json.dumps(document))["fid"] == evaluation()["fid"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "saved.json is not JSON"),
        ("{", "saved.json is not JSON"),
        ("[1]", "no ganeval result: it has no 'schema'"),
        ('{"value": 3}', "no ganeval result: it has no 'schema'"),
        ('{"schema": 2}', "saved.json has schema 2; this ganeval reads schema 1"),
        ('{"schema": "1"}', "saved.json has schema 1; this"),
        ('{"schema": 1, "protocols": {}}', "a result for every protocol; take one of them"),
        ('{"schema": 1}', "no ganeval result: it has no 'metrics'"),
        ('{"schema": 1, "metrics": {}}', "saved.json is damaged: it lacks 'warnings'"),
    ],
)
def test_what_is_no_result_is_refused(text: str, message: str) -> None:
    """The error names the file and what was found."""
    with pytest.raises(ResultError, match=message):
        Evaluation.from_json(text, name="saved.json")


def test_a_result_is_read_from_a_text() -> None:
    """A dictionary, as `json.load` gives it, is what `from_dict` reads."""
    document = json.loads(evaluation().to_json())
    with pytest.raises(ResultError, match=r"result must be a JSON text, found dict; from_dict\(\) reads a dictionary"):
        Evaluation.from_json(document)
    assert Evaluation.from_dict(document)["fid"] == evaluation()["fid"]


def _paths(document: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    here = [path] if path else []
    return here + [
        deep for key in (document if isinstance(document, dict) else ()) for deep in _paths(document[key], (*path, key))
    ]


REQUIRED = [
    path
    for path in _paths(evaluation().to_dict())
    if path[-1] not in ("signature", "device", "reals")
    and len(path) < 4
    and not (path[0] == "metrics" and len(path) == 2)
]


@pytest.mark.parametrize("path", REQUIRED, ids=".".join)
def test_a_missing_field_is_damage(path: tuple[str, ...]) -> None:
    """A missing field is not replaced by a default."""
    document = evaluation().to_dict()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    with pytest.raises(ResultError, match=r"damaged|schema|no 'metrics'"):
        Evaluation.from_json(json.dumps(document))


def test_a_result_of_an_earlier_version_does_not_know_the_part_of_the_reals() -> None:
    """Without the member, the part is None."""
    document = evaluation(reals=RealsPart(0.5, (1, 2))).to_dict()
    del document["metrics"]["fid"]["reals"]
    assert Evaluation.from_json(json.dumps(document))["fid"].reals is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metrics",), [1]),
        (("metrics", "fid"), 3),
        (("metrics", "fid", "value"), "2.5"),
        (("metrics", "fid", "value"), True),
        (("metrics", "fid", "interval"), [1.0]),
        (("metrics", "fid", "interval"), [1.0, 2.0, 3.0]),
        (("metrics", "fid", "interval"), 1.0),
        (("metrics", "fid", "n_fake"), "many"),
        (("metrics", "fid", "details"), {"std": "wide"}),
        (("metrics", "fid", "options"), 3),
        (("metrics", "fid", "reals"), 0.5),
        (("metrics", "fid", "reals"), {"error": 0.5}),
        (("metrics", "fid", "reals"), {"error": -0.5, "direction": ""}),
        (("metrics", "fid", "reals"), {"error": 0.5, "direction": [1, 2]}),
        (("metrics", "fid", "reals"), {"error": 0.5, "direction": "no base64"}),
        (("provenance",), None),
        (("provenance", "versions"), {}),
        (("warnings",), 3),
    ],
)
def test_another_type_is_damage(path: tuple[str, ...], value: object) -> None:
    """A field of another type is refused."""
    document = evaluation().to_dict()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ResultError, match="damaged"):
        Evaluation.from_json(json.dumps(document))


def test_results_are_read_without_maths() -> None:
    """Neither torch nor numpy is imported, so that a gate is fast."""
    code = (
        "import sys; from ganeval.results import Evaluation; Evaluation.from_json(sys.stdin.read()); "
        "print([name for name in ('torch', 'numpy', 'scipy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=evaluation().to_json(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_an_evaluation_is_a_mapping_of_metrics() -> None:
    """It has the names of its metrics, their number, and membership, and a KeyError names them."""
    result = MetricResult(1.0, None, None, "lower", 9, 9, "none")
    found = Evaluation({"fid": result, "kid": result}, {}, comparable=True)
    assert (list(found), len(found), "kid" in found, "is" in found) == (["fid", "kid"], 2, True, False)
    assert dict(found.metrics) == {name: found[name] for name in found}
    with pytest.raises(KeyError, match="no metric 'fld' was computed, only fid, kid"):
        found["fld"]
