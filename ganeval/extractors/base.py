"""The Extractor protocol: an extractor owns its resize, its normalisation, its weights and their digest."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ganeval.autocast import Precision
from ganeval.outputs import Output

if TYPE_CHECKING:
    # Only for annotations: extractors are listed, and misspelt names refused, without importing torch.
    from torch import Tensor

# Which extractors of this package provide each output.
PROVIDERS: Mapping[Output, str] = MappingProxyType(
    {
        "features": "inception, lite0, digits, pixels",
        "logits": "inception, lite0, digits",
        "spatial": "inception, lite0, digits",
        "images": "pixels:32",
    }
)


@dataclass(frozen=True, slots=True)
class Weights:
    """The origin of an extractor's weights.

    Attributes:
        name: The file or the published set.
        sha256: Digest of the bytes of the file, or of the parameters if there is no file; "" for an extractor without
            weights (pixels).
        published: Whether they are the published weights; with others, numbers are not comparable with published ones.
        complete: Whether name, sha256 and preprocessing determine the numbers. If not (a plain function), features are
            not cached.
        caveat: A sentence that says why numbers computed with them are still not comparable with published ones; None
            if they are.
        licence: The licence of the weights, as stated by their publisher's package; "" if not known.
    """

    name: str
    sha256: str
    published: bool
    complete: bool = True
    caveat: str | None = None
    licence: str = ""


@runtime_checkable
class Extractor(Protocol):
    """Images in, arrays out, in two steps so that batches of mixed sizes share one pass of the network.

    An extractor that also has ``thread_safe = True`` promises that several threads may call its methods at once. On a
    CPU, as many batches are then computed at a time as torch has threads, each on one thread, and the rows do not
    depend on this number. Without it, batches are computed one after the other, in the calling thread.

    One whose features are comparable only between images of one size may have a method ``check_size(width, height)``,
    which raises ExtractorError for a size that does not fit those before. It is called for every image size in all sets
    of an evaluation, also for sets from the cache, from files of features or from other processes.

    Attributes:
        name: The name in results ("inception", "inception:768", "digits", "torchvision:resnet18", ...).
        dimensions: The width of "features"; None if it depends on the images.
        outputs: The outputs that ``forward`` can compute.
        preprocessing: The resize and normalisation, in words that change when these change.
        weights: The origin of the weights.
        precision: "fp32", "tf32", "bf16" or "fp16".
        device: The device of torch that it runs on.
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
        """Preprocess images of one size.

        Args:
            images: uint8 ``[N, 3, H, W]``.

        Returns:
            float32 network input ``[N, ...]`` of a fixed shape, on the extractor's device.
        """
        ...

    @abstractmethod
    def forward(self, inputs: "Tensor", outputs: frozenset[Output]) -> "Mapping[Output, Tensor]":
        """Compute outputs of preprocessed images.

        Args:
            inputs: What ``prepare`` returned, in any batch size.
            outputs: The outputs to compute.

        Returns:
            float32 arrays by output: "features" ``[N, D]``, "logits" ``[N, classes]``, "spatial" ``[N, S]``, "images"
            ``[N, 3 * H * W]`` on 0..1.
        """
        ...


# Name, digest of the weights, preprocessing and precision of an extractor.
Identity = tuple[str, ...]


def identity(extractor: Extractor) -> Identity:
    """A key that is equal for extractors that compute the same numbers from the same images."""
    return extractor.name, extractor.weights.sha256, extractor.preprocessing, extractor.precision
