"""What an extractor is: it owns its resize, its normalisation, its weights and their digest."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    # Only for annotations: the table of extractors is listed, and a misspelt one refused, without importing torch.
    from torch import Tensor

Output = Literal["features", "logits", "spatial", "images"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class Weights:
    """Where an extractor's numbers come from.

    name: the file or the published set. sha256: of the file's bytes, or of the parameters where there is no file; ""
    for an extractor that has none (pixels). published: whether numbers made with them are comparable with published
    ones. complete: whether name, sha256 and preprocessing decide the numbers; features are not kept where they do not
    (a plain function).
    """

    name: str
    sha256: str
    published: bool
    complete: bool = True


@runtime_checkable
class Extractor(Protocol):
    """Images in, arrays out, in two steps so that batches of mixed sizes share one pass of the network.

    name: as in results ("inception", "inception:768", "digits", "torchvision:resnet18", ...).
    dimensions: the width of "features", None where only the images decide it. outputs: what `forward` can give.
    preprocessing: the resize and normalisation, in words that change when they change.
    """

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def dimensions(self) -> int | None: ...

    @property
    @abstractmethod
    def outputs(self) -> frozenset[Output]: ...

    @property
    @abstractmethod
    def preprocessing(self) -> str: ...

    @property
    @abstractmethod
    def weights(self) -> Weights: ...

    @property
    @abstractmethod
    def precision(self) -> Precision: ...

    @property
    @abstractmethod
    def device(self) -> str: ...

    @abstractmethod
    def prepare(self, images: "Tensor") -> "Tensor":
        """uint8 [N, 3, H, W], one size => float32 network input [N, ...] of a fixed shape, on its device."""
        ...

    @abstractmethod
    def forward(self, inputs: "Tensor", outputs: frozenset[Output]) -> "Mapping[Output, Tensor]":
        """Prepared inputs => float32 [N, D] for "features", [N, classes] for "logits", [N, S] for "spatial",
        [N, 3 * H * W] on [0, 1] for "images".
        """
        ...


def identity(extractor: Extractor) -> tuple[str, ...]:
    """Equal for extractors that make the same numbers of the same images."""
    return extractor.name, extractor.weights.sha256, extractor.preprocessing, extractor.precision
