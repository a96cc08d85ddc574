"""The embedded digits extractor: it classifies, and its FID and IS move with what is wrong with a set of digits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors import digits as digits_module
from ganeval.extractors.base import Extractor
from ganeval.extractors.digits import (
    CLASSES,
    DIMENSIONS,
    SPATIAL_CHANNELS,
    WEIGHTS_FILE,
    DigitsExtractor,
    DigitsNetwork,
)
from ganeval.extractors.download import sha256_of
from ganeval.metrics.fid import fid
from ganeval.preprocess import resample
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport
from scripts import train_digits

Digits = tuple[Tensor, Tensor]
Damage = Callable[[Tensor], Tensor]
EVERY = frozenset(("features", "logits", "spatial"))


def digits(split: str) -> Digits:
    (batch,) = open_source(f"digits:{split}").batches(Reading(batch_size=2000), ReadReport())
    return batch.groups[0].images, torch.tensor(batch.labels)


@pytest.fixture(scope="module")
def extractor() -> DigitsExtractor:
    """On the CPU, in float32."""
    return DigitsExtractor()


@pytest.fixture(scope="module")
def held_out() -> Digits:
    """uint8 images and labels that the network has not seen."""
    return digits("test")


@pytest.fixture(scope="module")
def real(extractor: DigitsExtractor) -> Tensor:
    """Features of the train split."""
    return features_of(extractor, digits("train")[0])


def features_of(extractor: Extractor, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return extractor.forward(extractor.prepare(images), frozenset(("features",)))["features"]


def probabilities_of(extractor: Extractor, images: Tensor) -> Tensor:
    with torch.inference_mode():
        logits = extractor.forward(extractor.prepare(images), frozenset(("logits",)))["logits"]
    return logits.double().softmax(1)


def inception_score(probabilities: Tensor) -> float:
    gain = probabilities * (probabilities / probabilities.mean(0)).log()
    return float(gain.sum(1).mean().exp())


def noisy(images: Tensor, strength: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * strength
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


def coarse(images: Tensor, size: int) -> Tensor:
    """Detail finer than `size` x `size` taken out."""
    return resample(resample(images, size, size, "clean"), 8, 8, "clean").round().to(torch.uint8)


def mixed_with_noise(images: Tensor, every: int) -> Tensor:
    """A share of the images replaced by noise."""
    mixed = images.clone()
    noise = torch.randint(0, 256, images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mixed[::every] = noise[::every]
    return mixed


def test_it_ships_with_the_package_and_is_small(extractor: DigitsExtractor) -> None:
    """The weights are a safetensors file of under 1 MB, and the recorded digest is that file's."""
    assert WEIGHTS_FILE.stat().st_size < 1_000_000
    assert extractor.weights.sha256 == sha256_of(WEIGHTS_FILE)
    assert extractor.weights.published


def test_it_is_an_extractor(extractor: DigitsExtractor, held_out: Digits) -> None:
    """It satisfies the contract: float32 features, logits and spatial features, and only the requested outputs."""
    assert isinstance(extractor, Extractor)
    inputs = extractor.prepare(held_out[0][:5])
    given = extractor.forward(inputs, EVERY)
    assert {output: (array.dtype, tuple(array.shape)) for output, array in given.items()} == {
        "features": (torch.float32, (5, DIMENSIONS)),
        "logits": (torch.float32, (5, CLASSES)),
        "spatial": (torch.float32, (5, 4 * 4 * SPATIAL_CHANNELS)),
    }
    assert extractor.forward(inputs, frozenset(("features",))).keys() == {"features"}
    with pytest.raises(ExtractorError, match="digits cannot give images"):
        extractor.forward(inputs, frozenset(("images",)))


def test_spatial_features_see_where_things_are(extractor: DigitsExtractor, held_out: Digits) -> None:
    """Channels are last: changing the right half of an image changes only the right half of its spatial features."""
    images = held_out[0][:5]
    half = images.shape[-1] // 2
    doubled = torch.cat([images[..., :half], images[..., :half]], -1)
    given, other = (
        extractor.forward(extractor.prepare(some), frozenset(("spatial",)))["spatial"].view(5, 4, 4, SPATIAL_CHANNELS)
        for some in (images, doubled)
    )
    assert torch.equal(given[:, :, 0], other[:, :, 0])
    assert not torch.allclose(given[:, :, 3], other[:, :, 3])


def test_it_recognises_digits_it_has_not_seen(extractor: DigitsExtractor, held_out: Digits) -> None:
    """Held-out accuracy is over 97%."""
    images, labels = held_out
    assert float((probabilities_of(extractor, images).argmax(1) == labels).double().mean()) > 0.97


def test_no_feature_is_dead(real: Tensor) -> None:
    """Over the train split every feature has mean 0 and variance 1, and many directions share the variance."""
    features = real.double()
    assert torch.allclose(features.mean(0), torch.zeros(DIMENSIONS).double(), atol=1e-4)
    assert torch.allclose(features.std(0), torch.ones(DIMENSIONS).double(), atol=1e-4)
    shares = torch.linalg.eigvalsh(features.T.cov())
    shares = shares / shares.sum()
    assert float(torch.exp(-(shares * shares.log()).sum())) > 12


def test_real_digits_are_near_real_digits(extractor: DigitsExtractor, real: Tensor, held_out: Digits) -> None:
    """FID between the two splits is small compared with other sets, and IS is near the number of classes."""
    images, _ = held_out
    assert fid(real, features_of(extractor, images)).value < 1.5
    assert fid(real, features_of(extractor, 255 - images)).value > 50
    assert 7 < inception_score(probabilities_of(extractor, images)) < 10


@pytest.mark.parametrize(
    "damaged",
    [
        [lambda images, size=size: coarse(images, size) for size in (8, 7, 6, 5, 4, 2)],
        [lambda images, strength=strength: noisy(images, strength) for strength in (0, 32, 64, 96, 128)],
        [lambda images, every=every: mixed_with_noise(images, every) for every in (100, 20, 10, 5, 2, 1)],
        [lambda images, share=share: (images * share).to(torch.uint8) for share in (1, 0.9, 0.8, 0.6, 0.3)],
    ],
    ids=["blur", "noise", "other images", "brightness"],
)
def test_fid_grows_with_damage(
    extractor: DigitsExtractor, real: Tensor, held_out: Digits, damaged: list[Damage]
) -> None:
    """More blur, more noise, more foreign images, less contrast: each step has a larger FID than the one before."""
    values = [fid(real, features_of(extractor, damage(held_out[0]))).value for damage in damaged]
    assert values == sorted(values)
    assert values[-1] > 10 * values[0]


def test_missing_classes_raise_fid_and_lower_is(extractor: DigitsExtractor, real: Tensor, held_out: Digits) -> None:
    """The fewer of the ten digits a set has, the larger its FID and the smaller its IS."""
    images, labels = held_out
    kept = [images[labels < classes] for classes in (10, 9, 7, 5, 3, 1)]
    distances = [fid(real, features_of(extractor, some)).value for some in kept]
    scores = [inception_score(probabilities_of(extractor, some)) for some in kept]
    assert distances == sorted(distances)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 1.1


@pytest.mark.parametrize("size", [12, 28, 64])
def test_enlarged_digits_are_the_same_digits(
    extractor: DigitsExtractor, real: Tensor, held_out: Digits, size: int
) -> None:
    """The size at which digits were stored has little effect on FID."""
    enlarged = resample(held_out[0], size, size, "clean").round().to(torch.uint8)
    same = fid(real, features_of(extractor, held_out[0])).value
    assert abs(fid(real, features_of(extractor, enlarged)).value - same) < 0.1


def test_the_batch_size_does_not_matter(extractor: DigitsExtractor, held_out: Digits) -> None:
    """Features of one image at a time are those of a batch, to 1e-4 of their length."""
    images = held_out[0][:40]
    whole = features_of(extractor, images)
    single = torch.cat([features_of(extractor, image[None]) for image in images])
    assert float(((whole - single).norm(dim=1) / whole.norm(dim=1)).max()) < 1e-4


def test_bfloat16_is_close_and_float16_needs_a_gpu(extractor: DigitsExtractor, held_out: Digits) -> None:
    """bf16 moves features by rounding only and still gives float32; fp16 is refused on a CPU."""
    images = held_out[0][:40]
    exact, short = features_of(extractor, images), features_of(DigitsExtractor(precision="bf16"), images)
    assert short.dtype == torch.float32
    assert 0 < float((exact - short).norm() / exact.norm()) < 0.05
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        DigitsExtractor(precision="fp16")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_features(extractor: DigitsExtractor, held_out: Digits) -> None:
    """Features of a GPU are the CPU's, to 1e-4 of their length."""
    images = held_out[0]
    here, there = features_of(extractor, images), features_of(DigitsExtractor(device="cuda"), images).cpu()
    assert float(((here - there).norm(dim=1) / here.norm(dim=1)).max()) < 1e-4


def test_training_is_repeatable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two trainings from the same seed write the same bytes, of the shipped file's layout."""
    monkeypatch.setattr(train_digits, "EPOCHS", 1)
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        for name in ("first", "second"):
            train_digits.main(tmp_path / name)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=False)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    written, shipped = load_file(tmp_path / "first"), load_file(WEIGHTS_FILE)
    assert {name: tensor.shape for name, tensor in written.items()} == {
        name: tensor.shape for name, tensor in shipped.items()
    }


def test_standardising_keeps_the_logits() -> None:
    """Features have mean 0 and variance 1, and the classifier's logits are unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, images = DigitsNetwork(), torch.randn(50, 1, 16, 16)
    before = network.classify(network.embed(network.convolve(images)))
    train_digits.standardise(network, images)
    features = network.embed(network.convolve(images))
    assert torch.allclose(network.classify(features), before, atol=1e-5)
    assert torch.allclose(features.std(0), torch.ones(DIMENSIONS), atol=1e-4)


def test_large_images_have_their_luma_in_bands(monkeypatch):
    """Processing bands of rows gives the same bits as processing all rows at once."""
    images = torch.randint(0, 256, (3, 3, 50, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = digits_module.normalised(images)
    monkeypatch.setattr(digits_module, "BAND_PIXELS", 3 * 40 * 7)
    assert torch.equal(digits_module.normalised(images), whole)
