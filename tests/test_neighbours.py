"""Nearest rows and balls agree with float64 differences, for all tiles, ties, copies and scales."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval import distances
from ganeval.distances import Distance, Frame, Rows, squares_between
from ganeval.errors import MetricError
from ganeval.neighbours import balls, near_balls, nearest, nearest_others

KINDS = ("plain", "integers", "far away", "copies", "near-copies", "half", "tiny", "huge")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)] if torch.cuda.is_available() else ["cpu"]


def rows(n: int, d: int, kind: str, seed: int) -> Tensor:
    """Features for which distances are numerically difficult."""
    rng = torch.Generator().manual_seed(seed)
    plain = torch.randn(n, d, generator=rng)
    few = torch.randn(3, d, generator=torch.Generator().manual_seed(0))[torch.randint(0, 3, (n,), generator=rng)]
    made: dict[str, Tensor] = {
        "plain": plain,
        "integers": plain.round(),
        "far away": 5 + 1e-5 * plain,
        "copies": few,
        "near-copies": few.double() + 1e-9 * plain.double(),
        "half": plain.half(),
        "tiny": 1e-30 * plain,
        "huge": 1e30 * plain,
    }
    return made[kind]


def naive(queries: Tensor, points: Tensor, *, same: bool = False, distance: Distance = "euclidean") -> Tensor:
    """Distances from all differences, float64; a row is infinitely far from itself."""
    x, y = queries.double(), points.double()
    if distance == "cosine":
        x, y = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    squares = (x[:, None] - y[None]).square().sum(2)
    if same:
        squares.fill_diagonal_(torch.inf)
    return squares / 2 if distance == "cosine" else squares.sqrt()


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_chosen_rows_are_a_set_of_their_own(distance: Distance) -> None:
    """Neighbours among some rows are those of a copy of these rows, bit for bit, without the copy."""
    points, queries = rows(40, 7, "copies", 0), rows(30, 7, "plain", 1)
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:25]
    some, copied = Rows(points, distance, chosen=chosen), Rows(points[chosen], distance)
    assert len(some) == 25
    for found, expected in (
        (nearest(Rows(queries, distance), some, 3), nearest(Rows(queries, distance), copied, 3)),
        (nearest_others(some, 3), nearest_others(copied, 3)),
    ):
        assert torch.equal(found.distances, expected.distances)
        assert torch.equal(found.indices, expected.indices)


@settings(max_examples=30)
@given(
    st.sampled_from(KINDS),
    st.tuples(st.integers(6, 50), st.integers(6, 50), st.integers(1, 20), st.integers(1, 5), st.integers(0, 1000)),
    st.sampled_from([4, 400, 1 << 24]),
    st.sampled_from(["euclidean", "cosine"]),
)
def test_neighbours_are_those_of_float64(
    kind: str, sizes: tuple[int, int, int, int, int], tile_bytes: int, distance: Distance
) -> None:
    """Distances are float64's own for every kind of features and size of tiles; ties go to the lower index."""
    n, m, d, k, seed = sizes
    x, y = rows(n, d, kind, seed), rows(m, d, kind, seed + 1)
    if distance == "cosine" and min(x.double().norm(dim=1).min(), y.double().norm(dim=1).min()) == 0:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "TILE_BYTES", tile_bytes)
        for same in (False, True):
            points = x if same else y
            found = nearest_others(Rows(x, distance), k) if same else nearest(Rows(x, distance), Rows(y, distance), k)
            expected, order = naive(x, points, same=same, distance=distance).sort(dim=1, stable=True)
            scale = float(x.double().norm(dim=1).max()) if distance == "euclidean" else 1.0
            assert torch.allclose(found.distances, expected[:, :k], rtol=1e-9, atol=1e-14 * scale)
            if distance == "euclidean":
                assert torch.equal(found.indices, order[:, :k])


def test_fingerprints_do_not_depend_on_the_default_device() -> None:
    """Their keys are drawn on the CPU, and used where the rows are."""
    rows = Rows(torch.arange(12.0).reshape(4, 3))
    with torch.device("meta"):
        found = rows.fingerprints
    assert torch.equal(found, Rows(rows.features).fingerprints)


def test_equal_rows_are_at_exactly_zero() -> None:
    """The distance is exactly zero, also across sets and where float32 products would leave a remainder."""
    x = 100 + torch.randn(40, 300, generator=torch.Generator().manual_seed(0))
    assert (nearest(Rows(x[:7]), Rows(x)).distances == 0).all()
    assert nearest(Rows(x[:7]), Rows(x)).indices[:, 0].tolist() == list(range(7))
    assert (nearest(Rows(x[:7], "cosine"), Rows(x, "cosine")).distances == 0).all()


def test_heaps_of_copies_are_listed_by_index() -> None:
    """With more copies than candidates the lowest indices are listed, without the row itself, for any tile size."""
    x = torch.randn(2, 30, generator=torch.Generator().manual_seed(0)).repeat(20, 1)
    found = nearest_others(Rows(x), 3)
    assert (found.distances == 0).all()
    assert found.indices[0].tolist() == [2, 4, 6]
    assert found.indices[4].tolist() == [0, 2, 6]
    assert found.indices[39].tolist() == [1, 3, 5]
    assert nearest(Rows(x[1:2]), Rows(x), 3).indices.tolist() == [[1, 3, 5]]


def test_negative_zero_equals_zero() -> None:
    """The sign of a zero is no difference."""
    x = torch.zeros(4, 3)
    x[:, 1] = 1
    y = x.clone()
    y[:, 0] = -0.0
    assert torch.equal(Rows(x).fingerprints, Rows(y).fingerprints)
    assert (nearest(Rows(x), Rows(y)).distances == 0).all()


def test_float32_squares_are_within_their_bound() -> None:
    """No square in a tile differs from the true value by more than the assumed bound."""
    for d in (1, 7, 300, 2048):
        x = torch.randn(150, d, generator=torch.Generator().manual_seed(d)) + 3
        frame = Frame(Rows(x), Rows(x[:70] + 1e-3))
        ((_, _, tile),) = frame.tiles()
        i, j = torch.meshgrid(torch.arange(150), torch.arange(70), indexing="ij")
        exact = squares_between(frame.first, frame.second, i.flatten(), j.flatten()).view(150, 70) / frame.unit**2
        slack = torch.stack([frame.slack(frame.lengths[0], column) for column in exact.T], 1)
        assert ((tile.double() - exact).abs() <= slack).all()


@pytest.mark.parametrize("switch", ["tf32", "autocast"])
def test_shortcuts_of_the_caller_do_not_reach_distances(switch: str) -> None:
    """A training loop that allows bfloat16 gets the same neighbours."""
    x, y = rows(60, 64, "plain", 0), rows(50, 64, "plain", 1)
    expected = nearest(Rows(x), Rows(y), 3)
    if switch == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = nearest(Rows(x), Rows(y), 3)
    else:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            found = nearest(Rows(x), Rows(y), 3)
        finally:
            torch.set_float32_matmul_precision(before)
    assert torch.equal(found.distances, expected.distances)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("kind", ["plain", "integers", "copies", "near-copies", "far away"])
@pytest.mark.parametrize("tile_bytes", [400, 1 << 24])
def test_who_is_in_whose_ball_is_what_all_differences_say(
    kind: str, inclusive: bool, device: str, tile_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Radii are exact, and so is whether a row is inside, on the surface or outside, in both directions."""
    monkeypatch.setattr(distances, "TILE_BYTES", tile_bytes)
    x, y, k = rows(40, 6, kind, 3).to(device), rows(30, 6, kind, 4).to(device), 3
    y[:4] = x[:4]
    first, second = balls(Rows(x), k, depth=9), balls(Rows(y), k, depth=9)
    radii = [naive(side, side, same=True).sort(dim=1).values[:, k - 1] for side in (x, y)]
    assert torch.allclose(first.squares.sqrt(), radii[0], rtol=1e-9, atol=1e-15)
    between = naive(x, y)
    inside = [torch.zeros(40, 30, dtype=torch.bool), torch.zeros(40, 30, dtype=torch.bool)]
    for there, back in near_balls(first, second, inclusive=inclusive):
        inside[0][there.centres.cpu(), there.rows.cpu()] = there.inside.cpu()
        inside[1][back.rows.cpu(), back.centres.cpu()] = back.inside.cpu()
    for found, limits in zip(inside, (radii[0][:, None], radii[1]), strict=True):
        tied = (between - limits).abs() <= 1e-12 * limits
        expected = tied | (between < limits) if inclusive else ~tied & (between < limits)
        assert torch.equal(found, expected.cpu())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: nearest_others(Rows(x), 5), "There are no 5 nearest neighbours among 5 images .*choose 1 to 4"),
        (lambda x: nearest_others(Rows(x), 0), "choose 1 to 4"),
        (lambda x: nearest(Rows(x), Rows(x), 6), "choose 1 to 5"),
        (lambda x: nearest_others(Rows(x[:1]), 1), "give more images"),
        (lambda x: balls(Rows(x), 5, depth=9), "choose 1 to 4"),
        (lambda x: Rows(0 * x, "cosine"), "5 of 5 images have features of zeros"),
        (lambda x: Rows(x, "manhattan"), "choose euclidean or cosine"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(call: Callable[[Tensor], object], message: str) -> None:
    """The error says what would work."""
    with pytest.raises(MetricError, match=message):
        call(torch.ones(5, 3))
