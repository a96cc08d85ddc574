"""Published numbers are compared where they were measured alike, and otherwise it is said why not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganeval.metrics import METRICS
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from reference_models import VARIANTS, build_model
from reference_models.base import Data
from reference_models.live import Live
from reference_models.plan import Plan, make_plan
from reference_models.published import compared, published
from reference_models.recipes import Target

FID = Target(metric="fid", value=40.0, data="digits:train", protocol="tensorflow", source="a paper", real=10, fake=20)
INCEPTION = replace(FID, metric="is", value=6.0)


def evaluation(*, comparable: bool = True, **values: tuple[float, float]) -> Evaluation:
    """An evaluation with these values and standard errors."""
    results = {
        name: MetricResult(value, error, None, METRICS[name].direction, 100, 100, "given")
        for name, (value, error) in values.items()
    }
    return Evaluation(results, {}, comparable=comparable)


@pytest.mark.parametrize(
    ("target", "found", "reached"),
    [
        (FID, (39.0, 0.1), True),
        (FID, (40.9, 0.5), True),
        (FID, (41.1, 0.5), False),
        (INCEPTION, (6.2, 0.01), True),
        (INCEPTION, (5.9, 0.01), False),
        (INCEPTION, (5.9, 0.06), True),
    ],
)
def test_a_target_is_reached_within_two_standard_errors(
    target: Target, found: tuple[float, float], reached: bool
) -> None:
    """Better always reaches it, and worse does by no more than two standard errors, whichever way is better."""
    assert compared(target, evaluation(**{target.metric: found}), {}).reached is reached


def test_what_a_run_chose_and_what_is_not_comparable_is_said() -> None:
    """Other settings are named, other weights give no verdict, and a number nobody reproduced is called that."""
    found = evaluation(comparable=False, fid=(1.0, 0.1))
    one = compared(replace(FID, standing="aspirational"), found, {"steps": 20, "channels": 1})
    assert one.reached is None
    assert one.why.startswith("with steps=20 instead of the paper's; with other weights")
    assert "not reproduced" in one.why
    assert "channels" not in one.why


def plan_of(*targets: Target, data: str = "digits:train") -> Plan:
    """A plan whose recipe has these targets."""
    plan = make_plan("dcgan", data=data, chosen={"resolution": 32})
    return replace(plan, recipe=replace(plan.recipe, targets=targets))


@pytest.fixture(scope="module")
def live() -> Live:
    """An untrained model."""
    recipe = VARIANTS["dcgan"].recipe("smoke")
    torch.manual_seed(0)
    return Live(build_model(recipe, Data(1, recipe.resolution)))


def test_a_target_is_measured_as_it_was_published(live: Live, untrained_weights: Path) -> None:
    """With as many images, under its protocol, by the inception network; one reading serves what was measured alike."""
    settings = Settings(weights=untrained_weights, device="cpu")
    fid, inception = published(plan_of(FID, INCEPTION), live, settings)
    assert fid.found is not None
    assert inception.found is not None
    assert (fid.found.n_real, fid.found.n_fake, inception.found.n_fake) == (10, 20, 20)
    assert fid.found.value > 0
    assert fid.reached is inception.reached is None
    assert "not comparable" in fid.why


def test_what_was_not_measured_alike_is_not_compared(live: Live) -> None:
    """Other data, a metric that ganeval lacks, and another extractor are refused with the reason, without a reading."""
    parzen, other = replace(FID, metric="parzen-log-likelihood"), replace(FID, protocol="of their own")
    inception, digits = Settings(device="cpu"), Settings(extractor="digits", device="cpu")
    for targets, data, settings, reason in (
        ((parzen,), "digits:train", inception, "does not measure parzen-log-likelihood"),
        ((FID,), "mnist:train", inception, "published for digits:train, and this run learned from mnist:train"),
        ((other,), "digits:train", inception, "under another protocol than ganeval has: of their own"),
        ((FID,), "digits:train", digits, "scored with digits"),
    ):
        (one,) = published(plan_of(*targets, data=data), live, settings)
        assert (one.found, one.reached) == (None, None)
        assert reason in one.why
