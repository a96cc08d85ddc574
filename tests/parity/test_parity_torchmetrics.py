"""torchmetrics on the same images with the same weights: FID and inception score, its defaults."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.inception import InceptionScore

from ganeval import evaluate
from ganeval.metrics.fid import fid

from .conftest import DEEP, Features, close, images, well_conditioned

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


def test_frechet_distance_agrees_on_well_conditioned_features() -> None:
    """With more images than dimensions both agree to 1e-4; the sums of float32 features are in float64 there."""
    x, y = (torch.from_numpy(rows).float() for rows in well_conditioned())
    metric = FrechetInceptionDistance(feature=Given(x.shape[1]))
    metric.update(x, real=True)
    metric.update(y, real=False)
    assert fid(x, y).value == pytest.approx(float(metric.compute()), rel=1e-4)


def test_inception_score_agrees(folders: tuple[Path, Path], untrained_weights: Path, ours: Features) -> None:
    """With one split, which does not depend on the order, the score agrees to 1e-4."""
    from ganeval.metrics.inception_score import inception_score

    network = NoTrainInceptionV3("inception-v3-compat", ["logits_unbiased"], str(untrained_weights))
    metric = InceptionScore(feature=network, splits=1)
    for image in images(folders[1]):
        metric.update(image[None])
    score = inception_score(ours(folders[1], "torchmetrics", "logits"), splits=1).value
    assert score == pytest.approx(float(metric.compute()[0]), rel=1e-4)
