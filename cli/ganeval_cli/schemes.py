"""Source schemes of the reference models, for every command; listed without importing torch."""

from collections.abc import Callable, Mapping
from types import MappingProxyType


def _checkpoint(rest: str) -> object:
    from reference_models.live import open_checkpoint

    return open_checkpoint(rest)


SCHEMES: Mapping[str, Callable[[str], object]] = MappingProxyType({"ckpt": _checkpoint})
