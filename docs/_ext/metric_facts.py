"""The directive `metric-facts`: what a metric needs, its options, and what it noticed in the sensitivity benchmark.

The facts are those of `ganeval metrics --format json` and benchmarks/results/sensitivity.json, so that no page repeats
them by hand. A metric that no page describes is a warning, which fails the build.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from ganeval_cli.main import cli

SENSITIVITY = Path(__file__).parents[2] / "benchmarks" / "results" / "sensitivity.json"
CONTROL = "another draw"
# Standard errors from which docs/sensitivity.md, too, says that a metric has noticed a damage.
NOTICED = 2.0

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Adds the directive, and the check that every metric has its section."""
    app.add_directive("metric-facts", MetricFacts)
    app.connect("env-check-consistency", check_complete)
    return {"version": "1", "parallel_read_safe": False}


@cache
def listed() -> Mapping[str, Mapping[str, str]]:
    """The rows of `ganeval metrics`, by name, but for those of a task, which the pages of its models describe."""
    done = CliRunner().invoke(cli, ["metrics", "--format", "json"], catch_exceptions=False)
    return {row["name"]: row for row in json.loads(done.output)["metrics"]}


@cache
def moves() -> Mapping[str, Mapping[str, Sequence[float | None]]]:
    """By metric and damage of digits: how far the value moved at each strength, in standard errors towards worse."""
    tables = json.loads(SENSITIVITY.read_text(encoding="utf-8"))
    found: dict[str, dict[str, list[float | None]]] = tables["digits"]["moves"]
    return found


class MetricFacts(SphinxDirective):
    """`{metric-facts} NAME`: a table of facts."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table, as Markdown that the page's own parser reads."""
        name = self.arguments[0]
        if name not in listed():
            raise self.error(f"'{name}' is not a metric; there are: {', '.join(listed())}")
        described(self.env).add(name)
        rows = [f"* - {head}\n  - {text}" for head, text in facts(name)]
        return self.parse_text_to_nodes("\n".join([":::{list-table}", ":class: facts", *rows, ":::"]))


def facts(name: str) -> Iterator[tuple[str, str]]:
    """Heading and text of every row."""
    row = listed()[name]
    yield "Name", f"`{name}`"
    yield "Needs", row["needs"]
    yield "Better", row["better"]
    if row["options"]:
        yield "Options", ", ".join(f"`{option}`" for option in row["options"].split())
    noticed: dict[str, list[str]] = {}
    for damage, values in moves().get(name, {}).items():
        if damage != CONTROL:
            noticed.setdefault(verdict(values), []).append(damage)
    for words in ("Notices", "Notices when strong", "Calls better", "Misses", "Refuses"):
        if words in noticed:
            yield words, ", ".join(noticed[words])


def verdict(values: Sequence[float | None]) -> str:
    """What a metric says of a damage, from its mildest strength to its greatest."""
    known = [value for value in values if value is not None]
    if not known:
        return "Refuses"
    if known[0] >= NOTICED:
        return "Notices"
    if max(known) >= NOTICED:
        return "Notices when strong"
    return "Calls better" if min(known) <= -NOTICED else "Misses"


def described(env: BuildEnvironment) -> set[str]:
    """The metrics that pages describe, collected while they are read."""
    if not hasattr(env, "ganeval_metrics"):
        env.ganeval_metrics = set()
    found: set[str] = env.ganeval_metrics
    return found


def check_complete(app: Sphinx, env: BuildEnvironment) -> None:  # noqa: ARG001, Sphinx's signature
    """A warning for every metric without a section."""
    for name in listed():
        if name not in described(env):
            logger.warning("metric '%s' has no section in docs/metrics/", name)
