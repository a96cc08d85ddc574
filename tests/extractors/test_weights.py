"""Weights files are found in the declared order, downloaded whole, read without running code, and checked."""

import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from file_server import FileServer, serving
from safetensors.torch import save_file
from torch import Tensor

from ganeval.errors import WeightsError
from ganeval.extractors.base import Weights
from ganeval.extractors.download import RemoteFile
from ganeval.extractors.inception import InceptionExtractor, layout
from ganeval.extractors.statefile import check_layout, load_state, save_state
from ganeval.extractors.untrained import untrained_state, untrained_weights
from ganeval.extractors.weights import PUBLISHED, fetch_weights, find_weights, load_weights, weights_path
from ganeval.protocols import find_protocol

CONTENT = b"weights" * 1000
SMALL = RemoteFile("small.pth", ("http://127.0.0.1:9/other.pth",), hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}
SHAPES = {name: tuple(tensor.shape) for name, tensor in STATE.items()}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("GANEVAL_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of untrained weights, seed 0."""
    return untrained_weights(tmp_path_factory.mktemp("weights") / "untrained.pth", seed=0)


@pytest.fixture(scope="module")
def state(untrained: Path) -> dict[str, Tensor]:
    """Its parameters."""
    return load_weights(untrained)[0]


def written(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_nearest_wish_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--weights takes precedence over GANEVAL_WEIGHTS, that over the cache, and that over copies of other tools."""
    cached = tmp_path / "cache" / "weights" / "small.pth"
    assert weights_path(file=SMALL) == cached
    copy = written(tmp_path / "torch" / "hub" / "checkpoints" / "other.pth")
    assert weights_path(file=SMALL) == copy
    written(cached)
    assert weights_path(file=SMALL) == cached
    variable = written(tmp_path / "variable.pth")
    monkeypatch.setenv("GANEVAL_WEIGHTS", str(variable))
    assert weights_path(file=SMALL) == variable
    explicit = written(tmp_path / "explicit.pth")
    assert weights_path(explicit, file=SMALL) == explicit


def test_a_folder_stands_for_the_published_file_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is accepted in place of the published file in it."""
    path = written(tmp_path / "folder" / "small.pth")
    assert weights_path(path.parent, file=SMALL) == path
    monkeypatch.setenv("GANEVAL_WEIGHTS", str(path.parent))
    assert weights_path(file=SMALL) == path


def test_a_named_file_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that does not exist is an error that says where it was set, and no other file is used."""
    with pytest.raises(WeightsError, match=r"--weights names .*absent\.pth"):
        weights_path(tmp_path / "absent.pth")
    monkeypatch.setenv("GANEVAL_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=rf"GANEVAL_WEIGHTS names .*no file .*{PUBLISHED.name}"):
        weights_path()


def test_a_damaged_copy_of_another_tool_is_not_used(tmp_path: Path) -> None:
    """Another tool's file counts only if its bytes are the published ones."""
    written(tmp_path / "torch" / "hub" / "checkpoints" / "other.pth", CONTENT[:-1] + b"?")
    assert weights_path(file=SMALL) == tmp_path / "cache" / "weights" / "small.pth"


def test_finding_fetches_once(tmp_path: Path) -> None:
    """The first use downloads into the cache, and the second uses the cached file."""
    with serving(FileServer(CONTENT)) as server:
        file = replace(SMALL, mirrors=(server.url,))
        first, second = find_weights(file=file, progress=False), find_weights(file=file, progress=False)
    assert first == second == tmp_path / "cache" / "weights" / "small.pth"
    assert first.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    """The message has the file, its addresses and path, the options, and the extractors without a download."""
    file = replace(PUBLISHED, mirrors=("http://127.0.0.1:9/a.pth", "http://127.0.0.1:9/b.pth"))
    with pytest.raises(WeightsError) as error:
        fetch_weights(file=file, progress=False)
    text = str(error.value)
    place = str(tmp_path / "cache" / "weights" / PUBLISHED.name)
    for needed in (PUBLISHED.name, *file.mirrors, place, "--weights", "GANEVAL_WEIGHTS", "lite0", "digits", "pixels"):
        assert needed in text
    assert len(text.splitlines()) <= 8


def test_the_published_bytes_alone_are_published(untrained: Path, state: Mapping[str, Tensor]) -> None:
    """A file is identified by the digest of its bytes, and is published only if the digest is the published one."""
    _, weights = load_weights(untrained)
    sha256 = hashlib.sha256(untrained.read_bytes()).hexdigest()
    assert (weights.name, weights.sha256, weights.published) == ("untrained.pth", sha256, False)
    assert load_weights(untrained, file=replace(PUBLISHED, sha256=sha256))[1].published
    assert {tensor.dtype for name, tensor in state.items() if "tracked" not in name} == {torch.float32}


def test_a_file_is_read_again_once_it_has_changed(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unchanged file is read once; one byte written in place, with the time set back, is noticed; so is its end."""
    path, read = tmp_path / "a.safetensors", []
    save_file(state, path)

    def counted(path: Path) -> tuple[dict[str, Tensor], str]:
        read.append(path)
        return load_state(path)

    monkeypatch.setattr("ganeval.extractors.weights.load_state", counted)
    (first, origin), (again, same) = load_weights(path), load_weights(path)
    assert (origin, len(read)) == (same, 1)
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_weights(path)[1].sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != origin.sha256
    path.unlink()
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        load_weights(path)


def test_damage_in_the_cache_is_noticed_on_loading(tmp_path: Path) -> None:
    """Bytes in the cache that are not the published ones are an error, even if they could be read."""
    path = tmp_path / "cache" / "weights" / PUBLISHED.name
    path.parent.mkdir(parents=True)
    save_state(STATE, path)
    with pytest.raises(WeightsError, match=r"damaged: found SHA-256 .* `ganeval weights fetch`"):
        load_weights(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_every_form_of_a_state_dict_is_read(tmp_path: Path, form: str) -> None:
    """torch's two formats and safetensors give the same tensors, under any file name."""
    path = tmp_path / "weights.bin"
    if form == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == "zip")
    state, sha256 = load_state(path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


class Bomb:
    """Unpickling it calls a function that writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path, str]]:
        return Path.write_text, (self.marker, "executed")


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    """A file that would run code is an error, and the code has not run."""
    path, marker = tmp_path / "weights.pth", tmp_path / "marker"
    if form == "pickle":
        path.write_bytes(pickle.dumps({"layer.weight": Bomb(marker)}))
    else:
        torch.save({"layer.weight": Bomb(marker)}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError, match="pickled code is refused and was not run"):
        load_state(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("keep", "message"), [(0, "is empty"), (5, "damaged"), (100, "damaged"), (-1, "damaged")], ids=str
)
@pytest.mark.parametrize("form", ["zip", "safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, form: str, keep: int, message: str) -> None:
    """A truncated or empty file is a WeightsError that names it."""
    path = tmp_path / "weights.pth"
    torch.save(STATE, path) if form == "zip" else save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=rf"weights\.pth .*{message}"):
        load_state(path)


@pytest.mark.parametrize("content", [[1.0], {"weight": 1.0}, {1: torch.ones(1)}, torch.ones(2)], ids=repr)
def test_other_contents_are_refused(tmp_path: Path, content: object) -> None:
    """A file that is not a dictionary of tensors is refused."""
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="holds no state_dict"):
        load_state(tmp_path / "weights.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A missing file is a WeightsError with its path."""
    with pytest.raises(WeightsError, match=r"absent\.pth cannot be read: No such file"):
        load_state(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer.bias": None}, r"1 missing \(layer\.bias\)"),
        ({"extra": torch.ones(1)}, r"1 unexpected \(extra\)"),
        ({"layer.bias": torch.ones(3)}, r"1 of another shape \(layer\.bias is \[3\] instead of \[2\]\)"),
        ({"layer.bias": torch.ones(2, dtype=torch.int64)}, "layer.bias holds int64, expected floats"),
        ({"layer.bias": torch.tensor([1.0, torch.nan])}, "layer.bias contains NaN or infinity"),
        ({"layer.weight": torch.full((2, 3), -torch.inf)}, "layer.weight contains NaN or infinity"),
        ({"layer.bias": torch.tensor([torch.inf, -torch.inf])}, "layer.bias contains NaN or infinity"),
    ],
)
def test_another_layout_is_told_by_its_first_faults(change: dict[str, Tensor | None], message: str) -> None:
    """Missing, unexpected and misshapen entries are counted and named; parameters must be finite floats."""
    state = {name: tensor for name, tensor in {**STATE, **change}.items() if tensor is not None}
    with pytest.raises(WeightsError, match=message):
        check_layout(state, SHAPES, where="file")
    check_layout(STATE, SHAPES, where="file")
    # Finite values whose sum is not.
    for dtype, large in ((torch.float32, 3e38), (torch.float64, 1e308), (torch.float16, 65504.0)):
        check_layout(STATE | {"layer.bias": torch.full((2,), large, dtype=dtype)}, SHAPES, where="file")
    # torch cannot add these, as they are.
    for dtype in (torch.float8_e5m2, torch.float8_e4m3fn):
        check_layout(STATE | {"layer.bias": torch.ones(2).to(dtype)}, SHAPES, where="file")
        with pytest.raises(WeightsError, match=r"layer\.bias contains NaN or infinity"):
            check_layout(STATE | {"layer.bias": torch.tensor([1.0, torch.nan]).to(dtype)}, SHAPES, where="file")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """A state_dict of another network is refused with the number of missing entries."""
    save_state(STATE, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"of its 2 entries \(expected 566\), 566 missing \(Conv2d_1a_3x3\.conv"):
        load_weights(tmp_path / "other.pth")


def test_half_precision_files_are_read_as_float32(tmp_path: Path, state: Mapping[str, Tensor]) -> None:
    """Parameters stored in a shorter float are accepted; the counters stay whole numbers."""
    short = {name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_state(short, tmp_path / "short.pth")
    loaded, _ = load_weights(tmp_path / "short.pth")
    assert loaded["fc.weight"].dtype == torch.float32
    assert torch.equal(loaded["fc.weight"], short["fc.weight"].float())
    assert loaded["Conv2d_1a_3x3.bn.num_batches_tracked"].dtype == torch.int64


def test_parameters_that_float32_cannot_hold_are_refused(tmp_path: Path, state: Mapping[str, Tensor]) -> None:
    """A finite number of float64 that is infinite in float32 is named, and no network is made of it."""
    save_state({**state, "fc.bias": state["fc.bias"].double() + 1e300}, tmp_path / "wide.pth")
    with pytest.raises(WeightsError, match=r"wide\.pth: fc\.bias contains NaN or infinity"):
        load_weights(tmp_path / "wide.pth")


def test_a_file_that_cannot_be_written_is_reported_without_debris(tmp_path: Path) -> None:
    """A failed write names the file, and leaves no partial file."""
    with pytest.raises(WeightsError, match="cannot be written"):
        save_state(STATE, tmp_path / "absent" / "weights.pth")
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(WeightsError, match="cannot be written"):
        save_state(STATE, tmp_path / "folder.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pth"]


def test_a_seed_is_a_file(untrained: Path, tmp_path: Path) -> None:
    """The same seed writes the same bytes, another seed others, and no global generator is touched."""
    before = torch.get_rng_state()
    again = untrained_weights(tmp_path / "again.pth", seed=0)
    assert again.read_bytes() == untrained.read_bytes()
    assert torch.equal(torch.get_rng_state(), before)
    other = untrained_state(torch.Generator().manual_seed(1))
    assert not torch.equal(other["fc.weight"], load_state(untrained)[0]["fc.weight"])


def test_a_seed_is_the_same_on_every_machine(state: Mapping[str, Tensor]) -> None:
    """The parameters of seed 0 have one digest everywhere: numbers made with them can be written down."""
    digest = hashlib.sha256()
    for tensor in state.values():
        digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest() == "91d84ab10e5dc55e9bada2282b0feeb1e307fef9283a8fe588f484b8f0bc3d15"


def test_untrained_weights_have_the_published_layout(
    state: Mapping[str, Tensor], untrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytorch-fid's own network takes the file entry by entry."""
    import pytorch_fid.inception

    monkeypatch.setattr(
        pytorch_fid.inception, "load_state_dict_from_url", lambda *_, **__: torch.load(untrained, weights_only=True)
    )
    theirs = pytorch_fid.inception.fid_inception_v3().state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in theirs.items()} == layout()
    assert all(torch.equal(theirs[name], state[name]) for name in theirs)


def test_untrained_features_are_well_spread(state: Mapping[str, Tensor]) -> None:
    """No feature is constant, no direction dominates, and class probabilities are neither one-hot nor uniform."""
    extractor = InceptionExtractor(state, Weights("untrained", "", published=False), find_protocol("tensorflow"))
    with torch.inference_mode():
        given = extractor.forward(extractor.prepare(varied_images()), frozenset(("features", "logits")))
    features = given["features"].double()
    assert float((features.std(0) < 1e-3).double().mean()) < 0.01
    assert 0.1 < float(features.std(0).mean() / features.mean()) < 1
    shares = torch.linalg.svdvals(features - features.mean(0)).square()
    shares = shares[shares > 0] / shares.sum()
    assert float(torch.exp(-(shares * shares.log()).sum())) > 8
    probabilities = given["logits"].double().softmax(1)
    gain = (probabilities * (probabilities / probabilities.mean(0)).log()).sum(1).mean()
    assert 1.2 < float(gain.exp()) < 15


def varied_images() -> Tensor:
    """uint8 [24, 3, 64, 64]: 12 handwritten digits and 12 pieces of two photographs."""
    from sklearn.datasets import load_digits, load_sample_images

    digits = torch.from_numpy(load_digits().images[:12] * (255 / 16))[:, None].expand(-1, 3, -1, -1)
    digits = torch.nn.functional.interpolate(digits, (64, 64), mode="nearest")
    photos = [torch.from_numpy(photo).permute(2, 0, 1) for photo in map(np.array, load_sample_images().images)]
    pieces = [photos[i % 2][:, 30 * i : 30 * i + 64, 45 * i : 45 * i + 64] for i in range(12)]
    return torch.cat([digits.to(torch.uint8), torch.stack(pieces)])
