"""Sources of images: `open_source` opens every kind of them, and `open_pairs` those of models that translate images.

Importing this package does not import torch: names whose modules do are imported when they are first used.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ganeval.errors import SourceError, UsageError, did_you_mean, raised_as
from ganeval.lazy import lazy_names
from ganeval.places import RemotePath, is_url, place_of, redacted
from ganeval.registry import Registry
from ganeval.sources.file_filter import FileFilter, is_glob
from ganeval.sources.nested import DEGRADATIONS, PAIRS, Nested, parse_degradation, parse_pairs

if TYPE_CHECKING:
    from ganeval.sources.arrays import ArrayItems
    from ganeval.sources.base import Fingerprint, Group, ImageBatch, Reading, ReadReport, Source, batch_of, length
    from ganeval.sources.files import class_numbers
    from ganeval.sources.generator import CHUNK, Generator, GeneratorSource, chunk_seed
    from ganeval.sources.items import Item, Items
    from ganeval.sources.pairs import Pairs, open_pairs
    from ganeval.sources.precomputed import Features
    from ganeval.sources.sandbox import Sandbox

# Where names are defined whose modules import torch.
_HOMES = MappingProxyType(
    {
        "ArrayItems": "ganeval.sources.arrays",
        "ImageBatch": "ganeval.sources.base",
        "Fingerprint": "ganeval.sources.base",
        "Group": "ganeval.sources.base",
        "ReadReport": "ganeval.sources.base",
        "Reading": "ganeval.sources.base",
        "Source": "ganeval.sources.base",
        "batch_of": "ganeval.sources.base",
        "length": "ganeval.sources.base",
        "chunk_seed": "ganeval.sources.generator",
        "class_numbers": "ganeval.sources.files",
        "Item": "ganeval.sources.items",
        "Items": "ganeval.sources.items",
        "CHUNK": "ganeval.sources.generator",
        "Generator": "ganeval.sources.generator",
        "GeneratorSource": "ganeval.sources.generator",
        "Features": "ganeval.sources.precomputed",
        "Pairs": "ganeval.sources.pairs",
        "open_pairs": "ganeval.sources.pairs",
        "Sandbox": "ganeval.sources.sandbox",
    }
)

__all__ = [
    "CHUNK",
    "SCHEMES",
    "ArrayItems",
    "Features",
    "Fingerprint",
    "Generator",
    "GeneratorSource",
    "Group",
    "ImageBatch",
    "Item",
    "Items",
    "Opener",
    "Pairs",
    "ReadReport",
    "Reading",
    "Sandbox",
    "Source",
    "batch_of",
    "check_spec",
    "chunk_seed",
    "class_numbers",
    "lasting",
    "length",
    "open_pairs",
    "open_source",
    "register_source",
]

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    """The public names, whether they were used yet or not."""
    return sorted(__all__)


# Takes the text after the colon; returns an Items, or any object that `open_source` takes.
Opener = Callable[[str], object]


def _digits(rest: str) -> object:
    from ganeval.sources.datasets import digits

    return digits(rest)


def _photographs(rest: str) -> object:
    from ganeval.sources.crops import photographs

    return photographs(rest)


def _skimage(rest: str) -> object:
    from ganeval.sources.crops import skimage_set

    return skimage_set(rest)


def _identities(rest: str) -> object:
    from ganeval.sources.identities import identities

    return identities(rest)


def _torchvision(name: str, rest: str) -> object:
    from ganeval.sources.datasets import torchvision_set

    return torchvision_set(name, rest)


def _python(rest: str) -> object:
    from ganeval.sources.python import load_python

    return load_python(rest)


def _parquet(rest: str) -> object:
    from ganeval.sources.paths import open_parquet

    return open_parquet(rest)


def _hub_dataset(rest: str) -> object:
    from ganeval.sources.hub import open_hub_dataset

    return open_hub_dataset(rest)


def _webdataset(rest: str) -> object:
    from ganeval.sources.webdataset import open_webdataset

    return open_webdataset(rest)


def _features(rest: str) -> object:
    from ganeval.sources.precomputed import open_features

    return open_features(rest)


def _script(rest: str) -> object:
    from ganeval.sources.script import load_script

    return load_script(rest)


def _degradation(scheme: str, rest: str) -> object:
    from ganeval.sources.degradations import open_degraded

    return open_degraded(scheme, rest)


def _pairs(scheme: str, rest: str) -> object:
    raise _are_pairs(f"{scheme}:{rest}")


def _opener(scheme: str, found: object) -> Opener:
    """The registered opener of a scheme; UsageError if it cannot be called."""
    if not callable(found):
        raise UsageError(
            f"The source '{scheme}' must be a function of what stands after '{scheme}:', found {type(found).__name__}."
        )

    @wraps(found)
    def opened(rest: str) -> object:
        with raised_as(SourceError, f"The source '{scheme}'"):
            return found(rest)

    return opened


# How "scheme:rest" is opened, by scheme; other packages add theirs as entry points of the group ganeval.sources.
SCHEMES: Registry[Opener] = Registry(
    "source",
    group="ganeval.sources",
    rows={
        "digits": _digits,
        "photos": _photographs,
        "skimage": _skimage,
        "identities": _identities,
        "cifar10": partial(_torchvision, "cifar10"),
        "cifar100": partial(_torchvision, "cifar100"),
        "mnist": partial(_torchvision, "mnist"),
        "fashionmnist": partial(_torchvision, "fashionmnist"),
        "svhn": partial(_torchvision, "svhn"),
        "stl10": partial(_torchvision, "stl10"),
        "celeba": partial(_torchvision, "celeba"),
        "py": _python,
        "script": _script,
        "features": _features,
        "parquet": _parquet,
        "hfds": _hub_dataset,
        "webdataset": _webdataset,
        **{scheme: partial(_degradation, scheme) for scheme in DEGRADATIONS},
        **{scheme: partial(_pairs, scheme) for scheme in PAIRS},
    },
    accept=_opener,
)


def open_source(
    spec: object,
    *,
    num_samples: int | None = None,
    seed: int = 0,
    whole: bool = False,
    include: Sequence[str] | str = (),
    exclude: Sequence[str] | str = (),
    value_range: str | None = None,
) -> "Source":
    """Open the images that a spec stands for.

    Args:
        spec: A path or a URL (a folder, an image, .zip, .tar, `data-{000..009}.tar`, .npz, .npy, .parquet, a list of
            files in .txt or .csv, a path with wildcards), "scheme:rest" (one of `SCHEMES`; `lowres:SOURCE,4` and the
            like change the images of another), or an object: a tensor or array of images, a list of PIL images, a torch
            Dataset or DataLoader, a live generator, an iterable of batches, `Features`, or a Source.
        num_samples: Number of images to take: a random subset of an indexed source, the first images of a stream, or
            the number of images to draw from a live generator. None takes all.
        seed: Seed of the random subset, and of a live generator.
        whole: Take all images of an indexed source; `num_samples` then applies to streams and generators only.
        include: Patterns of file names, as in .gitignore, for folders, archives and lists; other sources ignore them.
        exclude: The same, for files to leave out.
        value_range: "[0,1]", "[-1,1]" or "[0,255]": the range of values that are not uint8, where the source does not
            declare one itself.

    Returns:
        A source of uint8 RGB images, or `Features`.

    Raises:
        UsageError: The spec cannot be understood.
        SourceError: The images cannot be read.

    >>> from ganeval import open_source
    >>> len(open_source("digits:test"))
    450
    """
    if not isinstance(spec, str | Path | RemotePath):
        from ganeval.sources.arrays import ArrayItems

        name = spec.name if isinstance(spec, ArrayItems) else type(spec).__name__
        return _finish(spec, name=name, num_samples=num_samples, seed=seed, whole=whole, value_range=value_range)
    place = spec if isinstance(spec, Path | RemotePath) else place_of(spec)
    text = str(place) if isinstance(place, RemotePath) else str(spec)
    scheme = _scheme(spec) if isinstance(spec, str) else None
    if scheme is None:
        from ganeval.sources.paths import open_path, open_remote

        select = FileFilter.of(include, exclude)
        if isinstance(place, RemotePath):
            opened: object = open_remote(place, select, value_range=value_range)
        else:
            opened = open_path(place, select, value_range=value_range)
    else:
        from ganeval.sources.degradations import Degraded

        text = redacted(text)
        opened = SCHEMES[scheme](str(spec).partition(":")[2])
        if isinstance(opened, Degraded):
            original = open_source(
                opened.of,
                num_samples=num_samples,
                seed=seed,
                whole=whole,
                include=include,
                exclude=exclude,
                value_range=value_range,
            )
            return opened.applied(original)
    return _finish(opened, name=text, num_samples=num_samples, seed=seed, whole=whole, value_range=value_range)


def register_source(scheme: str, opener: Opener) -> None:
    """Add a kind of source, for as long as this process runs: to `open_source` and all that takes a source.

    An installed package adds one with an entry point of the group ``ganeval.sources``, which names the opener.

    Args:
        scheme: As in "scheme:rest".
        opener: Called with the text after the colon; returns any object that `open_source` takes.

    Raises:
        UsageError: for a scheme that is taken or cannot be typed, and for what cannot be called.
    """
    SCHEMES.register(scheme, opener)


def lasting(spec: str) -> str:
    """A spec that holds in any working directory.

    Args:
        spec: A path or "scheme:rest".

    Returns:
        The absolute path; a spec made of others with these made absolute; any other "scheme:rest" or URL as it is.

    Raises:
        UsageError: It is a URL with a password or a signature, which must not be written into files.
    """
    nested = nested_spec(spec)
    if nested is not None:
        return str(replace(nested, sources=tuple(map(lasting, nested.sources))))
    place = place_of(spec)
    if isinstance(place, Path) and is_url(spec):
        # A `file://` URL.
        return str(place.absolute())
    if is_url(spec):
        if redacted(spec) != spec:
            raise UsageError(
                f"{redacted(spec)}: the address has a password, or a query that may be a signature, and it would be "
                "written into the files of the run. Give credentials in another way (docs/sources.md)."
            )
        return spec
    is_path = _scheme(spec) is None
    # A slash at the end distinguishes the folder `a,4/` from `a` with the argument 4.
    return f"{Path(spec).absolute()}{'/' * spec.endswith('/')}" if is_path else spec


def check_spec(spec: str) -> None:
    """Raise what `open_source` would raise for a missing path or a training run, without opening it or loading torch.

    Of a spec made of others (`lowres:SOURCE,4`, `pairs:A,B`), each of them is checked.

    Args:
        spec: A path or "scheme:rest", also one of pairs.

    Raises:
        UsageError: The scheme is unknown, a spec made of others is not understood, or the path is a training run.
        SourceError: The path does not exist.
    """
    nested = nested_spec(spec)
    for inner in () if nested is None else nested.sources:
        _check_images(inner)
    place = place_of(spec)
    if isinstance(place, RemotePath):
        if "{" not in spec and not is_glob(place.path) and not place.exists():
            from ganeval.sources.missing import missing

            raise missing(place)
        return
    if _scheme(spec) is not None:
        return
    if not _is_there(place) and "{" not in spec and not is_glob(spec):
        from ganeval.sources.missing import missing

        raise missing(place)
    from ganeval.sources.runs import refuse_run

    refuse_run(place)


def _check_images(spec: str) -> None:
    """`check_spec`, and UsageError for pairs."""
    if _scheme(spec) in PAIRS:
        raise _are_pairs(spec)
    check_spec(spec)


def _are_pairs(spec: str) -> UsageError:
    return UsageError(
        f"'{redacted(spec)}' stands for pairs of images or two sets, and one set is needed here. Pairs are taken by "
        "ganeval.open_pairs, `ganeval pairs` and the models that translate images (`ganeval variants` lists them)."
    )


def nested_spec(spec: str) -> Nested | None:
    """The parts of a spec that is made of others, None for any other."""
    scheme, rest = _scheme(spec), spec.partition(":")[2]
    if scheme in DEGRADATIONS:
        return parse_degradation(scheme, rest)
    return parse_pairs(scheme, rest, _check_images) if scheme in PAIRS else None


def _scheme(text: str) -> str | None:
    """The scheme of "scheme:rest", None for a path or a URL; UsageError for an unknown scheme."""
    if not text.strip():
        raise UsageError("An empty text names no images; the current folder is '.'.")
    scheme, colon, _ = text.partition(":")
    if not colon or is_url(text) or not (scheme in SCHEMES or scheme.isidentifier()) or _is_there(text):
        return None
    if scheme not in SCHEMES:
        raise UsageError(
            f"'{redacted(text)}': unknown kind of source '{scheme}:'; {did_you_mean(scheme, sorted(SCHEMES))}"
        )
    return scheme


def _is_there(path: str | Path) -> bool:
    try:
        return Path(path).exists()
    except OSError:
        return False


def _finish(
    opened: object, *, name: str, num_samples: int | None, seed: int, whole: bool, value_range: str | None
) -> "Source":
    """Make a source of `num_samples` images from an opened object."""
    import numpy as np
    from torch import Tensor

    from ganeval.ranges import parse_range
    from ganeval.sources.arrays import ArrayItems
    from ganeval.sources.base import Source
    from ganeval.sources.datasets import DatasetItems, is_indexable
    from ganeval.sources.encoded import EncodedStream
    from ganeval.sources.extracted import Extracted
    from ganeval.sources.generator import Generator, GeneratorSource
    from ganeval.sources.items import Items, ItemSource
    from ganeval.sources.objects import is_image_list
    from ganeval.sources.precomputed import Features
    from ganeval.sources.stream import StreamSource

    declared = None if value_range is None else parse_range(value_range)
    some = None if whole else num_samples
    if isinstance(opened, Tensor | np.ndarray):
        kind = "tensor" if isinstance(opened, Tensor) else "array"
        opened = ArrayItems(opened, name=name, kind=kind, value_range=declared)
    elif is_indexable(opened) or is_image_list(opened):
        kind = "dataset" if is_indexable(opened) else "list"
        opened = DatasetItems(opened, name=name, kind=kind, value_range=declared)
    if isinstance(opened, Items):
        return ItemSource(opened, name=name, num_samples=some, seed=seed)
    if isinstance(opened, Features | Extracted):
        return opened.subset(some, seed=seed)
    if isinstance(opened, EncodedStream):
        return opened.first(num_samples, name=name)
    if isinstance(opened, Source):
        if num_samples is not None and not whole:
            raise UsageError(f"{name} is an open source already; num_samples must be given when it is opened.")
        return opened
    if isinstance(opened, Generator):
        return GeneratorSource(opened, name=name, num_samples=num_samples, seed=seed, value_range=declared)
    if isinstance(opened, Iterable):
        return StreamSource(opened, name=name, num_samples=num_samples, value_range=declared)
    raise UsageError(
        f"{name}: images cannot be read from an object of type {type(opened).__name__}; it must be images as a tensor "
        "or an array, a list of PIL images, a Dataset, a DataLoader, an iterable of batches, ganeval.Features, or have "
        "sample(n, *, labels=None, rng)."
    )
