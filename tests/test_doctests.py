"""The examples in docstrings run and print the documented output."""

import doctest
import importlib
import importlib.util
import pkgutil
import tempfile
from pathlib import Path

import pytest
import torch

import ganeval

PACKAGES = ("ganeval", "reference_models", "ganeval_cli")


def modules_with_examples() -> list[str]:
    """Every module of the packages whose text has an example."""
    names = list(PACKAGES)
    for package in PACKAGES:
        names += [one.name for one in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")]
    return [name for name in names if ">>> " in source(name)]


def source(name: str) -> str:
    """The text of a module, read without executing it."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_print_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each docstring of the module that has an example runs, once ganeval and torch are imported."""
    monkeypatch.chdir(tmp_path)
    # Examples make folders for temporary files, which a reader may want to keep, and a test does not.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    known = {"ganeval": ganeval, "torch": torch}
    found = doctest.testmod(importlib.import_module(name), extraglobs=known, optionflags=doctest.REPORT_NDIFF)
    assert found.attempted > 0
    assert found.failed == 0


def test_a_wrong_example_fails() -> None:
    """An example whose output differs is counted as a failure."""
    parsed = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(parsed, out=lambda _text: None).failed == 1
