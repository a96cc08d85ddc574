"""A page is well-formed, accessible, self-contained and small, and shows every name as plain text."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from report_helpers import CLASSES, GENERATORS, HOSTILE, SCRIPT

from ganeval import evaluate_pairs
from ganeval.comparison import Comparison, ExtractorsComparison
from ganeval.errors import UsageError
from ganeval.gate import check
from ganeval.report import figures, page, tables
from ganeval.report.data import Picture, ReportData
from ganeval.report.inputs import ReportInputs, Subject
from ganeval.report.page import CUTS, LIMIT, render
from ganeval.report.training import Alarm, TrainingLog
from ganeval.report_data import examples_data, texts_data
from ganeval.results import Evaluation, MetricResult
from ganeval.sources import ArrayItems

VOID = {"meta", "link", "img", "br"}


def test_a_name_in_a_drawing_is_text_and_no_formula() -> None:
    """Of a metric of somebody else's, which may have dollar signs."""
    name = r"score/$\broken{$ and $x$"
    drawn = figures.lines({name: [(0, 1.0), (10, 2.0)]}, [], "k", what=name)
    assert f">{name}</text>" in drawn


class Page(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.isolated: set[str] = set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"{tag} closes itself outside a drawing"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> was never opened"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open[-1:] == ["bdi"]:
            self.isolated.add(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def bare(name: str) -> Subject:
    """A result of one metric of fakes alone, without an error bar; `name` is used for every name."""
    known = dict.fromkeys(("extractor", "weights_sha256", "preprocessing", "protocol", "precision"), name)
    result = MetricResult(4.0, None, None, "higher", None, 24, f"no error bar: {name}", notes=(name,))
    provenance = {**known, "real": None, "fake": {"name": name, "count": 24}, "versions": {"ganeval": name}}
    return Subject(name, Evaluation({"is": result}, provenance, comparable=False, warnings=(name,)))


@pytest.fixture(scope="module")
def inputs(
    evaluations: Mapping[str, Evaluation], report_data: dict[str, ReportData], compared: Comparison
) -> ReportInputs:
    """Report inputs with every section."""
    subjects = [Subject(name, one, report_data[name]) for name, one in evaluations.items()]
    curve = [(float(step), step**-0.5) for step in range(1, 50)]
    run = TrainingLog(
        f"run {SCRIPT}",
        {"loss": {f"generator {SCRIPT}": curve, "discriminator": curve}, f"odd {SCRIPT}": {"odd": curve}},
        (Alarm(SCRIPT, 20, f"saw {SCRIPT}"),),
    )
    first = subjects[0].evaluation
    return ReportInputs(
        subjects,
        comparison=compared,
        floor=first,
        checks={GENERATORS[1]: check(subjects[1].evaluation, first, None)},
        runs=(run,),
    )


@pytest.fixture(scope="module")
def html(inputs: ReportInputs) -> str:
    """The page with every section."""
    return render(inputs)


@pytest.fixture(scope="module")
def read(html: str) -> Page:
    """The same page, parsed."""
    return Page(html)


def test_every_section_is_there(read: Page) -> None:
    """Values, differences, gate, pictures, figures, classes, training and method exist and are in the contents."""
    sections = {one["id"] for one in read.all("section")}
    expected = {
        "values",
        "differences",
        "gate",
        "samples",
        "copies",
        "modes",
        "common-modes",
        "most-discriminable",
        "typical",
        "realism",
        "space",
        "classes",
    }
    assert sections == expected | {"training", "method"}
    assert {str(link["href"]) for link in read.all("a") if "class" not in link} >= {f"#{name}" for name in sections}


def test_samples_that_were_not_kept_are_not_said_to_be_chosen(html: str) -> None:
    """How samples were chosen stands above samples alone; without any, the page says why there are none."""
    assert "Chosen at random." in html
    without = render(ReportInputs([bare("a result")]))
    assert "No pictures were kept with this result" in without
    assert "Chosen at random." not in without


@pytest.fixture(scope="module")
def by_extractors(compared: Comparison, report_data: dict[str, ReportData]) -> str:
    """The page of two extractors that contradict each other: by `worse`, the verdicts are the other way round."""
    opposite = {"better": "worse", "worse": "better"}
    gaps = [replace(one, verdict="better", value=-1.0, p_corrected=0.001) for one in compared.differences]
    turned = [replace(one, verdict=opposite[one.verdict], value=1.0) for one in gaps]
    several = ExtractorsComparison(
        {by: replace(compared, differences=them) for by, them in (("x", gaps), ("y", turned))}
    )
    subjects = [Subject(name, one, report_data[name[3:]]) for name, one in several.evaluations.items()]
    return render(ReportInputs(subjects, extractors=several))


def test_extractors_stand_side_by_side(by_extractors: str) -> None:
    """Every metric has a row per extractor and is best in each, sentences say where they disagree, samples are once."""
    read = Page(by_extractors)
    assert f"Evaluation of 2 generators by 2 encoders {GENERATORS[0]} and b" in read.text
    first, second = GENERATORS
    assert f"kid: {second} is better than {first} by x and worse by y." in read.text
    assert "corrected over the differences of all encoders together (Holm)" in read.text
    assert len([one for one in read.all("th") if one.get("class") == "encoder"]) == 6
    assert len(re.findall(r'class="value number best"', by_extractors)) == 6
    samples = by_extractors.partition('id="samples"')[2].partition("</section>")[0]
    assert samples.count('<h3 class="subject">') == 2
    copies = by_extractors.partition('id="copies"')[2].partition("</section>")[0]
    assert copies.count('<h3 class="subject">') >= 4


def test_extractors_without_a_common_verdict_are_said_to_agree_on_nothing(compared: Comparison) -> None:
    """Where no difference is significant there is a sentence for it, and one generator has no differences."""
    gaps = [replace(one, verdict="unclear") for one in compared.differences]
    several = ExtractorsComparison(dict.fromkeys("xy", replace(compared, differences=gaps)))
    subjects = [Subject(name, one) for name, one in several.evaluations.items()]
    assert "No encoder contradicts another" in Page(render(ReportInputs(subjects, extractors=several))).text
    alone = Comparison({"a": compared.evaluations[GENERATORS[0]]}, ())
    several = ExtractorsComparison(dict.fromkeys("xy", alone))
    subjects = [Subject(name, one) for name, one in several.evaluations.items()]
    page = Page(render(ReportInputs(subjects, extractors=several)))
    assert "Evaluation of a generator by 2 encoders" in page.text
    assert "differences" not in {one["id"] for one in page.all("section")}


@pytest.mark.parametrize("shown", ["html", "by_extractors"])
def test_names_are_unique_and_pointers_lead_somewhere(request: pytest.FixtureRequest, shown: str) -> None:
    """No id occurs twice, and every link within the page and every reference of a drawing has its target."""
    read = Page(request.getfixturevalue(shown))
    names = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(set(names)) == len(names)
    for _, attributes in read.elements:
        for name, value in attributes.items():
            if name in ("href", "xlink:href") and str(value).startswith("#"):
                assert str(value)[1:] in names
            for target in re.findall(r"url\(#([^)]+)\)", str(value)):
                assert target in names


def test_hostile_names_are_text(html: str, read: Page) -> None:
    """Names create no script, handler or element, and are all contained in the text."""
    assert not read.all("script")
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert not read.all("b")
    titles = {str(image["title"]) for image in read.all("img")}
    for name in HOSTILE:
        assert any(name in title for title in titles), name
    for name in (*CLASSES, *GENERATORS, SCRIPT):
        assert " ".join(name.split()) in read.text
    assert html.count("<script") == 0


@cache
def tags(name: str) -> list[str]:
    """The elements of a page on a result and images of this name."""
    return [tag for tag, _ in Page(render(ReportInputs([bare(name)]), title=name)).elements]


@given(st.text(st.characters(), max_size=80))
@settings(max_examples=25)
def test_no_name_changes_what_a_page_is_made_of(name: str) -> None:
    """The page has the same elements for any names of a result and its images."""
    assert tags(name) == tags("plain")


def test_names_stand_where_their_direction_harms_nothing_else(read: Page) -> None:
    """A right-to-left name is isolated from the surrounding text."""
    for name in (*CLASSES, *GENERATORS):
        assert name in read.isolated


def test_pictures_have_words_and_tables_have_heads(read: Page) -> None:
    """Alt texts have set, number and name; drawings have labels; every table has a caption and scopes."""
    images = read.all("img")
    assert len(images) > 50
    assert all(re.match(r"(real|fake) image \d+: .", str(image["alt"])) for image in images)
    drawings = [one for one in read.all("svg") if one.get("aria-hidden") != "true"]
    assert len(drawings) == 2 * 2 + 1 + 2
    assert all(one["role"] == "img" and len(str(one["aria-label"])) > 40 for one in drawings)
    assert len(read.all("table")) == len(read.all("caption"))
    assert all(one["scope"] in ("row", "col") for one in read.all("th"))
    assert read.all("html")[0]["lang"] == "en"
    regions = [one for one in read.all("div") if one.get("role") == "region"]
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in regions)


def test_nothing_is_fetched(html: str, read: Page) -> None:
    """Everything is inline, and the page's policy forbids other requests."""
    for _, attributes in read.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "data"):
                assert str(value).startswith(("data:", "#"))
    policy = next(one["content"] for one in read.all("meta") if "http-equiv" in one)
    assert policy == page.POLICY
    assert "@import" not in html


def test_the_values_and_their_errors_are_there(read: Page, inputs: ReportInputs) -> None:
    """Values are written as on the command line, and metrics have their titles."""
    row = tables.headline(inputs).rows[0]
    assert (row.metric, row.title) == ("kid", "Kernel inception distance")
    for cell in row.cells:
        assert cell is not None
        assert cell.value in read.text
        assert cell.interval in read.text
    assert [cell.best for cell in row.cells if cell is not None].count(True) == 1
    assert row.floor == row.cells[0].value if row.cells[0] else False


def test_scores_by_class_have_the_names_of_their_classes(inputs: ReportInputs, read: Page) -> None:
    """Every class with a value is a row, with its name, or its number if it has no name."""
    subject = inputs.subjects[0]
    found = tables.by_class(subject)
    assert found is not None
    assert found.metrics == ("intra_fid",)
    assert {name for name, _ in found.rows} == set(CLASSES)
    assert all(values[0] in read.text for _, values in found.rows)
    result = replace(subject.evaluation["intra_fid"], details={"class 0": 1.0, "class 9": 2.0})
    numbered = replace(subject, evaluation=replace(subject.evaluation, metrics={"intra_fid": result}))
    for one, names in (
        (replace(subject, data=None), [name for name, _ in found.rows]),
        (numbered, [sorted(CLASSES)[0], "class 9"]),
        (replace(numbered, data=None), ["class 0", "class 9"]),
    ):
        rows = tables.by_class(one)
        assert rows is not None
        assert [name for name, _ in rows.rows] == names


def test_the_page_is_within_its_limit(html: str, inputs: ReportInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are dropped before figures, the page says so, and if that is not enough an error says what is."""
    full = len(html.encode())
    assert full < LIMIT == 5_000_000
    assert "left out to keep" not in html
    monkeypatch.setattr(page, "LIMIT", full - 1)
    shorter = render(inputs)
    assert len(shorter.encode()) < full
    assert "Some pictures were left out" in shorter
    assert len(Page(shorter).all("img")) < len(Page(html).all("img"))
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(UsageError, match="give fewer of them"):
        render(inputs)
    assert tuple(sorted(CUTS, reverse=True)) == CUTS


def test_large_thumbnails_are_cut_to_the_limit(inputs: ReportInputs) -> None:
    """Report data of the maximum size, of three results, give a page within the limit."""
    one = inputs.subjects[0]
    assert one.data is not None
    heavy = {key: b"\x89PNG\r\n\x1a\n" + bytes(30_000) for key in one.data.images}
    subjects = [replace(one, name=str(n), data=replace(one.data, images=heavy)) for n in range(3)]
    assert 100_000 < len(render(ReportInputs(subjects)).encode()) < LIMIT


def test_a_result_alone_makes_a_page() -> None:
    """Without report data, reals, floor and error bars there is a table, and a hint on how to get pictures."""
    read = Page(render(ReportInputs([bare("alone")]), title="<i>mine</i>"))
    assert {one["id"] for one in read.all("section")} == {"values", "samples", "method"}
    assert "measure with --report-data" in read.text
    assert "<i>mine</i>" in read.text
    assert "4.000" in read.text


def test_examples_stand_in_rows_next_to_trivial_methods() -> None:
    """Inputs, outputs and targets under their headings, the values of other methods with their words, the best bold."""
    targets = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 16, 16).contiguous()
    near, far = (
        evaluate_pairs(targets, ArrayItems(targets + shift, name=name, kind="tensor"), metrics=["l1"])
        for shift, name in ((1, "the model"), (9, f"a trivial {SCRIPT}"))
    )
    data = examples_data(near, {"input": targets[:, :, ::4, ::4].contiguous(), "output": targets + 1})
    read = Page(render(ReportInputs([Subject("model", near, data)], references={"other": far})))
    assert {one["id"] for one in read.all("section")} == {"values", "examples", "method"}
    assert [str(one["alt"]) for one in read.all("img")][:2] == ["input image 0: input 0", "output image 0: output 0"]
    assert len(read.all("img")) == 6
    assert "other: a trivial <script>" in read.text
    assert "measured against Tensor (3 images) on pairs of images as they are, fp64" in read.text
    assert "Mean absolute difference of pixels" in read.text
    best = [one["class"] for one in read.all("td") if "best" in str(one.get("class"))]
    assert best == ["value number best"]


def test_sequences_stand_side_by_side() -> None:
    """Those of the model and real ones, as text, and what was measured is called sequences."""
    subject = bare("alone")
    told = {**subject.evaluation.provenance, "protocol": "sequences"}
    evaluation = replace(subject.evaluation, provenance={**told, "created": "now"})
    data = texts_data(evaluation, {"written by the model": [f"a {SCRIPT}"], "real": ["b c"]}, titles={"is": "A title"})
    read = Page(render(ReportInputs([replace(subject, evaluation=evaluation, data=data)])))
    assert {one["id"] for one in read.all("section")} == {"values", "sequences", "method"}
    assert f"written by the model a {SCRIPT}" in read.text
    assert "b c" in read.isolated
    assert "(24 sequences)" in read.text
    assert "A title" in read.text


def test_what_was_left_out_is_said(inputs: ReportInputs) -> None:
    """The reason replaces the pictures."""
    one = inputs.subjects[0]
    assert one.data is not None
    nothing: dict[str, Any] = {
        "galleries": {},
        "pairs": (),
        "modes": (),
        "common_modes": (),
        "pictures": {},
        "images": {},
    }
    gone = replace(one.data, **nothing, left_out={"pictures": "It streamed."})
    assert "It streamed." in Page(render(ReportInputs([replace(one, data=gone)]))).text


def test_bytes_that_are_no_text_are_written_as_such(inputs: ReportInputs) -> None:
    """A file name with a lone surrogate is written escaped."""
    one = inputs.subjects[0]
    assert one.data is not None
    pictures = {key: Picture("caf\udce9.png", 0, 4, 4) for key in one.data.pictures}
    html = render(ReportInputs([replace(one, name="caf\udce9", data=replace(one.data, pictures=pictures))]))
    assert "caf\\udce9.png" in html


@pytest.mark.parametrize("about", [None, "a name", 3, [], {}, {"name": 5, "count": "many"}, {"name": None}])
def test_a_provenance_of_any_kind_makes_a_page(inputs: ReportInputs, about: object) -> None:
    """A file's provenance is shown as far as it can be interpreted."""
    one = inputs.subjects[0]
    told = {**one.evaluation.provenance, "real": about, "fake": about, "created": about, "device": about}
    Page(render(ReportInputs([replace(one, evaluation=replace(one.evaluation, provenance=told), data=None)])))


def test_warnings_are_said_once_and_of_whom(inputs: ReportInputs) -> None:
    """A warning of both results is shown once, with both names."""
    first, second = inputs.subjects
    subjects = [
        replace(first, evaluation=replace(first.evaluation, warnings=("Of everyone.", "Of one."))),
        replace(second, evaluation=replace(second.evaluation, warnings=("Of everyone.",))),
    ]
    text = Page(render(ReportInputs(subjects))).text
    assert f"{first.name}: Of one." in text
    assert text.count("Of everyone.") == 1


def test_results_that_differ_in_protocol_are_not_compared(inputs: ReportInputs) -> None:
    """The differences name the fields that prevent the comparison."""
    first, second = inputs.subjects
    other = replace(second.evaluation, provenance={**second.evaluation.provenance, "protocol": "clean"})
    (pairing,) = tables.pairings(ReportInputs([first, replace(second, evaluation=other)]))
    assert pairing.differences == ()
    assert any("protocol (tensorflow and clean)" in text for text in pairing.obstacles)


def test_what_cannot_be_compared_changes_no_verdict_and_is_no_rival(inputs: ReportInputs) -> None:
    """P-values are corrected for the differences that are shown, and values measured otherwise have no best one."""
    pair = list(inputs.subjects)
    told = {**pair[0].evaluation.provenance, "protocol": "clean"}
    stranger = replace(pair[0], name="other", evaluation=replace(pair[0].evaluation, provenance=told))
    (alone,), (beside, *others) = (tables.pairings(ReportInputs(them)) for them in (pair, [*pair, stranger]))
    assert alone.differences == beside.differences
    assert all(one.obstacles and not one.differences for one in others)
    best = [
        [cell.best for row in tables.headline(ReportInputs(them)).rows for cell in row.cells if cell]
        for them in (pair, [*pair, stranger])
    ]
    assert (any(best[0]), any(best[1])) == (True, False)


def test_errors_are_called_independent_only_where_they_count_as_such(inputs: ReportInputs) -> None:
    """Saved results know what they owe to the same reals; for a metric that does not, there is a sentence."""
    words = "added as if independent"
    assert words not in Page(render(ReportInputs(inputs.subjects))).text
    unknown = [
        replace(one, evaluation=replace(one.evaluation, metrics={
            name: replace(result, reals=None) if name == "kid" else result
            for name, result in one.evaluation.metrics.items()
        }))
        for one in inputs.subjects
    ]  # fmt: skip
    assert (
        f"the errors of kid owe to the same reals is not known; they are {words}"
        in Page(render(ReportInputs(unknown))).text
    )


def test_a_page_of_the_same_results_is_the_same_page(html: str, inputs: ReportInputs) -> None:
    """The page does not depend on the time or place of writing."""
    assert render(inputs) == html


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, inputs: ReportInputs) -> None:
    """Without Jinja2 or matplotlib the error says what to install."""
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=re.escape("pip install 'ganeval[report]'")):
        render(inputs)


def test_a_report_is_made_without_torch() -> None:
    """Modules that read and write a report import no torch, and matplotlib only when needed."""
    code = (
        "import sys, ganeval.report.page, ganeval.report.training, ganeval.report.inputs\n"
        "found = {'torch', 'scipy', 'PIL', 'matplotlib', 'jinja2'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr


def test_the_reader_of_these_tests_is_strict() -> None:
    """The parser finds elements left open, closed twice, and repeated ids."""
    bad: list[Callable[[], Page]] = [
        lambda: Page("<p><b></p>"),
        lambda: Page("<p>"),
        lambda: Page("</p>"),
        lambda: Page('<p id="a" id="b"></p>'),
    ]
    for make in bad:
        with pytest.raises(AssertionError):
            make()
