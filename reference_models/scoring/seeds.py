"""Runs of one model from several seeds, scored one after the other: the spread of every metric over seeds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ganeval.errors import UsageError
from ganeval.report import ReportInputs, Subject, TrainingLog
from ganeval.results import Evaluation, warnings_of
from ganeval.run_statistics import run_spreads
from ganeval.runs import RunsComparison
from reference_models.scoring.classification import CLASSIFIER_METRICS
from reference_models.scoring.job import ScoredRun
from reference_models.scoring.label_draws import LabelDraws, label_draws
from reference_models.scoring.scores import Scores


@dataclass(frozen=True, slots=True)
class SeedsSummary:
    """How the scores of one model vary over seeds.

    Attributes:
        root: The folder of the runs' folders.
        methods: The results by run, of one method, the variant; with the spread of every metric that all runs have.
        runs: Each run as a JSON document (`ScoredRun.to_dict`).
        label_draws: The errors of a semi-supervised model and its rivals; None for other models and for a single run.
        warnings: What to know before using the scores.
        report: The inputs of a page of all runs; None if not requested.
    """

    root: Path
    methods: RunsComparison
    runs: tuple[dict[str, object], ...]
    label_draws: LabelDraws | None
    warnings: tuple[str, ...]
    report: ReportInputs | None

    def to_dict(self) -> dict[str, object]:
        """The JSON document as plain Python."""
        draws = {} if self.label_draws is None else {"label_draws": self.label_draws.to_dict()}
        return {"runs": list(self.runs), "spreads": self.methods.to_dict()["spreads"], **draws}


def summarize_seeds(
    runs: Iterable[ScoredRun],
    *,
    report: bool = False,
    each: Callable[[ScoredRun], object] = lambda run: None,  # noqa: ARG005
) -> SeedsSummary:
    """Summarize runs of several seeds; features are not kept, so only one run is in memory at a time.

    Args:
        runs: Of `train_and_score_seeds` or `score_seeds`; they are trained and scored here, one after the other.
        report: Whether to choose what a page shows of them.
        each: Called with every run when it has been scored.

    Returns:
        The spreads of the scores, and the runs.

    Raises:
        UsageError: There is no run. Other errors are those of the runs.

    >>> import reference_models, tempfile
    >>> small = {"steps": 2, "resolution": 8, "settings.hidden": 16}
    >>> scoring = {"metrics": ["fid"], "extractor": "pixels:4", "num_samples": 20, "device": "cpu"}
    >>> folder = tempfile.mkdtemp() + "/runs"
    >>> runs = reference_models.train_and_score_seeds("gan", folder, seeds=2, chosen=small, **scoring)
    >>> (spread,) = reference_models.summarize_seeds(runs).methods.spreads
    >>> spread.metric, len(spread.values)
    ('fid', 2)
    """
    evaluations: dict[str, Evaluation] = {}
    documents: list[dict[str, object]] = []
    subjects: list[Subject] = []
    logs: list[TrainingLog] = []
    warnings: dict[str, None] = {}
    classified: list[Scores] = []
    shown: ReportInputs | None = None
    variant, root = "", Path()
    for found in runs:
        scores, name = found.scores, found.run.name
        variant, root = found.training.plan.recipe.variant, found.run.parent
        # Drop the features, which are no longer needed.
        evaluations[name] = replace(scores.evaluation, real=None, fake=None, pairs=None)
        if not CLASSIFIER_METRICS.keys().isdisjoint(scores.evaluation):
            classified.append(replace(scores, evaluation=evaluations[name], references=scores.rivals))
        documents.append(found.to_dict())
        warnings |= dict.fromkeys([*warnings_of([scores.evaluation]), *scores.warnings])
        if report:
            shown = found.report_inputs(name=f"{variant}: {name}")
            subjects += [replace(one, evaluation=evaluations[name]) for one in shown.subjects]
            logs += shown.runs
        each(found)
    if not evaluations:
        raise UsageError("A summary of seeds needs at least one run, and there is none.")
    first, *others = evaluations.values()
    common = [metric for metric in first if all(metric in one for one in others)]
    methods = RunsComparison({variant: evaluations}, run_spreads({variant: evaluations}, common), ())
    draws = label_draws(variant, classified) if len(classified) > 1 else None
    page = None
    if shown is not None:
        # Reals do not depend on the seed, so references are the same for every run, except baselines of a classifier.
        rivals = {} if classified else shown.references
        page = replace(shown, subjects=subjects, references=rivals, runs=logs, methods=methods)
    return SeedsSummary(root, methods, tuple(documents), draws, tuple(warnings), page)
