"""Which files of a folder or an archive are images, their classes, and remarks about them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from ganeval.errors import SourceError
from ganeval.sources.file_filter import EVERYTHING, FileFilter
from ganeval.sources.files import is_image, natural_order, no_images
from ganeval.sources.label_files import LABEL_FILES
from ganeval.sources.labelling import Read, label_images
from ganeval.sources.labels import Labelling, by_value

# Unsupported image formats: a folder with such files among its images gets a warning.
OTHER_PICTURES = frozenset(
    (".heic", ".heif", ".jxl", ".jp2", ".j2k", ".tga", ".psd", ".svg", ".exr", ".hdr", ".pfm", ".ico", ".dds", ".dng")
)
# Maximum number of suffixes in the provenance's count of left-out files.
COUNTED = 8


@dataclass(frozen=True, slots=True)
class Listed:
    """Images from a list. names: in its order. labels: one per image, or None. origin: the list."""

    names: Sequence[str]
    labels: Sequence[object] | None
    origin: str


class ImageFiles:
    """The images among files, in order, with their classes.

    names: of the selected images. remarks: what the user should know about them, in sentences.
    """

    def __init__(
        self,
        files: Iterable[str],
        read: Read,
        *,
        where: str,
        select: FileFilter = EVERYTHING,
        shards: bool = False,
        listed: Listed | None = None,
        is_there: Callable[[str], bool] | None = None,
    ) -> None:
        """files: relative posix names. read: gives the bytes of a file. where: the name of the place in messages.

        shards: whether the first part of every name is one of several archives, not a folder. listed: the images, if a
        list gives them. is_there: whether a file exists, if `files` does not have all files. Raises SourceError if
        there are no images, or the selection excludes all of them.
        """
        self._files = dict.fromkeys(files)
        self._images = natural_order(filter(is_image, self._files)) if listed is None else list(listed.names)
        if not self._images:
            raise no_images(where, self._files)
        self._read, self._where, self._select, self._shards = read, where, select, shards
        self._is_there = self._files.__contains__ if is_there is None else is_there
        self._listed = listed
        self._chosen = [place for place, name in enumerate(self._images) if select.takes(self._inner(name))]
        if not self._chosen:
            raise self._nothing_selected()
        self.names = [self._images[place] for place in self._chosen]

    @property
    def file_names(self) -> Sequence[str]:
        """The names in the set; with several archives, without the name of the archive."""
        return [self._inner(name) for name in self.names]

    @cached_property
    def labelling(self) -> Labelling:
        """The classes of the images, and where they were read."""
        listed = self._listed
        if listed is not None and listed.labels is not None:
            return by_value([(listed.names[place], listed.labels[place]) for place in self._chosen], listed.origin)
        return label_images(
            self.names,
            self._files,
            self._images,
            self._read,
            where=self._where,
            is_there=self._is_there,
            shards=self._shards,
        )

    @cached_property
    def remarks(self) -> Sequence[str]:
        """Pictures that are left out, and images that occur twice."""
        pictures = {suffix: count for suffix, count in self._left_out.items() if suffix in OTHER_PICTURES}
        found = []
        if pictures:
            counted = ", ".join(f"{count} x {suffix}" for suffix, count in sorted(pictures.items()))
            found.append(
                f"{self._where}: {counted} left out: pictures of kinds that are not read; convert them to PNG."
            )
        stems = Counter(name.rpartition(".")[0] for name in self.names)
        twins = [stem for stem, count in stems.items() if count > 1]
        if twins:
            first = [name for name in self.names if name.rpartition(".")[0] == twins[0]]
            found.append(
                f"{self._where}: {len(twins)} images are there more than once, by their names ({' and '.join(first)}): "
                "each file counts, and error bars are too small. Take one kind with --include or --exclude "
                f"(--exclude '*.{first[-1].rpartition('.')[2]}')."
            )
        return found

    def describe(self) -> dict[str, object]:
        """What was selected and left out, and where the classes were read from."""
        described: dict[str, object] = {}
        if self._select:
            described["selection"] = self._select.describe(len(self._images))
        if self._left_out:
            described["left_out"] = dict(self._left_out.most_common(COUNTED))
        return {**described, **self.labelling.describe()}

    @cached_property
    def _left_out(self) -> Counter[str]:
        """Files that are neither images nor labels, by suffix."""
        if self._listed is not None:
            return Counter()
        others = (PurePosixPath(name) for name in self._files if not is_image(name))
        return Counter(
            one.suffix.lower() or "no extension"
            for one in others
            if one.name not in LABEL_FILES and one.suffix != ".cls"
        )

    def _inner(self, name: str) -> str:
        return name.partition("/")[2] if self._shards else name

    def _nothing_selected(self) -> SourceError:
        sides = (("--include", self._select.include), ("--exclude", self._select.exclude))
        asked = " ".join(f"{option} '{pattern}'" for option, patterns in sides for pattern in patterns)
        shown = ", ".join(map(self._inner, self._images[:3])) + (", ..." if len(self._images) > 3 else "")
        return SourceError(
            f"{self._where}: {asked} excludes all of its {len(self._images)} images: {shown}. Patterns match names "
            "below this place; where one is meant for one source alone, write that as a quoted glob ('samples/*.png')."
        )
