"""The networks of LPIPS: trunks of torchvision, and the heads that the package lpips brings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError, WeightsError, did_you_mean
from ganeval.extractors.statefile import check_fits, check_layout, load_state
from ganeval.paths import expanded

UNTRAINED = "untrained"
# Shift and scale of R, G and B, for images on -1..1.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@dataclass(frozen=True, slots=True)
class _Trunk:
    """A network of torchvision: its function, weights file, compared layers and their channels."""

    function: str
    file: str
    layers: Sequence[int]
    channels: Sequence[int]


TRUNKS: Mapping[str, _Trunk] = MappingProxyType(
    {
        "alex": _Trunk("alexnet", "alexnet-owt-7be5be79.pth", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256)),
        "vgg": _Trunk("vgg16", "vgg16-397923af.pth", (3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
        "squeeze": _Trunk(
            "squeezenet1_1",
            "squeezenet1_1-b8a52dc0.pth",
            (1, 4, 7, 9, 10, 11, 12),
            (64, 128, 256, 384, 384, 512, 512),
        ),
    }
)


class LpipsTrunk(nn.Module):
    """A trunk and the weights of its channels: a `ganeval.metrics.lpips.LpipsNetwork`.

    caveat: why values must not be compared with published ones; None if they may be.
    """

    def __init__(self, features: nn.Sequential, layers: Sequence[int], heads: Sequence[Tensor], caveat: str | None):
        super().__init__()
        self.features, self.layers, self.caveat = features, tuple(layers), caveat
        for number, head in enumerate(heads):
            self.register_buffer(f"head{number}", head)
        self.register_buffer("shift", torch.tensor(SHIFT).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).reshape(1, 3, 1, 1))

    @property
    def heads(self) -> Sequence[Tensor]:
        """The weights of the channels of each layer, [C]."""
        return [self.get_buffer(f"head{number}") for number in range(len(self.layers))]

    def forward(self, images: Tensor) -> Sequence[Tensor]:
        """The features of each layer, of images [N, 3, H, W] on -1..1."""
        found, values = [], (images - self.get_buffer("shift")) / self.get_buffer("scale")
        for number, layer in enumerate(self.features[: self.layers[-1] + 1]):
            values = layer(values)
            if number in self.layers:
                # The next layers may work in place.
                found.append(values.clone())
        return found


def open_lpips(spec: str, *, device: str = "cpu") -> LpipsTrunk:
    """Open the network of LPIPS: trunk and heads.

    The heads are those of version 0.1 in the package lpips. The weights of a trunk are those that torchvision trained:
    they are read from torch's cache, and nothing is downloaded.

    Args:
        spec: "alex", "vgg" or "squeeze"; after a colon the file of the trunk's weights, as torchvision publishes it,
            or "untrained" for seeded random weights, whose values are a distance but not LPIPS.
        device: Torch's name of a device.

    Returns:
        The network, for `ganeval.metrics.lpips`.

    Raises:
        UsageError: There is no such network.
        WeightsError: The weights of trunk or heads are missing, or have another layout.

    >>> from ganeval.extractors import open_lpips
    >>> [len(head) for head in open_lpips("alex:untrained").heads]
    [64, 192, 384, 256, 256]
    """
    name, _, where = spec.partition(":")
    if name not in TRUNKS:
        raise UsageError(f"LPIPS has no network '{name}'; {did_you_mean(name, list(TRUNKS))}")
    trunk = TRUNKS[name]
    heads = _heads(name, trunk)
    features, caveat = _features(trunk, name, where)
    network = LpipsTrunk(features, trunk.layers, heads, caveat).eval().requires_grad_(requires_grad=False)
    return network.to(device)


def _heads(name: str, trunk: _Trunk) -> list[Tensor]:
    """The weights of the channels of each layer, from the package lpips, which is not imported."""
    package = find_spec("lpips")
    if package is None or package.origin is None:
        raise WeightsError(
            "The heads of LPIPS are in the package lpips, which is missing: pip install 'ganeval[lpips]'."
        )
    path = Path(package.origin).parent / "weights" / "v0.1" / f"{name}.pth"
    state, _ = load_state(path)
    layout = {f"lin{number}.model.1.weight": (1, count, 1, 1) for number, count in enumerate(trunk.channels)}
    check_layout(state, layout, where=str(path))
    return [state[key].flatten().float() for key in layout]


def _features(trunk: _Trunk, name: str, where: str) -> tuple[nn.Sequential, str | None]:
    """The layers of a trunk with their weights, and the caveat about these."""
    from torchvision import models

    # The classifier after these layers is large and not used.
    with torch.device("meta"):
        network: nn.Module = getattr(models, trunk.function)(weights=None)
    features = network.get_submodule("features")
    assert isinstance(features, nn.Sequential)
    if where == UNTRAINED:
        _initialise(features.to_empty(device="cpu"))
        return features, (
            f"The trunk {name} of LPIPS is untrained: these values are distances, and not those of LPIPS. They must "
            "not be compared with published numbers."
        )
    cached = Path(torch.hub.get_dir()) / "checkpoints" / trunk.file
    path = expanded(Path(where), by="the network of LPIPS") if where else cached
    if not path.is_file():
        raise WeightsError(
            f"The weights of the trunk {name} of LPIPS are not at {path}. Download "
            f"https://download.pytorch.org/models/{trunk.file} to there, name its file after a colon "
            f"(network={name}:FILE; of a metric, --option METRIC.network={name}:FILE), or take an untrained trunk, "
            f"whose values are not LPIPS (network={name}:{UNTRAINED})."
        )
    state, sha256 = load_state(path)
    state = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    check_fits(state, features.state_dict(), where=str(path))
    features.load_state_dict(state, assign=True)
    # torchvision's names end with the first digits of the digest.
    if not sha256.startswith(trunk.file.rpartition("-")[2].removesuffix(".pth")):
        return features, (
            f"The weights {path.name} of the trunk {name} of LPIPS are not the published ones: its values must not be "
            "compared with published numbers."
        )
    return features, None


def _initialise(features: nn.Module) -> None:
    """Seeded random weights; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # `torch.manual_seed` would also seed GPUs
        for module in features.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
