"""The caption of each image of a folder.

    metadata.jsonl,   of Hugging Face's imagefolder: `file_name` and `text`
    metadata.csv
    captions.csv      a column of files and one of texts
    NAME.txt          next to NAME.png, where there is none of these files

Names in them are relative to the folder of the images. A column of texts may be called text, caption or prompt.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ganeval.documents import DocumentError, parse_json
from ganeval.errors import SourceError
from ganeval.sources.label_files import FILE_COLUMNS, decode_text, relative_name

TEXT_COLUMNS = ("text", "caption", "prompt")
CAPTION_FILES = ("metadata.jsonl", "metadata.csv", "captions.csv")


def captions_of(folder: Path, images: Sequence[str], file: Path | None = None) -> tuple[list[str], str, list[str]]:
    """The captions of images of a folder.

    Args:
        folder: The folder of the images.
        images: Their paths.
        file: The file with the captions; None for one of the folder's own, or else a text file next to each image.

    Returns:
        A caption for each image, where they were read from, and files that have a caption but do not exist.

    Raises:
        SourceError: A file cannot be read, an image has no caption or an empty one, or two.
    """
    if file is None:
        file = next((folder / name for name in CAPTION_FILES if (folder / name).is_file()), None)
    if file is None:
        found = {image: _next_to(Path(image)) for image in images}
        where, strays = "text files next to the images", []
    else:
        known = _parsed(file)
        found = {image: known.get(relative_name(str(Path(image).relative_to(folder)))) for image in images}
        where, strays = str(file), [name for name in known if not (folder / name).exists()]
    lacking = [image for image, text in found.items() if not (text or "").strip()]
    if lacking:
        raise SourceError(
            f"{len(lacking)} of {len(images)} images have no caption in {where}, {lacking[0]} first. Captions are read "
            f"from {', '.join(CAPTION_FILES)} in the folder, with columns for the file ({' or '.join(FILE_COLUMNS)}) "
            f"and the text ({' or '.join(TEXT_COLUMNS)}), or from NAME.txt next to NAME.png."
        )
    return [(found[image] or "").strip() for image in images], where, strays


def _next_to(image: Path) -> str | None:
    """The text of the file next to an image; None if there is no such file."""
    path = image.with_suffix(".txt")
    return _text(path) if path.is_file() else None


def _text(path: Path) -> str:
    try:
        return decode_text(str(path), path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error}).") from error


def _parsed(path: Path) -> Mapping[str, str]:
    """Captions by the relative name of the image."""
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise SourceError(f"{path}: captions are read from .csv and .jsonl files, or from NAME.txt next to NAME.png.")
    pairs = _rows(path, _text(path)) if path.suffix.lower() == ".csv" else _lines(path, _text(path))
    found: dict[str, str] = {}
    for image, text in pairs:
        name = relative_name(image)
        if found.setdefault(name, text) != text:
            raise SourceError(f"{path} gives two captions for {name}: '{found[name]}' and '{text}'.")
    return found


def _rows(path: Path, text: str) -> Iterator[tuple[str, str]]:
    try:
        head, *rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(row)] or [[]]
    except csv.Error as error:
        raise SourceError(f"{path} cannot be read ({error}).") from error
    names = [cell.strip().lower() for cell in head]
    places = [
        next((names.index(one) for one in allowed if one in names), None) for allowed in (FILE_COLUMNS, TEXT_COLUMNS)
    ]
    file, caption = places
    if file is None or caption is None:
        raise SourceError(
            f"{path} needs a column of files ({' or '.join(FILE_COLUMNS)}) and one of texts "
            f"({' or '.join(TEXT_COLUMNS)}), found {', '.join(names) or 'nothing'}."
        )
    for number, row in enumerate(rows, start=2):
        if len(row) <= max(file, caption):
            raise SourceError(f"{path}: row {number} has {len(row)} cells, too few for its columns.")
        yield row[file], row[caption]


def _lines(path: Path, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = parse_json(line)
        except DocumentError as error:
            raise SourceError(f"{path}: line {number} {error}") from error
        image = entry.get("file_name") if isinstance(entry, dict) else None
        caption = next((entry[one] for one in TEXT_COLUMNS if one in entry), None) if isinstance(entry, dict) else None
        if not isinstance(image, str) or not isinstance(caption, str):
            raise SourceError(f"{path}: line {number} needs 'file_name' and '{TEXT_COLUMNS[0]}', both texts.")
        yield image, caption
