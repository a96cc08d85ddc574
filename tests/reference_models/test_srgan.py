"""SRGAN: its two phases, its losses, its networks, and the sizes that it takes."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ganeval
from ganeval.errors import UsageError, WeightsError
from ganeval.images import to_uint8
from ganeval.sources import ArrayItems
from reference_models import VARIANTS, build_model
from reference_models.base import tools_for
from reference_models.batches import Data, PairBatch
from reference_models.blocks import vgg
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_images
from reference_models.engine.translations import translated
from reference_models.models.srgan import FEATURE_SCALE, SRGAN, Discriminator, SRResNet, bicubic
from reference_models.models.srgan_recipes import Settings
from reference_models.recipes import Dropped, Recipe, nominal, rescaled
from reference_models.scoring.translations import enlarged

PAPER, QUICK = (VARIANTS["srgan"].recipe(preset) for preset in ("paper", "quick"))
SMALL = replace(
    QUICK,
    resolution=16,
    batch=4,
    steps=10,
    settings=Settings(scale=2, blocks=1, width=4, critic_width=4, dense=8, pretraining=0.4, content="pixels"),
)


def with_settings(recipe: Recipe = SMALL, **settings: object) -> Recipe:
    return replace(recipe, settings=replace(cast(Any, recipe.settings), **settings))


def model_of(recipe: Recipe = SMALL) -> SRGAN:
    torch.manual_seed(0)
    return cast(SRGAN, build_model(recipe, SRGAN.data_for(recipe)))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(scale: int = 2, side: int = 16) -> PairBatch:
    """Four random pairs in the model's range."""
    inputs, images = (torch.rand(4, 3, one, one, generator=rng()) * 2 - 1 for one in (side // scale, side))
    return PairBatch(inputs, images)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_generator_has_the_papers_layers() -> None:
    """Convolutions of 9, 3 and 9 pixels, 16 blocks and one slope in each PReLU, counted by hand for x4 and x2."""

    def conv(before: int, after: int, kernel: int) -> int:
        return before * after * kernel**2 + after

    block = 2 * (conv(64, 64, 3) + 2 * 64) + 1
    up = conv(64, 256, 3) + 1
    ends = conv(3, 64, 9) + 1 + conv(64, 64, 3) + 2 * 64 + conv(64, 3, 9)
    for scale, ups in ((4, 2), (2, 1)):
        network = SRResNet(3, scale=scale, blocks=16, width=64, skip="none")
        assert count(network) == 16 * block + ups * up + ends
    assert 16 * block + 2 * up + ends == VARIANTS["srgan"].parameters["generator"]


def test_the_discriminator_has_the_papers_layers() -> None:
    """Eight convolutions to 512 channels, every second of which halves the side, no BatchNorm on images, 1024 units."""
    with torch.device("meta"):
        network = Discriminator(3, 96, width=64, dense=1024)
    shape = [(one.out_channels, one.stride[0]) for one in network if isinstance(one, nn.Conv2d)]
    assert shape == [(64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)]
    assert [type(one).__name__ for one in list(network)[:3]] == ["Conv2d", "LeakyReLU", "Conv2d"]
    assert count(network) == VARIANTS["srgan"].parameters["discriminator"]
    assert cast(nn.Linear, network[-4]).in_features == 512 * 6 * 6


def test_the_phases_follow_each_other() -> None:
    """Until the share of pretraining is over, SRResNet alone moves; then the discriminator and the generator."""
    model = model_of()
    turns = [[player.turns(step) for player in model.players()] for step in range(10)]
    assert turns == [[1, 0, 0]] * 4 + [[0, 1, 1]] * 6
    assert [model.phase(step) for step in (3, 4)] == ["srresnet", "adversarial"]
    longer = model_of(replace(SMALL, steps=40))
    assert [player.turns(15) for player in longer.players()] == [1, 0, 0]
    assert [player.turns(16) for player in longer.players()] == [0, 1, 1]
    seen = [set(model.step(step, tools_for(model, draw=some, rng=rng()))) for step in (0, 9)]
    assert "loss/srresnet" in seen[0]
    assert "loss/generator" not in seen[0]
    assert {"loss/discriminator", "loss/generator"} < seen[1]


def test_srresnet_alone_is_a_preset() -> None:
    """With pretraining in all steps neither the discriminator nor the adversarial loss is used."""
    recipe = VARIANTS["srgan"].recipe("srresnet")
    assert cast(Settings, recipe.settings).pretraining == 1
    model = model_of(with_settings(pretraining=1.0))
    assert [[player.turns(step) for player in model.players()] for step in (0, 9)] == [[1, 0, 0]] * 2


def test_both_losses_are_the_papers() -> None:
    """D minimises -log D(x) - log(1 - D(G(y))), with logarithms; G its content loss - weight log D(G(y))."""
    model, batch = model_of(with_settings(adversarial=0.5)), some()
    made = model.generator((batch.inputs + 1) / 2)
    real, fake = (model.discriminator(one).sigmoid() for one in (batch.images, made))
    expected = -(real.log().mean() + (1 - fake).log().mean())
    assert model.loss_discriminator(batch, rng())[0].item() == pytest.approx(expected.item(), rel=1e-4)
    # The discriminator of the public code without logarithms is another loss.
    assert expected.item() != pytest.approx((1 - real + fake).mean().item(), rel=0.1)
    mse = F.mse_loss(made, batch.images)
    loss = model.loss_generator(batch, rng())[0]
    assert loss.item() == pytest.approx((mse - 0.5 * fake.log().mean()).item(), rel=1e-4)
    assert model.loss_srresnet(batch, rng())[0].item() == pytest.approx(mse.item(), rel=1e-5)
    twin = model_of(with_settings(adversarial=0.0))
    assert twin.loss_generator(batch, rng())[0].item() == pytest.approx(mse.item(), rel=1e-5)


def test_inputs_are_between_0_and_1_and_outputs_between_minus_1_and_1() -> None:
    """The network sees inputs in [0, 1], losses see its outputs as they are, and translations are clamped."""
    model, seen = model_of(), list[Tensor]()
    model.generator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch = PairBatch(torch.full((4, 3, 8, 8), -1.0), some().images)
    batch.inputs[:, :, ::2] = 1.0
    with torch.no_grad():
        cast(Any, model.generator.output)[-1].weight.mul_(1000)
        outputs = model.translate(batch.inputs, rng=rng())
    assert (seen[0].min().item(), seen[0].max().item()) == (0, 1)
    assert (outputs.min().item(), outputs.max().item()) == (-1, 1)
    assert model.loss_srresnet(batch, rng())[0].item() > 4


def test_the_content_is_of_normalised_images_and_has_no_pixels_in_it() -> None:
    """VGG is given (x - mean) / deviation of colours on 0..1; its features are divided by 12.75; nothing is added."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, 5, 3)
    made, images = some().images, some().images.flip(0)
    mean, deviation = (torch.tensor(one)[:, None, None] for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    one, other = (network(((given + 1) / 2 - mean) / deviation) / 12.75 for given in (made, images))
    found = vgg.feature_distance(network, made, images, scale=FEATURE_SCALE)
    assert torch.allclose(found, (one - other).square().mean((1, 2, 3)), rtol=1e-4)
    # As a weight of the loss this is the 0.006 of the paper.
    assert pytest.approx(0.006, rel=0.03) == 1 / FEATURE_SCALE**2
    grey = made[:, :1]
    assert torch.allclose(
        vgg.feature_distance(network, grey, images, scale=1.0),
        vgg.feature_distance(network, grey.expand(-1, 3, -1, -1), images, scale=1.0),
    )


def test_the_generator_minimises_vggs_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """With content=vgg and no adversarial weight the loss is the distance of features, whatever the pixels."""
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())
    monkeypatch.setattr("reference_models.models.srgan.vgg19", lambda path, device: network)
    model, batch = model_of(with_settings(content="vgg", adversarial=0.0)), some()
    expected = vgg.feature_distance(network, model.enlarged(batch.inputs), batch.images, scale=FEATURE_SCALE).mean()
    assert model.loss_generator(batch, rng())[0].item() == pytest.approx(expected.item(), rel=1e-5)
    assert count(model) == count(model.generator) + count(model.discriminator)


def test_features_are_those_of_conv5_4_after_its_relu() -> None:
    """The layers that are used end with the ReLU of VGG-19's sixteenth convolution, before the last pooling."""
    import torchvision

    with torch.device("meta"):
        layers = torchvision.models.vgg19(weights=None).features
    kept = list(layers[: vgg.LAYERS])
    assert sum(isinstance(layer, nn.Conv2d) for layer in kept) == 16
    assert isinstance(kept[-1], nn.ReLU)
    assert len(layers) == vgg.LAYERS + 1


def test_missing_and_wrong_weights_are_reported_before_the_first_step(tmp_path: Path) -> None:
    """The message has the place where the file is expected, and both remedies; nothing is downloaded."""
    missing = tmp_path / "vgg.pth"
    model = model_of(with_settings(content="vgg", vgg=str(missing)))
    with pytest.raises(WeightsError, match=rf"not at {missing}; .*--set vgg=FILE.*--set content=pixels"):
        model.step(0, tools_for(model, draw=some, rng=rng()))
    other = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(3)}, other)
    with pytest.raises(WeightsError, match="does not hold torchvision's weights"):
        vgg.vgg19(str(other), "cpu")
    # SRResNet alone needs none.
    model_of(with_settings(content="vgg", vgg=str(missing), pretraining=1.0)).begin(0)


def test_the_skip_is_pillows_bicubic_and_training_begins_there() -> None:
    """An untrained network with the skip enlarges as `lowres:` makes smaller, up to the rounding of levels."""
    recipe = with_settings(skip="bicubic", scale=4)
    model = model_of(recipe)
    inputs = torch.randint(0, 256, (3, 3, 6, 6), dtype=torch.uint8, generator=rng())
    apart = translated(model, inputs, seed=0).int() - enlarged(inputs, (24, 24)).int()
    # Pillow rounds between its two passes.
    assert apart.abs().max() <= 1
    assert bicubic(torch.full((1, 3, 4, 4), 0.3), 2).sub(0.3).abs().max() < 1e-6


@pytest.mark.parametrize("scale", [2, 4])
def test_any_size_is_enlarged(scale: int) -> None:
    """The network is convolutional: sides of any size, also odd ones, become `scale` times larger."""
    model = model_of(with_settings(scale=scale)).eval()
    assert model.multiple == 1
    with torch.no_grad():
        assert model.translate(torch.zeros(1, 3, 5, 9), rng=rng()).shape == (1, 3, 5 * scale, 9 * scale)


def test_factors_that_do_not_fit_are_refused() -> None:
    """Data of x4 for a model of x2, and the other way round, name both sizes; so do sizes that do not divide."""
    for data, scale in (("lowres:photos:train:32,4", 2), ("lowres:photos:train:32,2", 4)):
        plan = make_plan("srgan", data=data, chosen={"settings.scale": scale})
        with pytest.raises(UsageError, match=r"has inputs of \d+ and targets of 32 pixels"):
            read_images(plan)
    with pytest.raises(
        UsageError, match=r"larger by 2 times here, but these have 4 pixels .* targets of 16; give lowres:"
    ):
        build_model(SMALL, Data(3, 16, input_channels=3, input_resolution=4))
    with pytest.raises(UsageError, match="by 2 or 4 times, not by 3"):
        model_of(with_settings(scale=3))
    with pytest.raises(UsageError, match="have 1 and 3"):
        build_model(SMALL, Data(3, 16, input_channels=1, input_resolution=8))
    with pytest.raises(UsageError, match="share of the steps"):
        model_of(with_settings(pretraining=1.5))


def test_the_score_is_a_mean_over_images_with_the_peak_of_255() -> None:
    """PSNR is of each image, and not of the pooled error, and its peak is not the brightest pixel of the image."""
    targets = torch.full((2, 3, 16, 16), 100, dtype=torch.uint8)
    outputs = targets.clone()
    outputs[0] += 1
    outputs[1] += 16
    sides = [ArrayItems(one.numpy(), name=name, kind="tensor") for one, name in ((targets, "a"), (outputs, "b"))]
    found = ganeval.evaluate_pairs(*sides, metrics=["psnr"])["psnr"].value
    each = [10 * torch.tensor(255.0**2 / error).log10().item() for error in (1, 256)]
    assert found == pytest.approx(sum(each) / 2, abs=1e-4)
    pooled = 10 * torch.tensor(255.0**2 / 128.5).log10().item()
    assert abs(found - pooled) > 5


def test_the_papers_rates_fall_in_the_middle_of_the_second_phase() -> None:
    """A million steps of SRResNet at 1e-4, then 100,000 of SRGAN at 1e-4 and 100,000 at 1e-5."""
    rate = cast(Any, PAPER.optimizers["generator"]).lr
    assert (
        model_of(replace(SMALL, steps=PAPER.steps, settings=replace(SMALL.settings, pretraining=5 / 6))).pretrained
        == 1_000_000
    )  # type: ignore[type-var]
    assert [rate.at(step, PAPER.steps) for step in (0, 1_099_999, 1_100_000)] == pytest.approx([1e-4, 1e-4, 1e-5])
    assert nominal(rate) == 1e-4
    assert rescaled(rate, 2e-4) == Dropped(2e-4, 10, after=11 / 12)
    assert cast(Settings, PAPER.settings).adversarial == 1e-3
    assert to_uint8(torch.ones(1, 3, 1, 1), SRGAN.value_range, where="").max() == 255
