"""The pixels themselves as features: no network, so distances are distances between images."""

from collections.abc import Mapping

from torch import Tensor

from ganeval.autocast import Precision
from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors.base import Weights
from ganeval.outputs import Output
from ganeval.preprocess import resample

# Maximum side in pixels: such an image takes 200 MB.
LARGEST = 4096


class OneSize:
    """Remembers the size of the first images; ExtractorError for images of another size."""

    def __init__(self, name: str, *, advice: str) -> None:
        self._name, self._advice = name, advice
        self.seen: tuple[int, int] | None = None

    def check(self, width: int, height: int) -> None:
        """An image's width and height in pixels."""
        if self.seen is None:
            self.seen = width, height
        elif self.seen != (width, height):
            raise ExtractorError(
                f"{self._name} needs images of one size, found {self.seen[0]} x {self.seen[1]} and {width} x {height} "
                f"(width x height). {self._advice}"
            )


class PixelsExtractor:
    """Pixels on 0..1, flattened channel by channel; greyscale images have three equal channels.

    Args:
        size: Every image is first resized to size x size (antialiased bicubic); if None, all images must have one size.
        device: The device of torch that it runs on.
        precision: "fp32", as there is no network.

    Raises:
        UsageError: ``size`` is below 1 or above 4,096, or ``precision`` is not "fp32".
    """

    outputs: frozenset[Output] = frozenset(("features", "images"))
    weights = Weights("none", "", published=True)
    precision: Precision = "fp32"

    def __init__(self, *, size: int | None = None, device: str = "cpu", precision: Precision = "fp32") -> None:
        if size is not None and not 1 <= size <= LARGEST:
            raise UsageError(f"The pixels' size must be from 1 to {LARGEST:,}, found {size}.")
        if precision != "fp32":
            raise UsageError(f"'pixels' has no network that could run in {precision}; leave --precision out.")
        self.name = "pixels" if size is None else f"pixels:{size}"
        self.device = device
        self.preprocessing = "x/255" if size is None else f"clean to {size}, x/255"
        self._size = size
        self._one_size = OneSize(self.name, advice="Give a size to resize them to, for example pixels:32.")

    @property
    def dimensions(self) -> int | None:
        """3 x size x size; None without a size, because it depends on the images."""
        return None if self._size is None else 3 * self._size**2

    def check_size(self, width: int, height: int) -> None:
        """ExtractorError for images of another size than the first ones, if they are not resized."""
        if self._size is None:
            self._one_size.check(width, height)

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 [N, 3, size, size] on 0..1; ExtractorError for mixed sizes without `size`."""
        images = images.to(self.device, non_blocking=True)
        self.check_size(images.shape[-1], images.shape[-2])
        if self._size is None:
            return images.float() / 255
        return resample(images, self._size, self._size, "clean") / 255

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """float32 [N, 3, H, W] => the requested ones of "features" and "images" [N, 3 * H * W], which are equal."""
        if missing := outputs - self.outputs:
            raise ExtractorError(f"{self.name} has no classifier and cannot give {', '.join(sorted(missing))}.")
        return dict.fromkeys(outputs, inputs.flatten(1))
