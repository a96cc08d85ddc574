"""Data sets of the Hugging Face Hub by name, streamed: `hfds:NAME[:SPLIT]`, with options `?config=...&image=...`.

NAME is what `datasets.load_dataset` takes: `ylecun/mnist`, or a local folder. Images are decoded like those of files.
A process takes whole files (or row groups) as its part, so that each image is read exactly once.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ganeval.errors import SourceError, UsageError
from ganeval.places import file_fingerprints, place_of, redacted
from ganeval.printable import printable
from ganeval.sources.base import Fingerprint
from ganeval.sources.encoded import Encoded, EncodedStream
from ganeval.sources.files import digest_of, is_settled, told
from ganeval.sources.queries import split_options

OPTIONS = ("config", "split", "image", "label", "revision")


def open_hub_dataset(rest: str) -> EncodedStream:
    """The images of one split; UsageError for a missing split or column, SourceError for a missing data set."""
    name, split, asked = _parsed(rest)
    try:
        import datasets
    except ImportError as error:
        raise UsageError(f"hfds:{rest} needs the package datasets; pip install 'ganeval[datasets]'.") from error
    where = f"hfds:{name}"
    try:
        builder = datasets.load_dataset_builder(name, asked.get("config"), revision=asked.get("revision"))
        splits = list(builder.config.data_files or builder.info.splits or ())
        chosen = _split(where, split, list(map(str, splits)))
        found = builder.as_streaming_dataset(split=chosen)
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, TypeError) as error:
        raise SourceError(f"{where} cannot be opened ({redacted(told(error))}).") from error
    image, label = _columns(where, found.features, asked)
    names = getattr(found.features[label], "names", None) if label is not None else None
    read = found.select_columns([image] if label is None else [image, label]).cast_column(
        image, datasets.Image(decode=False)
    )
    where = f"{where}:{chosen}"
    count = read.num_shards
    return EncodedStream(
        [partial(_images, read, (count, place), (image, label), where) for place in range(count)],
        name=where,
        kind="hfds",
        fingerprint=partial(_fingerprint, builder, chosen, image),
        class_names=None if names is None else tuple(names),
        about={"split": chosen, "column": image, "config": builder.config.name},
    )


def _parsed(rest: str) -> tuple[str, str | None, Mapping[str, str]]:
    """The name, the split and the options."""
    place, asked = split_options("hfds", rest, OPTIONS)
    name, colon, split = place.rpartition(":")
    name, split = (name, split) if colon else (place, "")
    if not name:
        raise UsageError("hfds: needs the name of a data set, as in hfds:ylecun/mnist:test.")
    return name, split or asked.get("split"), asked


def _split(where: str, split: str | None, known: Sequence[str]) -> str:
    if split is None and len(known) == 1:
        return known[0]
    if split is None or (known and split not in known):
        asked = f"has no split '{split}'" if split else "has several splits"
        raise UsageError(f"{where} {asked}; write one of {', '.join(f'{where}:{one}' for one in known) or 'them'}.")
    return split


def _columns(where: str, features: Any, asked: Mapping[str, str]) -> tuple[str, str | None]:
    """The column of images, and that of classes."""
    from datasets import ClassLabel, Image, Value

    features = features or {}
    images = [name for name, one in features.items() if isinstance(one, Image)]
    possible = images or [name for name, one in features.items() if isinstance(one, Value) and "binary" in one.dtype]
    classes = [name for name, one in features.items() if isinstance(one, ClassLabel)]
    for key in ("image", "label"):
        if key in asked and asked[key] not in features:
            raise UsageError(f"{where} has no column '{asked[key]}'; it has {', '.join(map(printable, features))}.")
    if "image" not in asked and len(possible) != 1:
        found = ", ".join(map(printable, possible or features))
        raise UsageError(
            f"{where} has {len(possible) or 'no'} columns of images: {found}. Name one: {where}?image=COLUMN"
        )
    label = asked.get("label", classes[0] if len(classes) == 1 else None)
    return asked.get("image", possible[0] if possible else ""), label


def _images(read: Any, shard: tuple[int, int], columns: tuple[str, str | None], where: str) -> Iterator[Encoded]:
    """The images of one shard, given as (their number, its place)."""
    (count, place), (image, label) = shard, columns
    try:
        for row, value in enumerate(read.shard(count, place)):
            found, known = value[image], None if label is None else value[label]
            name = f"{where}, shard {place}, row {row}"
            data = found.get("bytes") if isinstance(found, dict) else None
            if data is None and isinstance(found, dict) and found.get("path"):
                path = place_of(found["path"])
                name, data = str(path), path.read_bytes()
            yield Encoded(name, data or b"", known if type(known) is int and known >= 0 else None)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise SourceError(f"{where} cannot be read ({redacted(told(error))}).") from error


def _fingerprint(builder: Any, split: str, image: str) -> Fingerprint | None:
    """A digest of the split's files: their commit on the Hub, or their identities; None if neither is known."""
    files = (builder.config.data_files or {}).get(split)
    origins = getattr(files, "origin_metadata", None)
    if not files or not origins or len(origins) != len(files):
        return None
    settled, known = True, []
    for file, origin in zip(files, origins, strict=True):
        if len(origin) == 2:
            known.append(repr((str(file).rpartition("/")[2], *origin)))
            continue
        (seen,) = file_fingerprints([place_of(str(file))])
        if seen is None or seen.identity is None:
            return None
        known.append(repr(seen))
        settled = settled and is_settled([seen])
    whole = digest_of(b"hfds", split.encode(), image.encode(), *(one.encode() for one in known)).hex()
    return Fingerprint(whole, whole, settled)
