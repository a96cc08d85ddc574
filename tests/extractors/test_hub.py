"""Torchvision's classifiers as extractors: their own preprocessing, penultimate features and logits."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from file_server import FileServer, serving
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from ganeval.errors import ExtractorError, UsageError, WeightsError
from ganeval.extractors import hub
from ganeval.extractors.base import Extractor
from ganeval.extractors.hub import TorchvisionExtractor, check_name, fetch
from ganeval.extractors.statefile import save_state

BOTH = frozenset(("features", "logits"))
NAME = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state_dict of the right layout with random numbers, as no download is possible."""
    return random_weights(NAME, tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture(scope="module")
def extractor(weights: Path) -> TorchvisionExtractor:
    """On the CPU, in float32."""
    return TorchvisionExtractor(NAME, weights=weights)


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Four pieces of real photographs, RGB, of different sizes."""
    from sklearn.datasets import load_sample_images

    first, second = load_sample_images().images
    return [
        first[:300, :400].copy(),
        second[50:250, 100:300].copy(),
        first[:100, :90].copy(),
        second[:224, :224].copy(),
    ]


def random_weights(name: str, path: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_state(torchvision.models.get_model(name, weights=None).state_dict(), path)
    return path


def tensor_of(photo: np.ndarray) -> Tensor:
    return torch.from_numpy(photo).permute(2, 0, 1)[None]


def test_it_is_an_extractor(extractor: TorchvisionExtractor, weights: Path, photos: list[np.ndarray]) -> None:
    """It satisfies the contract, and its weights are identified by the file's bytes, not as the published ones."""
    assert isinstance(extractor, Extractor)
    assert extractor.name == f"torchvision:{NAME}"
    assert extractor.weights.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert not extractor.weights.published
    inputs = torch.cat([extractor.prepare(tensor_of(photo)) for photo in photos])
    given = extractor.forward(inputs, BOTH)
    assert {output: (array.dtype, tuple(array.shape)) for output, array in given.items()} == {
        "features": (torch.float32, (4, extractor.dimensions)),
        "logits": (torch.float32, (4, 1000)),
    }
    with pytest.raises(ExtractorError, match="cannot give spatial"):
        extractor.forward(inputs, frozenset(("spatial",)))


def test_preprocessing_is_the_weights_own(extractor: TorchvisionExtractor, photos: list[np.ndarray]) -> None:
    """A batch is prepared as torchvision prepares a Pillow image, up to the rounding of Pillow's resize."""
    transforms = torchvision.models.get_model_weights(NAME).DEFAULT.transforms()
    for photo in photos:
        theirs = transforms(Image.fromarray(photo))
        ours = extractor.prepare(tensor_of(photo).expand(2, -1, -1, -1))
        assert torch.equal(ours[0], ours[1])
        # One step of 255, over the smallest standard deviation of the normalisation.
        assert float((ours[0] - theirs).abs().max()) <= 1.01 / 255 / 0.224
    assert "short side to 256" in extractor.preprocessing
    assert "centre crop 224" in extractor.preprocessing


@pytest.mark.parametrize(
    ("name", "dimensions", "size"),
    [
        ("resnet18", 512, 64),
        ("vgg16", 4096, 64),
        ("mobilenet_v3_small", 1024, 64),
        ("convnext_tiny", 768, 64),
        ("vit_b_16", 768, 224),
        ("densenet121", 1024, 64),
        ("inception_v3", 2048, 96),
        ("googlenet", 1024, 64),
        ("squeezenet1_1", 512, 64),
        ("swin_t", 768, 64),
    ],
)
def test_features_are_what_the_last_layer_sees(name: str, dimensions: int, size: int) -> None:
    """Applying the classifier's last layer to the features gives the logits."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        model = hub._untrained(name)
        tap = hub._Tap(model)
        logits = model(torch.randn(2, 3, size, size))
        features = tap.take()
        last = [part for part in model.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]
        assert tap.dimensions == dimensions == features.shape[1]
        if isinstance(last, nn.Linear):
            assert torch.allclose(last(features), logits, atol=1e-5)
        else:
            # SqueezeNet clips its class maps at zero before averaging them, so only the width can be checked.
            assert last.out_channels == logits.shape[1]


def test_a_network_with_indices_is_loaded() -> None:
    """MaxViT's state_dict has the positions of its windows, which are whole numbers; nothing else may hold them."""
    model = hub._untrained("maxvit_t")
    state = dict(model.state_dict())
    hub._load(model, dict(state), where="own")
    (name, *_) = [name for name in state if name.endswith("relative_position_index")]
    for wrong, wanted in ((name, "float32, expected whole numbers"), ("stem.0.0.weight", "int64, expected floats")):
        value = state[wrong].float() if wrong == name else state[wrong].long()
        with pytest.raises(WeightsError, match=f"own: {re.escape(wrong)} holds {wanted}"):
            hub._load(model, {**state, wrong: value}, where="own")


def test_building_one_leaves_the_random_state_alone(weights: Path) -> None:
    """Opening an extractor draws nothing from the global generator."""
    before = torch.get_rng_state()
    TorchvisionExtractor(NAME, weights=weights)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_batch_size_does_not_matter(extractor: TorchvisionExtractor, photos: list[np.ndarray]) -> None:
    """Features of one image at a time are those of a batch, to 1e-4 of their length."""
    inputs = torch.cat([extractor.prepare(tensor_of(photo)) for photo in photos])
    whole = extractor.forward(inputs, BOTH)["features"]
    single = torch.cat([extractor.forward(one[None], BOTH)["features"] for one in inputs])
    assert float(((whole - single).norm(dim=1) / whole.norm(dim=1)).max()) < 1e-4


def test_bfloat16_is_close_and_float16_needs_a_gpu(weights: Path, extractor: TorchvisionExtractor) -> None:
    """bf16 moves features by rounding only and still gives float32; fp16 is refused on a CPU."""
    inputs = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    short = TorchvisionExtractor(NAME, weights=weights, precision="bf16").forward(inputs, BOTH)["features"]
    exact = extractor.forward(inputs, BOTH)["features"]
    assert short.dtype == torch.float32
    assert 0 < float((exact - short).norm() / exact.norm()) < 0.1
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        TorchvisionExtractor(NAME, weights=weights, precision="fp16")


def test_weights_of_another_model_are_refused(weights: Path) -> None:
    """A file of another architecture is a WeightsError with the number and names of differing entries."""
    with pytest.raises(WeightsError, match=r"of another layout: .* missing \(conv1\.weight"):
        TorchvisionExtractor("resnet18", weights=weights)


@pytest.mark.parametrize(
    ("name", "older_names"),
    [
        ("densenet121", {r"\.(norm|conv)([12])\.": r".\1.\2."}),
        ("vit_b_16", {r"\.mlp\.0\.": ".mlp.linear_1.", r"\.mlp\.3\.": ".mlp.linear_2."}),
    ],
)
def test_old_files_are_read(name: str, older_names: dict[str, str]) -> None:
    """Files older than BatchNorm's counters and than the present names of entries still load, as published ones are."""
    model = hub._untrained(name)
    old, new = {}, {}
    for key, value in model.state_dict().items():
        before = key
        for pattern, replacement in older_names.items():
            before = re.sub(pattern, replacement, before)
        if not key.endswith(hub.COUNTER):
            old[before], new[key] = value + 1, value + 1
    assert old.keys() != new.keys()
    hub._load(model, old, where="old")
    loaded = model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in new.items())


@pytest.mark.parametrize("name", ["mnasnet0_5", "mobilenet_v3_small"])
def test_files_without_versions_are_read(name: str, tmp_path: Path) -> None:
    """A safetensors file has no versions of modules, without which MNASNet's own loading fails."""
    # Not the numbers that the extractor's own network begins with, which are drawn from the same random state.
    state = {key: value + 1 for key, value in hub._untrained(name).state_dict().items()}
    save_file(state, tmp_path / "plain.safetensors")
    loaded = TorchvisionExtractor(name, weights=tmp_path / "plain.safetensors")._model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items() if not key.endswith(hub.COUNTER))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", r"no classifier 'resnet19'; did you mean 'resnet18'"),
        ("zzz", "choose from: alexnet"),
        ("deeplabv3_resnet50", "not a plain image classifier"),
        ("fasterrcnn_resnet50_fpn", "not a plain image classifier"),
        ("quantized_resnet18", "not a plain image classifier"),
        ("r3d_18", "not a plain image classifier"),
    ],
)
def test_other_names_are_refused(name: str, message: str) -> None:
    """An unknown name gets a hint, and a model that is not an image classifier has its own message."""
    with pytest.raises(UsageError, match=message):
        check_name(name)


def test_every_classifier_has_a_hash_and_a_preset() -> None:
    """Every torchvision classifier has a hash and a preset, so that none fails after its download."""
    for name in torchvision.models.list_models(module=torchvision.models):
        check_name(name)
        published = torchvision.models.get_model_weights(name).DEFAULT
        assert len(hub._hash_prefix(published.url.rsplit("/", 1)[-1])) >= 8
        assert "centre crop" in hub.describe_transforms(published.transforms())


def test_published_weights_are_fetched_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first use downloads, checking the hash in the name, and the second finds the file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    content = b"weights" * 1000
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    with serving(FileServer(content), name) as server:
        assert fetch(server.url) == fetch(server.url) == tmp_path / "hub" / "checkpoints" / name
    assert len(server.requests) == 1
    with serving(FileServer(content), "net-01234567.pth") as server, pytest.raises(WeightsError, match="hash value"):
        fetch(server.url)
    assert [path.name for path in (tmp_path / "hub" / "checkpoints").iterdir()] == [name]


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the address, the target path of the file and the option."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as error:
        fetch("http://127.0.0.1:9/net-01234567.pth")
    for needed in ("http://127.0.0.1:9/net-01234567.pth", str(tmp_path / "hub" / "checkpoints"), "--weights"):
        assert needed in str(error.value)


def test_a_damaged_published_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    """A file in torch's cache that does not match the hash in its name is an error."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = torchvision.models.get_model_weights(NAME).DEFAULT.url
    place = tmp_path / "hub" / "checkpoints" / url.rsplit("/", 1)[-1]
    place.parent.mkdir(parents=True)
    place.write_bytes(weights.read_bytes())
    with pytest.raises(WeightsError, match="damaged: its SHA-256 is"):
        TorchvisionExtractor(NAME)
    monkeypatch.setattr(hub, "_hash_prefix", lambda _: hashlib.sha256(weights.read_bytes()).hexdigest()[:8])
    assert TorchvisionExtractor(NAME).weights.published
