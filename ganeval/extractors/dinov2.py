"""DINOv2 (Oquab et al. 2024) as torch hub publishes it: vision transformers of patches of 14 pixels, without registers.

The features are the class token after the last normalisation. Images are resized to 224 pixels, but the networks were
trained on 518: the position embedding of 37 x 37 patches is interpolated to 16 x 16. This is done as by the published
code, which states the scale as 16.1 / 37 and does not smooth before it samples; timm and transformers interpolate
differently, so their features differ.

State_dicts use the names of the published files. The files are Apache-2.0; no digest of them was published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganeval.errors import UsageError, WeightsError, did_you_mean
from ganeval.extractors import Request
from ganeval.extractors.base import Weights
from ganeval.extractors.encoder import Encoder, prescribed
from ganeval.extractors.hub import checkpoint, fetch
from ganeval.extractors.statefile import check_layout, load_state
from ganeval.paths import expanded
from ganeval.preprocess import Preprocess

INPUT_SIZE = 224
PATCH = 14
# Patches per side of the training images, which have 518 pixels per side.
TRAINED_SIDE = 37
# The published code adds this to a side before it computes the scale of the interpolation.
OFFSET = 0.1
URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_{name}/dinov2_{name}_pretrain.pth"
LICENCE = "Apache-2.0"
# The preprocessing of dgm-eval, unless a protocol prescribes another.
DEFAULT = Preprocess(INPUT_SIZE, "pil-bicubic", "imagenet")


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Width of the tokens, blocks and heads of one network. gated: whether its blocks have a SwiGLU layer."""

    width: int
    depth: int
    heads: int
    gated: bool = False


SIZES: dict[str, NetworkSize] = {
    "vits14": NetworkSize(384, 12, 6),
    "vitb14": NetworkSize(768, 12, 12),
    "vitl14": NetworkSize(1024, 24, 16),
    "vitg14": NetworkSize(1536, 40, 24, gated=True),
}


class DinoV2(nn.Module):
    """float32 [N, 3, 14 h, 14 w] => the normalised class token [N, width]."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        width = size.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + TRAINED_SIDE**2, width))
        # Used only in training, to mask patches; kept because the published files contain it.
        self.mask_token = nn.Parameter(torch.empty(1, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList([_Block(size) for _ in range(size.depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images => features."""
        patches = self.patch_embed["proj"](images)
        tokens = torch.cat((self.cls_token.expand(len(images), -1, -1), patches.flatten(2).mT), 1)
        tokens = tokens + interpolated(self.pos_embed, patches.shape[-2], patches.shape[-1])
        for block in self.blocks:
            tokens = block(tokens)
        features: Tensor = self.norm(tokens[:, 0])
        return features


def interpolated(positions: Tensor, height: int, width: int) -> Tensor:
    """The position embedding [1, 1 + 37 * 37, D] for height x width patches, [1, 1 + height * width, D]."""
    if height == width == TRAINED_SIDE:
        return positions
    grid = positions[:, 1:].float().mT.reshape(1, -1, TRAINED_SIDE, TRAINED_SIDE)
    scale = ((height + OFFSET) / TRAINED_SIDE, (width + OFFSET) / TRAINED_SIDE)
    resized = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    assert resized.shape[2:] == (height, width)
    return torch.cat((positions[:, :1], resized.flatten(2).mT), 1)


class _Block(nn.Module):
    """Attention, then a feed-forward layer per token; each is normalised before and scaled after."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(size.width, eps=1e-6) for _ in range(2))
        self.attn = _Attention(size)
        self.ls1, self.ls2 = (_Scale(size.width) for _ in range(2))
        self.mlp = _GatedLayers(size.width) if size.gated else _Layers(size.width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        mixed: Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return mixed


class _Attention(nn.Module):
    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self._heads = size.heads
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.proj = nn.Linear(size.width, size.width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(2, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        mixed: Tensor = self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return mixed


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class _Layers(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mixed


class _GatedLayers(nn.Module):
    """SwiGLU (Shazeer 2020) with as many parameters as two plain layers, its width a multiple of eight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = -(-(4 * width * 2 // 3) // 8) * 8
        self.w12, self.w3 = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        gate, hidden = self.w12(tokens).chunk(2, -1)
        mixed: Tensor = self.w3(F.silu(gate) * hidden)
        return mixed


def layout(name: str) -> Mapping[str, tuple[int, ...]]:
    """The names and shapes of a published state_dict."""
    with torch.device("meta"):
        network = DinoV2(SIZES[name])
    return MappingProxyType({key: tuple(value.shape) for key, value in network.state_dict().items()})


def open_dinov2(request: Request) -> Encoder:
    """`dinov2:NAME` => the extractor; the protocol determines the resize if it prescribes this extractor.

    Raises:
        UsageError: There is no such network.
        WeightsError: The weights are missing, damaged or of another layout.
    """
    name = request.argument
    if name not in SIZES:
        raise UsageError(f"DINOv2 has no network '{name}'; {did_you_mean(name, list(SIZES))}")
    state, weights = _weights(name, request.weights)
    with torch.device("meta"):
        network = DinoV2(SIZES[name])
    network.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    preprocess = prescribed(request.protocol, "dinov2", INPUT_SIZE) or DEFAULT
    return Encoder(
        network,
        network,
        preprocess,
        name=f"dinov2:{name}",
        dimensions=SIZES[name].width,
        preprocessing=f"{preprocess}; class token",
        weights=weights,
        device=request.device,
        precision=request.precision,
        thread_safe=True,
    )


def _weights(name: str, chosen: Path | None) -> tuple[dict[str, Tensor], Weights]:
    """The user's file, or the published one, which can be checked only by its layout."""
    url = URL.format(name=name)
    there = checkpoint(url).is_file()
    path = fetch(url) if chosen is None else expanded(chosen, by="weights")
    try:
        state, sha256 = load_state(path)
    except WeightsError:
        # There is no digest by which to notice an incomplete download.
        if chosen is None and not there:
            path.unlink()
        raise
    check_layout(state, layout(name), where=str(path))
    return state, Weights(path.name, sha256, published=chosen is None, licence=LICENCE)
