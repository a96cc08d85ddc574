"""Metrics of sequences: naive formulas, another implementation, their standard errors, and what they refuse."""

import math
import random
from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional as F

from ganeval.errors import MetricError, SourceError, UsageError
from reference_models.batches import SequenceData
from reference_models.blocks.oracle import Oracle
from reference_models.models.seqgan import SeqGAN
from reference_models.models.seqgan_recipes import QUICK
from reference_models.scoring.sequence_scores import find_sequence_metrics, rows_of
from reference_models.scoring.sequences import bleu, nll_oracle, nll_test, self_bleu

ORACLE = "oracle:10,4,400"


def some_rows(count: int, *, seed: int, longest: int = 9, words: int = 6) -> list[list[int]]:
    """Random sequences of random lengths."""
    rng = random.Random(seed)
    return [[rng.randrange(words) for _ in range(rng.randint(1, longest))] for _ in range(count)]


def nltks(fakes: Sequence[Sequence[int]], references: Sequence[Sequence[Sequence[int]]], n: int) -> float:
    """The mean of nltk's sentence BLEU, smoothed as in Texygen."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smoothing = SmoothingFunction().method1
    found = [
        sentence_bleu(own, fake, weights=(1 / n,) * n, smoothing_function=smoothing)
        for fake, own in zip(fakes, references, strict=True)
    ]
    return math.fsum(found) / len(found)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_bleu_is_nltks(n: int) -> None:
    """For sequences of all lengths, those shorter than n among them."""
    fakes, references = some_rows(25, seed=1, words=7), some_rows(30, seed=2)
    assert bleu(fakes, references, n=n).value == pytest.approx(nltks(fakes, [references] * 25, n), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_self_bleu_is_nltks_against_all_others(n: int) -> None:
    """A sequence is no reference of itself, but an equal one is."""
    fakes = [*some_rows(20, seed=3), [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]]
    others = [fakes[:place] + fakes[place + 1 :] for place in range(len(fakes))]
    assert self_bleu(fakes, n=n).value == pytest.approx(nltks(fakes, others, n), abs=1e-12)


def test_texygen_takes_the_first_500() -> None:
    """References of BLEU, and the sequences of self-BLEU."""
    rows = some_rows(520, seed=4)
    assert bleu(rows[:5], rows).value == bleu(rows[:5], rows[:500]).value
    assert self_bleu(rows).value == self_bleu(rows[:500]).value
    assert self_bleu(rows, limit=100).value == self_bleu(rows[:100]).value


@pytest.mark.parametrize("metric", ["bleu", "self_bleu"])
def test_the_standard_error_of_bleu_is_its_spread_over_draws(metric: str) -> None:
    """Within a third, which is twice the error of a standard deviation of 40 draws and the jackknife's own."""

    def drawn(seed: int) -> tuple[float, float]:
        rows = some_rows(60, seed=seed, words=8)
        found = bleu(rows[:30], rows[30:]) if metric == "bleu" else self_bleu(rows[:30])
        assert found.standard_error is not None
        return found.value, found.standard_error

    values, errors = map(torch.tensor, zip(*(drawn(seed) for seed in range(40)), strict=True))
    assert errors.mean().item() == pytest.approx(values.std().item(), rel=1 / 3)


def test_nll_oracle_is_a_mean_per_token() -> None:
    """Not the sum over the sequence that the paper's formula has; the seed is told."""
    oracle = Oracle.of(ORACLE)
    tokens = oracle.tokens()
    found = nll_oracle(tokens, ORACLE)
    network = oracle.network()
    before = torch.cat([torch.zeros(len(tokens), 1, dtype=torch.int64), tokens[:, :-1]], 1)
    state, total = network.start(len(tokens)), torch.zeros(len(tokens), dtype=torch.float64)
    for position in range(4):
        state = network.read(before[:, position], state)
        total -= F.log_softmax(network.logits(state[0]), 1).gather(1, tokens[:, position : position + 1])[:, 0]
    assert found.value == pytest.approx(total.sum().item() / tokens.numel(), rel=1e-9)
    assert found.standard_error == pytest.approx((total / 4).std().item() / len(tokens) ** 0.5, rel=1e-9)
    assert found.details == {"oracle_seed": 0.0}
    assert "equal NLL-test" in found.notes[0]


def test_the_floor_of_nll_oracle_is_the_oracles_entropy() -> None:
    """Its own sequences have it; uniform ones are likelier to be unlikely."""
    exact = Oracle.of("oracle:3,2,1")
    network = exact.network()
    every = torch.tensor([[first, second] for first in range(3) for second in range(3)])
    logarithms = network.log_likelihood(every).sum(1)
    entropy = -(logarithms.exp() * logarithms).sum().item() / 2
    found = nll_oracle(Oracle.of("oracle:3,2,4000").tokens(), "oracle:3,2,4000")
    assert found.standard_error is not None
    assert abs(found.value - entropy) < 4 * found.standard_error
    uniform = torch.randint(3, (4000, 2), generator=torch.Generator().manual_seed(0))
    assert nll_oracle(uniform, "oracle:3,2,1").value > entropy + 0.1


def test_nll_test_is_the_models_own() -> None:
    """The mean of its log-likelihoods, at any temperature."""
    from dataclasses import replace

    from reference_models.recipes import Latent

    torch.manual_seed(0)
    recipe = replace(QUICK, latent=Latent(4, "uniform", (0.0, 1.0)))
    model = SeqGAN(SequenceData(4, tuple(map(str, range(10)))), recipe)
    tokens = Oracle.of(ORACLE).tokens()
    for alpha in (1.0, 2.0):
        expected = -model.log_likelihood(tokens, alpha=alpha).mean().item()
        assert nll_test(model, tokens, alpha=alpha).value == pytest.approx(expected, rel=1e-5)
    with pytest.raises(MetricError, match="tokens from 10 to 10, but the model knows 0 to 9"):
        nll_test(model, torch.full((2, 4), 10))


def test_a_temperature_lowers_nll_oracle_below_the_entropy() -> None:
    """What the literature compares is no measure of quality alone: the oracle itself at alpha 2 beats the oracle."""
    oracle = Oracle.of(ORACLE)
    uniform = torch.rand(400, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cold = oracle.network().sample(uniform, alpha=2.0)
    assert nll_oracle(cold, ORACLE).value < nll_oracle(oracle.tokens(), ORACLE).value - 0.1


def test_what_cannot_be_measured_is_refused() -> None:
    """Too few or empty sequences, other lengths and tokens, impossible options."""
    tokens = Oracle.of(ORACLE).tokens()
    with pytest.raises(MetricError, match=r"shape \[1, 4\], but the oracle rates 2 or more of 4 tokens"):
        nll_oracle(tokens[:1], ORACLE)
    with pytest.raises(MetricError, match=r"shape \[400, 3\]"):
        nll_oracle(tokens[:, :3], ORACLE)
    with pytest.raises(MetricError, match="tokens from -1 to"):
        nll_oracle(tokens - 1, ORACLE)
    with pytest.raises(SourceError, match="is not an oracle"):
        nll_oracle(tokens, "oracle:x")
    with pytest.raises(MetricError, match="needs 2 or more references, but there are 1"):
        bleu([[1], [2]], [[1]])
    with pytest.raises(MetricError, match="Number 1 of the fakes has no words"):
        bleu([[1], []], [[1], [2]])
    with pytest.raises(MetricError, match="there are 2; give 3 or more"):
        self_bleu([[1], [2]])
    with pytest.raises(UsageError, match="not 0 and 500"):
        self_bleu([[1], [2], [3]], n=0)


def test_sequences_are_scored_up_to_their_end() -> None:
    """What fills them up is no word; one that is empty keeps its end."""
    tokens = torch.tensor([[1, 2, 0], [0, 0, 0], [2, 2, 1]])
    assert rows_of(tokens, ("<end>", "a", "b")) == [[1, 2], [0], [2, 2, 1]]
    assert rows_of(tokens, ("0", "1", "2")) == tokens.tolist()


def test_metrics_of_images_are_none_of_sequences() -> None:
    """The message has those that there are."""
    assert find_sequence_metrics("all") is None
    assert find_sequence_metrics(["bleu"]) == ("bleu",)
    with pytest.raises(UsageError, match="'fid' is not a metric of sequences"):
        find_sequence_metrics(["fid"])
