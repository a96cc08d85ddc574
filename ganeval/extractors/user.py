"""`py:file.py:name`: an extractor of the user's own, from their own file.

The name may stand for any of

- a module or callable: uint8 images [N, 3, H, W] => float [N, D], or a dict of "features" and, where there are
  classes, "logits";
- a function without arguments, or a class, that makes one;
- an object that implements extractors.base.Extractor, which is used as it is.

A callable with an attribute `size` gets every image resized to size x size (antialiased bicubic, rounded); without
one, all images must share a size. One with an attribute `value_range` ("[0,1]", "[-1,1]") gets floats in that range.
`ganeval.extractor` declares both, and a name, for objects that cannot have attributes. All modules that it is, has as
attributes, or uses as globals of its file are put into evaluation mode and moved to the device; the digest covers their
parameters and the bytes of the file.
"""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import cast, get_args

import torch
from torch import Tensor, nn

from ganeval.autocast import Precision, autocast, check_precision
from ganeval.errors import ExtractorError, SourceError, UsageError
from ganeval.extractors.base import Extractor, Weights
from ganeval.extractors.digest import digest_of
from ganeval.extractors.pixels import OneSize
from ganeval.outputs import Output
from ganeval.preprocess import resample
from ganeval.ranges import BOUNDS, ValueRange, parse_range
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
    name = f"py:{spec}"
    if isinstance(found, Extractor):
        return found
    embed = _callable(found, name)
    modules = _modules_of(found)
    for module in modules:
        module.eval().to(device)
    weights = Weights(name, _digest(Path(spec.rpartition(":")[0]), modules), published=False)
    return UserExtractor(embed, name=name, weights=weights, device=device, precision=precision)


def as_extractor(found: object, *, name: str, device: str, precision: Precision) -> Extractor:
    """An extractor from a Python object: an Extractor as it is; a module or callable is wrapped.

    A module is copied, in evaluation mode on the device, so that the caller's module does not change.

    Raises:
        UsageError: for an object that cannot be called, and for a device or precision other than an Extractor's own.
        ExtractorError: for a module that cannot be copied.
    """
    if isinstance(found, Extractor):
        if precision not in ("fp32", found.precision):
            raise UsageError(
                f"The extractor {found.name} runs in {found.precision}, but {precision} was requested; leave the "
                "precision out."
            )
        return found
    embed = _callable(found, name)
    check_precision(device, precision)
    module = embed.function if isinstance(embed, Embedding) else embed
    sha256 = digest_of(module) if isinstance(module, nn.Module) else None
    weights = Weights(name, sha256 or "", published=False, complete=sha256 is not None)
    if isinstance(module, nn.Module):
        own = _own(module, name, device)
        embed = replace(embed, function=own) if isinstance(embed, Embedding) else own
    return UserExtractor(embed, name=name, weights=weights, device=device, precision=precision)


def _callable(found: object, name: str) -> Callable[[Tensor], object]:
    """The same object; ExtractorError if it cannot be called with images."""
    if not callable(found):
        raise ExtractorError(
            f"{name} is of type {type(found).__name__}, which cannot be called; expected a module or callable that "
            "takes uint8 images [N, 3, H, W] and returns features [N, D]."
        )
    if inspect.isclass(found):
        raise ExtractorError(f"{name} is a class; give an instance of it, as in {found.__name__}().")
    return found


def _own(module: nn.Module, name: str, device: str) -> nn.Module:
    """A copy in evaluation mode on the device; ExtractorError if it cannot be copied."""
    try:
        return copy.deepcopy(module).eval().to(device)
    except Exception as error:
        # It is the user's module and may hold anything.
        raise ExtractorError(
            f"{name} cannot be copied ({type(error).__name__}: {error}); give a function that calls it instead."
        ) from error


@dataclass(frozen=True)
class Embedding:
    """A callable that takes images, and the images it expects; `extractor` makes one."""

    function: Callable[[Tensor], object]
    name: str
    size: int | None = None
    value_range: ValueRange = "uint8"

    def __call__(self, images: Tensor) -> object:
        """Call the callable."""
        return self.function(images)


def extractor(
    function: Callable[[Tensor], object],
    *,
    name: str | None = None,
    size: int | None = None,
    value_range: str | None = None,
) -> Embedding:
    """Declare which images a module or callable expects, for `extractor=`.

    Args:
        function: Images [N, 3, H, W] on the device of the evaluation, as `value_range` says, to floats [N, D], or to a
            dict of "features" and "logits".
        name: As in results; the name of the function, or the class of the module, if it is left out.
        size: Every image is resized to size x size pixels (antialiased bicubic, rounded); None for the function's own
            attribute `size`, or else for images that share a size.
        value_range: None for the function's own attribute `value_range`, or else "uint8"; or "[0,1]", "[-1,1]" or
            "[0,255]" for float32. Any other preprocessing is part of the function, as in
            ``nn.Sequential(torchvision.transforms.Normalize(mean, std), network)``.

    Returns:
        A callable for `extractor=` that has these attributes.

    Raises:
        UsageError: for what cannot be called, and for sizes and ranges that do not exist.

    >>> import ganeval
    >>> colours = ganeval.extractor(lambda images: images.mean((2, 3)), name="colours", value_range="[0,1]")
    >>> ganeval.evaluate("digits:train", "digits:test", extractor=colours).provenance["extractor"]
    'colours'
    """
    if not callable(function) or inspect.isclass(function):
        raise UsageError(f"An extractor is a module or a function of images, found {function!r}.")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise UsageError(f"The size of an extractor's images must be at least 1, found {size!r}.")
    called = str(name or getattr(function, "__name__", type(function).__name__))
    size = _declared_size(function, called) if size is None else size
    declared = _declared_range(function, called) if value_range is None else parse_range(value_range)
    return Embedding(function, called, size, declared)


class UserExtractor:
    """A user's callable as an extractor, checked on every batch. weights: as far as they are known."""

    def __init__(
        self, embed: Callable[[Tensor], object], *, name: str, weights: Weights, device: str, precision: Precision
    ) -> None:
        self.name, self.weights, self.device, self.precision = name, weights, device, precision
        self._embed = embed
        self._size, self._range = _declared_size(embed, name), _declared_range(embed, name)
        resized = "none" if self._size is None else f"clean to {self._size}, rounded"
        self.preprocessing = resized if self._range == "uint8" else f"{resized}, {self._range}"
        self._one_size = OneSize(name, advice="Give the callable an attribute `size` to have them resized.")
        self._widths: dict[Output, int] | None = None

    @property
    def dimensions(self) -> int | None:
        """The width of its features; None before the first image if it may depend on the image size."""
        return None if self._size is None and self._widths is None else self._known_widths()["features"]

    @property
    def outputs(self) -> frozenset[Output]:
        """The outputs it returns, determined on a black trial image if it has seen no image yet."""
        return frozenset(self._known_widths())

    def check_size(self, width: int, height: int) -> None:
        """ExtractorError for images of another size than the first ones, if they are not resized."""
        if self._size is None:
            self._one_size.check(width, height)

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 integers 0..255, resized if a size was declared."""
        images = images.to(self.device, non_blocking=True)
        self.check_size(images.shape[-1], images.shape[-2])
        if self._size is None:
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
        images = _in_range(inputs, self._range)
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
        return array.float()


def _declared_size(embed: object, name: str) -> int | None:
    size = getattr(embed, "size", None)
    if size is None or (isinstance(size, int) and size > 0):
        return size
    raise ExtractorError(f"{name} declares the size {size!r}; expected a whole number of pixels, at least 1.")


def _declared_range(embed: object, name: str) -> ValueRange:
    try:
        return parse_range(getattr(embed, "value_range", "uint8"))
    except UsageError as error:
        raise ExtractorError(f"{name} declares the value_range {embed.value_range!r}: {error}") from error  # type: ignore[attr-defined]


def _in_range(inputs: Tensor, value_range: ValueRange) -> Tensor:
    """Convert whole numbers 0..255 to the declared range."""
    if value_range == "uint8":
        return inputs.to(torch.uint8)
    low, high = BOUNDS[value_range]
    return inputs / 255 * (high - low) + low


def _modules_of(embed: object) -> list[nn.Module]:
    """The modules that it uses, as far as they can be found, in order of their names."""
    if isinstance(embed, Embedding):
        return _modules_of(embed.function)
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
