"""Training pairs: two aligned or separate sets of images, read once and kept as two tensors."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from torch import Tensor

from ganeval import open_pairs
from ganeval.errors import UsageError
from reference_models.batches import Data
from reference_models.data.images import Images, images_of, load_images


def load_pairs(
    spec: str,
    wanted: Data,
    *,
    given: Callable[[Mapping[str, Tensor]], Tensor],
    convert: bool,
    resize: bool,
    num_samples: int | None = None,
    seed: int = 0,
) -> Images:
    """Read all pairs of a source; `Images.inputs` are the images to translate, `Images.pixels` the targets.

    wanted: resolutions of targets and inputs, and their channels. given: makes the model's inputs from aligned pairs.
    convert: whether images get these channels; if not, a side is grey if all of its images are. resize: whether images
    of other sizes are cropped and resized, both sides in the same way; if not, they are refused. Raises UsageError for
    a spec that is not of pairs, or whose sides differ by another factor than the model scales, and SourceError for
    images that cannot be read.
    """
    pairs = open_pairs(spec, num_samples=num_samples, seed=seed)
    side = cast(int, wanted.input_resolution)
    targets = load_images(
        pairs.targets, resolution=wanted.resolution, channels=wanted.channels if convert else None, resize=resize
    )
    inputs = load_images(
        pairs.inputs, resolution=side, channels=wanted.input_channels if convert else None, resize=resize
    )
    found = inputs.pixels
    if pairs.aligned:
        _check_factor(spec, targets, inputs, wanted)
        found = given({**targets.tensors, "inputs": found})
    about = {**targets.about, "name": spec, "inputs": inputs.about, "targets": targets.about}
    return images_of(targets.pixels, about=about, inputs=found, aligned=pairs.aligned)


def apart(images: Images) -> Images:
    """Split aligned pairs into two sets without partners in each other.

    The inputs are those of the pairs with even numbers, the targets those of the pairs with odd numbers.
    """
    if not images.aligned:
        return images
    assert images.inputs is not None
    found = images_of(images.pixels[1::2], about=images.about, inputs=images.inputs[::2], aligned=False)
    return replace(found, about=images.about)


def _check_factor(spec: str, targets: Images, inputs: Images, wanted: Data) -> None:
    """UsageError if targets are larger than inputs by another factor than the model's."""
    (target, _), (given, _) = (cast(tuple[int, int], one.about["sizes"]) for one in (targets, inputs))
    side = cast(int, wanted.input_resolution)
    if target * side != given * wanted.resolution:
        raise UsageError(
            f"{spec} has inputs of {given} and targets of {target} pixels per side, but this model makes images of "
            f"{wanted.resolution} pixels from images of {side}; give pairs with this factor, or choose a model or "
            "settings that scale by theirs."
        )
