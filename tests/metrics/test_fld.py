"""FLD: the authors' values, a naive density, copies, blocks, and honest errors."""

import math
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganeval import distances
from ganeval.errors import MetricError
from ganeval.metrics import fld, fld_score
from ganeval.metrics.fld import _FittedMixture

# The table's function of the same name hides the module from an ordinary import.
fld_module = import_module("ganeval.metrics.fld")

VECTORS = ((0, 500, 1.0, 0.0), (2, 300, 1.0, 0.0), (1, 400, 1.2, 0.5))


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def vectors() -> list[Tensor]:
    """The train, test and fake sets of which the authors' values are known."""
    return [torch.from_numpy(np.random.RandomState(s).randn(n, 16) * scale + shift) for s, n, scale, shift in VECTORS]


def losses(mixture: _FittedMixture, rows: Tensor) -> Tensor:
    """Negative log-likelihoods per dimension, by torch's own distributions."""
    spread = (mixture.logs / 2).exp()[:, None]
    shares = torch.distributions.Normal(mixture.centres[slice(None)], spread).log_prob(rows.double()[:, None])  # type: ignore[no-untyped-call]
    return torch.as_tensor((math.log(mixture.count) - shares.sum(2).logsumexp(1)) / rows.shape[1])


def test_values_are_those_of_the_authors_code() -> None:
    """Over seeds, marcojira/fld gave an FLD of 13.3 with a spread of 0.55, and a gap of -1.8096."""
    train, test, fake = vectors()
    found = [fld_score(train, test, fake, seed=seed) for seed in range(4)]
    # The mean of four seeds has half their spread; three standard deviations are allowed.
    assert np.mean([one["fld"].value for one in found]) == pytest.approx(13.3, abs=3 * 0.55 / 2)
    for one in found:
        # Their distances are of float32, and they print five digits.
        assert one["fld_gap"].value == pytest.approx(-1.8096, abs=5e-4)


def test_copies_make_held_out_reals_impossible() -> None:
    """Copies of training images give the order of the authors' 1.3e8, which rounding decides, with a note."""
    train, test, _ = vectors()
    found = fld_score(train, test, train[:400])
    assert 0.5e8 < found["fld"].value < 2e8
    assert found["fld_gap"].value < -0.5e8
    assert all("the fakes are copies" in one.notes[0] for one in found.values())


def test_losses_are_those_of_the_density() -> None:
    """Likelihoods agree with torch's distributions, and the jackknife with mixtures of one centre less."""
    mixture, rows = _FittedMixture(features(12, 3, 0)), features(30, 3, 1)
    mixture.logs = torch.linspace(-3, 1, 12, dtype=torch.float64)
    found = mixture.losses(rows)
    # Squared distances are of float32.
    assert found.losses.tolist() == pytest.approx(losses(mixture, rows).tolist(), rel=1e-6)
    changes = []
    for row in range(12):
        rest = _FittedMixture(mixture.centres[slice(None)][torch.arange(12) != row].float())
        rest.logs = mixture.logs[torch.arange(12) != row]
        changes.append(float((losses(rest, rows) - losses(mixture, rows)).mean()))
    expected = np.array(changes) - np.mean(changes)
    assert (found.changes - found.changes.mean()).tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_fit_makes_rows_likely() -> None:
    """The fitted variances are better than others, and a centre on a row has a tiny one."""
    centres, rows = features(40, 4, 0), features(60, 4, 1)
    centres[0] = rows[0]
    mixture = _FittedMixture(centres)
    mixture.fit(rows)
    fitted, best = mixture.logs.clone(), float(mixture.losses(rows).losses.mean())
    assert fitted.argmin() == 0
    assert fitted[0] < -5
    for change in (-0.5, 0.5):
        mixture.logs = torch.where(torch.arange(40) == 0, fitted, fitted + change)
        assert float(mixture.losses(rows).losses.mean()) > best


def test_neither_blocks_nor_memory_change_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tiles, several batches, and squares computed again in each pass give the same values."""
    train, test, fake = features(120, 5, 0), features(50, 5, 1), features(70, 5, 2, scale=1.2)
    expected = fld_score(train, test, fake)
    monkeypatch.setattr(distances, "TILE_BYTES", 2000)
    monkeypatch.setattr(fld_module, "CACHE", 0)
    for name, one in fld_score(train, test, fake).items():
        assert one.value == pytest.approx(expected[name].value, rel=1e-4, abs=1e-4)
        assert one.standard_error == pytest.approx(expected[name].standard_error, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_columns_of_a_bounded_size_change_no_bit(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means and deviations are those of all columns at once, whose last one is not alone."""
    real, fake = features(900, 11, 0, shift=3).to(dtype), features(120, 11, 1).to(dtype)
    expected = fld(real, fake)
    monkeypatch.setattr(fld_module, "COLUMN_BYTES", 8 * 450 * 5)
    blocks = list(fld_module._columns(distances.Rows(real[:450])))
    assert [block.shape[1] for block in blocks] == [5, 6]
    for statistic in (torch.mean, torch.std):
        assert torch.equal(torch.cat([statistic(block, 0) for block in blocks]), statistic(real[:450].double(), 0))
    for name, one in fld(real, fake).items():
        assert (one.value, one.standard_error) == (expected[name].value, expected[name].standard_error)
        assert torch.equal(torch.as_tensor(one.shared), torch.as_tensor(expected[name].shared))


class Allocations(TorchDispatchMode):
    """The bytes of the largest tensor that torch makes anew."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        given = {one.untyped_storage().data_ptr() for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        for one in tree_leaves(found):
            if isinstance(one, Tensor) and one.untyped_storage().data_ptr() not in given:
                self.largest = max(self.largest, one.nbytes)
        return found


def test_no_copy_of_the_features_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is allocated does not grow with the features, where their scaled form waits on disk."""
    monkeypatch.setattr(distances, "TILE_BYTES", 1 << 16)
    monkeypatch.setattr(fld_module, "COLUMN_BYTES", 1 << 17)
    monkeypatch.setattr(fld_module, "CACHE", 0)
    monkeypatch.setattr(fld_module, "PASSES", 2)
    monkeypatch.setattr("ganeval.spool.SPOOL_BYTES", 0)
    real, fake = features(3000, 150, 0), features(200, 150, 1)
    with Allocations() as seen:
        fld(real, fake, centres=30)
    assert seen.largest < real.nbytes / 10


def test_good_fakes_have_about_zero_and_others_more() -> None:
    """Fakes of the reals' distribution, as many as half of the training images, have 0; worse ones have more."""
    train, test = features(400, 8, 0), features(400, 8, 1)
    good = features(200, 8, 2)
    noisy, repeated = 1.5 * good, good[:20].repeat(10, 1)
    values = [fld_score(train, test, fake)["fld"] for fake in (good, noisy, repeated)]
    assert values[0].standard_error is not None
    assert abs(values[0].value) < 3 * values[0].standard_error
    assert min(values[1].value, values[2].value) > values[0].value + 3


def test_constant_dimensions_are_left_out() -> None:
    """A dimension that is the same for all held-out reals, up to rounding, changes nothing; fakes may differ."""
    sides = [features(60, 4, 0).double(), features(40, 4, 1).double(), features(30, 4, 2).double()]
    rounding = 1 + 2.0**-52 * torch.arange(40, dtype=torch.float64).remainder(3)
    constant = (torch.ones(60), rounding, torch.full((30,), 2.0))
    wider = [torch.cat([side, one[:, None]], 1) for side, one in zip(sides, constant, strict=True)]
    plain, padded = fld_score(*sides), fld_score(*wider)
    assert plain["fld"].value == pytest.approx(padded["fld"].value, rel=1e-9)


@pytest.mark.parametrize("value", [-3.0, 0.0, -1e30])
def test_constant_dimensions_of_any_value_are_left_out(value: float) -> None:
    """Negative ones, zeros and very large ones change no bit."""
    real, fake = features(60, 3, 0), features(40, 3, 1)
    constant = [torch.cat([side, torch.full_like(side[:, :1], value)], 1) for side in (real, fake)]
    assert {name: one.value for name, one in fld(*constant).items()} == {
        name: one.value for name, one in fld(real, fake).items()
    }


def test_a_part_of_the_reals_is_held_out() -> None:
    """The function of two sets is that of three, for random parts of the reals."""
    real, fake = features(60, 4, 0), features(30, 4, 2)
    order = torch.from_numpy(np.random.RandomState(3).permutation(60))
    expected = fld_score(real[order[20:]], real[order[:20]], fake, seed=3)
    assert fld(real, fake, held_out=1 / 3, seed=3) == expected


def test_errors_match_the_spread_over_many_draws() -> None:
    """The mean error of 30 draws is their spread, or more by up to two thirds; that of the gap by a third."""
    draws = [
        fld_score(features(100, 6, 3 * i), features(100, 6, 3 * i + 1), features(100, 6, 3 * i + 2, scale=1.2))
        for i in range(30)
    ]
    for name, most in (("fld", 1.8), ("fld_gap", 1.5)):
        spread = float(np.std([draw[name].value for draw in draws], ddof=1))
        error = float(np.mean([draw[name].standard_error for draw in draws]))
        # The spread of 30 draws is known to 13%.
        assert 0.75 * spread < error < most * spread


@pytest.mark.parametrize(
    ("train", "test", "fake", "options", "message"),
    [
        (features(3, 3, 0), features(9, 3, 1), features(9, 3, 2), {}, "found 3, 9, 9 and 10000"),
        (features(9, 3, 0), features(9, 3, 1), features(9, 3, 2), {"centres": 1}, "9 and 1"),
        (features(9, 3, 0), torch.ones(9, 3), features(9, 3, 2), {}, "All held-out images have the same features"),
        (features(9, 3, 0), features(9, 4, 1), features(9, 3, 2), {}, "3, 4, 3 dimensions"),
    ],
)
def test_undefined_input_is_refused(
    train: Tensor, test: Tensor, fake: Tensor, options: dict[str, int], message: str
) -> None:
    """Sets that are too small, without a scale or of different extractors are refused with the reason."""
    with pytest.raises(MetricError, match=message):
        fld_score(train, test, fake, **options)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.001])
def test_a_share_that_leaves_a_part_empty_is_refused(share: float) -> None:
    """Both parts of the reals need images."""
    with pytest.raises(MetricError, match=r"hold out must be between|leaves one part empty"):
        fld(features(20, 3, 0), features(20, 3, 1), held_out=share)
