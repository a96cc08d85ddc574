"""Metric options that are objects: how to open one from the user's value, and its name in results."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ganeval.errors import UsageError
from ganeval.extractors import open_lpips
from ganeval.sources.python import load_python


def _open_network(given: object, device: str) -> object:
    """The network of LPIPS, from its name or already opened."""
    return open_lpips(given, device=device) if isinstance(given, str) else given


def _open_segmenter(given: object, device: str) -> object:  # noqa: ARG001, the user's code chooses its own device
    """A function of images, or the one that "py:FILE.py:NAME" names."""
    if given is None:
        raise UsageError(
            "Accuracies and IoU of label maps need a segmenter, a function of images [N, 3, H, W] that returns classes "
            "[N, H, W] or logits [N, K, H, W]: options={'segmentation': {'segmenter': function}}, or "
            "--option segmentation.segmenter=py:FILE.py:NAME."
        )
    if not isinstance(given, str):
        return given
    scheme, _, rest = given.partition(":")
    if scheme != "py":
        raise UsageError(f"The segmenter '{given}' is not understood; write py:FILE.py:NAME.")
    found = load_python(rest)
    if not callable(found):
        raise UsageError(f"{given} is not a function of images but {type(found).__name__}.")
    return found


# Options that are objects, with the function that opens one from the user's value and the device.
OPENERS: Mapping[str, Callable[[object, str], object]] = MappingProxyType(
    {"network": _open_network, "segmenter": _open_segmenter}
)


def open_objects(options: Mapping[str, object], device: str) -> dict[str, object]:
    """Open the objects that options name, for a device.

    Args:
        options: All options of a metric.
        device: Torch's name of a device.

    Returns:
        The options that a metric is called with.

    Raises:
        UsageError: An option names an object that does not exist.
        WeightsError: A network's weights are missing.
    """
    return {name: OPENERS[name](value, device) if name in OPENERS else value for name, value in options.items()}


def written(value: object) -> object:
    """An option as written to a result: an object is written by its name."""
    if not callable(value):
        return value
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{getattr(value, '__module__', type(value).__module__)}.{name}"
