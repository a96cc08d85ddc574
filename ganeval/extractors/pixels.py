"""The pixels themselves as features: no network, so distances mean what they mean between images."""

from collections.abc import Mapping

from torch import Tensor

from ganeval.autocast import Precision
from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors.base import Output, Weights
from ganeval.preprocess import resample


class OneSize:
    """Remembers the size of the first images; ExtractorError for any of another size."""

    def __init__(self, name: str, *, advice: str) -> None:
        self._name, self._advice = name, advice
        self.seen: tuple[int, int] | None = None

    def check(self, images: Tensor) -> None:
        """images: [N, C, H, W]."""
        height, width = images.shape[-2:]
        if self.seen is None:
            self.seen = height, width
        elif self.seen != (height, width):
            raise ExtractorError(
                f"{self._name} needs images of one size, found {self.seen[1]} x {self.seen[0]} and {width} x {height} "
                f"(width x height). {self._advice}"
            )


class PixelsExtractor:
    """Pixels on [0, 1], flattened channel by channel; greyscale images have three equal channels.

    size: every image is first resized to size x size (antialiased bicubic); without one, all images must share a size.
    """

    outputs: frozenset[Output] = frozenset(("features", "images"))
    weights = Weights("none", "", published=True)
    precision: Precision = "fp32"

    def __init__(self, *, size: int | None = None, device: str = "cpu", precision: Precision = "fp32") -> None:
        if size is not None and size < 1:
            raise UsageError(f"The pixels' size must be at least 1, found {size}.")
        if precision != "fp32":
            raise UsageError(f"'pixels' has no network that could run in {precision}; leave --precision out.")
        self.name = "pixels" if size is None else f"pixels:{size}"
        self.device = device
        self.preprocessing = "x/255" if size is None else f"clean to {size}, x/255"
        self._size = size
        self._one_size = OneSize(self.name, advice="Give a size to bring them all to, for example pixels:32.")

    @property
    def dimensions(self) -> int | None:
        """3 x height x width, None without a size: then the images decide."""
        return None if self._size is None else 3 * self._size**2

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 [N, 3, size, size] on [0, 1]; without `size` of one size, or ExtractorError."""
        images = images.to(self.device, non_blocking=True)
        if self._size is None:
            self._one_size.check(images)
            return images.float() / 255
        return resample(images, self._size, self._size, "clean") / 255

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """float32 [N, 3, H, W] => "features" and "images" [N, 3 * H * W], as asked for: they are the same."""
        if missing := outputs - self.outputs:
            raise ExtractorError(f"{self.name} has no classifier and cannot give {', '.join(sorted(missing))}.")
        return dict.fromkeys(outputs, inputs.flatten(1))
