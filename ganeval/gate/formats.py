"""A check as text: a table for the screen, JSON, JUnit XML, Markdown for a job's summary, GitHub annotations.

All of them show the cells of `check_table`.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from ganeval.gate.outcomes import Check, MetricCheck
from ganeval.printable import printable_lines
from ganeval.results import MetricResult
from ganeval.tables import Table, facts, markdown_text
from ganeval.wording import NONE, result_text, with_error

SCHEMA = 1
MARKS: Mapping[str, str] = {
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
HEAD = ("metric", "outcome", "baseline", "now", "change", "allowed", "reason")


def check_table(check: Check) -> Table:
    """A row per metric: outcome, both values, the change and what is allowed, and the reason."""
    return Table(HEAD, tuple(map(_cells, check.metrics)))


def _cells(one: MetricCheck) -> tuple[str, ...]:
    return (
        *(one.metric, one.outcome, result_text(one.was), result_text(one.now)),
        *(_change(one), str(one.tolerance) or NONE, one.reason),
    )


def _change(one: MetricCheck) -> str:
    if one.change is None:
        return NONE
    if one.change.worse == 0:
        return "none"
    return f"{with_error(abs(one.change.worse), one.change.noise)} {'worse' if one.change.worse > 0 else 'better'}"


def to_text(check: Check, *, result: str, baseline: str | None) -> str:
    """For the screen: the table, the reasons and notes below it, and what it comes to.

    Args:
        check: What to show.
        result: What the result is called.
        baseline: What the baseline is called; None without one.

    Returns:
        The lines, without a line break at the end.
    """
    whole = check_table(check)
    table = Table(whole.head[:-1], [row[:-1] for row in whole.rows])
    reasons = [f"{row[0]}: {row[-1]}" for row in whole.rows]
    notes = [*reasons, *check.notes, *(f"warning: {warning}" for warning in check.warnings)]
    return "\n\n".join([table.text(), "\n".join(notes), f"{check.outcome}: {_held_to(check, result, baseline)}"])


def _held_to(check: Check, result: str, baseline: str | None) -> str:
    against = "" if baseline is None else f" against {baseline}"
    return f"{result}{against}, by {check.thresholds}"


def to_document(check: Check, *, result: str, baseline: str | None, strict: bool) -> dict[str, Any]:
    """The JSON document of a check, as docs/gate.md describes it.

    Args:
        check: What to show.
        result: What the result is called.
        baseline: What the baseline is called; None without one.
        strict: Whether an inconclusive metric fails the check.

    Returns:
        The members of the document.
    """
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


def to_junit(check: Check, *, result: str, strict: bool) -> str:
    """JUnit XML: a case per metric.

    Regressed is a failure; missing, incomparable and untestable are errors; inconclusive is skipped, or if strict a
    failure. Warnings are the suite's standard error.

    Args:
        check: What to show.
        result: What the result is called.
        strict: Whether an inconclusive metric is a failure.

    Returns:
        The XML.
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
        ET.SubElement(case, "system-out").text = _xml(facts(zip(HEAD, _cells(one), strict=True)))
        return None
    about = ET.SubElement(case, kind, message=_xml(one.reason))
    if kind != "skipped":
        about.set("type", one.outcome)
    about.text = _xml(facts(zip(HEAD, _cells(one), strict=True)))
    return kind


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", printable_lines(text))


def to_markdown(check: Check, *, result: str, baseline: str | None) -> str:
    """For a job's summary or a comment: a heading, the table with a mark per outcome, and the notes.

    Args:
        check: What to show.
        result: What the result is called.
        baseline: What the baseline is called; None without one.

    Returns:
        The Markdown.
    """
    whole = check_table(check)
    rows = [(metric, f"{MARKS[outcome]} {outcome}", *cells) for metric, outcome, *cells in whole.rows]
    notes = (*check.notes, *(f"⚠️ {warning}" for warning in check.warnings))
    lines = [
        f"### {MARKS[check.outcome]} ganeval: {check.outcome}",
        "",
        markdown_text(_held_to(check, result, baseline)),
        "",
        Table(whole.head, rows).markdown(),
        "",
        *(f"> {markdown_text(note)}" for note in notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def to_annotations(check: Check, *, result: str, strict: bool) -> list[str]:
    """GitHub's workflow commands: one per metric that does not pass, and one per warning.

    Args:
        check: What to show.
        result: What the result is called.
        strict: Whether an inconclusive metric is an error.

    Returns:
        The lines.
    """
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
