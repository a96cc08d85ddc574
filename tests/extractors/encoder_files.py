"""Small encoders in the layouts in which packages publish theirs: files and folders of generated weights."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganeval.extractors import dinov2
from ganeval.extractors.statefile import save_state

TINY, TINY_SIZE = "tiny14", dinov2.NetworkSize(32, 2, 2)
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


def texts_folder(folder: Path, kind: str) -> str:
    """The spec of a small CLIP or SigLIP of transformers with its tokenizer, in the files of the published ones."""
    import transformers
    from transformers.utils import logging as log

    log.set_verbosity(logging.CRITICAL)
    log.disable_progress_bar()
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vision = {**sizes, "image_size": 32, "patch_size": 8}
    if kind == "clip":
        tokenizer = clip_tokenizer(folder)
        text = {**sizes, "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
        text |= {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
        text |= {"max_position_embeddings": 77, "hidden_act": "quick_gelu"}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
        network, processor = seeded(lambda: transformers.CLIPModel(config)), transformers.CLIPImageProcessor
    else:
        tokenizer = siglip_tokenizer(folder)
        text = {**sizes, "vocab_size": tokenizer.vocab_size, "max_position_embeddings": 64, "projection_size": 16}
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        network, processor = seeded(lambda: transformers.SiglipModel(config)), transformers.SiglipImageProcessor
    network.save_pretrained(folder)
    size = {"shortest_edge": 32} if kind == "clip" else {"height": 32, "width": 32}
    processor(size=size, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return f"hf:{folder}"


def clip_tokenizer(folder: Path) -> Any:
    """A tokenizer of CLIP's kind: bytes alone and at the end of words, few merges, and two marks, in OpenAI's order."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    merges = [("c", "a"), ("ca", "t</w>"), ("t", "h"), ("th", "e</w>"), ("r", "e"), ("re", "d</w>")]
    words = [*letters, *(f"{one}</w>" for one in letters), *("".join(pair) for pair in merges)]
    vocabulary = {word: place for place, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
    tokenizer.save_pretrained(folder)
    return tokenizer


def siglip_tokenizer(folder: Path) -> Any:
    """A tokenizer of SigLIP's kind, learned from a few words; texts have no mask, as in the published files."""
    from sentencepiece import SentencePieceTrainer
    from transformers import SiglipTokenizer

    words = ["a red square", "two cats on a sofa", "a photograph of the sea at night", "quick brown foxes jump"] * 20
    SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_prefix=str(folder / "spiece"),
        vocab_size=60,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    tokenizer = SiglipTokenizer(str(folder / "spiece.model"), model_max_length=64, model_input_names=["input_ids"])
    tokenizer.save_pretrained(folder)
    return tokenizer


MAKERS: Mapping[str, Callable[[Path], tuple[str, Path | None]]] = {
    "dinov2": dinov2_file,
    "timm": timm_file,
    "open_clip": clip_folder,
    "hf": transformers_folder,
}
