"""Public names of a package that are imported when they are first used, so that importing the package is instant."""

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package: a name, from the module where it is defined.

    Args:
        package: The package's name, for messages.
        homes: The module of each name.

    Returns:
        A function of a name, which raises AttributeError for a name that `homes` does not have.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(homes[name]), name)

    return find
