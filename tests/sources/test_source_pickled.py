"""Pickled statistics are read exactly, and nothing that a pickle names is ever run."""

import builtins
import io
import os
import pickle
import struct
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ganeval
from ganeval.errors import SourceError, UsageError
from ganeval.sources import open_source
from ganeval.sources.pickled import pickled_arrays
from ganeval.sources.statistics import is_statistics, read_statistics

RANDOM = np.random.RandomState(0)
ROOT = RANDOM.randn(9, 5)
MU, SIGMA = RANDOM.randn(5), ROOT.T @ ROOT
EDM2: dict[str, Any] = {
    "num_images": 50000,
    "fid": {"mu": MU, "sigma": SIGMA},
    "fd_dinov2": {"mu": 2 * MU, "sigma": np.asfortranarray(2 * SIGMA)},
}


def put(path: Path, value: object, protocol: int = 4) -> Path:
    """A pickle of a value in a file."""
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_statistics_of_edm2(tmp_path, protocol):
    """Both of its extractors' statistics are read exactly, with the number of images, in every protocol of pickle."""
    path = put(tmp_path / "img512.pkl", EDM2, protocol)
    assert is_statistics(path)
    for extractor, factor in (("inception", 1), ("dinov2:vitl14", 2)):
        found = read_statistics(path, extractor)
        np.testing.assert_array_equal(found.features.mean, factor * MU)
        np.testing.assert_array_equal(found.features.covariance, factor * SIGMA)
        assert (found.count, found.ddof, found.measured) == (50000, 1, None)
    with pytest.raises(UsageError, match="holds statistics of inception and dinov2:vitl14, and not of 'digits'"):
        read_statistics(path, "digits")


def test_the_reals_of_an_evaluation(tmp_path):
    """A pickle of statistics is as good as the same statistics in an npz, and its caveat is shown."""
    written = ganeval.write_reference("digits:train", tmp_path / "a.npz", extractor="digits", cache=False)
    moments = {"mu": written.features.mean, "sigma": written.features.covariance}
    np.savez(tmp_path / "plain.npz", **moments)
    torch.save(moments, tmp_path / "fidelity.pt")
    put(tmp_path / "flat.pkl", moments)
    fid = {
        name: ganeval.evaluate(str(tmp_path / name), "digits:test", extractor="digits", cache=False)
        for name in ("plain.npz", "fidelity.pt", "flat.pkl")
    }
    assert len({one["fid"].value for one in fid.values()}) == 1
    assert all("does not say how its statistics were measured" in one.warnings[-1] for one in fid.values())


def test_statistics_of_torch_fidelity(tmp_path):
    """Its own function writes a file that is read exactly."""
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    save = pytest.importorskip("torch_fidelity.utils_torch").torch_atomic_save
    features = torch.from_numpy(RANDOM.randn(20, 5))
    expected = fidelity.fid_features_to_statistics(features)
    save(expected, str(tmp_path / "stat.pt"))
    found = read_statistics(tmp_path / "stat.pt").features
    np.testing.assert_array_equal(found.mean, expected["mu"])
    np.testing.assert_array_equal(found.covariance, expected["sigma"])


def test_old_names_of_numpy(tmp_path):
    """Files of numpy 1 name its modules without an underscore, and are read alike."""
    data = pickle.dumps(EDM2, protocol=2)
    old = data.replace(b"numpy._core.", b"numpy.core.") if b"numpy._core." in data else data
    (tmp_path / "old.pkl").write_bytes(old)
    np.testing.assert_array_equal(read_statistics(tmp_path / "old.pkl").features.mean, MU)


NUMBERS = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", ">f4", ">i8"])


@settings(max_examples=40)
@given(NUMBERS, st.lists(st.integers(0, 3), max_size=3), st.booleans(), st.sampled_from([2, 3, 4, 5]))
def test_every_array_of_numbers(tmp_path_factory, dtype, shape, fortran, protocol):
    """Arrays of any number type, shape and order come back with their values, type and shape."""
    array = np.asarray(RANDOM.uniform(0, 100, shape)).astype(dtype)
    array = np.asfortranarray(array) if fortran else array
    path = put(tmp_path_factory.mktemp("p") / "x.pkl", {"x": array, "n": {"y": array[..., None]}, "z": 3}, protocol)
    found = pickled_arrays(path)
    np.testing.assert_array_equal(found["x"], array)
    np.testing.assert_array_equal(found["n.y"], array[..., None])
    assert (found["x"].dtype, found["z"]) == (array.dtype, 3)


class Runs:
    """Pickled as a call of a function."""

    def __init__(self, call: Any, *arguments: object) -> None:
        self._reduced = call, arguments

    def __reduce__(self) -> Any:
        return self._reduced


def asks_for(module: str, name: str, *, stacked: bool = False) -> bytes:
    """A pickle that calls a function by name with 'touch ran'."""
    ask = (
        b"\x8c%c%s\x8c%c%s\x93" % (len(module), module.encode(), len(name), name.encode())
        if stacked
        else f"c{module}\n{name}\n".encode()
    )
    return b"\x80\x04" + ask + b"\x8c\x09touch ran\x85R."


HOSTILE = {
    "a command": asks_for("os", "system"),
    "a command by another name": asks_for("posix", "system", stacked=True),
    "eval": asks_for("builtins", "eval"),
    "getattr": asks_for("builtins", "getattr"),
    "numpy's loader": asks_for("numpy", "load"),
    "numpy's tests": asks_for("numpy.testing._private.utils", "runstring"),
    "a name with a dot": asks_for("numpy", "ndarray.tofile", stacked=True),
    "another codec": b"\x80\x04c_codecs\nencode\n\x8c\x02hi\x8c\x0azlib_codec\x86R.",
    "an object by its class": b"\x80\x04c__main__\nObject\n)\x81.",
    "an instance": b"(ios\nsystem\n.",
    "an extension": b"\x80\x04\x82\x01.",
    "a persistent name": b"\x80\x04Pfile\n.",
    "a tensor of torch": b"\x80\x04\x8c\x04fileQ.",
    "a value numbered two billion": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "a text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
    "a frame that is not there": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
    "an unknown operation": b"\x80\x04\xff.",
    "nothing": b"",
    "no end": b"\x80\x04N",
    "an empty stack": b"\x80\x04.",
    "not a pickle": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(tmp_path, monkeypatch, name):
    """A pickle that asks for more than arrays is refused in a sentence, and what it asks for is not run."""
    monkeypatch.chdir(tmp_path)

    def ran(*_: object) -> None:
        raise AssertionError("the pickle was run")

    monkeypatch.setattr(os, "system", ran)
    monkeypatch.setattr(builtins, "eval", ran)
    (tmp_path / "x.pkl").write_bytes(HOSTILE[name])
    with pytest.raises(SourceError, match=r"x\.pkl (was refused|is damaged|is not a pickle|is empty)"):
        pickled_arrays(tmp_path / "x.pkl")
    assert not (tmp_path / "ran").exists()


def test_hostile_objects_inside_statistics(tmp_path, monkeypatch):
    """Python's own pickling of a call is refused, at the top and within, plain and in torch's zip file."""
    monkeypatch.chdir(tmp_path)
    for value in (Runs(os.system, "touch ran"), {"fid": {"mu": Runs(os.system, "touch ran"), "sigma": SIGMA}}):
        for path in (put(tmp_path / "x.pkl", value), tmp_path / "x.pt"):
            if path.suffix == ".pt":
                with zipfile.ZipFile(path, "w") as archive:
                    archive.writestr("x/data.pkl", pickle.dumps(value))
            with pytest.raises(SourceError, match=r"asks for (posix|nt)\.system, which arrays do not need"):
                read_statistics(path)
    assert not (tmp_path / "ran").exists()


def array_state(shape: object, code: str, content: object, order: str = "<") -> bytes:
    """A pickle {"x": array} whose parts are as given."""
    stream = io.BytesIO()
    pickler = pickle._Pickler(stream, 2)
    stream.write(b"\x80\x02}X\x01\x00\x00\x00xcnumpy.core.multiarray\n_reconstruct\n")
    stream.write(b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R".replace(b"U\x01b", b"X\x01\x00\x00\x00b"))
    stream.write(b"(K\x01")
    pickler.save(shape)
    stream.write(b"cnumpy\ndtype\n")
    pickler.save(code)
    stream.write(b"\x85R(K\x03")
    pickler.save(order)
    stream.write(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
    pickler.save(content)
    stream.write(b"tbs.")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("shape", "code", "content", "reason"),
    [
        ((2,), "f8", bytes(16), None),
        ((3,), "f8", bytes(16), "has 16 bytes, and its shape is [3] of float64"),
        ((1 << 40, 1 << 40), "f8", bytes(16), "has 16 bytes"),
        ((-2,), "f8", bytes(16), "has no shape"),
        ((True,), "f8", bytes(8), "has no shape"),
        ([2], "f8", bytes(16), "has no shape"),
        ((2,), "O", [1, 2], "not made of numbers"),
        ((2,), "O", bytes(16), "only numbers are read"),
        ((2,), "U8", bytes(64), "only numbers are read"),
        ((2,), "V8", bytes(16), "only numbers are read"),
        ((1,), "f16", bytes(16), "only numbers are read"),
        ((2,), "f8", None, "not made of numbers"),
    ],
)
def test_arrays_whose_parts_do_not_fit(tmp_path, shape, code, content, reason):
    """An array is built only if its bytes are exactly those of numbers of its shape."""
    (tmp_path / "x.pkl").write_bytes(array_state(shape, code, content))
    if reason is None:
        np.testing.assert_array_equal(pickled_arrays(tmp_path / "x.pkl")["x"], np.zeros(2))
        return
    with pytest.raises(SourceError, match=r"nothing in it was run") as raised:
        pickled_arrays(tmp_path / "x.pkl")
    assert reason in str(raised.value)


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from([2, 4]))
def test_damaged_pickles(tmp_path_factory, place, byte, protocol):
    """A pickle with one wrong byte gives arrays or a SourceError, and no other exception."""
    data = bytearray(pickle.dumps({"num_images": 3, "fid": {"mu": MU, "sigma": SIGMA}}, protocol=protocol))
    data[place % len(data)] = byte
    path = tmp_path_factory.mktemp("d") / "x.pkl"
    path.write_bytes(data)
    try:
        found = pickled_arrays(path)
    except SourceError:
        return
    assert all(isinstance(array, np.ndarray) and array.dtype.kind in "biuf" for array in found.values())


def test_a_pickle_leaves_nothing_behind(tmp_path):
    """State that a pickle gives to a name, in place of an array, does not change how later files are read."""
    names = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n"
    for name in names:
        start = b"\x80\x02}X\x01\x00\x00\x00x" + name
        (tmp_path / "x.pkl").write_bytes(start + b"}X\x05\x00\x00\x00_callNsbs.")
        with pytest.raises(SourceError, match="is damaged"):
            pickled_arrays(tmp_path / "x.pkl")
        (tmp_path / "x.pkl").write_bytes(start + b"N}X\x05\x00\x00\x00_callNs\x86bs.")
        assert pickled_arrays(tmp_path / "x.pkl") == {}
    assert read_statistics(put(tmp_path / "good.pkl", EDM2)).count == 50000


def test_sizes_are_bounded(tmp_path, monkeypatch):
    """Files and members of zip files beyond the limit are refused before they are read."""
    monkeypatch.setattr("ganeval.sources.pickled.LIMIT", 500)
    with pytest.raises(SourceError, match=r"statistics have at most 500"):
        pickled_arrays(put(tmp_path / "x.pkl", EDM2))
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(1000))
    with pytest.raises(SourceError, match=r"declares 1,000 bytes"):
        pickled_arrays(tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("other", b"x")
    with pytest.raises(SourceError, match=r"zip file without data\.pkl"):
        pickled_arrays(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        ([MU, SIGMA], SourceError, "holds no statistics: .*found no arrays"),
        ({"mean": MU, "cov": SIGMA}, SourceError, "found mean, cov"),
        ({"fid": {"mu": MU, "sigma": SIGMA}, "num_images": 1.5}, SourceError, "must be a number of images"),
        ({"fid": {"mu": MU, "sigma": SIGMA[:3]}}, SourceError, r"'fid\.mu' must be \[D\]"),
        ({"fd_dinov2": {"mu": MU, "sigma": SIGMA}}, UsageError, "holds statistics of dinov2:vitl14, and not of 'inc"),
    ],
)
def test_pickles_without_these_statistics(tmp_path, value, error, reason):
    """What the file has is named, with what was expected."""
    with pytest.raises(error, match=reason):
        read_statistics(put(tmp_path / "x.pkl", value))


def test_a_tensor_alone_is_sent_elsewhere(tmp_path):
    """A file of one tensor is no file of statistics; the message says where features are given."""
    torch.save(torch.zeros(3, 2), tmp_path / "x.pt")
    with pytest.raises(SourceError, match=r"holds one array.*features:"):
        read_statistics(tmp_path / "x.pt")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_statistics_as_tensors(tmp_path, zipped, dtype):
    """Tensors in a file of torch.save, of either format, are read as arrays are."""
    saved = {"mu": torch.from_numpy(MU).to(dtype), "sigma": torch.from_numpy(np.diag(np.diag(SIGMA))).to(dtype)}
    torch.save(saved, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read_statistics(tmp_path / "x.pt").features
    np.testing.assert_array_equal(found.mean, saved["mu"].double().numpy())
    np.testing.assert_array_equal(found.covariance, saved["sigma"].double().numpy())


def test_objects_beside_tensors_are_not_loaded(tmp_path):
    """A file with tensors and anything else is refused without running it, and nobody is told to trust it."""
    torch.save(
        {"mu": torch.from_numpy(MU), "sigma": torch.from_numpy(SIGMA), "other": Runs(print, "ran")}, tmp_path / "x.pt"
    )
    with pytest.raises(SourceError, match=r"was not loaded: .*holds other objects than tensors") as caught:
        read_statistics(tmp_path / "x.pt")
    assert "weights_only" not in str(caught.value)
    torch.save({"mu": torch.from_numpy(MU).to_sparse(), "sigma": torch.from_numpy(SIGMA)}, tmp_path / "y.pt")
    warnings.simplefilter("ignore")  # torch's, of its check of sparse tensors
    with pytest.raises(SourceError, match="'mu' is sparse"):
        read_statistics(tmp_path / "y.pt")


@pytest.mark.parametrize("content", [{"mu": MU, "sigma": SIGMA}, {"mu": torch.from_numpy(MU)}, torch.zeros(9, 3)])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_called_so(tmp_path, content, share):
    """Statistics and features alike: the message says that the end is missing, or that the file is empty."""
    path = tmp_path / "x.pt"
    torch.save(content, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    for read in (read_statistics, lambda one: open_source(f"features:{one}")):
        with pytest.raises(
            SourceError, match="is cut off or damaged: .*copy or save it again" if share else "is empty"
        ):
            read(path)


def test_deep_nesting_is_no_crash(tmp_path):
    """A thousand times nested dicts and lists within themselves are left out, not followed."""
    deep: dict[str, Any] = {"mu": MU}
    for _ in range(sys.getrecursionlimit() // 4):
        deep = {"a": deep}
    loop: list[Any] = []
    loop.append(loop)
    assert pickled_arrays(put(tmp_path / "x.pkl", {"deep": loop, "x": 1.5})) == {"x": np.array(1.5)}
    assert pickled_arrays(put(tmp_path / "y.pkl", deep)) == {}
