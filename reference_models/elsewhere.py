"""A run that goes on where it was not begun: its images at another path, its weights on another device."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganeval.devices import find_device
from ganeval.errors import SourceError, UsageError
from reference_models.classes import listed
from reference_models.data import Images
from reference_models.plan import Plan
from reference_models.reading import read_images


def device_of(run: Path, plan: Plan, asked: object) -> str:
    """Where a run goes on: where it was asked to, or where it was. UsageError for what cannot be used here."""
    try:
        return find_device(str(asked or plan.device))
    except UsageError as error:
        if asked is not None:
            raise
        raise UsageError(
            f"{run} was trained with {plan.device}. {error} To go on elsewhere, choose a device, as with --device cpu."
        ) from error


def moved(then: str, now: str) -> str | None:
    """What is no longer as it would have been, where a run goes on with another kind of device."""
    if torch.device(then).type == torch.device(now).type:
        return None
    return (
        f"The run goes on with {now}, and was trained with {then} so far. Weights, averages, optimizers and the order "
        "of images are as they were saved. The random numbers of the losses (latents, dropout) begin anew, from the "
        f"seed and the step, and sums are rounded otherwise: from here on it is not, bit for bit, what {then} would "
        "have given."
    )


def place_of(config: Mapping[str, Any], plan: Plan) -> str:
    """Where a run's images were seen last, or else where its plan has them."""
    place = config.get("data_at")
    return place if isinstance(place, str) and Path(place).exists() else plan.data


def read_again(run: Path, plan: Plan, spec: str) -> Images:
    """A plan's images from where they are now; SourceError, with what to say, where they are not there."""
    try:
        return read_images(plan, spec=spec)
    except SourceError as error:
        raise SourceError(
            f"The images that {run} was trained on cannot be had from {spec}: {error} If they are somewhere else now, "
            "say where with --data SOURCE."
        ) from error


def check_same(images: Images, begun: Mapping[str, Any], run: Path) -> None:
    """UsageError for other images than a run began with, or classes of other names. begun: its config or checkpoint."""
    name = images.about["name"]
    names, classes = (begun.get("data", begun).get(key) for key in ("class_names", "classes"))
    if images.digest != begun["digest"]:
        gaps = (
            f" An earlier version of ganeval took their labels for {classes} classes, and there are images of "
            f"{images.data.classes}; such a run can be drawn from and scored, but not go on."
            if names is None and classes is not None and classes != images.data.classes
            else ""
        )
        raise UsageError(
            f"The images of {name} are not those that {run} was trained on (data {images.digest[:12]}, not "
            f"{str(begun['digest'])[:12]}).{gaps} Give back the old ones, or start a new run."
        )
    if names is not None and tuple(names) != images.class_names:
        raise UsageError(
            f"The images of {name} are those that {run} was trained on, but their classes were called {listed(names)} "
            f"and are called {listed(images.class_names or ())}. Name them as they were, or start a new run."
        )
