"""What an extractor may compute of each image, by name."""

from typing import Literal

# Rows [N, D] each.
Output = Literal["features", "logits", "spatial", "images"]
