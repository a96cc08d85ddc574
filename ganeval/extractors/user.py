"""`py:file.py:name`: an extractor of the user's own, from their own file.

The name may stand for any of

- a module or callable: uint8 images [N, 3, H, W] => float [N, D], or a dict of "features" and, where there are
  classes, "logits";
- a function of no arguments, or a class, that makes one;
- an object with everything extractors.base.Extractor asks for, which is used as it is.

A callable with an attribute `size` gets every image resized to size x size (antialiased bicubic, rounded); without
one, all images must share a size. Modules that it is, holds in attributes, or uses as globals of its file are put
into evaluation mode, moved to the device, and their parameters take part in the digest, as do the bytes of the file.
"""

import inspect
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import cast, get_args

import torch
from torch import Tensor, nn

from ganeval.autocast import Precision, autocast, check_precision
from ganeval.errors import ExtractorError, SourceError
from ganeval.extractors.base import Extractor, Output, Weights
from ganeval.extractors.pixels import OneSize
from ganeval.preprocess import resample
from ganeval.sources.python import load_python

# Size of the trial image for a callable that declares no size.
TRIAL_SIZE = 64


def open_user_extractor(spec: str, *, device: str = "cpu", precision: Precision = "fp32") -> Extractor:
    """`file.py:name` => the extractor it stands for.

    Raises UsageError for a spec that cannot be understood, ExtractorError when the file is missing, fails, or defines
    something that is not callable.
    """
    check_precision(device, precision)
    try:
        found = load_python(spec)
    except SourceError as error:
        raise ExtractorError(str(error)) from error
    if isinstance(found, Extractor):
        return found
    if not callable(found):
        raise ExtractorError(
            f"py:{spec} is of type {type(found).__name__}, which cannot be called; expected a module or callable that "
            "takes uint8 images [N, 3, H, W] and returns features [N, D]."
        )
    file = Path(spec.rpartition(":")[0])
    return UserExtractor(found, name=f"py:{spec}", file=file, device=device, precision=precision)


class UserExtractor:
    """A user's callable as an extractor, checked on every batch. file: its source, for the digest."""

    def __init__(
        self, embed: Callable[[Tensor], object], *, name: str, file: Path, device: str, precision: Precision
    ) -> None:
        self.name, self.device, self.precision = name, device, precision
        self._embed = embed
        modules = _modules_of(embed)
        for module in modules:
            module.eval().to(device)
        self.weights = Weights(name, _digest(file, modules), published=False)
        self._size = _declared_size(embed, name)
        self.preprocessing = "none" if self._size is None else f"clean to {self._size}, rounded"
        self._one_size = OneSize(name, advice="Give the callable an attribute `size` to have them resized.")
        self._widths: dict[Output, int] | None = None

    @property
    def dimensions(self) -> int | None:
        """The width of its features; None before any image if it may depend on their size."""
        return None if self._size is None and self._widths is None else self._known_widths()["features"]

    @property
    def outputs(self) -> frozenset[Output]:
        """What it returns, determined on a black trial image if it has seen no other."""
        return frozenset(self._known_widths())

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 integers 0..255, resized if a size was declared."""
        images = images.to(self.device, non_blocking=True)
        if self._size is None:
            self._one_size.check(images)
            return images.float()
        return resample(images, self._size, self._size, "clean").round()

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """The requested outputs of the callable for these images, float32."""
        given = self._call(inputs)
        widths = {output: array.shape[1] for output, array in given.items()}
        if self._widths is not None and widths != self._widths:
            raise ExtractorError(f"{self.name} first returned {_shown(self._widths)}, and now {_shown(widths)}.")
        self._widths = widths
        if missing := outputs - given.keys():
            raise ExtractorError(f"{self.name} returned no {', '.join(sorted(missing))}, only {_shown(widths)}.")
        return {output: given[output] for output in outputs}

    def _known_widths(self) -> dict[Output, int]:
        if self._widths is not None:
            return self._widths
        size = self._size or TRIAL_SIZE
        with torch.inference_mode():
            given = self._call(torch.zeros(2, 3, size, size, device=self.device))
        return {output: array.shape[1] for output, array in given.items()}

    def _call(self, inputs: Tensor) -> dict[Output, Tensor]:
        images = inputs.to(torch.uint8)
        try:
            with autocast(self.device, self.precision):
                returned = self._embed(images)
        except Exception as error:
            # The user's code may raise anything.
            raise ExtractorError(
                f"{self.name} raised {type(error).__name__} for {list(images.shape)} images: {error}"
            ) from error
        arrays = returned if isinstance(returned, Mapping) else {"features": returned}
        if "features" not in arrays or not set(arrays) <= set(get_args(Output)):
            raise ExtractorError(
                f'{self.name} returned a dict of {", ".join(map(str, arrays)) or "nothing"}; expected "features" and, '
                'if it has a classifier, "logits".'
            )
        return {cast(Output, key): self._checked(str(key), array, len(images)) for key, array in arrays.items()}

    def _checked(self, output: str, array: object, count: int) -> Tensor:
        if not isinstance(array, Tensor):
            raise ExtractorError(f"{self.name} returned {type(array).__name__} as {output}; expected a tensor.")
        if array.ndim != 2 or len(array) != count or not array.is_floating_point():
            dtype = str(array.dtype).removeprefix("torch.")
            raise ExtractorError(
                f"{self.name} returned {dtype} {list(array.shape)} as {output} of {count} images; expected floats "
                f"[{count}, D]."
            )
        if not array.isfinite().all():
            raise ExtractorError(f"{self.name} returned NaN or infinity among the {output} of {count} images.")
        return array.float()


def _declared_size(embed: object, name: str) -> int | None:
    size = getattr(embed, "size", None)
    if size is None or (isinstance(size, int) and size > 0):
        return size
    raise ExtractorError(f"{name} declares the size {size!r}; expected a whole number of pixels, at least 1.")


def _modules_of(embed: object) -> list[nn.Module]:
    """The modules that it consists of, as far as they can be found, in order of their names."""
    if isinstance(embed, nn.Module):
        return [embed]
    code = embed if inspect.isroutine(embed) else type(embed).__call__
    visible = {**getattr(code, "__globals__", {}), **getattr(embed, "__dict__", {})}
    return [visible[name] for name in sorted(visible) if isinstance(visible[name], nn.Module)]


def _digest(file: Path, modules: list[nn.Module]) -> str:
    """SHA-256 of the file's bytes and of all parameters and buffers."""
    digest = sha256(file.read_bytes())
    for module in modules:
        for name, tensor in module.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _shown(widths: Mapping[Output, int]) -> str:
    return ", ".join(f"{output} of {width}" for output, width in sorted(widths.items()))
