"""What a user may choose about an evaluation, with the defaults; checked here, before anything heavy is imported."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import index
from pathlib import Path
from typing import Literal, SupportsIndex, TypedDict, cast

from ganeval.autocast import PRECISIONS
from ganeval.errors import UsageError, did_you_mean
from ganeval.paths import expanded
from ganeval.protocols import DEFAULT, Protocol, find_protocol
from ganeval.ranges import parse_range

__all__ = ["ON_ERROR", "MeasuringKeywords", "MetricOptions", "ReadingKeywords", "Settings", "SettingsKeywords"]

ON_ERROR = ("fail", "skip")
# Options of metrics by metric or family, then by name.
MetricOptions = Mapping[str, Mapping[str, object]]


class MeasuringKeywords(TypedDict, total=False):
    """The fields of `Settings` that concern extractor and protocol, as keywords."""

    extractor: object
    protocol: str
    weights: Path | None
    device: str
    precision: str
    cuda_graphs: bool
    batch_size: int | None


class ReadingKeywords(MeasuringKeywords, total=False):
    """The fields of `Settings` without `num_samples`, as keywords of functions that need a number of their own."""

    workers: int | None
    seed: int
    on_error: Literal["fail", "skip"]
    include: Sequence[str]
    exclude: Sequence[str]
    value_range: str | None
    prepared: str | None
    cache: bool
    cache_dir: Path | None


class SettingsKeywords(ReadingKeywords, total=False):
    """The fields of `Settings`, as keywords of the functions that take them."""

    num_samples: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of an evaluation; every one is an option of the same name on the command line.

    Attributes:
        extractor: A row of EXTRACTORS, with its argument after a colon; in Python also an Extractor, a torch module, or
            a callable of images. None for that of the protocol, which is inception unless the protocol prescribes
            another; the settings then contain that extractor.
        protocol: The name or alias of a protocol.
        weights: A file in place of the published weights.
        device: "auto", or torch's name of a device.
        precision: Of the extractor's network: "fp32", "tf32", "bf16" or "fp16".
        cuda_graphs: Whether the extractor's network is replayed as a CUDA graph, on a CUDA device; the numbers are the
            same.
        batch_size: Images per batch; None for what suits the device.
        workers: Decoding threads; None for one per core, at most 8.
        num_samples: Images of each set: a seeded subset of a folder. Required for a generator; all reals are then used.
        seed: Of subsets and generators, from 0 to 2^32 - 1.
        on_error: "fail" at the first unreadable image, or "skip" it and report.
        include: Patterns as in .gitignore (`*.png`, `epoch_9/**`) that select among the files of folders, archives and
            lists; other sources are used whole.
        exclude: The same, of files to leave out.
        value_range: "[0,1]", "[-1,1]" or "[0,255]", for images that are not uint8 and whose source declares no range.
        prepared: How the reals were made from the original photographs ("lanczos 256 of FFHQ-1024"), for the record:
            one generator had an FID of 4.3 or of 5.3 depending on it. Results whose reals were prepared
            differently are not compared.
        cache: Whether features are kept.
        cache_dir: Where; None for the user's cache.

    Raises:
        UsageError: A value is not allowed.

    >>> Settings(protocol="clean", batch_size=32).decoding_threads >= 1
    True
    """

    extractor: object = None
    protocol: str = DEFAULT
    weights: Path | None = None
    device: str = "auto"
    precision: str = "fp32"
    cuda_graphs: bool = False
    batch_size: int | None = None
    workers: int | None = None
    num_samples: int | None = None
    seed: int = 0
    on_error: Literal["fail", "skip"] = "fail"
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    value_range: str | None = None
    prepared: str | None = None
    cache: bool = True
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        protocol = find_protocol(self.protocol)
        if self.extractor is None:
            object.__setattr__(self, "extractor", protocol.extractor)
        _check_extractor(self.extractor, protocol)
        _choice("precision", self.precision, PRECISIONS)
        _choice("on_error", self.on_error, ON_ERROR)
        if self.value_range is not None:
            object.__setattr__(self, "value_range", parse_range(self.value_range))
        if self.prepared is not None and not (isinstance(self.prepared, str) and self.prepared.strip()):
            raise UsageError(
                f"prepared must say how the reals were made, as in 'lanczos 256 of FFHQ-1024', found {self.prepared!r}."
            )
        for name in ("batch_size", "workers", "num_samples"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole_number(name, getattr(self, name), least=1))
        object.__setattr__(self, "seed", whole_number("seed", self.seed, least=0, most=2**32 - 1))
        if not isinstance(self.cache, bool):
            raise UsageError(f"cache must be True or False, found {self.cache!r}; cache_dir names the folder.")
        if not isinstance(self.cuda_graphs, bool):
            raise UsageError(f"cuda_graphs must be True or False, found {self.cuda_graphs!r}.")
        for name in ("include", "exclude"):
            object.__setattr__(self, name, _patterns(name, getattr(self, name)))
        for name in ("weights", "cache_dir"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, expanded(getattr(self, name), by=name))

    @classmethod
    def of(cls, chosen: Mapping[str, object]) -> "Settings":
        """Settings from keywords.

        Args:
            chosen: Values by field.

        Returns:
            The settings.

        Raises:
            UsageError: A field does not exist, with a hint, or its value is not allowed.
        """
        known = [field.name for field in fields(cls)]
        for name in chosen:
            if name not in known:
                raise UsageError(f"Unknown setting '{name}'; {did_you_mean(name, known)}")
        return cls(**chosen)  # type: ignore[arg-type]

    @property
    def decoding_threads(self) -> int:
        """workers, or one per core and at most 8."""
        return self.workers or min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 8)


def _check_extractor(extractor: object, protocol: Protocol) -> None:
    """UsageError for an extractor that is neither a spec nor usable, or not the one that the protocol prescribes."""
    if isinstance(extractor, type):
        raise UsageError(
            f"extractor is the class {extractor.__name__}; give an instance of it: extractor={extractor.__name__}(...)."
        )
    if not (isinstance(extractor, str) or callable(extractor) or hasattr(extractor, "forward")):
        raise UsageError(
            "extractor must be a name as `ganeval extractors` lists them, an Extractor, a torch module, or a function "
            f"of images [N, 3, H, W] that returns features [N, D]; found {extractor!r}."
        )
    if protocol.prescribes and extractor != protocol.extractor:
        raise UsageError(
            f"The protocol {protocol.name} uses the extractor {protocol.extractor}, and {extractor!r} was chosen: "
            "leave the extractor out, or the protocol."
        )


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """UsageError for a word that is not allowed."""
    if value not in allowed:
        raise UsageError(f"'{value}' is not a known {name}; {did_you_mean(value, allowed)}")


def _patterns(name: str, value: object) -> tuple[str, ...]:
    """One pattern or several of them."""
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Sequence) else (value,)
    for one in found:
        if not isinstance(one, str) or not one.strip("/"):
            raise UsageError(f"{name} must be patterns of names, as in '*.png', found {one!r}.")
    return found


def whole_number(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """A whole number as Python's own: numpy's integers do as well, but no JSON can hold them."""
    try:
        number = index(cast(SupportsIndex, value))
    except TypeError:
        number = None
    # True equals 1 in Python, but does not mean one image.
    if number is None or isinstance(value, bool):
        raise UsageError(f"{name} must be a whole number, found {value!r}.")
    if number < least or (most is not None and number > most):
        allowed = f"at least {least}" if most is None else f"between {least} and {most}"
        raise UsageError(f"{name} must be {allowed}, found {number}.")
    return number
