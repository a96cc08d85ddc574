"""Stochastic gradient Hamiltonian Monte Carlo: a sampler in the place of an optimizer (Chen, Fox, Guestrin 2014)."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ganeval.errors import UsageError
from reference_models.recipes import SGD, Optimizer, value_at


class SGHMC(torch.optim.Optimizer):
    """Moves parameters so that they are samples of exp(-loss), in the limit of small rates (equation 15).

    v <- momentum v - lr gradient + N(0, 2 (1 - momentum) lr), and theta <- theta + v, where 1 - momentum is the friction
    alpha. The loss is the negative logarithm of a density: a sum over the data, not a mean. The gradient's own noise
    is taken for small compared with the friction's. Noise is torch's global randomness.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # noqa: ARG002
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            deviation = (2 * (1 - momentum) * lr) ** 0.5
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["velocity"] = torch.zeros_like(parameter)
                velocity = state["velocity"]
                velocity.mul_(momentum).sub_(parameter.grad, alpha=lr)
                velocity.add_(torch.randn_like(parameter), alpha=deviation)
                parameter.add_(velocity)


def sghmc(parameters: Iterable[nn.Parameter], settings: Optimizer) -> SGHMC:
    """`Player.make` of settings of gradient descent with momentum, which may both follow schedules.

    Raises UsageError for other settings, which have no friction.
    """
    if not isinstance(settings, SGD):
        raise UsageError(f"SGHMC takes a rate and a momentum, as SGD does; found {settings}.")
    return SGHMC(parameters, value_at(settings.lr, 0, 1), value_at(settings.momentum, 0, 1))
