"""The outputs that an extractor may compute for each image, by name."""

from typing import Literal

# Each is an array of rows [N, D].
Output = Literal["features", "logits", "spatial", "images"]
