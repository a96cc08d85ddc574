"""torch-fidelity on the same images with the same weights: features of every tap, logits, FID and inception score."""

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity import calculate_metrics
from torch_fidelity.defaults import DEFAULTS
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ganeval import evaluate
from ganeval.metrics.inception_score import inception_score

from .conftest import COUNT, DEEP, SHALLOW, Features, close, images

pytestmark = pytest.mark.usefixtures("peers_may_warn")
TAPS = ("64", "192", "768", "2048", "logits_unbiased", "logits")


@dataclass(frozen=True)
class Theirs:
    """taps: every output of the network. branch: what the 1x1 branch of Mixed_6d gives."""

    taps: dict[str, Tensor]
    branch: Tensor


@pytest.fixture(scope="module")
def theirs(untrained_weights: Path, folders: tuple[Path, Path]) -> Theirs:
    """torch-fidelity's network on the first folder, one image at a time."""
    network = FeatureExtractorInceptionV3("test", list(TAPS), feature_extractor_weights_path=str(untrained_weights))
    branch: list[Tensor] = []
    network.Mixed_6d.branch1x1.register_forward_hook(lambda module, args, output: branch.append(output))
    with torch.no_grad():
        rows = [network(image[None]) for image in images(folders[0])]
    return Theirs({tap: torch.cat([row[i] for row in rows]) for i, tap in enumerate(TAPS)}, torch.cat(branch))


@pytest.mark.parametrize("tap", [64, 192, 768, 2048])
def test_features_agree(theirs: Theirs, folders: tuple[Path, Path], ours: Features, tap: int) -> None:
    """Pool features of every width agree to the rounding of float32 sums in another order."""
    close(ours(folders[0], "tensorflow", tap=tap), theirs.taps[str(tap)], DEEP if tap == 2048 else SHALLOW)


@pytest.mark.parametrize(("protocol", "tap"), [("tensorflow", "logits_unbiased"), ("studiogan", "logits")])
def test_logits_agree(theirs: Theirs, folders: tuple[Path, Path], ours: Features, protocol: str, tap: str) -> None:
    """Logits without bias are torch-fidelity's `logits_unbiased`; those with bias differ by its bias."""
    if protocol == "tensorflow":
        close(ours(folders[0], protocol, "logits"), theirs.taps[tap], DEEP)
        return
    bias = theirs.taps["logits"] - theirs.taps["logits_unbiased"]
    difference = ours(folders[0], "studiogan", "logits") - ours(folders[0], "pytorch-fid", "logits")
    assert torch.allclose(difference, bias, atol=1e-5)


def test_fid_inception_score_and_kid_agree(folders: tuple[Path, Path], known: dict[str, Any]) -> None:
    """FID to 1e-4 (its root takes eigenvalues of an unsymmetric product there), IS too, and KID over its subsets.

    The generated set is input1, as in its own examples. Of features of width 768: at 2048 the eigenvalues take many
    times as long.
    """
    expected = calculate_metrics(
        input1=str(folders[1]),
        input2=str(folders[0]),
        isc=True,
        isc_splits=2,
        feature_layer_fid="768",
        feature_layer_kid="768",
        fid=True,
        kid=True,
        kid_subsets=7,
        kid_subset_size=3,
        cuda=False,
        batch_size=1,
        cache=False,
        verbose=False,
        feature_extractor_weights_path=str(known["weights"]),
    )
    options = {"is": {"splits": 2}, "kid": {"subsets": 7, "subset_size": 3}}
    given = {**known, "extractor": "inception:768"}
    result = evaluate(*folders, metrics=["fid", "is", "kid"], options=options, **given)
    assert result["fid"].value == pytest.approx(expected["frechet_inception_distance"], rel=1e-4)
    assert result["is"].value == pytest.approx(expected["inception_score_mean"], rel=1e-4)
    assert signature(inception_score).parameters["splits"].default == DEFAULTS["isc_splits"]
    assert result["is"].details["std"] == pytest.approx(expected["inception_score_std"], rel=1e-3)
    assert result["kid"].value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-3)
    assert result["kid"].details["std"] == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-3)


def test_spatial_features_are_the_first_channels_of_the_branch(
    theirs: Theirs, folders: tuple[Path, Path], ours: Features
) -> None:
    """ADM's sFID features: 7 channels of Mixed_6d's 1x1 branch after its ReLU, flattened from NHWC to 2023 numbers."""
    expected = np.ascontiguousarray(theirs.branch[:, :7].numpy().transpose(0, 2, 3, 1)).reshape(COUNT, -1)
    assert expected.shape == (COUNT, 2023)
    close(ours(folders[0], "tensorflow", "spatial"), torch.from_numpy(expected), DEEP)
