"""torchmetrics on the same images with the same weights: FID and inception score, its defaults."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.inception import InceptionScore

from ganeval import evaluate
from ganeval.images import to_uint8
from ganeval.metrics.fid import fid
from ganeval.metrics.inception_score import inception_score

from .conftest import DEEP, SHALLOW, Features, close, images, well_conditioned

pytestmark = pytest.mark.usefixtures("peers_may_warn")


class Given(nn.Module):
    """A network whose features are its inputs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def test_features_and_fid_agree(folders: tuple[Path, Path], ours: Features, known: dict[str, Any]) -> None:
    """Features agree to float32 rounding, antialiasing included, and FID is that of torchmetrics' features to 1e-4."""
    network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(known["weights"]))
    with torch.no_grad():
        real, fake = (torch.cat([network(image[None]) for image in images(folder)]) for folder in folders)
    close(ours(folders[0], "torchmetrics"), real, DEEP)
    result = evaluate(*folders, protocol="torchmetrics", **known)["fid"]
    assert result.value == pytest.approx(fid(real, fake).value, rel=1e-4)


def test_without_antialias_it_is_the_protocol_tensorflow(
    folders: tuple[Path, Path], ours: Features, known: dict[str, Any]
) -> None:
    """As `ganeval protocols` says; the default is another number."""
    network = NoTrainInceptionV3("inception-v3-compat", ["64"], str(known["weights"]), antialias=False)
    with torch.no_grad():
        theirs = torch.cat([network(image[None]) for image in images(folders[1])])
    close(ours(folders[1], "tensorflow", tap=64), theirs, SHALLOW)
    with pytest.raises(AssertionError, match="largest relative error"):
        close(ours(folders[1], "torchmetrics", tap=64), theirs, SHALLOW)


def test_floats_are_cut_off_there_and_rounded_here(known: dict[str, Any]) -> None:
    """Nine tenths of a step above a byte are that byte to torchmetrics, and the next one here."""
    given = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    metric = FrechetInceptionDistance(feature=64, normalize=True, feature_extractor_weights_path=str(known["weights"]))
    metric.update((given.float() + 0.9) / 255, real=True)
    metric.normalize = False
    metric.update(given, real=False)
    assert torch.equal(metric.real_features_sum, metric.fake_features_sum)
    assert torch.equal(to_uint8((given.float() + 0.9) / 255, "[0,1]"), given + 1)


def test_frechet_distance_agrees_on_well_conditioned_features() -> None:
    """With more images than dimensions both agree to 1e-4; the sums of float32 features are in float64 there."""
    x, y = (torch.from_numpy(rows).float() for rows in well_conditioned())
    metric = FrechetInceptionDistance(feature=Given(x.shape[1]))
    metric.update(x, real=True)
    metric.update(y, real=False)
    assert fid(x, y).value == pytest.approx(float(metric.compute()), rel=1e-4)


def test_inception_score_agrees(folders: tuple[Path, Path], untrained_weights: Path, ours: Features) -> None:
    """With one split, which does not depend on the order, the score agrees to 1e-4."""
    network = NoTrainInceptionV3("inception-v3-compat", ["logits_unbiased"], str(untrained_weights))
    metric = InceptionScore(feature=network, splits=1)
    for image in images(folders[1]):
        metric.update(image[None])
    score = inception_score(ours(folders[1], "torchmetrics", "logits"), splits=1).value
    assert score == pytest.approx(float(metric.compute()[0]), rel=1e-4)


def test_inception_scores_of_splits_agree() -> None:
    """Mean and standard deviation over ten splits, in the order that torchmetrics draws."""
    logits = 3 * torch.randn(80, 12, generator=torch.Generator().manual_seed(0))
    metric = InceptionScore(feature=Given(12))
    metric.update(logits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = [float(value) for value in metric.compute()]
        torch.manual_seed(0)
        order = torch.randperm(len(logits))
    found = inception_score(logits[order], splits=10, shuffle_seed=None, std_ddof=1)
    assert [found.value, found.details["std"]] == pytest.approx(theirs, rel=1e-5)
    assert np.sqrt(0.9) * found.details["std"] == pytest.approx(
        inception_score(logits[order], splits=10, shuffle_seed=None).details["std"], rel=1e-9
    )
