"""The EXTRACTORS table: what turns images into arrays, by the word that opens it (`word` or `word:argument`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ganeval.autocast import Precision
from ganeval.errors import UsageError, did_you_mean
from ganeval.extractors.base import Extractor
from ganeval.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments for opening an extractor. argument: the part of the spec after the colon, "" if there is none."""

    argument: str
    protocol: Protocol
    weights: Path | None
    device: str
    precision: Precision


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. argument: the name of the part after the colon in help texts, "" if there is none."""

    title: str
    needs: str
    argument: str
    open: Callable[[Request], Extractor]


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


def _refuse_weights(request: Request, word: str) -> None:
    if request.weights is not None:
        raise UsageError(f"The extractor '{word}' takes no weights file; leave --weights out, or choose inception.")


EXTRACTORS: Mapping[str, Entry] = MappingProxyType(
    {
        "inception": Entry(
            "Inception v3 of 2015, the network of published FIDs; pool features of 2048, 768, 192 or 64",
            "95 MB of weights, fetched on first use",
            "TAP",
            _inception,
        ),
        "digits": Entry("a small network for handwritten digits and the like", "nothing", "", _digits),
        "pixels": Entry("the pixels themselves, resized if a size is given", "nothing", "SIZE", _pixels),
        "torchvision": Entry(
            "any torchvision classifier, its own preprocessing",
            "its weights, fetched on first use",
            "NAME",
            _torchvision,
        ),
        "py": Entry("your own: a callable, module or extractor in a file", "your file", "FILE.py:NAME", _python),
    }
)
NO_DOWNLOAD = ("digits", "pixels")
# Arguments that are required; the others may be left out.
REQUIRED = ("NAME", "FILE.py:NAME")


def find_extractor(spec: str) -> tuple[Entry, str]:
    """The row and the argument of `word` or `word:argument`; UsageError with a hint if there is none."""
    word, _, argument = spec.partition(":")
    entry = EXTRACTORS.get(word)
    if entry is None:
        raise UsageError(f"Unknown extractor '{word}'; {did_you_mean(word, list(EXTRACTORS))}")
    if argument and not entry.argument:
        raise UsageError(f"The extractor '{word}' takes nothing after a colon, found '{argument}'.")
    if entry.argument in REQUIRED and not argument:
        raise UsageError(f"The extractor '{word}' needs a name: {word}:{entry.argument}.")
    return entry, argument


def open_extractor(
    spec: str,
    *,
    protocol: Protocol,
    weights: Path | None = None,
    device: str = "cpu",
    precision: Precision = "fp32",
) -> Extractor:
    """Open the extractor that a spec names.

    Args:
        spec: `word` or `word:argument`, as `ganeval extractors` lists them.
        protocol: The evaluation protocol; it sets the preprocessing of the Inception extractor.
        weights: A weights file, for extractors that take one; None uses the published weights.
        device: The device of torch that the network runs on.
        precision: "fp32", "bf16" or "fp16".

    Returns:
        The extractor, ready to use.

    Raises:
        UsageError: The spec names no extractor, or the options do not fit it.
        WeightsError: The weights are missing, damaged or of another layout.
        ExtractorError: A user's own extractor cannot be opened.
    """
    entry, argument = find_extractor(spec)
    return entry.open(Request(argument, protocol, weights, device, precision))
