"""torchmetrics on the same images with the same weights: FID and inception score, its defaults."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.inception import InceptionScore

from ganeval import evaluate

from .conftest import COUNT, DEEP, Features, close, images

pytestmark = pytest.mark.usefixtures("peers_may_warn")


def test_features_and_fid_agree(folders: tuple[Path, Path], ours: Features, known: dict[str, Any]) -> None:
    """Features agree to float32 rounding, antialiasing included, and FID to 1e-4."""
    metric = FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=str(known["weights"]))
    rows: list[Tensor] = []
    metric.inception.register_forward_hook(lambda module, args, output: rows.append(output.detach()))
    for folder, real in ((folders[0], True), (folders[1], False)):
        for image in images(folder):
            metric.update(image[None], real=real)
    close(ours(folders[0], "torchmetrics"), torch.cat(rows[:COUNT]), DEEP)
    result = evaluate(*folders, protocol="torchmetrics", **known)["fid"]
    assert result.value == pytest.approx(float(metric.compute()), rel=1e-4)


def test_inception_score_agrees(folders: tuple[Path, Path], untrained_weights: Path, ours: Features) -> None:
    """With one split, which does not depend on the order, the score agrees to 1e-4."""
    from ganeval.metrics.inception_score import inception_score

    network = NoTrainInceptionV3("inception-v3-compat", ["logits_unbiased"], str(untrained_weights))
    metric = InceptionScore(feature=network, splits=1)
    for image in images(folders[1]):
        metric.update(image[None])
    score = inception_score(ours(folders[1], "torchmetrics", "logits"), splits=1).value
    assert score == pytest.approx(float(metric.compute()[0]), rel=1e-4)
