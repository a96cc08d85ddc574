"""Score a model of sequences in `train_and_score`: next to real sequences, by likelihoods and BLEU."""

from ganeval.errors import UsageError
from ganeval.protocols import DEFAULT
from ganeval.report_data import texts_data
from reference_models.base import SequenceModel
from reference_models.data.specs import check_data
from reference_models.engine.loop import Callbacks, Loop
from reference_models.engine.pictures import SAMPLES
from reference_models.engine.plan import TrainingPlan, check_kind
from reference_models.engine.sequences import write_sequences
from reference_models.engine.training import Training
from reference_models.scoring.job import Job, ScoredRun, ScoringOptions, write_result
from reference_models.scoring.published import unmeasured
from reference_models.scoring.scores import Scores
from reference_models.scoring.sequence_scores import find_sequence_metrics, sequence_scoring
from reference_models.scoring.sequences import SEQUENCE_METRICS

# Number of sequences of each kind on a page.
SHOWN = 24
# Why published numbers are not measured here.
APART = "published under the authors' oracle, and values under different oracles are not comparable"


class SequencesJob(Job):
    """Scores a model of sequences. scored: whether it is also scored during training."""

    def __init__(self, plan: TrainingPlan, options: ScoringOptions, *, scored: bool) -> None:
        """UsageError for options that metrics of sequences do not have, and for unknown names."""
        super().__init__(options)
        self._scored, self._seed = scored, plan.seed
        unused = {
            "--extractor": options.extractor is not None,
            "--protocol": options.protocol != DEFAULT,
            "--weights": options.weights is not None,
            "--option": bool(options.options),
        }
        if any(unused.values()):
            named = ", ".join(name for name, given in unused.items() if given)
            raise UsageError(
                f"{plan.recipe.variant} writes sequences, and is scored by metrics of sequences "
                f"({', '.join(SEQUENCE_METRICS)}), which have no extractor and no options; leave {named} out."
            )
        self._metrics = find_sequence_metrics(options.metrics)
        if options.held_out is not None:
            check_kind(plan.recipe, options.held_out)
            check_data(options.held_out)

    def callbacks(self, training: Training) -> Callbacks:
        """UsageError for a named metric that cannot be computed, and if none can."""
        self._scoring = sequence_scoring(
            training,
            held_out=self.options.held_out,
            metrics=self._metrics,
            num_samples=self.options.num_samples,
        )
        self._scoring.check_any()
        return Callbacks(
            scorer=self._scoring.score if self._scored else None,
            warn=self.options.warn,
            progress=self.options.training_progress,
        )

    def score(self, loop: Loop) -> ScoredRun:
        """Score the model's sequences and real ones; write some of the model's sequences."""
        training, root = loop.training, loop.folder.root
        model = training.best_model
        assert isinstance(model, SequenceModel)
        evaluation = self._scoring.of(model, name=f"ckpt:{root}")
        floor, (of, caveats) = self._scoring.of_real(), self._scoring.of_what
        loop.check_scores(evaluation, floor)
        write_result(evaluation, root)
        path = root / "samples.txt"
        write_sequences(model, path, count=SAMPLES, seed=training.plan.seed)
        return ScoredRun(
            run=root,
            training=training,
            diagnostics=loop.diagnostics,
            scores=Scores(evaluation, {"floor": floor}, {"floor": of}, self._scoring.against, caveats),
            published=tuple(unmeasured(training.plan, APART)),
            pictures={path: f"{SAMPLES} sequences"},
            report_data=lambda: texts_data(
                evaluation,
                self._scoring.text(model, SHOWN),
                titles={name: row.title for name, row in SEQUENCE_METRICS.items()},
            ),
        )
