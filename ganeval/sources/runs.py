"""Recognising folders of training runs: their pictures are grids of samples, not images to measure."""

import os
from pathlib import Path

from ganeval.documents import DocumentError, parse_json
from ganeval.errors import UsageError

# Maximum size of a run's config.json.
_LIMIT = 1 << 20


def is_run(folder: Path) -> bool:
    """Whether a folder is a run of `ganeval train`: its config.json has a plan with a recipe."""
    config = folder / "config.json"
    try:
        if not config.is_file() or config.stat().st_size > _LIMIT:
            return False
        document: object = parse_json(config.read_bytes())
    except (OSError, DocumentError):
        return False
    plan = document.get("plan") if isinstance(document, dict) else None
    return isinstance(plan, dict) and isinstance(plan.get("recipe"), dict)


def refuse_run(path: Path) -> None:
    """Raise UsageError for a path that is, lies in or holds a training run, which is read as ckpt:RUN."""
    whole = path.absolute()
    if is_run(whole):
        raise UsageError(
            f"{path} is a run, and its pictures are grids of samples; write ckpt:{path} for the images it draws."
        )
    run = next((folder for folder in (whole.parent, whole.parent.parent) if is_run(folder)), None)
    if run is not None and whole.suffix == ".pt":
        raise UsageError(f"{path} is a checkpoint of a run; write ckpt:{path} for the images it draws.")
    if run is not None and whole.name == "samples":
        raise UsageError(f"{path} holds grids of samples of a run; write ckpt:{run} for the images it draws.")
    within = _run_within(whole)
    if within is not None:
        raise UsageError(
            f"{path} holds the run {within}, whose pictures are grids of samples; write ckpt:{within} for the images "
            "it draws, or keep runs and images apart."
        )


def _run_within(folder: Path) -> Path | None:
    """The first run among the subfolders of a folder."""
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entry.name for entry in entries if entry.is_dir())
    except (OSError, ValueError):
        # It is a file, or it cannot be read: opening it later reports the error.
        return None
    return next((folder / name for name in inside if is_run(folder / name)), None)
