"""A check as machines read it: JSON, JUnit XML, Markdown for a job's summary, annotations for GitHub Actions."""

import re
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from ganeval.gate.outcomes import Check, MetricCheck
from ganeval.numbers import measured
from ganeval.printable import printable, printable_lines
from ganeval.results import MetricResult

SCHEMA = 1
MARKS = {
    "pass": "✅",
    "improved": "🎉",
    "inconclusive": "❔",
    "untestable": "❓",
    "incomparable": "⚠️",
    "missing": "🕳️",
    "regressed": "❌",
}
# What stops a merge without being a regression: errors in JUnit's words.
ERRORS = ("untestable", "incomparable", "missing")
# XML 1.0 has no way to write these, not even escaped.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def document(check: Check, *, result: str, baseline: str | None, strict: bool) -> dict[str, Any]:
    """The JSON document, as docs/gate.md describes it. result, baseline: what they are called."""
    return {
        "schema": SCHEMA,
        "verdict": check.outcome,
        "exit_code": check.exit_code(strict=strict),
        "strict": strict,
        "result": result,
        "baseline": baseline,
        "thresholds": check.thresholds,
        "notes": list(check.notes),
        "warnings": list(check.warnings),
        "metrics": {one.metric: _fields(one) for one in check.metrics},
    }


def _fields(one: MetricCheck) -> dict[str, Any]:
    return {
        "verdict": one.outcome,
        "reason": one.reason,
        "tolerance": str(one.tolerance),
        "value": _sides(one.now),
        "baseline": _sides(one.was),
        "worse": None if one.change is None else one.change.worse,
        "noise": None if one.change is None else one.change.noise,
        "differences": [asdict(difference) for difference in one.mismatches],
        "images": one.images,
    }


def _sides(metric: MetricResult | None) -> dict[str, float | None] | None:
    return None if metric is None else {"value": metric.value, "standard_error": metric.standard_error}


def junit(check: Check, *, result: str, strict: bool) -> str:
    """JUnit XML: a case per metric.

    Regressed is a failure; missing, incomparable and untestable are errors; inconclusive is skipped, or if strict a
    failure. Warnings are the suite's standard error.
    """
    suite = ET.Element("testsuite", name="ganeval", tests=str(len(check.metrics)))
    kinds = [_case(suite, one, result=result, strict=strict) for one in check.metrics]
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(kinds.count(kind)))
    if check.warnings:
        ET.SubElement(suite, "system-err").text = _xml("\n".join(check.warnings))
    suites = ET.Element("testsuites", {"name": "ganeval"})
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _case(suite: ET.Element, one: MetricCheck, *, result: str, strict: bool) -> str | None:
    """Add a metric's case; what was wrong with it, in JUnit's words."""
    case = ET.SubElement(suite, "testcase", classname=_xml(f"ganeval.{result}"), name=_xml(one.metric), time="0")
    kinds = {"regressed": "failure", "inconclusive": "failure" if strict else "skipped"} | dict.fromkeys(
        ERRORS, "error"
    )
    kind = kinds.get(one.outcome)
    if kind is None:
        ET.SubElement(case, "system-out").text = _xml(f"{one.outcome}: {one.reason}")
        return None
    about = ET.SubElement(case, kind, message=_xml(one.reason))
    if kind != "skipped":
        about.set("type", one.outcome)
    about.text = _xml(f"{one.metric} {one.outcome}: {one.reason}")
    return kind


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", printable_lines(text))


def markdown(check: Check, *, result: str, baseline: str | None) -> str:
    """A heading, a table and the reasons, for a job's summary or a comment."""
    against = f" against {_plain(baseline)}" if baseline is not None else ""
    lines = [
        f"### {MARKS[check.outcome]} ganeval: {check.outcome}",
        "",
        f"{_plain(result)}{against}, by {_plain(check.thresholds)}",
        "",
        "| metric | verdict | baseline | now | why |",
        "|---|---|---|---|---|",
    ]
    for one in check.metrics:
        cells = (one.metric, f"{MARKS[one.outcome]} {one.outcome}", _value(one.was), _value(one.now), one.reason)
        lines.append(f"| {' | '.join(_plain(cell) for cell in cells)} |")
    notes = (*check.notes, *(f"⚠️ {warning}" for warning in check.warnings))
    lines += ["", *(f"> {_plain(note)}" for note in notes)]
    return "\n".join(lines).rstrip() + "\n"


def _value(metric: MetricResult | None) -> str:
    return "-" if metric is None else measured(metric.value, metric.standard_error)


def _plain(text: str) -> str:
    """Text that no Markdown takes for more than text, on one line."""
    return _MARKDOWN.sub(r"\\\1", printable(" ".join(text.split())))


def annotations(check: Check, *, result: str, strict: bool) -> list[str]:
    """GitHub's workflow commands, a line each, for what is not as it should be, and for warnings."""
    levels = dict.fromkeys(("regressed", *ERRORS), "error") | {"inconclusive": "error" if strict else "warning"}
    lines = [
        f"::{levels[one.outcome]} title={_property(f'ganeval: {one.metric} {one.outcome}')}::"
        f"{_escaped(f'{result}: {one.reason}')}"
        for one in check.metrics
        if one.outcome in levels
    ]
    return lines + [f"::warning title=ganeval::{_escaped(f'{result}: {text}')}" for text in check.warnings]


def _escaped(text: str) -> str:
    return printable_lines(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
