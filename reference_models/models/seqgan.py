"""SeqGAN (Yu et al. 2017): the generator writes tokens, so it is trained by policy gradient.

Three phases: the generator learns by maximum likelihood; then only the discriminator learns; then both in turn. In the
last phase, the reward of a token is the discriminator's output for the finished sequence. For all tokens except the
last it is the mean over several completions, sampled from a copy of the generator that lags behind it. There is no
baseline.

Much public code rewards only the whole sequence, or reports a negative log-likelihood summed over the sequence as one
per token. Here each token has its own reward, and likelihoods are means per token.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from reference_models.base import Logs, Player, SequenceModel
from reference_models.batches import SequenceData, Sequences
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.oracle import Oracle
from reference_models.blocks.sequences import TokenCNN, TokenLSTM
from reference_models.models.seqgan_recipes import Settings
from reference_models.recipes import Adam, Optimizer, Recipe, value_at

# Number of filters by width, relative to width 1.
WIDTHS: Mapping[int, float] = {1: 1, 2: 2, 3: 2, 4: 2, 5: 2, 6: 1, 7: 1, 8: 1, 9: 1, 10: 1, 15: 1.6, 20: 1.6}


class SeqGAN(SequenceModel):
    """An LSTM that writes tokens, the copy of it for roll-outs, and a convolutional discriminator."""

    def __init__(self, data: SequenceData, recipe: Recipe) -> None:
        """UsageError for latents that are not one number per token."""
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        vocabulary, sizes = len(data.vocabulary), (settings.embedding, settings.hidden)
        self.generator = TokenLSTM(vocabulary, *sizes, deviation=settings.deviation)
        # State, not weights: it follows the generator, and no player updates it.
        self.rollout = TokenLSTM(vocabulary, *sizes, deviation=settings.deviation, learns=False)
        filters = {
            width: max(1, round(settings.filters * share)) for width, share in WIDTHS.items() if width <= data.length
        }
        self.discriminator = TokenCNN(vocabulary, settings.discriminator_embedding, filters, drop=settings.dropout)
        self._follow(0.0)

    @classmethod
    def data_for(cls, recipe: Recipe, classes: int | None = None) -> SequenceData:  # type: ignore[override]  # noqa: ARG003
        """The sequences of the recipe's oracle."""
        oracle = Oracle.of(recipe.data)
        return SequenceData(oracle.length, tuple(map(str, range(oracle.vocabulary))))

    def players(self) -> Sequence[Player]:
        """The generator by likelihood; the discriminator; the generator by policy gradient, with another optimizer."""
        generator, discriminator = tuple(self.generator.parameters()), tuple(self.discriminator.parameters())
        rates = self.recipe.optimizers
        return (
            Player(
                "likelihood",
                generator,
                rates["likelihood"],
                self.loss_likelihood,
                self._likelihood_updates,
                self._clipped,
            ),
            Player(
                "discriminator",
                discriminator,
                rates["discriminator"],
                self.loss_discriminator,
                self._discriminator_updates,
            ),
            Player(
                "generator", generator, rates["generator"], self.loss_generator, self._generator_updates, self._clipped
            ),
        )

    def phase(self, step: int) -> str:
        """The phase of a step: "likelihood", "pretraining" (of the discriminator) or "adversarial"."""
        lengths = (self.settings.likelihood, self.settings.pretraining, self.settings.adversarial)
        done = step * sum(lengths) // self.recipe.steps
        if done < lengths[0]:
            return "likelihood"
        return "pretraining" if done < lengths[0] + lengths[1] else "adversarial"

    def begin(self, step: int) -> None:
        """Copy the generator to the roll-out network until the first step of the adversarial phase."""
        if step == 0 or self.phase(step - 1) != "adversarial":
            self._follow(0.0)

    def after(self, player: Player, logs: Logs) -> Logs:  # noqa: ARG002
        """After each policy gradient the roll-out network moves towards the generator."""
        if player.name == "generator":
            self._follow(self.settings.lag)
        return {}

    def generate(self, z: Tensor, *, alpha: float = 1.0) -> Tensor:
        """Uniform numbers in [0, 1), [N, T] => tokens, int64 [N, T]; alpha is the factor of the logits."""
        return self.generator.sample(z, alpha=alpha)

    def log_likelihood(self, tokens: Tensor, *, alpha: float = 1.0) -> Tensor:
        """Of each token given those before it: int64 [N, T] => float32 [N, T]; alpha is the factor of the logits."""
        return self.generator.log_likelihood(tokens, alpha=alpha)

    def loss_likelihood(self, batch: Sequences, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """The mean negative log-likelihood per token."""
        return -self.log_likelihood(batch.tokens).mean(), {}

    def loss_discriminator(self, batch: Sequences, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Cross-entropy, the mean over reals and as many fakes, and the penalty on the output layer."""
        fakes = self.drawn(len(batch), rng)
        real, fake = self.discriminator(torch.cat([batch.tokens, fakes]), dropping=self.training).chunk(2)
        loss = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
        return loss + self.settings.l2 * self.discriminator.penalty(), logit_logs(real, fake)

    def loss_generator(self, batch: Sequences, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """REINFORCE: minus the sum over sequences and tokens of log-likelihood times reward."""
        tokens = self.drawn(len(batch), rng)
        rewards = self.rewards(tokens, rng)
        gain = (self.log_likelihood(tokens) * rewards).sum(1)
        # The sum over a batch, written as a mean over rows, so that a batch in several parts has the same gradient.
        return -gain.mean() * self.recipe.batch, {"reward": rewards.mean(1)}

    @torch.no_grad()
    def drawn(self, count: int, rng: torch.Generator) -> Tensor:
        """New sequences of the generator."""
        return self.generate(self.latent(count, rng=rng))

    @torch.no_grad()
    def rewards(self, tokens: Tensor, rng: torch.Generator) -> Tensor:
        """The reward of each token: int64 [N, T] => float32 [N, T].

        The reward of token t is the mean score of `rollouts` completions of the first t tokens; for the last token, the
        score of the sequence itself. The score is the discriminator's probability of being real, without dropout.
        """
        if self.settings.reward == "constant":
            return torch.full(tokens.shape, 0.5, device=tokens.device)
        if self.settings.reward == "random":
            return torch.rand(tokens.shape, generator=rng, device=rng.device)
        last: Tensor = self.discriminator(tokens).sigmoid()[:, None]
        if tokens.shape[1] == 1:
            return last
        rolled = self.rollout.roll_out(tokens, self.settings.rollouts, rng)
        verdicts = self.discriminator(rolled.flatten(0, 2)).sigmoid().view(rolled.shape[:3])
        return torch.cat([verdicts.mean(1).T, last], 1)

    @torch.no_grad()
    def _follow(self, lag: float) -> None:
        """Move the roll-out network to lag x itself + (1 - lag) x the generator; the embedding is copied."""
        new = dict(self.generator.named_parameters())
        for name, old in self.rollout.named_buffers():
            old.lerp_(new[name], 1.0 if name == "embedding" else 1.0 - lag)

    def _likelihood_updates(self, step: int) -> int:
        return int(self.phase(step) == "likelihood")

    def _discriminator_updates(self, step: int) -> int:
        return {"likelihood": 0, "pretraining": 1, "adversarial": self.settings.discriminator_updates}[self.phase(step)]

    def _generator_updates(self, step: int) -> int:
        return int(self.phase(step) == "adversarial")

    def _clipped(self, parameters: Sequence[nn.Parameter], settings: Optimizer) -> torch.optim.Optimizer:
        """Adam on gradients whose norm is clipped."""
        assert isinstance(settings, Adam)
        first, second = settings.betas
        betas = first, value_at(second, 0, 1)
        optimizer = torch.optim.Adam(parameters, value_at(settings.lr, 0, 1), betas, fused=True)

        def clip(*_: object) -> None:
            clip_grad_norm_(parameters, self.settings.clip)

        optimizer.register_step_pre_hook(clip)
        return optimizer
