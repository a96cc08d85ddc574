"""Random crops of ten photographs that scikit-learn and scikit-image ship, and lite0's features of them.

Crops are of 96 x 96 pixels at random places, and the class is the photograph. Sets differ in their crops, and not in
their photographs: sets of different photographs have different distributions, and would not show what a metric says of
a perfect generator. Crops may overlap, within a set as between sets, so they are independent draws from one
distribution; crops side by side would be too few.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.damage import Labelled
from ganeval.extractors import open_extractor
from ganeval.outputs import Output
from ganeval.precision import full_precision
from ganeval.protocols import find_protocol

SIDE = 96
OF_SKLEARN = ("china", "flower")
OF_SKIMAGE = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
    "stereo_motorcycle",
    "hubble_deep_field",
    "retina",
    "immunohistochemistry",
)
# Images that the network is given at once.
BATCH = 8


def photographs() -> list[NDArray[np.uint8]]:
    """uint8 [H, W, 3] of each."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    found = [load_sample_image(f"{name}.jpg") for name in OF_SKLEARN]
    for name in OF_SKIMAGE:
        image = getattr(data, name)()
        # The motorcycle is a pair of views and their disparities.
        found.append(np.asarray(image[0] if isinstance(image, tuple) else image))
    return found


def crops(count: int, *, seed: int) -> Labelled:
    """`count` crops, each of a random photograph; the same ones for the same seed."""
    rng, images, labels = np.random.RandomState(seed), [], []
    whole = photographs()
    for _ in range(count):
        label = rng.randint(len(whole))
        top, left = (rng.randint(edge - SIDE + 1) for edge in whole[label].shape[:2])
        images.append(torch.from_numpy(whole[label][top : top + SIDE, left : left + SIDE].copy()).permute(2, 0, 1))
        labels.append(label)
    return Labelled(torch.stack(images), torch.tensor(labels))


class Remembering:
    """lite0, which extracts an image once however often it occurs."""

    def __init__(self) -> None:
        self._lite0 = open_extractor("lite0", protocol=find_protocol("tensorflow"))
        self.name, self.dimensions, self.outputs = self._lite0.name, self._lite0.dimensions, self._lite0.outputs
        self.weights, self.precision, self.device = self._lite0.weights, self._lite0.precision, self._lite0.device
        self.preprocessing = self._lite0.preprocessing
        self._known: dict[bytes, dict[Output, Tensor]] = {}

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W], unchanged: what an image is known by."""
        return images

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """The requested outputs of images."""
        keys = [image.contiguous().numpy().tobytes() for image in inputs]
        new = [row for key, row in {key: row for row, key in enumerate(keys)}.items() if key not in self._known]
        with torch.inference_mode(), full_precision():
            for start in range(0, len(new), BATCH):
                rows = new[start : start + BATCH]
                given = self._lite0.forward(self._lite0.prepare(inputs[rows]), self.outputs)
                for place, row in enumerate(rows):
                    self._known[keys[row]] = {output: array[place].clone() for output, array in given.items()}
        return {output: torch.stack([self._known[key][output] for key in keys]) for output in outputs}
