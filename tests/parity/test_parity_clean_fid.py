"""clean-fid's three modes on the same files with the same weights: its own reading and resizing, its own FID."""

import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cleanfid import fid as cleanfid
from cleanfid import inception_pytorch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ganeval import evaluate
from ganeval.metrics.fid import fid
from ganeval.metrics.kid import kid
from ganeval.preprocess import Preprocess
from ganeval.protocols import find_protocol

from .conftest import DEEP, Features, close, images, moments, well_conditioned

pytestmark = pytest.mark.usefixtures("peers_may_warn")
MODES = {"clean": "clean", "legacy_tensorflow": "tensorflow", "legacy_pytorch": "clean-legacy-pytorch"}


@pytest.fixture(scope="module")
def models(untrained_weights: Path) -> dict[str, Callable[[Tensor], Tensor]]:
    """What clean-fid calls with a batch, by mode.

    Its TorchScript network is not available offline and is the 2015 one; torch-fidelity's copy of that, which begins
    with the TensorFlow resize and the same normalisation, stands in for it: at 299 pixels that resize does nothing.
    """
    standin = FeatureExtractorInceptionV3("test", ["2048"], feature_extractor_weights_path=str(untrained_weights))
    # clean-fid hands floats over, and this network insists on bytes, only to make them floats at once.
    standin.feature_extractor_internal_dtype = torch.float32

    def tensorflow(batch: Tensor) -> Tensor:
        return features_of(standin, batch)

    state = torch.load(untrained_weights, weights_only=True)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(inception_pytorch, "load_state_dict_from_url", lambda *args, **kwargs: state)
        own = inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False)
    own.eval()
    return {
        "clean": tensorflow,
        "legacy_tensorflow": tensorflow,
        "legacy_pytorch": lambda batch: own(batch / 255)[0].squeeze(-1).squeeze(-1),
    }


def features_of(network: torch.nn.Module, batch: Tensor) -> Tensor:
    """The stand-in's features of float pixels: its layers, after the resize and normalisation it would do to bytes."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize

    x = (resize(batch.float(), size=(299, 299), align_corners=False) - 128) / 128
    for layer in LAYERS:
        x = getattr(network, layer)(x)
    return x.flatten(1)


LAYERS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
)


@pytest.fixture(scope="module")
def theirs(models: dict[str, Callable[[Tensor], Tensor]]) -> Callable[[str, Path], Tensor]:
    """clean-fid's features of a folder, extracted once per mode."""

    @cache
    def features(mode: str, folder: Path) -> Tensor:
        files = sorted(str(path) for path in folder.iterdir())
        array = cleanfid.get_files_features(
            files, model=models[mode], num_workers=0, batch_size=1, device=torch.device("cpu"), mode=mode, verbose=False
        )
        return torch.from_numpy(array)

    return features


@pytest.mark.parametrize("mode", list(MODES))
def test_features_agree(
    theirs: Callable[[str, Path], Tensor], folders: tuple[Path, Path], ours: Features, mode: str
) -> None:
    """Features agree to float32 rounding in every mode, as Pillow's and PyTorch's resizes do."""
    close(ours(folders[0], MODES[mode]), theirs(mode, folders[0]), DEEP)


def test_fid_agrees(theirs: Callable[[str, Path], Tensor], folders: tuple[Path, Path], known: dict[str, Any]) -> None:
    """FID of 8 and 4 images in 2048 dimensions is that of clean-fid's features to 1e-4.

    Its distance is compared below: a root of 2048 x 2048 takes half a minute there.
    """
    expected = fid(*(theirs("clean", folder) for folder in folders)).value
    result = evaluate(*folders, protocol="clean", **known)["fid"]
    assert result.value == pytest.approx(expected, rel=1e-4)


def test_frechet_distance_agrees_on_well_conditioned_features() -> None:
    """With more images than dimensions both agree to 1e-9."""
    x, y = well_conditioned()
    expected = cleanfid.frechet_distance(*moments(x), *moments(y))
    assert fid(torch.from_numpy(x), torch.from_numpy(y)).value == pytest.approx(expected, rel=1e-9)


def test_kid_agrees() -> None:
    """Of sets of one size below 1000 every subset of clean-fid is the whole, and its KID the default here."""
    x, y = (rows[:300] for rows in well_conditioned())
    expected = cleanfid.kernel_distance(x, y, num_subsets=2)
    found = kid(torch.from_numpy(x), torch.from_numpy(y))
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert kid(torch.from_numpy(x), torch.from_numpy(y), subsets=2, subset_size=300).value == pytest.approx(
        expected, rel=1e-9
    )


def test_kid_of_its_subsets_agrees() -> None:
    """Of larger sets it is the mean over subsets of so many, drawn without replacement: ours of the rows it drew."""
    x, y = well_conditioned()
    state = np.random.get_state()
    try:
        np.random.seed(0)
        expected = cleanfid.kernel_distance(x, y, num_subsets=3, max_subset_size=100)
        np.random.seed(0)
        values = []
        for _ in range(3):
            second, first = (rows[np.random.choice(len(rows), 100, replace=False)] for rows in (y, x))
            values.append(kid(torch.from_numpy(first), torch.from_numpy(second)).value)
    finally:
        np.random.set_state(state)
    assert np.mean(values) == pytest.approx(expected, rel=1e-9)


def test_clips_inputs_agree(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the network of clean-fid's `clip_vit_b_32` is given is what the protocol clip-fid prepares."""
    # OpenAI's package is not installed, and only loads the network.
    network = SimpleNamespace(eval=lambda: None, encode_image=lambda batch: batch.flatten(1))
    clip = ModuleType("clip")
    clip.load = lambda name, device: (network, None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "clip", clip)
    theirs = import_module("cleanfid.clip_features")
    monkeypatch.delitem(sys.modules, "cleanfid.clip_features")
    found = cleanfid.get_files_features(
        sorted(str(path) for path in folders[0].iterdir()),
        model=theirs.CLIP_fx(device="cpu"),
        num_workers=0,
        batch_size=1,
        device=torch.device("cpu"),
        mode="legacy_pytorch",
        custom_fn_resize=theirs.img_preprocess_clip,
        verbose=False,
    )
    protocol = find_protocol("clip-fid")
    prepare = Preprocess(224, protocol.resize, protocol.normalisation)
    ours = torch.cat([prepare(image[None]).flatten(1) for image in images(folders[0])])
    # Columns are resized before rows here, which Pillow does otherwise for some shapes: single pixels by a grey level.
    difference = (ours - torch.from_numpy(found)).abs()
    assert float(difference.max()) < 1.01 / 255 / 0.2613
    assert float((difference > 1e-5).double().mean()) < 1e-3
