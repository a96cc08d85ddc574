"""Losses against closed forms on single numbers, penalties against critics whose slope is known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from reference_models.blocks import losses

logits = st.floats(-20, 20)


def scalar(value: float) -> Tensor:
    """A batch of one logit, in float64 so that closed forms can be met to the last digits."""
    return torch.tensor([value], dtype=torch.float64)


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


@given(real=logits, fake=logits)
def test_the_discriminators_losses_are_their_papers_formulas(real: float, fake: float) -> None:
    """Cross-entropy, squares, Wasserstein and hinge, written out with plain arithmetic."""
    expected = {
        "minimax": -math.log(sigmoid(real)) - math.log(sigmoid(-fake)),
        "non-saturating": -math.log(sigmoid(real)) - math.log(sigmoid(-fake)),
        "least-squares": (real - 1) ** 2 / 2 + fake**2 / 2,
        "sigmoid-least-squares": (sigmoid(real) - 1) ** 2 / 2 + sigmoid(fake) ** 2 / 2,
        "wasserstein": fake - real,
        "hinge": max(0.0, 1 - real) + max(0.0, 1 + fake),
    }
    for name, value in expected.items():
        loss = losses.OBJECTIVES[name].discriminator(scalar(real), scalar(fake))
        assert loss.item() == pytest.approx(value, rel=1e-9, abs=1e-9), name


@given(fake=logits)
def test_the_generators_losses_are_their_papers_formulas(fake: float) -> None:
    """log(1 - D) for minimax, -log D for non-saturating, and the others'."""
    expected = {
        "minimax": math.log(sigmoid(-fake)),
        "non-saturating": -math.log(sigmoid(fake)),
        "least-squares": (fake - 1) ** 2 / 2,
        "sigmoid-least-squares": (sigmoid(fake) - 1) ** 2 / 2,
        "wasserstein": -fake,
        "hinge": -fake,
    }
    for name, value in expected.items():
        loss = losses.OBJECTIVES[name].generator(scalar(fake))
        assert loss.item() == pytest.approx(value, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_losses_stay_finite_where_a_sigmoid_would_have_rounded_to_0_or_1(name: str) -> None:
    """Logits of 1000 give finite losses and gradients in float32, without clipping."""
    for sign in (-1.0, 1.0):
        real = torch.full((3,), 1000.0 * sign, requires_grad=True)
        fake = torch.full((3,), -1000.0 * sign, requires_grad=True)
        objective = losses.OBJECTIVES[name]
        (objective.discriminator(real, fake) + objective.generator(fake)).backward()  # type: ignore[no-untyped-call]
        assert real.grad is not None
        assert fake.grad is not None
        assert real.grad.isfinite().all()
        assert fake.grad.isfinite().all()


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_nan_logits_give_nan_losses(name: str) -> None:
    """NaN logits give NaN losses."""
    objective = losses.OBJECTIVES[name]
    broken = torch.tensor([float("nan"), 0.0])
    assert objective.discriminator(broken, torch.zeros(2)).isnan()
    assert objective.discriminator(torch.zeros(2), broken).isnan()
    assert objective.generator(broken).isnan()


def test_minimax_saturates_where_non_saturating_does_not() -> None:
    """While the discriminator wins by 10, one generator has a gradient of e^-10 and the other of 1."""
    gradients = {}
    for name in ("minimax", "non-saturating"):
        fake = torch.tensor([-10.0], dtype=torch.float64, requires_grad=True)
        losses.OBJECTIVES[name].generator(fake).backward()  # type: ignore[no-untyped-call]
        assert fake.grad is not None
        gradients[name] = abs(fake.grad.item())
    assert gradients["minimax"] == pytest.approx(sigmoid(-10))
    assert gradients["non-saturating"] == pytest.approx(sigmoid(10))


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def images(seed: int, n: int = 5) -> Tensor:
    return torch.randn(n, 2, 3, 3, generator=torch.Generator().manual_seed(seed))


def test_what_is_added_to_the_square_of_a_slope_keeps_it_from_0() -> None:
    """The slope is sqrt(0.0001 + slope^2), which is 0.01 where the critic is flat."""
    flat, steep = (losses.slopes(lambda x, a=a: a * x.flatten(1)[:, 0], images(0), added=1e-4) for a in (0.0, 3.0))
    assert flat.tolist() == pytest.approx([0.01] * 5)
    assert steep.tolist() == pytest.approx([math.sqrt(9 + 1e-4)] * 5)


@given(slope=st.floats(0.0, 5.0))
def test_the_penalty_of_a_linear_critic_is_known(slope: float) -> None:
    """f(x) = a . x has the slope |a| everywhere, so the penalty is (|a| - 1)^2."""
    direction = torch.randn(2, 3, 3, generator=rng())
    direction *= slope / direction.norm()

    def critic(x: Tensor) -> Tensor:
        return (x * direction).sum((1, 2, 3))

    penalty = losses.gradient_penalty(critic, images(0), images(1), rng())
    assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)
    assert losses.local_penalty(critic, images(0), rng()).item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_the_penalty_is_measured_between_real_and_fake_at_a_place_of_each_pairs_own() -> None:
    """f(x) = |x|^2 / 2 has the slope |x|, which shows that each pair is evaluated at its own point of its line."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.square().sum((1, 2, 3)) / 2

    real, fake = images(0), images(1)
    penalty = losses.gradient_penalty(critic, real, fake, rng())
    (places,) = seen
    shares = ((places - fake) / (real - fake)).flatten(1)
    assert torch.allclose(shares, shares[:, :1].expand_as(shares), atol=1e-3)
    assert ((shares > -1e-3) & (shares < 1 + 1e-3)).all()
    assert len({round(share, 4) for share in shares[:, 0].tolist()}) == len(real)
    assert penalty.item() == pytest.approx((places.flatten(1).norm(dim=1) - 1).square().mean().item(), rel=1e-5)


def test_the_local_penalty_stays_near_the_reals() -> None:
    """Pixels grow brighter by at most half a standard deviation, with one random factor per image."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    real = images(0)
    losses.local_penalty(critic, real, rng())
    moved = (seen[0] - real) / real.std(correction=0)
    assert moved.min() >= -1e-5
    assert moved.max() <= 0.5 + 1e-5
    assert len(set(moved.flatten().tolist())) > 0.9 * moved.numel()
    # Each image's largest move tells how far on its line it was measured.
    assert moved.flatten(1).amax(1).std() > 0.05


def test_the_penalty_teaches_the_critic() -> None:
    """It has a gradient by the critic's weights, and none reaches the generator through the images."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(18, 4), nn.Tanh(), nn.Linear(4, 1))
    fake = images(1).requires_grad_()
    losses.gradient_penalty(critic, images(0), fake, rng()).backward()  # type: ignore[no-untyped-call]
    first = critic[1]
    assert isinstance(first, nn.Linear)
    assert first.weight.grad is not None
    assert first.weight.grad.abs().sum() > 0
    assert fake.grad is None


def test_a_critic_without_slope_has_a_finite_gradient() -> None:
    """At a slope of exactly 0 the norm has no derivative, and the penalty's gradient is 0, not NaN."""
    weight = torch.zeros((), requires_grad=True)
    penalty = losses.gradient_penalty(lambda x: (weight * x).sum((1, 2, 3)), images(0), images(1), rng())
    penalty.backward()  # type: ignore[no-untyped-call]
    assert penalty.item() == pytest.approx(1.0)
    assert weight.grad is not None
    assert weight.grad.isfinite()


@given(
    k=st.floats(0, 1), real=st.floats(0, 2), fake=st.floats(0, 2), gamma=st.floats(0.1, 1), rate=st.floats(0.001, 0.1)
)
def test_the_equilibrium_by_hand(k: float, real: float, fake: float, gamma: float, rate: float) -> None:
    """k moves by rate (gamma L(x) - L(G)) and stays in [0, 1]; M is L(x) and the absolute gap."""
    given_k, given_real, given_fake = (torch.tensor(value, dtype=torch.float64) for value in (k, real, fake))
    after, measure = losses.equilibrium(given_k, given_real, given_fake, gamma=gamma, rate=rate)
    assert after.item() == pytest.approx(min(1.0, max(0.0, k + rate * (gamma * real - fake))))
    assert measure.item() == pytest.approx(real + abs(gamma * real - fake))
    free, _ = losses.equilibrium(given_k, given_real, given_fake, gamma=gamma, rate=rate, bounded=False)
    assert free.item() == pytest.approx(k + rate * (gamma * real - fake))
