"""The embedded extractor: a small network for handwritten digits and similar images, whose weights are part of ganeval.

Greyscale by ITU-R BT.601 luma, antialiased bicubic to 16 x 16, three convolutions, and a linear layer whose 64 outputs
are the features; a linear classifier of them gives ten logits. The spatial features are eight channels of the last
convolution, at all 4 x 4 positions, as ADM uses some of Inception's channels. `scripts/train_digits.py` trains it on
the train split of the embedded digits, to classify and at the same time to reconstruct the image from the features, so
that the features respond to what a classifier alone would learn to ignore (blur, noise, a missing style), and none of
them is constant.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganeval.autocast import Precision, autocast, check_precision
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Weights
from ganeval.extractors.statefile import load_state
from ganeval.outputs import Output
from ganeval.preprocess import resample

INPUT_SIZE = 16
DIMENSIONS = 64
CLASSES = 10
SPATIAL_CHANNELS = 8
# BT.601, the luma of Pillow, TensorFlow and most encoders.
LUMA = (0.299, 0.587, 0.114)
# Pixels per block when luma is computed.
BAND_PIXELS = 1 << 20
WEIGHTS_FILE = Path(__file__).with_name("digits.safetensors")


class DigitsNetwork(nn.Module):
    """float32 [N, 1, 16, 16] in [-1, 1] => maps [N, 64, 4, 4] => features [N, 64] => logits [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.features = nn.Linear(64 * 4 * 4, DIMENSIONS)
        self.logits = nn.Linear(DIMENSIONS, CLASSES)

    def convolve(self, x: Tensor) -> Tensor:
        """Inputs => maps."""
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return F.relu(self.conv3(x))

    def embed(self, maps: Tensor) -> Tensor:
        """Maps => features."""
        features: Tensor = self.features(maps.flatten(1))
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features => logits."""
        logits: Tensor = self.logits(features)
        return logits


class DigitsExtractor:
    """The embedded network as an extractor; it needs no download."""

    name = "digits"
    thread_safe = True
    dimensions = DIMENSIONS
    outputs: frozenset[Output] = frozenset(("features", "logits", "spatial"))
    preprocessing = f"BT.601 luma, clean to {INPUT_SIZE}, 2x/255-1"

    def __init__(self, *, device: str = "cpu", precision: Precision = "fp32") -> None:
        check_precision(device, precision)
        self.device, self.precision = device, precision
        state, sha256 = load_state(WEIGHTS_FILE)
        self.weights = Weights("digits", sha256, published=True)
        with torch.device("meta"):
            network = DigitsNetwork()
        network.load_state_dict(state, assign=True)
        self._network = network.eval().requires_grad_(requires_grad=False).to(device)

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 [N, 1, 16, 16] in [-1, 1]."""
        return normalised(images.to(self.device, non_blocking=True))

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """float32 [N, 1, 16, 16] => the requested ones of "features" [N, 64], "logits" [N, 10], "spatial" [N, 128]."""
        if missing := outputs - self.outputs:
            raise ExtractorError(f"digits cannot give {', '.join(sorted(missing))}.")
        with autocast(self.device, self.precision):
            maps = self._network.convolve(inputs)
            features = self._network.embed(maps)
            given: dict[Output, Tensor] = {"features": features.float()}
            if "spatial" in outputs:
                # Channels last, as for Inception.
                given["spatial"] = maps[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1).float()
            if "logits" in outputs:
                given["logits"] = self._network.classify(features).float()
        return {output: given[output] for output in outputs}


def normalised(images: Tensor) -> Tensor:
    """uint8 or float [N, 3, H, W] on 0..255 => the network's input, float32 [N, 1, 16, 16] in [-1, 1]."""
    weights = torch.tensor(LUMA, dtype=torch.float32, device=images.device)[:, None, None]
    # Only a band of a large image is converted to floats of three channels at a time.
    rows = max(1, BAND_PIXELS // (len(images) * images.shape[-1] or 1))
    luma = torch.empty_like(images[:, :1], dtype=torch.float32)
    for band, into in zip(torch.split(images, rows, -2), torch.split(luma, rows, -2), strict=True):
        torch.sum(band.to(torch.float32) * weights, 1, keepdim=True, out=into)
    return resample(luma, INPUT_SIZE, INPUT_SIZE, "clean") * (2 / 255) - 1
