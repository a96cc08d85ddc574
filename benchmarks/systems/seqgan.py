"""SeqGAN: what its discriminator adds to a generator that was trained by likelihood, and what a temperature adds.

For each seed, another oracle, data and weights, with the quick preset. The generator learns by likelihood; then the
rest of the training is run three times from there: with the discriminator's rewards, with a constant and with random
ones. Each is compared with the generator after likelihood alone at temperatures 1 / alpha. A control whose rewards know
nothing of the data shows what the policy gradient does without a discriminator.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmarks.harness import mean_text, save, say, table
from reference_models.base import SequenceModel
from reference_models.blocks.oracle import Oracle
from reference_models.data.tokens import load_tokens
from reference_models.engine.plan import make_plan
from reference_models.engine.training import Training
from reference_models.scoring.sequences import nll_oracle, nll_test

ALPHAS = (1.0, 1.1, 1.25, 1.5, 2.0)
REWARDS = ("discriminator", "constant", "random")
DRAWN = 1000
# The paper's sizes, at which fresh oracles are measured.
PAPER = (5000, 20, 200)
LIKELIHOOD = "likelihood alone, alpha {:g}"


@dataclass(slots=True)
class Found:
    """NLL-oracle and NLL-test, a number per seed each."""

    oracle: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)


def main(*, runs: int) -> None:
    """Three minutes on one quiet core for five seeds; results are saved after each."""
    torch.set_num_threads(1)
    fresh = {seed: entropies(Oracle(*PAPER, seed=seed)) for seed in range(5)}
    say(f"  fresh oracles: {fresh}")
    found: dict[str, Found] = {}
    floors: list[float] = []
    gains: dict[str, list[float]] = {reward: [] for reward in REWARDS}
    for seed in range(runs):
        floor, by_method = one_seed(seed)
        floors.append(floor)
        for name, (oracle, test) in by_method.items():
            one = found.setdefault(name, Found())
            one.oracle.append(oracle)
            one.test.append(test)
        curve = [by_method[LIKELIHOOD.format(alpha)] for alpha in ALPHAS]
        for reward in REWARDS:
            oracle, test = by_method[f"then {reward} rewards"]
            at_equal_test = np.interp(test, [one[1] for one in curve], [one[0] for one in curve])
            gains[reward].append(oracle - float(at_equal_test))
        say(f"  seed {seed}: floor {floor:.3f}, {by_method}")
        report(fresh, floors, found, gains)


def one_seed(seed: int) -> tuple[float, Mapping[str, tuple[float, float]]]:
    """The oracle's entropy, and for each method NLL-oracle and NLL-test."""
    spec = f"oracle:100,12,10000,{seed}"
    data, held_out = load_tokens(spec), Oracle.of(spec).held_out.tokens()
    plan = make_plan("seqgan", data=spec, seed=seed)
    training = Training(plan, data)
    model = _model(training)
    while training.step < plan.recipe.steps and model.phase(training.step) == "likelihood":
        training.advance()
    state = copy.deepcopy(training.state())
    found = {LIKELIHOOD.format(alpha): measured(model, spec, held_out, alpha) for alpha in ALPHAS}
    for reward in REWARDS:
        # The discriminator of a control has no say: it is not pretrained, and one update keeps it from costing much.
        alone = {} if reward == "discriminator" else {"settings.discriminator_updates": 1}
        other = Training(plan.choose({"settings.reward": reward, **alone}), data)
        other.restore(state)
        while reward != "discriminator" and _model(other).phase(other.step) == "pretraining":
            other.step += 1
        while other.step < plan.recipe.steps:
            other.advance()
        found[f"then {reward} rewards"] = measured(_model(other), spec, held_out, 1.0)
    return nll_oracle(held_out, spec).value, found


def measured(model: SequenceModel, spec: str, held_out: torch.Tensor, alpha: float) -> tuple[float, float]:
    """NLL-oracle and NLL-test, with the same random numbers every time."""
    with torch.no_grad():
        tokens = model.generate(model.latent(DRAWN, rng=torch.Generator().manual_seed(1)), alpha=alpha)
    return (
        nll_oracle(tokens, spec).value,
        nll_test(model, held_out, alpha=alpha).value,
    )


def entropies(oracle: Oracle) -> tuple[float, float]:
    """An oracle's own entropy per token, and the NLL-oracle of uniform sequences."""
    rng = torch.Generator().manual_seed(0)
    uniform = torch.randint(oracle.vocabulary, (oracle.count, oracle.length), generator=rng)
    return nll_oracle(oracle.tokens(), str(oracle)).value, nll_oracle(uniform, str(oracle)).value


def report(
    fresh: Mapping[int, tuple[float, float]],
    floors: Sequence[float],
    found: Mapping[str, Found],
    gains: Mapping[str, Sequence[float]],
) -> None:
    """Save the figures so far."""
    figures = {
        "seeds": len(floors),
        "floor": list(floors),
        "methods": {name: {"oracle": one.oracle, "test": one.test} for name, one in found.items()},
        "above_likelihood_at_equal_test": {name: list(values) for name, values in gains.items()},
        "fresh_oracles": {str(seed): list(pair) for seed, pair in fresh.items()},
    }
    save("seqgan", figures, tables(figures))


def tables(figures: Mapping[str, Any]) -> str:
    """Means over seeds, with changes from likelihood alone at alpha 1, by seed; and what fresh oracles have."""
    floor, methods = mean_text(figures["floor"]), figures["methods"]
    rows = [["the oracle itself", floor, "-", floor, "-", "-"]]
    first = LIKELIHOOD.format(1)
    for name, one in methods.items():
        changes = [mean_text(list(np.subtract(one[key], methods[first][key]))) for key in ("oracle", "test")]
        changes = ["-", "-"] if name == first else changes
        above = figures["above_likelihood_at_equal_test"]
        apart = mean_text(above[name.split()[1]]) if name.startswith("then") else "-"
        rows.append([name, mean_text(one["oracle"]), changes[0], mean_text(one["test"]), changes[1], apart])
    head = [
        f"V 100, T 12, {figures['seeds']} seeds, 95% intervals",
        *("NLL-oracle", "change", "NLL-test", "change", "NLL-oracle above likelihood alone at equal NLL-test"),
    ]
    own, uniform = (np.array(values) for values in zip(*figures["fresh_oracles"].values(), strict=True))
    fresh = (
        f"Fresh oracles of the paper's size (V 5000, T 20; {len(own)} seeds): their own entropy is "
        f"{own.mean():.2f} (standard deviation {own.std(ddof=1):.2f}) a token, uniform sequences have "
        f"an NLL-oracle of {uniform.mean():.2f} ({uniform.std(ddof=1):.2f}); ln V is {math.log(PAPER[0]):.3f}."
    )
    return f"{table(head, rows)}\n\n{fresh}"


def _model(training: Training) -> SequenceModel:
    assert isinstance(training.model, SequenceModel)
    return training.model
