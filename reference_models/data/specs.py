"""Specs of training data, images or sequences, without torch."""

from os import PathLike, fsdecode
from pathlib import Path

from ganeval.errors import SourceError, UsageError
from ganeval.places import is_url
from ganeval.sources import check_spec, lasting
from reference_models.blocks import oracle
from reference_models.blocks.oracle import Oracle

NUMBERS, WORDS, CHARACTERS = "tokens:", "text:", "characters:"
NO_SEQUENCES = "not a source of sequences; write tokens:FILE, text:FILE, characters:FILE or oracle:V,T,N."
SEQUENCES = (oracle.SCHEME, NUMBERS, WORDS, CHARACTERS)


def as_spec(data: object, *, what: str) -> str:
    """A source given as text or path, as text; UsageError for other types. what: the argument, for the message."""
    if isinstance(data, str | PathLike):
        return fsdecode(data)
    raise UsageError(
        f"{what} must be a source as text, as in 'digits:train', 'cats/' or 'set.npz', found a {type(data).__name__}; "
        "save images in memory as an .npz, and name that file."
    )


def is_sequences(spec: str) -> bool:
    """Whether a spec is of sequences."""
    return spec.startswith(SEQUENCES)


def check_data(spec: str) -> None:
    """Raise the error that reading training data would raise for an unusable spec, without opening it or loading torch.

    Args:
        spec: A source of images, as for `ganeval.sources.check_spec`, or of sequences: tokens:FILE, text:FILE,
            characters:FILE, or oracle:V,T,N.

    Raises:
        UsageError: The scheme is unknown, or the path is a training run.
        SourceError: The path does not exist, or there is no such oracle.
    """
    if not is_sequences(spec):
        check_spec(spec)
    elif spec.startswith(oracle.SCHEME):
        Oracle.of(spec)
    elif not Path(spec.partition(":")[2]).is_file():
        raise SourceError(f"{spec} names no file; write the path of a text file with a sequence per line.")


def lasting_data(spec: str) -> str:
    """A spec that is valid in any working directory."""
    if not is_sequences(spec):
        return lasting(spec)
    scheme, _, place = spec.partition(":")
    return spec if spec.startswith(oracle.SCHEME) else f"{scheme}:{Path(place).absolute()}"


def is_there(spec: str) -> bool:
    """Whether a spec names a path that exists, or a URL."""
    return is_url(spec) or Path(spec.partition(":")[2] if is_sequences(spec) else spec).exists()
