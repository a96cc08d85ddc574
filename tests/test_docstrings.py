"""Docstrings of public functions and classes: Google style, with every parameter, result and metric example."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from public_modules import PUBLIC

import reference_models
from ganeval import metrics
from ganeval.extractors import Extractor
from ganeval.metrics import METRICS, PAIR_METRICS
from ganeval.progress import Progress
from ganeval.sources import Generator, Items, Source
from ganeval_cli.pytest_plugin import Bench

# Protocols say what their methods take and give; a class that implements one need not say it again.
PROTOCOLS = (Extractor, Generator, Items, Source)
# Names of sections, as documentation generators read them.
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "References", "Examples")
ENTRY = re.compile(r"^    \*{0,2}(\w+)(?: \([^)]*\))?: ")


def public_objects() -> dict[str, object]:
    """Functions and classes of every public module, by dotted name and once; constants have no docstring."""
    found: dict[int, tuple[str, object]] = {}
    for module in (*PUBLIC, "reference_models"):
        package = importlib.import_module(module)
        for name in package.__all__:
            one = getattr(package, name)
            if inspect.isfunction(one) or inspect.isclass(one):
                found.setdefault(id(one), (f"{module}.{name}", one))
    return dict(found.values())


def methods(one: type) -> dict[str, object]:
    """The public methods that a class defines itself."""
    functions = {name: getattr(member, "__func__", member) for name, member in vars(one).items()}
    return {name: found for name, found in functions.items() if name[0] != "_" and inspect.isfunction(found)}


def public_functions() -> Iterator[tuple[str, object]]:
    """The functions among them, and the public methods of classes that are not those of a protocol."""
    for name, one in public_objects().items():
        if not inspect.isclass(one):
            yield name, one
            continue
        kept = [protocol for protocol in PROTOCOLS if protocol is not one and methods(protocol).keys() <= set(dir(one))]
        for key, function in methods(one).items():
            if not any(key in methods(protocol) for protocol in kept):
                yield f"{name}.{key}", function


def sections(one: object) -> dict[str, list[str]]:
    """The lines of each section of a docstring, the text before the first under ""."""
    found: dict[str, list[str]] = {"": []}
    current = ""
    for line in (inspect.getdoc(one) or "").splitlines():
        if line.endswith(":") and line[:-1] in SECTIONS:
            current = line[:-1]
            found[current] = []
        elif line and not line.startswith(" ") and current:
            current = ""
        if current and line.strip() and line != f"{current}:":
            found[current].append(line)
        elif not current:
            found[""].append(line)
    return found


def entries(lines: list[str]) -> list[str]:
    """The names that a section has an entry for."""
    return [match[1] for line in lines if (match := ENTRY.match(line))]


def faults(one: object) -> list[str]:
    """What is missing in the docstring of a function."""
    found, signature = sections(one), inspect.signature(one)  # type: ignore[arg-type]
    summary = found[""][0] if found[""] else ""
    parameters = [name for name in signature.parameters if name not in ("self", "cls")]
    lacking = []
    if not summary.endswith("."):
        lacking.append("a one-line summary that ends in a full stop")
    if (named := entries(found.get("Args", []))) != parameters:
        lacking.append(f"Args of {parameters} in this order, found {named}")
    returns = signature.return_annotation
    # Without parameters, the summary says what is returned.
    gives = bool(parameters) and returns not in (None, "None", inspect.Signature.empty)
    if gives and not (found.get("Returns") or found.get("Yields")):
        lacking.append("Returns")
    if "Raises" in found and not entries(found["Raises"]):
        lacking.append("the name of an exception under Raises")
    return lacking


def test_public_functions_are_documented() -> None:
    """The docstring of each has a summary, every parameter in order, and what is returned."""
    functions = dict(public_functions())
    assert len(functions) > 300
    assert {name: lacking for name, function in functions.items() if (lacking := faults(function))} == {}


def test_public_classes_are_documented() -> None:
    """The docstring of each has a summary, and every field or parameter of the constructor."""
    classes = {name: one for name, one in public_objects().items() if inspect.isclass(one)}
    assert len(classes) > 100
    lacking = {}
    for name, one in classes.items():
        found = sections(one)
        if not found[""] or not found[""][0].endswith((".", "::")):
            lacking[name] = "a summary"
        # Protocols have no constructor, and most exceptions that of Exception.
        if not getattr(one, "_is_protocol", False) and inspect.isfunction(one.__init__):
            parameters = list(inspect.signature(one).parameters)
            if (named := entries(found.get("Attributes", found.get("Args", [])))) != parameters:
                lacking[name] = f"Attributes or Args of {parameters}, found {named}"
    assert lacking == {}


@pytest.mark.parametrize("one", [*PROTOCOLS, Progress], ids=lambda one: one.__name__)
def test_a_protocol_cannot_be_instantiated(one: type) -> None:
    """A protocol, and a class that inherits from it and lacks a method, cannot be instantiated."""
    with pytest.raises(TypeError, match="instantiate"):
        one()
    with pytest.raises(TypeError, match="abstract method"):
        type("Mine", (one,), {})()


# Every row's function; rows of pairs have a public one that takes all pairs at once.
OF_SETS = {row.compute for row in METRICS.values()}
OF_PAIRS = {getattr(metrics, row.family or name) for name, row in PAIR_METRICS.items()}
OF_TASKS = {
    row.compute
    for table in (reference_models.SEQUENCE_METRICS, reference_models.CLASSIFIER_METRICS)
    for row in table.values()
}


def test_a_metric_has_a_formula_errors_and_an_example() -> None:
    """The docstring of every metric's function has a formula, the errors and an example."""
    lacking = []
    for function in OF_SETS | OF_PAIRS | OF_TASKS:
        found, name = sections(function), function.__name__
        if not any(line.lstrip().startswith(">>> ") for line in found.get("Examples", [])):
            lacking.append(f"{name}: an example")
        if "MetricError" not in entries(found.get("Raises", [])):
            lacking.append(f"{name}: MetricError")
        if not any("::" in line or "``" in line for line in found[""]):
            lacking.append(f"{name}: a formula")
    assert lacking == []


def test_public_functions_say_what_their_keywords_are() -> None:
    """No function takes keywords of which nothing is known."""
    found = []
    for name, function in [*public_functions(), ("ganeval_cli.pytest_plugin.Bench.score", Bench.score)]:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
        if any(one.kind is one.VAR_KEYWORD and one.annotation is Any for one in parameters):
            found.append(name)
    assert found == []


def test_a_poor_docstring_is_found() -> None:
    """A missing parameter, result and full stop are named."""

    def poor(real: int, fake: int) -> int:
        """Compare

        Args:
            real: A number.
        """
        return real + fake

    assert len(faults(poor)) == 3
