"""The public names of `reference_models`, and that importing it is cheap."""

import subprocess
import sys

import pytest

import reference_models


def test_every_public_name_is_there_and_documented() -> None:
    """Every name can be imported from the package; functions and classes have a docstring."""
    found = {name: getattr(reference_models, name) for name in reference_models.__all__}
    assert [name for name, one in found.items() if callable(one) and not one.__doc__] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt lazy name is an attribute error."""
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        reference_models.trian  # noqa: B018


def test_the_package_lists_its_variants_without_torch() -> None:
    """`ganeval variants` and usage errors use the table without torch."""
    code = "import sys, reference_models; assert 'dcgan' in reference_models.VARIANTS; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
