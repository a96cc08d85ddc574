"""Metrics of more rows than memory holds: blocks and temporary files give the numbers that whole arrays give."""

import gc
import resource
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval import spool
from ganeval.errors import MetricError
from ganeval.metrics import (
    c2st_1nn,
    c2st_knn,
    c2st_logistic,
    c2st_mlp,
    cmmd,
    fkea,
    fld,
    ken,
    memorization,
    mifid,
    most_discriminable,
    ndb,
    prd_curve,
    rke,
    rrke,
    vendi,
)
from ganeval.metrics.drawn import Drawn, differences
from ganeval.metrics.ndb import _distinct
from ganeval.spool import spooled
from ganeval.uncertainty import Estimate

BY_NAME: Mapping[str, Callable[[Tensor, Tensor], object]] = {
    "c2st_1nn": c2st_1nn,
    "c2st_knn": c2st_knn,
    "c2st_logistic": c2st_logistic,
    "c2st_mlp": lambda real, fake: c2st_mlp(real, fake, steps=20),
    "cmmd": cmmd,
    "ct": lambda real, fake: memorization(real, fake, components=8),
    "fld": lambda real, fake: fld(real, fake, centres=50),
    "fkea": lambda real, fake: fkea(real, fake, features=20),
    "ken": lambda real, fake: ken(real, fake, features=20),
    "mifid": mifid,
    "most_discriminable": lambda real, fake: most_discriminable(real, fake, classifier="knn").fake_scores.tolist(),
    "ndb": lambda real, fake: ndb(real, fake, bins=10),
    "prd": lambda real, fake: prd_curve(real, fake, runs=1).precision.tolist(),
    "rke": rke,
    "rrke": lambda real, fake: rrke(real, fake, features=20),
    "vendi": lambda real, fake: vendi(fake),
}


def sets(count: int = 300, width: int = 12) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(count, width, generator=rng) ** 3, torch.rand(count - 40, width, generator=rng) ** 2.5


def plain(found: object) -> object:
    """Estimates as what can be compared."""
    if isinstance(found, Mapping):
        return {name: plain(one) for name, one in found.items()}
    if isinstance(found, Estimate):
        shared = None if found.shared is None else found.shared.tolist()
        return found.value, found.standard_error, dict(found.details), shared
    return found


@pytest.mark.parametrize("name", BY_NAME)
def test_rows_that_wait_on_disk_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bit for bit; the features are left as they were, and no file is left."""
    real, fake = sets()
    before = real.clone(), fake.clone()
    expected = plain(BY_NAME[name](real, fake))
    monkeypatch.setattr(spool, "SPOOL_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert plain(BY_NAME[name](real, fake)) == expected
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(real, before[0])
    assert torch.equal(fake, before[1])


@pytest.mark.parametrize("name", BY_NAME)
def test_many_blocks_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of several blocks are those of one, to rounding."""
    real, fake = sets()
    expected = plain(BY_NAME[name](real, fake))
    monkeypatch.setattr("ganeval.linalg.CHUNK", 70)
    monkeypatch.setattr("ganeval.metrics.drawn.CHUNK", 70)
    found = plain(BY_NAME[name](real, fake))
    np.testing.assert_allclose(leaves(found), leaves(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "types",
    [
        (torch.float32, torch.float64),
        (torch.float64, torch.float32),
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float32),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", BY_NAME)
def test_blocks_of_any_types_that_wait_on_disk_give_the_same(
    name: str, types: tuple[torch.dtype, torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are those of one block in memory, to rounding, also where a block has rows of one set alone."""
    real, fake = (side.to(dtype) for side, dtype in zip(sets(), types, strict=True))
    expected = plain(BY_NAME[name](real, fake))
    monkeypatch.setattr("ganeval.linalg.CHUNK", 70)
    monkeypatch.setattr("ganeval.metrics.drawn.CHUNK", 70)
    monkeypatch.setattr(spool, "SPOOL_BYTES", 0)
    found = plain(BY_NAME[name](real, fake))
    np.testing.assert_allclose(leaves(found), leaves(expected), rtol=1e-6, atol=1e-6)


def leaves(value: object) -> list[float]:
    """All numbers inside."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in leaves(one)]
    return [] if value is None else [float(str(value))]


@pytest.mark.parametrize("limit", [0, 10**6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocks_as_one_tensor(limit: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory or not, rows are in order, and may be written to."""
    monkeypatch.setattr(spool, "SPOOL_BYTES", limit)
    rows = torch.arange(21, dtype=dtype).view(7, 3)
    found = spooled(iter([rows[:3], rows[3:3], rows[3:7]]), 7)
    assert torch.equal(found, rows)
    found += 1
    assert torch.equal(found, rows + 1)


def test_a_full_folder_of_temporary_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable that names another one."""
    monkeypatch.setattr(spool, "SPOOL_BYTES", 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=rf"{tempfile.gettempdir()}, for temporary files; TMPDIR names another"):
            spooled([torch.zeros(10, 100)] * 50, 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_differences_in_float32_are_rounded_once() -> None:
    """Differences of float32 rows are those of float64, rounded, whatever the sizes of the numbers."""
    rng = np.random.RandomState(0)
    rows, origin = (
        torch.from_numpy((rng.randn(*shape) * 2.0 ** rng.randint(-60, 60, shape)).astype(np.float32))
        for shape in ((2000, 30), (30,))
    )
    assert torch.equal(differences(rows, origin), (rows.double() - origin.double()).float())
    half = rows.clamp(-6e4, 6e4).half()
    assert torch.equal(differences(half, origin), (half.double() - origin.double()).float())


def test_differences_beyond_float32_are_refused() -> None:
    """In either dtype."""
    for dtype in (torch.float32, torch.float64):
        with pytest.raises(MetricError, match="exceed the range of float32"):
            differences(torch.tensor([[3e38, 0.0]], dtype=dtype), torch.tensor([-3e38, 0.0], dtype=dtype))


def test_drawn_rows_of_two_types() -> None:
    """Rows of both sets in any order, in the type that holds both."""
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.rand(5, 3, generator=rng), torch.rand(4, 3, generator=rng, dtype=torch.float64)
    numbers = np.array([8, 0, 5, 3, 8])
    found = Drawn(real, fake, numbers)
    assert torch.equal(found.rows(), torch.cat([real.double(), fake])[numbers])
    assert found.is_fake.tolist() == [True, False, True, False, True]
    assert torch.equal(found[np.array([1, 3])].rows(), real[[0, 3]].double())


@pytest.mark.parametrize("enough", [1, 3, 4, 99])
def test_different_rows_are_counted_as_far_as_needed(enough: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of different rows, where there are fewer than enough."""
    monkeypatch.setitem(_distinct.__globals__, "CHUNK", 2)
    array = np.array([[0, 1], [0, 1], [2, 1], [0, 1], [5, 5], [2, 1]], np.float32)
    found = _distinct(array, enough)
    assert found == 3 if enough > 3 else found >= enough
