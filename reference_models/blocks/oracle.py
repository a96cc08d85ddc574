"""The synthetic data of Yu et al. (2017): sequences of an LSTM with weights from N(0, 1), the oracle. Its specs need no
torch.

`oracle:V,T,N` is N sequences of T tokens from 0 to V - 1; `oracle:V,T,N,SEED` is from another oracle, and
`oracle:V,T,N,SEED,SKIP` is N sequences of that oracle after its first SKIP, so they are held out from those.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ganeval.errors import SourceError

if TYPE_CHECKING:
    from torch import Tensor

    from reference_models.blocks.sequences import TokenLSTM

SCHEME = "oracle:"
# Sizes of the embedding and of the state.
SIZE = 32
# Sequences to draw or rate at a time.
CHUNK = 250
# The largest vocabulary, length and number of sequences.
MAX_SIZE = 10_000_000
_FORM = "oracle:V,T,N[,SEED[,SKIP]]: the vocabulary, the length and the number of sequences, as in oracle:100,12,10000"


@dataclass(frozen=True, slots=True)
class Oracle:
    """An oracle and a range of its sequences; the same on every machine, up to rounding in double precision.

    vocabulary: number of tokens. length: tokens per sequence. count: sequences. seed: of weights and sequences. skip:
    sequences before the first.
    """

    vocabulary: int
    length: int
    count: int
    seed: int = 0
    skip: int = 0

    @classmethod
    def of(cls, spec: str) -> "Oracle":
        """Parse an oracle's spec; SourceError for another form, or impossible numbers."""
        words = spec.removeprefix(SCHEME).split(",")
        if not 3 <= len(words) <= 5 or not all(word.strip().isdecimal() for word in words):
            raise SourceError(f"{spec} is not an oracle; write {_FORM}.")
        found = cls(*map(int, words))
        if found.vocabulary < 2 or min(found.length, found.count) < 1:
            raise SourceError(
                f"{spec} needs a vocabulary of 2 or more, and 1 token and 1 sequence or more; write {_FORM}."
            )
        if max(found.vocabulary, found.length, found.count + found.skip) > MAX_SIZE or found.seed >= 2**32:
            raise SourceError(
                f"{spec} has a number above {MAX_SIZE}, or a seed above {2**32 - 1}; choose smaller ones."
            )
        return found

    @property
    def held_out(self) -> "Oracle":
        """A tenth as many sequences (at least 2), after those of this range."""
        return replace(self, skip=self.skip + self.count, count=max(2, self.count // 10))

    def __str__(self) -> str:
        numbers = (self.vocabulary, self.length, self.count, self.seed, self.skip)
        return SCHEME + ",".join(map(str, numbers))

    def network(self) -> "TokenLSTM":
        """The oracle itself, on the CPU in double precision; its weights are buffers."""
        import torch

        from reference_models.blocks.sequences import TokenLSTM

        rng = torch.Generator().manual_seed(self.seed)
        return TokenLSTM(self.vocabulary, SIZE, SIZE, deviation=1.0, learns=False, dtype=torch.float64, rng=rng)

    def tokens(self) -> "Tensor":
        """The sequences, int64 [N, T]."""
        import torch

        # The random numbers of all sequences come from one stream, so that a range does not depend on where another
        # ends. It differs from the stream of the weights: a CPU's generator uses the low 32 bits of a seed.
        rng = torch.Generator().manual_seed(self.seed ^ 0x9E3779B9)
        uniform = torch.rand(self.skip + self.count, self.length, dtype=torch.float64, generator=rng)[self.skip :]
        network = self.network()
        with torch.no_grad():
            return torch.cat([network.sample(rows) for rows in torch.split(uniform, CHUNK)])

    def log_likelihood(self, tokens: "Tensor") -> "Tensor":
        """The log-likelihood of each token given those before it: int64 [N, T] => float64 [N, T]."""
        import torch

        network = self.network()
        with torch.no_grad():
            return torch.cat([network.log_likelihood(rows) for rows in torch.split(tokens.cpu(), CHUNK)])
