"""Stochastic gradient Hamiltonian Monte Carlo: a sampler used as an optimizer (Chen, Fox, Guestrin 2014)."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models.recipes import SGD, Optimizer, value_at

# Epsilon of the Adam steps in the burn-in.
BETAS = (0.5, 0.999)
EPSILON = 1e-8


class SGHMC(torch.optim.Optimizer):
    """Moves parameters so that they become samples of exp(-observations x loss), in the limit of small rates.

    With the friction alpha = 1 - momentum, v <- momentum v - lr gradient + N(0, 2 alpha lr / observations), and
    theta <- theta + v: equation 15 of the paper for the loss observations x loss and the rate lr / observations. The
    noise of the gradient is assumed to be small compared with that of the friction. Noise comes from torch's global
    random state.

    observations: 1 for a loss that is a negative log density; N for one that is divided by the number N of data points.
    burn_in: steps at the start that use Adam, without noise.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float,
        *,
        observations: int = 1,
        burn_in: int = 0,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "observations": observations, "burn_in": burn_in}
        super().__init__(parameters, settings)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    state["velocity"], state["squares"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                state["step"] += 1
                if state["step"] <= group["burn_in"]:
                    _adam(parameter, state, group["lr"])
                    if state["step"] == group["burn_in"]:
                        state["velocity"].zero_()
                    continue
                friction, velocity = 1 - group["momentum"], state["velocity"]
                velocity.mul_(group["momentum"]).sub_(parameter.grad, alpha=group["lr"])
                deviation = (2 * friction * group["lr"] / group["observations"]) ** 0.5
                velocity.add_(torch.randn_like(parameter), alpha=deviation)
                parameter.add_(velocity)


def sghmc(parameters: Iterable[nn.Parameter], settings: Optimizer, *, observations: int, burn_in: int) -> SGHMC:
    """The sampler for settings of SGD with momentum, for `Player.make`; rate and momentum may follow schedules.

    Raises UsageError for other settings, which define no friction.
    """
    if not isinstance(settings, SGD):
        raise UsageError(f"SGHMC takes a rate and a momentum, as SGD does; found {settings}.")
    rate, momentum = (value_at(value, 0, 1) for value in (settings.lr, settings.momentum))
    return SGHMC(parameters, rate, momentum, observations=observations, burn_in=burn_in)


def _adam(parameter: Tensor, state: dict[str, Any], lr: float) -> None:
    """Adam's step, with its first moment as the velocity."""
    assert parameter.grad is not None
    first, second = BETAS
    state["velocity"].lerp_(parameter.grad, 1 - first)
    state["squares"].lerp_(parameter.grad.square(), 1 - second)
    unbiased = (state["squares"] / (1 - second ** state["step"])).sqrt_().add_(EPSILON)
    parameter.addcdiv_(state["velocity"], unbiased, value=-lr / (1 - first ** state["step"]))
