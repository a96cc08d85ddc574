"""Models that translate: how their pairs are read, how they are scored next to trivial methods, and used on images."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ganeval
from ganeval.errors import MetricError, UsageError
from reference_models import open_translator, train, train_and_score, translate
from reference_models.base import Translator
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_images
from reference_models.engine.translations import translated
from reference_models.sampling.sampler import open_sampler
from reference_models.sampling.translate import _fade, _starts, _tiled
from reference_models.scoring.scores import held_out_of
from reference_models.scoring.translations import Asked, nearest_rows, trivial

SMALL = {"steps": 2, "settings.width": 4, "settings.critic_width": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pix2pix of two steps."""
    path = tmp_path_factory.mktemp("runs") / "pix2pix"
    train("pix2pix", path, chosen=SMALL, device="cpu")
    return path


@pytest.fixture(scope="module")
def any_size(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    """A CycleGAN of two steps, which translates images of any size."""
    path = tmp_path_factory.mktemp("runs") / "cyclegan"
    train("cyclegan", path, chosen=SMALL, device="cpu")
    return open_translator(path, device="cpu")


def test_pairs_are_read_as_inputs_and_targets() -> None:
    """Edges are the inputs and digits the targets, row by row, in the channels of the recipe."""
    images = read_images(make_plan("pix2pix"))
    digits = ganeval.open_pairs("edges:digits:train")
    assert images.inputs is not None
    assert images.inputs.shape == images.pixels.shape == (len(digits), 1, 16, 16)
    assert images.aligned
    assert images.data.input_channels == images.data.input_resolution // 16 == 1  # type: ignore[operator]


def test_a_model_of_two_sets_is_shown_no_pair() -> None:
    """CycleGAN gets the inputs of the even pairs and the targets of the odd ones."""
    images = read_images(make_plan("cyclegan"))
    pairs = read_images(make_plan("pix2pix", data="recoloured:digits:train", chosen={"resolution": 16, "channels": 3}))
    assert images.inputs is not None
    assert not images.aligned
    assert torch.equal(images.pixels, pairs.pixels[1::2])
    assert len(images.inputs) + len(images.pixels) == len(pairs.pixels)


def test_a_paired_model_refuses_two_sets(tmp_path: Path) -> None:
    """The message names the data and a variant that learns from them."""
    with pytest.raises(UsageError, match=r"pix2pix learns from pairs, and the images of unpaired:.* \(cyclegan\)"):
        read_images(make_plan("pix2pix", data="unpaired:digits:train,digits:test", chosen={"resolution": 16}))


def test_a_translator_refuses_a_source_without_pairs() -> None:
    """A plain source is no set of pairs."""
    with pytest.raises(UsageError, match="digits:train"):
        read_images(make_plan("pix2pix", data="digits:train"))


def test_the_factor_between_inputs_and_targets_must_be_the_models() -> None:
    """Inputs of half the targets' size do not fit a model that keeps the size."""
    with pytest.raises(UsageError, match="inputs of 4 and targets of 8 pixels"):
        read_images(make_plan("pix2pix", data="lowres:digits:train,2", chosen={"resolution": 16}))


@pytest.mark.parametrize(
    ("data", "held_out"),
    [
        ("digits:train", "digits:test"),
        ("edges:digits:train", "edges:digits:test"),
        ("lowres:photos:train:32,4", "lowres:photos:test:32,4"),
        ("unpaired:digits:train,digits:train", None),
        ("pairs:a,b", None),
        ("cats/", None),
    ],
)
def test_the_held_out_part_is_degraded_alike(data: str, held_out: str | None) -> None:
    """The test part of a data set serves its degradations; other sources have none."""
    assert held_out_of(data) == held_out


def test_scores_stand_next_to_trivial_methods(tmp_path: Path) -> None:
    """All have the same pairs; a model of two steps is no better than a nearest neighbour, and the verdict says so."""
    scored = train_and_score("pix2pix", tmp_path / "run", chosen=SMALL, num_samples=20, device="cpu")
    scores = scored.scores
    assert list(scores.references) == list(scores.references_of) == ["input", "mean", "nearest"]
    every = (scores.evaluation, *scores.references.values())
    assert {one.n_fake for each in every for one in each.metrics.values()} == {20}
    assert list(scores.evaluation.metrics) == ["psnr", "ssim", "l1"]
    assert "no better than that of trivial methods" in scored.diagnostics.verdict()
    assert sorted(path.name for path in scored.pictures) == ["samples.png"]
    assert (tmp_path / "run" / "result.json").exists()
    shown = scored.report_data().examples
    assert shown is not None
    assert (shown.headings, len(shown.rows)) == (("input", "output", "target", "nearest"), 8)


@pytest.mark.parametrize("variant", ["pix2pix", "cyclegan"])
def test_the_sources_of_the_pages_fit_the_quick_models(variant: str, tmp_path: Path) -> None:
    """`ganeval translate RUN SOURCE` on the page of a system works with its quick recipe."""
    page = (Path(__file__).parents[2] / f"docs/systems/{variant}.md").read_text(encoding="utf-8")
    (source,) = re.findall(rf"ganeval translate runs/{variant} (\S+) -o grid.png", page)
    train(variant, tmp_path / "run", chosen={"steps": 1}, device="cpu")
    model = open_translator(tmp_path / "run", device="cpu")
    assert translate(model, source, tmp_path / "grid.png", num_samples=2) == 2


def test_trivial_methods_are_what_they_are_called() -> None:
    """The input, the mean target, and the target of the pair whose input is nearest, exactly."""
    images = read_images(make_plan("pix2pix"))
    assert images.inputs is not None
    asked = Asked(images.inputs[5:8], images.pixels[5:8], "training pairs")
    nearest, methods = trivial(images, asked)
    assert nearest is not None
    assert torch.equal(methods["input"][0], images.inputs[5:8])
    assert torch.equal(nearest, images.pixels[5:8])
    assert torch.equal(methods["mean"][0][0], images.pixels.float().mean(0).round().to(torch.uint8))
    one, other = torch.tensor([[0.0], [9.0]]), torch.tensor([[8.0], [1.0]])
    assert nearest_rows(one, other).tolist() == [1, 0]


def test_psnr_alone_can_be_asked_for(tmp_path: Path) -> None:
    """What is asked for is checked on pairs that differ, of the size that the model makes."""
    scored = train_and_score("pix2pix", tmp_path / "run", chosen=SMALL, metrics=["psnr"], num_samples=5, device="cpu")
    assert [list(one.metrics) for one in scored.scores.references.values()] == [["psnr"]] * 3
    with pytest.raises(MetricError, match="larger images than 16 x 16 pixels"):
        train_and_score("pix2pix", tmp_path / "other", chosen=SMALL, metrics=["ms_ssim"], device="cpu")
    assert not (tmp_path / "other").exists()


def test_the_psnr_of_equal_images_is_left_out(tmp_path: Path) -> None:
    """Of training pairs the nearest is the target itself, so that there is an SSIM, no PSNR, and a reason."""
    folders = [tmp_path / name for name in ("inputs", "targets")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        for index in range(4):
            Image.new("L", (16, 16), 40 * index + 9 * number).save(folder / f"{index}.png")
    data = f"pairs:{folders[0]},{folders[1]}"
    asked = ["psnr", "ssim"]
    scored = train_and_score("pix2pix", tmp_path / "run", data=data, chosen=SMALL, metrics=asked, device="cpu")
    nearest = scored.scores.references["nearest"]
    assert list(nearest.metrics) == ["ssim"]
    assert [text.startswith("Not measured: psnr is inf") for text in nearest.warnings] == [True]


def test_held_out_pairs_that_are_training_pairs_are_counted(tmp_path: Path) -> None:
    """They are not called pairs that the model was not trained on."""
    data = "edges:digits:test"
    scored = train_and_score("pix2pix", tmp_path / "run", data=data, held_out=data, chosen=SMALL, device="cpu")
    assert scored.scores.against == "edges:digits:test, 450 pairs, 450 of which it was trained on"
    assert scored.scores.caveats[0].startswith("450 of the 450 held-out pairs are training data")


def test_options_of_images_are_refused_for_translations(tmp_path: Path) -> None:
    """An extractor has no part in metrics of pairs."""
    with pytest.raises(UsageError, match=r"scored by metrics of pairs .* leave --extractor out"):
        train_and_score("pix2pix", tmp_path / "run", chosen=SMALL, extractor="digits", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_translation_has_the_name_of_its_input(run: Path, tmp_path: Path) -> None:
    """A folder's outputs are found by `evaluate_pairs`, and are the model's outputs of these images."""
    folder = tmp_path / "inputs" / "some"
    folder.mkdir(parents=True)
    pixels = np.random.RandomState(0).randint(0, 256, (3, 16, 16), np.uint8)
    for name, image in zip(("b.png", "a.jpg.png", "c.bmp"), pixels, strict=True):
        Image.fromarray(image).save(folder / name)
    model = open_translator(run, device="cpu")
    assert translate(model, tmp_path / "inputs", tmp_path / "outputs") == 3
    written = sorted(
        path.relative_to(tmp_path / "outputs").as_posix() for path in (tmp_path / "outputs").rglob("*.png")
    )
    assert written == ["some/a.jpg.png", "some/b.png", "some/c.png"]
    expected = translated(model, torch.from_numpy(pixels[:1])[:, None], seed=0)
    with Image.open(tmp_path / "outputs" / "some" / "b.png") as found:
        assert np.array_equal(np.asarray(found)[..., 0], expected[0, 0].numpy())
    assert ganeval.evaluate_pairs(tmp_path / "inputs", tmp_path / "outputs", metrics=["l1"])["l1"].n_fake == 3


def test_grids_and_arrays_hold_all_translations(run: Path, tmp_path: Path) -> None:
    """An .npz has them in order; a grid has each next to its input."""
    model = open_translator(run, device="cpu")
    images = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert translate(model, images, tmp_path / "out.npz") == 5
    assert np.load(tmp_path / "out.npz")["arr_0"].shape == (5, 16, 16, 3)
    assert translate(model, images, tmp_path / "out.png", columns=2, scale=1) == 5
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width == 4 * 18 + 2


def test_a_stream_is_translated_to_its_end(run: Path, tmp_path: Path) -> None:
    """How many images there are need not be known; a grid has the first 100 of them."""
    model = open_translator(run, device="cpu")
    images = torch.randint(0, 256, (103, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert translate(model, iter(images[:5].split(2)), tmp_path / "out.npz") == 5
    assert translate(model, iter(images[:5].split(2)), tmp_path / "out") == 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"00000{number}.png" for number in range(5)]
    assert translate(model, iter(images.split(50)), tmp_path / "out.png", columns=10, scale=1) == 100


def test_other_sizes_need_a_network_that_allows_them(run: Path, any_size: Translator, tmp_path: Path) -> None:
    """pix2pix's U-Net takes 16 x 16 alone; CycleGAN's takes any, also sides that are no multiples of 4."""
    images = torch.zeros(1, 3, 10, 22, dtype=torch.uint8)
    with pytest.raises(UsageError, match="22 x 10 pixels, but this network translates only images of 16 x 16"):
        translate(open_translator(run, device="cpu"), images, tmp_path / "no.npz")
    assert not (tmp_path / "no.npz").exists()
    translate(any_size, images, tmp_path / "out.npz")
    assert np.load(tmp_path / "out.npz")["arr_0"].shape == (1, 10, 22, 3)


def test_tiles_cover_an_image_and_agree_with_the_whole(any_size: Translator) -> None:
    """Away from seams and borders, a tiled translation of a network of small reach equals the whole one."""
    assert _starts(10, 16) == [0]
    assert _starts(64, 16) == [0, 12, 24, 36, 48]
    assert [round(float(value), 2) for value in _fade(8)] == [0.33, 0.67, 1.0, 1.0, 1.0, 1.0, 0.67, 0.33]
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    tiled, whole = _tiled(any_size, image, 48, seed=0), translated(any_size, image, seed=0)
    assert tiled.shape == whole.shape
    # The generator reaches 22 pixels; the upper left tile begins to fade at 36.
    apart = (tiled[..., :12, :12].int() - whole[..., :12, :12].int()).abs()
    assert int(apart.max()) <= 1


def test_a_tile_that_does_not_fit_is_refused(run: Path, any_size: Translator, tmp_path: Path) -> None:
    """The message has the multiple; a network of one size has no tiles."""
    images: Tensor = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(UsageError, match="tile is 18; it must be a multiple of 4"):
        translate(any_size, images, tmp_path / "out.npz", tile=18)
    with pytest.raises(UsageError, match="only images of one size"):
        translate(open_translator(run, device="cpu"), images, tmp_path / "out.npz", tile=16)


def test_each_kind_of_run_has_its_command(run: Path, tmp_path: Path) -> None:
    """A translator is not drawn from, and a generator translates nothing; each message names the other command."""
    with pytest.raises(UsageError, match=r"pix2pix does not make images from latents.*ganeval translate"):
        open_sampler(run, device="cpu")
    train("gan", tmp_path / "gan", chosen={"steps": 1, "resolution": 8, "settings.hidden": 8}, device="cpu")
    with pytest.raises(UsageError, match=r"gan makes images from latents.*ganeval sample"):
        open_translator(tmp_path / "gan", device="cpu")
    train("seqgan", tmp_path / "seqgan", data="oracle:5,4,64", chosen={"steps": 1}, device="cpu")
    with pytest.raises(UsageError, match="seqgan makes sequences and translates no image"):
        open_translator(tmp_path / "seqgan", device="cpu")


def test_a_run_draws_inputs_outputs_and_targets(run: Path) -> None:
    """The picture of a training has three columns of eight rows."""
    with Image.open(next((run / "samples").iterdir())) as picture:
        # Images of 16 pixels are enlarged to 64, with gaps of 2, below a heading of 15.
        assert picture.size == (3 * 66 + 2, 8 * 66 + 2 + 15)
