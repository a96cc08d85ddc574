"""Metrics of token sequences: likelihoods under an oracle and under a model, BLEU and self-BLEU.

They take sequences instead of image features, so they are rows of SEQUENCE_METRICS, not of `ganeval.metrics.METRICS`;
`train_and_score` of a model of sequences computes them.

NLL-oracle alone rewards a generator that writes only likely sequences: a temperature below 1 lowers it, even below the
entropy of the oracle. NLL-test of the same generator shows the cost, so read both together.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError, UsageError
from ganeval.metrics import Estimate, normal_interval
from reference_models.base import SequenceModel
from reference_models.blocks.oracle import CHUNK, Oracle
from reference_models.scoring.task_metric import TaskMetric

# Sequences as words or numbers, of equal or different lengths.
TokenSequences = Sequence[Sequence[Hashable]]
# n-grams of a sequence with their counts, for n = 1, 2, ...
Grams = Sequence[Counter[tuple[Hashable, ...]]]

# References of BLEU, and sequences of self-BLEU, as in Texygen.
LIMIT = 500
# Groups of the jackknife.
GROUPS = 20
# The number of matches that counts for a precision without a match (method 1 of Chen and Cherry 2014).
EPSILON = 0.1
LOW_ENTROPY = "NLL-oracle also falls when a generator loses variety; compare it at equal NLL-test."


def nll_oracle(tokens: Tensor, oracle: str) -> Estimate:
    """NLL-oracle: the mean negative log-likelihood per token of generated sequences under the oracle (Yu et al. 2017).

    In nats, with the oracle's logits as they are. The formula of the paper is a sum over tokens; its numbers are means.
    For the oracle's own sequences it is an estimate of the oracle's entropy per token, the floor. With p the law of the
    oracle::

        nll_oracle = mean over sequences x of -log p(x) / T

    Args:
        tokens: Generated sequences, int64 ``[N, T]``, N of 2 or more.
        oracle: The oracle, as in "oracle:100,12,10000,0"; the numbers of sequences do not matter.

    Returns:
        The mean; its standard error is that of the mean over sequences. `details` has the oracle's seed.

    Raises:
        SourceError: There is no such oracle.
        MetricError: There are fewer than 2 sequences, or they have tokens or lengths that the oracle does not know.

    Examples:
        >>> real = Oracle.of("oracle:10,4,50").tokens()
        >>> uniform = torch.randint(10, (50, 4), generator=torch.Generator().manual_seed(0))
        >>> nll_oracle(real, "oracle:10,4,50").value < nll_oracle(uniform, "oracle:10,4,50").value
        True
    """
    known = Oracle.of(oracle)
    _check(tokens, known.length, known.vocabulary, "the oracle")
    found = _mean(-known.log_likelihood(tokens).mean(1), "mean over sequences")
    return Estimate(
        *(found.value, found.standard_error, found.interval, found.method),
        details={"oracle_seed": float(known.seed)},
        notes=(LOW_ENTROPY,),
    )


def nll_test(model: SequenceModel, tokens: Tensor, *, alpha: float = 1.0) -> Estimate:
    """NLL-test: the mean negative log-likelihood per token of held-out sequences under a generator, in nats.

    Texygen calls it NLL-test, others NLL-gen or the logarithm of the perplexity. It is never below the entropy of the
    sequences' own distribution, except by chance. With g the law of the generator::

        nll_test = mean over sequences x of -log g(x) / T

    Args:
        model: The generator.
        tokens: Real sequences that it was not trained on, int64 ``[N, T]``, N of 2 or more.
        alpha: Factor of the generator's logits, an inverse temperature.

    Returns:
        The mean; its standard error is that of the mean over sequences.

    Raises:
        MetricError: There are fewer than 2 sequences, or they have tokens or lengths that the model does not know.

    Examples:
        An untrained generator knows nothing of four tokens: its sequences are nearly equally likely.

        >>> from reference_models import VARIANTS, build_model
        >>> from reference_models.batches import SequenceData
        >>> model = build_model(VARIANTS["seqgan"].recipes["quick"], SequenceData(12, ("a", "b", "c", "d")))
        >>> tokens = torch.randint(4, (50, 12), generator=torch.Generator().manual_seed(0))
        >>> round(nll_test(model, tokens).value, 1), round(math.log(4), 1)
        (1.4, 1.4)
    """
    _check(tokens, model.data.length, len(model.data.vocabulary), "the model")
    device = next(model.parameters()).device
    with torch.no_grad():
        chunks = torch.split(tokens, CHUNK)
        rated = [model.log_likelihood(rows.to(device), alpha=alpha).mean(1).double() for rows in chunks]
    return _mean(-torch.cat(rated).cpu(), "mean over sequences")


def bleu(fakes: TokenSequences, references: TokenSequences, *, n: int = 4, limit: int = LIMIT) -> Estimate:
    """BLEU of generated sequences against real ones, as Texygen computes it (Papineni et al. 2002, Zhu et al. 2018).

    The mean over sequences of sentence BLEU with all references::

        exp(min(0, 1 - r / c)) (p_1 ... p_n)^(1/n)

    c is the length of the sequence, r the length of the reference nearest to it, and p_k the share of its k-grams that
    occur in a reference, each at most as often as there. Without any, p_k has 0.1 in place of their number (method 1 of
    Chen and Cherry 2014), and without a common word the value is 0. It is nltk's number; nltk counts the references'
    n-grams anew for each sequence, which takes some seconds for a thousand sequences. A high value says that the
    n-grams occur in the references, not that there is any variety: see `self_bleu`.

    Args:
        fakes: Generated sequences, words or numbers each; 2 or more.
        references: Real sequences, 2 or more.
        n: Words in the longest n-grams.
        limit: The number of references that are used, the first of them; Texygen takes 500.

    Returns:
        The mean; its standard error is from leaving out groups of fakes, and of references (jackknife).

    Raises:
        MetricError: There are fewer than 2 sequences or references, or an empty one.
        UsageError: `n` is below 1, or `limit` below 2.

    Examples:
        >>> found = bleu([[1, 2, 3, 4], [5, 6, 7, 8]], [[1, 2, 3, 4], [1, 2, 5, 6]])
        >>> round(found.value, 3)
        0.585
    """
    made, real = _grams(fakes, n, limit, "fakes"), _grams(references[:limit], n, limit, "references")
    # Most n-grams of the references are in no fake.
    asked = {gram for grams in made for counts in grams for gram in counts}
    real = [[Counter({gram: counts[gram] for gram in counts.keys() & asked}) for counts in grams] for grams in real]

    def scores(against: Collection[int]) -> list[float]:
        """BLEU of each fake with some of the references."""
        largest = _largest([real[place] for place in against])
        lengths = {len(references[place]) for place in against}
        return [_sentence(grams, len(fake), largest, lengths) for grams, fake in zip(made, fakes, strict=True)]

    found = scores(range(len(real)))
    variance = _jackknife(lambda some: float(np.mean([found[place] for place in some])), len(made))
    variance += _jackknife(lambda against: float(np.mean(scores(against))), len(real))
    return _estimate(float(np.mean(found)), variance, f"BLEU-{n}, jackknife over fakes and references")


def self_bleu(fakes: TokenSequences, *, n: int = 4, limit: int = LIMIT) -> Estimate:
    """Self-BLEU: the mean BLEU of each generated sequence against the others (Zhu et al. 2018, Texygen).

    With `bleu` as in its formula::

        self_bleu = mean over sequences i of bleu(sequence i, all others)

    Near 1 if all are alike. It grows with the number of sequences: compare it with that of the same number of real
    ones.

    Args:
        fakes: Sequences, words or numbers each; 3 or more.
        n: Words in the longest n-grams.
        limit: The number of sequences that are used, the first of them; Texygen takes 500.

    Returns:
        The mean; its standard error is from leaving out groups of sequences (jackknife).

    Raises:
        MetricError: There are fewer than 3 sequences, or an empty one.
        UsageError: `n` is below 1, or `limit` below 2.

    Examples:
        >>> round(self_bleu([[1, 2, 3, 4]] * 3).value, 3)
        1.0
    """
    chosen = fakes[:limit]
    made = _grams(chosen, n, limit, "fakes")
    if len(made) < 3:
        raise MetricError(f"Self-BLEU compares a sequence with others, but there are {len(made)}; give 3 or more.")

    def value(some: Collection[int]) -> float:
        first, second, holder = _two_largest({place: made[place] for place in some})
        lengths = Counter(len(chosen[place]) for place in some)
        found = []
        for place in some:
            own = len(chosen[place])
            others = {length for length, count in lengths.items() if count > (length == own)}
            largest = {
                gram: (second if holder[gram] == place else first)[gram] for grams in made[place] for gram in grams
            }
            found.append(_sentence(made[place], own, largest, others))
        return float(np.mean(found))

    return _estimate(value(range(len(made))), _jackknife(value, len(made)), f"self-BLEU-{n}, jackknife over sequences")


# By name. The first decides which checkpoint is the best; NLL-oracle would choose the one with the least variety.
SEQUENCE_METRICS: Mapping[str, TaskMetric] = MappingProxyType(
    {
        "nll_test": TaskMetric(
            title="Negative log-likelihood of held-out sequences under the model, per token",
            compute=nll_test,
            needs=("the model", "held-out sequences"),
            direction="lower",
            source="Zhu et al. 2018",
        ),
        "nll_oracle": TaskMetric(
            title="Negative log-likelihood of the model's sequences under the oracle, per token",
            compute=nll_oracle,
            needs=("sequences of the model", "the oracle of the training sequences"),
            direction="lower",
            source="Yu et al. 2017",
        ),
        "bleu": TaskMetric(
            title="BLEU-4 of the model's sequences, with training sequences as references",
            compute=bleu,
            needs=("sequences of the model", "training sequences"),
            direction="higher",
            source="Papineni et al. 2002",
        ),
        "self_bleu": TaskMetric(
            title="BLEU-4 of the model's sequences among each other",
            compute=self_bleu,
            needs=("sequences of the model",),
            direction="closer",
            source="Zhu et al. 2018",
            least=3,
        ),
    }
)


def _check(tokens: Tensor, length: int, vocabulary: int, whose: str) -> None:
    """MetricError for sequences that cannot be scored."""
    if tokens.ndim != 2 or len(tokens) < 2 or tokens.shape[1] != length:
        raise MetricError(
            f"There are sequences of shape {list(tokens.shape)}, but {whose} rates 2 or more of {length} tokens each."
        )
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= vocabulary:
        raise MetricError(f"There are tokens from {low} to {high}, but {whose} knows 0 to {vocabulary - 1}.")


def _mean(values: Tensor, method: str) -> Estimate:
    """The mean of independent values, and its standard error."""
    return _estimate(float(values.mean()), float(values.var()) / len(values), method)


def _estimate(value: float, variance: float, method: str) -> Estimate:
    if not math.isfinite(value):
        raise MetricError(f"The value is {value}: a sequence has a probability that is numerically 0.")
    error = math.sqrt(variance)
    return Estimate(value, error, normal_interval(value, error, minimum=0.0), method)


def _jackknife(value: Callable[[Collection[int]], float], count: int) -> float:
    """The jackknife variance of a value over groups of its `count` rows."""
    groups = min(GROUPS, count)
    left = [value([row for row in range(count) if row % groups != group]) for group in range(groups)]
    return (groups - 1) * float(np.var(left))


def _grams(rows: TokenSequences, n: int, limit: int, what: str) -> list[Grams]:
    """The n-grams of each sequence; MetricError for too few or empty ones, UsageError for impossible options."""
    if n < 1 or limit < 2:
        raise UsageError(f"BLEU has n-grams of 1 or more words and 2 or more references, not {n} and {limit}.")
    if len(rows) < 2:
        raise MetricError(f"BLEU needs 2 or more {what}, but there are {len(rows)}.")
    empty = next((place for place, row in enumerate(rows) if not len(row)), None)
    if empty is not None:
        raise MetricError(f"Number {empty} of the {what} has no words; leave out empty sequences.")
    return [
        [Counter(tuple(row[at : at + size]) for at in range(len(row) - size + 1)) for size in range(1, n + 1)]
        for row in rows
    ]


def _largest(references: Sequence[Grams]) -> Mapping[tuple[Hashable, ...], int]:
    """The largest count of each n-gram in a reference."""
    found: dict[tuple[Hashable, ...], int] = {}
    for grams in references:
        for counts in grams:
            for gram, count in counts.items():
                found[gram] = max(found.get(gram, 0), count)
    return found


def _two_largest(
    rows: Mapping[int, Grams],
) -> tuple[dict[tuple[Hashable, ...], int], dict[tuple[Hashable, ...], int], dict[tuple[Hashable, ...], int]]:
    """For each n-gram its largest count, the largest in another sequence, and the sequence with the first."""
    first: dict[tuple[Hashable, ...], int] = {}
    second: dict[tuple[Hashable, ...], int] = {}
    holder: dict[tuple[Hashable, ...], int] = {}
    for place, grams in rows.items():
        for counts in grams:
            for gram, count in counts.items():
                if count > first.get(gram, 0):
                    second[gram], first[gram], holder[gram] = first.get(gram, 0), count, place
                else:
                    second[gram] = max(second[gram], count)
    return first, second, holder


def _sentence(
    grams: Grams, length: int, largest: Mapping[tuple[Hashable, ...], int], lengths: Collection[int]
) -> float:
    """BLEU of one sequence. largest: counts of n-grams in the references; lengths: of the references."""
    logarithms = []
    for size, counts in enumerate(grams):
        hits = sum(min(count, largest.get(gram, 0)) for gram, count in counts.items())
        if size == 0 and not hits:
            return 0.0
        # A sequence shorter than n has no n-grams; it counts as having one n-gram without a match.
        logarithms.append(math.log((hits or EPSILON) / max(1, counts.total())))
    nearest = min(lengths, key=lambda other: (abs(other - length), other))
    brevity = 0.0 if length > nearest else 1 - nearest / length
    return math.exp(brevity + math.fsum(logarithms) / len(logarithms))
