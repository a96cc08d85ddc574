"""torchvision's image classifiers as extractors: their own preprocessing, penultimate features, class logits.

The features are the input of the classifier's last layer. If that layer is a convolution (SqueezeNet), they are
averaged over positions, as its outputs are.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from ganeval.autocast import Precision, autocast, check_precision
from ganeval.errors import ExtractorError, UsageError, WeightsError, did_you_mean
from ganeval.extractors.base import Weights
from ganeval.extractors.statefile import check_fits, load_state
from ganeval.network import downloading
from ganeval.outputs import Output
from ganeval.paths import expanded

COUNTER = "num_batches_tracked"
# What published files call otherwise than the present networks: parts of DenseNets and of vision transformers.
RENAMED = (
    (r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2"),
    (r"\.mlp\.linear_1\.", ".mlp.0."),
    (r"\.mlp\.linear_2\.", ".mlp.3."),
)
# Arguments that torchvision's own builders set for their published weights.
PUBLISHED_FORM: Mapping[str, Mapping[str, bool]] = {
    name: {"transform_input": True, "init_weights": False} for name in ("googlenet", "inception_v3")
}


class TorchvisionExtractor:
    """One of torchvision's classifiers, with its default weights or a state_dict of the user.

    Args:
        name: As in torchvision ("resnet18").
        weights: A file to use instead of the published weights; numbers computed with it are not comparable with
            others.
        device: The device of torch that it runs on.
        precision: "fp32", "tf32", "bf16" or "fp16".

    Raises:
        UsageError: The name is not that of an image classifier.
        WeightsError: The weights cannot be downloaded or do not fit.
    """

    def __init__(
        self, name: str, *, weights: Path | None = None, device: str = "cpu", precision: Precision = "fp32"
    ) -> None:
        check_precision(device, precision)
        check_name(name)
        self.name = f"torchvision:{name}"
        self.outputs: frozenset[Output] = frozenset(("features", "logits"))
        self.device, self.precision = device, precision
        published: WeightsEnum = torchvision.models.get_model_weights(name).DEFAULT
        self._transforms = published.transforms()
        self.preprocessing = describe_transforms(self._transforms)
        model = _untrained(name)
        state, self.weights = _published_state(published) if weights is None else _state_of(weights)
        _load(model, state, where=str(weights or published))
        frozen = model.requires_grad_(requires_grad=False).to(device)
        self._model = frozen.to(memory_format=torch.channels_last)
        self._tap = _Tap(self._model)
        self.dimensions = self._tap.dimensions

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] => float32 [N, 3, crop, crop], by the weights' own transforms."""
        prepared: Tensor = self._transforms(images.to(self.device, non_blocking=True))
        return prepared

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        """float32 [N, 3, crop, crop] => the requested ones of "features" [N, D] and "logits" [N, 1000]."""
        if missing := outputs - self.outputs:
            raise ExtractorError(f"{self.name} cannot give {', '.join(sorted(missing))}.")
        with autocast(self.device, self.precision):
            logits = self._model(inputs.contiguous(memory_format=torch.channels_last))
        given: dict[Output, Tensor] = {"features": self._tap.take().float(), "logits": logits.float()}
        return {output: given[output] for output in outputs}


class _Tap:
    """Keeps the input of a model's last layer in the latest forward pass."""

    def __init__(self, model: nn.Module) -> None:
        layer = [part for part in model.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]
        self.dimensions = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
        self._seen: Tensor | None = None
        layer.register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen = inputs[0]

    def take(self) -> Tensor:
        """float [N, D]; can be taken once per forward pass."""
        assert self._seen is not None
        seen, self._seen = self._seen, None
        return seen if seen.ndim == 2 else seen.float().mean((2, 3))


def check_name(name: str) -> None:
    """UsageError unless torchvision has an image classifier of this name."""
    classifiers = torchvision.models.list_models(module=torchvision.models)
    if name in classifiers:
        return
    if name in torchvision.models.list_models():
        raise UsageError(
            f"torchvision's '{name}' is not a plain image classifier (it segments, detects, is quantized, or takes "
            "video or pairs of images); choose a classifier, for example torchvision:resnet50."
        )
    raise UsageError(f"torchvision has no classifier '{name}'; {did_you_mean(name, classifiers)}")


def describe_transforms(transforms: Any) -> str:
    """torchvision's classification preset, in words that change when it changes."""
    resize, crop = transforms.resize_size[0], transforms.crop_size[0]
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (transforms.mean, transforms.std))
    antialias = "antialiased " if transforms.antialias else ""
    return (
        f"{antialias}{transforms.interpolation.value} short side to {resize}, rounded, centre crop {crop}, "
        f"(x/255-({mean}))/({std})"
    )


def _untrained(name: str) -> nn.Module:
    """The architecture in evaluation mode; building it does not change the global random state."""
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = torchvision.models.get_model(name, weights=None, **PUBLISHED_FORM.get(name, {}))
    return model.eval()


def _state_of(path: Path) -> tuple[dict[str, Tensor], Weights]:
    state, sha256 = load_state(expanded(path, by="weights"))
    return state, Weights(path.name, sha256, published=False)


def _published_state(weights: WeightsEnum) -> tuple[dict[str, Tensor], Weights]:
    path = fetch(weights.url)
    state, sha256 = load_state(path)
    if not sha256.startswith(_hash_prefix(path.name)):
        raise WeightsError(f"{path} is damaged: its SHA-256 is {sha256}. Remove the file, and it is fetched again.")
    return state, Weights(str(weights), sha256, published=True)


def checkpoint(url: str) -> Path:
    """Where torch keeps the file of an address."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def fetch(url: str) -> Path:
    """The file of published weights in torch's own cache, downloaded by torch, which checks the hash in its name.

    Raises WeightsError if it is not there and cannot be downloaded.
    """
    path = checkpoint(url)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with downloading([url]):
            torch.hub.download_url_to_file(url, str(path), _hash_in(path.name), progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"{path.name} could not be downloaded: {error}\n  from {url}\n"
            f"With a copy from elsewhere, put it at {path}, or name it with --weights."
        ) from error
    return path


def _hash_in(name: str) -> str | None:
    """The first hexadecimal digits of a published file's SHA-256, where its name has them."""
    found = re.search(r"-([0-9a-f]{8,})\.", name)
    return None if found is None else found[1]


def _hash_prefix(name: str) -> str:
    """The same for a file of torchvision; all of its files have them."""
    prefix = _hash_in(name)
    assert prefix is not None, f"torchvision published {name} without its hash"
    return prefix


def _load(model: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Load the state into the model; WeightsError unless the names and shapes fit."""
    # Evaluation does not use the BatchNorm counters, and older files lack them.
    given = {_modern(name): value for name, value in state.items() if not name.endswith(COUNTER)}
    own = model.state_dict()
    check_fits(given, {name: value for name, value in own.items() if not name.endswith(COUNTER)}, where=where)
    # Into the model's own state_dict, which knows the versions of its modules; a safetensors file does not.
    own.update(given)
    model.load_state_dict(own)


def _modern(name: str) -> str:
    """The present name of an entry of torchvision's state_dicts."""
    for old, new in RENAMED:
        name = re.sub(old, new, name)
    return name
