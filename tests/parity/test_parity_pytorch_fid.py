"""pytorch-fid on the same files with the same weights: features, FID of the whole, and the statistics file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_fid import fid_score, inception
from torch import Tensor

from ganeval import evaluate, write_reference
from ganeval.metrics.fid import fid

from .conftest import DEEP, SHALLOW, Features, close

Networks = dict[int, torch.nn.Module]
pytestmark = pytest.mark.usefixtures("peers_may_warn")


@pytest.fixture(scope="module")
def network(untrained_weights: Path) -> Iterator[Networks]:
    """pytorch-fid's network at both ends of the pool features, with the generated weights."""
    state = torch.load(untrained_weights, weights_only=True)
    patch = pytest.MonkeyPatch()
    patch.setattr(inception, "load_state_dict_from_url", lambda *args, **kwargs: state)
    blocks = inception.InceptionV3.BLOCK_INDEX_BY_DIM
    yield {dims: inception.InceptionV3([blocks[dims]]) for dims in (64, 192, 768, 2048)}
    patch.undo()


def theirs(network: Networks, folder: Path, dims: int = 2048) -> Tensor:
    # Images of other sizes cannot share a batch there, and there are no worker processes to wait for.
    files = sorted(str(path) for path in folder.iterdir())
    array = fid_score.get_activations(files, network[dims], batch_size=1, dims=dims, num_workers=0)
    return torch.from_numpy(array)


@pytest.mark.parametrize("dims", [64, 192, 768, 2048])
def test_features_agree(network: Networks, folders: tuple[Path, Path], ours: Features, dims: int) -> None:
    """Pool features of every width agree to the rounding of float32 sums in another order."""
    tolerance = DEEP if dims == 2048 else SHALLOW
    close(ours(folders[0], "pytorch-fid", tap=dims), theirs(network, folders[0], dims), tolerance)


def test_fid_agrees(network: Networks, folders: tuple[Path, Path], untrained_weights: Path) -> None:
    """FID of 24 images in 2048 dimensions agrees to 1e-5, the accuracy of pytorch-fid's root of a singular product."""
    (m1, s1), (m2, s2) = (
        (array.mean(0), np.cov(array, rowvar=False)) for array in (theirs(network, path).numpy() for path in folders)
    )
    expected = fid_score.calculate_frechet_distance(m1, s1, m2, s2)
    result = evaluate(*folders, protocol="pytorch-fid", weights=untrained_weights)["fid"]
    assert result.value == pytest.approx(expected, rel=1e-5)


def test_statistics_are_readable_there_and_give_the_same_fid(
    folders: tuple[Path, Path], untrained_weights: Path, tmp_path: Path, ours: Features
) -> None:
    """pytorch-fid loads ganeval's statistics, and ganeval gets the same FID from them as from the images."""
    path = tmp_path / "reference.npz"
    write_reference(folders[0], path, protocol="pytorch-fid", weights=untrained_weights)
    mean, covariance = fid_score.compute_statistics_of_path(str(path), None, 1, 2048, "cpu")
    features = ours(folders[0], "pytorch-fid").double()
    assert np.allclose(mean, features.mean(0).numpy(), rtol=1e-6, atol=1e-8)
    assert np.allclose(covariance, features.T.cov().numpy(), rtol=1e-6, atol=1e-8)
    direct = evaluate(*folders, protocol="pytorch-fid", weights=untrained_weights)["fid"]
    stored = evaluate(path, folders[1], protocol="pytorch-fid", weights=untrained_weights)["fid"]
    assert stored.value == pytest.approx(direct.value, rel=1e-9)
    assert stored.n_real == 24


def test_frechet_distance_agrees_on_well_conditioned_features() -> None:
    """With more images than dimensions both agree to 1e-9."""
    rng = np.random.RandomState(0)
    x, y = rng.rand(400, 60) ** 2, rng.rand(300, 60) ** 3
    (m1, s1), (m2, s2) = ((array.mean(0), np.cov(array, rowvar=False)) for array in (x, y))
    expected = fid_score.calculate_frechet_distance(m1, s1, m2, s2)
    assert fid(torch.from_numpy(x), torch.from_numpy(y)).value == pytest.approx(expected, rel=1e-9)
