"""Published numbers are compared only with values measured the same way; otherwise the reason is given."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganeval.metrics import METRICS
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from reference_models import VARIANTS, build_model
from reference_models.batches import Data
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.recipes import Target
from reference_models.sampling.sampler import Sampler
from reference_models.scoring import sequence_job, translations
from reference_models.scoring.published import compared, departures, published, unmeasured

FID = Target(metric="fid", value=40.0, data="digits:train", protocol="tensorflow", source="a paper", real=3, fake=20)
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
    """A better value reaches it, and a worse one within two standard errors, for either direction."""
    assert compared(target, evaluation(**{target.metric: found})).reached is reached


def test_what_is_known_of_a_published_number_is_said() -> None:
    """Other weights give no verdict; numbers not reproduced, and those quoted from memory, are marked."""
    one = compared(replace(FID, standing="aspirational", recalled=True), evaluation(comparable=False, fid=(1.0, 0.1)))
    assert one.reached is None
    assert one.why.startswith("measured with weights other than the published ones")
    assert "not reproduced" in one.why
    assert one.why.endswith("quoted from memory")


def test_the_best_of_a_search_judges_nobody() -> None:
    """The best of a search is shown next to a run of one setting, without a verdict."""
    one = compared(replace(FID, standing="searched"), evaluation(fid=(1.0, 0.1)))
    assert one.found is not None
    assert one.reached is None
    assert "best of a search" in one.why


@pytest.mark.parametrize(
    ("name", "why", "said"),
    [("srgan", translations.APART, "`ganeval pairs`"), ("seqgan", sequence_job.APART, "under different oracles")],
)
def test_numbers_of_translations_and_of_sequences_are_told_with_the_reason_for_no_verdict(
    name: str, why: str, said: str
) -> None:
    """Every target of the recipe is there, without a value of the run."""
    plan = make_plan(name, preset="paper")
    found = unmeasured(plan, why)
    assert [one.target for one in found] == list(plan.recipe.targets) != []
    assert {(one.found, one.reached) for one in found} == {(None, None)}
    assert all(said in one.why for one in found)


def test_the_fcn_score_is_not_measured() -> None:
    """Of pix2pix's published numbers, that of the authors' segmenter is no metric here, and the message says so."""
    fid, fcn = unmeasured(make_plan("pix2pix", preset="paper"), translations.APART)
    assert (fid.target.metric, fid.why) == ("fid", translations.APART)
    assert "`ganeval score` for a metric of sets such as fid" in fid.why
    assert fcn.why == "ganeval does not measure fcn-per-pixel-accuracy"


def plan_of(*targets: Target, data: str = "digits:train") -> TrainingPlan:
    """A plan whose recipe has these targets."""
    plan = make_plan("dcgan", data=data)
    return replace(plan, recipe=replace(plan.recipe, targets=targets))


@pytest.mark.parametrize(
    ("chosen", "others", "said"),
    [
        ({"batch": 32}, {}, ["batch is 32"]),
        ({"batch": 64, "steps": 100_000}, {}, []),
        ({"resolution": 64, "settings.clip": 0.02}, {}, ["resolution is 64", "clip is 0.02"]),
        ({"steps": 50_000}, {}, ["steps is 50000"]),
        ({}, {"data": "cifar10:test"}, ["it learned from cifar10:test, not cifar10:train"]),
        ({}, {"train_images": 100}, ["it learned from 100 images of its data"]),
        ({}, {"precision": "bf16"}, ["precision is bf16"]),
        ({}, {"accumulate": 2}, ["batches were processed in 2 parts"]),
        ({}, {"seed": 7, "device": "cuda"}, []),
    ],
)
def test_what_a_run_does_otherwise_than_its_preset_is_named(
    chosen: dict[str, object], others: dict[str, object], said: list[str]
) -> None:
    """Settings, data and their processing are compared; the preset's own choices and the seed are not listed."""
    assert departures(make_plan("wgan", preset="paper", chosen=chosen, **others)) == said  # type: ignore[arg-type]


def test_a_run_with_other_settings_is_not_judged_by_its_presets_numbers(sampler: Sampler) -> None:
    """Nothing is evaluated, and the differences from the recipe are named."""
    settings = Settings(device="cpu")
    plan = plan_of(FID).choose({"batch": 8})
    (one,) = published(plan, sampler, settings)
    assert (one.found, one.reached) == (None, None)
    assert one.why == "published for dcgan's quick recipe, which this run does not follow: batch is 8"


def test_no_preset_is_judged_by_what_another_reached() -> None:
    """The numbers of pytorch-gan-collections belong to its presets only, and the papers' numbers to theirs."""
    found = {
        (name, preset): {(one.metric, one.value) for one in recipe.targets}
        for name, variant in VARIANTS.items()
        for preset, recipe in variant.recipes.items()
    }
    theirs = "pytorch-gan-collections"
    assert found["dcgan", theirs] == {("fid", 42.72), ("is", 6.01)}
    assert found["wgan", theirs] == {("fid", 40.03), ("is", 6.62)}
    assert found["wgan-gp", theirs] == {("fid", 16.95), ("is", 7.95)}
    assert found["wgan-gp", f"{theirs}-cnn"] == {("fid", 19.83), ("is", 7.66)}
    assert found["sngan", theirs] == {("fid", 14.32), ("is", 8.31)}
    assert found["sngan", f"{theirs}-cnn"] == {("fid", 17.81), ("is", 7.84)}
    assert found["wgan-gp", "paper"] == {("is", 7.86)}
    assert found["sngan", "paper"] == {("fid", 21.7), ("is", 8.22)}
    for name in ("dcgan", "lsgan", "wgan", "began"):
        assert not found[name, "paper"], name
    assert not any(targets for (_, preset), targets in found.items() if preset == "quick")


@pytest.mark.parametrize(
    ("name", "preset", "figures"),
    [
        ("gan", "paper", {("parzen-log-likelihood", 225)}),
        ("cgan", "paper", {("parzen-log-likelihood", 132)}),
        ("acgan", "paper", {("is", 8.25)}),
        ("progan", "paper", {("fid", 7.3)}),
        ("progan", "cifar10", {("is", 8.8)}),
        (
            "bigan",
            "paper",
            {("1nn-accuracy-of-encodings", 0.921), ("1nn-accuracy-of-hidden", 0.9735), ("reconstruction-ratio", 0.62)},
        ),
    ],
)
def test_a_preset_quotes_its_papers_figures(name: str, preset: str, figures: set[tuple[str, float]]) -> None:
    """Those that no other test names, as the papers and their code print them."""
    assert {(one.metric, one.value) for one in VARIANTS[name].recipe(preset).targets} >= figures


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    """An untrained model."""
    recipe = VARIANTS["dcgan"].recipe("quick")
    torch.manual_seed(0)
    return Sampler(build_model(recipe, Data(1, recipe.resolution)))


def test_a_target_is_measured_as_it_was_published(sampler: Sampler, untrained_weights: Path) -> None:
    """As many images, the protocol and the inception network are as published, with one reading for equal settings."""
    settings = Settings(weights=untrained_weights, device="cpu")
    fid, inception = published(plan_of(FID, INCEPTION), sampler, settings)
    assert fid.found is not None
    assert inception.found is not None
    assert (fid.found.n_real, fid.found.n_fake, inception.found.n_fake) == (3, 20, 20)
    assert fid.found.value > 0
    assert fid.reached is inception.reached is None
    assert "not comparable" in fid.why


def test_what_was_not_measured_alike_is_not_compared(sampler: Sampler) -> None:
    """Other data, unknown metrics, and other extractors are refused with the reason, without reading images."""
    of_draws = replace(FID, metric="test_error", protocol="mean of 10 draws")
    parzen, other = replace(FID, metric="parzen-log-likelihood"), replace(FID, protocol="of their own")
    inception, digits = Settings(device="cpu"), Settings(extractor="digits", device="cpu")
    for targets, data, settings, reason in (
        ((parzen,), "digits:train", inception, "does not measure parzen-log-likelihood"),
        ((of_draws,), "digits:train", inception, "published as the mean of 10 draws, but this is one run; --seeds N"),
        ((FID,), "mnist:train", inception, "published for digits:train, but this run learned from mnist:train"),
        ((other,), "digits:train", inception, "under a protocol that ganeval does not have: of their own"),
        ((FID,), "digits:train", digits, "scored with digits"),
    ):
        (one,) = published(plan_of(*targets, data=data), sampler, settings)
        assert (one.found, one.reached) == (None, None)
        assert reason in one.why
