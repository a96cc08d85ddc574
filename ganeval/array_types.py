"""Types of numpy arrays that several modules share."""

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
# Features [N, D], as extractors give them.
FeatureArray = NDArray[np.float32]
# Pixels of images.
PixelArray = NDArray[np.uint8]
