"""The context encoder: its networks, its losses, and the hole that it fills."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model
from reference_models.batches import Data, PairBatch
from reference_models.blocks.inpainting import EncoderDecoder, Hole
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_held_out, read_images
from reference_models.engine.training import Training
from reference_models.engine.translations import translated
from reference_models.models.context_encoder import ContextEncoder
from reference_models.models.context_encoder_recipes import Settings
from reference_models.recipes import Recipe, rates

PAPER, QUICK = (VARIANTS["context-encoder"].recipe(preset) for preset in ("paper", "quick"))
SMALL = replace(
    QUICK, resolution=16, batch=4, settings=Settings(overlap=1, width=4, critic_width=4, bottleneck=8), steps=10
)
HOLE, BAND = Hole(16, 6), 1


def with_settings(**settings: object) -> Recipe:
    return replace(SMALL, settings=replace(cast(Any, SMALL.settings), **settings))


def model_of(recipe: Recipe = SMALL) -> ContextEncoder:
    torch.manual_seed(0)
    return cast(ContextEncoder, build_model(recipe, ContextEncoder.data_for(recipe)))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(count: int = 4) -> PairBatch:
    """Random pairs in the model's range; what is in the hole of the inputs is random, too."""
    inputs, images = (torch.rand(count, 3, 16, 16, generator=rng(seed)) * 2 - 1 for seed in (0, 1))
    return PairBatch(HOLE.filled(images, HOLE.of(inputs)), images)


def test_the_networks_have_the_authors_layers() -> None:
    """128 pixels are encoded in 64, 64, 128, 256, 512 and 4,000 channels, and decoded to 64 pixels."""
    with torch.device("meta"):
        network = EncoderDecoder(3, 3, 128, width=64, bottleneck=4000)
        outputs = network(torch.empty(2, 3, 128, 128))
    widths = [one.out_channels for one in network if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)]
    assert widths == [64, 64, 128, 256, 512, 4000, 512, 256, 128, 64, 3]
    assert outputs.shape == (2, 3, 64, 64)
    norms = 2 * (64 + 128 + 256 + 512 + 4000 + 512 + 256 + 128 + 64)
    weights = 16 * sum(before * after for before, after in zip([3, *widths[:-1]], widths, strict=True))
    assert weights + norms == VARIANTS["context-encoder"].parameters["generator"]
    assert isinstance(network[-1], nn.Tanh)


def test_only_the_surroundings_are_seen() -> None:
    """What a source has in the hole does not change the prediction: the mean colour is put there."""
    model, batch, seen = model_of().eval(), some(), list[Tensor]()
    model.generator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        outputs = [model.translate(one, rng=rng()) for one in (batch.inputs, batch.images)]
    assert torch.equal(*outputs)
    colour = torch.tensor([123.0, 117.0, 104.0]) / 127.5 - 1
    assert torch.allclose(HOLE.of(seen[0]), colour.view(1, 3, 1, 1).expand(4, 3, 6, 6))
    assert torch.equal(HOLE.filled(seen[0], 0), HOLE.filled(batch.images, 0))
    moved = batch.inputs.clone()
    moved[:, :, 0, 0] += 0.5
    with torch.no_grad():
        assert not torch.equal(HOLE.of(model.translate(moved, rng=rng())), HOLE.of(outputs[0]))


def test_the_surroundings_are_kept_exactly() -> None:
    """Outside of the hole the levels of a translation are those of its input, and in it those of the prediction."""
    model = model_of()
    inputs = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=rng())
    outputs = translated(model, inputs, seed=0)
    assert torch.equal(HOLE.filled(outputs, 0), HOLE.filled(inputs, 0))
    model.eval()
    with torch.no_grad():
        given = inputs.float() / 127.5 - 1
        inner = model.predicted(given)[:, :, BAND:-BAND, BAND:-BAND]
        assert torch.equal(HOLE.of(model.translate(given, rng=rng())), inner)


def test_the_losses_are_the_authors() -> None:
    """0.999 of the squared error, ten times as heavy in the band, and 0.001 of -log D; D has both halves."""
    model, batch = model_of(), some()
    made, middle = model.predicted(batch.inputs), batch.images[:, :, 4:12, 4:12]
    total = torch.zeros(())
    for row in range(8):
        for column in range(8):
            outside = not (1 <= row < 7 and 1 <= column < 7)
            total = total + (10 if outside else 1) * (made - middle)[:, :, row, column].square().mean() / 64
    real, fake = (model.discriminator(one).sigmoid() for one in (middle, made))
    loss, logs = model.loss_generator(batch, rng())
    assert loss.item() == pytest.approx((0.999 * total - 0.001 * fake.log().mean()).item(), rel=1e-4)
    assert torch.allclose(torch.as_tensor(logs["mse"]), (made - middle).square().mean((1, 2, 3)))
    expected = -(real.log().mean() + (1 - fake).log().mean())
    assert model.loss_discriminator(batch, rng())[0].item() == pytest.approx(expected.item(), rel=1e-4)
    alone = model_of(with_settings(reconstruction=1.0))
    assert alone.loss_generator(batch, rng())[0].item() == pytest.approx(total.item(), rel=1e-4)
    flat = model_of(with_settings(overlap=0, reconstruction=1.0))
    found = flat.loss_generator(batch, rng())[0].item()
    assert found == pytest.approx(F.mse_loss(flat.predicted(batch.inputs), middle).item(), rel=1e-5)


def test_the_generator_learns_ten_times_as_fast() -> None:
    """In both presets the generator's rate is ten times the discriminator's, 2e-3 and 2e-4 in the paper's."""
    for recipe in (PAPER, QUICK):
        found = rates(recipe, 0)
        assert found["generator"] == pytest.approx(10 * found["discriminator"])
    assert rates(PAPER, 0) == pytest.approx({"discriminator": 2e-4, "generator": 2e-3})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("hole:photos:test:32,10", "no hole there, or a smaller one"),
        ("hole:photos:test:32", "differ from their targets outside"),
        ("recoloured:photos:test:32", "no hole there"),
        ("hole:photos:test:48,12", "no hole there, or a smaller one|differ from their targets outside"),
    ],
)
def test_pairs_with_another_hole_are_refused(data: str, why: str) -> None:
    """Training and held-out pairs must have the hole of the settings, whose size is in the message."""
    plan = make_plan("context-encoder", data=data, chosen={"resolution": 32})
    match = rf"context-encoder fills a hole of 12 x 12 pixels .* 32 x 32; give hole:SOURCE,12.*({why})"
    with pytest.raises(UsageError, match=match):
        read_images(plan)
    good = make_plan("context-encoder", data="hole:photos:test:32,12", chosen={"batch": 2})
    training = Training(good, read_images(good))
    assert len(read_held_out("hole:photos:test:32,12", training)) == 160
    if "48" not in data:
        with pytest.raises(UsageError, match=match):
            read_held_out(data, training)


def test_half_of_the_side_is_a_hole_without_overlap() -> None:
    """With settings.overlap=0 the hole is the whole middle, as `hole:SOURCE` makes it; too wide a band is refused."""
    plan = make_plan("context-encoder", data="hole:photos:test:32", chosen={"settings.overlap": 0})
    assert len(read_images(plan)) == 160
    with pytest.raises(UsageError, match=r"leaves no hole in the middle square of 8 pixels; .* less than 4"):
        model_of(with_settings(overlap=4))


def test_impossible_images_are_refused() -> None:
    """Other sizes, inputs of another size than targets, and weights beyond 1 are errors."""
    with pytest.raises(UsageError, match="The context encoder makes images of 16, 32"):
        model_of(replace(SMALL, resolution=24))
    with pytest.raises(UsageError, match=r"these have 3 channels and 8 pixels .*; give hole:SOURCE,6"):
        build_model(SMALL, Data(3, 16, input_channels=3, input_resolution=8))
    with pytest.raises(UsageError, match="a weight from 0 to 1"):
        model_of(with_settings(reconstruction=2.0))


def test_grey_images_are_filled_with_the_luma_of_the_mean_colour() -> None:
    """The mean colour of one channel is 0.299, 0.587 and 0.114 of red, green and blue."""
    blank = HOLE.of(HOLE.blanked(torch.zeros(1, 1, 16, 16)))
    assert blank.unique().item() == pytest.approx((0.299 * 123 + 0.587 * 117 + 0.114 * 104) / 127.5 - 1, abs=1e-6)
