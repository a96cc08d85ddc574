"""The semi-supervised GAN: losses written naively, techniques, labels, and errors of other code."""

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model
from reference_models.base import tools_for
from reference_models.batches import Data
from reference_models.blocks.labels import balanced
from reference_models.blocks.virtual_norm import EPSILON, VirtualBatchNorm
from reference_models.blocks.weight_norm import WeightNorm, fitted
from reference_models.engine.summary import count_parameters
from reference_models.models.ssgan import SSGAN, HistoricalAverage, MinibatchDiscrimination, PartlyLabelled
from reference_models.models.ssgan_recipes import Settings
from reference_models.recipes import Linear, Recipe, rescaled, value_at

CLASSES, SIDE, BATCH = 3, 8, 6


def recipe_of(*, network: str = "plain", **settings: Any) -> Recipe:
    """The quick recipe, smaller and without noise."""
    recipe = VARIANTS["ssgan"].recipe("quick")
    chosen = {"width": 12, "generator_width": 8, "pixel_noise": 0.0, "unit_noise": 0.0, "labelled": 6, **settings}
    return replace(recipe, batch=BATCH, network=network, settings=replace(cast(Settings, recipe.settings), **chosen))


def built(*, network: str = "plain", side: int = SIDE, **settings: Any) -> SSGAN:
    """A small model of three classes."""
    torch.manual_seed(0)
    return cast(SSGAN, build_model(recipe_of(network=network, **settings), Data(1, side, CLASSES)))


def batch_of(side: int = SIDE, seed: int = 1) -> PartlyLabelled:
    """Random images."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(2, BATCH, 1, side, side, generator=rng)
    return PartlyLabelled(images[0], torch.arange(BATCH) % CLASSES, images[1])


def rng() -> torch.Generator:
    """The randomness of losses."""
    return torch.Generator().manual_seed(0)


def fakes_of(model: SSGAN, count: int = BATCH) -> Tensor:
    """The fakes that a loss makes with `rng`."""
    return model.generate(model.latent(count, rng=rng()))


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_the_discriminators_loss_is_the_papers(smoothing: float) -> None:
    """It is -log p(y | x) - (s log D(x) + (1 - s) log(1 - D(x)) + log(1 - D(G(z)))) / 2, and fakes are not smoothed."""
    model, batch = built(smoothing=smoothing), batch_of()
    totals = model.classify(batch.unlabelled).exp().sum(1), model.classify(fakes_of(model)).exp().sum(1)
    real, fake = (total / (total + 1) for total in totals)
    classes = model.classify(batch.labelled).softmax(1)[torch.arange(BATCH), batch.labels].log()
    kept = 1 - smoothing
    game = kept * real.log() + (1 - kept) * (1 - real).log() + (1 - fake).log()
    loss, logs = model.loss_discriminator(batch, rng())
    assert loss.item() == pytest.approx(-(classes + game / 2).mean().item(), rel=1e-5)
    assert torch.as_tensor(logs["logit/real"]).sigmoid().tolist() == pytest.approx(real.tolist(), rel=1e-5)


@pytest.mark.parametrize("kind", ["squares", "absolutes"])
def test_the_generator_matches_means_of_batches_not_samples(kind: str) -> None:
    """The loss compares the mean features of a batch, so the order of its images does not matter."""
    model, batch = built(generator_loss=f"matching-{kind}"), batch_of()
    features = [model.discriminator.features(images).mean(0) for images in (fakes_of(model), batch.unlabelled)]
    apart = (features[0] - features[1]).detach().numpy()
    expected = np.mean(apart**2) if kind == "squares" else np.mean(np.abs(apart))
    model = built(generator_loss=f"matching-{kind}")
    loss, _ = model.loss_generator(batch, rng())
    assert loss.item() == pytest.approx(float(expected), rel=1e-4)
    turned = replace(batch, unlabelled=batch.unlabelled.flip(0))
    again, _ = built(generator_loss=f"matching-{kind}").loss_generator(turned, rng())
    assert again.item() == pytest.approx(loss.item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["matching-squares", "matching-absolutes", "non-saturating"])
def test_the_generators_loss_is_bounded_below(kind: str) -> None:
    """No choice of its loss is negative, whatever the discriminator says; maximised softplus(lse) has no bound."""
    model = built(generator_loss=kind)
    for scale in (1.0, 1e4):
        cast(WeightNorm, model.discriminator.last[1]).scale.data.fill_(scale)  # type: ignore[index]
        loss, _ = model.loss_generator(batch_of(), rng())
        assert loss.item() >= 0


def test_labels_alone_are_the_cross_entropy() -> None:
    """The twin learns by the cross-entropy of the labelled images, and its generator is at rest."""
    model, batch = built(learns_from="labels"), batch_of()
    loss, logs = model.loss_discriminator(batch, rng())
    assert loss.item() == pytest.approx(F.cross_entropy(model.classify(batch.labelled), batch.labels).item(), rel=1e-6)
    assert set(logs) == {"loss/class"}
    assert [player.turns(0) for player in model.players()] == [1, 0]


def test_both_twins_begin_with_the_same_weights() -> None:
    """What is learned from changes nothing in the initial model, nor in the first batch that it is fitted to."""
    states = []
    for source in ("everything", "labels"):
        model = built(learns_from=source)
        model.step(0, tools_for(model, draw=batch_of, rng=rng()))
        states.append({name: scale for name, scale in model.named_buffers() if name.endswith("scale")})
    assert states[0]
    assert all(torch.equal(scale, states[1][name]) for name, scale in states[0].items())


def test_before_the_first_step_outputs_are_normal_on_a_first_batch() -> None:
    """Each unit has mean 0 and deviation 1 on the batch that weight normalisation is fitted to; the lengths follow."""
    torch.manual_seed(0)
    network = nn.Sequential(
        WeightNorm(nn.Linear(5, 4, bias=False)), WeightNorm(nn.Linear(4, 3, bias=False), deviation=0.1)
    )
    x = torch.randn(50, 5) * 3 + 2
    before = network(x)
    with fitted(network):
        after = network(x)
    assert not torch.allclose(before, after)
    for outputs, deviation in ((network[0](x), 1.0), (after, 0.1), (network(x), 0.1)):
        assert torch.allclose(outputs.mean(0), torch.zeros(outputs.shape[1]), atol=1e-5)
        assert torch.allclose(outputs.std(0, correction=0), torch.full((outputs.shape[1],), deviation), rtol=1e-4)


@pytest.mark.parametrize("kernels", [0, 4])
def test_the_first_step_fits_the_discriminator_to_a_batch_before_it_moves(kernels: int) -> None:
    """Every layer has normal outputs on the first batch, and every kernel tells its images apart."""
    model, batch = built(kernels=kernels), batch_of()
    resting = replace(tools_for(model, draw=lambda: batch, rng=rng()), players=())
    model.step(0, resting)
    outputs: dict[str, Tensor] = {}
    layers = {name: one for name, one in model.discriminator.named_modules() if isinstance(one, WeightNorm)}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _module, _given, output, name=name: outputs.update({name: output}))
    model.classify(batch.labelled)
    assert len(outputs) == 3
    for name, found in outputs.items():
        assert torch.allclose(found.mean(0), torch.zeros(found.shape[1]), atol=1e-4), name
        # A unit that is constant on the batch keeps its scale.
        varying = found.std(0, correction=0)
        varying = varying[varying > 1e-3]
        assert torch.allclose(varying, torch.full_like(varying, layers[name].deviation), rtol=1e-3), name
    if kernels:
        closeness = cast(MinibatchDiscrimination, model.discriminator.closeness)
        distances = closeness.distances(model.discriminator.features(batch.labelled))
        assert distances.amin(1).mean(0).tolist() == pytest.approx([2.0] * kernels, rel=1e-4)
    # Only before the first: a later step fits nothing.
    before = {name: one.scale.clone() for name, one in layers.items()}
    model.step(1, replace(resting, draw=lambda: batch_of(seed=9)))
    assert all(torch.equal(one.scale, before[name]) for name, one in layers.items())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(5, 4, bias=False),
        nn.Conv2d(2, 4, 3, bias=False),
        nn.ConvTranspose2d(2, 4, 3, stride=2, bias=False),
    ],
    ids=["linear", "convolution", "transposed"],
)
def test_weight_normalisation_is_the_layer_with_normalised_weights(layer: Any) -> None:
    """Weights to each output have the length of its scale, and the bias is added."""
    norm = WeightNorm(layer, learns=True)
    norm.scale.data.uniform_(0.5, 2)
    norm.bias.data.normal_()
    x = torch.randn(3, 5) if isinstance(layer, nn.Linear) else torch.randn(3, 2, 6, 6)
    weight, axis = layer.weight.detach(), 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    units = [one / one.norm() * scale for one, scale in zip(weight.unbind(axis), norm.scale, strict=True)]
    found = norm(x)
    layer.weight.data.copy_(torch.stack(units, axis))
    expected = layer(x) + norm.bias.view(-1, *[1] * (found.ndim - 2))
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_unit_that_is_constant_on_the_first_batch_keeps_its_scale() -> None:
    """No division by a deviation of 0."""
    norm = WeightNorm(nn.Linear(2, 2, bias=False))
    with fitted(norm):
        norm(torch.zeros(4, 2))
    assert torch.equal(norm.scale, torch.ones(2))


def test_kernels_of_minibatch_discrimination_see_distances_at_once() -> None:
    """After the first batch, exp(-distance) is neither 0 nor 1: with kernels from N(0, 1), as elsewhere, it is 0."""
    torch.manual_seed(0)
    features = torch.randn(20, 250)
    naive = torch.randn(250, 10, 5)
    projected = torch.einsum("nf,fks->nks", features, naive)
    apart = (projected[:, None] - projected[None]).abs().sum(3) + 1e6 * torch.eye(20)[:, :, None]
    assert (-apart).exp().sum(1).median() < 1e-12
    layer = MinibatchDiscrimination(features=250, kernels=10, size=5)
    layer.fit(features)
    closeness = layer(features) - layer.bias
    assert closeness.mean().item() > 0.1
    assert torch.allclose(layer(features).mean(0), torch.zeros(10), atol=1e-5)
    assert layer.distances(features).amin(1).mean(0).tolist() == pytest.approx([2.0] * 10, rel=1e-4)


def test_minibatch_discrimination_is_the_sum_over_other_rows() -> None:
    """A naive loop over pairs gives the same."""
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(features=4, kernels=3, size=2)
    features = torch.randn(5, 4)
    unit = (layer.direction / layer.direction.norm(dim=0)).detach()
    for row in range(5):
        for kernel in range(3):
            expected = -1.0
            for other in set(range(5)) - {row}:
                expected += math.exp(-float(((features[row] - features[other]) @ unit[:, kernel]).abs().sum()))
            assert layer(features)[row, kernel].item() == pytest.approx(expected, rel=1e-4)


def test_a_class_does_not_depend_on_the_batch_outside_training() -> None:
    """With minibatch discrimination, logits of one image and of many are the same in evaluation mode."""
    model = built(kernels=4)
    model.step(0, tools_for(model, draw=batch_of, rng=rng()))
    closeness = cast(MinibatchDiscrimination, model.discriminator.closeness)
    assert closeness.usual.abs().sum() > 0
    model.eval()
    images = batch_of().unlabelled
    assert torch.allclose(model.classify(images)[:1], model.classify(images[:1]), atol=1e-6)


def test_virtual_batch_normalisation_uses_the_reference_and_the_row_itself() -> None:
    """A row's statistics are those of the reference batch with this row added; the reference has its own."""
    torch.manual_seed(0)
    layer = VirtualBatchNorm(3, reference=4)
    for x in (torch.randn(7, 3), torch.randn(7, 3, 2, 2)):
        found = layer(x)
        for row in range(7):
            over = x[:4] if row < 4 else torch.cat([x[:4], x[row : row + 1]])
            columns = over.transpose(0, 1).flatten(1).double()
            shape = (3, *[1] * (x.ndim - 2))
            deviation = (columns.var(1, correction=0) + EPSILON).sqrt().view(shape)
            expected = (x[row].double() - columns.mean(1).view(shape)) / deviation
            assert torch.allclose(found[row].double(), expected, atol=1e-4)


def test_with_virtual_normalisation_an_image_is_its_own_in_training_too() -> None:
    """Images of one latent and of many are equal, and the reference batch is saved with the weights."""
    model = built(norm="virtual")
    z = model.latent(5, rng=rng())
    assert torch.allclose(model.generate(z)[:1], model.generate(z[:1]), atol=1e-5)
    assert "generator.reference" in model.state_dict()


def test_the_history_is_a_mean_of_all_values() -> None:
    """The penalty is the squared distance from the mean of all earlier values; 0 before there are any."""
    parameter = nn.Parameter(torch.tensor([1.0, 2.0]))
    history = HistoricalAverage([parameter])
    assert history.penalty([parameter]).item() == 0
    for value in (3.0, 5.0):
        parameter.data.fill_(value)
        history.add([parameter])
    parameter.data.fill_(7.0)
    assert history.penalty([parameter]).item() == pytest.approx(2 * (7.0 - 4.0) ** 2)


def test_historical_averaging_is_part_of_the_players_one_loss() -> None:
    """Its penalty is added to the loss that the optimizer of the player minimises; other code steps it on its own."""
    pulled, plain = built(history=0.5), built()
    pulled.step(0, tools_for(pulled, draw=batch_of, rng=rng()))
    for name in ("discriminator", "generator"):
        network = pulled.get_submodule(name)
        for parameter in network.parameters():
            parameter.data.add_(0.1)
        penalty = cast(HistoricalAverage, pulled.histories[name]).penalty(tuple(network.parameters()))
        assert penalty.item() > 0.1
        plain.load_state_dict({key: value for key, value in pulled.state_dict().items() if "histories" not in key})
        with_history, without = (getattr(model, f"loss_{name}")(batch_of(), rng())[0] for model in (pulled, plain))
        assert with_history.item() == pytest.approx(without.item() + 0.5 * penalty.item(), rel=1e-5)


@pytest.mark.parametrize(("count", "each"), [(6, [2, 2, 2]), (7, [3, 2, 2]), (3, [1, 1, 1])])
def test_labels_are_drawn_equally_from_each_class_by_the_seed(count: int, each: list[int]) -> None:
    """Classes differ by one at most; a seed gives the same rows, and another one others."""
    labels = torch.arange(60) % CLASSES
    rows = balanced(labels, count, seed=3)
    assert len(set(rows.tolist())) == count
    assert sorted(torch.bincount(labels[rows]).tolist(), reverse=True) == each
    assert torch.equal(rows, balanced(labels, count, seed=3))
    assert not torch.equal(rows, balanced(labels, count, seed=4))


def test_too_few_labels_are_refused() -> None:
    """Fewer labels than classes, more than a class has images, and images without labels are errors."""
    labels = torch.tensor([0, 0, 0, 0, 1, 2])
    with pytest.raises(UsageError, match="labelled is 2, and there are 3 classes; choose 3 or more"):
        balanced(labels, 2, seed=0)
    with pytest.raises(UsageError, match="needs 2 images of class 1 \\(counted from 0\\), but there are 1"):
        balanced(labels, 6, seed=0)
    with pytest.raises(UsageError, match="ssgan learns from labels, but these images have none"):
        SSGAN.parts({"images": torch.zeros(6, 1, 8, 8, dtype=torch.uint8)}, recipe_of(), 0)
    with pytest.raises(UsageError, match="ssgan learns from labels, but these images have none"):
        build_model(recipe_of(), Data(1, 8))
    with pytest.raises(UsageError, match="smoothing of ssgan is 1"):
        built(smoothing=1.0)


def test_few_labelled_images_fill_a_batch_and_stay_with_their_labels() -> None:
    """They are repeated as often as a batch needs; every image is there without its label."""
    pixels = torch.arange(30, dtype=torch.uint8).view(30, 1, 1, 1).expand(30, 1, 8, 8)
    labels = torch.arange(30) % CLASSES
    tensors, recipe = {"images": pixels, "labels": labels}, replace(recipe_of(labelled=4), batch=10)
    labelled, unlabelled = SSGAN.parts(tensors, recipe, 3)
    assert (len(labelled), len(unlabelled)) == (12, 30)
    assert torch.equal(labelled.tensors["labelled"][:, 0, 0, 0].long() % CLASSES, labelled.tensors["labels"])
    assert set(labelled.tensors["labelled"][:, 0, 0, 0].tolist()) == set(balanced(labels, 4, seed=3).tolist())


def test_noise_is_there_in_training_alone() -> None:
    """Logits of two passes differ in training mode, and so does the generator's loss; outside of it they are equal."""
    model, images = built(pixel_noise=0.3, unit_noise=0.5), batch_of().unlabelled
    losses = [model.loss_generator(batch_of(), rng())[0].item() for _ in range(2)]
    assert losses[0] != losses[1]
    assert not torch.equal(model.classify(images), model.classify(images))
    assert not torch.equal(model.discriminator.features(images), model.discriminator.features(images))
    model.eval()
    assert torch.equal(model.classify(images), model.classify(images))


def test_the_networks_of_cifar_have_the_sizes_of_the_authors_layers() -> None:
    """Weights, biases and the two scales that learn, counted by hand."""
    recipe = VARIANTS["ssgan"].recipe("cifar10")
    convolutions = (27 * 96 + 96) + 2 * (9 * 96 * 96 + 96) + (9 * 96 * 192 + 192) + 3 * (9 * 192 * 192 + 192)
    expected = {
        "discriminator": convolutions + 2 * (192 * 192 + 192) + (192 * 10 + 10 + 10),
        "generator": (100 * 8192 + 8192) + (25 * 512 * 256 + 256) + (25 * 256 * 128 + 128) + (25 * 128 * 3 + 3 + 3),
    }
    assert count_parameters(build_model(recipe, Data(3, 32, 10))) == expected


@pytest.mark.parametrize("settings", [{}, {"norm": "virtual"}, {"kernels": 4, "generator_loss": "non-saturating"}])
def test_the_networks_of_cifar_play(settings: dict[str, Any]) -> None:
    """Images are in [0, 1], and a step is finite, with every technique."""
    model = built(network="cifar", side=32, width=4, generator_width=4, history=0.1, **settings)
    logs = model.step(0, tools_for(model, draw=lambda: batch_of(32), rng=rng()))
    assert all(torch.as_tensor(value).isfinite().all() for value in logs.values())
    images = fakes_of(model)
    assert images.shape == (BATCH, 1, 32, 32)
    assert 0 <= images.min() <= images.max() <= 1
    with pytest.raises(UsageError, match="The network 'cifar' of ssgan makes images of"):
        built(network="cifar", side=8)


def test_the_rate_of_cifar_is_held_for_800_of_1200_epochs() -> None:
    """lr is 3e-4 min(3 - epoch / 400, 1), and a chosen rate keeps its shape."""
    recipe = VARIANTS["ssgan"].recipe("cifar10")
    lr = recipe.optimizers["generator"].lr
    for epoch in (0, 400, 799, 800, 900, 1000, 1199):
        assert value_at(lr, epoch * 500, recipe.steps) == pytest.approx(3e-4 * min(3 - epoch / 400, 1))
    assert rescaled(Linear(1.0, 0.5, after=0.2), 2.0) == Linear(2.0, 1.0, after=0.2)
