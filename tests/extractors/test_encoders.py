"""Encoders of other packages: their own forward pass on the same weights, and errors where something is missing."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import encoder_files
import huggingface_hub
import numpy as np
import open_clip
import pytest
import timm
import torch
import transformers
from encoder_files import TIMM, TINY, TINY_SIZE, generated, seeded
from file_server import FileServer, serving
from PIL import Image
from safetensors.torch import save_file
from timm.layers import SwiGLUPacked, resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ganeval.errors import ExtractorError, UsageError, WeightsError
from ganeval.evaluation import evaluate
from ganeval.extractors import dinov2, encoder, open_extractor
from ganeval.extractors.base import Extractor
from ganeval.extractors.statefile import save_state
from ganeval.preprocess import Preprocess
from ganeval.protocols import find_protocol

FEATURES = frozenset(("features",))
GATED_SIZE = dinov2.NetworkSize(48, 2, 3, gated=True)


@pytest.fixture(autouse=True)
def _tiny_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of DINOv2's kinds that take little time."""
    monkeypatch.setitem(dinov2.SIZES, TINY, TINY_SIZE)
    monkeypatch.setitem(dinov2.SIZES, "gated14", GATED_SIZE)


@pytest.fixture(autouse=True)
def _own_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is in the Hub's cache, no server is there, and nobody is logged in."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    _serve_hub(monkeypatch, "http://127.0.0.1:9")


def _serve_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Two pieces of a photograph."""
    from sklearn.datasets import load_sample_image

    photo = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1)
    return torch.stack([photo[:, 60:260, 100:340], photo[:, 150:350, 200:440]])


def opened(spec: str, weights: Path | None = None, *, protocol: str = "tensorflow") -> Extractor:
    return open_extractor(spec, protocol=find_protocol(protocol), weights=weights)


def features(extractor: Extractor, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return extractor.forward(extractor.prepare(images), FEATURES)["features"]


def pictures(images: Tensor) -> list[Image.Image]:
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]


def check_equal(found: Tensor, expected: Tensor) -> None:
    """Within the rounding of two ways to sum, and not trivially: the images differ."""
    assert found.shape == expected.shape
    assert float((found - expected).norm()) <= 1e-5 * float(expected.norm())
    assert float((expected[0] - expected[1]).norm()) > 1e-3 * float(expected.norm())


def without_mask(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != "mask_token"}


def of_timm(size: dinov2.NetworkSize, side: int) -> VisionTransformer:
    """timm's class with the arguments of its own DINOv2 models."""
    gated = {"mlp_ratio": 2.66667 * 2, "mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU} if size.gated else {}
    return VisionTransformer(
        img_size=side,
        patch_size=14,
        embed_dim=size.width,
        depth=size.depth,
        num_heads=size.heads,
        init_values=1.0,
        num_classes=0,
        **gated,
    ).eval()


def load_renamed(network: nn.Module, state: dict[str, Tensor]) -> None:
    """The published entries under timm's names."""
    renamed = without_mask(state)
    for key in list(renamed):
        renamed[key.replace(".w12.", ".fc1.").replace(".w3.", ".fc2.")] = renamed.pop(key)
    network.load_state_dict(renamed)


@pytest.mark.parametrize("name", [TINY, "gated14"])
def test_dinov2_is_timms_model_at_the_trained_size(name: str) -> None:
    """At 518 pixels no position is interpolated, and the two implementations agree, with plain and gated layers."""
    state = generated(dinov2.layout(name))
    ours, theirs = dinov2.DinoV2(dinov2.SIZES[name]), of_timm(dinov2.SIZES[name], 518)
    ours.load_state_dict(state)
    load_renamed(theirs, state)
    inputs = torch.randn(2, 3, 518, 518)
    with torch.inference_mode():
        check_equal(ours(inputs), theirs(inputs))


def naive_positions(grid: np.ndarray, to: int) -> np.ndarray:
    """Keys' cubic of a = -0.75 at (i + 1/2) 37 / (to + 0.1) - 1/2, four neighbours each way, edges repeated."""
    side = len(grid)

    def kernel(x: float) -> float:
        a, x = -0.75, abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    matrix = np.zeros((to, side))
    for row in range(to):
        position = (row + 0.5) * side / (to + 0.1) - 0.5
        first = int(np.floor(position))
        for tap in range(first - 1, first + 3):
            matrix[row, min(max(tap, 0), side - 1)] += kernel(position - tap)
    return np.einsum("ih,jw,hwc->ijc", matrix, matrix, grid)


def test_positions_are_interpolated_as_by_the_published_code() -> None:
    """A scale of 16.1 / 37, bicubic, without antialias, is the written-out formula; the class token keeps its own."""
    positions = torch.randn(1, 1 + 37**2, 5)
    found = dinov2.interpolated(positions, 16, 16)
    expected = naive_positions(positions[0, 1:].reshape(37, 37, 5).double().numpy(), 16)
    assert torch.equal(found[:, 0], positions[:, 0])
    assert np.abs(found[0, 1:].reshape(16, 16, 5).numpy() - expected).max() < 1e-4
    assert dinov2.interpolated(positions, 37, 37) is positions


def test_other_packages_interpolate_otherwise() -> None:
    """On a smooth field timm's antialias moves positions by several percent, and transformers' plain size by some."""
    smooth = nn.functional.interpolate(torch.randn(1, 64, 12, 12), (37, 37), mode="bicubic")
    positions = torch.cat((torch.zeros(1, 1, 64), smooth.flatten(2).mT), 1)
    ours = dinov2.interpolated(positions, 16, 16)[:, 1:]
    of_timms = resample_abs_pos_embed(positions, (16, 16))[:, 1:]
    config = transformers.Dinov2Config(hidden_size=64, num_attention_heads=2, image_size=518, patch_size=14)
    embeddings = transformers.models.dinov2.modeling_dinov2.Dinov2Embeddings(config)
    embeddings.position_embeddings.data = positions
    with torch.inference_mode():
        of_transformers = embeddings.interpolate_pos_encoding(torch.zeros(1, 257, 64), 224, 224)[:, 1:]
    moved = [float((other - ours).norm() / ours.norm()) for other in (of_timms, of_transformers)]
    assert moved == pytest.approx([0.16, 0.10], abs=0.01)


def test_dinov2_at_224_is_timms_model_with_these_positions(tmp_path: Path, images: Tensor) -> None:
    """The extractor is timm's forward pass if that is given the interpolated embedding, and not if timm resamples."""
    spec, weights = encoder_files.dinov2_file(tmp_path)
    extractor = opened(spec, weights)
    state = generated(dinov2.layout(TINY))
    theirs = of_timm(TINY_SIZE, 224)
    load_renamed(theirs, {**state, "pos_embed": dinov2.interpolated(state["pos_embed"], 16, 16)})
    inputs = Preprocess(224, "pil-bicubic", "imagenet")(images)
    with torch.inference_mode():
        expected = theirs(inputs)
    check_equal(features(extractor, images), expected)
    load_renamed(theirs, {**state, "pos_embed": resample_abs_pos_embed(state["pos_embed"], (16, 16))})
    with torch.inference_mode():
        assert float((theirs(inputs) - expected).norm()) > 1e-3 * float(expected.norm())


@pytest.mark.parametrize(
    ("name", "of_timms"), [("vits14", "small"), ("vitb14", "base"), ("vitl14", "large"), ("vitg14", "giant")]
)
def test_published_layouts_are_those_that_timm_reads(name: str, of_timms: str) -> None:
    """The names and shapes of the four published files, but for the token of masked patches."""
    with torch.device("meta"):
        theirs = timm.create_model(f"vit_{of_timms}_patch14_dinov2", num_classes=0)
    expected = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    ours = {
        key.replace(".w12.", ".fc1.").replace(".w3.", ".fc2."): shape
        for key, shape in dinov2.layout(name).items()
        if key != "mask_token"
    }
    assert ours == expected
    assert dinov2.SIZES[name].width == theirs.num_features


def test_the_protocol_chooses_dinov2s_resize(tmp_path: Path, images: Tensor) -> None:
    """EDM2 has another resize than dgm-eval, which is that of every other protocol; features and words differ."""
    spec, weights = encoder_files.dinov2_file(tmp_path)
    by_protocol = {name: opened(spec, weights, protocol=name) for name in ("fd-dinov2", "fd-dinov2-edm2", "clean")}
    words = {name: extractor.preprocessing for name, extractor in by_protocol.items()}
    assert words["clean"] == words["fd-dinov2"] == "pil-bicubic to 224, imagenet; class token"
    assert words["fd-dinov2-edm2"] == "torch-bicubic to 224, imagenet; class token"
    rows = {name: features(extractor, images) for name, extractor in by_protocol.items()}
    assert torch.equal(rows["clean"], rows["fd-dinov2"])
    assert 0 < float((rows["fd-dinov2-edm2"] - rows["clean"]).norm()) < 0.05 * float(rows["clean"].norm())


def test_a_protocol_brings_its_extractor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`protocol="fd-dinov2"` alone measures with the prescribed network, and the result has its licence."""
    _, weights = encoder_files.dinov2_file(tmp_path)
    monkeypatch.setitem(dinov2.SIZES, "vitl14", TINY_SIZE)
    result = evaluate("digits:train", "digits:test", protocol="fd-dinov2", weights=weights, num_samples=4, cache=False)
    about = result.provenance
    assert (about["extractor"], about["protocol"], about["dimensions"]) == ("dinov2:vitl14", "fd-dinov2", 32)
    assert about["weights_licence"] == "Apache-2.0"
    assert not result.comparable
    with pytest.raises(UsageError, match="gives only features"):
        evaluate(None, "digits:test", metrics=["is"], protocol="fd-dinov2", weights=weights, num_samples=4)


def test_dinov2s_weights_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come from the publisher's address into torch's cache, and are known by the digest of the file."""
    _, file = encoder_files.dinov2_file(tmp_path)
    content = file.read_bytes()
    with serving(FileServer(content), f"dinov2_{TINY}_pretrain.pth") as server:
        monkeypatch.setattr(dinov2, "URL", server.url)
        first, second = opened(f"dinov2:{TINY}"), opened(f"dinov2:{TINY}")
    assert len(server.requests) == 1
    assert first.weights == second.weights
    assert first.weights.sha256 == sha256(content).hexdigest()
    assert first.weights.published
    assert dinov2.URL.startswith("http://127.0.0.1")


def test_half_a_download_of_dinov2_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was cut off cannot be read, and is removed, so that the next attempt fetches it."""
    _, file = encoder_files.dinov2_file(tmp_path)
    content = file.read_bytes()
    with serving(FileServer(content[: len(content) // 2]), f"dinov2_{TINY}_pretrain.pth") as server:
        monkeypatch.setattr(dinov2, "URL", server.url)
        with pytest.raises(WeightsError, match="is damaged"):
            opened(f"dinov2:{TINY}")
    with serving(FileServer(content), f"dinov2_{TINY}_pretrain.pth") as server:
        monkeypatch.setattr(dinov2, "URL", server.url)
        assert opened(f"dinov2:{TINY}").weights.published


@pytest.mark.parametrize("spec", [f"dinov2:{TINY}", "timm:test_vit.r160_in1k", "open_clip:ViT-B-32/openai", "hf:a/b"])
def test_without_a_network_the_error_comes_at_once(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within seconds, with the reason and the option that helps."""
    monkeypatch.setattr(dinov2, "URL", "http://127.0.0.1:9/dinov2_{name}_pretrain.pth")
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"(?s)could not be downloaded: no connection.*--weights"):
        opened(spec)
    assert time.monotonic() - start < 8


@pytest.mark.parametrize("spec", ["timm:test_vit.r160_in1k", "hf:a/b"])
def test_the_hubs_offline_mode_is_kept_to(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With HF_HUB_OFFLINE nothing is asked for that is not in the cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="is not in the cache, and HF_HUB_OFFLINE is set"):
        opened(spec)


def test_timm_is_timm(tmp_path: Path, images: Tensor) -> None:
    """Features are timm's pooled features before the classifier, of pictures that its own transform prepared."""
    spec, weights = encoder_files.timm_file(tmp_path)
    extractor = opened(spec, weights)
    network = seeded(lambda: timm.create_model(TIMM))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    with torch.inference_mode():
        inputs = torch.stack([transform(picture) for picture in pictures(images)])
        expected = network.forward_head(network.forward_features(inputs), pre_logits=True)
        check_equal(features(extractor, images), expected)
        assert torch.allclose(network.head(expected), network(inputs), atol=1e-5)
    assert extractor.dimensions == expected.shape[1]
    assert "Resize(size=168, interpolation=bicubic" in extractor.preprocessing
    assert extractor.preprocessing.endswith("pool token")
    assert extractor.weights.sha256 == sha256(weights.read_bytes()).hexdigest()


def small_folder(folder: Path, architecture: str, arguments: dict[str, object], **settings: object) -> nn.Module:
    """A small model of an architecture of timm, saved as timm saves to a folder; the model."""
    network = seeded(lambda: timm.create_model(architecture, **arguments))
    folder.mkdir()
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / "model.safetensors")
    config = {**network.pretrained_cfg, "hf_hub_id": None, **settings}
    document = {"architecture": architecture, "model_args": arguments, "pretrained_cfg": config}
    (folder / "config.json").write_text(json.dumps(document))
    return network


SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2}


def test_siglip_pools_by_attention(tmp_path: Path, images: Tensor) -> None:
    """SigLIP's pooled output is that of its attention head; its protocol neither crops nor keeps the aspect."""
    folder = tmp_path / "siglip"
    network = small_folder(folder, "vit_base_patch16_siglip_224", SMALL)
    own = opened(f"timm:local-dir:{folder}")
    preset = opened(f"timm:local-dir:{folder}", protocol="siglip")
    assert own.preprocessing.endswith("pool map")
    assert "Resize(size=248" in own.preprocessing
    assert preset.preprocessing == "pil-bicubic to 224, 2x/255-1; pool map"
    processor = transformers.SiglipImageProcessor(resample=3, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    with torch.inference_mode():
        tokens = network.forward_features(Preprocess(224, "pil-bicubic", "2x/255-1")(images))
        check_equal(features(preset, images), network.attn_pool(tokens))
    theirs = processor(images=list(images), return_tensors="pt")["pixel_values"]
    # transformers resizes by torchvision, whose rounding differs by one grey level here and there.
    assert float((preset.prepare(images) - theirs).abs().max()) <= 2.01 / 255


def test_dinov3_pools_the_class_token(tmp_path: Path, images: Tensor) -> None:
    """timm would average all patches, and the published features are the class token; the licence is named."""
    folder = tmp_path / "dinov3"
    network = small_folder(folder, "vit_small_patch16_dinov3", {**SMALL, "global_pool": "token"})
    extractor = opened(f"timm:local-dir:{folder}")
    with torch.inference_mode():
        tokens = network.forward_features(extractor.prepare(images))
        check_equal(features(extractor, images), tokens[:, 0])
    assert extractor.preprocessing.endswith("pool token")
    assert extractor.weights.licence == "dinov3-license"


def test_dinov3_is_fetched_for_those_alone_who_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token nothing is asked of the server, and the error names the licence; with one it is tried."""
    with pytest.raises(WeightsError, match=r"licence of their own.*accept it at .*hf auth login"):
        opened("timm:vit_small_patch16_dinov3.lvd1689m")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    with pytest.raises(WeightsError, match="could not be downloaded: no connection"):
        opened("timm:vit_small_patch16_dinov3.lvd1689m")


def test_clip_is_open_clip(tmp_path: Path, images: Tensor) -> None:
    """Features are the projected embedding, of pictures that OpenCLIP's own transform prepared."""
    spec, _ = encoder_files.clip_folder(tmp_path)
    extractor = opened(spec)
    network = encoder_files.clip_model()
    _, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    with torch.inference_mode():
        inputs = torch.stack([transform(picture) for picture in pictures(images)])
        check_equal(features(extractor, images), network.encode_image(inputs))
    assert extractor.dimensions == encoder_files.CLIP["embed_dim"]
    assert extractor.preprocessing == (
        "open_clip: shortest bicubic to 32 x 32, (x/255-(0.5, 0.4, 0.3))/(0.2, 0.3, 0.4); "
        "QuickGELU, after the projection"
    )


@pytest.fixture
def _tiny_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCLIP knows `tiny`, with GELU, and `tiny-quickgelu`; the weights `openai` need QuickGELU, `laion` do not."""
    known = {"tiny": {**encoder_files.CLIP, "quick_gelu": False}, "tiny-quickgelu": encoder_files.CLIP}
    tags = {
        "openai": {"url": "", "hf_hub": "owner/tiny/", "quick_gelu": True, "mean": (0.5,) * 3, "std": (0.25,) * 3},
        "laion": {"url": "", "hf_hub": "owner/tiny/"},
    }
    for name, config in known.items():
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, tags)


@pytest.mark.usefixtures("_tiny_clip")
def test_a_tag_decides_the_activation(tmp_path: Path, images: Tensor) -> None:
    """OpenAI's weights run with QuickGELU, whether the name says so or not; others do not, and the features differ."""
    network = encoder_files.clip_model()
    file = tmp_path / "clip.pth"
    save_state(network.state_dict(), file)
    specs = ("open_clip:tiny/openai", "open_clip:tiny-quickgelu/openai", "open_clip:tiny/laion")
    quick, named, plain = (opened(spec, file) for spec in specs)
    inputs = quick.prepare(images)
    with torch.inference_mode():
        expected = network.encode_image(inputs)
        rows = [extractor.forward(inputs, FEATURES)["features"] for extractor in (quick, named, plain)]
    check_equal(rows[0], expected)
    assert torch.equal(rows[0], rows[1])
    assert float((rows[2] - rows[0]).norm()) > 1e-3 * float(expected.norm())
    assert "(x/255-(0.5, 0.5, 0.5))/(0.25, 0.25, 0.25); QuickGELU" in quick.preprocessing
    assert "QuickGELU" not in plain.preprocessing
    assert (quick.weights.licence, plain.weights.licence) == ("MIT", "MIT")
    with pytest.raises(UsageError, match="not trained with QuickGELU, which tiny-quickgelu has; choose tiny/laion"):
        opened("open_clip:tiny-quickgelu/laion", file)


def test_protocols_of_clip_set_the_preprocessing(tmp_path: Path, images: Tensor) -> None:
    """clean-fid's and CMMD's protocols prepare pictures as their tools do, at the size of the network."""
    spec, _ = encoder_files.clip_folder(tmp_path)
    for name, words in (
        ("clip-fid", "pil-bicubic-then-crop to 32, clip"),
        ("cmmd", "crop-then-pil-bicubic to 32, clip"),
    ):
        extractor = opened(spec, protocol=name)
        assert extractor.preprocessing == f"{words}; QuickGELU, after the projection"
        assert extractor.prepare(images).shape == (2, 3, 32, 32)


def test_prescribed_networks_are_in_their_packages() -> None:
    """OpenCLIP and timm know the models and weights that protocols name, with QuickGELU, size and licence as stated."""
    for name, size in (("clip-fid", 224), ("cmmd", 336)):
        model, tag = find_protocol(name).extractor.partition(":")[2].split("/")
        config = open_clip.get_model_config(model)
        assert config["quick_gelu"]
        assert config["vision_cfg"]["image_size"] == size
        assert open_clip.get_pretrained_cfg(model, tag)["quick_gelu"]
    config = timm.get_pretrained_cfg(find_protocol("siglip").extractor.partition(":")[2])
    assert (config.input_size, config.mean, config.license) == ((3, 224, 224), (0.5, 0.5, 0.5), "apache-2.0")


def test_transformers_is_transformers(tmp_path: Path, images: Tensor) -> None:
    """Features are `pooler_output`, of pictures that the folder's own processor prepared."""
    spec, _ = encoder_files.transformers_folder(tmp_path)
    extractor = opened(spec)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    network = transformers.AutoModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        expected = network(**processor(images=list(images), return_tensors="pt")).pooler_output
    check_equal(features(extractor, images), expected)
    assert extractor.weights.licence == "mit"
    assert extractor.weights.sha256 == sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert "BitImageProcessor" in extractor.preprocessing
    assert "crop_size={'height': 32, 'width': 32}" in extractor.preprocessing
    assert extractor.preprocessing.endswith("; pooler_output")


def test_transformers_of_images_and_text_give_the_projection(tmp_path: Path, images: Tensor) -> None:
    """CLIP's embedding is that after the projection, as `get_image_features` gives it, of several files as of one."""
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": 9, "max_position_embeddings": 4, "bos_token_id": 1, "eos_token_id": 2}
    vision = {**small, "image_size": 32, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=6)
    network = seeded(lambda: transformers.CLIPModel(config))
    network.save_pretrained(tmp_path, max_shard_size="10KB")
    transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    extractor = opened(f"hf:{tmp_path}")
    with torch.inference_mode():
        expected = network.get_image_features(pixel_values=extractor.prepare(images)).pooler_output
    check_equal(features(extractor, images), expected)
    assert extractor.dimensions == 6
    assert extractor.preprocessing.endswith("; embedding after the projection")
    assert len(extractor.weights.sha256) == 64


def test_a_pooled_output_that_was_not_trained_is_refused(tmp_path: Path) -> None:
    """transformers would make the missing layer up at random."""
    config = transformers.ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    transformers.ViTImageProcessor().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"lacks 2 entries of ViTModel \(pooler.dense.bias"):
        opened(f"hf:{tmp_path}")


@contextmanager
def hub(files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers for files as the Hub does; its address, and the requests."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            asked.append(f"{self.command} {self.path}")
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if body and content is not None:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}", asked
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def test_published_weights_come_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are fetched once, also where only the second name exists, and a damaged copy in the cache is noticed."""
    _, file = encoder_files.timm_file(tmp_path)
    with hub({"/timm/test_vit.r160_in1k/resolve/main/pytorch_model.bin": file.read_bytes()}) as (address, asked):
        _serve_hub(monkeypatch, address)
        first = opened("timm:test_vit.r160_in1k")
        count = len(asked)
        second = opened("timm:test_vit.r160_in1k")
    assert len(asked) == count
    assert first.weights == second.weights
    assert first.weights.published
    assert first.weights.sha256 == sha256(file.read_bytes()).hexdigest()
    (cached,) = (tmp_path / "hub-cache").glob("models--timm--*/blobs/*")
    save_state(seeded(lambda: timm.create_model(TIMM, embed_dim=32)).state_dict(), cached)
    with pytest.raises(WeightsError, match="is damaged: its SHA-256 is"):
        opened("timm:test_vit.r160_in1k")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("dinov2:vitx14", UsageError, "DINOv2 has no network 'vitx14'; did you mean"),
        ("timm:resnet19", UsageError, "timm has no model 'resnet19'; did you mean"),
        ("timm:resnet18.none", UsageError, "timm has no weights 'none' of resnet18"),
        ("timm:local-dir:nowhere", WeightsError, "nowhere is not a folder of a model of timm"),
        ("open_clip:ViT-B-33/openai", UsageError, "OpenCLIP has no model 'ViT-B-33'; did you mean"),
        ("open_clip:ViT-B-32/none", UsageError, "OpenCLIP has no weights 'none' of ViT-B-32"),
        ("open_clip:ViT-B-32", UsageError, "Say which weights of ViT-B-32: open_clip:ViT-B-32/TAG"),
        ("open_clip:local-dir:nowhere", WeightsError, "nowhere is not a folder of a model of OpenCLIP"),
        ("hf:./nowhere", UsageError, "There is no folder nowhere; write hf:OWNER/NAME"),
        ("timm", UsageError, "'timm' needs a name: timm:NAME"),
    ],
)
def test_what_is_not_there_is_said(
    spec: str, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what was not found, and what to write."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        opened(spec)


@pytest.mark.parametrize("maker", ["dinov2", "timm"])
def test_weights_of_another_layout_are_refused(maker: str, tmp_path: Path) -> None:
    """A file of another network is a WeightsError, and nothing is left at random."""
    spec, weights = encoder_files.MAKERS[maker](tmp_path)
    assert weights is not None
    state = torch.load(weights, weights_only=True)
    state.pop("norm.weight")
    save_state(state, weights)
    with pytest.raises(WeightsError, match=r"(?s)(of another layout|does not fit).*norm.weight"):
        opened(spec, weights)


def test_clip_weights_of_another_layout_are_refused(tmp_path: Path) -> None:
    """A folder whose file lacks an entry of the image tower is a WeightsError with its name."""
    spec, _ = encoder_files.clip_folder(tmp_path)
    state = encoder_files.clip_model().state_dict()
    state.pop("visual.proj")
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "m.safetensors")
    with pytest.raises(WeightsError, match=r"of another layout: .* 1 missing \(proj\)"):
        opened(spec)


@pytest.mark.parametrize(
    ("files", "message"), [((), "holds no weights"), (("a.pth", "b.pth"), r"holds 2 files of weights \(a.pth, b.pth\)")]
)
def test_a_folder_must_have_one_file_of_weights(files: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """None and several are errors; safetensors come before others."""
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=message):
        encoder.weights_in(tmp_path)
    (tmp_path / "c.safetensors").touch()
    assert encoder.weights_in(tmp_path).name == "c.safetensors"


@pytest.mark.parametrize(
    ("spec", "package", "extra"),
    [
        ("timm:resnet18", "timm", "timm"),
        ("open_clip:RN50/openai", "open_clip", "clip"),
        ("hf:a/b", "transformers", "hf"),
    ],
)
def test_a_missing_package_names_its_extra(
    spec: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtractorError, match=rf"of the package {package}, .* pip install 'ganeval\[{extra}\]'"):
        opened(spec)


@pytest.mark.parametrize("name", ["nowhere/", "a b", "owner/a b"])
def test_a_name_no_repository_can_have_is_refused_without_a_request(name: str) -> None:
    """What is neither a folder nor a possible repository is an error of usage, and names what was given."""
    with pytest.raises(UsageError, match=f"'{name}' is neither a folder here nor the name of a repository"):
        open_extractor(f"hf:{name}", protocol=find_protocol("tensorflow"))
