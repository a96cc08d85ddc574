"""Extractors from a user's file: every allowed form, and the error for each broken one."""

from pathlib import Path

import pytest
import torch

from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors.base import Extractor
from ganeval.extractors.running import run
from ganeval.extractors.user import open_user_extractor
from ganeval.sources.base import batch_of

BOTH = frozenset(("features", "logits"))
FEATURES = frozenset(("features",))
IMAGES = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 8, 8)

FORMS = """
import torch
from torch import nn

from ganeval.extractors.pixels import PixelsExtractor

network = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(3 * 8 * 8, 5))
network.train()


def means(images):
    assert images.dtype == torch.uint8
    return images.float().mean((2, 3))


def with_classes(images):
    return {"features": means(images), "logits": means(images) @ torch.ones(3, 4)}


class Net(nn.Module):
    size = 8

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(3 * 8 * 8, 5))

    def forward(self, images):
        return self.head(images.float() / 255)


def make():
    return Net()


class Holder:
    size = 8

    def __init__(self):
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(3 * 8 * 8, 5))

    def __call__(self, images):
        return self.net(images.float())


def full():
    return PixelsExtractor(size=2)


def of_global(images):
    return network(images.float())


module = Net()
nothing = 3
"""


@pytest.fixture
def forms(tmp_path: Path) -> Path:
    """A file with an extractor of every allowed form."""
    path = tmp_path / "forms.py"
    path.write_text(FORMS)
    return path


def broken(tmp_path: Path, body: str) -> str:
    path = tmp_path / "broken.py"
    path.write_text(f"import torch\n\n\ndef embed(images):\n    {body}\n")
    return f"{path}:embed"


def test_a_function_is_an_extractor(forms: Path) -> None:
    """A function of uint8 images satisfies the contract, and its results are not comparable with published ones."""
    extractor = open_user_extractor(f"{forms}:means")
    assert isinstance(extractor, Extractor)
    features = extractor.forward(extractor.prepare(IMAGES), FEATURES)["features"]
    assert torch.allclose(features, IMAGES.float().mean((2, 3)))
    assert (extractor.outputs, extractor.dimensions, extractor.weights.published) == (FEATURES, 3, False)
    assert extractor.name == f"py:{forms}:means"


def test_a_dict_may_bring_logits(forms: Path) -> None:
    """Its outputs are determined by a trial call; the width may depend on the images' size."""
    extractor = open_user_extractor(f"{forms}:with_classes")
    assert (extractor.outputs, extractor.dimensions) == (BOTH, None)
    given = extractor.forward(extractor.prepare(IMAGES), BOTH)
    assert [given[output].shape[1] for output in ("features", "logits")] == [3, 4]


@pytest.mark.parametrize("name", ["Net", "make", "Holder", "module"])
def test_networks_evaluate_and_have_images_resized(forms: Path, name: str) -> None:
    """Classes, factories and objects with networks run in evaluation mode, on images resized to their size."""
    extractor = open_user_extractor(f"{forms}:{name}")
    inputs = torch.cat([extractor.prepare(IMAGES), extractor.prepare(torch.zeros(1, 3, 30, 20, dtype=torch.uint8))])
    first, second = (extractor.forward(inputs, FEATURES)["features"] for _ in range(2))
    assert first.shape == (3, 5)
    assert torch.equal(first, second)
    assert "clean to 8" in extractor.preprocessing


def test_a_full_extractor_is_used_as_it_is(forms: Path) -> None:
    """An object that is already an Extractor is returned unchanged."""
    assert open_user_extractor(f"{forms}:full").name == "pixels:2"


def test_the_digest_covers_file_and_parameters(forms: Path) -> None:
    """Changed code is another digest, and so are changed parameters, wherever the network is held."""

    def digest(name: str, seed: int) -> str:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return open_user_extractor(f"{forms}:{name}").weights.sha256

    for name in ("Net", "Holder", "of_global"):
        assert digest(name, 0) == digest(name, 0)
        assert digest(name, 0) != digest(name, 1)
    before = digest("Net", 0)
    forms.write_text(FORMS + "# changed\n")
    assert digest("Net", 0) != before


def test_mixed_sizes_need_a_declared_size(forms: Path) -> None:
    """Without `size`, a second image size is an error that names both sizes and the attribute."""
    extractor = open_user_extractor(f"{forms}:means")
    extractor.prepare(IMAGES)
    with pytest.raises(ExtractorError, match=r"8 x 8 and 9 x 8 .*attribute `size`"):
        extractor.prepare(torch.zeros(1, 3, 8, 9, dtype=torch.uint8))


def test_bfloat16_is_tried_and_float16_needs_a_gpu(forms: Path) -> None:
    """The network runs in the requested precision, and features are float32."""
    torch.manual_seed(0)
    extractor = open_user_extractor(f"{forms}:Net", precision="bf16")
    features = extractor.forward(extractor.prepare(IMAGES), FEATURES)["features"]
    assert features.dtype == torch.float32
    assert torch.equal(features, features.bfloat16().float())
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        open_user_extractor(f"{forms}:Net", precision="fp16")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return images.float()", r"returned float32 \[2, 3, 8, 8\] as features of 2 images; expected floats \[2, D\]"),
        ("return images[:1].float().flatten(1)", r"returned float32 \[1, 192\] as features of 2 images"),
        ("return images.flatten(1)", r"returned uint8 \[2, 192\] as features"),
        ("return [1, 2]", "returned list as features; expected a tensor"),
        ("return None", "returned NoneType as features; expected a tensor"),
        ("return {'logits': images}", 'a dict of logits; expected "features"'),
        ("return {}", 'a dict of nothing; expected "features"'),
        ("return {'features': images.flatten(1).float(), 'extra': 1}", "a dict of features, extra; expected"),
        ("raise KeyError('oops')", r"raised KeyError for \[2, 3, 8, 8\] images: 'oops'"),
    ],
)
def test_a_broken_contract_is_explained(tmp_path: Path, body: str, message: str) -> None:
    """The error says what a callable returned and what was expected."""
    extractor = open_user_extractor(broken(tmp_path, body))
    with pytest.raises(ExtractorError, match=message):
        extractor.forward(extractor.prepare(IMAGES), FEATURES)


def test_features_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    """Where they are read, so that a GPU need not be waited for."""
    extractor = open_user_extractor(broken(tmp_path, "return images.flatten(1).float() / 0"))
    with pytest.raises(ExtractorError, match="returned NaN or infinity among the features of 2 images"):
        run(extractor, batch_of(list(IMAGES)), FEATURES)


def test_features_may_not_change_their_width(tmp_path: Path) -> None:
    """A second batch of another width is an error, even if each batch alone is valid."""
    extractor = open_user_extractor(broken(tmp_path, "return torch.ones(len(images), len(images))"))
    inputs = extractor.prepare(IMAGES)
    extractor.forward(inputs, FEATURES)
    with pytest.raises(ExtractorError, match="first returned features of 2, and now features of 1"):
        extractor.forward(inputs[:1], FEATURES)
    with pytest.raises(ExtractorError, match="returned no logits, only features of 2"):
        extractor.forward(inputs, BOTH)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing", ExtractorError, "of type int, which cannot be called"),
        ("mean", UsageError, "did you mean 'means'"),
    ],
)
def test_what_cannot_be_an_extractor_is_refused(forms: Path, name: str, error: type[Exception], message: str) -> None:
    """A name that does not exist or cannot be called is refused at once."""
    with pytest.raises(error, match=message):
        open_user_extractor(f"{forms}:{name}")


def test_a_file_that_fails_is_an_extractor_error(tmp_path: Path) -> None:
    """A missing file, or one that raises, is an ExtractorError and not a SourceError."""
    with pytest.raises(ExtractorError, match="does not exist"):
        open_user_extractor(f"{tmp_path / 'absent.py'}:embed")
    (tmp_path / "raises.py").write_text("raise RuntimeError('no licence')\n")
    with pytest.raises(ExtractorError, match=r"raises\.py:1: RuntimeError: no licence"):
        open_user_extractor(f"{tmp_path / 'raises.py'}:embed")


@pytest.mark.parametrize("size", ["'big'", "0", "-3"])
def test_a_declared_size_must_be_one(tmp_path: Path, size: str) -> None:
    """`size` is a whole number of pixels."""
    spec = broken(tmp_path, f"return images\nembed.size = {size}")
    with pytest.raises(ExtractorError, match="declares the size"):
        open_user_extractor(spec)
