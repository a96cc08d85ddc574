"""pytorch-fid on the same files with the same weights: features, FID of the whole, and the statistics file."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cleanfid import fid as cleanfid
from PIL import Image
from pytorch_fid import fid_score, inception
from torch import Tensor
from torch_fidelity.datasets import ImagesPathDataset

from ganeval import evaluate, write_reference
from ganeval.metrics.fid import fid
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport

from .conftest import COUNT, DEEP, SHALLOW, Features, close, moments, well_conditioned

Theirs = Callable[[Path, int], Tensor]
pytestmark = pytest.mark.usefixtures("peers_may_warn")


@pytest.fixture(scope="module")
def theirs(untrained_weights: Path) -> Iterator[Theirs]:
    """pytorch-fid's features of a folder and width, with the generated weights; extracted once."""
    state = torch.load(untrained_weights, weights_only=True)
    patch = pytest.MonkeyPatch()
    patch.setattr(inception, "load_state_dict_from_url", lambda *args, **kwargs: state)
    blocks = inception.InceptionV3.BLOCK_INDEX_BY_DIM

    @cache
    def features(folder: Path, dims: int) -> Tensor:
        network = inception.InceptionV3([blocks[dims]])
        # Images of other sizes cannot share a batch there, and there are no worker processes to wait for.
        files = sorted(str(path) for path in folder.iterdir())
        array = fid_score.get_activations(files, network, batch_size=1, dims=dims, num_workers=0)
        return torch.from_numpy(array)

    yield features
    patch.undo()


@pytest.mark.parametrize("dims", [64, 192, 768, 2048])
def test_features_agree(theirs: Theirs, folders: tuple[Path, Path], ours: Features, dims: int) -> None:
    """Pool features of every width agree to the rounding of float32 sums in another order."""
    folder, tolerance = (folders[0], DEEP) if dims == 2048 else (folders[1], SHALLOW)
    close(ours(folder, "pytorch-fid", tap=dims), theirs(folder, dims), tolerance)


def test_fid_agrees(theirs: Theirs, folders: tuple[Path, Path], known: dict[str, Any]) -> None:
    """FID of 8 and 4 images in 2048 dimensions is that of pytorch-fid's features to 1e-5.

    Its distance is compared below: a root of 2048 x 2048 takes half a minute there.
    """
    expected = fid(*(theirs(path, 2048) for path in folders)).value
    result = evaluate(*folders, protocol="pytorch-fid", **known)["fid"]
    assert result.value == pytest.approx(expected, rel=1e-5)


def test_statistics_are_readable_there_and_give_the_same_fid(
    folders: tuple[Path, Path], known: dict[str, Any], tmp_path: Path, ours: Features
) -> None:
    """pytorch-fid loads ganeval's statistics, and ganeval gets the same FID from them as from the images."""
    path = tmp_path / "reference.npz"
    write_reference(folders[0], path, protocol="pytorch-fid", **known)
    mean, covariance = fid_score.compute_statistics_of_path(str(path), None, 1, 2048, "cpu")
    features = ours(folders[0], "pytorch-fid").double()
    assert np.allclose(mean, features.mean(0).numpy(), rtol=1e-6, atol=1e-8)
    assert np.allclose(covariance, features.T.cov().numpy(), rtol=1e-6, atol=1e-8)
    direct = evaluate(*folders, protocol="pytorch-fid", **known)["fid"]
    stored = evaluate(path, folders[1], protocol="pytorch-fid", **known)["fid"]
    assert stored.value == pytest.approx(direct.value, rel=1e-9)
    assert stored.n_real == COUNT


def test_transparency_is_dropped_there_and_laid_on_white_here(tmp_path: Path) -> None:
    """As the documentation says, of pytorch-fid, torch-fidelity and clean-fid; opaque pixels are the same."""
    pixels = np.full((8, 8, 4), 100, np.uint8)
    pixels[:, :4, 3], pixels[:, 4:, 3] = 0, 255
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    theirs = (
        fid_score.ImagePathDataset([path]),
        ImagesPathDataset([path]),
        cleanfid.ResizeDataset([path], mode="legacy_tensorflow"),
    )
    for images in theirs:
        assert np.unique(np.asarray(images[0])).round() == [100]
    (batch,) = open_source(path).batches(Reading(), ReadReport())
    (group,) = batch.groups
    assert (group.images[..., :4] == 255).all()
    assert (group.images[..., 4:] == 100).all()


def test_frechet_distance_agrees_on_well_conditioned_features() -> None:
    """With more images than dimensions both agree to 1e-9."""
    x, y = well_conditioned()
    expected = fid_score.calculate_frechet_distance(*moments(x), *moments(y))
    assert fid(torch.from_numpy(x), torch.from_numpy(y)).value == pytest.approx(expected, rel=1e-9)
