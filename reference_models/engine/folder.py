"""A run's folder: its configuration, the log, pictures of fixed latents, checkpoints.

config.json         the plan, the images and the machine
log.jsonl           a line of numbers every few steps, scores, alarms
samples/            step-00000500.png, ...: the same latents every time
checkpoints/        last.pt, best.pt, step-00001000.pt, ...
events/             TensorBoard's, if requested
"""

import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from ganeval import __version__
from ganeval.atomic import atomic_path
from ganeval.documents import DocumentError, parse_json, read_text
from ganeval.errors import TrainingError, UsageError
from ganeval.processes import processes

SCHEMA = 2
# The entries of config.json that resuming needs, and their types.
_PARTS: Mapping[str, type] = {"plan": dict, "digest": str}


def runs_of_seeds(folder: Path) -> tuple[str, ...]:
    """The names of the runs in a folder of `ganeval train-and-score --seeds N`, seed-0 first; none in any other."""
    names = [config.parent.name for config in folder.glob("seed-*/config.json")]
    return tuple(sorted(names, key=lambda name: (len(name), name)))


class Folder:
    """The folder of one run; `hold` it while writing.

    If several processes train together, the first one writes; all make the same calls, and raise its errors.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config, self.log = root / "config.json", root / "log.jsonl"
        self._lock = root / ".lock"
        self.samples, self.checkpoints, self.events = root / "samples", root / "checkpoints", root / "events"

    def check_free(self) -> None:
        """UsageError for a folder that exists and is not empty, also in a process that checks after the start."""
        processes().by_first(self._check_free)

    def _check_free(self) -> None:
        if self.config.exists():
            raise UsageError(
                f"{self.root} already holds a run; resume it (`ganeval train --resume {self.root}`), or choose "
                "another folder."
            )
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise UsageError(f"{self.root} exists and is not an empty folder; choose another one for the run.")

    def create(self) -> None:
        """Create it; UsageError if it is not empty, TrainingError if it cannot be created."""

        def made() -> None:
            self._check_free()
            with self.kept_if_used(), self._writable():
                for folder in (self.samples, self.checkpoints):
                    folder.mkdir(parents=True, exist_ok=True)

        processes().by_first(made)

    @contextmanager
    def kept_if_used(self) -> Iterator[None]:
        """On error, delete a run folder that holds only its configuration, so that it is free for the next run.

        Other files in the folder are kept, and then the folder is, too.
        """
        try:
            yield
        except Exception:
            if (
                processes().first
                and not self.log.exists()
                and not any((*self.samples.glob("*"), *self.checkpoints.glob("*")))
            ):
                self.config.unlink(missing_ok=True)
                self._lock.unlink(missing_ok=True)
                shutil.rmtree(self.events, ignore_errors=True)
                for folder in (self.samples, self.checkpoints, self.root):
                    # The folder may not exist, or may not be empty.
                    with suppress(OSError):
                        folder.rmdir()
            raise

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Lock the folder against other trainings. Temporary files of a process that died are deleted."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock, timeout=0)

        def taken() -> None:
            try:
                lock.acquire()
            except Timeout as error:
                raise UsageError(f"Another process is training into {self.root}; wait, or stop it.") from error
            # Copies of a run may lack its empty folders.
            with self._writable():
                for folder in (self.samples, self.checkpoints):
                    folder.mkdir(exist_ok=True)
            for scrap in (*self.root.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")):
                scrap.unlink(missing_ok=True)

        processes().by_first(taken)
        try:
            yield
        finally:
            lock.release()

    def write_config(self, document: Mapping[str, object]) -> None:
        """Write config.json: the document, with the machine and the versions of the software."""
        machine = {"python": platform.python_version(), "torch": version("torch"), "platform": platform.platform()}
        created = datetime.now(UTC).isoformat(timespec="seconds")
        whole = {"schema": SCHEMA, **document, "ganeval": __version__, **machine, "created": created}
        processes().by_first(lambda: self._replace(self.config, json.dumps(whole, indent=2) + "\n"))

    def note(self, more: Mapping[str, object]) -> None:
        """Add entries to config.json, unless it has them."""

        def noted() -> None:
            document = self.read_config()
            if any(document.get(name) != value for name, value in more.items()):
                self._replace(self.config, json.dumps({**document, **more}, indent=2) + "\n")

        processes().by_first(noted)

    def read_config(self) -> Mapping[str, Any]:
        """The contents of config.json; UsageError if this is not a run's folder, TrainingError if it is damaged."""
        if not self.config.is_file():
            raise UsageError(f"{self.root} is not a run{self._instead()}")
        try:
            document = parse_json(read_text(self.config))
        except OSError as error:
            raise TrainingError(f"{self.config} cannot be read: {error.strerror or error}.") from error
        except DocumentError as error:
            raise TrainingError(f"{self.config} {error}") from error
        parts = document if isinstance(document, dict) else {}
        if not all(isinstance(parts.get(name), kind) for name, kind in _PARTS.items()):
            raise TrainingError(f"{self.config} is not the config.json of a training run.")
        if parts.get("schema") != SCHEMA:
            raise TrainingError(
                f"{self.config} has schema {parts.get('schema')}, written by ganeval {parts.get('ganeval')}; this is "
                f"ganeval {__version__}, which reads schema {SCHEMA}. Use that version, or train a new run."
            )
        return cast(Mapping[str, Any], parts)

    def _instead(self) -> str:
        """For a message: the path to give instead of one that is not a run."""
        run = self.root.parent.parent
        if self.root.is_file() and self.root.suffix == ".pt" and Folder(run).config.is_file():
            return f", but a checkpoint of one; name the run's folder, {run}."
        seeds = runs_of_seeds(self.root)
        if seeds:
            return f", but holds runs of several seeds ({', '.join(seeds)}); name one, as in {self.root / seeds[0]}."
        return ": it has no config.json. Name a folder that `ganeval train --variant NAME -o RUN` made."

    def add(self, line: Mapping[str, object]) -> None:
        """Append a line to the log; it can be read at once."""

        def added() -> None:
            with self._writable(), self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")

        processes().by_first(added)

    def lines(self) -> list[dict[str, Any]]:
        """Every complete line of the log, up to the first that is cut off or damaged."""
        if not self.log.exists():
            return []
        found: list[dict[str, Any]] = []
        for text in self.log.read_bytes().splitlines():
            try:
                line: object = parse_json(text)
            except DocumentError:
                # The run was interrupted while it wrote this line.
                break
            if not isinstance(line, dict) or not isinstance(line.get("step"), int):
                break
            found.append(line)
        return found

    def cut(self, step: int) -> None:
        """Remove from the log the lines after a step, and alarms of final scores, which will be written again."""

        def cut() -> None:
            kept = [line for line in self.lines() if line["step"] <= step and not line.get("final")]
            self._replace(self.log, "".join(json.dumps(line) + "\n" for line in kept))

        processes().by_first(cut)

    def sample_path(self, step: int) -> Path:
        """The path of a step's picture."""
        return self.samples / f"step-{step:08d}.png"

    def checkpoint_path(self, name: str | int) -> Path:
        """The path of a checkpoint: "last", "best", or that of a step."""
        return self.checkpoints / (f"step-{name:08d}.pt" if isinstance(name, int) else f"{name}.pt")

    def _replace(self, path: Path, text: str) -> None:
        with self._writable(), atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"The run's folder {self.root} cannot be written: {error.strerror or error}."
            ) from error


@contextmanager
def tensorboard(folder: Path, step: int) -> Iterator[Callable[[Mapping[str, float]], object]]:
    """Provide a function that writes lines of the log as TensorBoard events, from a step on.

    UsageError if TensorBoard is not installed, or cannot write to the folder: it encodes names as UTF-8, and Python by
    the locale.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("TensorBoard is not installed: pip install 'ganeval[tensorboard]'.") from error
    try:
        writer: Any = SummaryWriter(str(folder), purge_step=step)
    except UnicodeEncodeError as error:
        raise UsageError(
            f"TensorBoard cannot write to {folder}, whose name is not UTF-8 in this locale; choose another folder, or "
            "set LC_ALL=C.UTF-8."
        ) from error

    def write(line: Mapping[str, float]) -> None:
        for name, value in line.items():
            if name != "step":
                writer.add_scalar(name, value, int(line["step"]))

    try:
        yield write
    finally:
        writer.close()


def is_run(path: str | Path) -> bool:
    """Whether a folder is that of a training run that has started.

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
