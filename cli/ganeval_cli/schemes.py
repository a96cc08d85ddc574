"""Kinds of sources beyond ganeval's own: every command opens its sources with these, and none imports torch for it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType


def _checkpoint(rest: str) -> object:
    from reference_models.sampling.sampler import open_checkpoint

    return open_checkpoint(rest)


SCHEMES: Mapping[str, Callable[[str], object]] = MappingProxyType({"ckpt": _checkpoint})
