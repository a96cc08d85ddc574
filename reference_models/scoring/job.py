"""Score a trained model: the parts common to all kinds of models.

A job checks before training that the model can be scored, gives the callbacks of the training, and scores the model at
the end. There is one for models that make images, one for those that translate images, and one for sequences.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

from ganeval.atomic import atomic_write
from ganeval.errors import GanevalError
from ganeval.pipeline import MetricNames, MetricOptions
from ganeval.progress import Progress, silent
from ganeval.protocols import DEFAULT
from ganeval.report import ReportData, ReportInputs, Subject, read_run
from ganeval.results import Evaluation
from reference_models.engine.diagnostics import Diagnostics, Finding
from reference_models.engine.loop import Callbacks, Loop, TrainingProgress, hidden, ignore_alarm
from reference_models.engine.training import Training
from reference_models.scoring.published import PublishedComparison
from reference_models.scoring.scores import Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """A trained model with its scores.

    Attributes:
        run: The run's folder; `ckpt:RUN` is a source in every ganeval function.
        training: The training at its end: model, average, plan, step.
        diagnostics: Alarms of the training and of the final scores.
        scores: The model's scores, and those of what they are compared with, such as the noise floor.
        published: Each published number of the recipe, compared with this run.
        pictures: Image files that were written, each with a description.
        report_data: Chooses what a page shows of the run.
    """

    run: Path
    training: Training
    diagnostics: Diagnostics
    scores: Scores
    published: tuple[PublishedComparison, ...]
    pictures: Mapping[Path, str]
    report_data: Callable[[], ReportData]

    def report_inputs(self, *, name: str | None = None) -> ReportInputs:
        """What a page shows of the run: scores next to what they are compared with, pictures or text, and its curves.

        Args:
            name: What the run is called; None for its folder.

        Returns:
            The inputs of `ganeval.report.write_page`.
        """
        log = read_run(self.run)
        return ReportInputs(
            [Subject(name or str(self.run), self.scores.evaluation, self.report_data())],
            floor=self.scores.references.get("floor"),
            references=self.scores.rivals,
            runs=[log if name is None else replace(log, name=name)],
        )

    def to_dict(self) -> dict[str, object]:
        """The JSON document as plain Python."""
        recipe = self.training.plan.recipe
        return {
            "run": str(self.run),
            "variant": recipe.variant,
            "preset": recipe.preset,
            "steps": self.training.step,
            "images": self.training.seen,
            "scores": self.scores.evaluation.to_dict(),
            **{name: one.to_dict() for name, one in self.scores.references.items()},
            **{f"{name}_of": text for name, text in self.scores.references_of.items()},
            "alarms": [
                {**asdict(one), "means": one.means, "attempt": one.attempt} for one in self.diagnostics.findings
            ],
            "published": [asdict(one) for one in self.published],
        }


class ScoringKeywords(TypedDict, total=False):
    """Keywords of `train_and_score` and `score_run`: how a model is scored, and what is called on the way.

    Attributes:
        metrics: Names, "all", or None for what papers report.
        options: Options of metrics: {"prdc": {"k": 3}}.
        extractor: None for that of the protocol, and digits where the data are the embedded digits and the protocol
            prescribes none.
        protocol: Name of a protocol.
        weights: File of the extractor's weights, instead of the published ones.
        num_samples: Generated images to score; None for as many as the noise floor has.
        held_out: Source of reals that are not trained on; None for a data set's own test images.
        notify: Called with each notice, a sentence.
        warn: Called with every alarm.
        progress: Shows how sources are read.
        training_progress: Shows how the training goes.
    """

    metrics: MetricNames
    options: MetricOptions | None
    extractor: str | None
    protocol: str
    weights: Path | None
    num_samples: int | None
    held_out: str | None
    notify: Callable[[str], object]
    warn: Callable[[Finding], object]
    progress: Progress
    training_progress: TrainingProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringOptions:
    """How a model is scored: the fields of `ScoringKeywords`, with their defaults."""

    metrics: MetricNames = None
    options: MetricOptions | None = None
    extractor: str | None = None
    protocol: str = DEFAULT
    weights: Path | None = None
    num_samples: int | None = None
    held_out: str | None = None
    notify: Callable[[str], object] = lambda text: None  # noqa: ARG005
    warn: Callable[[Finding], object] = ignore_alarm
    progress: Progress = silent
    training_progress: TrainingProgress = hidden


class Job(ABC):
    """Scores one model."""

    def __init__(self, options: ScoringOptions) -> None:
        self.options = options

    @abstractmethod
    def callbacks(self, training: Training) -> Callbacks:
        """The training's callbacks; UsageError if the model cannot be scored with these data."""

    @abstractmethod
    def score(self, loop: Loop) -> ScoredRun:
        """Score the model, compare it, and write pictures into the run's folder."""

    def finish(self, loop: Loop) -> ScoredRun:
        """Train to the end, then score."""
        for notice in loop.notices:
            self.options.notify(f"warning: {notice}")
        loop.run()
        try:
            return self.score(loop)
        except (GanevalError, KeyboardInterrupt) as error:
            root = loop.folder.root
            error.add_note(
                f"The training is complete, in {root}: `ganeval train-and-score --resume {root}` scores it again."
            )
            raise


def write_result(evaluation: Evaluation, root: Path) -> None:
    """Write a run's result.json."""
    with atomic_write(root / "result.json") as file:
        file.write((evaluation.to_json() + "\n").encode())
