"""Score a model that translates images: on held-out pairs, next to trivial methods that it must beat.

The trivial methods are the input itself (enlarged by bicubic interpolation if it is smaller than the target), the
mean of the training targets, and the target of the training pair whose input is nearest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

import ganeval
from ganeval.errors import MetricError, UsageError
from ganeval.images import to_rgb
from ganeval.pipeline import ALL, MetricNames
from ganeval.preprocess import resample
from ganeval.protocols import DEFAULT
from ganeval.report_data import examples_data
from ganeval.results import Evaluation
from ganeval.sources import ArrayItems, check_spec
from reference_models.base import Model, Translator
from reference_models.data.images import Images
from reference_models.engine.loop import Callbacks, Loop, Scorer
from reference_models.engine.plan import TrainingPlan, check_kind
from reference_models.engine.reading import read_held_out
from reference_models.engine.training import Training
from reference_models.engine.translations import columns, parted, translated, write_translations
from reference_models.scoring.job import Job, ScoredRun, ScoringOptions, write_result
from reference_models.scoring.published import unmeasured
from reference_models.scoring.scores import Scores, held_out_of
from reference_models.scoring.seen import SampleTensors, told

# Rows of samples.png.
ROWS = 8
# Maximum number of distances between inputs in memory.
BLOCK = 1 << 24
# Why published numbers are not measured here.
APART = (
    "it is measured on its own test set: run `ganeval translate` on that, and score the result with `ganeval pairs`, "
    "or with `ganeval score` for a metric of sets such as fid"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Pairs to score on, uint8 on the CPU: inputs [N, C', H', W'] and their targets [N, C, H, W].

    of: their description. caveats: about them.
    """

    inputs: Tensor
    targets: Tensor
    of: str
    caveats: tuple[str, ...] = ()


class TranslationsJob(Job):
    """Scores a model that translates images. scored: whether it is also scored during training."""

    def __init__(self, plan: TrainingPlan, options: ScoringOptions, *, scored: bool) -> None:
        """UsageError for options that metrics of pairs do not have, and for unknown names."""
        super().__init__(options)
        self._scored, self._seed = scored, plan.seed
        self._asked: Asked | None = None
        unused = {
            "--extractor": options.extractor is not None,
            "--protocol": options.protocol != DEFAULT,
            "--weights": options.weights is not None,
        }
        if any(unused.values()):
            named = ", ".join(name for name, given in unused.items() if given)
            raise UsageError(
                f"{plan.recipe.variant} translates images, and is scored by metrics of pairs (psnr, ssim, l1, ...), "
                f"which have no extractor; leave {named} out."
            )
        self._held_out_spec = options.held_out or held_out_of(plan.data)
        if self._held_out_spec is not None:
            check_kind(plan.recipe, self._held_out_spec)
            check_spec(self._held_out_spec)
        # Names, options and size are checked on two pairs that differ slightly: equal images have no PSNR.
        rng, side = torch.Generator().manual_seed(0), plan.recipe.resolution
        grey = torch.randint(255, (2, 1, side, side), dtype=torch.uint8, generator=rng).expand(2, 3, side, side)
        self._evaluated(grey.contiguous(), grey + 1, name="a dry run")

    def callbacks(self, training: Training) -> Callbacks:
        """UsageError if there are no pairs to score on."""
        self._asked = self._pairs(training)
        return Callbacks(
            scorer=self.scorer(training) if self._scored else None,
            warn=self.options.warn,
            progress=self.options.training_progress,
        )

    def score(self, loop: Loop) -> ScoredRun:
        """Score on the pairs, next to trivial methods."""
        training, root = loop.training, loop.folder.root
        asked, model = self._asked or self._pairs(training), training.best_model
        assert isinstance(model, Translator)
        outputs = translated(model, asked.inputs, seed=self._seed)
        evaluation = self._evaluated(asked.targets, outputs, name=f"ckpt:{root}")
        nearest, methods = trivial(training.images, asked)
        in_words = {name: of for name, (_, of) in methods.items()}
        references = {name: self._as_defined(asked.targets, made, name=of) for name, (made, of) in methods.items()}
        loop.check_translation_scores(evaluation, references)
        write_result(evaluation, root)
        path = root / "samples.png"
        first = slice(ROWS)
        shown = columns(
            inputs=asked.inputs[first],
            outputs=outputs[first],
            targets=asked.targets[first],
            nearest=None if nearest is None else nearest[first],
        )
        write_translations(path, shown)
        return ScoredRun(
            run=root,
            training=training,
            diagnostics=loop.diagnostics,
            scores=Scores(evaluation, references, in_words, asked.of, asked.caveats),
            published=tuple(unmeasured(training.plan, APART)),
            pictures={path: f"a row for each of {len(asked.inputs[first])} inputs: {', '.join(shown)}"},
            report_data=partial(examples_data, evaluation, shown),
        )

    def _pairs(self, training: Training) -> Asked:
        """The pairs to score on: held-out pairs, or else training pairs."""
        images, of, caveats = training.images, "training pairs, since none were held out", tuple[str, ...]()
        if self._held_out_spec is not None:
            images = read_held_out(self._held_out_spec, training)
            of, caveats = told(images.about["name"], *_compared(images, training.images), what="pairs")
        if not images.aligned or images.inputs is None:
            raise UsageError(
                f"The images of {images.about['name']} are two unpaired sets, so there is nothing to compare "
                "translations with; give pairs with --held-out pairs:INPUTS,TARGETS, or train without scores (`ganeval "
                "train`), and compare `ganeval translate`'s images with the targets' (`ganeval fid`)."
            )
        chosen = slice(self.options.num_samples)
        return Asked(images.inputs[chosen].cpu(), images.pixels[chosen].cpu(), of, caveats)

    def scorer(self, training: Training) -> Scorer:
        """Scores the model during training; UsageError at the first score if there are no pairs to score on."""

        def score(model: Model) -> Evaluation:
            assert isinstance(model, Translator)
            self._asked = self._asked or self._pairs(training)
            outputs = translated(model, self._asked.inputs, seed=self._seed)
            return self._evaluated(self._asked.targets, outputs, name=model.recipe.variant)

        return score

    def _as_defined(self, targets: Tensor, outputs: Tensor, *, name: str) -> Evaluation:
        """A trivial method's metrics, without undefined ones, such as the PSNR of equal images."""
        try:
            return self._evaluated(targets, outputs, name=name)
        except MetricError as error:
            # With "all" metrics, undefined ones are left out; l1 is always defined.
            every = self._evaluated(targets, outputs, name=name, metrics=ALL)
            named = self.options.metrics or ()
            defined = {metric: one for metric, one in every.metrics.items() if metric in named}
            return replace(every, metrics=defined, warnings=(f"Not measured: {error}",))

    def _evaluated(self, targets: Tensor, outputs: Tensor, *, name: str, metrics: MetricNames = None) -> Evaluation:
        """metrics: None for the requested ones."""
        sides = [ArrayItems(pixels, name=of, kind="tensor") for pixels, of in ((targets, "targets"), (outputs, name))]
        chosen = metrics or self.options.metrics
        return ganeval.evaluate_pairs(*sides, metrics=chosen, options=self.options.options, seed=self._seed)


def _compared(held_out: Images, known: Images) -> tuple[SampleTensors, SampleTensors]:
    """The parts of held-out and training pairs that are equal if a pair is known; for two sets, only the targets."""
    if held_out.inputs is None or known.inputs is None or not known.aligned:
        return held_out.pixels, known.pixels
    return (held_out.inputs, held_out.pixels), (known.inputs, known.pixels)


def trivial(known: Images, asked: Asked) -> tuple[Tensor | None, Mapping[str, tuple[Tensor, str]]]:
    """The training targets of the nearest inputs, if pairs are known; and every trivial method by name.

    Each method is given by its images, uint8 [N, C, H, W], and a description.
    """
    inputs, targets = known.tensors["inputs"].cpu(), known.pixels.cpu()
    channels, size = targets.shape[1], (targets.shape[2], targets.shape[3])
    seen = parted(asked.inputs)
    given, of = seen["input"], "the input itself"
    if tuple(given.shape[2:]) != size:
        given, of = enlarged(given, size), "the input, enlarged by bicubic interpolation"
    if given.shape[1] != channels:
        given = to_rgb(given, where="inputs") if channels == 3 else given.float().mean(1, keepdim=True).to(torch.uint8)
    mean = targets.float().mean(0).round().to(torch.uint8)
    found = {
        "input": (given, of),
        "mean": (mean.expand_as(asked.targets).contiguous(), "the mean of the training targets"),
    }
    if "exemplar" in seen:
        found["exemplar"] = (seen["exemplar"].contiguous(), "the exemplar itself")
    if not known.aligned:
        return None, found
    nearest = targets[nearest_rows(inputs, asked.inputs)]
    return nearest, found | {"nearest": (nearest, "the target of the training pair with the nearest input")}


def enlarged(images: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 [N, C, h, w] => uint8 [N, C, *size], by Pillow's bicubic interpolation."""
    return resample(images, *size, "clean").round().clamp(0, 255).to(torch.uint8)


def nearest_rows(known: Tensor, asked: Tensor) -> Tensor:
    """For each requested image, the index of the nearest known image, by Euclidean distance of pixels."""
    rows = known.flatten(1).float()
    chunk = max(1, BLOCK // len(rows))
    pieces = [torch.cdist(part.flatten(1).float(), rows).argmin(1) for part in asked.split(chunk)]  # type: ignore[no-untyped-call]
    return torch.cat(pieces)
