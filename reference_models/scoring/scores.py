"""Final scores of a trained model: drawn live, against its training images, next to the noise floor."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ganeval import noise_floor
from ganeval.errors import MetricError, UsageError
from ganeval.pipeline import (
    ALL,
    USUAL,
    MetricNames,
    MetricOptions,
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
from reference_models.scoring.seen import told

# The default metrics, and additional ones for conditional models.
USUAL_METRICS = (*USUAL, "diversity")
# They use the classes of the data, which the extractor's classifier need not know.
OF_CLASSES = ("intra_fid", "conditional_accuracy")
# Data sets with a "test" part, which is held out from training.
HELD_OUT = ("digits", "photos", "identities", "cifar10", "cifar100", "mnist", "fashionmnist", "svhn")
# "digits:train", with degradations and an argument: "lowres:photos:train:32,4".
_TRAIN = re.compile(rf"(?P<before>(?:[a-z]+:)*?)(?P<name>{'|'.join(HELD_OUT)}):train(?P<after>(?::\d+)?(?:,\d+)*)")


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a trained model.

    Attributes:
        evaluation: The model's scores.
        references: The same metrics, as far as they can be computed, of what a reader compares them with, by name:
            "floor", the noise floor, for models that make images; trivial methods for those that translate them; for
            the classifier of a semi-supervised model its twin and label spreading, which have no other metrics.
        references_of: What each of these was computed from, in words.
        against: What the model was compared with, in words.
        caveats: Assumptions about the held-out images.
    """

    evaluation: Evaluation
    references: Mapping[str, Evaluation]
    references_of: Mapping[str, str]
    against: str
    caveats: tuple[str, ...] = ()

    @property
    def floor(self) -> Evaluation:
        """The metrics of real images in place of the fakes, for a model that makes images."""
        return self.references["floor"]

    @property
    def rivals(self) -> Mapping[str, Evaluation]:
        """The metrics of other methods, by name; none for models that are compared only with a floor."""
        return {name: one for name, one in self.references.items() if name != "floor"}

    @property
    def has_neighbours(self) -> bool:
        """Whether there are features of reals and fakes, to find nearest neighbours of fakes."""
        sides = (self.evaluation.real, self.evaluation.fake)
        return all(side is not None and "features" in side.arrays for side in sides)

    @property
    def warnings(self) -> list[str]:
        """Caveats, and warnings of the references that are not among those of the scores."""
        own = set(self.evaluation.warnings)
        found = [f"{name}: {text}" for name, one in self.references.items() for text in one.warnings if text not in own]
        return [*self.caveats, *found]


def held_out_of(data: str) -> str | None:
    """The "test" part of a data set given by its "train" part, with the same degradations; None if there is none.

    >>> held_out_of("digits:train"), held_out_of("lowres:photos:train,4"), held_out_of("cats/")
    ('digits:test', 'lowres:photos:test,4', None)
    """
    found = _TRAIN.fullmatch(data)
    return None if found is None else f"{found['before']}{found['name']}:test{found['after']}"


def as_seen(images: Images) -> ArrayItems:
    """Training images as the model sees them, cropped and resized, so that its fakes can be compared with them."""
    if images.pixels.dtype != torch.uint8:
        raise UsageError("The training data are not images, so no image metric can be computed for them.")
    size = images.data.resolution
    name = f"{images.about.get('name', 'training images')}, {size} x {size}"
    labels = None if images.labels is None else images.labels.tolist()
    items = ArrayItems(images.pixels, name=name, kind="training images", labels=labels)
    items.class_names = images.class_names
    return items


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How a model is scored.

    metrics: None for the usual ones that the extractor supports, with those of classes if the model is conditional.
    num_samples: generated images to score; None for as many as the noise floor has.
    """

    settings: Settings
    metrics: MetricNames = None
    options: MetricOptions | None = None
    num_samples: int | None = None
    progress: Progress = silent

    def check(self) -> Setup:
        """Check before a long training that the model can be scored: metrics, options, weights and device exist.

        Raises UsageError, WeightsError and ExtractorError as the scoring would. Returns what `check_sets` takes.
        """
        selection = select_metrics(self._asked(of_classes=True), self.options)
        (setup,) = open_setups(self.settings)
        if self._is_named:
            check_supported(selection, setup, None, [])
        return setup

    def check_sets(self, setup: Setup, sampler: Sampler, images: Images, held_out: Images | None = None) -> None:
        """Check before a long training that there are enough images, and classes, for the metrics.

        The other arguments are those of `of`. Raises UsageError if a metric that was named cannot be computed, or if
        no metric that compares with reals is left.
        """
        selection, fakes = self._selection(sampler, images), self._fakes(sampler, "the model", images, held_out)
        for name, metric in selection.metrics.items() if self._is_named else ():
            if needs_labels(metric) and fakes.labels is None:
                raise UsageError(
                    f"The metric '{name}' needs the class of every image, but {sampler.model.recipe.variant} is not "
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

        name: of the model, in the results. held_out: reals that it was not trained on, in place of the fakes in the
        noise floor; without them the floor compares random halves of the training images. A metric that cannot be
        computed is left out of scores or floor, with a warning. MetricError if no score is left.
        """
        real, selection = as_seen(images), replace(self._selection(sampler, images), lenient=True)
        found = self._evaluated(real, self._fakes(sampler, name, images, held_out), selection)
        of, caveats = f"random halves of them, {len(images) // 2} each", tuple[str, ...]()
        if held_out is not None:
            of, caveats = told(held_out.about.get("name"), held_out.pixels, images.pixels, what="real images")
            caveats += () if held_out.caveat is None else (held_out.caveat,)
        try:
            floor = self._floor(real, list(found.metrics), selection, held_out)
        except (MetricError, UsageError) as error:
            floor, of = replace(found, metrics={}, warnings=(str(error),)), "none"
        return Scores(found, {"floor": floor}, {"floor": of}, "the training images as the model sees them", caveats)

    @property
    def _is_named(self) -> bool:
        """Whether the metrics were named, so that all of them are required."""
        return self.metrics is not None and self.metrics != ALL

    def _asked(self, *, of_classes: bool) -> MetricNames:
        if self.metrics is not None:
            return self.metrics
        return (*USUAL_METRICS, *(OF_CLASSES if of_classes else ()))

    def _selection(self, sampler: Sampler, images: Images) -> Selection:
        has_classes = sampler.num_classes is not None and images.labels is not None
        selection = select_metrics(self._asked(of_classes=has_classes), self.options, also=("features",))
        return replace(selection, lenient=not self._is_named)

    def _fakes(self, sampler: Sampler, name: str, images: Images, held_out: Images | None) -> GeneratorSource:
        """The model as a source: `num_samples` images, or as many as the noise floor has, at least 2."""
        count = self.num_samples or max(2, len(images) // 2 if held_out is None else len(held_out))
        return GeneratorSource(sampler, name=name, num_samples=count, seed=self.settings.seed)

    def _floor(
        self, real: ArrayItems, metrics: Sequence[str], selection: Selection, held_out: Images | None
    ) -> Evaluation:
        """The noise floor. Raises MetricError and UsageError if none of the metrics can be computed."""
        rows = find_metrics(metrics)
        if held_out is not None:
            return self._evaluated(real, as_seen(held_out), replace(selection, metrics=rows))
        settings: dict[str, Any] = asdict(self.settings)
        keys = {options_key(name, row) for name, row in rows.items()}
        options = {key: chosen for key, chosen in selection.options.items() if key in keys}
        return noise_floor(real, metrics=metrics, options=options, lenient=True, progress=self.progress, **settings)

    def _evaluated(self, real: object, fake: object, selection: Selection) -> Evaluation:
        return evaluations(real, [fake], selection, self.settings, progress=self.progress)[0][0]
