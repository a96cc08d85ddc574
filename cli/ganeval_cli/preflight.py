"""What `ganeval train-and-score` finds out once the images are there, and before anything is trained."""

from typing import TYPE_CHECKING, cast

from ganeval_cli.train import watching

if TYPE_CHECKING:
    from ganeval.pipeline import Setup
    from reference_models.data.images import Images
    from reference_models.engine.loop import Callbacks
    from reference_models.engine.training import Training
    from reference_models.scoring.scores import Scoring


class Preflight:
    """The checks of a training before its first step: whether what it will be scored by can be had of its images.

    held_out: the reals that are kept from it, once it was looked at; None where there are none.
    """

    def __init__(self, scoring: "Scoring", setup: "Setup", spec: str | None, *, scored: bool, quiet: bool) -> None:
        self.scoring, self.held_out = scoring, cast("Images | None", None)
        self._setup, self._spec, self._scored, self.quiet = setup, spec, scored, quiet

    def __call__(self, training: "Training") -> "Callbacks":
        """Who looks on. Raises UsageError for sets that the scores cannot be had of."""
        from reference_models.engine.reading import read_held_out
        from reference_models.sampling.sampler import Sampler
        from reference_models.scoring.periodic import training_metrics
        from reference_models.scoring.scores import as_seen

        scoring, sampler = self.scoring, Sampler(training.best_model)
        if self._spec is not None:
            self.held_out = read_held_out(self._spec, training)
        scoring.check_sets(self._setup, sampler, training.images, self.held_out)
        settings = scoring.settings
        how = {"extractor": settings.extractor, "protocol": settings.protocol, "weights": settings.weights}
        scored = (
            {"real": as_seen(training.images), **training_metrics(self._setup, training.images), **how}
            if self._scored
            else None
        )
        return watching(training, scored=scored, held_out=self.held_out, quiet=self.quiet)
