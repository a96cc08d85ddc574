"""The faults of mutation testing: which code is changed, and which is not."""

from pathlib import Path

import pytest

from scripts.mutation import __main__ as script
from scripts.mutation.__main__ import Reach, owners, tried
from scripts.mutation.operators import Mutation, draw, mutations

SOURCE = '''"""A docstring with 1 + 1."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


def least(values: list[int], *, bound: int = 3) -> int | None:
    """The least of é values."""
    if not values:
        raise ValueError(f"found {len(values) + 1} values")
    assert bound > 0
    best = min(value for value in values if value < bound and value != 2)
    print("é", best - 1)
    return best
'''


def changes(source: str) -> dict[str, str]:
    """Every fault of a file, with the line that it leaves."""
    encoded = source.encode()
    return {
        one.change: one.applied(encoded).decode().splitlines()[one.line - 1].strip() for one in mutations("m", encoded)
    }


def test_every_kind_of_fault_is_found() -> None:
    """Conditions are inverted, comparisons and operators exchanged, numbers moved, and statements dropped."""
    assert changes(SOURCE) == {
        "3 -> (4)": "def least(values: list[int], *, bound: int = (4)) -> int | None:",
        "not values -> (values)": "if (values):",
        "raise ValueError(f'found {len(values) + 1} values') -> pass": "pass",
        "value < bound and value != 2 -> (not (value < bound and value != 2))": (
            "best = min(value for value in values if (not (value < bound and value != 2)))"
        ),
        "value < bound and value != 2 -> (value < bound or value != 2)": (
            "best = min(value for value in values if (value < bound or value != 2))"
        ),
        "value < bound -> (value <= bound)": "best = min(value for value in values if (value <= bound) and value != 2)",
        "value != 2 -> (value == 2)": "best = min(value for value in values if value < bound and (value == 2))",
        "2 -> (3)": "best = min(value for value in values if value < bound and value != (3))",
        "print('é', best - 1) -> pass": "pass",
        "best - 1 -> (best + 1)": 'print("é", (best + 1))',
        "1 -> (2)": 'print("é", best - (2))',
        "return best -> return None": "return None",
    }


def test_a_line_is_the_same_wherever_it_stands(tmp_path: Path) -> None:
    """Two checkouts with the same functions in other files have the same lines broken in the same way."""
    for root, name, blank in (("old", "small.py", ""), ("new", "least.py", "\n\n")):
        package = tmp_path / root / "ganeval"
        package.mkdir(parents=True)
        (package / name).write_text(blank + SOURCE, encoding="utf-8")
    (tmp_path / "new/ganeval/other.py").write_text("def only_new(n):\n    return n + 1\n", encoding="utf-8")
    old, new = tmp_path / "old", tmp_path / "new"

    def named(found: list[Mutation]) -> list[tuple[tuple[str, str], str]]:
        return [(one.place, one.change) for one in found]

    both = named(draw([old, new], count=3, seed=1))
    assert both == named(draw([new, old], count=3, seed=1))
    assert len(set(both)) == 3
    assert both != named(draw([old, new], count=3, seed=2))
    assert len(draw([new], count=40, seed=0)) == len(draw([new, old], count=40, seed=0)) + 1


def test_the_owners_a_line_come_first() -> None:
    """Then come the tests of the same files; for a line that no test ran, those of its file, and otherwise all."""
    seconds = {"a.py::one": 1.0, "a.py::two": 3.0, "b.py::one": 2.0, "c.py::one": 1.0}
    reach = Reach({("m", 1): {"a.py::two", "b.py::one"}, ("m", 2): {"failing"}}, {"m": {"c.py::one"}}, seconds)

    def tests(file: str, line: int) -> list[str]:
        return reach.tests(Mutation("f", "x", "", file, line, 0, 0, ""))

    assert tests("m", 1) == ["b.py::one", "a.py::two", "a.py::one"]
    assert tests("m", 2) == ["c.py::one"]
    assert tests("n", 1) == ["c.py::one", "b.py::one", "a.py::one", "a.py::two"]


def test_what_runs_in_a_fixture_belongs_to_its_users() -> None:
    """A child process belongs to the test that started it, and lines run on import to no test."""
    assert owners("fixture run", {"run": ["a", "b"]}) == ["a", "b"]
    assert owners("a.py::one[x (y)] (call)", {}) == ("a.py::one[x (y)]",)
    assert owners("", {}) == ()


@pytest.mark.parametrize(
    ("codes", "verdict", "by"),
    [
        ((0,), "survived", None),
        ((5,), "survived", None),
        ((None,), "out of time", None),
        ((2, 0), "caught", "collection"),
        ((1, 0), "caught", "collection"),
        ((2, 2), "fails without the fault", "collection"),
        ((-11, 0), "caught", "a crash"),
    ],
)
def test_an_outcome_follows_from_how_pytest_ended(
    codes: tuple[int | None, ...], verdict: str, by: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault after which tests cannot be collected is caught, unless they cannot be without it, either."""
    ended = iter(codes)
    monkeypatch.setattr(script, "pytest_in", lambda *_arguments, **_options: next(ended))
    (tmp_path / "m.py").write_text(SOURCE, encoding="utf-8")
    fault = next(iter(mutations("m.py", SOURCE.encode())))
    found = tried(fault, Reach({}, {}, {"a.py::one": 1.0}), budget=60, tree=tmp_path)
    assert (found.verdict, found.by) == (verdict, by)
    assert (tmp_path / "m.py").read_text(encoding="utf-8") == SOURCE


# A module that is imported by its tests, and what they do with it; two folders of tests have a conftest of their own.
SMALL = {
    "pyproject.toml": (
        "[tool.pytest.ini_options]\ntestpaths = ['tests']\npythonpath = ['.']\naddopts = '-p xdist.plugin'\n"
    ),
    "m.py": "LIMIT = 3\ndef low(value):\n    return value < LIMIT\ndef unused():\n    return 1 + 1\nlow(int('2'))\n",
    "tests/a/conftest.py": "HELP = 1\n",
    "tests/a/test_a.py": "from conftest import HELP\nfrom m import low\n\n\ndef test_low():\n    assert low(2)\n",
    "tests/b/conftest.py": "",
    "tests/b/test_b.py": "import m\n\n\ndef test_high():\n    assert not m.low(3)\n",
}


@pytest.mark.parametrize(
    ("change", "verdict", "by"),
    [
        ("value < LIMIT -> (value <= LIMIT)", "caught", "tests/b/test_b.py::test_high"),
        ("1 + 1 -> (1 - 1)", "survived", None),
        ("def low", "caught", "collection"),
    ],
)
def test_a_fault_meets_the_tests_of_a_project(
    change: str, verdict: str, by: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests of all folders run in the order of their time; a fault that prevents an import is caught."""
    # The project names the one that it needs; importing all that are installed takes a second for each run of pytest.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name, text in SMALL.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    faults = {one.change: one for one in mutations("m.py", SMALL["m.py"].encode())}
    start = SMALL["m.py"].index("low")
    faults["def low"] = Mutation("low", "", "def low", "m.py", 2, start, start + 3, "mow")
    seconds = {"tests/b/test_b.py::test_high": 0.1, "tests/a/test_a.py::test_low": 0.2}
    found = tried(faults[change], Reach({}, {}, seconds), budget=60, tree=tmp_path)
    assert (found.verdict, found.by) == (verdict, by)
    assert (tmp_path / "m.py").read_text(encoding="utf-8") == SMALL["m.py"]


@pytest.mark.parametrize("code", [3, 4])
def test_a_run_of_pytest_that_failed_by_itself_is_no_outcome(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as tests that are not where they were recorded (exit code 4)."""
    monkeypatch.setattr(script, "pytest_in", lambda *_arguments, **_options: code)
    (tmp_path / "m.py").write_text(SOURCE, encoding="utf-8")
    fault = next(iter(mutations("m.py", SOURCE.encode())))
    with pytest.raises(RuntimeError, match=f"exit code {code}"):
        tried(fault, Reach({}, {}, {"a.py::one": 1.0}), budget=60, tree=tmp_path)
