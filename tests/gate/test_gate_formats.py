"""Machine-readable output of the gate: valid JUnit, and Markdown and annotations that escape all names."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from gate_helpers import evaluation, metric
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval.gate import Check, check
from ganeval.gate.formats import to_annotations, to_document, to_junit, to_markdown
from ganeval.gate.thresholds import parse_thresholds

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))
HOSTILE = "<script>alert('x')</script> & \"q\" | ]]> `b` ::error::\n\x00\x1b \ud800\ufffe \u202e*a*"


@pytest.fixture(scope="module")
def every() -> Check:
    """A check with one metric for every outcome."""
    both = "worse_by = 1\nsignificance = 0.01"
    values = {"same": 10.0, "better": 8.0, "unsure": 10.9, "worse": 13.0}
    text = "\n".join(f"[{name}]\n{both}" for name in (*values, "other", "bare", "lost"))
    result = {name: metric(value) for name, value in values.items()}
    result |= {"other": metric(options={"k": 3}), "bare": metric(error=None)}
    baseline = {name: metric() for name in (*result, "lost")}
    doubtful = replace(evaluation(result), warnings=("100% of the images | were skipped.",))
    return check(doubtful, evaluation(baseline), parse_thresholds(text, name="t.toml"))


@pytest.mark.parametrize("strict", [False, True])
def test_junit_is_what_its_schema_allows(every: Check, strict: bool) -> None:
    """Every outcome has its element, and the counts are right."""
    text = to_junit(every, result="result.json", strict=strict)
    SCHEMA.validate(text)
    suite = ET.fromstring(text)[0]
    inner = {case.get("name"): case[0].tag if len(case) else case.text for case in suite}
    assert inner == {
        "same": "system-out",
        "better": "system-out",
        "unsure": "failure" if strict else "skipped",
        "worse": "failure",
        "other": "error",
        "bare": "error",
        "lost": "error",
        None: "The result was measured with a warning: 100% of the images | were skipped.",
    }
    expected = {"tests": "7", "failures": str(1 + strict), "errors": "3", "skipped": str(1 - strict)}
    assert {key: suite.get(key) for key in expected} == expected
    types = {case.get("name"): case[0].get("type") for case in suite.iter("testcase") if case[0].tag == "error"}
    assert types == {"other": "incomparable", "bare": "untestable", "lost": "missing"}


def test_the_schema_refuses_what_is_no_junit(every: Check) -> None:
    """The schema refuses a case without a name, and a failure together with an error."""
    text = to_junit(every, result="r", strict=False)
    for wrong in (text.replace('name="worse"', ""), text.replace("<failure", "<error/><failure")):
        with pytest.raises(xmlschema.XMLSchemaValidationError):
            SCHEMA.validate(wrong)


@settings(max_examples=40)
@given(st.text() | st.just(HOSTILE), st.text() | st.just(HOSTILE))
def test_any_name_is_text_in_every_format(name: str, path: str) -> None:
    """Names with any characters leave the documents valid, and are contained in them as text."""
    thresholds = parse_thresholds("[x]\nmax = 1", name=path)
    renamed = type(thresholds)({name: thresholds.tolerances["x"]}, path, {})
    found = check(evaluation({name: metric()}), None, renamed)
    text = to_junit(found, result=path, strict=False)
    SCHEMA.validate(text)
    assert len(ET.fromstring(text)[0]) == 1
    rows = [line for line in to_markdown(found, result=path, baseline=path).split("\n") if line.startswith("|")]
    assert len(rows) == 3
    assert rows[2].replace("\\|", "").count("|") == 8
    line, *_ = to_annotations(found, result=path, strict=False)
    assert "\n" not in line
    assert "\r" not in line
    document = json.loads(json.dumps(to_document(found, result=path, baseline=None, strict=False)))
    assert document["verdict"] == "regressed"


def test_markdown_has_no_markup_of_others(every: Check) -> None:
    """Tags, code and links in a name are escaped in Markdown."""
    text = to_markdown(every, result="<img src=x> [a](b) `c`", baseline=None)
    assert "\\<img src=x\\> \\[a\\](b) \\`c\\`" in text
    allowed = "worse\\_by 1, significance 0.01"
    assert f"| worse | ❌ regressed | 10.00 ± 0.30 | 13.00 ± 0.30 | 3.000 ± 0.42 worse | {allowed} | worse by 3" in text
    assert f"| bare | ❓ untestable | 10.00 ± 0.30 | 10.00 | none | {allowed} | the result has no" in text
    assert f"| lost | 🕳️ missing | 10.00 ± 0.30 | - | - | {allowed} | the baseline holds it, and" in text
    assert "> ⚠️ The result was measured with a warning: 100% of the images \\| were skipped." in text


def test_annotations_are_for_what_is_not_as_it_should_be(every: Check) -> None:
    """Failures are errors or warnings and passes have no annotation; newlines and percent signs are escaped."""
    found = to_annotations(every, result="50%\nr", strict=False)
    levels = [line.partition(" ")[0] for line in found]
    assert levels == ["::warning", "::error", "::error", "::error", "::error", "::warning"]
    assert found[3].startswith("::error title=ganeval%3A bare untestable::")
    assert found[4].startswith("::error title=ganeval%3A lost missing::")
    assert found[5].startswith("::warning title=ganeval::50%25%0Ar: The result was measured with a warning: 100%25 of")
    assert found[1].startswith("::error title=ganeval%3A worse regressed::50%25%0Ar: worse by 3;")
    strict = [line.partition(" ")[0] for line in to_annotations(every, result="r", strict=True)]
    assert strict == ["::error"] * 5 + ["::warning"]


def test_the_json_document_says_all_of_it(every: Check) -> None:
    """JSON has outcome, change, noise, tolerance, differing fields and advised number of images by metric."""
    found = to_document(every, result="r.json", baseline="b.json", strict=True)
    assert (found["schema"], found["verdict"], found["exit_code"]) == (1, "regressed", 1)
    worse = found["metrics"]["worse"]
    assert worse["worse"] == pytest.approx(3.0)
    assert worse["noise"] == pytest.approx(0.3 * 2**0.5)
    assert worse["value"] == {"value": 13.0, "standard_error": 0.3}
    assert worse["tolerance"] == "worse_by 1, significance 0.01"
    assert found["metrics"]["other"]["differences"] == [{"field": "options.k", "baseline": "5", "result": "3"}]
    assert found["metrics"]["unsure"]["images"] > 1000
    assert {found["metrics"][name]["verdict"] for name in ("bare", "lost")} == {"untestable", "missing"}
    assert (found["metrics"]["lost"]["value"], found["metrics"]["bare"]["noise"]) == (None, None)
    assert len(found["warnings"]) == 1
