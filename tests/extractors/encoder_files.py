"""Small encoders in the layouts in which packages publish theirs: files and folders of generated weights."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ganeval.extractors import dinov2
from ganeval.extractors.statefile import save_state

TINY, TINY_SIZE = "tiny14", dinov2.Size(32, 2, 2)
# The smallest vision transformer of timm.
TIMM = "test_vit"
# A CLIP of OpenAI's kind: QuickGELU, class token, projection.
CLIP = {
    "embed_dim": 12,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 4, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1},
}


def generated(layout: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Random parameters of these shapes, none of which is without effect."""
    rng = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in layout.items():
        scale = 0.1 if len(shape) < 2 else max(1, torch.Size(shape[1:]).numel()) ** -0.5
        if name in ("pos_embed", "cls_token"):
            scale = 0.5
        state[name] = torch.randn(shape, generator=rng) * scale
        if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "gamma")):
            state[name] += 1
    return state


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """A module of random weights, for evaluation; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build().eval()
        for parameter in network.parameters():
            # Packages begin with zeros where training begins well, and tests would not notice what they multiply.
            parameter.data += torch.randn(parameter.shape) * 0.02
    return network


def dinov2_file(folder: Path) -> tuple[str, Path]:
    """The spec and weights of the tiny DINOv2, which must be in the table."""
    save_state(generated(dinov2.layout(TINY)), folder / "dinov2.pth")
    return f"dinov2:{TINY}", folder / "dinov2.pth"


def timm_file(folder: Path) -> tuple[str, Path]:
    """The spec and weights of timm's smallest transformer."""
    import timm

    save_state(seeded(lambda: timm.create_model(TIMM)).state_dict(), folder / "timm.pth")
    return f"timm:{TIMM}", folder / "timm.pth"


def clip_model() -> nn.Module:
    """A small CLIP of OpenCLIP."""
    import open_clip

    return seeded(lambda: open_clip.CLIP(**CLIP))


def clip_folder(folder: Path) -> tuple[str, None]:
    """The spec of a folder as OpenCLIP saves its models."""
    from safetensors.torch import save_file

    model = {"model_cfg": CLIP, "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}}
    (folder / "open_clip_config.json").write_text(json.dumps(model))
    save_file({key: value.contiguous() for key, value in clip_model().state_dict().items()}, folder / "m.safetensors")
    return f"open_clip:local-dir:{folder}", None


def transformers_model() -> nn.Module:
    """A small DINOv2 of transformers."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)
    return seeded(lambda: Dinov2Model(config))


def transformers_folder(folder: Path) -> tuple[str, None]:
    """The spec of a folder as transformers saves its models."""
    from transformers import BitImageProcessor
    from transformers.utils import logging as log

    log.set_verbosity(logging.CRITICAL)
    log.disable_progress_bar()
    transformers_model().save_pretrained(folder)  # type: ignore[operator]
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    BitImageProcessor(**sizes).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\nlicense: none\n")
    return f"hf:{folder}", None


MAKERS: Mapping[str, Callable[[Path], tuple[str, Path | None]]] = {
    "dinov2": dinov2_file,
    "timm": timm_file,
    "open_clip": clip_folder,
    "hf": transformers_folder,
}
