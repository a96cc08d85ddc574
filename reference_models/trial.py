"""A trained model put to the test: scored live against its training images, beside the floor that real images have."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganeval.errors import UsageError
from ganeval.evaluation import Names
from ganeval.features import Progress, silent
from ganeval.floor import noise_floor
from ganeval.grids import write_grid
from ganeval.measure import check_outputs, open_lanes
from ganeval.metrics.nearest import nearest_pairs
from ganeval.options import Options
from ganeval.pipeline import Measurement
from ganeval.pipeline import Plan as Reading
from ganeval.protocols import find_protocol
from ganeval.question import USUAL, Question, find_metrics
from ganeval.results import Evaluation
from ganeval.settings import Settings
from ganeval.sources.arrays import ArrayItems
from ganeval.sources.base import Source
from ganeval.sources.chosen import images_at
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.statistics import Statistics
from reference_models.data import Images
from reference_models.live import Live

# What is scored where nobody says, and what else of a model that is asked for classes.
USUAL_METRICS = (*USUAL, "diversity")
OF_CLASSES = ("intra_fid", "head_accuracy")
# Data sets of which a part was kept from training.
HELD_OUT = ("digits", "cifar10", "cifar100", "mnist", "fashionmnist", "svhn")
NEIGHBOURS = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out. floor: the same metrics of real images in place of the fakes; floor_of: which, in words."""

    measurement: Measurement
    floor: Evaluation
    floor_of: str

    @property
    def evaluation(self) -> Evaluation:
        """The model's scores."""
        return self.measurement.measured.evaluation


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
    return ArrayItems(images.pixels, name=name, kind="training images", labels=labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How a model is put to the test.

    metrics: None for the usual ones, as far as the extractor can give them; those of classes are among them where the
    model is asked for classes. draws: None for as many fakes as the floor has.
    """

    settings: Settings
    metrics: Names = None
    options: Options | None = None
    draws: int | None = None
    progress: Progress = silent

    def check(self) -> None:
        """Find out before a long training whether it can be scored: metrics, options, weights and device are there.

        Raises UsageError, WeightsError and ExtractorError as the scoring would.
        """
        question = Question.of(self._asked(of_classes=True), self.options or {})
        (lane,) = open_lanes(self.settings, [find_protocol(self.settings.protocol)])
        if self.metrics is not None and not question.lenient:
            check_outputs(lane.extractor, question.rows)

    def of(self, live: Live, images: Images, *, name: str, held_out: Images | None = None) -> Trial:
        """Score a model against the images it was trained on.

        name: of the model, in the results. held_out: reals that it was not trained on, which stand for the fakes in the
        floor; without them the floor is that of random halves of the training images.
        """
        real, question = as_seen(images), self._question(live, images)
        count = self.draws or (len(images) // 2 if held_out is None else len(held_out))
        fakes = GeneratorSource(live, name=name, num_samples=count, seed=self.settings.seed)
        measurement = self._measured(real, fakes, question)
        found = list(measurement.measured.evaluation.metrics)
        if held_out is None:
            return Trial(measurement, self._halves(real, found), f"random halves of them, {len(images) // 2} each")
        floor = self._measured(real, as_seen(held_out), Question(find_metrics(found), question.options))
        of = f"{held_out.about.get('name')}, {len(held_out)} real images it was not trained on"
        return Trial(measurement, floor.measured.evaluation, of)

    def _asked(self, *, of_classes: bool) -> Names:
        if self.metrics is not None:
            return self.metrics
        return (*USUAL_METRICS, *(OF_CLASSES if of_classes else ()))

    def _question(self, live: Live, images: Images) -> Question:
        has_classes = live.num_classes is not None and images.labels is not None
        question = Question.of(self._asked(of_classes=has_classes), self.options or {})
        return Question(question.rows, question.options, lenient=question.lenient or self.metrics is None)

    def _measured(self, real: object, fake: object, question: Question) -> Measurement:
        protocols = [find_protocol(self.settings.protocol)]
        plan = Reading.of(real, [fake], question, settings=self.settings, protocols=protocols, schemes=None)
        return plan.measure(self.progress)[0][0]

    def _halves(self, real: ArrayItems, metrics: Sequence[str]) -> Evaluation:
        settings: dict[str, Any] = asdict(self.settings)
        return noise_floor(real, metrics=metrics, options=self.options, progress=self.progress, **settings)


def write_neighbours(trial: Trial, path: Path, *, rows: int = 8, scale: int = 2) -> None:
    """A grid: in each row a fake and its nearest reals, with their distances; the most suspicious fakes first."""
    measurement = trial.measurement
    pairs = nearest_pairs(measurement.features("real"), measurement.features("fake"), NEIGHBOURS)
    fakes, nearest = pairs.fakes[:rows].tolist(), pairs.reals[:rows].tolist()
    drawn = _shown(measurement.fakes, fakes)
    known = _shown(measurement.reals, sorted({index for row in nearest for index in row}))
    tiles, captions = [], []
    for fake, reals, distances in zip(fakes, nearest, pairs.distances[:rows].tolist(), strict=True):
        tiles += [drawn[fake], *(known[index] for index in reals)]
        captions += ["fake", *(f"{far:.2f}" for far in distances)]
    write_grid(torch.stack(tiles), path, columns=1 + NEIGHBOURS, captions=captions, scale=scale)


def _shown(source: Source | Statistics | None, indices: Sequence[int]) -> dict[int, Tensor]:
    if source is None or isinstance(source, Statistics):
        raise UsageError("Nearest images can be shown of images alone, not of stored statistics.")
    return dict(images_at(source, indices))
