"""Each alarm is raised once for its fault, and not otherwise."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.alarms import CASES, Case, raised
from ganeval.errors import UsageError
from ganeval.results import Evaluation, MetricResult
from reference_models import VARIANTS, build_model
from reference_models.base import GAN, Tools, tools_for
from reference_models.data.toy import Mixture, covered_by, ring
from reference_models.engine.alarm_rules import ALARM_RULES, SURE
from reference_models.engine.diagnostics import ALARMS, Diagnostics, Finding, first_bad_tensor, parse_alarms

HEALTHY = {
    "loss/discriminator": 1.1,
    "loss/generator": 0.9,
    "grad/discriminator": 0.8,
    "grad/generator": 0.5,
    "logit/real": 0.6,
    "logit/fake": -0.4,
    "spread": 0.9,
}
MODEL = nn.Linear(2, 2)
HEALTHY_STEPS = 300


def scored(errors: Mapping[str, float] | None = None, **values: float) -> Evaluation:
    """An evaluation with these values; without an error bar where none is given."""
    return Evaluation(
        {
            name: MetricResult(
                value=value,
                standard_error=(errors or {}).get(name),
                interval=None,
                direction="lower" if name in ("fid", "kid") else "higher",
                n_real=100,
                n_fake=100,
                method="given",
            )
            for name, value in values.items()
        },
        {},
        comparable=True,
    )


def logged(entries: Iterable[Mapping[str, float]]) -> list[tuple[int, str]]:
    """(position, alarm) of what a series of logs raises."""
    diagnostics = Diagnostics()
    return [
        (step, found.alarm)
        for step, entry in enumerate(entries)
        for found in diagnostics.logs(step, {**HEALTHY, **entry}, MODEL)
    ]


def evaluated(evaluations: Iterable[Evaluation]) -> list[tuple[int, str]]:
    """(position, alarm) of what a series of evaluations raises."""
    diagnostics = Diagnostics()
    return [(step, found.alarm) for step, one in enumerate(evaluations) for found in diagnostics.scores(step, one)]


def test_a_healthy_run_raises_nothing() -> None:
    """Improving scores and balanced losses raise nothing, and the verdict says which alarms could be checked."""
    diagnostics = Diagnostics()
    for step in range(50):
        assert diagnostics.logs(step, HEALTHY, MODEL) == []
        assert diagnostics.scores(step, scored(fid=100 / (step + 1), recall=step / 100, coverage=step / 100)) == []
    verdict = diagnostics.verdict()
    looked = "no sign of divergence, mode collapse, vanishing gradients or imbalance."
    assert verdict.startswith(f"Nothing suspicious: {looked}")
    assert verdict.endswith("Not checked, because the numbers that they need were not logged: overfitting.")
    assert Diagnostics().verdict().startswith("Nothing was checked.")


def test_studiogans_dcgan_raises_collapse() -> None:
    """FID that goes from 49 to 137, as in a published log, is a collapse at the second score."""
    assert evaluated(scored(fid=value) for value in (90, 49, 60, 80, 137, 137)) == [(4, "collapse")]


@pytest.mark.parametrize("metric", ["recall", "coverage", "diversity"])
def test_what_falls_to_less_than_half_of_its_best_is_a_collapse(metric: str) -> None:
    """Recall, coverage and diversity that halve, twice in a row, are a collapse; once is not."""
    found = evaluated(scored(**{metric: value}) for value in (0.8, 0.38, 0.7, 0.38, 0.38, 0.38))
    assert found == [(4, "collapse")]


def test_a_drop_within_its_error_bars_is_noise() -> None:
    """The same drop is an alarm with small error bars, and none with large ones."""
    values = (0.4, 0.1, 0.1)
    for error, alarms in ((0.01, [(2, "collapse")]), (0.2, [])):
        assert evaluated(scored({"recall": error}, recall=value) for value in values) == alarms
    rising = (0.5, 1.0, 1.0)
    for error, alarms in ((0.01, [(2, "collapse")]), (0.3, [])):
        assert evaluated(scored({"fid": error}, fid=value) for value in rising) == alarms


def test_images_that_were_never_diverse_are_a_collapse() -> None:
    """A generator that makes one image from the start is detected by its spread, in logs and in scores."""
    assert logged([{"spread": 0.02}] * 60) == [(49, "collapse")]
    assert evaluated([scored(diversity=0.1)] * 7) == [(4, "collapse")]
    # As every generator begins.
    assert logged([{"spread": 0.02}] * 30 + [{"spread": 0.5}] * 30) == []


def test_an_alarm_is_raised_again_only_after_it_has_passed() -> None:
    """A lasting fault is reported once, and a recurring one twice."""
    low, high = {"spread": 0.4}, {"spread": 0.9}
    assert logged([high] + [low] * 20) == [(5, "collapse")]
    assert logged([high] + [low] * 6 + [high] + [low] * 5) == [(5, "collapse"), (12, "collapse")]


def test_a_vanishing_gradient_needs_a_sure_discriminator() -> None:
    """A tiny gradient of the generator is an alarm only if the discriminator is confident."""
    still = {"grad/generator": 1e-5}
    sure = {"logit/real": 8.0, "logit/fake": -9.0}
    assert logged([still | sure] * 6) == [(4, "vanishing")]
    assert logged([still] * 20) == []
    assert logged([sure] * 9) == []
    # The discriminator's own gradient is small because it has won.
    assert logged([sure | {"grad/discriminator": 1e-9}] * 9) == []
    # A critic's scores are no log-odds.
    assert logged([still | sure | {"loss/discriminator": -17.0}] * 9) == []
    assert logged([still | sure | {"error/logit/real": 1.0}] * 9) == []


def test_a_critics_scores_are_no_log_odds() -> None:
    """Scores as far apart as WGAN-GP's are no imbalance while the critic's loss is below zero."""
    critic = {"loss/discriminator": -18.0, "logit/real": 12.0, "logit/fake": -12.0}
    assert logged([critic] * 30) == []
    assert logged([critic | {"loss/discriminator": 0.001}] * 30) == [(9, "imbalance")]


def test_a_discriminator_that_takes_fakes_for_reals_is_out_of_balance() -> None:
    """Fakes rated above reals in ten successive log lines are an imbalance."""
    assert logged([{"logit/real": -0.5, "logit/fake": 0.5}] * 12) == [(9, "imbalance")]
    unclear = {"error/logit/real": 0.2, "error/logit/fake": 0.2}
    assert logged([{"logit/real": -0.5, "logit/fake": 0.5, **unclear}] * 30) == []


def test_unseen_reals_that_look_fake_are_overfitting() -> None:
    """Held-out images rated halfway to the fakes are overfitting; those rated near the training images are not."""
    rated = {"logit/train": 4.0, "logit/fakes": -4.0}
    assert logged([rated | {"logit/held-out": -1.0}] * 3) == [(1, "overfitting")]
    assert logged([rated | {"logit/held-out": 3.0}] * 3) == []
    assert logged([{"logit/train": -4.0, "logit/fakes": 4.0, "logit/held-out": -9.0}] * 3) == []


def test_overfitting_is_not_seen_in_what_chance_explains() -> None:
    """Held-out images at 77% of a gap no larger than its error raise nothing; with small errors they raise an alarm."""
    looks = {"logit/train": 0.1, "logit/fakes": -0.1, "logit/held-out": -0.054}
    for error, alarms in ((0.125, []), (0.005, [(1, "overfitting")])):
        assert logged([looks | {f"error/{name}": error for name in looks}] * 9) == alarms
    # A plain gap, and held-out images whose own mean is uncertain.
    clear = {"logit/train": 4.0, "logit/fakes": -4.0, "logit/held-out": -3.0}
    assert logged([clear | {"error/logit/held-out": 1.0}] * 9) == []
    assert logged([clear | {"error/logit/held-out": 0.5}] * 9) == [(1, "overfitting")]


def test_images_that_differ_more_than_reals_are_no_best_to_fall_from() -> None:
    """Initial weights may spread more than reals, and falling to the reals' spread is not a collapse."""
    assert logged([{"spread": 2.5}] * 3 + [{"spread": 0.9}] * 20) == []
    assert evaluated([scored(diversity=value) for value in (2.5, 0.9, 0.9, 0.9)]) == []
    assert evaluated([scored(diversity=value) for value in (2.5, 0.4, 0.4)]) == [(2, "collapse")]


@pytest.mark.parametrize("case", [case for case in CASES if not case.wrong], ids=lambda case: case.name)
def test_simulated_runs_in_which_nothing_is_wrong_raise_no_alarm(case: Case) -> None:
    """One faultless run of thousands of steps raises no alarm; benchmarks/alarms.py has hundreds of each."""
    assert raised(case, np.random.default_rng(0)) is None


@pytest.mark.parametrize("case", [case for case in CASES if case.wrong], ids=lambda case: case.name)
def test_simulated_runs_in_which_it_is_wrong_raise_their_alarm(case: Case) -> None:
    """Every simulated fault raises its alarm."""
    assert None not in [raised(case, np.random.default_rng(seed)) for seed in range(3)]


FAR = "Final scores far from those of real images"
FLOOR = {"fid": 0.72, "kid": -0.005, "recall": 0.93, "coverage": 0.76, "precision": 0.95, "diversity": 1.01}


def final(floor: Mapping[str, float] = FLOOR, errors: float = 0.02, **found: float) -> str:
    """The verdict on these final scores against a noise floor."""
    diagnostics = Diagnostics()
    diagnostics.logs(0, HEALTHY, MODEL)
    ends = (scored(dict.fromkeys(one, errors), **one) for one in (found, floor))
    assert [str(one) for one in diagnostics.final(900, *ends)] == [str(one) for one in diagnostics.findings]
    return diagnostics.verdict()


def test_the_verdict_does_not_contradict_the_final_scores() -> None:
    """Diversity far below the floor is a collapse in the verdict, with or without an alarm during training."""
    collapsed = final(fid=6.0, recall=0.011, precision=0.9, diversity=0.9)
    assert collapsed.startswith(
        "collapse at step 900: Final scores far from those of real images: recall 0.011 (0.93). The gen"
    )
    assert "diversity 0.12 (1.01)" in final(diversity=0.12)
    assert "Nothing suspicious" not in collapsed + final(diversity=0.12)


def test_images_unlike_real_ones_are_said_to_be() -> None:
    """Quality metrics, and FID and KID far above their floor, give the alarm `quality`."""
    poor = final(fid=101.0, kid=2.0, precision=0.3, recall=0.8, coverage=0.2)
    assert poor.startswith(
        "quality at step 900: Final scores far from those of real images: fid 101 (0.72), kid 2 (-0.005)"
    )
    assert "precision 0.3 (0.95), coverage 0.2 (0.76)." in poor
    assert "recall" not in poor


def test_a_floor_of_rounding_alone_is_zero() -> None:
    """A floor of 7.11e-15 is written as in tables."""
    assert f"{FAR}: fid 53.8 (0)." in final({"fid": 7.11e-15}, fid=53.8)


def test_sequences_unlike_real_ones_are_called_sequences() -> None:
    """Scores that were measured on sequences are not called those of images."""
    poor = replace(scored(bleu=0.2), provenance={"protocol": "sequences"})
    (found,) = Diagnostics().final(8, poor, scored(bleu=0.9))
    assert found.saw == "Final scores far from those of real sequences: bleu 0.2 (0.9)."


def test_a_floor_of_few_images_hides_no_poor_fid() -> None:
    """An FID of 38.1 against 2.6 ± 0.83 is reported; differences explained by either error are not."""

    def told(value: float, error: float, floor: float, floor_error: float) -> bool:
        found = Diagnostics().final(8, scored({"fid": error}, fid=value), scored({"fid": floor_error}, fid=floor))
        return bool(found)

    assert told(38.1, 1.5, 2.585, 0.83)
    assert not told(25.0, 1.5, 2.585, 0.83)
    assert not told(8.0, 0.5, -0.1, 0.83)
    assert told(8.5, 0.5, -0.1, 0.83)
    assert not told(30.0, 9.0, 2.585, 0.83)


def test_final_scores_near_the_floor_or_within_their_error_raise_nothing() -> None:
    """Half of the floor, ten times it, values within their error bars, and metrics without a floor raise nothing."""
    assert final(fid=6.0, kid=0.1, recall=0.6, coverage=0.5, precision=0.6, diversity=0.8).startswith("Nothing")
    assert final(errors=0.2, recall=0.011, diversity=0.12).startswith("Nothing")
    assert final(floor={}, recall=0.011).startswith("Nothing")


def test_scores_without_a_floor_are_named_as_not_judged() -> None:
    """Metrics without a floor are listed as not judged, and the others are judged."""
    silent = final(floor={}, fid=68.5, diversity=0.0015)
    assert "\nNot judged, because the noise floor has no value for them: fid, diversity." in silent
    mixed = final(floor={"diversity": 1.0}, fid=68.5, diversity=0.0015)
    assert mixed.startswith("collapse")
    assert "\nNot judged, because the noise floor has no value for them: fid." in mixed
    assert "Not judged" not in final(fid=0.9)
    judged = Diagnostics()
    judged.final(900, scored(recall=0.9), scored(recall=0.93))
    unjudged = Diagnostics()
    unjudged.final(900, scored(recall=0.9), scored())
    assert judged.verdict().startswith("Nothing suspicious: no sign of mode collapse.")
    assert unjudged.verdict().startswith("Nothing was checked.")


def test_the_final_judgement_is_no_alarm_to_stop_at() -> None:
    """The final judgement comes after the end of the run, and does not stop it."""
    with pytest.raises(UsageError, match="no alarm 'quality'"):
        parse_alarms("quality")


def test_divergence_names_the_log_entry_and_the_first_bad_tensor() -> None:
    """NaN and infinity are reported at once and once only, with the tensor where they arose."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    diagnostics = Diagnostics()
    (found,) = diagnostics.logs(7, {**HEALTHY, "loss/generator": math.inf}, model)
    assert (found.alarm, found.step) == ("divergence", 7)
    cause = "weights, gradients and buffers are still finite, so it comes from a loss"
    assert found.saw == f"loss/generator is inf; {cause}."
    assert diagnostics.logs(8, {**HEALTHY, "loss/generator": math.nan}, model) == []
    with torch.no_grad():
        model[2].bias.fill_(math.nan)
        model[1].weight[1] = math.inf
    assert first_bad_tensor(model) == "the first bad tensor is the parameter 1.weight, in 1 of its 3 numbers"
    (again,) = diagnostics.logs(9, HEALTHY, model) + diagnostics.logs(10, {"logit/real": -math.inf}, model)
    assert "parameter 1.weight" in again.saw
    assert str(again) in diagnostics.verdict()


@pytest.mark.parametrize("part", ["gradient", "buffer"])
def test_a_bad_gradient_or_buffer_is_named_where_weights_are_good(part: str) -> None:
    """Gradients and buffers are checked after the weights."""
    model = nn.BatchNorm1d(2)
    if part == "gradient":
        model.weight.grad = torch.tensor([0.0, math.nan])
        assert first_bad_tensor(model) == "the first bad tensor is the gradient of weight, in 1 of its 2 numbers"
    else:
        model.running_var = torch.tensor([math.inf, math.inf])
        assert first_bad_tensor(model) == "the first bad tensor is the buffer running_var, in 2 of its 2 numbers"


@given(
    entries=st.lists(
        st.fixed_dictionaries(
            {
                "spread": st.floats(0, 1.5),
                "logit/real": st.floats(-9, 9),
                "logit/fake": st.floats(-9, 9),
                "grad/generator": st.floats(0, 0.01),
                "loss/discriminator": st.floats(-1, 1) | st.just(math.nan),
            }
        ),
        max_size=40,
    ),
    cut=st.integers(0, 40),
)
@settings(max_examples=40)
def test_a_resumed_run_raises_what_it_would_have_raised(entries: list[dict[str, float]], cut: int) -> None:
    """Diagnostics saved as JSON and restored at any step raise the same alarms as uninterrupted ones."""
    whole, parts = Diagnostics(), Diagnostics()
    for step, entry in enumerate(entries):
        if step == cut:
            written = json.dumps(parts.state())
            parts = Diagnostics()
            parts.restore(json.loads(written))
        whole.logs(step, {**HEALTHY, **entry}, MODEL)
        parts.logs(step, {**HEALTHY, **entry}, MODEL)
    assert parts.findings == whole.findings
    assert parts.verdict() == whole.verdict()
    assert parts.state() == whole.state()


@given(st.floats(0.05, 2.0), st.floats(-SURE, SURE), st.floats(0.001, 5))
@settings(max_examples=40)
def test_a_steady_run_is_silent_whatever_its_level(level: float, logit: float, gap: float) -> None:
    """Constant scores, and a discriminator that is right but not confident, raise nothing."""
    entry = {"logit/real": logit + gap, "logit/fake": logit, "spread": max(level, 0.31)}
    if logit < -SURE or logit + gap > SURE:
        entry["logit/real"] = min(entry["logit/real"], SURE)
    assert logged([entry] * 15) == []
    assert evaluated([scored(fid=level, recall=level, coverage=level)] * 5) == []


def test_alarms_are_named_as_a_list() -> None:
    """Names are separated by commas; a misspelt one is answered with the nearest."""
    assert parse_alarms("collapse, divergence") == {"collapse", "divergence"}
    assert parse_alarms("") == frozenset()
    with pytest.raises(UsageError, match="did you mean 'collapse'"):
        parse_alarms("colapse")


def test_every_alarm_says_what_it_saw_what_it_means_and_what_to_try() -> None:
    """A finding says what was observed, what it means and what to try, and every alarm has these texts."""
    assert {sign.alarm for sign in ALARM_RULES} | {"divergence"} == set(ALARMS)
    assert len({sign.name for sign in ALARM_RULES}) == len(ALARM_RULES)
    for alarm, (means, attempt) in ALARMS.items():
        text = str(Finding(alarm, 3, "It saw this."))
        assert text == f"{alarm} at step 3: It saw this. {means} {attempt}"
        assert means.endswith(".")
        assert attempt.endswith(".")


def test_the_collapse_alarm_fires_on_a_run_made_to_collapse_and_not_before() -> None:
    """Eight Gaussians are learned without an alarm; a generator against a frozen discriminator collapses."""
    mixture, diagnostics = ring(8), Diagnostics()
    recipe = VARIANTS["gan"].recipe("quick")
    torch.manual_seed(0)
    model = build_model(recipe, mixture.data)
    rng = torch.Generator().manual_seed(0)
    tools = tools_for(model, draw=lambda: mixture.sample(recipe.batch, rng), rng=rng)

    def train(steps: range, tools: Tools) -> None:
        for step in steps:
            logs = {name: float(value) for name, value in model.step(step, tools).items()}
            if step % 10 == 9:
                diagnostics.logs(step + 1, logs | {"spread": spread_of(model, mixture)}, model)

    train(range(HEALTHY_STEPS), tools)
    assert diagnostics.findings == []
    modes = covered_by(model, mixture).covered
    alone = replace(tools, players=tuple(replace(one, updates=int(one.name == "generator")) for one in tools.players))
    train(range(HEALTHY_STEPS, HEALTHY_STEPS + 200), alone)
    assert covered_by(model, mixture).covered < modes
    assert "collapse" in {finding.alarm for finding in diagnostics.findings}


def spread_of(model: GAN, mixture: Mixture) -> float:
    """The mean distance of two of a model's points, over that of two of the mixture's."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        fakes = model.generate(model.latent(200, rng=rng))
    real, fake = (float(torch.pdist(one.flatten(1)).mean()) for one in (mixture.sample(200, rng).images, fakes))
    return fake / real
