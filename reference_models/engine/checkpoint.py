"""Checkpoints: written atomically; tensors and plain values only, anything else is refused.

A file is flushed to the disk before it takes its place: after an interruption the last one is still whole. It is read
with `weights_only`, so that it can hold no code.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from ganeval import __version__
from ganeval.atomic import atomic_path
from ganeval.errors import CheckpointError, UsageError
from reference_models.base import GAN, Data
from reference_models.engine.plan import TrainingPlan, plan_from
from reference_models.models import build_model
from reference_models.recipes import plain

if TYPE_CHECKING:
    from reference_models.engine.training import Training

FORMAT, VERSION = "ganeval-checkpoint", 2
# What every checkpoint holds besides its format and version, and of what kind.
_PARTS: Mapping[str, type] = {
    **{"plan": dict, "data": dict, "digest": str, "step": int, "seen": list},
    **{"model": dict, "optimizers": dict, "random": dict, "notes": dict},
}


def save(path: Path, training: "Training", notes: Mapping[str, object]) -> None:
    """Write everything the next step depends on, and `notes`, plain values of whoever runs the training.

    Raises CheckpointError when it cannot be written; what was at `path` before is then still there.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "ganeval": __version__,
        "plan": plain(training.plan),
        "data": plain(training.images.data),
        "digest": training.images.digest,
        "notes": dict(notes),
        **training.state(),
    }
    try:
        with atomic_path(path) as temporary, temporary.open("xb") as file:
            torch.save(document, file)
            file.flush()
            os.fsync(file.fileno())
    # torch says with a RuntimeError that a write failed.
    except (OSError, RuntimeError) as error:
        reason = _disk_reason(error)
        raise CheckpointError(
            f"The checkpoint {path} of step {training.step} could not be written ({reason}); {_left(path)}. Make room, "
            "or choose another folder."
        ) from error


def _left(path: Path) -> str:
    """What a run can still go on from after a checkpoint could not be written, in words."""
    if path.exists():
        return "the one that was written before is still good"
    others = sorted(other.name for other in path.parent.glob("*.pt"))
    if others:
        return f"those that were written before are still good: {', '.join(others)}"
    return "no other one has been written, so a resumed run begins again"


def _disk_reason(error: BaseException) -> str:
    """What the system said, also where torch wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.strerror or str(cause)
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0]


def load(path: Path, *, variant: str | None = None) -> Mapping[str, Any]:
    """A checkpoint's document, on the CPU.

    variant: the one it must be of. Raises CheckpointError for a file that is missing, truncated, hostile, foreign, of
    another version, or of another variant.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}; a run writes {path.name} when it first saves.")
    _check_whole(path)
    try:
        document: object = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, and is not opened: it could run code. It is no "
            "checkpoint of ganeval."
        ) from error
    # What an archive lacks shows in whatever way its reader happens to stumble.
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of ganeval ({str(error).splitlines()[0]}).") from error
    return _checked(document, path, variant)


def _check_whole(path: Path) -> None:
    """CheckpointError for a file whose bytes are not those that were written: torch itself does not look."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise CheckpointError(
            f"{path} is damaged, or is no checkpoint ({error}). Use another one of the run."
        ) from error
    if bad is not None:
        raise CheckpointError(f"{path} is damaged: its part {bad} is not what was written. Use another one of the run.")


def _checked(document: object, path: Path, variant: str | None) -> Mapping[str, Any]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a file of torch, but no checkpoint of ganeval.")
    if document.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {document.get('version')}, written by ganeval {document.get('ganeval')}; "
            f"this is ganeval {__version__}, which reads format {VERSION}. Use the version that wrote it, or train a "
            "new run."
        )
    with damage_named(path):
        for name, kind in _PARTS.items():
            if not isinstance(document[name], kind):
                raise TypeError(f"{name} is of type {type(document[name]).__name__}")
        found = document["plan"]["recipe"]["variant"]
    if variant is not None and found != variant:
        raise CheckpointError(f"{path} is of the variant '{found}', and '{variant}' is what it is wanted for.")
    return document


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Inside, whatever does not fit becomes a CheckpointError that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} does not fit what it should restore ({type(error).__name__}: {reason})."
        ) from error


def plan_of(document: Mapping[str, Any], path: Path) -> TrainingPlan:
    """The plan a checkpoint was trained by; UsageError where this version's recipe is another one."""
    with damage_named(path):
        return plan_from(document["plan"])


def load_model(path: Path, *, average: bool = True, device: str = "cpu") -> GAN:
    """The model of a checkpoint, in evaluation mode.

    average: take the average of the weights where the run kept one. Raises as `load` does.
    """
    document = load(path)
    plan = plan_of(document, path)
    with damage_named(path), torch.random.fork_rng([]):
        model = build_model(plan.recipe, _data(document["data"]))
        kept = document.get("average") if average else None
        model.load_state_dict(document["model"] if kept is None else kept)
    return model.to(device).eval()


def _data(document: Mapping[str, Any]) -> Data:
    """What a model was built for; without names of classes where it was saved before these were kept."""
    names = document.get("class_names")
    if names is None:
        return Data(**document)
    if len(names) != document["classes"] or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{document['classes']} classes need a name each, found {names!r}")
    return Data(**{**document, "class_names": tuple(names)})


def find_checkpoint(run: Path, which: str = "last") -> Path:
    """A checkpoint of a run's folder: "last", "best", or a step's number. A checkpoint's own path is itself."""
    if run.is_file():
        return run
    folder = run / "checkpoints"
    if not folder.is_dir():
        raise UsageError(
            f"{run} is no run: it has no folder of checkpoints. Name a folder that `ganeval train --variant NAME -o "
            "RUN` made, or a checkpoint's file."
        )
    name = f"step-{int(which):08d}" if which.isdecimal() else which
    path = folder / f"{name}.pt"
    if not path.exists():
        there = ", ".join(sorted(one.stem for one in folder.glob("*.pt"))) or "none yet"
        raise UsageError(f"{run} has no checkpoint '{which}'; it has: {there}.")
    return path
