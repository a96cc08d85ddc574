"""Files of the Hugging Face Hub: from its own cache, or downloaded into it; without a network, an error within seconds.

A cached file is used as it is, without asking the server for a newer one. HF_HUB_OFFLINE, HF_HOME, HF_ENDPOINT and
tokens mean what they mean to the package huggingface_hub, which does the transfer.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ganeval.errors import UsageError, WeightsError
from ganeval.extractors.encoder import needed
from ganeval.network import downloading

# Weights under a licence that each user has to accept.
GATED = "dinov3"
GATED_TERMS = (
    "DINOv3's weights have a licence of their own (ai.meta.com/resources/models-and-libraries/dinov3-license): it is "
    "passed on with them, asks for an acknowledgement, and forbids some uses. ganeval fetches them only for those who "
    "have accepted it"
)


def hub_file(repository: str, names: Sequence[str], *, extra: str) -> Path:
    """One file of a repository: the first of these names that exists in it.

    Args:
        repository: "owner/name".
        names: Names of files, the preferred one first.
        extra: The extra that brings huggingface_hub.

    Returns:
        The file, in the Hub's cache.

    Raises:
        UsageError: No repository can have this name.
        WeightsError: It is neither in the cache nor can it be downloaded.
    """
    hub = _hub_for(repository, extra)
    for name in names:
        cached = hub.try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    *preferred, last = names
    for name in preferred:
        try:
            return _transfer(hub, repository, name, partial(hub.hf_hub_download, repository, name))
        except _MissingError:
            continue
    return _transfer(hub, repository, last, partial(hub.hf_hub_download, repository, last))


def hub_folder(repository: str, patterns: Sequence[str], wanted: Sequence[str], *, extra: str) -> Path:
    """The files of a repository whose names match, as a folder in the Hub's cache; errors as by `hub_file`.

    wanted: patterns; a cached folder without a file for each of them is downloaded again.
    """
    hub = _hub_for(repository, extra)
    try:
        folder = Path(hub.snapshot_download(repository, allow_patterns=list(patterns), local_files_only=True))
        if all(any(folder.glob(pattern)) for pattern in wanted):
            return folder
    except hub.errors.LocalEntryNotFoundError:
        pass
    return _transfer(
        hub, repository, "weights", partial(hub.snapshot_download, repository, allow_patterns=list(patterns))
    )


def _hub_for(repository: str, extra: str) -> Any:
    """The package huggingface_hub; UsageError for a name that no repository can have."""
    hub = needed("huggingface_hub", extra=extra)
    try:
        hub.utils.validate_repo_id(repository)
    except hub.errors.HFValidationError as error:
        raise UsageError(
            f"'{repository}' is neither a folder here nor the name of a repository of the Hugging Face Hub, which is "
            "OWNER/NAME in letters, digits, '-', '_' and '.'."
        ) from error
    return hub


class _MissingError(WeightsError):
    """The repository has no file of this name."""


def _transfer(hub: Any, repository: str, what: str, download: Callable[[], str]) -> Path:
    """Download; WeightsError with the reason, and what to do."""
    where = f"{what} of {repository}"
    if hub.constants.HF_HUB_OFFLINE:
        raise WeightsError(f"{where} is not in the cache, and HF_HUB_OFFLINE is set. {_by_hand(repository)}")
    if GATED in repository and hub.get_token() is None:
        raise WeightsError(
            f"{GATED_TERMS}: accept it at {hub.constants.ENDPOINT}/{repository} and log in with `hf auth login`, or "
            "give a file of your own with --weights."
        )
    try:
        with downloading([hub.constants.ENDPOINT]):
            return Path(download())
    except Exception as error:
        # Most of the package's own errors are OSErrors; those of its HTTP client come from another package.
        found = f"{where} could not be downloaded: {_reason(error)}. {_by_hand(repository)}"
        # Without a connection, the error means only that the cache lacks the file.
        not_there = isinstance(error, hub.errors.EntryNotFoundError)
        if not_there and not isinstance(error, hub.errors.LocalEntryNotFoundError):
            raise _MissingError(found) from error
        raise WeightsError(found) from error


def _reason(error: Exception) -> str:
    """The first line of an error's text that is not empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def _by_hand(repository: str) -> str:
    return (
        f"With a network, `hf download {repository}` fills the cache, which can be copied (HF_HOME); or give a file "
        "with --weights, or a folder (`ganeval extractors` shows how)."
    )


def check_digest(path: Path, sha256: str) -> None:
    """WeightsError for a file in the Hub's cache with another digest than the Hub's, by which the cache names files."""
    name = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", name) and name != sha256:
        raise WeightsError(f"{path} is damaged: its SHA-256 is {sha256}. Remove {path.resolve()}; it is fetched again.")
