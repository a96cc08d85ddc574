"""The Inception network alone: images per second, and how far bfloat16 moves FID."""

import torch
from pytorch_fid import inception

from benchmarks.harness import best_seconds, save, say, table
from ganeval.autocast import Precision
from ganeval.extractors.base import Weights
from ganeval.extractors.inception import InceptionExtractor
from ganeval.extractors.untrained import untrained_state
from ganeval.metrics.fid import fid
from ganeval.outputs import Output
from ganeval.precision import full_precision
from ganeval.protocols import find_protocol

FEATURES: frozenset[Output] = frozenset(("features",))
PEER_BATCH, BATCH, IMAGES = 50, 8, 64


def main(*, runs: int) -> None:
    """Forward passes on prepared float32 input of 299 pixels, with each tool's default batch size."""
    state = untrained_state(torch.Generator().manual_seed(0))
    original = inception.load_state_dict_from_url
    inception.load_state_dict_from_url = lambda *args, **kwargs: state  # noqa: ARG005
    try:
        peer = inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()
    finally:
        inception.load_state_dict_from_url = original
    x = torch.rand(PEER_BATCH, 3, 299, 299, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rates: dict[str, float] = {}
    with torch.inference_mode(), full_precision():
        rates["pytorch-fid, fp32, batch 50"] = PEER_BATCH / best_seconds(lambda: peer(x), runs=runs)
        say(f"  {rates}")
        precisions: tuple[Precision, ...] = ("fp32", "bf16")
        for precision in precisions:
            extractor = _extractor(state, precision)
            seconds = best_seconds(lambda extractor=extractor: extractor.forward(x[:BATCH], FEATURES), runs=4 * runs)  # type: ignore[misc]
            rates[f"ganeval, {precision}, batch {BATCH}"] = BATCH / seconds
        shift = _shift(state)
    slowest = rates["pytorch-fid, fp32, batch 50"]
    rows = [[name, f"{rate:.1f}", f"{rate / slowest:.2f}"] for name, rate in rates.items()]
    text = table(["network", "images/s", "relative to pytorch-fid"], rows)
    text += f"\n\nbfloat16 moves the FID of {IMAGES} against {IMAGES} images from {shift[0]:.4f} to {shift[1]:.4f} "
    text += f"({(shift[1] - shift[0]) / shift[0]:+.2%})."
    save("network", {"images_per_second": rates, "fid_fp32": shift[0], "fid_bf16": shift[1]}, text)


def _extractor(state: dict[str, torch.Tensor], precision: Precision) -> InceptionExtractor:
    weights = Weights("generated", "", published=False)
    return InceptionExtractor(state, weights, find_protocol("tensorflow"), precision=precision)


def _shift(state: dict[str, torch.Tensor]) -> tuple[float, float]:
    """FID of photographs' crops against noisy ones, in float32 and in bfloat16."""
    from sklearn.datasets import load_sample_images

    photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1) for photo in load_sample_images().images]
    rng = torch.Generator().manual_seed(0)
    sets = []
    for noise in (0.0, 20.0):
        crops = []
        for number in range(IMAGES):
            top, left = (int(torch.randint(0, edge - 192, (), generator=rng)) for edge in photos[0].shape[1:])
            crop = photos[number % 2][:, top : top + 192, left : left + 192].float()
            crops.append((crop + noise * torch.randn(crop.shape, generator=rng)).clamp(0, 255).byte())
        sets.append(torch.stack(crops))
    values = []
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        extractor = _extractor(state, precision)
        real, fake = (
            torch.cat(
                [
                    extractor.forward(extractor.prepare(part), FEATURES)["features"]
                    for part in torch.split(images, BATCH)
                ]
            )
            for images in sets
        )
        values.append(fid(real, fake).value)
    return values[0], values[1]
