"""`ganeval protocols`, `ganeval extractors`, `ganeval metrics`: lists of available choices."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ganeval.protocols import DEFAULT, PROTOCOLS, Protocol
from ganeval.tables import Table
from ganeval.wording import direction_text
from ganeval_cli.console import columns, note, out, wrapped_entry
from ganeval_cli.io import to_json
from ganeval_cli.options import FORMAT, command

if TYPE_CHECKING:
    from ganeval.metrics import Metric, PairMetric
    from ganeval.registry import Registry
    from reference_models import TaskMetric

# The keys of a metric.
METRIC = ("name", "title", "needs", "better", "source", "options")
OF_SEQUENCES = "Metrics of token sequences, of `ganeval train-and-score --variant seqgan`:"
OF_CLASSIFIERS = "Metrics of semi-supervised classifiers, of `ganeval train-and-score --variant ssgan`:"


@command(FORMAT)
def protocols(*, format: str) -> None:
    """The protocols, and the tools they reproduce.

    A protocol fixes how images become features, the covariance, and the inception score or the extractor. The options
    of other metrics are the same under all protocols; where a tool uses other options, the list says so.
    """
    if format == "json":
        out(to_json({"default": DEFAULT, "protocols": [_fields(protocol) for protocol in PROTOCOLS.values()]}))
    else:
        out("\n\n".join(wrapped_entry(_lines(protocol)) for protocol in PROTOCOLS.values()))


def _fields(protocol: Protocol) -> dict[str, object]:
    return {
        "name": protocol.name,
        "aliases": protocol.aliases,
        "reproduces": protocol.reproduces,
        "extractor": protocol.extractor,
        "prescribes_extractor": protocol.prescribes,
        "resize": protocol.resize,
        "normalisation": protocol.normalisation,
        "ddof": protocol.ddof,
        "logits_bias": protocol.logits_bias,
        "options": {name: dict(options) for name, options in protocol.options.items()},
        "elsewhere": protocol.elsewhere,
    }


def _lines(protocol: Protocol) -> Iterator[str]:
    default = " (default)" if protocol.name == DEFAULT else ""
    yield f"{protocol.name}{default}: {protocol.reproduces}"
    if protocol.aliases:
        yield f"also called {', '.join(protocol.aliases)}"
    over = f"n - {protocol.ddof}" if protocol.ddof else "n"
    yield f"resize {protocol.resize}, pixels {protocol.normalisation}, covariance over {over}"
    if protocol.prescribes:
        yield f"extractor {protocol.extractor}, and no other"
    else:
        scores = protocol.options["is"]
        order = "as read" if scores["shuffle_seed"] is None else f"shuffled with seed {scores['shuffle_seed']}"
        bias = "with" if protocol.logits_bias else "without"
        splits = f"{scores['splits']} split{'' if scores['splits'] == 1 else 's'}"
        yield f"logits {bias} bias; IS in {splits}, images {order}"
    yield from (f"not fixed: {text}" for text in protocol.elsewhere)


@command(FORMAT)
def extractors(*, format: str) -> None:
    """The networks that turn images into features."""
    from ganeval.extractors import EXTRACTORS, REQUIRED

    def spec(word: str, argument: str) -> str:
        if not argument:
            return word
        return f"{word}:{argument}" if argument in REQUIRED else f"{word}[:{argument}]"

    rows = [(spec(word, entry.argument), entry.needs, entry.title) for word, entry in EXTRACTORS.usable().items()]
    head = ("name", "needs", "what")
    out(to_json({"extractors": _documents(head, rows)}) if format == "json" else Table(head, rows).text(columns()))
    tell_problems(EXTRACTORS)


@command(FORMAT)
def metrics(*, format: str) -> None:
    """The metrics, what they need, and their options.

    Those that need pairs are computed by `ganeval pairs`; those of token sequences by
    `ganeval train-and-score --variant seqgan`, and those of semi-supervised classifiers with `--variant ssgan`.
    """
    from ganeval.metrics import METRICS, PAIR_METRICS
    from ganeval.pipeline import defaults, needs_labels, options_key
    from reference_models import CLASSIFIER_METRICS, SEQUENCE_METRICS

    def described(name: str, row: "Metric | PairMetric", needs: Iterable[str]) -> tuple[str, ...]:
        options = (f"{options_key(name, row)}.{one}={_typed(value)}" for one, value in defaults(row.compute).items())
        better = direction_text(row.direction, row.ideal)
        return name, row.title, ", ".join(needs), better, row.source, " ".join(options)

    rows = [
        described(name, row, _needs(row.real, row.fake, labels=needs_labels(row)))
        for name, row in METRICS.usable().items()
    ]
    rows += [described(name, row, ["pairs"]) for name, row in PAIR_METRICS.usable().items()]
    of_tasks = {
        key: (heading, [_of_task(name, row) for name, row in table.items()])
        for key, heading, table in (
            ("sequence_metrics", OF_SEQUENCES, SEQUENCE_METRICS),
            ("classifier_metrics", OF_CLASSIFIERS, CLASSIFIER_METRICS),
        )
    }
    if format == "json":
        documents = {key: _documents(METRIC, listed) for key, (_, listed) in of_tasks.items()}
        out(to_json({"metrics": _documents(METRIC, rows), **documents}))
    else:
        entries = [list(_described(row)) for row in rows]
        for heading, listed in of_tasks.values():
            entries += [[heading], *(list(_described(row)) for row in listed)]
        out("\n\n".join(map(wrapped_entry, entries)))
    tell_problems(METRICS)
    tell_problems(PAIR_METRICS)


def tell_problems(table: "Registry[Any]") -> None:
    """Report packages whose entries cannot be used, on stderr."""
    for problem in table.problems():
        note(f"warning: {problem}")


def _typed(value: object) -> str:
    """A default as it would be typed after --option."""
    return value if isinstance(value, str) else json.dumps(value)


def _of_task(name: str, row: "TaskMetric") -> tuple[str, ...]:
    """A metric of a task; one of sequences may be compared with that of real sequences."""
    better = f"{row.direction} to that of real sequences" if row.direction == "closer" else row.direction
    return name, row.title, ", ".join(row.needs), better, row.source, ""


def _needs(real: str | None, fake: str, *, labels: bool) -> Iterator[str]:
    if real is not None:
        yield f"{real} of real"
    yield f"{fake} of fake"
    if labels:
        yield "classes of both"


def _described(row: Sequence[str]) -> Iterator[str]:
    """The lines of a metric."""
    name, title, needs, better, source, options = row
    yield f"{name}: {title} ({source})" if source else f"{name}: {title}"
    yield f"needs {needs}; better: {better}"
    if options:
        yield f"options {options}"


def _documents(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    return [dict(zip(head, row, strict=True)) for row in rows]
