"""Docstrings of public functions and classes: Google style, with every parameter, result and metric example."""

import importlib
import inspect
import re
from collections.abc import Iterator

import pytest

from ganeval.metrics import METRICS

# Packages whose `__all__` is documented in full: a package joins by being listed.
COVERED = ("ganeval.metrics",)
# Names of sections, as documentation generators read them.
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "References", "Examples")
ENTRY = re.compile(r"^    \*{0,2}(\w+)(?: \([^)]*\))?: ")


def public_objects() -> list[tuple[str, object]]:
    """Functions and classes of every covered package, by dotted name; constants have no docstring."""
    found = []
    for package in COVERED:
        module = importlib.import_module(package)
        named = [(name, getattr(module, name)) for name in module.__all__]
        found += [(f"{package}.{name}", one) for name, one in named if inspect.isfunction(one) or inspect.isclass(one)]
    return found


def public_functions() -> Iterator[tuple[str, object]]:
    """The functions among them, and the public methods that their classes define."""
    for name, one in public_objects():
        if not inspect.isclass(one):
            yield name, one
            continue
        for key, member in vars(one).items():
            function = getattr(member, "__func__", member)
            if not key.startswith("_") and inspect.isfunction(function):
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
    """What the docstring of a function lacks."""
    found, signature = sections(one), inspect.signature(one)  # type: ignore[arg-type]
    summary = found[""][0] if found[""] else ""
    parameters = [name for name in signature.parameters if name not in ("self", "cls")]
    lacking = []
    if not summary.endswith("."):
        lacking.append("a one-line summary that ends in a full stop")
    if (named := entries(found.get("Args", []))) != parameters:
        lacking.append(f"Args of {parameters} in this order, found {named}")
    returns = signature.return_annotation
    if returns not in (None, "None", inspect.Signature.empty) and not (found.get("Returns") or found.get("Yields")):
        lacking.append("Returns")
    if "Raises" in found and not entries(found["Raises"]):
        lacking.append("the name of an exception under Raises")
    return lacking


@pytest.mark.parametrize(("name", "function"), [pytest.param(*one, id=one[0]) for one in public_functions()])
def test_a_public_function_is_documented(name: str, function: object) -> None:
    """Its docstring has a summary, every parameter in order, and what is returned."""
    assert not faults(function), f"{name} lacks {'; '.join(faults(function))}"


@pytest.mark.parametrize(
    ("name", "one"), [pytest.param(*one, id=one[0]) for one in public_objects() if inspect.isclass(one[1])]
)
def test_a_public_class_is_documented(name: str, one: type) -> None:
    """Its docstring has a summary, and every field or parameter of the constructor."""
    found = sections(one)
    assert found[""]
    assert found[""][0].endswith("."), name
    parameters = list(inspect.signature(one).parameters)
    assert entries(found.get("Attributes", found.get("Args", []))) == parameters


@pytest.mark.parametrize("function", sorted({row.compute for row in METRICS.values()}, key=lambda one: one.__name__))
def test_a_metric_has_a_formula_errors_and_an_example(function: object) -> None:
    """The function of every row shows how it is called, what it computes, and when it refuses."""
    found = sections(function)
    assert any(line.lstrip().startswith(">>> ") for line in found.get("Examples", []))
    assert entries(found["Raises"]) == ["MetricError"]
    assert any("::" in line or "``" in line for line in found[""])


def test_a_poor_docstring_is_found() -> None:
    """A missing parameter, result and full stop are named."""

    def poor(real: int, fake: int) -> int:
        """Compare

        Args:
            real: A number.
        """
        return real + fake

    assert len(faults(poor)) == 3
