"""What the folder of a run holds, without its weights and without torch."""

from pathlib import Path
from typing import Any

from reference_models.engine.folder import Folder


def is_run(path: str | Path) -> bool:
    """Whether a folder is that of a training run that has begun.

    Args:
        path: The folder.

    Returns:
        Whether it has a configuration and a log.
    """
    folder = Folder(Path(path))
    return folder.config.is_file() and folder.log.is_file()


def read_log(run: str | Path) -> list[dict[str, Any]]:
    """Read the log of a run.

    Args:
        run: The run's folder.

    Returns:
        A dict for each line, up to the first that is incomplete: "step", and numbers by name, such as
        "loss/generator" and "score/fid" with its standard error "error/fid"; or "alarm" and "text". Empty for a run
        without a log.
    """
    return Folder(Path(run)).lines()


def check_new_run(output: str | Path) -> None:
    """Check that a new run can go into a folder, without creating it.

    Args:
        output: The folder.

    Raises:
        UsageError: It has a run, or is not an empty folder.
    """
    Folder(Path(output)).check_free()
