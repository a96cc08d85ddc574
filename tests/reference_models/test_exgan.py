"""The exemplar GAN: which exemplar an image has, who sees it, and the losses."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from ganeval import open_source
from ganeval.errors import UsageError
from ganeval.sources import Reading, ReadReport
from reference_models import VARIANTS, build_model
from reference_models.batches import Data, PairBatch
from reference_models.blocks.inpainting import Hole
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_held_out, read_images
from reference_models.engine.training import Training
from reference_models.engine.translations import columns, parted, translated, write_translations
from reference_models.models.exgan import ExGAN, partners
from reference_models.models.exgan_recipes import Settings
from reference_models.recipes import Recipe
from reference_models.sampling.translate import translate
from reference_models.scoring.scores import held_out_of
from reference_models.scoring.translations import Asked, trivial

QUICK = VARIANTS["exgan"].recipe("quick")
SMALL = replace(QUICK, batch=4, steps=10, settings=Settings(width=4, critic_width=4, bottleneck=8))
HOLE = Hole(16, 8)


def with_settings(**settings: object) -> Recipe:
    return replace(SMALL, settings=replace(cast(Any, SMALL.settings), **settings))


def model_of(recipe: Recipe = SMALL) -> ExGAN:
    torch.manual_seed(0)
    return cast(ExGAN, build_model(recipe, ExGAN.data_for(recipe)))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(count: int = 4) -> PairBatch:
    """Random images with a hole, their exemplars, and what is in the hole."""
    images, exemplars = (torch.rand(count, 3, 16, 16, generator=rng(seed)) * 2 - 1 for seed in (0, 1))
    return PairBatch(torch.cat([HOLE.filled(images, torch.zeros(1, 3, 1, 1)), exemplars], 1), images)


def test_an_exemplar_is_the_next_image_of_the_identity() -> None:
    """Within a class the exemplars go round once, so that each image is the exemplar of one other."""
    labels = torch.tensor([2, 0, 0, 2, 2, 1, 1])
    assert partners(labels).tolist() == [3, 2, 1, 4, 0, 6, 5]
    labels = torch.arange(60) % 7
    found = partners(labels)
    assert torch.equal(labels[found], labels)
    assert sorted(found.tolist()) == list(range(60))
    assert bool((found != torch.arange(60)).all())
    with pytest.raises(UsageError, match="2 of 3 classes have only one image"):
        partners(torch.tensor([0, 1, 1, 3]))


def test_training_and_held_out_images_come_with_exemplars() -> None:
    """Inputs have six channels: the image with its hole, and the whole other rendering, also of held-out pairs."""
    plan = make_plan("exgan", chosen={"batch": 4})
    images = read_images(plan)
    held_out = read_held_out("hole:identities:test", Training(plan, images))
    assert held_out_of(QUICK.data) == "hole:identities:test"
    for found, count in ((images, 2000), (held_out, 400)):
        assert found.inputs is not None
        assert found.inputs.shape == (count, 6, 16, 16)
        masked, exemplars = found.inputs.chunk(2, 1)
        assert torch.equal(HOLE.filled(masked, 0), HOLE.filled(found.pixels, 0))
        assert bool((HOLE.of(masked) == 127).all())
        assert torch.equal(exemplars, found.pixels.view(-1, 2, 3, 16, 16).flip(1).flatten(0, 1))


def test_identities_have_two_renderings_whose_colour_is_in_the_middle() -> None:
    """Around the hole images are grey, and in it both renderings have one hue; the parts share no image."""
    sets = {}
    for part in ("train", "test"):
        source = open_source(f"identities:{part}")
        batches = list(source.batches(Reading(), ReadReport()))
        sets[part] = torch.cat([group.images for batch in batches for group in batch.groups])
        labels = [label for batch in batches for label in batch.labels or ()]
        assert labels == [row // 2 for row in range(len(sets[part]))]
    images = sets["train"]
    around = HOLE.filled(images, 0)
    assert torch.equal(around, around[:, :1].expand_as(around))
    middle = HOLE.of(images).float().sum((2, 3))
    hue = (middle / middle.amax(1, keepdim=True)).view(-1, 2, 3)
    # Levels are rounded to whole numbers.
    assert (hue[:, 0] - hue[:, 1]).abs().max() < 0.05
    assert (hue[:-1, 0] - hue[1:, 0]).abs().mean() > 0.2
    rows = {image.numpy().tobytes() for image in images}
    assert not any(image.numpy().tobytes() in rows for image in sets["test"])
    with pytest.raises(UsageError, match="'identities:tset' names no part"):
        open_source("identities:tset")


def test_both_networks_see_the_exemplar() -> None:
    """Another exemplar gives another hole and other judgements, and none does where the settings hide it."""
    batch = some()
    images, exemplars = batch.inputs.chunk(2, 1)
    other = torch.cat([images, exemplars.flip(0)], 1)
    for sees in (True, False):
        model = model_of(with_settings(sees_exemplar=sees)).eval()
        patch = HOLE.of(batch.images)
        with torch.no_grad():
            same = torch.equal(model.predicted(batch.inputs), model.predicted(other))
            judgements = [model.judged(patch, one) for one in (batch.inputs, other)]
        assert same != sees
        for one, another in zip(*judgements, strict=True):
            assert torch.equal(one, another) != sees


def test_the_hole_is_filled_and_nothing_else() -> None:
    """What a source has in the hole is not seen, the rest is kept, and the output is an image."""
    model = model_of()
    inputs = torch.randint(0, 256, (5, 6, 16, 16), dtype=torch.uint8, generator=rng())
    outputs = translated(model, inputs, seed=0)
    assert outputs.shape == (5, 3, 16, 16)
    assert torch.equal(HOLE.filled(outputs, 0), HOLE.filled(inputs[:, :3], 0))
    changed = inputs.clone()
    changed[:, :3] = HOLE.filled(inputs[:, :3], 0)
    assert torch.equal(translated(model, changed, seed=0), outputs)


def test_the_losses_are_l1_and_two_judgements() -> None:
    """G minimises |G - x| in the hole and -log of both discriminators; these have cross-entropy each."""
    model, batch = model_of(with_settings(l1=2.0, adversarial=0.5)), some()
    made, real = model.predicted(batch.inputs), HOLE.of(batch.images)
    fakes, reals = ([one.sigmoid() for one in model.judged(patch, batch.inputs)] for patch in (made, real))
    expected = 2 * (made - real).abs().mean() - 0.5 * sum(one.log().mean() for one in fakes)
    assert model.loss_generator(batch, rng())[0].item() == pytest.approx(expected.item(), rel=1e-4)
    judges = -sum(one.log().mean() for one in reals) - sum((1 - one).log().mean() for one in fakes)
    assert model.loss_discriminator(batch, rng())[0].item() == pytest.approx(torch.as_tensor(judges).item(), rel=1e-4)


def test_pictures_and_scores_show_the_exemplar(tmp_path: Path) -> None:
    """The exemplar is a column of pictures, and one of the trivial methods."""
    plan = make_plan("exgan", data="hole:identities:test", chosen={"batch": 4, "channels": 3})
    images = read_images(plan)
    assert images.inputs is not None
    assert list(parted(images.inputs)) == ["input", "exemplar"]
    _, methods = trivial(images, Asked(images.inputs[:6], images.pixels[:6], "some"))
    assert list(methods) == ["input", "mean", "exemplar", "nearest"]
    assert torch.equal(methods["exemplar"][0][0], images.pixels[1])
    path = tmp_path / "rows.png"
    write_translations(path, columns(inputs=images.inputs[:2], outputs=images.pixels[:2], targets=images.pixels[:2]))
    with Image.open(path) as picture:
        assert picture.width > 4 * 64


def test_data_without_exemplars_are_refused(tmp_path: Path) -> None:
    """Images without classes, another hole, and single images to translate are errors that say what is missing."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    with pytest.raises(UsageError, match="exgan needs an exemplar of the same identity"):
        read_images(make_plan("exgan", data=f"hole:{folder}"))
    with pytest.raises(UsageError, match="exgan fills a hole of 8 x 8 pixels"):
        read_images(make_plan("exgan", data="hole:identities:test,6", chosen={"channels": 3}))
    with pytest.raises(UsageError, match="which have 6 channels"):
        build_model(SMALL, Data(3, 16, input_channels=3, input_resolution=16))
    with pytest.raises(UsageError, match="single images have none"):
        translate(model_of(), "identities:test", tmp_path / "out")
