"""Final scores of a trained model: drawn live, against its training images, next to the noise floor."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ganeval import noise_floor
from ganeval.errors import MetricError, UsageError
from ganeval.pipeline import (
    ALL,
    USUAL,
    Names,
    Options,
    Selection,
    Setup,
    check_supported,
    evaluations,
    find_metrics,
    needs_labels,
    open_setups,
    options_key,
    select_metrics,
)
from ganeval.progress import Progress, silent
from ganeval.results import Evaluation
from ganeval.settings import Settings
from ganeval.sources import ArrayItems, GeneratorSource
from reference_models.data.images import Images
from reference_models.sampling.sampler import Sampler
from reference_models.scoring.dry_run import Counted, obstacles

# What is scored where nobody says, and what else of a model that is asked for classes.
USUAL_METRICS = (*USUAL, "diversity")
# What is learned from the data knows their classes, whatever those of the extractor's classifier are.
OF_CLASSES = ("intra_fid", "conditional_accuracy")
# Data sets of which a part was kept from training.
HELD_OUT = ("digits", "cifar10", "cifar100", "mnist", "fashionmnist", "svhn")


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a trained model.

    evaluation: the model's scores. floor: the same metrics of real images in place of the fakes, as far as they can be
    had; floor_of: which images, in words. caveats: what was taken for granted of the held-out images.
    """

    evaluation: Evaluation
    floor: Evaluation
    floor_of: str
    caveats: tuple[str, ...] = ()

    @property
    def has_neighbours(self) -> bool:
        """Whether there are features of reals, among which fakes have neighbours."""
        sides = (self.evaluation.real, self.evaluation.fake)
        return all(side is not None and "features" in side.arrays for side in sides)

    @property
    def warnings(self) -> list[str]:
        """What the floor lacks, and what was taken for granted, beside the warnings of the scores."""
        own = set(self.evaluation.warnings)
        return [*self.caveats, *(f"floor: {text}" for text in self.floor.warnings if text not in own)]


def held_out_of(data: str) -> str | None:
    """The part of a data set that its "train" part leaves out, None where none is known."""
    name, _, split = data.partition(":")
    return f"{name}:test" if name in HELD_OUT and split == "train" else None


def as_seen(images: Images) -> ArrayItems:
    """Training images as the model sees them, cropped and resized: what its fakes can be compared with."""
    if images.pixels.dtype != torch.uint8:
        raise UsageError("The training data are no images, so that no image metric can be had of them.")
    size = images.data.resolution
    name = f"{images.about.get('name', 'training images')}, {size} x {size}"
    labels = None if images.labels is None else images.labels.tolist()
    items = ArrayItems(images.pixels, name=name, kind="training images", labels=labels)
    items.class_names = images.class_names
    return items


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How a model is scored.

    metrics: None for the usual ones, as far as the extractor can give them; those of classes are among them where the
    model is asked for classes. num_samples: generated images to score; None for as many as the floor has.
    """

    settings: Settings
    metrics: Names = None
    options: Options | None = None
    num_samples: int | None = None
    progress: Progress = silent

    def check(self) -> Setup:
        """Find out before a long training whether it can be scored: metrics, options, weights and device are there.

        Raises UsageError, WeightsError and ExtractorError as the scoring would. Gives what `check_sets` looks with.
        """
        selection = select_metrics(self._asked(of_classes=True), self.options)
        (setup,) = open_setups(self.settings)
        if self._is_named:
            check_supported(selection, [setup], None, [])
        return setup

    def check_sets(self, setup: Setup, sampler: Sampler, images: Images, held_out: Images | None = None) -> None:
        """Find out before a long training whether there are images enough, and classes, for what was asked for.

        The other arguments are those of `of`. Raises UsageError for a metric that was named and cannot be had, and
        where none that looks at reals is left.
        """
        selection, fakes = self._selection(sampler, images), self._fakes(sampler, "the model", images, held_out)
        for name, metric in selection.metrics.items() if self._is_named else ():
            if needs_labels(metric) and fakes.labels is None:
                raise UsageError(
                    f"The metric '{name}' needs the class of every image, and {sampler.model.recipe.variant} is not "
                    "conditional; choose a conditional variant (cgan, acgan), or other metrics."
                )
        labels = None if fakes.labels is None else torch.tensor(fakes.labels)
        known = None if images.labels is None else images.labels.cpu()
        real = Counted(len(images), known, images.class_names)
        against = obstacles(selection, setup, real, Counted(len(fakes), labels, fakes.class_names))
        looking = [name for name, metric in selection.metrics.items() if metric.real is not None]
        if against and (self._is_named or all(name in against for name in looking)):
            name, reason = next(iter(against.items()))
            raise UsageError(
                f"'{name}' cannot be measured here (training images: {len(images)}, fakes: {len(fakes)}): {reason} "
                "Give more images or --num-samples, or other --metrics; without scores, `ganeval train` trains."
            )

    def of(self, sampler: Sampler, images: Images, *, name: str, held_out: Images | None = None) -> Scores:
        """Score a model against the images it was trained on.

        name: of the model, in the results. held_out: reals that it was not trained on, which stand for the fakes in the
        floor; without them the floor is that of random halves of the training images. What turns out to be impossible
        is left out, with a warning, of the scores and of the floor. MetricError where no score is left.
        """
        real, selection = as_seen(images), replace(self._selection(sampler, images), lenient=True)
        found = self._evaluated(real, self._fakes(sampler, name, images, held_out), selection)
        of = (
            f"random halves of them, {len(images) // 2} each"
            if held_out is None
            else f"{held_out.about.get('name')}, {len(held_out)} real images it was not trained on"
        )
        caveats = () if held_out is None or held_out.caveat is None else (held_out.caveat,)
        try:
            floor = self._floor(real, list(found.metrics), selection, held_out)
        except (MetricError, UsageError) as error:
            return Scores(found, replace(found, metrics={}, warnings=(str(error),)), "none", caveats)
        return Scores(found, floor, of, caveats)

    @property
    def _is_named(self) -> bool:
        """Whether somebody named the metrics, and means all of them."""
        return self.metrics is not None and self.metrics != ALL

    def _asked(self, *, of_classes: bool) -> Names:
        if self.metrics is not None:
            return self.metrics
        return (*USUAL_METRICS, *(OF_CLASSES if of_classes else ()))

    def _selection(self, sampler: Sampler, images: Images) -> Selection:
        has_classes = sampler.num_classes is not None and images.labels is not None
        selection = select_metrics(self._asked(of_classes=has_classes), self.options, also=("features",))
        return replace(selection, lenient=not self._is_named)

    def _fakes(self, sampler: Sampler, name: str, images: Images, held_out: Images | None) -> GeneratorSource:
        """As many as the floor has, and 2 at least, where nobody says how many."""
        count = self.num_samples or max(2, len(images) // 2 if held_out is None else len(held_out))
        return GeneratorSource(sampler, name=name, num_samples=count, seed=self.settings.seed)

    def _floor(
        self, real: ArrayItems, metrics: Sequence[str], selection: Selection, held_out: Images | None
    ) -> Evaluation:
        """The same metrics of reals. Raises MetricError and UsageError where there is none of them."""
        rows = find_metrics(metrics)
        if held_out is not None:
            return self._evaluated(real, as_seen(held_out), replace(selection, metrics=rows))
        settings: dict[str, Any] = asdict(self.settings)
        keys = {options_key(name, row) for name, row in rows.items()}
        options = {key: chosen for key, chosen in selection.options.items() if key in keys}
        return noise_floor(real, metrics=metrics, options=options, lenient=True, progress=self.progress, **settings)

    def _evaluated(self, real: object, fake: object, selection: Selection) -> Evaluation:
        return evaluations(real, [fake], selection, self.settings, progress=self.progress)[0][0]
