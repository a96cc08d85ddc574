"""Precision, recall, density, coverage: the definitions, the peers, closed forms, ties, and honest errors."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Literal

import numpy as np
import pytest
import torch
from core_helpers import values_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from torch import Tensor
from torch_fidelity.metric_prc import calculate_precision_recall_full, calculate_precision_recall_part

from ganeval import distances
from ganeval.errors import MetricError
from ganeval.metrics import cover
from ganeval.metrics.prdc import prdc

# The table's function of the same name hides the module from an ordinary import.
prdc_module = import_module("ganeval.metrics.prdc")

Ties = Literal["strict", "inclusive"]


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def values(real: Tensor, fake: Tensor, *, k: int = 5, ties: Ties = "strict") -> dict[str, float]:
    return {name: estimate.value for name, estimate in prdc(real, fake, k=k, ties=ties).items()}


def naive(real: Tensor, fake: Tensor, k: int, ties: Ties) -> dict[str, float]:
    """By the definitions, one pair of images at a time."""
    x, y = real.double().tolist(), fake.double().tolist()

    def square(a: list[float], b: list[float]) -> float:
        return math.fsum((s - t) ** 2 for s, t in zip(a, b, strict=True))

    def radii(rows: list[list[float]]) -> list[float]:
        return [sorted(square(a, b) for j, b in enumerate(rows) if j != i)[k - 1] for i, a in enumerate(rows)]

    def holds(squared: float, radius: float) -> bool:
        tied = abs(squared - radius) <= 1e-12 * radius
        return squared < radius and not tied if ties == "strict" else squared < radius or tied

    of_reals, of_fakes = radii(x), radii(y)
    in_real = [[holds(square(a, b), of_reals[i]) for b in y] for i, a in enumerate(x)]
    in_fake = [[holds(square(a, b), of_fakes[j]) for j, b in enumerate(y)] for a in x]
    found = {
        "precision": sum(any(row[j] for row in in_real) for j in range(len(y))) / len(y),
        "recall": sum(any(row) for row in in_fake) / len(x),
        "density": sum(map(sum, in_real)) / (k * len(y)),
        "coverage": sum(any(row) for row in in_real) / len(x),
    }
    complement = sum(any(row[j] for row in in_fake) for j in range(len(y))) / len(y)
    found["symmetric_precision"] = min(found["precision"], complement)
    found["symmetric_recall"] = min(found["recall"], found["coverage"])
    return found


@settings(max_examples=40)
@given(
    st.tuples(st.integers(6, 25), st.integers(6, 25), st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000)),
    st.sampled_from(["plain", "integers", "copies", "narrow"]),
    st.sampled_from(["strict", "inclusive"]),
    st.sampled_from([40, 1 << 24]),
)
def test_values_are_the_definitions(
    sizes: tuple[int, int, int, int, int], kind: str, ties: Ties, tile_bytes: int
) -> None:
    """Values agree with the definitions for plain features, ties, copies and zero distances, for every tile size."""
    n, m, d, k, seed = sizes
    real, fake = features(n, d, seed), features(m, d, seed + 1, scale=0.8)
    if kind == "integers":
        real, fake = real.round(), fake.round()
    if kind == "copies":
        fake[: min(n, m) // 2] = real[: min(n, m) // 2]
        fake[-2:] = fake[0]
    if kind == "narrow":
        real, fake = real.half(), fake.half()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "TILE_BYTES", tile_bytes)
        assert values(real, fake, k=k, ties=ties) == pytest.approx(naive(real, fake, k, ties), rel=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 8), (200, 300, 64)])
def test_strict_values_are_those_of_the_prdc_package(
    n: int, m: int, d: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same features, same k, the same four numbers."""
    real, fake = features(n, d, 0), features(m, d, 1, scale=0.9, shift=0.1)
    peer = compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    assert "Num real" in capsys.readouterr().out
    found = {name: estimate.value for name, estimate in prdc(real, fake).items()}
    assert {name: found[name] for name in peer} == pytest.approx({k: float(v) for k, v in peer.items()}, rel=1e-12)


@pytest.mark.parametrize("peer", [calculate_precision_recall_full, calculate_precision_recall_part])
def test_inclusive_precision_and_recall_are_those_of_torch_fidelity(peer: object) -> None:
    """Values agree for k = 3 with the surface included."""
    assert callable(peer)
    real, fake = features(300, 24, 0), features(250, 24, 1, scale=0.9, shift=0.1)
    precision, recall = peer(fake, real, 3)
    found = values(real, fake, k=3, ties="inclusive")
    # Theirs are means in float32.
    assert (found["precision"], found["recall"]) == pytest.approx((precision, recall), rel=1e-6)


def test_symmetric_values_are_those_of_the_authors_code() -> None:
    """On a fixed pair of sets the values are those that mahyarkoy/emergent_asymmetry_pr gave."""
    real = torch.from_numpy(np.random.RandomState(0).randn(500, 16))
    fake = torch.from_numpy(np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5)
    expected = {"symmetric_precision": 0.4575, "symmetric_recall": 0.498, "recall": 0.944, "density": 0.259}
    # Of each minimum, the part that is precision or coverage; the other share of fakes is 0.9075.
    expected |= {"precision": 0.4575, "coverage": 0.498}
    found = values(real, fake)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    # Where fakes are many and reals few around them, precision alone says that all is well.
    narrow = values(features(400, 32, 0), features(400, 32, 1, scale=1.3))
    assert narrow["symmetric_precision"] < narrow["precision"] or narrow["symmetric_recall"] < narrow["recall"]


@pytest.mark.parametrize(("ties", "density"), [("strict", 1.0), ("inclusive", 6 / 5)])
def test_a_set_against_itself(ties: Ties, density: float) -> None:
    """Every image is in its own ball, and each ball holds k of the set, or k + 1 with its surface."""
    real = features(60, 7, 0)
    expected = {**dict.fromkeys(prdc_module.NAMES, 1.0), "density": density}
    assert values(real, real.clone(), ties=ties) == pytest.approx(expected, rel=1e-12)


def test_sets_far_apart_have_nothing_in_common() -> None:
    """All values are zero, and the intervals of the shares have a non-zero width."""
    found = prdc(features(40, 5, 0), features(50, 5, 1, shift=1000.0))
    assert [estimate.value for estimate in found.values()] == [0.0] * 6
    for name in ("precision", "recall", "coverage", "symmetric_precision", "symmetric_recall"):
        interval = found[name].interval
        assert interval is not None
        assert 0.05 < interval[1] < 0.1


@pytest.mark.parametrize(("ties", "expected"), [("strict", [0.0] * 6), ("inclusive", [1.0, 1.0, 3.0, 1.0, 1.0, 1.0])])
def test_copies_of_one_image_are_all_surface(ties: Ties, expected: list[float]) -> None:
    """Balls of radius zero hold nothing, or exactly their copies."""
    constant = torch.full((15, 4), 0.1)
    assert list(values(constant, constant.clone(), ties=ties).values()) == expected


def test_precision_and_recall_trade_places_with_the_sets() -> None:
    """Recall of B by A equals precision of A by B."""
    real, fake = features(50, 6, 0), features(70, 6, 1, scale=0.7)
    there, back = prdc(real, fake), prdc(fake, real)
    assert there["precision"].value == back["recall"].value
    assert there["recall"].value == back["precision"].value


def test_neither_order_nor_rotation_matters() -> None:
    """Permuting both sets and rotating feature space leave all values unchanged."""
    real, fake = features(80, 10, 0).double(), features(70, 10, 1, scale=0.8).double()
    rng = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(10, 10, generator=rng, dtype=torch.float64))[0]
    moved = values(
        real[torch.randperm(80, generator=rng)] @ rotation, fake[torch.randperm(70, generator=rng)] @ rotation
    )
    assert moved == values(real, fake)


@pytest.mark.parametrize("ties", ["strict", "inclusive"])
def test_errors_are_made_of_the_halves_own_values(ties: Ties) -> None:
    """Half values from the full neighbour lists equal those computed on the halves."""
    real, fake = features(41, 5, 0), features(32, 5, 1, scale=0.8)
    rngs, squares = [np.random.RandomState([3, side]) for side in (0, 1)], dict.fromkeys(prdc_module.NAMES, 0.0)
    for _ in range(prdc_module.SPLITS):
        x, y = (
            torch.from_numpy(rng.permutation(len(side)) < len(side) // 2)
            for rng, side in zip(rngs, (real, fake), strict=True)
        )
        with values_alone():
            one, other = values(real[x], fake[y], k=3, ties=ties), values(real[~x], fake[~y], k=3, ties=ties)
        for name in squares:
            squares[name] += (one[name] - other[name]) ** 2 / prdc_module.SPLITS
    found = prdc(real, fake, k=3, ties=ties, seed=3)
    for name, square in squares.items():
        assert found[name].standard_error == pytest.approx(math.sqrt(square) / 2, rel=1e-9)


def test_errors_match_the_spread_over_many_draws() -> None:
    """For overlapping sets the mean error, of 15 draws, is the spread of 60."""
    sets = [(features(160, 6, 2 * i), features(160, 6, 2 * i + 1, shift=0.6)) for i in range(60)]
    with values_alone():
        draws = [prdc(*pair, k=5) for pair in sets]
    some = [prdc(*pair, k=5) for pair in sets[:15]]
    for name in prdc_module.NAMES:
        spread = float(np.std([draw[name].value for draw in draws], ddof=1))
        error = float(np.mean([draw[name].standard_error for draw in some]))
        # The spread of 60 draws is known to a tenth; halves are off by up to a quarter, as variance is not quite 1 / n.
        assert 0.7 * spread < error < 1.4 * spread


def test_the_same_seed_gives_the_same_errors() -> None:
    """The seed changes errors, not values."""
    real, fake = features(60, 6, 0), features(60, 6, 1, shift=0.6)
    first, again, other = (prdc(real, fake, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["recall"].value == other["recall"].value
    assert first["recall"].standard_error != other["recall"].standard_error


def test_a_subset_is_a_seeded_draw_of_each_set() -> None:
    """The values are those of some rows of each set, the same reals for any fakes; one as large as the sets is both."""
    real, fake = features(60, 6, 0), features(50, 6, 1, shift=0.6)
    of_all = prdc(real, fake)
    assert prdc(real, fake, subset_size=60) == of_all
    drawn = prdc(real, fake, subset_size=20)
    assert drawn == prdc(real, fake, subset_size=20)
    assert drawn["recall"].value != prdc(real, fake, subset_size=20, seed=1)["recall"].value
    some = [prdc_module._drawn(side, 20, [0, place]) for place, side in ((2, real), (3, fake))]
    assert all(len(one) == 20 and len(one.unique(dim=0)) == 20 for one in some)
    assert {name: one.value for name, one in drawn.items()} == values(*some)


def test_no_error_bar_where_halves_are_too_small() -> None:
    """The value is given without an error, and the method says why."""
    estimate = prdc(features(10, 3, 0), features(12, 3, 1), k=5)["density"]
    assert estimate.standard_error is None
    assert estimate.interval is None
    assert "halves of 10 images have too few images for k = 5" in estimate.method


def test_no_error_bar_where_too_many_pairs_would_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the memory limit the value is computed without an error."""
    real, fake = features(60, 6, 0), features(50, 6, 1)
    expected = values(real, fake)
    monkeypatch.setattr(cover, "PAIRS", 100)
    found = prdc(real, fake)
    assert {name: estimate.value for name, estimate in found.items()} == expected
    assert all(estimate.interval is None and "more than 100 pairs" in estimate.method for estimate in found.values())


@pytest.mark.parametrize(
    ("real", "fake", "k", "ties", "message"),
    [
        (torch.ones(5, 4), torch.ones(9, 4), 5, "strict", "choose a k of 1 to 4"),
        (torch.ones(5, 4), torch.ones(9, 4), 0, "strict", "k must be at least 1, found 0"),
        (torch.ones(5, 4), torch.ones(1, 4), 1, "strict", "1 fake images; give more images"),
        (torch.ones(9, 4), torch.ones(9, 3), 5, "strict", "4 dimensions and fake ones 3"),
        (torch.ones(9, 4), torch.ones(9, 4), 5, "loose", "must be 'strict' or 'inclusive', found 'loose'"),
        (torch.ones(9, 4), torch.full((9, 4), math.nan), 5, "strict", "9 of 9 images have NaN"),
    ],
)
def test_undefined_input_is_refused_with_what_would_work(
    real: Tensor, fake: Tensor, k: int, ties: Ties, message: str
) -> None:
    """Undefined input is an error that says what would work."""
    with pytest.raises(MetricError, match=message):
        prdc(real, fake, k=k, ties=ties)


@pytest.mark.parametrize(("size", "message"), [(0, "must be at least 1, found 0"), (5, "found 5 real and 5 fake")])
def test_subsets_that_are_too_small_are_refused(size: int, message: str) -> None:
    """As small sets are."""
    with pytest.raises(MetricError, match=message):
        prdc(features(9, 4, 0), features(9, 4, 1), subset_size=size)


def rounded_to_half(first: Tensor, second: Tensor, *, sums: torch.dtype) -> Tensor:
    """Squared distances as ADM's evaluator has them: |x|^2 - 2 x.y + |y|^2, in float16 but for the sums, perhaps."""
    x, y = first.half(), second.half()

    def squares(rows: Tensor) -> Tensor:
        total = torch.zeros(len(rows), dtype=sums)
        for column in rows.square().T:
            total = total + column.to(sums)
        return total.half()

    products = (x.float() @ y.float().T).half()
    return (squares(x)[:, None] - 2 * products + squares(y)).clamp(min=0).float()


def test_adms_float16_is_not_the_true_value() -> None:
    """In float64 ADM's rule gives our value; in float16 the value differs and depends on the order of summation."""
    rng = torch.Generator().manual_seed(0)
    mix = torch.randn(30, 2048, generator=rng) / 30**0.5
    sets = [
        (0.35 * (torch.randn(300, 30, generator=rng) @ mix - 0.2)).relu() + 0.35 * torch.rand(300, 2048, generator=rng)
        for _ in range(2)
    ]

    def by_rule(distances: Callable[[Tensor, Tensor], Tensor]) -> float:
        real, fake = sets
        radii = distances(real, real).kthvalue(4, dim=1).values
        return float((distances(real, fake) <= radii[:, None]).any(0).double().mean())

    true = prdc(*sets, k=3, ties="inclusive")["precision"].value
    assert by_rule(lambda x, y: torch.cdist(x.double(), y.double())) == true
    wide, narrow = (
        by_rule(lambda x, y, sums=sums: rounded_to_half(x, y, sums=sums))  # type: ignore[misc]
        for sums in (torch.float32, torch.float16)
    )
    assert abs(wide - true) <= 0.01
    assert narrow > max(wide, true) + 0.015
