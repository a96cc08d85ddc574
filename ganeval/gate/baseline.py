"""Saved results as the gate reads them, and baselines: results that say who declared them so, when, at which commit."""

import getpass
import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganeval.atomic import atomic_write
from ganeval.documents import DocumentError, read_text
from ganeval.errors import ResultError
from ganeval.results import Evaluation, parse_document

# Git is asked twice for a word; it answers in milliseconds, or something is wrong with it.
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class SavedResult:
    """A result read from a file.

    Attributes:
        name: The file.
        evaluation: The result.
        declaration: The members "by", "at" and "commit" of a baseline; None for a result that nobody declared one.
    """

    name: str
    evaluation: Evaluation
    declaration: Mapping[str, str | None] | None = None

    def __str__(self) -> str:
        if self.declaration is None:
            return self.name
        commit = self.declaration["commit"]
        at_commit = f", commit {commit[:12]}" if commit else ""
        return f"{self.name} (by {self.declaration['by']}, {self.declaration['at']}{at_commit})"


def read_result(path: Path) -> SavedResult:
    """Read a saved result or baseline.

    Args:
        path: The file.

    Returns:
        The result, and the declaration of a baseline.

    Raises:
        ResultError: The file is missing, damaged or no result.
    """
    return saved_from(read_document(path), name=str(path))


def read_document(path: Path) -> Any:
    """The value of a JSON file; ResultError if the file is missing, not JSON, or damaged."""
    try:
        text = read_text(path)
    except IsADirectoryError as error:
        raise ResultError(f"{path} is a folder; give the file of a result{_such_as(path)}.") from error
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}.") from error
    except DocumentError as error:
        raise ResultError(f"{path} {error}") from error
    return parse_document(text, name=str(path))


def _such_as(folder: Path) -> str:
    """A phrase with the first result of a run in a folder, or of its runs; empty if none can be seen."""
    with suppress(OSError):
        for path in (folder / "result.json", *sorted(folder.glob("*/result.json"))):
            if path.is_file():
                return f", such as {path}"
    return ""


def saved_from(document: Any, *, name: str) -> SavedResult:
    """A saved result from its document; ResultError if it is not a result, or holds what no measurement gives."""
    if isinstance(document, dict) and "generators" in document:
        raise ResultError(f"{name} holds a comparison of several generators; save the result of one (ganeval score).")
    if isinstance(document, dict) and "methods" in document:
        raise ResultError(f"{name} holds a comparison of methods; save the result of one run (ganeval score).")
    evaluation = Evaluation.from_dict(document, name=name)
    try:
        _check_sound(evaluation)
    except ValueError as error:
        raise ResultError(f"{name} is damaged: {error}.") from error
    return SavedResult(name, evaluation, _declaration(document.get("baseline"), name))


def _check_sound(evaluation: Evaluation) -> None:
    """ValueError for what no measurement gives, and verdicts would stumble over."""
    if not evaluation.metrics:
        raise ValueError("it holds no metric")
    real = evaluation.provenance.get("real")
    if real is not None and not isinstance(real, dict):
        raise ValueError("its 'real' says nothing of a set of images")
    for metric, one in evaluation.metrics.items():
        if one.n_fake < 1 or (one.standard_error or 0.0) < 0:
            raise ValueError(f"its {metric} has {one.n_fake} fakes and a standard error of {one.standard_error}")


def _declaration(found: object, name: str) -> Mapping[str, str | None] | None:
    if found is None:
        return None
    if not isinstance(found, dict) or not {"by", "at", "commit"} <= set(found):
        raise ResultError(f"{name} is damaged: its 'baseline' must say by, at and commit.")
    return {key: None if found[key] is None else str(found[key]) for key in ("by", "at", "commit")}


def baseline_document(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """The JSON document of a baseline: the result's own, with who declared it, when (UTC) and at which commit.

    Args:
        evaluation: The result.
        folder: A folder of the git repository; outside of one the commit is None.

    Returns:
        The members of the document, which `Evaluation.from_dict` reads as well.
    """
    declaration = {
        "by": _git(folder, "config", "user.name") or _user(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git(folder, "rev-parse", "--verify", "HEAD"),
    }
    return {**evaluation.to_dict(), "baseline": declaration}


def write_baseline(evaluation: Evaluation, path: str | Path) -> SavedResult:
    """Make a result the baseline, whatever its numbers are; `update_baseline` checks it first.

    Args:
        evaluation: The result.
        path: The file of the baseline, which is replaced in one step.

    Returns:
        The baseline, with who declared it, when and at which commit.

    Raises:
        ResultError: The file cannot be written.
    """
    path = Path(path)
    document = baseline_document(evaluation, path.absolute().parent)
    with atomic_write(path) as file:
        file.write((json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
    return SavedResult(str(path), evaluation, document["baseline"])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a number that no account has.
        return "unknown"


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers; None without git, a repository, or an answer."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        asked = subprocess.run(  # noqa: S603, git of the user's own path, with arguments of this file
            [git, "-C", str(folder), *arguments], capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Git writes UTF-8 whatever the locale.
    return asked.stdout.decode("utf-8", "replace").strip() or None if asked.returncode == 0 else None
