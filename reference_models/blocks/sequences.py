"""Networks of token sequences: an LSTM that writes them, and a convolutional discriminator that reads them.

Sequences are int64 [N, T], with tokens from 0 to V - 1. Before the first token the LSTM reads token 0, as in the code
of Yu et al. (2017); that token is not part of the sequence.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Hidden and cell state, [N, hidden] each.
State = tuple[Tensor, Tensor]


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw tokens by the inverse of their cumulative distribution.

    logits: [N, V]. uniform: numbers in [0, 1), [N]. Returns int64 [N]. A token of probability 0 is never drawn, up to
    the precision of the sums: the uniform number is scaled by the total, which may differ from 1 by rounding.
    """
    sums = logits.softmax(1).cumsum(1)
    found = torch.searchsorted(sums, (uniform * sums[:, -1])[:, None], right=True)[:, 0]
    return found.clamp_(max=logits.shape[1] - 1)


class TokenLSTM(nn.Module):
    """An LSTM language model with one layer, and one bias per gate.

    All weights and biases are drawn from N(0, deviation). Without `learns` they are buffers, which no player updates,
    as for the oracle and the roll-out network.
    """

    embedding: Tensor
    of_input: Tensor
    of_state: Tensor
    bias: Tensor
    output: Tensor
    output_bias: Tensor

    def __init__(
        self,
        vocabulary: int,
        embedding: int,
        hidden: int,
        *,
        deviation: float,
        learns: bool = True,
        dtype: torch.dtype = torch.float32,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        shapes = {
            "embedding": (vocabulary, embedding),
            "of_input": (embedding, 4 * hidden),
            "of_state": (hidden, 4 * hidden),
            "bias": (4 * hidden,),
            "output": (hidden, vocabulary),
            "output_bias": (vocabulary,),
        }
        for name, shape in shapes.items():
            drawn = torch.randn(shape, dtype=dtype, generator=rng) * deviation
            if learns:
                self.register_parameter(name, nn.Parameter(drawn))
            else:
                self.register_buffer(name, drawn)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of each token given those before it: int64 [N, T] => [N, T, V]."""
        before = F.pad(tokens, (1, 0))[:, :-1]
        inputs = self.embedding[before] @ self.of_input + self.bias
        state, hidden = self.start(len(tokens)), []
        for position in range(tokens.shape[1]):
            state = self._move(inputs[:, position], state)
            hidden.append(state[0])
        return self.logits(torch.stack(hidden, 1))

    def log_likelihood(self, tokens: Tensor, *, alpha: float = 1.0) -> Tensor:
        """Natural logarithm of the probability of each token given those before it: int64 [N, T] => [N, T]."""
        return -F.cross_entropy(alpha * self(tokens).transpose(1, 2), tokens, reduction="none")

    def sample(self, uniform: Tensor, *, alpha: float = 1.0) -> Tensor:
        """Sequences from uniform numbers in [0, 1): [N, T] => int64 [N, T]. alpha: factor of the logits."""
        state, token = self.start(len(uniform)), self.first(len(uniform))
        tokens = []
        for position in range(uniform.shape[1]):
            state = self.read(token, state)
            token = draw(self.logits(state[0]) * alpha, uniform[:, position])
            tokens.append(token)
        return torch.stack(tokens, 1)

    def roll_out(self, tokens: Tensor, count: int, rng: torch.Generator) -> Tensor:
        """Complete every prefix of the sequences by sampling: int64 [N, T] => int64 [T - 1, count, N, T].

        Entry t - 1 keeps the first t tokens, t = 1 .. T - 1. Prefixes of all lengths are completed in parallel.
        """
        number, length = tokens.shape
        rolled = tokens.repeat(length - 1, count, 1, 1)
        given = self.read(self.first(number), self.start(number))
        states: State | None = None
        for position in range(1, length):
            # The prefix of `position` tokens joins the shorter ones, which continue with sampled tokens.
            given = self.read(tokens[:, position - 1], given)
            joining: State = (given[0].repeat(count, 1), given[1].repeat(count, 1))
            if states is None:
                states = joining
            else:
                states = self.read(rolled[: position - 1, :, :, position - 1].flatten(), states)
                states = torch.cat([states[0], joining[0]]), torch.cat([states[1], joining[1]])
            uniform = torch.rand(len(states[0]), generator=rng, device=rng.device)
            rolled[:position, :, :, position] = draw(self.logits(states[0]), uniform).view(position, count, number)
        return rolled

    def start(self, count: int) -> State:
        """The state before anything is read."""
        zeros = self.bias.new_zeros(count, len(self.of_state))
        return zeros, zeros

    def first(self, count: int) -> Tensor:
        """The tokens read before a sequence begins."""
        return torch.zeros(count, dtype=torch.int64, device=self.bias.device)

    def read(self, token: Tensor, state: State) -> State:
        """The state after one more token, int64 [N]."""
        return self._move(self.embedding[token] @ self.of_input + self.bias, state)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of the next token: [..., hidden] => [..., V], in at least single precision."""
        found = hidden @ self.output + self.output_bias
        return found if found.dtype == torch.float64 else found.float()

    def _move(self, inputs: Tensor, state: State) -> State:
        """One step of the LSTM; the gates are input, forget, output, in this order, and the candidate."""
        hidden, cell = state
        gates = inputs + hidden @ self.of_state
        size = hidden.shape[1]
        entry, forget, out = gates[:, : 3 * size].sigmoid().chunk(3, 1)
        cell = forget * cell + entry * gates[:, 3 * size :].tanh()
        return out * cell.tanh(), cell


class Highway(nn.Module):
    """t g + (1 - t) x, with g = relu(W x + b) and the gate t = sigmoid(W' x + b') (Srivastava et al. 2015)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.change, self.gate = nn.Linear(size, size), nn.Linear(size, size)
        for layer in (self.change, self.gate):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.uniform_(layer.bias, -math.sqrt(3 / size), math.sqrt(3 / size))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, size] => [N, size]"""
        gate: Tensor = self.gate(x).sigmoid()
        return gate * F.relu(self.change(x)) + (1 - gate) * x


class TokenCNN(nn.Module):
    """Convolutions of several widths over embedded tokens, the maximum of each over positions, highway, two logits.

    filters: the number of filters by their width. drop: dropout rate of the features.
    """

    def __init__(self, vocabulary: int, embedding: int, filters: Mapping[int, int], *, drop: float) -> None:
        super().__init__()
        size = sum(filters.values())
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding, count, width) for width, count in filters.items())
        self.highway, self.output = Highway(size), nn.Linear(size, 2)
        self.drop = drop
        nn.init.uniform_(self.embedding.weight, -1.0, 1.0)
        for layer in (*self.convolutions, self.output):
            assert isinstance(layer, nn.Conv1d | nn.Linear)
            assert layer.bias is not None
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.constant_(layer.bias, 0.1)

    def forward(self, tokens: Tensor, *, dropping: bool = False) -> Tensor:
        """Logits that sequences are real: int64 [N, T] => [N]. dropping: whether dropout is on."""
        embedded = self.embedding(tokens).transpose(1, 2)
        features = torch.cat([F.relu(layer(embedded).amax(2)) for layer in self.convolutions], 1)
        kept = F.dropout(self.highway(features), self.drop, training=dropping)
        fake, real = self.output(kept).unbind(1)
        logits: Tensor = (real - fake).float()
        return logits

    def penalty(self) -> Tensor:
        """Half the squared norm of the output layer's weights and biases."""
        return torch.stack([one.square().sum() for one in self.output.parameters()]).sum() / 2
