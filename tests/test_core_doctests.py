"""The examples in the docstrings of the line from images to a number run."""

import doctest
from importlib import import_module

import pytest
import torch

import ganeval

MODULES = ("class_alignment", "devices", "evaluation", "floor", "settings", "streaming")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    """Every example of a module prints what it says, and there is at least one."""
    module = import_module(f"ganeval.{name}")
    found = doctest.testmod(module, extraglobs={"ganeval": ganeval, "torch": torch})
    assert (found.attempted > 0, found.failed) == (True, 0)
