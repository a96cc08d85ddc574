"""What `reference_models` offers by name, and that importing it is cheap."""

import subprocess
import sys

import pytest

import reference_models


@pytest.mark.parametrize("name", reference_models.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    """It can be imported from the package, and says what it is."""
    found = getattr(reference_models, name)
    assert name == "VARIANTS" or found.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Lazy names do not hide a misspelt one."""
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        reference_models.trian  # noqa: B018


def test_the_package_lists_its_variants_without_torch() -> None:
    """`ganeval variants` and every usage error need the table alone."""
    code = "import sys, reference_models; assert 'dcgan' in reference_models.VARIANTS; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
