"""Losses of GANs as functions of logits, and the penalties that keep a critic smooth.

Every loss is a mean over a batch, to be minimised. `real` and `fake` are a discriminator's raw outputs, [N] or
[N, 1], never probabilities: sigmoids and softmaxes are inside the losses, where they cannot overflow. With
sp(t) = log(1 + exp t), -log sigmoid(t) is sp(-t) and -log(1 - sigmoid(t)) is sp(t).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from reference_models.sharing import everyones


def cross_entropy_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_generator(fake: Tensor) -> Tensor:
    """log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1): its gradient vanishes if D is confident."""
    return -F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """-log D(G(z)) (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """(D(x) - 1)^2 / 2 + D(G(z))^2 / 2 (Mao et al. 2017, equation 9)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    """(D(G(z)) - 1)^2 / 2 (Mao et al. 2017, equation 9)."""
    return (fake - 1).square().mean() / 2


def sigmoid_least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares of the probabilities sigmoid(logit): not Mao's loss, but the one Lucic et al. 2018 measured."""
    return least_squares_discriminator(real.sigmoid(), fake.sigmoid())


def sigmoid_least_squares_generator(fake: Tensor) -> Tensor:
    """The generator's loss that belongs to `sigmoid_least_squares_discriminator`."""
    return least_squares_generator(fake.sigmoid())


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """f(G(z)) - f(x) (Arjovsky et al. 2017, algorithm 1): minus the estimated distance."""
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """-f(G(z)) (Arjovsky et al. 2017, algorithm 1)."""
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (Miyato et al. 2018, equation 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


@dataclass(frozen=True, slots=True)
class Objective:
    """The losses of both players: discriminator(real, fake) and generator(fake), each a scalar to minimise."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        "minimax": Objective(cross_entropy_discriminator, minimax_generator),
        "non-saturating": Objective(cross_entropy_discriminator, non_saturating_generator),
        "least-squares": Objective(least_squares_discriminator, least_squares_generator),
        "sigmoid-least-squares": Objective(sigmoid_least_squares_discriminator, sigmoid_least_squares_generator),
        "wasserstein": Objective(wasserstein_critic, wasserstein_generator),
        "hinge": Objective(hinge_discriminator, wasserstein_generator),
    }
)


def slopes(critic: Callable[[Tensor], Tensor], images: Tensor, *, added: float = 0.0) -> Tensor:
    """The norm of the critic's gradient at each image: [N, ...] => float32 [N], differentiable.

    added: a constant added to the squared norm, so that its root is differentiable at 0. The critic must not have batch
    normalisation, which would make an image's gradient depend on the rest of the batch.
    """
    at = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(at).sum(), at, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(gradient.float().flatten(1), dim=1)
    return (norms.square() + added).sqrt() if added else norms


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    rng: torch.Generator,
    *,
    added: float = 0.0,
    wanted: float = 1.0,
) -> Tensor:
    """(slope / wanted - 1)^2 at a random point between each real and its fake (Gulrajani et al. 2017, algorithm 1).

    added: as in `slopes`. wanted: the slope without a penalty; 1 except in Karras et al. 2017.
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=rng, device=real.device)
    return (slopes(critic, fake + share * (real - fake), added=added) / wanted - 1).square().mean()


def local_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, rng: torch.Generator, *, added: float = 0.0
) -> Tensor:
    """(slope - 1)^2 near the reals (Kodali et al. 2017, DRAGAN), as Lucic et al. 2018 measured it.

    The slope is taken at a random point between each image and a noisy copy, with uniform noise of up to half a
    standard deviation of the batch's pixels added to every pixel. added: as in `slopes`.
    """
    brighter = real + 0.5 * everyones(real).std(correction=0) * torch.rand(
        real.shape, generator=rng, device=real.device
    )
    return gradient_penalty(critic, brighter, real, rng, added=added)


def equilibrium(
    k: Tensor, real: Tensor, fake: Tensor, *, gamma: float, rate: float, bounded: bool = True
) -> tuple[Tensor, Tensor]:
    """(k_t+1, M_global) from reconstruction errors of reals and fakes (Berthelot et al. 2017, section 3.4).

    k_t+1 = k_t + rate (gamma L(x) - L(G(z))); M = L(x) + |gamma L(x) - L(G(z))|. bounded: clamp k to [0, 1].
    """
    gap = gamma * real - fake
    moved = k + rate * gap
    return moved.clamp(0.0, 1.0) if bounded else moved, real + gap.abs()


@torch.no_grad()
def clip_(parameters: Sequence[Tensor], bound: float) -> None:
    """Clamp all values of the parameters to [-bound, bound], in place."""
    for parameter in parameters:
        parameter.clamp_(-bound, bound)
