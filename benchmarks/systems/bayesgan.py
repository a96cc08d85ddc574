"""The Bayesian GAN: its sampler on known laws, and the paper's synthetic data against one GAN and an ensemble of ten.

Ten clusters of 1,000 points in 100 dimensions; each lies in a plane of its own through the origin. Samples are compared
with all points by the Jensen-Shannon divergence of kernel density estimates on the points' two principal components.
The ensemble has ten generators with a discriminator each; the Bayesian GAN has ten generators and one discriminator.
All have the same networks, steps and rates.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from benchmarks.harness import mean_text, save, say, table
from reference_models import build_model, find_variant
from reference_models.base import GAN, tools_for
from reference_models.batches import Batch, Data
from reference_models.blocks.sghmc import SGHMC
from reference_models.models.bayesgan_recipes import Settings
from reference_models.recipes import SGD, Latent, Recipe

CLUSTERS, POINTS, DIMENSIONS = 10, 10_000, 100
HIDDEN, STEPS, BATCH, RATE = 200, 1000, 64, 1e-3
SAMPLES, CELL, MARGIN = 6400, 0.1, 3.0
# Chains in parallel, steps of each, and steps between the states that are used.
CHAINS, CHAIN_STEPS, THIN = 2000, 5000, 5


def main(*, runs: int) -> None:
    """Samples the known laws, then trains every method with each of `runs` seeds."""
    torch.set_num_threads(1)
    laws = sampled_laws()
    found: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed in range(runs):
        points = synthetic(seed)
        for name, method in METHODS.items():
            found[name].append(divergence(points, method(points, seed)))
            say(f"  seed {seed}, {name}: {found[name][-1]:.3f}")
    figures = {name: {"divergences": values} for name, values in found.items()}
    settings = {"hidden": HIDDEN, "steps": STEPS, "batch": BATCH, "rate": RATE, "samples": SAMPLES}
    kept = {"settings": settings, "laws": laws, "synthetic": figures}
    save("bayesgan", kept, tables(kept))


def tables(figures: Mapping[str, Any]) -> str:
    """The known laws; and means over seeds of the divergence, with differences from the Bayesian GAN, by seed."""
    found = {name: one["divergences"] for name, one in figures["synthetic"].items()}
    rows = [
        [name, mean_text(values), "" if name == BAYES else mean_text(list(np.subtract(found[BAYES], values)))]
        for name, values in found.items()
    ]
    title = f"{len(found[BAYES])} seeds, {figures['settings']['steps']} steps, 95% intervals"
    checks = [[law, name, f"{truth:.4f}", f"{value:.4f}"] for law, name, truth, value in figures["laws"]]
    return "\n\n".join(
        [
            table(["law", "quantity", "truth", "sampled"], checks),
            table([title, "Jensen-Shannon divergence", f"{BAYES} minus this, paired"], rows),
        ]
    )


def sampled_laws() -> list[tuple[str, str, float, float]]:
    """(law, quantity, truth, what SGHMC gives) for a normal law in the plane and a mixture on a line."""
    torch.manual_seed(0)
    mean, covariance = torch.tensor([1.0, -2.0]), torch.tensor([[1.0, 0.8], [0.8, 2.0]])
    precision = torch.linalg.inv(covariance)
    plane = _chains(lambda x: ((x - mean) @ precision * (x - mean)).sum(1) / 2, 2)
    found = [("normal", f"mean {axis}", float(mean[axis]), float(plane[:, axis].mean())) for axis in range(2)]
    sampled = torch.cov(plane.T)
    for row, column in ((0, 0), (0, 1), (1, 1)):
        truth, value = float(covariance[row, column]), float(sampled[row, column])
        found.append(("normal", f"covariance {row}{column}", truth, value))
    centres, deviations, shares = torch.tensor([-1.5, 1.0]), torch.tensor([0.7, 1.0]), torch.tensor([1 / 3, 2 / 3])

    def energy(x: Tensor) -> Tensor:
        logs = -(((x - centres) / deviations) ** 2) / 2 - deviations.log() + shares.log()
        return -logs.logsumexp(1)

    line = _chains(energy, 1)
    middle = float((shares * centres).sum())
    variance = float((shares * (deviations**2 + centres**2)).sum()) - middle**2
    found += [("mixture", "mean", middle, float(line.mean())), ("mixture", "variance", variance, float(line.var()))]
    return found


def _chains(energy: Callable[[Tensor], Tensor], dimensions: int) -> Tensor:
    """States of many chains of SGHMC, after a tenth of their steps."""
    state = nn.Parameter(torch.zeros(CHAINS, dimensions))
    sampler, states = SGHMC([state], 1e-2, 0.9), []
    for step in range(CHAIN_STEPS):
        sampler.zero_grad()
        energy(state).sum().backward()  # type: ignore[no-untyped-call]
        sampler.step()
        if step >= CHAIN_STEPS // 10 and step % THIN == 0:
            states.append(state.detach().clone())
    return torch.cat(states)


def synthetic(seed: int) -> Tensor:
    """The paper's data: x = A z per cluster, A ~ N(0, 25), z ~ N(mean, 1), mean ~ N(0, 25); standardised. [N, 100]"""
    rng = np.random.default_rng(seed)
    clusters = []
    for _ in range(CLUSTERS):
        centre, plane = 5 * rng.standard_normal(2), 5 * rng.standard_normal((DIMENSIONS, 2))
        clusters.append((rng.standard_normal((POINTS // CLUSTERS, 2)) + centre) @ plane.T)
    points = np.concatenate(clusters)
    return torch.from_numpy((points - points.mean(0)) / points.std(0)).float()


def recipe(**settings: object) -> Recipe:
    """One hidden layer each, latents in the plane, prior deviation 10."""
    base = find_variant("bayesgan").recipe("quick")
    own = replace(
        cast(Settings, base.settings), discriminators=1, samples=1, observations=POINTS, prior=10.0, hidden=HIDDEN
    )
    rates = dict.fromkeys(("discriminator", "generator"), SGD(RATE, 0.9))
    return replace(
        base,
        network="unbounded",
        channels=DIMENSIONS,
        resolution=1,
        latent=Latent(3, "uniform"),
        batch=BATCH,
        steps=STEPS,
        optimizers=rates,
        settings=replace(own, **settings),  # type: ignore[arg-type]
    )


def trained(points: Tensor, seed: int, **settings: object) -> Tensor:
    """Samples of a model after all steps, [n, 100]; a point is an image of one pixel with 100 channels."""
    torch.manual_seed(seed)
    plan = recipe(**settings)
    model = cast(GAN, build_model(plan, Data(DIMENSIONS, 1)))
    rng = torch.Generator().manual_seed(seed)
    images = points.view(-1, DIMENSIONS, 1, 1)
    draw = lambda: Batch(images[torch.randint(len(images), (BATCH,), generator=rng)])  # noqa: E731
    tools = tools_for(model, draw=draw, rng=rng)
    for step in range(STEPS):
        model.step(step, tools)
    with torch.no_grad():
        return model.eval().generate(model.latent(SAMPLES, rng=rng)).flatten(1)


def one(points: Tensor, seed: int) -> Tensor:
    """One GAN."""
    return trained(points, seed, generators=1, sampler="adam")


def ensemble(points: Tensor, seed: int) -> Tensor:
    """Ten GANs, with equally many samples of each."""
    runs = [trained(points, 1000 * seed + number, generators=1, sampler="adam") for number in range(10)]
    return torch.cat([samples[: SAMPLES // 10] for samples in runs])


def shared(points: Tensor, seed: int) -> Tensor:
    """Ten generators and one discriminator, without noise and prior: what sampling adds to."""
    return trained(points, seed, generators=10, sampler="adam")


def bayes(points: Tensor, seed: int) -> Tensor:
    """Ten generators and one discriminator, sampled."""
    return trained(points, seed, generators=10, burn_in=0.5)


BAYES = "Bayesian GAN, 10 generators"
METHODS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "one GAN": one,
    "ensemble of 10 GANs": ensemble,
    "10 generators, one discriminator, Adam": shared,
    BAYES: bayes,
}


def divergence(points: Tensor, samples: Tensor) -> float:
    """Jensen-Shannon, in nats, of kernel density estimates on the points' first two principal components."""
    from sklearn.decomposition import PCA

    pca = PCA(2).fit(points.numpy())
    real, fake = (pca.transform(one.numpy()) for one in (points, samples))
    axes = [np.arange(real[:, axis].min() - MARGIN, real[:, axis].max() + MARGIN, CELL) for axis in range(2)]
    places = np.stack(np.meshgrid(*axes)).reshape(2, -1)
    first, second = (_shares(rows, places) for rows in (real, fake))
    middle = (first + second) / 2
    return float(_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2


def _shares(rows: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The estimated density at places, as shares of its sum; of 2,000 rows at most, to save time."""
    chosen = np.random.default_rng(0).permutation(len(rows))[:2000]
    density = stats.gaussian_kde(rows[chosen].T)(places)
    return np.asarray(density / density.sum())


def _relative_entropy(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    held = one > 0
    return float((one[held] * np.log(one[held] / other[held])).sum())
