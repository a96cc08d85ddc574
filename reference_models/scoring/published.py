"""Whether a run reached the published numbers of its recipe, measured under the protocol of the publication.

A number belongs to the recipe that reached it, so a run with any changed setting is not compared with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ganeval import evaluate
from ganeval.metrics import METRICS, PAIR_METRICS
from ganeval.progress import Progress, silent
from ganeval.protocols import PROTOCOLS
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from ganeval.sources import GeneratorSource, open_source
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.recipes import Target
from reference_models.sampling.sampler import Sampler
from reference_models.scoring.classification import CLASSIFIER_METRICS
from reference_models.scoring.sequences import SEQUENCE_METRICS

# A value at most this many standard errors worse than the published one counts as reached.
ERRORS = 2.0
# The number of fakes where the publication does not state it.
USUAL_FAKES = 10_000


@dataclass(frozen=True, slots=True)
class PublishedComparison:
    """One published number, and this run's under the same protocol.

    Attributes:
        target: The published number.
        found: This run's; None if it cannot be measured under the same protocol.
        reached: Whether this run's is as good, within its error; None if there is no verdict.
        why: The reason for which there is no number or no verdict, or notes on the comparison.
    """

    target: Target
    found: MetricResult | None
    reached: bool | None
    why: str


def published(
    plan: TrainingPlan,
    sampler: Sampler,
    settings: Settings,
    *,
    progress: Progress = silent,
) -> list[PublishedComparison]:
    """Every target of the plan's recipe, compared with the model.

    settings: weights, device, seed and cache; protocol, counts and metrics are those of the publication.
    """
    comparisons = []
    measured: dict[tuple[str, str, int | None, int | None], Evaluation] = {}
    for target in plan.recipe.targets:
        refusal = _refusal(target, plan, settings)
        if refusal:
            comparisons.append(PublishedComparison(target, None, None, refusal))
            continue
        key = (target.data, target.protocol, target.real, target.fake)
        if key not in measured:
            together = [other for other in plan.recipe.targets if _alike(other, target)]
            measured[key] = _measure(together, sampler, settings, progress)
        comparisons.append(compared(target, measured[key]))
    return comparisons


def unmeasured(plan: TrainingPlan, why: str) -> list[PublishedComparison]:
    """The targets of a recipe, not measured, with the reason; unknown metrics have another reason."""
    tables = (METRICS, PAIR_METRICS, SEQUENCE_METRICS)
    return [
        PublishedComparison(
            target, None, None, why if any(target.metric in table for table in tables) else _unknown(target)
        )
        for target in plan.recipe.targets
    ]


def compared(target: Target, evaluation: Evaluation) -> PublishedComparison:
    """Compare a published number with that of a run that follows its recipe."""
    found = evaluation[target.metric]
    behind = found.to_minimise(found.value) - found.to_minimise(target.value)
    notes = []
    if not evaluation.comparable:
        notes.append("measured with weights other than the published ones, so the numbers are not comparable")
    if target.standing == "aspirational":
        notes.append("reported once and not reproduced by others")
    if target.standing == "searched":
        notes.append("published as the best of a search over settings near this recipe's, which need not reach it")
    if target.recalled:
        notes.append("quoted from memory")
    judged = evaluation.comparable and target.standing != "searched"
    reached = behind <= ERRORS * (found.standard_error or 0.0)
    return PublishedComparison(target, found, reached if judged else None, "; ".join(notes))


def departures(plan: TrainingPlan) -> list[str]:
    """Differences between a run and its preset, each as "batch is 32"; empty for a run that follows its recipe."""
    preset = make_plan(plan.recipe.variant, preset=plan.recipe.preset)
    changed = [
        f"{name.removeprefix('settings.')} is {value}"
        for name, value in plan.chosen.items()
        if preset.choose({name: value}).recipe != preset.recipe
    ]
    if plan.data != plan.recipe.data:
        changed.append(f"it learned from {plan.data}, not {plan.recipe.data}")
    if plan.train_images is not None:
        changed.append(f"it learned from {plan.train_images} images of its data")
    if plan.precision != "fp32":
        changed.append(f"precision is {plan.precision}")
    if plan.accumulate != 1:
        changed.append(f"batches were processed in {plan.accumulate} parts")
    return changed


def _refusal(target: Target, plan: TrainingPlan, settings: Settings) -> str:
    """Why a target cannot be measured under its protocol, "" if it can."""
    if target.metric not in METRICS:
        one = f"published as the {target.protocol}, but this is one run; --seeds N has the mean over N draws of labels"
        return one if target.metric in CLASSIFIER_METRICS else _unknown(target)
    # The reference images may be another split of the data set than the training images.
    if target.data.partition(":")[0] != plan.data.partition(":")[0]:
        return f"published for {target.data}, but this run learned from {plan.data}"
    if target.protocol not in PROTOCOLS:
        return f"published under a protocol that ganeval does not have: {target.protocol}"
    changed = departures(plan)
    if changed:
        recipe = f"{plan.recipe.variant}'s {plan.recipe.preset} recipe"
        return f"published for {recipe}, which this run does not follow: {', '.join(changed)}"
    if settings.extractor != "inception":
        return f"published with the extractor inception, but this run is scored with {settings.extractor}"
    return ""


def _unknown(target: Target) -> str:
    """A sentence for a metric that ganeval does not have."""
    return f"ganeval does not measure {target.metric}"


def _alike(one: Target, other: Target) -> bool:
    """Whether one evaluation can give both numbers."""
    same = (one.data, one.protocol, one.real, one.fake) == (other.data, other.protocol, other.real, other.fake)
    return same and one.metric in METRICS


def _measure(targets: Sequence[Target], sampler: Sampler, settings: Settings, progress: Progress) -> Evaluation:
    target = targets[0]
    return evaluate(
        open_source(target.data, num_samples=target.real, seed=settings.seed),
        GeneratorSource(sampler, name="run", num_samples=target.fake or USUAL_FAKES, seed=settings.seed),
        metrics=list(dict.fromkeys(one.metric for one in targets)),
        protocol=target.protocol,
        weights=settings.weights,
        device=settings.device,
        seed=settings.seed,
        cache=settings.cache,
        progress=progress,
    )
