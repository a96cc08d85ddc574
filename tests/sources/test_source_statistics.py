"""Reference statistics: published layouts are read, ganeval's is readable by others, broken files are refused."""

import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from ganeval.errors import ResultError, SourceError
from ganeval.sources import open_source
from ganeval.sources.statistics import StoredGaussian, is_statistics, read_statistics, write_statistics

RANDOM = np.random.RandomState(0)
ROOT = RANDOM.randn(9, 5)
MU, SIGMA = RANDOM.randn(5), ROOT.T @ ROOT
MU_S, SIGMA_S = RANDOM.randn(3), np.eye(3)


def test_other_tools_files_are_read(tmp_path):
    """`mu` and `sigma` of pytorch-fid, clean-fid and EDM are read exactly, without settings."""
    np.savez_compressed(tmp_path / "ref.npz", mu=MU, sigma=SIGMA)
    assert is_statistics(tmp_path / "ref.npz")
    found = read_statistics(str(tmp_path / "ref.npz"))
    np.testing.assert_array_equal(found.features.mean, MU)
    np.testing.assert_array_equal(found.features.covariance, SIGMA)
    assert (found.spatial, found.count, found.ddof, found.measured) == (None, None, None, None)
    assert len(found.sha256) == 64


def test_adm_files_have_spatial_statistics_too(tmp_path):
    """ADM's `mu_s` and `sigma_s` are the spatial ones; float32 becomes float64."""
    arrays = {"mu": MU, "sigma": SIGMA, "mu_s": MU_S, "sigma_s": SIGMA_S}
    np.savez(tmp_path / "adm.npz", arr_0=np.zeros(2), **{name: array.astype("f4") for name, array in arrays.items()})
    found = read_statistics(tmp_path / "adm.npz")
    assert found.features.mean.dtype == found.spatial.covariance.dtype == np.float64
    np.testing.assert_array_equal(found.spatial.mean, MU_S.astype("f4"))


def test_what_is_written_is_read_back_exactly(tmp_path):
    """Arrays to the bit, count, ddof and settings are restored."""
    path = tmp_path / "ref.npz"
    measured = {"extractor": "inception", "weights": "ab12", "protocol": "tensorflow"}
    write_statistics(
        path, StoredGaussian(MU, SIGMA), spatial=StoredGaussian(MU_S, SIGMA_S), count=9, ddof=1, measured=measured
    )
    found = read_statistics(path)
    for array, expected in (
        (found.features.mean, MU), (found.features.covariance, SIGMA),
        (found.spatial.mean, MU_S), (found.spatial.covariance, SIGMA_S),
    ):  # fmt: skip
        np.testing.assert_array_equal(array, expected)
    assert (found.count, found.ddof, found.measured) == (9, 1, measured)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ref.npz"]


def test_plain_numpy_reads_what_ganeval_writes(tmp_path):
    """Other tools need only `np.load(path)["mu"]`, and the file has no pickles."""
    write_statistics(tmp_path / "ref.npz", StoredGaussian(MU, SIGMA), count=9, ddof=1, measured={})
    with np.load(tmp_path / "ref.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["mu"], MU)
        np.testing.assert_array_equal(file["sigma"], SIGMA)
        assert json.loads(str(file["ganeval"]))["count"] == 9


def test_equal_statistics_are_equal_files(tmp_path):
    """The bytes depend on the content alone, so the digest identifies it."""
    for name in ("a.npz", "b.npz"):
        write_statistics(tmp_path / name, StoredGaussian(MU, SIGMA), count=9, ddof=1, measured={"b": 1, "a": 2})
    assert read_statistics(tmp_path / "a.npz").sha256 == read_statistics(tmp_path / "b.npz").sha256


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    """On a full disk the old file is unchanged, and no partial file is left."""
    path = tmp_path / "ref.npz"
    write_statistics(path, StoredGaussian(MU, SIGMA), count=9, ddof=1, measured={})
    before = path.read_bytes()

    def full(stream, array, allow_pickle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(ResultError, match=r"cannot be written: No space left on device\."):
        write_statistics(path, StoredGaussian(MU * 2, SIGMA), count=9, ddof=1, measured={})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_does_not_exist(tmp_path):
    """Writing into a missing folder is an error with the path."""
    with pytest.raises(ResultError, match=r"nowhere/ref\.npz cannot be written: No such file"):
        write_statistics(tmp_path / "nowhere" / "ref.npz", StoredGaussian(MU, SIGMA), count=9, ddof=1, measured={})


def test_what_is_no_statistics(tmp_path):
    """`is_statistics` is True for statistics only, and never raises."""
    np.savez(tmp_path / "images.npz", np.zeros((1, 2, 2, 3), np.uint8))
    (tmp_path / "broken.npz").write_bytes(b"x")
    (tmp_path / "folder.npz").mkdir()
    for name in ("images.npz", "broken.npz", "folder.npz", "missing.npz", "other.zip"):
        assert not is_statistics(tmp_path / name)
    with pytest.raises(SourceError, match="expected 'mu' and 'sigma', found arr_0"):
        read_statistics(tmp_path / "images.npz")
    with pytest.raises(SourceError, match="broken"):
        read_statistics(tmp_path / "broken.npz")
    with pytest.raises(SourceError, match=r"missing\.npz cannot be read \(No such file"):
        read_statistics(tmp_path / "missing.npz")


def test_pickled_objects_are_refused(tmp_path):
    """Pickled objects in an npz are refused by their headers."""
    np.savez(tmp_path / "x.npz", mu=np.array([{}], dtype=object), sigma=np.eye(1), allow_pickle=True)
    with pytest.raises(SourceError, match="pickled Python objects, which are never loaded"):
        read_statistics(tmp_path / "x.npz")


NAN = SIGMA.copy()
NAN[0, 0] = np.nan
SKEW = SIGMA.copy()
SKEW[0, 1] += 0.01


@pytest.mark.parametrize(
    ("mu", "sigma", "reason"),
    [
        (MU, SIGMA[:4, :4], r"found \[5\] and \[4, 4\]"),
        (MU[None], SIGMA, r"found \[1, 5\]"),
        (np.zeros(0), np.zeros((0, 0)), r"found \[0\]"),
        (MU, NAN, "NaN or infinity"),
        (MU * np.inf, SIGMA, "NaN or infinity"),
        (MU, SKEW, r"must be symmetric, and \[i, j\] and \[j, i\] differ by up to 0.01"),
        (MU, -SIGMA, "x.npz: 'sigma' is not positive semidefinite, .* its smallest eigenvalue is -"),
        (MU.astype(int), SIGMA, "must be floats"),
    ],
)
def test_impossible_statistics_are_refused(tmp_path, mu, sigma, reason):
    """Inconsistent shapes, values that are not finite and invalid covariances are errors."""
    np.savez(tmp_path / "x.npz", mu=mu, sigma=sigma)
    with pytest.raises(SourceError, match=reason):
        read_statistics(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("own", "reason"), [("{", "cannot be read"), ('{"schema": 1}', "cannot be read"),
                        ('{"schema": 99, "count": 1, "ddof": 1, "measured": {}}', "schema 99")],
)  # fmt: skip
def test_a_broken_or_newer_entry_of_ganevals_own(tmp_path, own, reason):
    """ganeval's own description in a file is read completely or refused."""
    np.savez(tmp_path / "x.npz", mu=MU, sigma=SIGMA, ganeval=np.array(own))
    with pytest.raises(SourceError, match=reason):
        read_statistics(tmp_path / "x.npz")


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_truncated_statistics(tmp_path, share):
    """A truncated file is an error."""
    path = tmp_path / "x.npz"
    np.savez(path, mu=MU, sigma=SIGMA)
    assert zipfile.is_zipfile(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert not is_statistics(path)
    with pytest.raises(SourceError, match=r"x\.npz"):
        read_statistics(path)


@pytest.mark.parametrize(("mean", "covariance"), [("mean", "cov"), ("m", "s"), ("Mu", "Sigma"), ("mu", "covariance")])
def test_statistics_under_other_names_are_told_how_to_be_written(tmp_path, mean, covariance):
    """The line of code in the message makes a file that is read."""
    path = tmp_path / "ref.npz"
    np.savez(path, **{mean: MU, covariance: SIGMA})
    with pytest.raises(SourceError, match="under other names than mu and sigma") as raised:
        open_source(path)
    _run_advice(str(raised.value), "Write them once as ", tmp_path)


def _run_advice(message, introduction, folder):
    """Run the code of a message, and read the file that it writes."""
    code = message.partition(introduction)[2]
    subprocess.run([sys.executable, "-c", f"import numpy, pickle; {code}"], cwd=folder, check=True)
    found = read_statistics(folder / "ref-statistics.npz")
    np.testing.assert_array_equal(found.features.covariance, SIGMA)


@pytest.mark.parametrize("suffix", [".npy", ".pkl", ".npz"])
def test_pickled_statistics_are_told_how_to_be_converted(tmp_path, suffix):
    """A dict in a .npy or a pickle, and an object in a .npz, are refused with the line that converts them."""
    path = tmp_path / f"ref{suffix}"
    if suffix == ".npy":
        np.save(path, {"mu": MU, "sigma": SIGMA}, allow_pickle=True)
    elif suffix == ".pkl":
        path.write_bytes(pickle.dumps({"mu": MU, "sigma": SIGMA}))
    else:
        np.savez(path, mu=MU, sigma=SIGMA, how=np.array({"by": "hand"}, dtype=object))
    with pytest.raises(SourceError, match="never loaded, because loading") as raised:
        open_source(path)
    _run_advice(str(raised.value), "If it holds statistics: ", tmp_path)


def test_a_matrix_that_is_not_semidefinite_names_its_file(tmp_path):
    """The message has the smallest eigenvalue at any scale, and rounding below zero is accepted."""
    turn, _ = np.linalg.qr(RANDOM.randn(5, 5))
    for scale in (1e-80, 1.0, 1e80):
        sigma = turn @ np.diag([3.0, 2.0, 1.0, 0.5, -0.25]) @ turn.T * scale
        np.savez(tmp_path / "bad.npz", mu=MU, sigma=(sigma + sigma.T) / 2)
        with pytest.raises(SourceError, match=r"bad\.npz: 'sigma' is not positive semidefinite") as raised:
            read_statistics(tmp_path / "bad.npz")
        assert f"smallest eigenvalue is {-0.25 * scale:.4g}, its largest {3 * scale:.4g}" in str(raised.value)
    sigma = turn @ np.diag([3.0, 2.0, 1.0, 0.0, -1e-7]) @ turn.T
    np.savez(tmp_path / "good.npz", mu=MU, sigma=(sigma + sigma.T) / 2)
    assert read_statistics(tmp_path / "good.npz").count is None
    np.savez(tmp_path / "zero.npz", mu=MU, sigma=np.zeros((5, 5)))
    assert read_statistics(tmp_path / "zero.npz").features.covariance.max() == 0
