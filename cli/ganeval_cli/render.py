"""An Evaluation as text: the table, how it was measured, and its caveats."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ganeval.results import PAIRS, Evaluation, MetricResult
from ganeval.tables import FOOTNOTE, METRIC_HEAD, Table, comma_separated, facts, markdown_text, metric_cells
from ganeval.wording import NONE
from ganeval_cli.options import OutputOptions

COLUMNS = ("value", "standard_error", "low", "high", "direction", "ideal", "n_real", "n_fake", "comparable")
# Entries in the description of a source, and their labels.
SAID = {
    "prepared": "prepared as:",
    "range": "declared range",
    "measured_with": "said to be of the extractor",
    "beside": "not used:",
}


def evaluation_text(evaluation: Evaluation, *, view: OutputOptions) -> str:
    """The table of an evaluation, a line about how it was measured and, if verbose, all details."""
    rows = [
        (name, *metric_cells(result, comparable=evaluation.comparable)) for name, result in evaluation.metrics.items()
    ]
    parts = [
        laid_out(("metric", *METRIC_HEAD), rows, view),
        prose([*footnote([evaluation]), how_measured(evaluation.provenance)], view),
    ]
    if view.verbose:
        parts.append(details_text(evaluation, view))
    return "\n\n".join(parts)


def laid_out(head: Sequence[str], rows: Iterable[Sequence[str]], view: OutputOptions) -> str:
    """A table for the screen, or for a document."""
    table = Table(head, tuple(rows))
    return table.markdown() if view.format == "markdown" else table.text()


def prose(lines: Iterable[str], view: OutputOptions) -> str:
    """Lines above or below a table; in a document, one paragraph per line."""
    return "\n\n".join(map(markdown_text, lines)) if view.format == "markdown" else "\n".join(lines)


def evaluations_csv(
    evaluations: Mapping[str, Evaluation], *, by: str | None = None, details: Sequence[str] = ()
) -> str:
    """One line per metric, with numbers in full precision.

    by: the kind of the evaluations' names, "extractor" or "protocol", and the head of a first column with them.
    details: those with a column each, empty if a metric lacks it.
    """
    head = (by or "", "metric", *COLUMNS, *details)
    rows = [
        (label, name, *_numbers(result), one.comparable, *(result.details.get(detail) for detail in details))
        for label, one in evaluations.items()
        for name, result in one.metrics.items()
    ]
    return comma_separated(head, rows) if by else comma_separated(head[1:], [row[1:] for row in rows])


def _numbers(result: MetricResult) -> tuple[object, ...]:
    low, high = (None, None) if result.interval is None else result.interval
    return (
        *(result.value, result.standard_error, low, high),
        *(result.direction, result.ideal, result.n_real, result.n_fake),
    )


def protocols_text(evaluations: Mapping[str, Evaluation], *, default: str, view: OutputOptions) -> str:
    """One table of every protocol, with the distance of each value from the default protocol's."""
    references = evaluations[default].metrics
    rows = [
        (
            protocol,
            name,
            *metric_cells(result, comparable=evaluation.comparable),
            _difference(result.value, references.get(name)),
        )
        for protocol, evaluation in evaluations.items()
        for name, result in evaluation.metrics.items()
    ]
    head = ("protocol", "metric", *METRIC_HEAD, f"against {default}")
    how = how_measured({**evaluations[default].provenance, "protocol": "as in the table"})
    parts = [laid_out(head, rows, view), prose([*footnote(evaluations.values()), how], view)]
    if view.verbose:
        parts += every_details(evaluations, view)
    return "\n\n".join(parts)


def extractors_text(evaluations: Mapping[str, Evaluation], *, view: OutputOptions) -> str:
    """One table, metric by metric, with a row for every extractor."""
    metrics = dict.fromkeys(name for one in evaluations.values() for name in one.metrics)
    rows = [
        (name, extractor, *metric_cells(one.metrics[name], comparable=one.comparable))
        for name in metrics
        for extractor, one in evaluations.items()
        if name in one.metrics
    ]
    how = [how_measured(one.provenance) for one in evaluations.values()]
    parts = [
        laid_out(("metric", "extractor", *METRIC_HEAD), rows, view),
        prose([*footnote(evaluations.values()), *how], view),
    ]
    if view.verbose:
        parts += every_details(evaluations, view)
    return "\n\n".join(parts)


def footnote(evaluations: Iterable[Evaluation]) -> tuple[str, ...]:
    """The line that explains the mark, if a value has it."""
    return () if all(evaluation.comparable for evaluation in evaluations) else (FOOTNOTE,)


def _difference(value: float, reference: MetricResult | None) -> str:
    """As a share of the reference's size; "-" if there is none."""
    if reference is None or reference.value == 0:
        return NONE
    return f"{(value - reference.value) / abs(reference.value):+.2%}"


def how_measured(provenance: Mapping[str, Any]) -> str:
    """How an evaluation was measured, in one line."""
    if provenance["extractor"] == PAIRS["extractor"]:
        sets = str(provenance["preprocessing"]).removeprefix(f"{PAIRS['extractor']}: ")
        return f"measured on {sets}, {provenance['precision']} on {provenance['device']}"
    prepared = (provenance.get("real") or {}).get("prepared")
    return (
        f"measured with {provenance['extractor']} (weights {_weights(provenance)}), "
        f"protocol {provenance['protocol']}, {provenance['precision']} on {provenance['device']}"
        + ("" if prepared is None else f"; reals prepared as: {prepared}")
    )


def _weights(provenance: Mapping[str, Any]) -> str:
    digest = provenance["weights_sha256"]
    return f"{provenance['weights']}, sha256 {digest[:12]}" if digest else str(provenance["weights"])


def details_text(evaluation: Evaluation, view: OutputOptions) -> str:
    """Every detail of how an evaluation was measured, for --verbose."""
    found = _details(evaluation)
    return Table(("measured", "how"), tuple(found)).markdown() if view.format == "markdown" else facts(found)


def every_details(evaluations: Mapping[str, Evaluation], view: OutputOptions) -> list[str]:
    """The details of several evaluations, each below its name."""
    between = "\n\n" if view.format == "markdown" else "\n"
    return [f"{prose([name], view)}{between}{details_text(one, view)}" for name, one in evaluations.items()]


def _details(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    about = evaluation.provenance
    yield "extractor", about["extractor"]
    yield "dimensions", "of the images" if about["dimensions"] is None else str(about["dimensions"])
    yield (
        "weights",
        f"{about['weights']}, sha256 {about['weights_sha256']}" if about["weights_sha256"] else about["weights"],
    )
    if "weights_licence" in about:
        yield "licence of the weights", about["weights_licence"]
    yield "preprocessing", about["preprocessing"]
    yield "protocol", about["protocol"]
    yield "precision", f"{about['precision']} on {about['device']}"
    for side in ("real", "fake"):
        if about[side] is not None:
            yield from _source(side, about[side])
    for name, result in evaluation.metrics.items():
        yield name, "; ".join([result.method, *_pairs(result.options), *_pairs(result.details)])
    yield "seed", str(about["seed"])
    yield "versions", ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    yield "created", about["created"]
    yield "signature", evaluation.signature


def _source(side: str, source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    count = "?" if source["count"] is None else source["count"]
    cached = ", features from the cache" if source.get("cached") else ""
    yield side, f"{source['name']}: {source['kind']} of {count} images{cached}"
    if source.get("digest"):
        yield "", f"content {source['digest']}"
    for key, words in SAID.items():
        if source.get(key):
            yield "", f"{words} {source[key]}"
    if source.get("statistics"):
        stored = source["statistics"]
        yield "", f"also holds statistics, taken by the metrics of moments: content {stored['digest']}"
    if source.get("conversions"):
        yield "", "converted: " + ", ".join(f"{name} {count}" for name, count in source["conversions"].items())
    if source.get("changed"):
        yield "", f"changed: {', then '.join(source['changed'])}"
    for name, reason in source.get("skipped", ()):
        yield "", f"skipped: {name}: {reason}"
    yield from (("", text) for text in _files(source))


def _files(source: Mapping[str, Any]) -> Iterator[str]:
    """Which files of a set were taken, and where its classes were read from."""
    chosen = source.get("selection")
    if chosen:
        sides = (f"{side} {' '.join(chosen[side])}" for side in ("include", "exclude") if side in chosen)
        yield f"selected: {', '.join(sides)}, of {chosen['of']} images"
    if source.get("left_out"):
        yield "left out: " + ", ".join(f"{count} x {suffix}" for suffix, count in source["left_out"].items())
    if source.get("labels"):
        yield f"labels: {source['classes']} classes, from {source['labels']}"
    elif source.get("unlabelled"):
        yield f"labels: none: {source['unlabelled']}"


def _pairs(values: Mapping[str, object]) -> Iterator[str]:
    for name, value in values.items():
        yield f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
