"""The parts that encoders of other packages share: one feature vector per image, and its description."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganeval.autocast import Precision, autocast, check_precision
from ganeval.documents import DocumentError, parse_json, read_text
from ganeval.errors import ExtractorError, WeightsError
from ganeval.extractors.base import Weights
from ganeval.extractors.statefile import check_fits
from ganeval.outputs import Output
from ganeval.preprocess import Preprocess
from ganeval.protocols import Protocol


class Encoder:
    """A network with a preprocessing, as an extractor of features.

    Args:
        network: Preprocessed images to one vector each; used in evaluation mode.
        embed: The function that calls it: float32 ``[N, 3, H, W]`` to ``[N, D]``.
        preprocess: uint8 ``[N, 3, H, W]`` on the device to float32 of one shape.
        name: The spec that opens it.
        dimensions: D.
        preprocessing: The preprocessing and the pooling, in words.
        weights: Their origin.
        device: The device of torch that it runs on.
        precision: "fp32", "tf32", "bf16" or "fp16".
        thread_safe: Whether several threads may call `embed` and `preprocess` at once.

    Raises:
        UsageError: The device does not support the precision.
    """

    outputs: frozenset[Output] = frozenset(("features",))

    def __init__(
        self,
        network: nn.Module,
        embed: Callable[[Tensor], Tensor],
        preprocess: Callable[[Tensor], Tensor],
        *,
        name: str,
        dimensions: int,
        preprocessing: str,
        weights: Weights,
        device: str,
        precision: Precision,
        thread_safe: bool = False,
    ) -> None:
        check_precision(device, precision)
        self.name, self.dimensions, self.preprocessing, self.weights = name, dimensions, preprocessing, weights
        self.device, self.precision, self.thread_safe = device, precision, thread_safe
        network.eval().requires_grad_(requires_grad=False).to(device)
        self._embed, self._preprocess = embed, preprocess

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 [N, 3, size, size], on the device."""
        # Pillow resizes images on the CPU, so they stay there.
        here = images.to(self.device, non_blocking=True) if isinstance(self._preprocess, Preprocess) else images.cpu()
        return self._preprocess(here).to(self.device, non_blocking=True)

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """float32 [N, 3, size, size] => "features" [N, dimensions]."""
        if missing := outputs - self.outputs:
            raise ExtractorError(f"{self.name} gives only features, and cannot give {', '.join(sorted(missing))}.")
        with autocast(self.device, self.precision):
            features = self._embed(inputs)
        return dict.fromkeys(outputs, features.float())


def prescribed(protocol: Protocol, word: str, size: int) -> Preprocess | None:
    """The preprocessing of a protocol that prescribes an extractor of this kind; None for other protocols."""
    if protocol.extractor.partition(":")[0] != word:
        return None
    return Preprocess(size, protocol.resize, protocol.normalisation)


def one_by_one(transform: Callable[[object], Tensor]) -> Callable[[Tensor], Tensor]:
    """A package's own transform of a Pillow image, applied to batches."""

    def preprocess(images: Tensor) -> Tensor:
        from PIL import Image

        pictures = (Image.fromarray(np.ascontiguousarray(image)) for image in images.permute(0, 2, 3, 1).numpy())
        return torch.stack([transform(picture) for picture in pictures])

    return preprocess


def needed(package: str, *, extra: str) -> ModuleType:
    """Import an optional package; if it is missing, ExtractorError names the extra to install."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ExtractorError(
            f"This extractor is of the package {package}, which cannot be imported ({error}): "
            f"pip install 'ganeval[{extra}]'."
        ) from error


def load_into(network: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Load a state_dict; WeightsError unless its names and shapes are those of the network."""
    check_fits(state, network.state_dict(), where=where)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{where} does not fit: {str(error).splitlines()[0]}") from error


def weights_in(folder: Path) -> Path:
    """The weights file of a folder: safetensors if there are any. WeightsError unless there is exactly one."""
    for pattern in ("*.safetensors", "*.pth", "*.bin"):
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise WeightsError(f"{folder} holds {len(found)} files of weights ({names}); name one with --weights.")
    raise WeightsError(f"{folder} holds no weights: expected a file *.safetensors, *.pth or *.bin.")


def read_config(folder: Path, name: str, *, package: str) -> dict[str, Any]:
    """The configuration of a model in a folder; WeightsError if there is none."""
    try:
        document = parse_json(read_text(folder / name))
    except (OSError, DocumentError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise WeightsError(f"{folder} is not a folder of a model of {package}: its {name}: {reason}.") from error
    if not isinstance(document, dict):
        raise WeightsError(f"{folder} is not a folder of a model of {package}: its {name} holds no JSON object.")
    return document
