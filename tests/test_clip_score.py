"""CLIPScore: the formula, torchmetrics' own arithmetic, captions from every place, and what is refused."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from distributed.forked import run
from PIL import Image
from torch import nn

sys.path.append(str(Path(__file__).parent / "extractors"))
import encoder_files

import ganeval
from ganeval.errors import SourceError, UsageError, WeightsError
from ganeval.sources.captions import captions_of
from ganeval_cli.main import cli

TEXTS = ["a red square", "two cats on a sofa", "a photograph of the sea at night", "x " * 90]
open_clip = pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The spec of a small CLIP with OpenCLIP's own tokenizer."""
    folder = tmp_path_factory.mktemp("clip")
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {**encoder_files.CLIP, "text_cfg": text}
    document = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    network = encoder_files.seeded(lambda: open_clip.CLIP(**config))
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / "m.safetensors")
    return f"open_clip:local-dir:{folder}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images with captions in metadata.jsonl."""
    rng, place = np.random.RandomState(0), tmp_path / "images"
    place.mkdir()
    for number in range(len(TEXTS)):
        Image.fromarray(rng.randint(0, 255, (40, 40, 3), np.uint8)).save(place / f"{number}.png")
    lines = [json.dumps({"file_name": f"{number}.png", "text": text}) for number, text in enumerate(TEXTS)]
    (place / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return place


def reference(model: str, folder: Path) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """OpenCLIP's own model, its own pixels and its own tokens."""
    network, _, transform = open_clip.create_model_and_transforms(model.removeprefix("open_clip:"))
    pixels = torch.stack([transform(Image.open(folder / f"{number}.png")) for number in range(len(TEXTS))])
    return network.eval(), pixels, open_clip.tokenizer.SimpleTokenizer()(TEXTS)


def test_the_cosines_are_those_of_open_clip(model: str, folder: Path) -> None:
    """100 times the cosine of OpenCLIP's own embeddings, the mean, and its standard error."""
    network, pixels, tokens = reference(model, folder)
    with torch.no_grad():
        cosines = torch.cosine_similarity(network.encode_image(pixels), network.encode_text(tokens)).double().numpy()
    found = ganeval.clip_score(folder, extractor=model, cache=False)
    assert found.pairs is not None
    # Two runs of a network in float32.
    np.testing.assert_allclose(found.pairs.values["clip_score"], 100 * cosines, atol=1e-4)
    assert found["clip_score"].value == pytest.approx(max(100 * cosines.mean(), 0), abs=1e-4)
    assert found["clip_score"].standard_error == pytest.approx(100 * cosines.std(ddof=1) / 2, abs=1e-4)
    assert list(found.pairs.real) == [text.strip() for text in TEXTS]


def test_torchmetrics_arithmetic(model: str, folder: Path) -> None:
    """torchmetrics' own function on the same embeddings gives the same number."""
    functional = pytest.importorskip("torchmetrics.functional.multimodal.clip_score")
    network, pixels, tokens = reference(model, folder)

    class Model:
        config = type("Config", (), {"text_config": type("Text", (), {"max_position_embeddings": 77})})

        def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
            """Embeddings of pixels."""
            return network.encode_image(pixel_values)

        def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            """Embeddings of tokens."""
            return network.encode_text(input_ids)

        def to(self, device: object) -> "Model":
            """Itself."""
            return self

    def processor(text: object = None, images: object = None, **_: object) -> dict[str, torch.Tensor]:
        return (
            {"pixel_values": pixels}
            if images is not None
            else {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        )

    pictures = [torch.zeros(3, 8, 8, dtype=torch.uint8)] * len(TEXTS)
    with torch.no_grad():
        theirs = functional.clip_score(pictures, TEXTS, lambda: (Model(), processor))
    found = ganeval.clip_score(folder, extractor=model, cache=False)["clip_score"]
    assert found.value == pytest.approx(float(theirs), abs=1e-4)


def test_torchmetrics_cuts_off_the_mark_of_a_captions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the documentation says: of a long caption it keeps the first 77 tokens, OpenCLIP 76 and the mark."""
    functional = pytest.importorskip("torchmetrics.functional.multimodal.clip_score")
    given = []

    class Model:
        config = type("Config", (), {"text_config": type("Text", (), {"max_position_embeddings": 77})})

        def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            """Keeps the tokens."""
            given.append(input_ids)
            return input_ids.float()

    tokens = torch.cat([torch.tensor([49406]), torch.full((90,), 320), torch.tensor([49407])])[None]

    def processor(**_: object) -> dict[str, torch.Tensor]:
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}

    monkeypatch.setattr(functional, "rank_zero_warn", lambda *_: None)
    functional._get_features(["a " * 90], "text", torch.device("cpu"), Model(), processor)
    ours = open_clip.tokenize("a " * 90)
    assert given[0].shape == ours.shape == (1, 77)
    assert (given[0][0, -1], ours[0, -1]) == (320, 49407)
    assert torch.equal(given[0][0, :-1], ours[0, :-1].long())


@pytest.fixture(scope="module", params=["clip", "siglip"])
def transformers_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The spec of a small model of transformers with its own tokenizer."""
    pytest.importorskip("transformers")
    pytest.importorskip("sentencepiece")
    return encoder_files.texts_folder(tmp_path_factory.mktemp(request.param), request.param)


def test_the_cosines_are_those_of_transformers(transformers_model: str, folder: Path) -> None:
    """100 times the cosine of the package's own forward pass, with each caption alone and with all in a batch."""
    import transformers

    place = transformers_model.removeprefix("hf:")
    network = transformers.AutoModel.from_pretrained(place).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    processor = transformers.AutoImageProcessor.from_pretrained(place)
    is_clip = network.config.model_type == "clip"
    how = {"padding": is_clip or "max_length", "max_length": 77 if is_clip else 64, "truncation": True}
    pictures = [Image.open(folder / f"{number}.png").convert("RGB") for number in range(len(TEXTS))]
    pixels = processor(images=pictures, return_tensors="pt")["pixel_values"]
    found = ganeval.clip_score(folder, extractor=transformers_model, cache=False)
    assert found.pairs is not None
    for texts in ([[text] for text in TEXTS], [TEXTS]):
        with torch.no_grad():
            outputs = [
                network(pixel_values=pixels, **tokenizer([one.strip() for one in part], **how, return_tensors="pt"))
                for part in texts
            ]
        cosines = torch.cosine_similarity(outputs[0].image_embeds, torch.cat([one.text_embeds for one in outputs]))
        # Two runs of a network in float32.
        np.testing.assert_allclose(found.pairs.values["clip_score"], 100 * cosines.double().numpy(), atol=2e-4)
    assert f"1 of 4 captions are longer than {how['max_length']} tokens, and were cut off." in found.warnings
    assert not found.comparable


def test_models_of_transformers_that_cannot_be_used(transformers_model: str, folder: Path, tmp_path: Path) -> None:
    """A model of images alone, and a folder without a tokenizer, are refused with the reason."""
    bare = tmp_path / "bare"
    bare.mkdir()
    spec, _ = encoder_files.transformers_folder(bare)
    with pytest.raises(UsageError, match=r"Dinov2Model of .* has no texts"):
        ganeval.clip_score(folder, extractor=spec, cache=False)
    for file in Path(transformers_model.removeprefix("hf:")).iterdir():
        if file.name in ("config.json", "model.safetensors", "preprocessor_config.json"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(WeightsError, match=r"holds no tokenizer: expected one of tokenizer\.json"):
        ganeval.clip_score(folder, extractor=f"hf:{tmp_path}", cache=False)


def test_a_mean_below_zero(model: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that point away from their captions score 0, and the interval contains it."""
    tower = pytest.importorskip("ganeval.extractors.open_clip").OpenClipTextTower
    embed, sign = (
        tower.embed,
        1.0 if ganeval.clip_score(folder, extractor=model, cache=False)["clip_score"].value else -1.0,
    )
    monkeypatch.setattr(tower, "embed", lambda self, texts: -sign * embed(self, texts))
    found = ganeval.clip_score(folder, extractor=model, cache=False)["clip_score"]
    assert found.interval is not None
    assert found.value == 0.0
    assert 0.0 == found.interval[0] <= found.interval[1]
    assert any("cuts off at 0" in note for note in found.notes)


def test_two_processes_give_the_number_of_one(python: Sequence[str], model: str, folder: Path, tmp_path: Path) -> None:
    """Under torchrun images and captions are shared out; the first process prints and writes, the second neither."""
    runs = tmp_path / "runs"
    runs.mkdir()
    command = ["clip-score", str(folder), "--extractor", model, "--no-cache", "--batch-size", "1", "-o", "score.json"]
    (runs / "commands.json").write_text(json.dumps({"clip": command}))
    run(python, "commands", runs, "open_clip")
    one, two = (json.loads((runs / f"clip-{size}/score.json").read_text()) for size in (1, 2))
    assert one["metrics"] == two["metrics"]
    assert one["image_pairs"] == two["image_pairs"]
    printed = [(runs / f"clip-{name}.out").read_text() for name in ("1-0", "2-0", "2-1")]
    assert printed[0].replace("clip-1", "clip-2") == printed[1]
    assert printed[2] == ""


def test_the_convention_of_the_paper(model: str, folder: Path) -> None:
    """2.5 times the cosine with "A photo depicts", cut off at 0 for each image."""
    network, pixels, _ = reference(model, folder)
    tokens = open_clip.tokenizer.SimpleTokenizer()([f"A photo depicts {text}" for text in TEXTS])
    with torch.no_grad():
        cosines = torch.cosine_similarity(network.encode_image(pixels), network.encode_text(tokens)).double()
    found = ganeval.clip_score(folder, convention="hessel", extractor=model, cache=False)
    assert found["clip_score"].value == pytest.approx(float(2.5 * cosines.clamp(min=0).mean()), abs=1e-5)
    assert found["clip_score"].options["prefix"] == "A photo depicts "


def test_long_captions_are_told(model: str, folder: Path) -> None:
    """Captions of more than 77 tokens are cut off, with a warning that counts them."""
    found = ganeval.clip_score(folder, extractor=model, cache=False)
    assert "1 of 4 captions are longer than 77 tokens, and were cut off." in found.warnings


def test_captions_of_files_that_are_not_there_are_told(model: str, folder: Path) -> None:
    """A caption whose image was lost is counted in a warning, and one that was not chosen is not."""
    (folder / "2.png").unlink()
    found = ganeval.clip_score(folder, extractor=model, cache=False, num_samples=2)
    assert any("captions of 1 files that are not in the folder, 2.png first" in text for text in found.warnings)


def test_the_document(model: str, folder: Path) -> None:
    """The result is like any other: it is read back, says where captions were read, and is marked where it must be."""
    found = ganeval.clip_score(folder, extractor=model, cache=False)
    assert ganeval.Evaluation.from_json(found.to_json())["clip_score"] == found["clip_score"]
    assert found.provenance["fake"]["captions"] == str(folder / "metadata.jsonl")
    assert not found.comparable


def test_captions_from_every_place(folder: Path, tmp_path: Path) -> None:
    """JSON lines, CSV under three names of the column, and text files next to the images say the same."""
    images = [str(folder / f"{number}.png") for number in range(len(TEXTS))]
    expected = [text.strip() for text in TEXTS]
    assert captions_of(folder, images) == (expected, str(folder / "metadata.jsonl"), [])
    for column in ("text", "caption", "prompt"):
        rows = [f"file_name,{column}", *(f'{number}.png,"{text}"' for number, text in enumerate(TEXTS))]
        (tmp_path / "x.csv").write_text("\n".join(rows))
        assert captions_of(folder, images, tmp_path / "x.csv") == (expected, str(tmp_path / "x.csv"), [])
    (folder / "metadata.jsonl").unlink()
    for number, text in enumerate(TEXTS):
        (folder / f"{number}.txt").write_text(text + "\n")
    assert captions_of(folder, images)[0] == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("x.csv", "file_name,text\n0.png,a\n", "3 of 4 images have no caption in .*x.csv, .*1.png first"),
        ("x.csv", "file_name,text\n0.png,a\n0.png,b\n", "gives two captions for 0.png: 'a' and 'b'"),
        (
            "x.csv",
            "file_name,label\n0.png,a\n",
            r"needs a column of files .* and one of texts .*found file_name, label",
        ),
        ("x.csv", "file_name,text\n0.png\n", "row 2 has 1 cells"),
        ("x.csv", "", "found nothing"),
        ("x.jsonl", '{"file_name": "0.png"}\n', "line 1 needs 'file_name' and 'text'"),
        ("x.jsonl", "{\n", "line 1"),
        ("x.json", "{}", "captions are read from .csv and .jsonl files"),
    ],
)
def test_captions_that_cannot_be_used(folder: Path, tmp_path: Path, name: str, text: str, reason: str) -> None:
    """What is wrong is named with its line, and what is allowed."""
    (tmp_path / name).write_text(text)
    images = [str(folder / f"{number}.png") for number in range(len(TEXTS))]
    with pytest.raises(SourceError, match=reason):
        captions_of(folder, images, tmp_path / name)


@pytest.mark.parametrize(
    ("images", "settings", "reason"),
    [
        ("folder", {"convention": "openai"}, "Unknown convention 'openai' of CLIPScore"),
        ("folder", {"extractor": "digits"}, "choose an extractor open_clip:NAME/TAG or hf:"),
        ("digits:test", {}, "is not a folder; captions belong to the files"),
    ],
)
def test_what_is_refused(model: str, folder: Path, images: str, settings: dict[str, Any], reason: str) -> None:
    """Conventions, extractors and sources that cannot be scored are refused with what to do."""
    with pytest.raises(UsageError, match=reason):
        ganeval.clip_score(folder if images == "folder" else images, **{"extractor": model, "cache": False, **settings})


def test_a_caption_that_is_missing_is_found_before_the_model_is_opened(folder: Path) -> None:
    """Nothing is downloaded for images without captions."""
    (folder / "metadata.jsonl").unlink()
    with pytest.raises(SourceError, match="4 of 4 images have no caption"):
        ganeval.clip_score(folder, extractor="open_clip:local-dir:none", cache=False)


def test_the_command(model: str, folder: Path, tmp_path: Path) -> None:
    """The table has the score and the images that fit worst; the document has every image."""
    saved = tmp_path / "x.json"
    asked = ["clip-score", str(folder), "--extractor", model, "--no-cache", "-q", "-o", str(saved)]
    shown = CliRunner().invoke(cli, asked)
    assert shown.exit_code == 0, shown.output
    assert "clip_score" in shown.output
    assert "worst by clip_score" in shown.output
    assert len(json.loads(saved.read_text())["image_pairs"]) == len(TEXTS)
    (folder / "metadata.jsonl").unlink()
    refused = CliRunner().invoke(cli, asked)
    assert refused.exit_code == 1
    assert "4 of 4 images have no caption in text files next to the images" in refused.output
