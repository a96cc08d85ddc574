"""Whether a run reached what its paper, or whoever repeated it, reports: measured as they did, or why it cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganeval.evaluation import evaluate
from ganeval.features import Progress, silent
from ganeval.metrics import METRICS
from ganeval.pipeline import Schemes
from ganeval.protocols import PROTOCOLS
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.generator import GeneratorSource
from reference_models.live import Live
from reference_models.plan import Plan
from reference_models.recipes import Target

# A value that is worse than the published one by no more standard errors than this is as good.
ERRORS = 2.0
# The number of fakes where a publication does not say.
USUAL_FAKES = 10_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """One published number, and this run's under the same protocol.

    found: None where it cannot be measured alike; why: the reason then, or what else to know. reached: None likewise.
    """

    target: Target
    found: MetricResult | None
    reached: bool | None
    why: str


def published(
    plan: Plan,
    live: Live,
    settings: Settings,
    *,
    schemes: Schemes | None = None,
    progress: Progress = silent,
) -> list[Comparison]:
    """Every target of the plan's recipe, compared with the model.

    settings: weights, device and the like; the protocol, the counts and the metrics are the publication's.
    """
    comparisons = []
    measured: dict[tuple[str, str, int | None, int | None], Evaluation] = {}
    for target in plan.recipe.targets:
        refusal = _refusal(target, plan, settings)
        if refusal:
            comparisons.append(Comparison(target, None, None, refusal))
            continue
        key = (target.data, target.protocol, target.real, target.fake)
        if key not in measured:
            together = [other for other in plan.recipe.targets if _alike(other, target)]
            measured[key] = _measure(together, live, settings, schemes, progress)
        comparisons.append(compared(target, measured[key], plan.chosen))
    return comparisons


def compared(target: Target, evaluation: Evaluation, chosen: Mapping[str, object]) -> Comparison:
    """A published number beside a measured one. chosen: what in the run is not the recipe's."""
    found = evaluation[target.metric]
    behind = found.badness(found.value) - found.badness(target.value)
    notes = [f"with {name}={value} instead of the paper's" for name, value in chosen.items() if name != "channels"]
    if not evaluation.comparable:
        notes.append("with other weights than the published ones, so that the numbers are not comparable")
    if target.standing == "aspirational":
        notes.append("reported once, and not reproduced by others")
    reached = behind <= ERRORS * (found.standard_error or 0.0)
    return Comparison(target, found, reached if evaluation.comparable else None, "; ".join(notes))


def _refusal(target: Target, plan: Plan, settings: Settings) -> str:
    """Why a target cannot be measured as it was, "" where it can."""
    if target.metric not in METRICS:
        return f"ganeval does not measure {target.metric}"
    # The images a number was measured against may be another part of the data set than was learned from.
    if target.data.partition(":")[0] != plan.data.partition(":")[0]:
        return f"published for {target.data}, and this run learned from {plan.data}"
    if target.protocol not in PROTOCOLS:
        return f"published under another protocol than ganeval has: {target.protocol}"
    if settings.extractor != "inception":
        return f"published with the extractor inception, and this run is scored with {settings.extractor}"
    return ""


def _alike(one: Target, other: Target) -> bool:
    """Whether one reading serves both."""
    same = (one.data, one.protocol, one.real, one.fake) == (other.data, other.protocol, other.real, other.fake)
    return same and one.metric in METRICS


def _measure(
    targets: Sequence[Target], live: Live, settings: Settings, schemes: Schemes | None, progress: Progress
) -> Evaluation:
    target = targets[0]
    return evaluate(
        open_source(target.data, num_samples=target.real, seed=settings.seed, schemes=schemes),
        GeneratorSource(live, name="run", num_samples=target.fake or USUAL_FAKES, seed=settings.seed),
        metrics=list(dict.fromkeys(one.metric for one in targets)),
        protocol=target.protocol,
        weights=settings.weights,
        device=settings.device,
        seed=settings.seed,
        cache=settings.cache,
        progress=progress,
    )
