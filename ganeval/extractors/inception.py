"""Inception v3 as TensorFlow published it in 2015: the network behind nearly all published FIDs and inception scores.

The network is a table of branches, evaluated by one short function. Every convolution is followed by BatchNorm (eps
1e-3) and ReLU; as the network is only evaluated, each BatchNorm is folded into its convolution once (in float64), and
the convolutions run channels-last, which on a CPU is three times as fast as the network in its training form and equal
to 1e-6 relative.

It differs from torchvision's Inception v3: 1008 classes, no auxiliary head, average pools without the padding in the
mean, and a *maximum* pool in the last block. Weights have torchvision's parameter names.

Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", and the published weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ganeval.autocast import Precision, check_precision
from ganeval.devices import one_thread
from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors.base import Weights
from ganeval.outputs import Output
from ganeval.preprocess import Preprocess
from ganeval.protocols import Protocol

INPUT_SIZE = 299
CLASSES = 1008
BATCH_NORM_EPS = 1e-3
# The block whose spatial mean gives the pool features of each width.
TAPS: Mapping[int, str] = {64: "pool1", 192: "pool2", 768: "Mixed_6e", 2048: "Mixed_7c"}
WIDEST_TAP = max(TAPS)
# ADM's spatial features: the first channels of this branch, all positions (7 * 17 * 17 = 2023 numbers).
SPATIAL_BLOCK, SPATIAL_BRANCH, SPATIAL_CHANNELS = "Mixed_6d", "branch1x1", 7


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution, BatchNorm, ReLU. kernel, stride and padding are (height, width) or one number for both."""

    name: str
    out: int
    kernel: int | tuple[int, int]
    stride: int = 1
    padding: int | tuple[int, int] = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """A 3 x 3 pool: "average" (without padding in the mean) and "max" keep the size, "halve" is a max of stride 2."""

    kind: str


@dataclass(frozen=True, slots=True)
class Fork:
    """Parallel convolutions of one input."""

    convs: tuple[Conv, ...]


Step = Conv | Pool | Fork
Block = tuple[tuple[Step, ...], ...]

_AVERAGE, _MAX, _HALVE = Pool("average"), Pool("max"), Pool("halve")


def _block_35(pool: int) -> Block:
    return (
        (Conv("branch1x1", 64, 1),),
        (Conv("branch5x5_1", 48, 1), Conv("branch5x5_2", 64, 5, padding=2)),
        (
            Conv("branch3x3dbl_1", 64, 1),
            Conv("branch3x3dbl_2", 96, 3, padding=1),
            Conv("branch3x3dbl_3", 96, 3, padding=1),
        ),
        (_AVERAGE, Conv("branch_pool", pool, 1)),
    )


def _block_17(width: int) -> Block:
    row, column = (1, 7), (7, 1)
    return (
        (Conv("branch1x1", 192, 1),),
        (
            Conv("branch7x7_1", width, 1),
            Conv("branch7x7_2", width, row, padding=(0, 3)),
            Conv("branch7x7_3", 192, column, padding=(3, 0)),
        ),
        (
            Conv("branch7x7dbl_1", width, 1),
            Conv("branch7x7dbl_2", width, column, padding=(3, 0)),
            Conv("branch7x7dbl_3", width, row, padding=(0, 3)),
            Conv("branch7x7dbl_4", width, column, padding=(3, 0)),
            Conv("branch7x7dbl_5", 192, row, padding=(0, 3)),
        ),
        (_AVERAGE, Conv("branch_pool", 192, 1)),
    )


def _cross(name: str) -> Fork:
    return Fork((Conv(f"{name}a", 384, (1, 3), padding=(0, 1)), Conv(f"{name}b", 384, (3, 1), padding=(1, 0))))


def _block_8(pool: Pool) -> Block:
    return (
        (Conv("branch1x1", 320, 1),),
        (Conv("branch3x3_1", 384, 1), _cross("branch3x3_2")),
        (Conv("branch3x3dbl_1", 448, 1), Conv("branch3x3dbl_2", 384, 3, padding=1), _cross("branch3x3dbl_3")),
        (pool, Conv("branch_pool", 192, 1)),
    )


_TO_17: Block = (
    (Conv("branch3x3", 384, 3, stride=2),),
    (
        Conv("branch3x3dbl_1", 64, 1),
        Conv("branch3x3dbl_2", 96, 3, padding=1),
        Conv("branch3x3dbl_3", 96, 3, stride=2),
    ),
    (_HALVE,),
)
_TO_8: Block = (
    (Conv("branch3x3_1", 192, 1), Conv("branch3x3_2", 320, 3, stride=2)),
    (
        Conv("branch7x7x3_1", 192, 1),
        Conv("branch7x7x3_2", 192, (1, 7), padding=(0, 3)),
        Conv("branch7x7x3_3", 192, (7, 1), padding=(3, 0)),
        Conv("branch7x7x3_4", 192, 3, stride=2),
    ),
    (_HALVE,),
)

# The whole network, from input to output; a step of the stem is a block of one branch with full names of convolutions.
NETWORK: Mapping[str, Block] = {
    "stem1": (
        (
            Conv("Conv2d_1a_3x3", 32, 3, stride=2),
            Conv("Conv2d_2a_3x3", 32, 3),
            Conv("Conv2d_2b_3x3", 64, 3, padding=1),
        ),
    ),
    "pool1": ((_HALVE,),),
    "stem2": ((Conv("Conv2d_3b_1x1", 80, 1), Conv("Conv2d_4a_3x3", 192, 3)),),
    "pool2": ((_HALVE,),),
    "Mixed_5b": _block_35(32),
    "Mixed_5c": _block_35(64),
    "Mixed_5d": _block_35(64),
    "Mixed_6a": _TO_17,
    "Mixed_6b": _block_17(128),
    "Mixed_6c": _block_17(160),
    "Mixed_6d": _block_17(160),
    "Mixed_6e": _block_17(192),
    "Mixed_7a": _TO_8,
    "Mixed_7b": _block_8(_AVERAGE),
    "Mixed_7c": _block_8(_MAX),
}


def _full_name(block: str, conv: Conv) -> str:
    return f"{block}.{conv.name}" if block.startswith("Mixed") else conv.name


def _convolutions() -> Iterator[tuple[str, int, Conv]]:
    """(full name, input channels, convolution) of the whole network, in the order of the published file."""
    channels = 3
    for block, branches in NETWORK.items():
        total = 0
        for branch in branches:
            width = channels
            for step in branch:
                if isinstance(step, Pool):
                    continue
                convs = step.convs if isinstance(step, Fork) else (step,)
                for conv in convs:
                    yield _full_name(block, conv), width, conv
                width = sum(conv.out for conv in convs)
            total += width
        channels = total


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def layout() -> dict[str, tuple[int, ...]]:
    """The names and shapes of the published state_dict: 94 convolutions of 6 entries, and the 2 of the classifier."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, channels, conv in _convolutions():
        shapes[f"{name}.conv.weight"] = (conv.out, channels, *_pair(conv.kernel))
        for entry in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{entry}"] = (conv.out,)
        shapes[f"{name}.bn.num_batches_tracked"] = ()
    return shapes | {"fc.weight": (CLASSES, WIDEST_TAP), "fc.bias": (CLASSES,)}


class InceptionState(dict[str, Tensor]):
    """Parameters in the published layout, float32 on the CPU; the extractors made of them share the folded ones."""

    @cached_property
    def folded(self) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The weight and bias of each convolution, with its BatchNorm folded in, by full name; float32."""
        return _all_folded(self, "cpu", torch.float32)


class InceptionExtractor:
    """Pool features, class logits and spatial features of the 2015 network, under one protocol.

    Args:
        state: Parameters in the published layout.
        weights: Their origin.
        protocol: The evaluation protocol: resize, normalisation and bias of the logits.
        tap: Width of the pool features: 64, 192, 768 or 2048.
        device: The device of torch that it runs on.
        precision: "fp32", "tf32", "bf16" or "fp16".

    Raises:
        UsageError: ``tap`` is another width, or the device does not support the precision.
    """

    thread_safe = True

    def __init__(
        self,
        state: Mapping[str, Tensor],
        weights: Weights,
        protocol: Protocol,
        *,
        tap: int = 2048,
        device: str = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        if tap not in TAPS:
            raise UsageError(
                f"Inception has no pool features of width {tap}; choose from: {', '.join(map(str, TAPS))}."
            )
        check_precision(device, precision)
        self.name = "inception" if tap == 2048 else f"inception:{tap}"
        self.dimensions = tap
        self.outputs: frozenset[Output] = frozenset(("features", "logits", "spatial"))
        self.weights, self.precision, self.device = weights, precision, device
        self._preprocess = Preprocess(INPUT_SIZE, protocol.resize, protocol.normalisation)
        bias = "with" if protocol.logits_bias else "without"
        self.preprocessing = f"{self._preprocess}; logits {bias} bias"
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
        if isinstance(state, InceptionState) and device == "cpu" and dtype is torch.float32:
            self._convs = state.folded
        else:
            self._convs = _all_folded(state, device, dtype)
        self._fc = state["fc.weight"].to(device, torch.float32)
        self._fc_bias = state["fc.bias"].to(device, torch.float32) if protocol.logits_bias else None
        self._dtype = dtype

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 [N, 3, 299, 299], resized and normalised by the protocol."""
        return self._preprocess(images.to(self.device, non_blocking=True))

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """float32 [N, 3, 299, 299] => the requested "features" [N, tap], "logits" [N, 1008] and "spatial" [N, 2023]."""
        if missing := outputs - self.outputs:
            raise ExtractorError(f"{self.name} cannot give {', '.join(sorted(missing))}.")
        given: dict[Output, Tensor] = {}
        for block, x, spatial in self._blocks(inputs.to(self._dtype, memory_format=torch.channels_last)):
            if spatial is not None and "spatial" in outputs:
                given["spatial"] = spatial
            if block == TAPS[self.dimensions] and "features" in outputs:
                given["features"] = _pooled(x)
            if block == TAPS[WIDEST_TAP] and "logits" in outputs:
                given["logits"] = F.linear(_pooled(x), self._fc, self._fc_bias)
            if len(given) == len(outputs):
                break
        return given

    def _blocks(self, x: Tensor) -> Iterator[tuple[str, Tensor, Tensor | None]]:
        """(name, output, spatial features or None) of each block in order."""
        for block, branches in NETWORK.items():
            parts = [self._branch(block, branch, x) for branch in branches]
            spatial = None
            if block == SPATIAL_BLOCK:
                # ADM flattens channels last.
                spatial = parts[0][:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1).float()
            x = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
            yield block, x, spatial

    def _branch(self, block: str, branch: tuple[Step, ...], x: Tensor) -> Tensor:
        for step in branch:
            if isinstance(step, Pool):
                x = _pool(step, x)
            elif isinstance(step, Fork):
                x = torch.cat([self._conv(block, conv, x) for conv in step.convs], 1)
            else:
                x = self._conv(block, step, x)
        return x

    def _conv(self, block: str, conv: Conv, x: Tensor) -> Tensor:
        weight, bias = self._convs[_full_name(block, conv)]
        return F.conv2d(x, weight, bias, conv.stride, conv.padding).relu_()


def _all_folded(state: Mapping[str, Tensor], device: str, dtype: torch.dtype) -> Mapping[str, tuple[Tensor, Tensor]]:
    with one_thread():
        return {name: _folded(state, name, device, dtype) for name, _, _ in _convolutions()}


def _folded(state: Mapping[str, Tensor], name: str, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A convolution's weight and bias with its BatchNorm folded in."""
    weight, gain, shift, mean, variance = (
        state[f"{name}.{entry}"].double()
        for entry in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    )
    scale = gain / (variance + BATCH_NORM_EPS).sqrt()
    folded = (weight * scale[:, None, None, None]).to(device, dtype).contiguous(memory_format=torch.channels_last)
    return folded, (shift - mean * scale).to(device, dtype)


def _pool(pool: Pool, x: Tensor) -> Tensor:
    if pool.kind == "halve":
        return F.max_pool2d(x, 3, 2)
    if pool.kind == "max":
        return F.max_pool2d(x, 3, 1, 1)
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _pooled(x: Tensor) -> Tensor:
    return x.float().mean((2, 3))
