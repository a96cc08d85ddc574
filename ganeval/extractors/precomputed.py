"""What stands for the extractor where every set is features already: it is named, and never runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ganeval.autocast import Precision
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Output, Weights

if TYPE_CHECKING:
    from torch import Tensor


class PrecomputedExtractor:
    """The extractor that features are said to be of. stated: its name, None where nobody says it."""

    outputs: frozenset[Output] = frozenset(("features",))
    weights = Weights("not known", "", published=False)
    preprocessing = "not known"
    precision: Precision = "fp32"

    def __init__(self, stated: str | None, dimensions: int, *, device: str) -> None:
        self.stated, self.dimensions, self.device = stated, dimensions, device
        self.name = f"precomputed:{stated or 'not stated'}"

    def prepare(self, images: "Tensor") -> "Tensor":  # noqa: ARG002, what an extractor is asked
        """ExtractorError: there is no network."""
        raise ExtractorError("Features that were given cannot be measured of further images.")

    def forward(self, inputs: "Tensor", outputs: frozenset[Output]) -> "Mapping[Output, Tensor]":  # noqa: ARG002
        """ExtractorError: there is no network."""
        raise ExtractorError("Features that were given cannot be measured of further images.")
