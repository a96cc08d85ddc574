"""Files next to an image with its class, as in WebDataset: `key.cls`, and a field of `key.json`."""

from ganeval.documents import DocumentError, parse_json
from ganeval.sources.label_files import LABEL_COLUMNS

SIDECARS = (".cls", ".json")
# The fields of a JSON file that hold a class, in order of precedence.
FIELDS = (*LABEL_COLUMNS, "cls")


def key_of(name: str) -> str:
    """WebDataset's key: the name up to the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def class_in_json(data: bytes) -> object:
    """The class in one of FIELDS of a JSON file; None for another document."""
    try:
        document = parse_json(data, finite=False)
    except (DocumentError, UnicodeDecodeError):
        return None
    if not isinstance(document, dict):
        return None
    return next((document[field] for field in FIELDS if field in document), None)
