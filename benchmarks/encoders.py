"""Encoders: the time that preparing images and calling through an extractor adds to its bare network.

The weights are random: arithmetic takes as long with them as with published ones. Both sides run on the same batches
and in turn; the network alone is given what the extractor prepared.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.harness import median, save, say, table
from ganeval.extractors import dinov2, open_extractor
from ganeval.extractors.base import Extractor
from ganeval.extractors.statefile import save_state
from ganeval.outputs import Output
from ganeval.protocols import find_protocol

BATCH, SIDE = 8, 256
FEATURES: frozenset[Output] = frozenset(("features",))


def _dinov2(folder: Path) -> tuple[str, Path]:
    rng = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=rng) / 50 for name, shape in dinov2.layout("vits14").items()}
    save_state(state, folder / "dinov2.pth")
    return "dinov2:vits14", folder / "dinov2.pth"


def _timm(folder: Path) -> tuple[str, Path]:
    import timm

    save_state(timm.create_model("vit_small_patch16_224").state_dict(), folder / "timm.pth")
    return "timm:vit_small_patch16_224", folder / "timm.pth"


def _open_clip(folder: Path) -> tuple[str, Path]:
    import open_clip

    model = open_clip.create_model("ViT-B-32-quickgelu", load_weights=False)
    save_state(model.state_dict(), folder / "clip.pth")
    return "open_clip:ViT-B-32-quickgelu/openai", folder / "clip.pth"


def _transformers(folder: Path) -> tuple[str, None]:
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    config = Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}).save_pretrained(folder)
    return f"hf:{folder}", None


# By a name for the table: what makes the weights, and the protocol.
CASES: dict[str, tuple[Callable[[Path], tuple[str, Path | None]], str]] = {
    "dinov2:vits14, dgm-eval's resize": (_dinov2, "fd-dinov2"),
    "dinov2:vits14, EDM2's resize": (_dinov2, "fd-dinov2-edm2"),
    "open_clip:ViT-B-32, protocol clip-fid": (_open_clip, "clip-fid"),
    "open_clip:ViT-B-32, its own transform": (_open_clip, "tensorflow"),
    "timm:vit_small_patch16_224, its own transform": (_timm, "tensorflow"),
    "hf, a DINOv2 ViT-S/14": (_transformers, "tensorflow"),
}


def main(*, runs: int) -> None:
    """Time every case, and keep the ratios."""
    torch.set_num_threads(1)
    images = torch.randint(
        0, 256, (BATCH, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    rows, figures = [], {}
    for name, (make, protocol) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            spec, weights = make(Path(folder))
            extractor = open_extractor(spec, protocol=find_protocol(protocol), weights=weights)
        whole, prepared, bare = _seconds(extractor, images, runs)
        figures[name] = {"whole": whole, "prepare": prepared, "network": bare}
        say(f"  {name}: {whole:.2f} s, of the network alone {bare:.2f} s")
        rows.append((name, f"{bare / BATCH * 1000:.0f}", f"{prepared / BATCH * 1000:.1f}", f"{whole / bare:.2f}"))
    header = ("extractor", "network, ms per image", "preprocessing, ms per image", "extractor / network")
    save("encoders", {"batch": BATCH, "side": SIDE, "weights": "random", "seconds": figures}, table(header, rows))


def _seconds(extractor: Extractor, images: Tensor, runs: int) -> tuple[float, float, float]:
    """Median seconds of a batch: through the extractor, its preparation alone, and its network alone, in turn."""
    network = extractor._embed  # type: ignore[attr-defined]
    times: dict[str, list[float]] = {"whole": [], "prepare": [], "network": []}
    with torch.inference_mode():
        inputs = extractor.prepare(images)
        parts: dict[str, Callable[[], object]] = {
            "whole": lambda: extractor.forward(extractor.prepare(images), FEATURES),
            "prepare": lambda: extractor.prepare(images),
            "network": lambda: network(inputs),
        }
        for run in range(runs + 1):
            for name, part in parts.items():
                start = time.perf_counter()
                part()
                # The first is a warm-up.
                if run:
                    times[name].append(time.perf_counter() - start)
    return median(times["whole"]), median(times["prepare"]), median(times["network"])
