"""A number, p-value, verdict or outcome is worded alike on the screen, in Markdown, in JUnit and in the HTML report."""

import html
import re
from xml.etree import ElementTree as ET

import pytest
from gate_helpers import evaluation, metric

from ganeval.comparison import Comparison, Difference, differences
from ganeval.gate import check
from ganeval.gate.formats import check_table, to_junit, to_markdown, to_text
from ganeval.gate.thresholds import parse_thresholds
from ganeval.report.inputs import ReportInputs, Subject
from ganeval.report.page import render
from ganeval.tables import difference_cells, markdown_text
from ganeval.wording import verdict_text
from ganeval_cli import compare
from ganeval_cli.options import OutputOptions

EVALUATIONS = {
    "first": evaluation(
        {"fid": metric(10.0), "kid": metric(0.02, 0.005), "is": metric(7.0, None), "vendi": metric(2.0, 0.4)},
        weights="w",
    ),
    "second": evaluation(
        {"fid": metric(13.0), "kid": metric(0.021, 0.005), "is": metric(7.5, None), "vendi": metric(3.2, 0.4)},
        weights="w",
    ),
}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Two generators with significant, inconclusive and nearly significant differences, and without error bars."""
    return Comparison(EVALUATIONS, differences(EVALUATIONS, lambda *_: None))


def cells(page: str) -> list[str]:
    """The text of every cell of a page's tables."""
    found = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in found]


def test_a_comparison_reads_the_same_on_screen_in_markdown_and_in_the_report(comparison: Comparison) -> None:
    """Difference, interval, p-value and verdict are cells of the same text in all three."""
    screen, document = (
        compare._text(comparison, OutputOptions(format=form, quiet=True, verbose=False))
        for form in ("table", "markdown")
    )
    subjects = [Subject(name, one) for name, one in EVALUATIONS.items()]
    page = cells(render(ReportInputs(subjects, comparison=comparison)))
    verdicts = set()
    for one in comparison.differences:
        short = difference_cells(one, "A", "B")
        assert re.search(r" {2,}".join(map(re.escape, short)), screen)
        assert f"| {' | '.join(map(markdown_text, short))} |" in document
        metric_name, _, *long = difference_cells(one, "first", "second")
        place = next(at for at, cell in enumerate(page) if page[at : at + 5] == [metric_name, *long])
        assert page[place + 1 : place + 4] == list(short[2:5])
        verdicts.add(one.verdict)
    assert verdicts == {"worse", "unclear", "unknown"}


def test_a_check_reads_the_same_on_screen_in_markdown_in_junit_and_in_the_report() -> None:
    """Outcome, both values, change, tolerance and reason are the same text in all four."""
    first, second = EVALUATIONS.values()
    found = check(second, first, parse_thresholds("[fid]\nsignificance = 0.01\n[kid]\nworse_by = '10%'", name="t"))
    screen, document = (form(found, result="r", baseline="b") for form in (to_text, to_markdown))
    page = cells(render(ReportInputs([Subject("r", second)], checks={"r": found})))
    cases = {
        case.get("name"): case[0] for case in ET.fromstring(to_junit(found, result="r", strict=True)).iter("testcase")
    }
    table = check_table(found)
    assert [row[:2] for row in table.rows] == [("fid", "regressed"), ("kid", "pass")]
    for row in table.rows:
        name, outcome, *values, reason = row
        assert re.search(r" {2,}".join(map(re.escape, row[:-1])), screen)
        assert f"{name}: {reason}" in screen
        (line,) = (line for line in document.splitlines() if line.startswith(f"| {markdown_text(name)} |"))
        assert line.endswith(f" {outcome} | {' | '.join(map(markdown_text, (*values, reason)))} |")
        told = dict(line.split(maxsplit=1) for line in (cases[name].text or "").splitlines())
        assert told == dict(zip(table.head, row, strict=True))
        assert any(page[at : at + len(row)] == list(row) for at in range(len(page)))


@pytest.mark.parametrize(
    ("verdict", "needed", "worded"),
    [
        ("worse", None, "B is worse than A"),
        ("better", None, "B is better than A"),
        ("unknown", None, "no error bar"),
        ("unclear", None, "can't tell"),
        ("unclear", 1234, "can't tell; about 1,200 images of each set would"),
        ("unclear", 10**8, "can't tell; not even 10,000,000 images of each set would"),
    ],
)
def test_every_verdict_has_its_words(verdict: str, needed: int | None, worded: str) -> None:
    """If images cannot tell, the verdict says how many could, to two digits and within limits."""
    one = Difference("fid", "a", "b", 1.0, 0.5, (0.0, 2.0), 0.1, 0.1, verdict, needed, paired=False)  # type: ignore[arg-type]
    assert verdict_text(one, "A", "B") == worded
