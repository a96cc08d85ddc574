"""The papers' networks: every layer's shape, size and kind."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model, model_class
from reference_models.base import GAN, Model
from reference_models.batches import Data
from reference_models.blocks.networks import Maxout, ResidualCritic, doublings
from reference_models.engine.summary import count_parameters, layers
from reference_models.models import dcgan_recipes as dcgan
from reference_models.recipes import Recipe

# The generators of Lucic et al. are one function's; dragan's discriminator has no normalisation.
ALIKE = [f"lucic2018-{loss}" for loss in ("non-saturating", "least-squares", "wgan", "wgan-gp")]
# Models of images with 16, 32, 64 or 128 pixels per side.
POWERS_OF_TWO = [
    *("dcgan", "lsgan", "wgan", "wgan-gp", "acgan", "began", "sngan"),
    *(name for name in VARIANTS if name.startswith("lucic2018-")),
]


def paper(name: str, preset: str = "paper") -> Model:
    """A variant's model with the settings of its paper or of another preset, for ten classes."""
    recipe = VARIANTS[name].recipe(preset)
    return build_model(recipe, model_class(recipe).data_for(recipe, 10))


def outline(name: str, preset: str = "paper") -> Model:
    """The same on torch's meta device, where no weights are drawn; DDPM computes some of its buffers."""
    with torch.device("cpu" if name == "ddpm" else "meta"):
        return paper(name, preset)


@cache
def outlined(name: str) -> tuple[Mapping[str, int], set[float]]:
    """The numbers of parameters, player by player, and every epsilon of batch normalisation."""
    model = outline(name)
    normalised = (one for one in model.modules() if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d))
    return count_parameters(model), {one.eps for one in normalised}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_papers_network_has_the_size_its_row_tells(name: str) -> None:
    """The numbers of parameters, player by player, are those of the table."""
    assert outlined(name)[0] == VARIANTS[name].parameters


# Counted by hand, layer by layer: weights, biases (where there are any), gains and shifts of normalisation.
BY_HAND = {
    "gan": {
        "generator": (100 * 1200 + 1200) + (1200 * 1200 + 1200) + (1200 * 784 + 784),
        "discriminator": (784 * 1200 + 1200) + (240 * 1200 + 1200) + 241,
    },
    "dcgan": {
        "generator": 100 * 16 * 1024
        + 2 * (1024 + 512 + 256 + 128)
        + 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3),
        "discriminator": 25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 2 * (256 + 512 + 1024) + 16 * 1024,
    },
    "wgan": {
        "generator": 100 * 16 * 256 + 2 * (256 + 128 + 64) + 16 * (256 * 128 + 128 * 64 + 64 * 3),
        "discriminator": 16 * (3 * 64 + 64 * 128 + 128 * 256) + 2 * (128 + 256) + 16 * 256,
    },
    "wgan-gp": {
        "generator": (128 * 2048 + 2048)
        + 3 * (4 * 128 + 2 * (9 * 128 * 128 + 128) + (128 * 128 + 128))
        + 2 * 128
        + (9 * 128 * 3 + 3),
        "discriminator": (9 * 3 * 128 + 128)
        + (3 * 128 + 128)
        + (128 * 128 + 128)
        + 7 * (9 * 128 * 128 + 128)
        + (128 + 1),
    },
    "cgan": {
        "generator": (100 * 200 + 200) + (10 * 1000 + 1000) + (1200 * 1200 + 1200) + (1200 * 784 + 784),
        "discriminator": (784 * 1200 + 1200) + (10 * 250 + 250) + (290 * 960 + 960) + 241,
    },
    "acgan": {
        "generator": (110 * 6144 + 6144) + 25 * (384 * 192 + 192 * 96 + 96 * 3) + 2 * (192 + 96),
        "discriminator": 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
        + (16 + 32 + 64 + 128 + 256 + 512)
        + 2 * (32 + 64 + 128 + 256 + 512)
        + 11 * (512 * 16 + 1),
    },
    "bigan": {
        # Weights alone; z enters the second layer of generator and discriminator.
        "generator": (50 * 1024 + 1024 * 1024 + 50 * 1024 + 1024 * 784) + (784 * 1024 + 1024 * 1024 + 1024 * 50),
        "discriminator": 784 * 1024 + 1024 * 1024 + 50 * 1024 + 1024,
    },
    "began": {
        "generator": (64 * 8192 + 8192) + 6 * (9 * 128 * 128 + 128) + (9 * 128 * 3 + 3),
        "discriminator": (64 * 8192 + 8192)
        + 6 * (9 * 128 * 128 + 128)
        + (9 * 128 * 3 + 3)
        + (9 * 3 * 128 + 128)
        + 2 * (9 * 128 * 128 + 128)
        + (9 * 128 * 256 + 256)
        + 2 * (9 * 256 * 256 + 256)
        + (9 * 256 * 384 + 384)
        + 2 * (9 * 384 * 384 + 384)
        + (64 * 384 * 64 + 64),
    },
    "sngan": {
        "generator": (128 * 4096 + 4096)
        + 3 * (4 * 256 + 2 * (9 * 256 * 256 + 256) + (256 * 256 + 256))
        + 2 * 256
        + (9 * 256 * 3 + 3),
        "discriminator": (9 * 3 * 128 + 128) + (3 * 128 + 128) + (128 * 128 + 128) + 7 * (9 * 128 * 128 + 128) + 128,
    },
    "bgan": {
        "generator": (64 * 1024 + 2 * 1024) + (1024 * 6272 + 2 * 6272) + (25 * 128 * 64 + 2 * 64) + (25 * 64 + 1),
        "discriminator": (25 * 64 + 64) + (25 * 64 * 128 + 128) + (6272 * 1024 + 1024) + 1025,
    },
    # Nine levels of 512, 512, 512, 512, 256, 128, 64, 32 and 16 feature maps.
    "progan": {
        "generator": (512 * 8192 + 512)
        + (9 * 512 * 512 + 512)
        + 3 * 2 * (9 * 512 * 512 + 512)
        + sum(9 * width * (2 * width + width) + 2 * width for width in (256, 128, 64, 32, 16))
        + sum(3 * width + 3 for width in (512, 512, 512, 512, 256, 128, 64, 32, 16)),
        "discriminator": sum(3 * width + width for width in (512, 512, 512, 512, 256, 128, 64, 32, 16))
        + sum(9 * width * (width + 2 * width) + 3 * width for width in (256, 128, 64, 32, 16))
        + 3 * 2 * (9 * 512 * 512 + 512)
        + (9 * 513 * 512 + 512)
        + (8192 * 512 + 512)
        + 513,
    },
    "r3gan": {
        # Ten classes; four stages of two blocks, whose 3 x 3 convolutions have 96 groups of 16 channels.
        "generator": 10 * 64
        + (16 * 768 + 128 * 768)
        + 8 * (768 * 1536 + 1536 + 9 * 16 * 1536 + 1536 + 1536 * 768)
        + 768 * 3,
        "discriminator": 10 * 768
        + 3 * 768
        + 8 * (768 * 1536 + 1536 + 9 * 16 * 1536 + 1536 + 1536 * 768)
        + (16 * 768 + 768 * 768),
    },
    "lucic2018-non-saturating": {
        "generator": (64 * 1024 + 3 * 1024) + (1024 * 8192 + 3 * 8192) + (16 * 128 * 64 + 3 * 64) + (16 * 64 * 3 + 3),
        "discriminator": (16 * 3 * 64 + 64) + (16 * 64 * 128 + 3 * 128) + (8192 * 1024 + 3 * 1024) + 1025,
    },
    "lucic2018-wgan-gp": {
        "discriminator": (16 * 3 * 64 + 64) + (16 * 64 * 128 + 128) + (8192 * 1024 + 1024) + 1025,
    },
    "lucic2018-began": {
        "discriminator": (16 * 3 * 64 + 64)
        + (16 * 64 * 128 + 128)
        + (8192 * 64 + 64)
        + (64 * 8192 + 8192)
        + (16 * 128 * 64 + 64)
        + (16 * 64 * 3 + 3),
    },
}


@pytest.mark.parametrize("name", BY_HAND)
def test_sizes_counted_by_hand(name: str) -> None:
    """The sizes in the table are the sums over the papers' layers."""
    told = VARIANTS[name].parameters
    assert {player: told[player] for player in BY_HAND[name]} == BY_HAND[name]


PLAIN = {
    "generator": (100 * 8192 + 8192)
    + 2 * (512 + 256 + 128 + 64)
    + 16 * (512 * 256 + 256 * 128 + 128 * 64)
    + (256 + 128 + 64)
    + (9 * 64 * 3 + 3),
    "discriminator": (9 * 3 * 64 + 64)
    + 16 * (64 * 128 + 128 * 256 + 256 * 512)
    + 9 * (128 * 128 + 256 * 256 + 512 * 512)
    + 2 * (128 + 256 + 512)
    + (512 * 16 + 1),
}
COLLECTION = {
    ("dcgan", "pytorch-gan-collections"): {
        "generator": 4 * 100 * 1024
        + 2 * (1024 + 512 + 256 + 128)
        + 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3),
        "discriminator": 25 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 2 * (128 + 256 + 512) + (4 * 512 + 1),
    },
    ("wgan", "pytorch-gan-collections"): PLAIN,
    ("wgan-gp", "pytorch-gan-collections-cnn"): PLAIN,
    ("sngan", "pytorch-gan-collections-cnn"): PLAIN,
    ("wgan-gp", "pytorch-gan-collections"): {
        "generator": BY_HAND["sngan"]["generator"],
        "discriminator": BY_HAND["wgan-gp"]["discriminator"],
    },
    ("sngan", "pytorch-gan-collections"): BY_HAND["sngan"],
}


@pytest.mark.parametrize(("name", "preset"), COLLECTION)
def test_sizes_of_the_collections_networks_counted_by_hand(name: str, preset: str) -> None:
    """The sizes are the sums over the layers in its source/models."""
    assert count_parameters(outline(name, preset)) == COLLECTION[name, preset]


SHAPES = {
    ("dcgan", "paper"): {
        "generator": [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)],
        "discriminator": [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4), ()],
    },
    ("wgan", "paper"): {
        "generator": [(256, 4, 4), (128, 8, 8), (64, 16, 16), (3, 32, 32)],
        "discriminator": [(64, 16, 16), (128, 8, 8), (256, 4, 4), ()],
    },
    ("wgan-gp", "paper"): {
        "generator": [(128, 4, 4), (128, 8, 8), (128, 16, 16), (128, 32, 32), (3, 32, 32)],
        "discriminator": [(128, 32, 32), (128, 16, 16), (128, 8, 8)],
    },
    ("sngan", "paper"): {
        "generator": [(256, 4, 4), (256, 8, 8), (256, 16, 16), (256, 32, 32), (3, 32, 32)],
        "discriminator": [(128, 32, 32), (128, 16, 16), (128, 8, 8)],
    },
    ("dcgan", "pytorch-gan-collections"): {
        "generator": [(1024, 2, 2), (512, 4, 4), (256, 8, 8), (128, 16, 16), (3, 32, 32)],
        "discriminator": [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2), ()],
    },
    ("wgan", "pytorch-gan-collections"): {
        "generator": [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 32, 32)],
        "discriminator": [(64, 32, 32), (128, 16, 16), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 4, 4), ()],
    },
    ("acgan", "paper"): {
        "generator": [(384, 4, 4), (192, 8, 8), (96, 16, 16), (3, 32, 32)],
        "discriminator": [(16, 16, 16), (32, 16, 16), (64, 8, 8), (128, 8, 8), (256, 4, 4), (512, 4, 4)],
    },
    ("began", "paper"): {
        "generator": [(128, 8, 8), (128, 16, 16), (128, 32, 32), (3, 32, 32)],
        "discriminator": [(128, 32, 32), (256, 16, 16), (384, 8, 8), (64,), (128, 8, 8), (3, 32, 32)],
    },
}


@pytest.mark.parametrize(("name", "preset"), SHAPES)
def test_feature_maps_have_the_papers_shapes(name: str, preset: str) -> None:
    """The stages of each network occur in order among the shapes of its layers."""
    passed = layers(paper(name, preset))
    for player, stages in SHAPES[name, preset].items():
        shapes = iter([layer.shape for layer in passed if layer.name.startswith(player)])
        assert all(stage in shapes for stage in stages), (player, stages)


def test_the_collections_plain_critics_are_leaky_by_a_tenth_and_its_dcgan_normalises_after_that() -> None:
    """Slope 0.1 without normalisation; 0.2 with batch normalisation after the leaky ReLU."""
    for name in ("wgan", "sngan"):
        preset = "pytorch-gan-collections" if name == "wgan" else "pytorch-gan-collections-cnn"
        critic = paper(name, preset).get_submodule("discriminator")
        assert {one.negative_slope for one in critic.modules() if isinstance(one, nn.LeakyReLU)} == {0.1}
        assert not kinds(critic) & {nn.BatchNorm1d, nn.BatchNorm2d}
    discriminator = list(paper("dcgan", "pytorch-gan-collections").get_submodule("discriminator").children())
    assert [type(one) for one in discriminator[:5]] == [
        nn.Conv2d,
        nn.LeakyReLU,
        nn.Conv2d,
        nn.LeakyReLU,
        nn.BatchNorm2d,
    ]


def test_the_second_network_is_the_upsampling_one() -> None:
    """28 x 28: dense 128 x 7 x 7, two upsamplings; 32, 64, 128 and 256 channels, stride 2; dropout; momentum 0.8."""
    recipe = replace(dcgan.PAPER, network="upsample", channels=1, resolution=28)
    model = build_model(recipe, Data(1, 28))
    generator, discriminator = model.get_submodule("generator"), model.get_submodule("discriminator")
    shapes = [layer.shape for layer in layers(model)]
    assert (
        shapes.index((128, 7, 7)) < shapes.index((128, 14, 14)) < shapes.index((64, 28, 28)) < shapes.index((1, 28, 28))
    )
    convolutions = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [32, 64, 128, 256]
    assert {module.stride for module in convolutions} == {(2, 2)}
    assert [module.p for module in discriminator.modules() if isinstance(module, nn.Dropout2d)] == [0.25] * 4
    assert sum(isinstance(module, nn.Upsample) for module in generator.modules()) == 2
    normalisations = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(module.momentum, module.eps) for module in normalisations} == {(0.2, 1e-5)}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_epsilon_of_normalisation_is_small_everywhere(name: str) -> None:
    """A momentum of 0.8 was once taken for an epsilon; those other than torch's are of the authors' code."""
    expected = 1e-3 if name.startswith("lucic2018-") else {"bigan": 1e-8, "ssgan": 1e-6, "bgan": 1e-4}.get(name, 1e-5)
    assert outlined(name)[1] <= {expected}


def kinds(module: nn.Module) -> set[type[nn.Module]]:
    return {type(one) for one in module.modules()}


def test_dcgan_is_dcgan() -> None:
    """It has strided convolutions both ways, and no residual blocks, upsampling or dense hidden layers."""
    model = paper("dcgan")
    generator, discriminator = list(model.get_submodule("generator")), list(model.get_submodule("discriminator"))  # type: ignore[call-overload]
    assert [type(one) for one in generator[:2]] == [nn.Linear, nn.Unflatten]
    assert kinds(nn.Sequential(*generator[2:])) - {nn.Sequential} == {
        *(nn.BatchNorm2d, nn.ReLU, nn.ConvTranspose2d, nn.Tanh),
    }
    assert kinds(nn.Sequential(*discriminator)) - {nn.Sequential} == {
        *(nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU, nn.Flatten),
    }


def test_dcgan_normalises_neither_its_output_nor_its_input() -> None:
    """The generator's last convolution leads to a tanh, the discriminator's first to a leaky ReLU of slope 0.2."""
    model = paper("dcgan")
    generator, discriminator = list(model.get_submodule("generator")), list(model.get_submodule("discriminator"))  # type: ignore[call-overload]
    assert [type(one) for one in generator[-2:]] == [nn.ConvTranspose2d, nn.Tanh]
    assert [type(one) for one in discriminator[:2]] == [nn.Conv2d, nn.LeakyReLU]
    assert discriminator[1].negative_slope == 0.2


@pytest.mark.parametrize("name", ["wgan-gp", "sngan", "lucic2018-wgan-gp", "lucic2018-dragan"])
def test_a_critic_under_a_penalty_on_single_images_normalises_no_batch(name: str) -> None:
    """Batch normalisation would make an image's slope depend on its neighbours."""
    critic = paper(name).get_submodule("discriminator")
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in critic.modules())
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    critic.eval()
    with torch.no_grad():
        assert torch.allclose(critic(images)[:2], critic(images[:2]), atol=1e-4)


def test_began_normalises_nothing() -> None:
    """ELU, and no normalisation anywhere."""
    found = kinds(paper("began"))
    assert nn.ELU in found
    assert not found & {nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU}


def test_bigan_normalises_all_but_the_first_layers_of_encoder_and_discriminator() -> None:
    """The generator normalises both hidden layers, the others the second."""
    model = paper("bigan")
    counts = {
        name: sum(isinstance(one, nn.BatchNorm1d) for one in model.get_submodule(name).modules())
        for name in ("generator", "encoder", "discriminator")
    }
    assert counts == {"generator": 2, "encoder": 1, "discriminator": 1}


def test_bigan_has_weights_alone_and_z_joins_the_second_layers() -> None:
    """There are no gains, shifts or biases; the discriminator's first layer uses x alone; its output begins at 0."""
    model = paper("bigan")
    assert {name.rpartition(".")[2] for name, _ in model.named_parameters()} == {"weight"}
    shapes = {name: tuple(one.shape) for name, one in model.named_parameters()}
    assert shapes["discriminator.first.0.weight"] == (1024, 784)
    assert shapes["discriminator.joining.weight"] == shapes["generator.joining.weight"] == (1024, 50)
    assert "encoder.joining.weight" not in shapes
    assert not model.get_parameter("discriminator.last.2.weight").any()
    assert model.get_parameter("discriminator.joining.weight").std().item() == pytest.approx(0.02, rel=0.05)


def test_the_lucic2018_weights_are_drawn_as_in_the_study() -> None:
    """N(0, 0.02), cut at two deviations in strided convolutions; gains are 1, and biases precede normalisation."""
    torch.manual_seed(0)
    model = paper("lucic2018-non-saturating")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert module.momentum == 0.001
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert module.bias is not None
            largest = module.weight.abs().max().item()
            assert (largest <= 0.04) == isinstance(module, nn.Conv2d)


@given(n=st.integers(1, 5), features=st.integers(1, 6), units=st.integers(1, 5), pieces=st.integers(1, 4))
@settings(max_examples=20)
def test_maxout_is_the_largest_of_its_pieces(n: int, features: int, units: int, pieces: int) -> None:
    """Maxout agrees with a loop."""
    layer = Maxout(features, units, pieces)
    x = torch.randn(n, features)
    linear = layer.linear(x)
    for row in range(n):
        for unit in range(units):
            largest = linear[row, unit * pieces : (unit + 1) * pieces].max()
            assert layer(x)[row, unit] == largest


def test_spectral_norms_are_1() -> None:
    """After some passes the discriminator's largest singular values are 1; the generator is unconstrained."""
    torch.manual_seed(0)
    critic = ResidualCritic(3, 32, width=16, total=True, spectral=True)
    images = torch.randn(2, 3, 32, 32)
    for _ in range(100):
        critic(images)
    found = [module for module in critic.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(found) == 11
    for module in found:
        largest = torch.linalg.matrix_norm(module.weight.flatten(1), ord=2).item()
        assert largest == pytest.approx(1.0, abs=0.02)
    generator = paper("sngan").get_submodule("generator")
    assert not any("parametrizations" in name for name, _ in generator.named_modules())


@pytest.mark.parametrize("resolution", [16, 32, 64, 128])
@pytest.mark.parametrize("name", [name for name in POWERS_OF_TWO if name not in ALIKE])
def test_convolutional_models_come_in_powers_of_two(name: str, resolution: int) -> None:
    """Resolutions are 16 to 128 pixels, with one, three or four channels."""
    for channels in (1, 4):
        model = cast(GAN, build_model(VARIANTS[name].recipe("quick"), Data(channels, resolution, 3)))
        labels = torch.zeros(2, dtype=torch.int64) if model.conditional else None
        with torch.no_grad():
            images = model.eval().generate(model.latent(2, rng=torch.Generator()), labels)
        assert images.shape == (2, channels, resolution, resolution)


@pytest.mark.parametrize("name", POWERS_OF_TWO)
@pytest.mark.parametrize("resolution", [8, 30, 48, 256])
def test_other_resolutions_are_refused(name: str, resolution: int) -> None:
    """The message has the requested resolution and the possible ones."""
    with pytest.raises(UsageError, match=rf"16.*128 pixels, not of {resolution}"):
        build_model(VARIANTS[name].recipe("quick"), Data(1, resolution, 3))


def test_a_network_the_paper_does_not_have_is_refused() -> None:
    """The message names it and lists the existing ones."""
    recipe: Recipe = replace(dcgan.QUICK, network="resnet")
    with pytest.raises(UsageError, match="'resnet' is not a network of dcgan"):
        build_model(recipe, Data(1, 32))


@given(start=st.sampled_from([4, 8]), count=st.integers(0, 5))
def test_doublings_undo_doubling(start: int, count: int) -> None:
    """8 is doubled twice to reach 32."""
    assert doublings(start * 2**count, start) == count
