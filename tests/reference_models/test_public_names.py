"""The public names of `reference_models`, and that importing it is cheap."""

import subprocess
import sys

import pytest

import reference_models


@pytest.mark.parametrize("name", reference_models.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    """Every name can be imported from the package; functions and classes have a docstring."""
    found = getattr(reference_models, name)
    assert found.__doc__ or not callable(found)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt lazy name is an attribute error."""
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        reference_models.trian  # noqa: B018


def test_the_package_lists_its_variants_without_torch() -> None:
    """`ganeval variants` and usage errors use the table without torch."""
    code = "import sys, reference_models; assert 'dcgan' in reference_models.VARIANTS; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
