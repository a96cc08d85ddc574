"""Linear algebra of FID: the trace of the root and the transport, for every form of a covariance."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval import linalg
from ganeval.errors import MetricError
from ganeval.linalg import Covariance, chunks, root_trace, transport


def centred(n: int, d: int, seed: int, rank: int | None = None) -> Tensor:
    """n centred samples of d dimensions, float64, of at most this rank."""
    rng = torch.Generator().manual_seed(seed)
    rank = d if rank is None else rank
    samples = torch.randn(n, rank, generator=rng, dtype=torch.float64)
    samples = samples @ torch.randn(rank, d, generator=rng, dtype=torch.float64)
    return samples - samples.mean(0)


def dense(samples: Tensor, divisor: int) -> Tensor:
    """The covariance matrix of centred samples."""
    return samples.T @ samples / divisor


def root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix, by its eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def naive_root_trace(s1: Tensor, s2: Tensor) -> float:
    """tr (S1^(1/2) S2 S1^(1/2))^(1/2), as it is written."""
    half = root(s1.numpy())
    return float(np.trace(root(half @ s2.numpy() @ half)))


def forms(n: int, d: int, seed: int, rank: int | None = None) -> tuple[Covariance, Covariance]:
    """One covariance as a matrix and as samples."""
    samples = centred(n, d, seed, rank)
    return Covariance(matrix=dense(samples, n - 1)), Covariance(samples=samples, divisor=n - 1)


@settings(max_examples=60)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 20), st.integers(1, 20), st.integers(0, 999))
def test_the_trace_is_the_same_in_every_form(n: int, m: int, d: int, rank: int, seed: int) -> None:
    """The trace is the definition's for matrix or samples, in either place, of any rank, with or without vectors."""
    firsts, seconds = forms(n, d, seed, min(rank, d)), forms(m, d, seed + 1)
    assert firsts[0].matrix is not None
    assert seconds[0].matrix is not None
    expected = naive_root_trace(firsts[0].matrix, seconds[0].matrix)
    # The naive way takes roots of eigenvalues that are zero but for rounding.
    allowed = 1e-6 * math.sqrt(firsts[0].trace * seconds[0].trace) + 1e-12
    for first in firsts:
        for second in seconds:
            assert root_trace(first, second) == pytest.approx(expected, abs=allowed)
            assert float(transport(first, second).values.sum()) == pytest.approx(expected, abs=allowed)


def test_traces_of_both_forms_agree() -> None:
    """Both forms give the sum of variances."""
    matrix, samples = forms(9, 5, 0)
    assert matrix.trace == pytest.approx(samples.trace, rel=1e-13)


@pytest.mark.parametrize("form", [0, 1])
def test_the_forms_are_those_of_the_optimal_map(form: int) -> None:
    """x'Tx and y'T^(-1)y, with T = S1^(-1/2) (S1^(1/2) S2 S1^(1/2))^(1/2) S1^(-1/2), which carries S1 to S2."""
    n, m, d = 40, 50, 6
    first, second = forms(n, d, 1)[0], forms(m, d, 2)[form]
    s1, s2 = dense(centred(n, d, 1), n - 1), dense(centred(m, d, 2), m - 1)
    half = root(s1.numpy())
    inverse = np.linalg.inv(half)
    carried = torch.from_numpy(inverse @ root(half @ s2.numpy() @ half) @ inverse)
    assert torch.allclose(carried @ s1 @ carried, s2, rtol=1e-8)
    moved = transport(first, second)
    x, y = centred(n, d, 1), centred(m, d, 2)
    assert torch.allclose(moved.first_forms(x), ((x @ carried) * x).sum(1), rtol=1e-8)
    assert torch.allclose(moved.second_forms(y), ((y @ torch.linalg.inv(carried)) * y).sum(1), rtol=1e-8)


def test_a_singular_matrix_gives_the_forms_of_the_map_on_its_span() -> None:
    """The inverses of the map are pseudo-inverses, where a covariance is of lower rank than its dimensions."""
    x, y = 30 * centred(40, 6, 1, rank=3), centred(50, 6, 2)
    s1, s2 = dense(x, 39), dense(y, 49)
    half = root(s1.numpy())
    inverse = np.linalg.pinv(half, rcond=1e-6, hermitian=True)
    carried = torch.from_numpy(inverse @ root(half @ s2.numpy() @ half) @ inverse)
    moved = transport(Covariance(matrix=s1), Covariance(matrix=s2))
    assert moved.factor.squares is not None
    assert torch.allclose(moved.first_forms(x), ((x @ carried) * x).sum(1), rtol=1e-8)


def test_few_samples_give_the_forms_of_the_map_on_their_span() -> None:
    """With fewer samples than dimensions, the mean form is still the trace of T S1: the nuclear norm."""
    samples = centred(5, 12, 1)
    moved = transport(Covariance(samples=samples, divisor=4), forms(60, 12, 2)[0])
    assert float(moved.first_forms(samples).sum()) / 4 == pytest.approx(float(moved.values.sum()), rel=1e-10)


@settings(max_examples=30)
@given(st.floats(-8, 8), st.floats(-8, 8), st.integers(0, 99))
def test_units_do_not_matter(first: float, second: float, seed: int) -> None:
    """Scaling the sets by a and b scales the trace by a b over sixteen orders of magnitude."""
    a, b = 10**first, 10**second
    x, y = centred(20, 6, seed), centred(25, 6, seed + 1)
    scaled = root_trace(Covariance(matrix=dense(a * x, 19)), Covariance(matrix=dense(b * y, 24)))
    plain = root_trace(Covariance(matrix=dense(x, 19)), Covariance(matrix=dense(y, 24)))
    assert scaled == pytest.approx(a * b * plain, rel=1e-9)


@pytest.mark.parametrize(
    "zero", [Covariance(matrix=torch.zeros(4, 4).double()), Covariance(samples=torch.zeros(3, 4).double())]
)
def test_a_set_without_spread_has_trace_zero(zero: Covariance) -> None:
    """Constant sets are handled on either side."""
    other = forms(9, 4, 0)[0]
    assert root_trace(zero, other) == root_trace(other, zero) == root_trace(zero, zero) == 0
    assert float(transport(zero, other).values.sum()) == 0
    assert torch.isfinite(transport(zero, other).second_forms(centred(9, 4, 0))).all()


def test_covariances_in_orthogonal_spaces_share_nothing() -> None:
    """Their product is zero, though neither matrix is."""
    s1, s2 = torch.diag(torch.tensor([1.0, 2, 0, 0])).double(), torch.diag(torch.tensor([0, 0, 3.0, 4])).double()
    assert root_trace(Covariance(matrix=s1), Covariance(matrix=s2)) == pytest.approx(0, abs=1e-12)


def test_tiny_eigenvalues_are_summed_to_full_accuracy() -> None:
    """Singular values are used where squares would lose half the digits."""
    values = torch.logspace(0, -14, 15, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(15, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    first = Covariance(samples=(values.sqrt()[:, None] * rotation.T), divisor=1)
    assert root_trace(first, Covariance(matrix=torch.eye(15).double())) == pytest.approx(
        float(values.sqrt().sum()), rel=1e-9
    )


@pytest.mark.parametrize("place", [0, 1])
def test_a_matrix_that_is_no_covariance_is_refused(place: int) -> None:
    """A negative eigenvalue is an error that shows it, for either matrix."""
    bad, good = Covariance(matrix=torch.diag(torch.tensor([1.0, -0.5])).double()), forms(9, 2, 0)[0]
    pair = (bad, good) if place == 0 else (good, bad)
    for way in (root_trace, transport):
        with pytest.raises(MetricError, match="negative eigenvalue"):
            way(*pair)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 40])
def test_chunks_are_all_the_rows_in_double(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come in order, once each, in chunks of bounded size."""
    monkeypatch.setattr(linalg, "CHUNK", 8)
    rows = torch.arange(3 * count, dtype=torch.float16).reshape(count, 3)
    parts = list(chunks(rows))
    assert all(part.dtype == torch.float64 and len(part) <= 8 for part in parts)
    assert torch.equal(torch.cat(parts), rows.double())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none")
def test_a_gpu_agrees() -> None:
    """Results agree in double precision, on the input's device."""
    (first, samples), (second, _) = forms(40, 12, 1), forms(30, 12, 2)
    assert first.matrix is not None
    assert second.matrix is not None
    assert samples.samples is not None
    there = Covariance(matrix=second.matrix.cuda())
    for one in (Covariance(matrix=first.matrix.cuda()), Covariance(samples=samples.samples.cuda(), divisor=39)):
        assert root_trace(one, there) == pytest.approx(root_trace(first, second), rel=1e-9)
        assert transport(one, there).values.device.type == "cuda"
