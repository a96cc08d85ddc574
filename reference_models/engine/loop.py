"""The loop around the steps: it logs, draws samples, scores, saves and handles Ctrl-C, without affecting training."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ganeval.errors import Interrupted, TrainingError, UsageError
from ganeval.processes import processes
from ganeval.results import Evaluation
from ganeval.sources import Sandbox
from reference_models.base import Model
from reference_models.engine import checkpoint
from reference_models.engine.choices import own_number
from reference_models.engine.diagnostics import Diagnostics, Finding, check_alarm, first_bad_tensor
from reference_models.engine.folder import Folder, tensorboard
from reference_models.engine.interrupts import Interruption, deferred_signals
from reference_models.engine.log_buffer import LogBuffer
from reference_models.engine.pictures import write_picture
from reference_models.engine.training import Training

# Scores the model that samples are drawn from. The first metric decides which checkpoint is the best.
Scorer = Callable[[Model], Evaluation]
# A function for further numbers in each line of the log; it must not change the training.
Monitor = Callable[[Training], Mapping[str, float]]
# Takes a line of the log: numbers by name, "step" among them.
Logger = Callable[[Mapping[str, float]], object]


class TrainingProgress(Protocol):
    """Shows the progress of a training: enter with the steps done and in total, call with each line of the log."""

    def __call__(self, done: int, total: int) -> AbstractContextManager[Logger]: ...


def hidden(done: int, total: int) -> AbstractContextManager[Logger]:  # noqa: ARG001
    """A TrainingProgress that shows nothing."""
    return nullcontext(lambda line: None)  # noqa: ARG005


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often a run logs, draws, saves and scores, in steps. None of it affects what is trained.

    0 means never; everything else is also done after the last step.

    Attributes:
        log_every: Steps per line of the log; not 0.
        sample_every: Steps per picture of samples.
        save_every: Steps per checkpoint "last".
        keep_every: Steps per checkpoint that is kept, named by its step.
        score_every: Steps per score; the best model is kept as "best".
        tensorboard: Whether to write TensorBoard events as well.
        stop_on: Names of alarms that end the run.
    """

    log_every: int = 20
    sample_every: int = 500
    save_every: int = 500
    keep_every: int = 0
    score_every: int = 0
    tensorboard: bool = False
    stop_on: Collection[str] = ()

    def __post_init__(self) -> None:
        """UsageError for invalid numbers of steps, and unknown alarms."""
        for name in ("log_every", "sample_every", "save_every", "keep_every", "score_every"):
            number = own_number(getattr(self, name))
            if not isinstance(number, int) or number < (name == "log_every"):
                raise UsageError(f"{name} is {number!r}; it must be a number of steps; 0 (not for logs) means never.")
            object.__setattr__(self, name, number)
        if isinstance(self.stop_on, str):
            raise UsageError(
                f"stop_on must be a list of alarm names, found the text {self.stop_on!r}; parse_alarms converts it."
            )
        for alarm in self.stop_on:
            check_alarm(alarm)


def ignore_alarm(finding: Finding) -> None:
    """Ignore an alarm; it is still logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Functions that a training calls.

    Attributes:
        scorer: Scores the model at `Intervals.score_every`; None for no scores.
        monitors: Further numbers for each line of the log.
        warn: Called with every alarm.
        progress: Shows how the training goes.
    """

    scorer: Scorer | None = None
    monitors: Sequence[Monitor] = ()
    warn: Callable[[Finding], object] = ignore_alarm
    progress: TrainingProgress = hidden


# Makes the callbacks for a new training, before its folder is created.
CallbackFactory = Callable[[Training], Callbacks]
NO_CALLBACKS = Callbacks()


def callbacks_for(callbacks: Callbacks | CallbackFactory, training: Training) -> Callbacks:
    """The callbacks, or the result of the function that makes them for this training."""
    return callbacks if isinstance(callbacks, Callbacks) else callbacks(training)


class Loop:
    """A training with its folder, intervals and callbacks. notices: sentences to show before it runs."""

    def __init__(self, training: Training, folder: Folder, intervals: Intervals, callbacks: Callbacks) -> None:
        self.training, self.folder, self.diagnostics = training, folder, Diagnostics()
        self.callbacks, self._intervals, self._buffer = callbacks, intervals, LogBuffer()
        self.notices: list[str] = []
        self._best: float | None = None
        self._loggers: list[Logger] = []
        self._since = 0.0, 0
        self._stopped = Interruption()

    def run(self) -> None:
        """Train to the last step of the plan.

        Raises TrainingError if it diverges, or an alarm of `Intervals.stop_on` ends it; Interrupted after Ctrl-C or
        another signal, once the step is finished and saved; UsageError if another process trains into this folder.
        """
        training, total = self.training, self.training.plan.recipe.steps
        with ExitStack() as stack:
            stack.enter_context(self.folder.hold())
            stack.enter_context(self.folder.kept_if_used())
            self._loggers = [self.folder.add]
            team = processes()
            if team.first:
                self._loggers.append(stack.enter_context(self.callbacks.progress(training.step, total)))
            if self._intervals.tensorboard:
                with team.together():
                    self._loggers += [self._events(stack)] if team.first else []
            self._stopped = stopped = stack.enter_context(deferred_signals())
            if training.step == 0 and self.callbacks.scorer is not None and self._intervals.score_every:
                # So that a score that cannot be computed fails now, and later scores can be compared with this one.
                self._score(self.callbacks.scorer)
                self._best = None
            self._since = time.perf_counter(), training.seen
            while training.step < total and not _anywhere(stopped):
                self._buffer.add(training.advance())
                self._side_tasks(last=training.step == total)
            if training.step < total:
                self.save()
                raise Interrupted(
                    f"Step {training.step} of {total} is saved; `ganeval train --resume {self.folder.root}` continues.",
                    max(team.exchange(stopped.number)),
                )

    def save(self, *names: str | int) -> None:
        """Save the training as the last checkpoint, and under other names; TrainingError if a weight is not finite."""
        self._fetch()
        _check_weights(self.training)
        # "window" is the log buffer; the key is kept so that older checkpoints can be read.
        notes = {"best": self._best, "window": self._buffer.rows, "diagnostics": self.diagnostics.state()}
        for name in (*names, "last"):
            checkpoint.save(self.folder.checkpoint_path(name), self.training, notes)

    def check_scores(self, evaluation: Evaluation, floor: Evaluation) -> None:
        """Compare the final scores with the noise floor; alarms go to the log and to `diagnostics`."""
        for finding in self.diagnostics.final(self.training.step, evaluation, floor):
            self._note(finding, final=True)

    def check_translation_scores(self, evaluation: Evaluation, trivial: Mapping[str, Evaluation]) -> None:
        """Compare the final scores with those of trivial methods; alarms go to the log and to `diagnostics`."""
        for finding in self.diagnostics.final_translations(self.training.step, evaluation, trivial):
            self._note(finding, final=True)

    def restore(self, notes: Mapping[str, Any]) -> None:
        """Restore the notes of a checkpoint."""
        self._best, self._buffer.rows = notes["best"], list(notes["window"])
        self.diagnostics.restore(notes["diagnostics"])

    def _events(self, stack: ExitStack) -> Logger:
        """The logger to TensorBoard, until the stack is closed."""
        return stack.enter_context(tensorboard(self.folder.events, self.training.step))

    def _side_tasks(self, *, last: bool) -> None:
        """Do what is due after a step."""
        step, intervals, best = self.training.step, self._intervals, False

        def due(every: int) -> bool:
            return every > 0 and (last or step % every == 0)

        # Fetching numbers is free on a CPU; on a GPU it would wait for the device.
        if self.training.plan.device == "cpu":
            self._fetch()
        if due(intervals.log_every):
            self._log()
        if due(intervals.sample_every):
            write_picture(self.training, self.folder.sample_path(step))
        if self.callbacks.scorer is not None and due(intervals.score_every):
            best = self._score(self.callbacks.scorer)
        keep = intervals.keep_every > 0 and step % intervals.keep_every == 0
        if best or keep or due(intervals.save_every) or last:
            self.save(*["best"] * best, *[step] * keep)

    def _fetch(self) -> None:
        """Transfer the numbers of the last steps; TrainingError at the first that is not finite."""
        fresh = self._buffer.fetch()
        for number, row in enumerate(fresh, self.training.step - len(fresh) + 1):
            if not all(math.isfinite(value) for value in row.values()):
                self._raise(self.diagnostics.logs(number, row, self.training.model))

    def _log(self) -> None:
        """Log the means since the last line, the monitors' numbers and the speed; raise alarms from them."""
        self._fetch()
        line = self._buffer.mean()
        for monitor in self.callbacks.monitors:
            line |= processes().from_first(monitor(self.training))
        now, (then, seen) = time.perf_counter(), self._since
        self._since = now, self.training.seen
        findings = self.diagnostics.logs(self.training.step, line, self.training.model)
        if all(math.isfinite(value) for value in line.values()):
            self._write(line | {"images/s": (self.training.seen - seen) / max(now - then, 1e-9)})
        self._raise(findings)

    def _score(self, scorer: Scorer) -> bool:
        """Score the current model without changing it; return whether it is the best so far.

        A score may take much longer than a step, so a signal cancels it, unless several processes share it.
        """
        alone = processes().size == 1
        try:
            with (
                Sandbox(self.training.best_model, self.training.plan.seed),
                self._stopped.at_once() if alone else nullcontext(),
            ):
                evaluation = scorer(self.training.best_model)
        except (Interrupted, Exception):
            # After a signal, a library's error may be caused by the interruption.
            if not alone or not self._stopped.number:
                raise
            return False
        results = evaluation.metrics
        values = {f"score/{name}": result.value for name, result in results.items()}
        errors = {f"error/{name}": result.standard_error or 0.0 for name, result in results.items()}
        self._write(values | errors)
        self._raise(self.diagnostics.scores(self.training.step, evaluation))
        first = next(iter(results.values()))
        minimised = first.to_minimise(first.value)
        best = self._best is None or minimised < self._best
        self._best = minimised if best else self._best
        return best

    def _write(self, line: Mapping[str, float]) -> None:
        for logger in self._loggers:
            logger({"step": self.training.step, **line})

    def _raise(self, findings: Sequence[Finding]) -> None:
        """Log findings and call `warn`; TrainingError if one ends the run."""
        for finding in findings:
            self._note(finding)
            if processes().first:
                self.callbacks.warn(finding)
            if finding.alarm == "divergence":
                raise TrainingError(str(finding))
            if finding.alarm in self._intervals.stop_on:
                self.save()
                raise TrainingError(f"{finding} The run stops at this alarm, as requested, and is saved.")

    def _note(self, finding: Finding, *, final: bool = False) -> None:
        line = {"step": finding.step, "alarm": finding.alarm, "text": str(finding)}
        self.folder.add(line | {"final": True} if final else line)


def _anywhere(stopped: Interruption) -> bool:
    """Whether any process that trains with this one was asked to stop: all stop at the same step."""
    team = processes()
    if team.size == 1:
        return stopped.number > 0
    count = torch.tensor(int(stopped.number > 0), device="cpu")
    team.add(count)
    return bool(count)


def _check_weights(training: Training) -> None:
    """TrainingError if a weight is NaN or infinite, even if all losses are still finite."""
    state = training.model.state_dict().values()
    tensors = [one for one in state if isinstance(one, Tensor) and one.is_floating_point()]
    if not bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all()):
        raise TrainingError(
            f"The training diverged at step {training.step}: {first_bad_tensor(training.model)}. It was not saved; the "
            "last checkpoint is from an earlier step."
        )
