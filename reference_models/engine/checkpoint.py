"""Checkpoints, written atomically; they hold only tensors and plain values, anything else is refused.

A file is flushed to disk before it replaces the previous one, so that one of them is complete after an interruption.
It is read with `weights_only`, so that no code in it can run.
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
from ganeval.processes import processes
from reference_models.base import Model
from reference_models.batches import Data, SequenceData
from reference_models.engine.folder import runs_of_seeds
from reference_models.engine.plan import TrainingPlan, plan_from
from reference_models.models import build_model
from reference_models.recipes import plain

if TYPE_CHECKING:
    from reference_models.engine.training import Training

FORMAT, VERSION = "ganeval-checkpoint", 2
# The entries of every checkpoint apart from its format and version, and their types.
_PARTS: Mapping[str, type] = {
    **{"plan": dict, "data": dict, "digest": str, "step": int, "seen": list},
    **{"model": dict, "optimizers": dict, "random": dict, "notes": dict},
}


def save(path: Path, training: "Training", notes: Mapping[str, object]) -> None:
    """Write everything that the next step depends on, and `notes`, further plain values.

    If several processes train together, the first one writes. Raises CheckpointError, in all of them, if it cannot be
    written; a previous file at `path` is then unchanged.
    """
    processes().by_first(lambda: _save(path, training, notes))


def _save(path: Path, training: "Training", notes: Mapping[str, object]) -> None:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "ganeval": __version__,
        "plan": plain(training.plan),
        "data": plain(training.examples.data),
        "digest": training.examples.digest,
        "notes": dict(notes),
        **training.state(),
    }
    try:
        with atomic_path(path) as temporary, temporary.open("xb") as file:
            torch.save(document, file)
            file.flush()
            os.fsync(file.fileno())
    # torch raises a RuntimeError for a failed write.
    except (OSError, RuntimeError) as error:
        reason = _disk_reason(error)
        raise CheckpointError(
            f"The checkpoint {path} of step {training.step} could not be written ({reason}); {_left(path)}. Make room, "
            "or choose another folder."
        ) from error


def _left(path: Path) -> str:
    """The checkpoints that are left after a failed write, as text."""
    if path.exists():
        return "the previous one is still valid"
    others = sorted(other.name for other in path.parent.glob("*.pt"))
    if others:
        return f"the previous ones are still valid: {', '.join(others)}"
    return "there is no other checkpoint, so a resumed run begins again"


def _disk_reason(error: BaseException) -> str:
    """The system's reason for a failed write, also if torch wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.strerror or str(cause)
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0]


def load(path: Path, *, variant: str | None = None) -> Mapping[str, Any]:
    """A checkpoint's document, on the CPU.

    variant: the variant it must be of, if any. Raises CheckpointError for a file that is missing, damaged, not a
    checkpoint, unsafe to open, of another version, or of another variant.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}; a run writes {path.name} when it first saves.")
    _check_whole(path)
    try:
        document: object = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, and was not opened: it could run code. It is not "
            "a checkpoint of ganeval."
        ) from error
    # torch.load raises any of these for a file that is not a checkpoint.
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint of ganeval ({str(error).splitlines()[0]}).") from error
    return _checked(document, path, variant)


def _check_whole(path: Path) -> None:
    """CheckpointError for a file with a wrong checksum, which torch does not check."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise CheckpointError(
            f"{path} is damaged, or is not a checkpoint ({error}). Use another checkpoint of the run."
        ) from error
    if bad is not None:
        raise CheckpointError(f"{path} is damaged: its part {bad} has changed. Use another checkpoint of the run.")


def _checked(document: object, path: Path, variant: str | None) -> Mapping[str, Any]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a file of torch, but not a checkpoint of ganeval.")
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
        raise CheckpointError(f"{path} is of the variant '{found}', but '{variant}' is needed.")
    return document


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Within this context, an error from unsuitable contents becomes a CheckpointError that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} does not fit what it should restore ({type(error).__name__}: {reason})."
        ) from error


def plan_of(document: Mapping[str, Any], path: Path) -> TrainingPlan:
    """The plan of a checkpoint; UsageError if the recipe has changed since."""
    with damage_named(path):
        return plan_from(document["plan"])


def load_model(path: Path, *, average: bool = True, device: str = "cpu") -> Model:
    """The model of a checkpoint, in evaluation mode.

    average: take the average of the weights, if the run kept one. Raises as `load` does.
    """
    document = load(path)
    plan = plan_of(document, path)
    with damage_named(path), torch.random.fork_rng([]):
        model = build_model(plan.recipe, _data(document["data"]))
        kept = document.get("average") if average else None
        model.load_state_dict(document["model"] if kept is None else kept)
    return model.to(device).eval()


def _data(document: Mapping[str, Any]) -> Data | SequenceData:
    """The data that a model was built for; older checkpoints have no class names."""
    if "vocabulary" in document:
        return SequenceData(**{**document, "vocabulary": tuple(map(str, document["vocabulary"]))})
    names = document.get("class_names")
    if names is None:
        return Data(**document)
    if len(names) != document["classes"] or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{document['classes']} classes need a name each, found {names!r}")
    return Data(**{**document, "class_names": tuple(names)})


def find_checkpoint(run: Path, which: str = "last") -> Path:
    """The path of a run's checkpoint: "last", "best", or a step's number. A checkpoint's path is returned as it is."""
    if run.is_file():
        return run
    folder = run / "checkpoints"
    seeds = runs_of_seeds(run)
    if seeds and not folder.is_dir():
        raise UsageError(
            f"{run} is not a run, but holds runs of several seeds ({', '.join(seeds)}); name one, as in "
            f"{run / seeds[0]}."
        )
    if not folder.is_dir():
        raise UsageError(
            f"{run} is not a run: it has no folder of checkpoints. Name a folder that `ganeval train --variant NAME -o "
            "RUN` made, or a checkpoint's file."
        )
    name = f"step-{int(which):08d}" if which.isdecimal() else which
    path = folder / f"{name}.pt"
    if not path.exists():
        there = ", ".join(sorted(one.stem for one in folder.glob("*.pt"))) or "none yet"
        raise UsageError(f"{run} has no checkpoint '{which}'; it has: {there}.")
    return path
