"""The fifteen published sanity checks of fidelity and diversity metrics, as a table, and checks on features of images.

Published: Räisä, van Breugel and van der Schaar 2025, "Position: All Current Generative Fidelity and Diversity Metrics
are Flawed". Reals and fakes are drawn from simple distributions whose distance grows with a setting; a rule says what
the metric's curve must look like, for a fidelity and for a diversity metric. The rules for distances, the checks on
images and those on features as they are (the published ones standardise them by the reals) are of this project.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.criteria import (
    RISE,
    Criterion,
    as_similarity,
    at,
    bell,
    close_to,
    falling,
    first,
    last,
    level,
    low_or_high,
    no_better,
    rising,
    valley,
)

Rows = NDArray[np.float64]
Random = np.random.RandomState
# Draws reals once, and returns both sets of rows at each setting.
Draws = Callable[[Random], Callable[[float], tuple[Rows, Rows]]]
COUNT = 1000
DIMENSIONS = (1, 8, 64)
# The published grids have 51, 50 and 20 settings; these places of them are used, with both ends and the middle.
OF_51 = (0, 8, 15, 20, 25, 30, 35, 42, 50)
OF_50 = (0, 10, 20, 30, 40, 47, 49)
OF_20 = (0, 3, 6, 9, 12, 15, 19)
# Numbers of images from 100 to 4,832; the published ones go on to 10,000. Those after the published median must agree.
SIZES = tuple(float(int(size)) for size in np.logspace(2, 4, 20)[[0, 4, 8, 10, 13, 16]])
MEDIAN_SIZE = 1007.0
OVERLAP = 0.2
# What a rule is about: the desiderata of the paper.
PURPOSE, OPTIONS, DATA, BOUNDS, INVARIANCE = "D1 purpose", "D2 options", "D3 data", "D4 bounds", "D5 invariance"


@dataclass(frozen=True, slots=True)
class Case:
    """One form of a check. standardised: both sets are scaled by the reals' means and standard deviations."""

    name: str
    settings: Sequence[float]
    draws: Draws
    standardised: bool = True


class Rule(NamedTuple):
    """What must hold, by kind of metric; None where nothing is asked of it."""

    about: str
    fidelity: Criterion | None = None
    diversity: Criterion | None = None
    distance: Criterion | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Rules that hold in all cases. apart: rules of single cases, by their names."""

    name: str
    cases: Sequence[Case]
    rules: Sequence[Rule]
    apart: Mapping[str, Sequence[Rule]] | None = None

    def rules_of(self, case: Case) -> Sequence[Rule]:
        """The rules for a case."""
        return (*self.rules, *(self.apart or {}).get(case.name, ()))


def published() -> list[Check]:
    """The fifteen checks, in the paper's sizes and dimensions."""
    means = {dim: np.linspace(-end, end, 51)[list(OF_51)] for dim, end in zip(DIMENSIONS, (6, 3, 1), strict=True)}
    deviations = {
        dim: np.logspace(-end, end, 51)[list(OF_51)] for dim, end in zip(DIMENSIONS, (3, 1, 0.5), strict=True)
    }
    shifted = (_same(0.0), *_apart(), Rule(PURPOSE, bell(0.0), bell(0.0), valley(0.0)))
    modes = (
        _same(0.0),
        Rule(BOUNDS, close_to(1, last, "most modes dropped")),
    )
    converging = level(after=MEDIAN_SIZE), level(after=MEDIAN_SIZE), _steady(after=MEDIAN_SIZE)
    radii = np.linspace(0.1, 1.9, 51)[list(OF_51)]
    radius = float(radii[4])
    overlap = close_to(OVERLAP, last, "most images")
    return [
        Check("Gaussian, mean", [_case(dim, means[dim], _gaussians(dim)) for dim in DIMENSIONS], shifted),
        Check(
            "Gaussian, mean, with an outlier",
            [
                replace(
                    _case(dim, means[dim], _with_outlier(dim, side, max(means[dim]))), name=f"{side} outlier, {dim} d"
                )
                for side in ("real", "fake")
                for dim in DIMENSIONS
            ],
            shifted,
        ),
        Check(
            "Gaussian, standard deviation",
            [_case(dim, deviations[dim], _spread(dim)) for dim in DIMENSIONS],
            (
                _same(1.0),
                Rule(BOUNDS, close_to(1, first, "narrowest"), close_to(0, first, "narrowest")),
                Rule(BOUNDS, close_to(0, last, "widest"), _either_bound(last, "widest")),
                Rule(PURPOSE, falling(), low_or_high(bell(1.0), rising()), valley(1.0)),
            ),
        ),
        Check(
            "Modes dropped at once",
            [_case(dim, np.linspace(0, 1, 50)[list(OF_50)], _fading_modes(dim)) for dim in DIMENSIONS],
            (*modes, _dropped((float(np.linspace(0, 1, 50)[47]), 0.1))),
        ),
        Check(
            "Modes dropped one by one",
            [_case(dim, range(10), _fewer_modes(dim)) for dim in DIMENSIONS],
            (*modes, _dropped((4.0, 0.1))),
        ),
        Check(
            "Modes dropped and invented",
            [_case(2, range(1, 11), _counted_modes)],
            (
                _same(5.0),
                Rule(BOUNDS, close_to(1, first, "most dropped"), close_to(1, last, "most invented")),
                Rule(PURPOSE, falling(), rising(), valley(5.0)),
            ),
        ),
        Check(
            "Surface of a hypersphere",
            [_case(dim, radii, _surfaces(dim)) for dim in (2, 16, 128)],
            (
                _same(radius),
                *_apart(),
                Rule(PURPOSE, bell(radius), bell(radius), valley(radius)),
            ),
        ),
        Check(
            "Hypercubes, both sizes",
            [_case(dim, SIZES, _cubes(dim, fixed=False)) for dim in DIMENSIONS],
            (Rule(DATA, *converging), Rule(PURPOSE, overlap, overlap)),
        ),
        Check(
            "Hypercubes, size of fakes",
            [_case(dim, SIZES, _cubes(dim, fixed=True)) for dim in DIMENSIONS],
            (Rule(OPTIONS, *converging), Rule(PURPOSE, overlap, overlap)),
        ),
        Check(
            "Ball and torus",
            [
                Case("ball of reals", SIZES, _ball_and_torus(ball_is_real=True)),
                Case("torus of reals", SIZES, _ball_and_torus(ball_is_real=False)),
            ],
            (
                Rule(PURPOSE, *converging),
                Rule(BOUNDS, close_to(0, last, "most fakes"), close_to(0, last, "most fakes")),
            ),
        ),
        Check(
            "One mode for two",
            [_case(dim, np.linspace(0, 5, 20)[list(OF_20)], _one_for_two(dim)) for dim in DIMENSIONS],
            (
                _same(0.0),
                Rule(PURPOSE, falling(), low_or_high(falling(), level()), as_similarity(falling())),
            ),
        ),
        Check("Scale of one dimension", [_case(2, _scales(), _scaled)], _unmoved()),
        Check(
            "Gaussian, mean, and a Pareto dimension",
            [_case(2, np.linspace(-6, 6, 51)[list(OF_51)], _beside_pareto)],
            shifted,
        ),
        Check(
            "One dimension apart, many alike",
            [_case(2, (10 ** np.linspace(0, 3, 20)[list(OF_20)]).astype(int), _one_apart)],
            _unmoved(),
        ),
        Check(
            "Discrete and continuous",
            [
                Case(f"{side} discrete", (10 ** np.linspace(0, 3, 20)[list(OF_20)]).tolist(), _rounded(side))
                for side in ("real", "fake")
            ],
            (Rule(PURPOSE, level(), level()),),
            apart={
                "real discrete": [
                    Rule(BOUNDS, close_to(0, place, where), _either_bound(place, where))
                    for place, where in ((first, "coarsest"), (last, "finest"))
                ],
                "fake discrete": [
                    Rule(BOUNDS, close_to(1, place, where), close_to(0, place, where))
                    for place, where in ((first, "coarsest"), (last, "finest"))
                ],
            },
        ),
    ]


def as_they_are() -> list[Check]:
    """Two of the published checks on features that are not standardised, as no extractor's are."""
    found = []
    for check in published():
        if check.name in ("Scale of one dimension", "Gaussian, mean, and a Pareto dimension"):
            cases = [replace(case, standardised=False) for case in check.cases]
            found.append(replace(check, name=f"{check.name}, as it is", cases=cases))
    return found


@dataclass(frozen=True, slots=True)
class Pictures:
    """Features of images by an extractor: float64 [N, D], with classes int64 [N].

    noisy: by strength of noise, the features of the same images with noise added, [N, D].
    """

    features: Rows
    labels: NDArray[np.int64]
    noisy: Mapping[float, Rows]


def on_pictures(pictures: Pictures, count: int = 400) -> list[Check]:
    """Checks on features of images: sets of `count` reals and `count` fakes, fewer if there are not as many."""
    classes = len(np.unique(pictures.labels))
    half = classes // 2
    smallest = min(int((pictures.labels == label).sum()) for label in np.unique(pictures.labels))
    count = min(count, half * (smallest // 2))
    strengths = sorted(pictures.noisy)
    sizes = tuple(float(size) for size in np.geomspace(50, len(pictures.labels) // 2, 6).astype(int))
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    middle, most = float(np.median(sizes)), close_to(1, last, "most images")
    like_fresh = no_better(last, "all copies")

    def case(settings: Sequence[float], draws: Draws, name: str = "") -> Case:
        return Case(name, settings, draws, standardised=False)

    return [
        Check(
            "Classes dropped",
            [case(range(classes - half + 1), _dropped_classes(pictures, count))],
            (
                _same(0.0),
                Rule(BOUNDS, close_to(1, last, "most dropped")),
                Rule(PURPOSE, level(), falling(), as_similarity(falling())),
            ),
        ),
        Check(
            "Classes invented",
            [case(range(classes - half + 1), _invented_classes(pictures, count, half))],
            (
                _same(0.0),
                Rule(BOUNDS, None, close_to(1, last, "most invented")),
                Rule(PURPOSE, falling(), level(), as_similarity(falling())),
            ),
        ),
        Check(
            "Noise, with one outlier",
            [
                case(strengths, _noise_and_outlier(pictures, count, side), f"{side} outlier")
                for side in ("real", "fake")
            ],
            (
                _same(strengths[0]),
                Rule(BOUNDS, close_to(0, last, "most noise"), close_to(0, last, "most noise")),
                Rule(PURPOSE, falling(), falling(), as_similarity(falling())),
            ),
        ),
        Check(
            "Copies of reals",
            [case(shares, _copies(pictures, count))],
            (Rule(INVARIANCE, like_fresh, like_fresh),),
        ),
        Check(
            "Repeated fakes",
            [case((0.0, 0.5, 0.8, 0.9, 0.95), _repeats(pictures, count))],
            (_same(0.0), Rule(PURPOSE, level(), falling(), as_similarity(falling()))),
        ),
        Check(
            "Number of images",
            [case(sizes, _growing(pictures))],
            (Rule(DATA, level(after=middle), level(after=middle), _steady(after=middle)), Rule(BOUNDS, most, most)),
        ),
    ]


# What rules are made of


def _same(setting: float) -> Rule:
    """The same distribution twice."""
    same = close_to(1, at(setting), "the same distribution")
    return Rule(BOUNDS, same, same, as_similarity(same))


def _apart() -> tuple[Rule, Rule]:
    """Disjoint distributions at both ends."""
    ends = (close_to(0, first, "far below"), close_to(0, last, "far above"))
    return Rule(BOUNDS, ends[0], ends[0]), Rule(BOUNDS, ends[1], ends[1])


def _steady(*, after: float = -math.inf) -> Criterion:
    """Level, for a distance: it is drawn once, and by chance alone varies by a tenth, so it may vary by a fifth."""
    return as_similarity(level(after=after, within=RISE))


def _either_bound(value: Callable[[Mapping[float, float]], float], where: str) -> Criterion:
    return low_or_high(close_to(0, value, where), close_to(1, value, where))


def _dropped(halfway: tuple[float, float]) -> Rule:
    return Rule(PURPOSE, level(), falling(halfway=halfway), as_similarity(falling()))


def _unmoved() -> tuple[Rule, Rule, Rule]:
    """Disjoint distributions at every setting."""
    return *_apart(), Rule(INVARIANCE, level(), level(), _steady())


# Drawing


def standardised(real: Rows, fake: Rows) -> tuple[Rows, Rows]:
    """Both sets, scaled by the means and standard deviations of the reals; a constant column is only shifted."""
    scale = real.std(0)
    scale[scale == 0] = 1
    return (real - real.mean(0)) / scale, (fake - real.mean(0)) / scale


def tensors(real: Rows, fake: Rows) -> tuple[Tensor, Tensor]:
    """As metrics take them."""
    return torch.from_numpy(np.ascontiguousarray(real)), torch.from_numpy(np.ascontiguousarray(fake))


def _case(dim: int, settings: Sequence[float] | Rows | NDArray[np.int64], draws: Draws) -> Case:
    return Case(f"{dim} d", [float(setting) for setting in settings], draws)


def _gaussians(dim: int) -> Draws:
    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        real = rng.normal(size=(COUNT, dim))
        return lambda mean: (real, rng.normal(mean, size=(COUNT, dim)))

    return begin


def _with_outlier(dim: int, side: str, place: float) -> Draws:
    """One row more on one side, where the furthest fakes are."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        plain = _gaussians(dim)(rng)
        outlier = np.full((1, dim), place)

        def draw(mean: float) -> tuple[Rows, Rows]:
            real, fake = plain(mean)
            if side == "real":
                return np.concatenate([real, outlier]), fake
            return real, np.concatenate([fake, outlier])

        return draw

    return begin


def _spread(dim: int) -> Draws:
    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        real = rng.normal(size=(COUNT, dim))
        return lambda deviation: (real, rng.normal(0, deviation, size=(COUNT, dim)))

    return begin


def _mixture(rng: Random, means: Rows, deviation: float, shares: Rows, count: int = COUNT) -> Rows:
    """Gaussians around the means [K, D], in these shares."""
    chosen = rng.choice(len(means), size=count, p=shares / shares.sum())
    return rng.normal(means[chosen], deviation)


def _ten_modes(dim: int, rng: Random, shares: Callable[[float], Rows]) -> Callable[[float], tuple[Rows, Rows]]:
    """Ten modes along the diagonal, all of them in the reals."""
    means = np.tile(np.linspace(0, 10, 10)[:, None], (1, dim))
    deviation = {1: 1 / 6, 8: 1 / 3, 64: 1.0}[dim]
    real = _mixture(rng, means, deviation, np.ones(10))
    return lambda setting: (real, _mixture(rng, means, deviation, shares(setting)))


def _fading_modes(dim: int) -> Draws:
    """Nine of ten modes lose the same share of their fakes."""
    return lambda rng: _ten_modes(dim, rng, lambda dropped: np.array([1.0] + [1 - dropped] * 9))


def _fewer_modes(dim: int) -> Draws:
    return lambda rng: _ten_modes(dim, rng, lambda dropped: (np.arange(10) < 10 - dropped).astype(float))


# The published centres, which were drawn once; the reals have the first five.
CENTRES = np.array(
    [
        [5.46794328, -4.08481523],
        [4.87211875, -13.64864684],
        [-16.39432073, 9.09802249],
        [-2.15447941, 12.46200019],
        [11.55784483, -4.96049923],
        [-24.60558474, 14.18020818],
        [16.84215967, -3.18710751],
        [-5.47807206, -6.77247129],
        [9.46726546, 1.05922347],
        [-5.40346201, -17.29490131],
    ]
)


def _counted_modes(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
    """The fakes have the first 1 to 10 modes, the reals five."""
    real = _mixture(rng, CENTRES[:5], 0.25, np.ones(5))
    return lambda modes: (real, _mixture(rng, CENTRES[: int(modes)], 0.25, np.ones(int(modes))))


def _surfaces(dim: int) -> Draws:
    def sphere(rng: Random) -> Rows:
        rows = rng.normal(size=(COUNT, dim))
        unit: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        real = sphere(rng)
        return lambda radius: (real, radius * sphere(rng))

    return begin


def _cubes(dim: int, *, fixed: bool) -> Draws:
    """Unit cubes along the diagonal that share a fifth of their volume. fixed: 1,000 reals at every setting."""
    start = 1 - OVERLAP ** (1 / dim)

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        reals = rng.uniform(size=(COUNT, dim)) if fixed else None

        def draw(size: float) -> tuple[Rows, Rows]:
            real = rng.uniform(size=(int(size), dim)) if reals is None else reals
            return real, rng.uniform(start, start + 1, size=(int(size), dim))

        return draw

    return begin


def _in_ball(rng: Random, count: int, dim: int) -> Rows:
    """Uniform in the unit ball."""
    rows = rng.normal(size=(count, dim))
    lengths = rng.uniform(size=(count, 1)) ** (1 / dim)
    inside: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True) * lengths
    return inside


def _torus(rng: Random, count: int) -> Rows:
    """A disc of radius 0.1 at distance 1 from the axis, turned by a uniform angle."""
    disc = 0.1 * _in_ball(rng, count, 2)
    angles, out = rng.uniform(0, 2 * math.pi, count), 1 + disc[:, 0]
    return np.stack([out * np.cos(angles), out * np.sin(angles), disc[:, 1]], axis=1)


def _ball_and_torus(*, ball_is_real: bool) -> Draws:
    """A ball of radius 0.8 in the hole of a torus."""

    def ball(rng: Random, count: int) -> Rows:
        return 0.8 * _in_ball(rng, count, 3)

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        of_reals, of_fakes = (ball, _torus) if ball_is_real else (_torus, ball)
        real = of_reals(rng, COUNT)
        return lambda size: (real, of_fakes(rng, int(size)))

    return begin


def _one_for_two(dim: int) -> Draws:
    """Reals of two modes, and fakes of one; as published, its variance is that of modes twice as far apart."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        def draw(distance: float) -> tuple[Rows, Rows]:
            means = np.tile(np.array([[-distance / 2], [distance / 2]]), (1, dim))
            real = _mixture(rng, means, 1.0, np.ones(2))
            return real, rng.normal(0, math.sqrt(1 + distance**2), size=(COUNT, dim))

        return draw

    return begin


def _scales() -> Rows:
    grid: Rows = np.logspace(-3, 3, 20)[list(OF_20)]
    return grid


def _scaled(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
    """Six standard deviations apart in the first of two dimensions; the second is scaled."""

    def draw(scale: float) -> tuple[Rows, Rows]:
        real, fake = rng.normal(size=(COUNT, 2)), rng.normal((6, 0), size=(COUNT, 2))
        return real * (1, scale), fake * (1, scale)

    return draw


def _beside_pareto(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
    """The mean of the first dimension moves; the second has the same heavy tail on both sides."""

    def tail() -> Rows:
        return 1 + rng.pareto(1.01, size=(COUNT, 1))

    real = np.concatenate([rng.normal(size=(COUNT, 1)), tail()], axis=1)
    return lambda mean: (real, np.concatenate([rng.normal(mean, size=(COUNT, 1)), tail()], axis=1))


def _one_apart(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
    """Six standard deviations apart in one dimension, and alike in as many others as the setting says."""

    def draw(others: float) -> tuple[Rows, Rows]:
        real, fake = (rng.normal(size=(COUNT, int(others) + 1)) for _ in range(2))
        fake[:, 0] += 6
        return real, fake

    return draw


def _rounded(side: str) -> Draws:
    """The same Gaussian; one side is rounded to whole numbers, which are finer the larger the scale."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        def draw(scale: float) -> tuple[Rows, Rows]:
            real, fake = (scale * rng.normal(size=(COUNT, 1)) for _ in range(2))
            return (np.round(real), fake) if side == "real" else (real, np.round(fake))

        return draw

    return begin


# Features of images


def _split(pictures: Pictures, rng: Random) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows for reals and rows for fakes, half of each class, both shuffled; and the classes in random order."""
    order = rng.permutation(len(pictures.labels))
    halves: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    classes = rng.permutation(np.unique(pictures.labels))
    for label in classes:
        rows = order[pictures.labels[order] == label]
        halves[0].append(rows[::2])
        halves[1].append(rows[1::2])
    return rng.permutation(np.concatenate(halves[0])), rng.permutation(np.concatenate(halves[1])), classes


def _of(pictures: Pictures, rows: NDArray[np.int64], classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first `count` of the rows that are of these classes, with equal shares."""
    by_class = [rows[pictures.labels[rows] == label] for label in classes]
    shares = [len(part) for part in np.array_split(np.arange(count), len(classes))]
    return np.concatenate([found[:share] for found, share in zip(by_class, shares, strict=True)])


def _dropped_classes(pictures: Pictures, count: int) -> Draws:
    """Reals of all classes; the setting says how many of them the fakes lack."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        reals, fakes, classes = _split(pictures, rng)
        real = pictures.features[_of(pictures, reals, classes, count)]
        return lambda dropped: (real, pictures.features[_of(pictures, fakes, classes[int(dropped) :], count)])

    return begin


def _invented_classes(pictures: Pictures, count: int, known: int) -> Draws:
    """Reals of some classes; fakes of the same and of as many others as the setting says."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        reals, fakes, classes = _split(pictures, rng)
        real = pictures.features[_of(pictures, reals, classes[:known], count)]
        return lambda more: (real, pictures.features[_of(pictures, fakes, classes[: known + int(more)], count)])

    return begin


def _noise_and_outlier(pictures: Pictures, count: int, side: str) -> Draws:
    """Fakes with growing noise; one image with the most is among the reals, or one clean image among the fakes."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        reals, fakes, _ = _split(pictures, rng)
        worst, spare = max(pictures.noisy), fakes[count : count + 1]
        real = pictures.features[reals[:count]]
        if side == "real":
            real = np.concatenate([real, pictures.noisy[worst][spare]])

        def draw(strength: float) -> tuple[Rows, Rows]:
            fake = pictures.noisy[strength][fakes[:count]]
            return real, fake if side == "real" else np.concatenate([fake, pictures.features[spare]])

        return draw

    return begin


def _copies(pictures: Pictures, count: int) -> Draws:
    """The setting is the share of fakes that are copies of reals."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        reals, fakes, _ = _split(pictures, rng)

        def draw(share: float) -> tuple[Rows, Rows]:
            copies = round(share * count)
            chosen = np.concatenate([reals[:copies], fakes[: count - copies]])
            return pictures.features[reals[:count]], pictures.features[chosen]

        return draw

    return begin


def _repeats(pictures: Pictures, count: int) -> Draws:
    """The setting is the share of fakes that repeat others."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        reals, fakes, _ = _split(pictures, rng)

        def draw(share: float) -> tuple[Rows, Rows]:
            chosen = np.resize(fakes[: count - round(share * count)], count)
            return pictures.features[reals[:count]], pictures.features[chosen]

        return draw

    return begin


def _growing(pictures: Pictures) -> Draws:
    """The setting is the number of images on each side."""

    def begin(rng: Random) -> Callable[[float], tuple[Rows, Rows]]:
        reals, fakes, _ = _split(pictures, rng)
        return lambda size: (pictures.features[reals[: int(size)]], pictures.features[fakes[: int(size)]])

    return begin
