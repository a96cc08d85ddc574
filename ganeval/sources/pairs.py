"""Pairs of images, for models that translate one into the other, and pairs of sets that belong together as wholes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from ganeval.errors import SourceError, UsageError
from ganeval.sources import SCHEMES, nested_spec, open_source
from ganeval.sources.base import Source
from ganeval.sources.degradations import Degraded
from ganeval.sources.items import choose
from ganeval.sources.nested import DEGRADATIONS, FORMS, REVERSED
from ganeval.sources.partners import partners_by_name
from ganeval.sources.precomputed import WithoutImages
from ganeval.sources.wrapped import Named, Transform, TransformedSource, UnfitError, WatchedSource

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of images, or two unpaired sets, that a model translates between.

    Attributes:
        name: As the user wrote it.
        inputs: What the model is given.
        targets: What it should return.
        aligned: Whether image i of the targets belongs to image i of the inputs. If so, both have the same count, and
            the sides of every target are those of its input times one whole number, or the reverse: a pair for which
            that does not hold raises a SourceError once both of its images have been read.
    """

    name: str
    inputs: Source
    targets: Source
    aligned: bool

    def __len__(self) -> int:
        """The number of pairs; of sets that are not aligned, the number of images in the larger one."""
        return max(len(self.inputs), len(self.targets))


def open_pairs(
    spec: object,
    *,
    num_samples: int | None = None,
    seed: int = 0,
    include: Sequence[str] | str = (),
    exclude: Sequence[str] | str = (),
    value_range: str | None = None,
) -> Pairs:
    """Open the pairs of images, or the two sets, that a spec stands for.

    Args:
        spec: One of

            - "pairs:INPUTS,TARGETS": two folders, archives or lists of files whose names are equal but for the suffix,
              and for the folders that all files of a side are in;
            - "pairs:FOLDER": files (of any source) with the input in the left half and the target in the right one;
              "pairs:FOLDER,reversed": the other way round;
            - "unpaired:A,B": two sets (any sources), whose numbers of images may differ;
            - a degradation, "lowres:SOURCE,4" and the like: the input is the degraded image, the target the original.
        num_samples: Number of pairs to take, the same random subset on both sides; of each of two unpaired sets, the
            number of its images. None takes all.
        seed: Seed of the random subset.
        include: Patterns of file names, as in .gitignore; they apply to both sides.
        exclude: The same, for files to leave out.
        value_range: "[0,1]", "[-1,1]" or "[0,255]": the range of values that are not uint8.

    Returns:
        Two sources and whether they are aligned. The sources of aligned pairs are to be read with
        `Reading.on_error="fail"`: an image that is skipped on one side would shift the pairs after it.

    Raises:
        UsageError: The spec is not understood, is one of a single set, or names sets without file names.
        SourceError: The images cannot be read, or names do not match.

    >>> from ganeval import open_pairs
    >>> pairs = open_pairs("lowres:digits:test,2")
    >>> len(pairs), pairs.inputs.name, pairs.targets.name
    (450, 'lowres:digits:test,2', 'digits:test')
    """
    nested = nested_spec(spec) if isinstance(spec, str) else None
    if nested is None:
        raise _no_pairs(spec)
    name = str(spec)
    opened = partial(open_source, seed=seed, include=include, exclude=exclude, value_range=value_range)
    if nested.scheme in DEGRADATIONS:
        degraded = SCHEMES[nested.scheme](name.partition(":")[2])
        assert isinstance(degraded, Degraded)
        targets = opened(degraded.of, num_samples=num_samples)
        return Pairs(name, degraded.applied(targets), targets, aligned=True)
    # Pairs are matched first; the subset is then drawn from the pairs.
    chosen = None if len(nested.sources) == 2 and nested.scheme == "pairs" else num_samples
    sources = [opened(one, num_samples=chosen) for one in nested.sources]
    for source in sources:
        if isinstance(source, WithoutImages):
            raise UsageError(f"{name}: {source.name} holds features, and images are needed.")
    if len(sources) == 1:
        return _halves(name, sources[0], is_reversed=nested.argument == REVERSED)
    inputs, targets = sources
    if nested.scheme == "unpaired":
        return Pairs(name, inputs, targets, aligned=False)
    return _matched(name, inputs, targets, num_samples=num_samples, seed=seed)


def _halves(name: str, source: Source, *, is_reversed: bool) -> Pairs:
    """Pairs from images that hold the two sides of a pair next to each other."""
    sizes = _SizeCheck(source)
    sides = [
        TransformedSource(
            WatchedSource(source, sizes.see), Transform(f"{side} half", half), name=f"{name} ({side} half)"
        )
        for side, half in (("left", _left), ("right", _right))
    ]
    inputs, targets = reversed(sides) if is_reversed else sides
    return Pairs(name, inputs, targets, aligned=True)


def _left(images: Tensor) -> Tensor:
    return images[..., : _middle(images)].contiguous()


def _right(images: Tensor) -> Tensor:
    return images[..., _middle(images) :].contiguous()


def _middle(images: Tensor) -> int:
    height, width = images.shape[2:]
    if width % 2:
        raise UnfitError(f"it has {width} x {height} pixels, and an odd width has no halves.")
    return width // 2


class _SizeCheck:
    """Checks that all images of a source have the size of the first."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first: Size | None = None

    def see(self, index: int, width: int, height: int) -> None:
        """Check one image; SourceError for another size."""
        self._first = self._first or (width, height)
        if self._first != (width, height):
            raise SourceError(
                f"{self._source.item_name(index)} has {width} x {height} pixels, and "
                f"{self._source.item_name(0)} has {' x '.join(map(str, self._first))}; files with both sides of a pair "
                "must have one size."
            )


def _matched(name: str, inputs: Source, targets: Source, *, num_samples: int | None, seed: int) -> Pairs:
    """Pairs of files with the same name on both sides."""
    partners = partners_by_name((inputs, _file_names(name, inputs)), (targets, _file_names(name, targets)))
    chosen = choose(len(partners), num_samples, seed, name=name)
    subset = None if num_samples is None else {"num_samples": num_samples, "of": len(partners), "seed": seed}
    assert isinstance(inputs, Named)
    assert isinstance(targets, Named)
    taken = inputs.take(chosen, subset), targets.take([partners[place] for place in chosen], subset)
    sizes = _Sizes(*taken)
    watched = [WatchedSource(source, partial(sizes.see, side)) for side, source in enumerate(taken)]
    return Pairs(name, watched[0], watched[1], aligned=True)


def _file_names(name: str, source: Source) -> Sequence[str]:
    """The names of a source's files; UsageError if its images are not files."""
    files = source.file_names if isinstance(source, Named) else None
    if files is None:
        raise UsageError(
            f"{name}: pairs are matched by file names, and {source.name} ({source.kind}) has none; give folders, "
            "archives or lists of files, or say unpaired:A,B for sets that belong together as wholes."
        )
    return files


class _Sizes:
    """Checks that the sides of all pairs differ in size by the same whole factor, or not at all."""

    def __init__(self, inputs: Source, targets: Source) -> None:
        self._sources = inputs, targets
        self._seen: tuple[dict[int, Size], dict[int, Size]] = {}, {}
        self._first: tuple[Size, Size] | None = None

    def see(self, side: int, index: int, width: int, height: int) -> None:
        """Check one image of a side (0 inputs, 1 targets); SourceError if its pair does not fit."""
        self._seen[side][index] = (width, height)
        if index not in self._seen[1 - side]:
            return
        pair = self._seen[0][index], self._seen[1][index]
        self._first = self._first or pair
        factor = _factor(*pair)
        if factor is None or factor != _factor(*self._first):
            shown = " and ".join(
                f"{source.item_name(index)} has {one[0]} x {one[1]} pixels"
                for source, one in zip(self._sources, pair, strict=True)
            )
            raise SourceError(
                f"{shown}: the sides of a pair must differ by one whole factor, the same for all pairs, or not at all."
            )


def _factor(inputs: Size, targets: Size) -> tuple[int, int] | None:
    """The factors of targets over inputs, and of inputs over targets; None if neither is whole.

    (4, 1) for targets that are four times larger; (1, 1) for equal sizes.
    """
    for larger, smaller, found in ((targets, inputs, lambda n: (n, 1)), (inputs, targets, lambda n: (1, n))):
        factor = larger[0] // smaller[0]
        if factor and (smaller[0] * factor, smaller[1] * factor) == larger:
            return found(factor)
    return None


def _no_pairs(spec: object) -> UsageError:
    shown = f"'{spec}'" if isinstance(spec, str | Path) else f"An object of type {type(spec).__name__}"
    return UsageError(
        f"{shown} does not name pairs of images; write {FORMS['pairs']}; {FORMS['unpaired']}, for unpaired "
        "sets; or a degradation, whose input is the degraded image and whose target is the original: "
        f"{', '.join(f'{scheme}:SOURCE' for scheme in DEGRADATIONS)}."
    )
