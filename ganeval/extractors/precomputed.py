"""The placeholder for the extractor if both sets are precomputed features: it has a name, and never runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ganeval.autocast import Precision
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Weights
from ganeval.outputs import Output

if TYPE_CHECKING:
    from torch import Tensor


class PrecomputedExtractor:
    """The extractor that precomputed features are said to be from. stated: its name, None if unknown."""

    outputs: frozenset[Output] = frozenset(("features",))
    weights = Weights("not known", "", published=False)
    preprocessing = "not known"
    precision: Precision = "fp32"

    def __init__(self, stated: str | None, dimensions: int, *, device: str) -> None:
        self.stated, self.dimensions, self.device = stated, dimensions, device
        self.name = f"precomputed:{stated or 'not stated'}"

    def prepare(self, images: "Tensor") -> "Tensor":  # noqa: ARG002, the signature of Extractor
        """ExtractorError: there is no network."""
        raise ExtractorError("Precomputed features have no network, so no further images can be measured.")

    def forward(self, inputs: "Tensor", outputs: frozenset[Output]) -> "Mapping[Output, Tensor]":  # noqa: ARG002
        """ExtractorError: there is no network."""
        raise ExtractorError("Precomputed features have no network, so no further images can be measured.")
