"""The 2015 network: its layout, folded convolutions, taps, and that it computes only what is requested."""

from pathlib import Path
from typing import cast

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors import inception, open_extractor
from ganeval.extractors.base import Precision, Weights
from ganeval.extractors.inception import BATCH_NORM_EPS, TAPS, InceptionExtractor, layout
from ganeval.extractors.weights import load_weights
from ganeval.metrics.inception_score import inception_score
from ganeval.outputs import Output
from ganeval.protocols import find_protocol

CONVOLUTIONS = 94


Loaded = tuple[dict[str, Tensor], Weights]


@pytest.fixture(scope="module")
def loaded(untrained_weights: Path) -> Loaded:
    """Generated parameters."""
    return load_weights(untrained_weights)


@pytest.fixture(scope="module")
def network(loaded: Loaded) -> InceptionExtractor:
    """The deepest tap, under the default protocol."""
    return opened(loaded)


def opened(
    loaded: Loaded, tap: int = 2048, protocol: str = "tensorflow", *, precision: Precision = "fp32"
) -> InceptionExtractor:
    """One tap under a protocol."""
    return InceptionExtractor(*loaded, find_protocol(protocol), tap=tap, precision=precision)


@pytest.fixture(scope="module")
def inputs(network: InceptionExtractor) -> Tensor:
    """Four prepared images: two of noise, and two smooth ones."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (2, 3, 3, 3), generator=rng).float()
    smooth = F.interpolate(coarse, (60, 60), mode="bilinear").to(torch.uint8)
    noise = torch.randint(0, 256, (2, 3, 60, 60), generator=rng, dtype=torch.uint8)
    return network.prepare(torch.cat([noise, smooth]))


@pytest.fixture(scope="module")
def given(network: InceptionExtractor, inputs: Tensor) -> dict[Output, Tensor]:
    """All outputs for the inputs."""
    with torch.inference_mode():
        return dict(network.forward(inputs, network.outputs))


def test_the_layout_is_that_of_the_published_file() -> None:
    """566 entries, named, shaped and ordered as torchvision's own of 1008 classes, without its auxiliary head."""
    with torch.random.fork_rng(devices=[]):
        model = torchvision.models.inception_v3(weights=None, aux_logits=False, num_classes=1008, init_weights=False)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert layout() == expected
    assert list(layout()) == list(expected)
    assert len(layout()) == 566 == 6 * CONVOLUTIONS + 2


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_folding_is_batch_normalisation(stride: int, padding: int) -> None:
    """A convolution with its BatchNorm folded in equals the two in evaluation mode, to double precision."""
    rng = torch.Generator().manual_seed(0)
    draw = [torch.randn(5, generator=rng, dtype=torch.float64) for _ in range(3)]
    variance = torch.rand(5, generator=rng, dtype=torch.float64)
    weight = torch.randn(5, 3, 3, 2, generator=rng, dtype=torch.float64)
    names = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    state = {f"x.{name}": tensor for name, tensor in zip(names, (weight, *draw, variance), strict=True)}
    images = torch.randn(2, 3, 9, 8, generator=rng, dtype=torch.float64)
    expected = F.batch_norm(
        F.conv2d(images, weight, None, stride, padding), draw[2], variance, draw[0], draw[1], eps=BATCH_NORM_EPS
    )
    folded, bias = inception._folded(state, "x", "cpu", torch.float64)
    assert torch.allclose(F.conv2d(images, folded, bias, stride, padding), expected, rtol=1e-12, atol=1e-12)
    assert BATCH_NORM_EPS == 1e-3


def test_an_average_leaves_the_padding_out_and_a_maximum_is_one() -> None:
    """The three pools of the published network."""
    ones = torch.ones(1, 1, 5, 5)
    assert torch.equal(inception._pool(inception.Pool("average"), ones), ones)
    ramp = torch.arange(25.0).view(1, 1, 5, 5)
    assert inception._pool(inception.Pool("max"), ramp)[0, 0, 0].tolist() == [6, 7, 8, 9, 9]
    assert inception._pool(inception.Pool("halve"), ramp)[0, 0].tolist() == [[12, 14], [22, 24]]


def test_widths_are_as_declared(given: dict[Output, Tensor]) -> None:
    """Pool features, 1008 classes, and ADM's 7 channels of 17 x 17."""
    assert {output: tuple(array.shape) for output, array in given.items()} == {
        "features": (4, 2048),
        "logits": (4, 1008),
        "spatial": (4, 2023),
    }
    assert {array.dtype for array in given.values()} == {torch.float32}


@pytest.mark.parametrize("tap", TAPS)
def test_a_tap_is_the_spatial_mean_of_its_block(
    tap: int, loaded: Loaded, network: InceptionExtractor, inputs: Tensor
) -> None:
    """A tap is named by its width; without a width it is the last one."""
    extractor = opened(loaded, tap)
    assert extractor.name == ("inception" if tap == 2048 else f"inception:{tap}")
    assert extractor.dimensions == tap
    with torch.inference_mode():
        found = extractor.forward(inputs[:1], frozenset(("features",)))["features"]
        blocks = {block: x for block, x, _ in network._blocks(inputs[:1].contiguous(memory_format=torch.channels_last))}
    assert torch.allclose(found, blocks[TAPS[tap]].mean((2, 3)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spec", ["inception:100", "inception:pool3", "inception:-64"])
def test_another_tap_is_refused(spec: str, untrained_weights: Path, loaded: Loaded) -> None:
    """An unknown tap is refused with the list of taps."""
    with pytest.raises(UsageError, match="is not a tap; choose from: 64, 192, 768, 2048"):
        open_extractor(spec, protocol=find_protocol("clean"), weights=untrained_weights)
    with pytest.raises(UsageError, match="no pool features of width 100; choose from: 64, 192, 768, 2048"):
        opened(loaded, 100)


def test_spatial_features_are_channels_last(
    network: InceptionExtractor, inputs: Tensor, given: dict[Output, Tensor]
) -> None:
    """The first seven channels of Mixed_6d's first branch, position by position, as ADM flattens them."""
    with torch.inference_mode():
        blocks = network._blocks(inputs.contiguous(memory_format=torch.channels_last))
        block = next(x for name, x, _ in blocks if name == "Mixed_6d")
    assert torch.allclose(given["spatial"].view(4, 17, 17, 7)[:, 3, 5], block[:, :7, 3, 5], rtol=1e-4, atol=1e-5)


def test_logits_are_the_classifier_of_the_pool_features(
    network: InceptionExtractor, inputs: Tensor, given: dict[Output, Tensor], loaded: Loaded
) -> None:
    """With the bias under the one protocol that has it, and without it under the others."""
    state, _ = loaded
    plain = given["features"] @ state["fc.weight"].T
    assert torch.allclose(given["logits"], plain, rtol=1e-4, atol=1e-4)
    with_bias = opened(loaded, protocol="studiogan")
    with torch.inference_mode():
        found = with_bias.forward(inputs, frozenset(("logits",)))["logits"]
    assert torch.allclose(found, plain + state["fc.bias"], rtol=1e-4, atol=1e-4)
    assert "logits with bias" in with_bias.preprocessing
    assert "logits without bias" in network.preprocessing


@pytest.mark.parametrize(
    ("tap", "outputs", "convolutions"),
    [
        (64, ["features"], 3),
        (192, ["features"], 5),
        (64, ["spatial"], 60),
        (768, ["features"], 70),
        (64, ["features", "logits"], CONVOLUTIONS),
        (2048, ["features"], CONVOLUTIONS),
    ],
)
def test_it_stops_where_nothing_more_is_asked_for(
    tap: int, outputs: list[Output], convolutions: int, loaded: Loaded, inputs: Tensor
) -> None:
    """A shallow tap does not run the layers after it."""
    extractor, calls = opened(loaded, tap), []
    convolve = F.conv2d
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(F, "conv2d", lambda *args: calls.append(1) or convolve(*args))
        found = extractor.forward(inputs[:1], frozenset(outputs))
    assert len(calls) == convolutions
    assert found.keys() == set(outputs)


def test_what_else_is_asked_for_does_not_matter(
    network: InceptionExtractor, inputs: Tensor, given: dict[Output, Tensor]
) -> None:
    """An output is the same alone and together with others."""
    for output in ("features", "spatial"):
        with torch.inference_mode():
            alone = network.forward(inputs, frozenset((output,)))
        assert torch.equal(alone[output], given[output])


def test_it_gives_nothing_else(network: InceptionExtractor, inputs: Tensor) -> None:
    """An unknown output is an error."""
    with pytest.raises(ExtractorError, match="inception cannot give attention"):
        network.forward(inputs, frozenset(("attention",)))  # type: ignore[arg-type]


@pytest.mark.parametrize("tap", [64, 192])
def test_reduced_precision_is_close(tap: int, loaded: Loaded, inputs: Tensor) -> None:
    """bf16 keeps two to three digits of the layers' inputs, and its features stay near the full ones."""
    found = []
    for precision in ("fp32", "bf16"):
        extractor = opened(loaded, tap, precision=cast(Precision, precision))
        with torch.inference_mode():
            found.append(extractor.forward(inputs, frozenset(("features",)))["features"])
    assert float(((found[1] - found[0]).norm(dim=1) / found[0].norm(dim=1)).max()) < 0.015


def test_generated_weights_give_features_that_are_worth_measuring(given: dict[Output, Tensor]) -> None:
    """No feature is constant, none explodes, and different images are far apart."""
    features = given["features"]
    assert float((features.max(0).values == 0).float().mean()) < 0.01
    assert 0.05 < float(features.std()) < 20
    distances = torch.cdist(features, features)[~torch.eye(4, dtype=torch.bool)]
    assert float(distances.min()) > 0.1 * float(features.norm(dim=1).mean())
    assert 1.01 < inception_score(given["logits"], splits=1).value < 3.9


def test_extractors_of_one_file_share_its_parameters(loaded: Loaded, inputs: Tensor) -> None:
    """On the CPU, in float32, the folded parameters are in memory once, and equal those folded of the state alone."""
    first, second = opened(loaded, 64), opened(loaded, 64, "clean")
    alone = InceptionExtractor(dict(loaded[0]), loaded[1], find_protocol("tensorflow"), tap=64)
    for name, (weight, bias) in alone._convs.items():
        for extractor in (first, second):
            assert torch.equal(extractor._convs[name][0], weight)
            assert torch.equal(extractor._convs[name][1], bias)
        assert first._convs[name][0].data_ptr() == second._convs[name][0].data_ptr() != weight.data_ptr()
    outputs: frozenset[Output] = frozenset(("features",))
    given = [one.forward(inputs, outputs)["features"] for one in (first, alone)]
    assert torch.equal(*given)


def test_protocols_reach_the_network(loaded: Loaded) -> None:
    """Resize and normalisation are the protocol's, and their descriptions differ."""
    image = torch.randint(0, 256, (1, 3, 40, 50), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    seen = {}
    for name in ("tensorflow", "pytorch-fid", "clean", "torchmetrics"):
        extractor = opened(loaded, 64, name)
        seen[extractor.preprocessing] = extractor.prepare(image)
    assert len(seen) == 4
    for inputs in seen.values():
        assert inputs.shape == (1, 3, 299, 299)
        assert float(inputs.abs().max()) <= 1
    stylegan, tensorflow = (opened(loaded, 64, name) for name in ("stylegan", "tensorflow"))
    assert stylegan.preprocessing == tensorflow.preprocessing
