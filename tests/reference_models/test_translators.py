"""pix2pix and CycleGAN: their losses against the formulas, their networks, the replay pool, and what they refuse."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model, model_class
from reference_models.base import Model, tools_for
from reference_models.batches import PairBatch
from reference_models.blocks.translation import PatchDiscriminator, ResidualTranslator, UNet, receptive_field
from reference_models.data.batches import BatchStream
from reference_models.models.cyclegan import CycleGAN, replayed
from reference_models.models.pix2pix import Pix2Pix
from reference_models.recipes import Recipe


def built(name: str, **settings: Any) -> Model:
    """A variant's quick model with other settings."""
    torch.manual_seed(0)
    recipe: Recipe = VARIANTS[name].recipe("quick")
    recipe = replace(recipe, settings=replace(cast(Any, recipe.settings), **settings))
    return build_model(recipe, model_class(recipe).data_for(recipe))


def batch_of(model: Model, rows: int = 4, seed: int = 0) -> PairBatch:
    """Random pairs in [-1, 1]."""
    rng, data = torch.Generator().manual_seed(seed), model.data
    assert data.input_channels is not None
    inputs = torch.rand(rows, data.input_channels, data.resolution, data.resolution, generator=rng)
    images = torch.rand(rows, data.channels, data.resolution, data.resolution, generator=rng)
    return PairBatch(inputs * 2 - 1, images * 2 - 1)


def generator(seed: int = 0) -> torch.Generator:
    """A seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("layers", "side"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286), (6, 574)])
def test_a_patch_has_the_size_that_the_authors_state(layers: int, side: int) -> None:
    """A logit's gradient reaches exactly a square of this side."""
    assert receptive_field(layers) == side
    if layers > 3:
        return
    network = PatchDiscriminator(1, width=2, layers=layers, norm="none")
    image = torch.zeros(1, 1, 256, 256, requires_grad=True)
    logits = network(image + torch.rand(1, 1, 256, 256, generator=generator()))
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    rows = image.grad[0, 0].abs().amax(1).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == side


def test_a_u_net_passes_details_around_its_bottleneck() -> None:
    """Every level on the way up, the outermost too, is given its mirror image and what the level below it made."""
    network = UNet(1, 1, levels=3, width=4, norm="none", drop=0.0)
    down, up, given = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor]()
    for block in network.down:
        block.register_forward_hook(lambda _module, _given, output: down.append(output))
    for block in network.up:
        block.register_forward_pre_hook(lambda _module, seen: given.append(seen[0]))
        block.register_forward_hook(lambda _module, _given, output: up.append(output))
    network(torch.rand(1, 1, 16, 16, generator=generator()), generator())
    # Inner widths are 16, 8 and 4.
    assert [tuple(one.shape[1:]) for one in given] == [(16, 2, 2), (16, 4, 4), (8, 8, 8)]
    assert torch.equal(given[0], down[2])
    assert torch.equal(given[1], torch.cat([down[1], up[0]], 1))
    assert torch.equal(given[2], torch.cat([down[0], up[1]], 1))


def test_the_u_net_has_the_layers_of_the_authors_code() -> None:
    """Leaky ReLU on the way down, ReLU on the way up; neither end nor the bottleneck is normalised.

    A public port leaves the activations on the way up out.
    """
    recipe = VARIANTS["pix2pix"].recipe("paper")
    with torch.device("meta"):
        network: Any = cast(Pix2Pix, build_model(recipe, Pix2Pix.data_for(recipe))).generator
    down, up = ([[type(one).__name__ for one in block] for block in way] for way in (network.down, network.up))
    between = ["LeakyReLU", "Conv2d", "BatchNorm2d"]
    assert down == [["Conv2d"], *[between] * 6, between[:2]]
    assert up == [*[["ReLU", "ConvTranspose2d", "BatchNorm2d"]] * 7, ["ReLU", "ConvTranspose2d", "Tanh"]]
    widths = [next(one.out_channels for one in block if hasattr(one, "out_channels")) for block in network.down]
    assert widths == [64, 128, 256, 512, 512, 512, 512, 512]
    made = [next(one.out_channels for one in block if hasattr(one, "out_channels")) for block in network.up]
    assert made == [512, 512, 512, 512, 256, 128, 64, 3]


@pytest.mark.parametrize(("levels", "dropped"), [(3, 2), (4, 3), (6, 3)])
def test_the_first_three_levels_on_the_way_up_drop_half(levels: int, dropped: int) -> None:
    """As in the paper and the authors' Torch code; their port begins at the second. The last level never drops."""
    network, shares = UNet(1, 1, levels=levels, width=8, norm="none"), list[float]()

    def watched(_module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        # The skip comes first, and then as many channels from the level below.
        shares.append(float((given[0].chunk(2, 1)[1] == 0).float().mean()))

    for block in list(network.up)[1:]:
        block.register_forward_pre_hook(watched)
    outputs = network(torch.rand(64, 1, 2**levels, 2**levels, generator=generator()), generator())
    # Of 2,048 numbers or more, one half is known to 0.06.
    assert [share > 0.4 for share in shares] == [number < dropped for number in range(levels - 1)]
    assert all(share < 0.6 for share in shares)
    assert bool((outputs != 0).all())


@pytest.mark.parametrize(("name", "norm"), [("pix2pix", "batch"), ("cyclegan", "instance")])
def test_weights_are_drawn_as_by_the_authors(name: str, norm: str) -> None:
    """Weights from N(0, 0.02), gains from N(1, 0.02), biases 0; a public port draws gains around 0."""
    model = built(name, norm=norm, width=32, critic_width=32, patch=2)
    drawn: dict[str, list[torch.Tensor]] = {"weights": [], "gains": [], "biases": []}
    for key, parameter in model.named_parameters():
        kind = "biases" if key.endswith("bias") else "weights" if parameter.ndim > 1 else "gains"
        drawn[kind].append(parameter.detach().flatten())
    weights, biases = torch.cat(drawn["weights"]), torch.cat(drawn["biases"])
    assert weights.mean().item() == pytest.approx(0, abs=1e-3)
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert not biases.any()
    assert bool(drawn["gains"]) == (norm == "batch")
    if drawn["gains"]:
        gains = torch.cat(drawn["gains"])
        assert gains.mean().item() == pytest.approx(1, abs=0.01)
        assert gains.std().item() == pytest.approx(0.02, rel=0.2)


def test_dropout_stays_on_and_is_drawn_from_the_given_source() -> None:
    """A trained U-Net gives other outputs for another seed, and the same for the same, also in evaluation mode."""
    network = UNet(1, 1, levels=5, width=4, norm="instance").eval()
    images = torch.rand(2, 1, 32, 32, generator=generator())
    first, again, other = (network(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_translation_does_not_depend_on_the_other_images() -> None:
    """An image alone and among others has one translation, though batches are normalised by their own statistics."""
    model = built("pix2pix", norm="batch").eval()
    assert isinstance(model, Pix2Pix)
    inputs = batch_of(model).inputs
    together = model.translate(inputs, rng=generator())
    alone = torch.cat([model.translate(inputs[row : row + 1], rng=generator()) for row in range(4)])
    assert torch.allclose(together, alone, atol=1e-6)
    assert not any("running" in name for name in model.state_dict())


def test_pix2pixs_losses_are_those_of_the_paper() -> None:
    """Half the cross-entropies for the discriminator; cross-entropy and 100 times L1 for the generator."""
    model = built("pix2pix", l1=100.0)
    assert isinstance(model, Pix2Pix)
    batch = batch_of(model)
    made = model.generator(batch.inputs, generator())
    real = model.discriminator(torch.cat([batch.inputs, batch.images], 1)).sigmoid()
    fake = model.discriminator(torch.cat([batch.inputs, made], 1)).sigmoid()
    critic = -(real.log().mean() + (1 - fake).log().mean()) / 2
    whole = -fake.log().mean() + 100 * (made - batch.images).abs().mean()
    assert torch.allclose(model.loss_discriminator(batch, generator())[0], critic, rtol=1e-5)
    assert torch.allclose(model.loss_generator(batch, generator())[0], whole, rtol=1e-5)


@pytest.mark.parametrize(("accumulate", "passes"), [(1, 1), (2, 3)])
def test_pix2pixs_players_share_the_outputs_of_a_step(accumulate: int, passes: int) -> None:
    """The generator is updated by the outputs that the discriminator saw, as in the authors' code, dropout included.

    Of a batch in parts these are the outputs of the last part, so that the memory of one part is enough.
    """
    model = built("pix2pix", dropout=0.5)
    assert isinstance(model, Pix2Pix)
    outputs: list[torch.Tensor] = []
    model.generator.register_forward_hook(lambda _module, _given, output: outputs.append(output))
    seen: list[torch.Tensor] = []
    model.discriminator.register_forward_hook(lambda _module, given, _output: seen.append(given[0][:, 1:].detach()))
    batch, before = batch_of(model), [one.detach().clone() for one in model.generator.parameters()]
    model.step(0, tools_for(model, draw=lambda: batch, rng=generator(), accumulate=accumulate))
    assert len(outputs) == passes
    # The discriminator sees reals and outputs in its update, and outputs in the generator's.
    assert torch.equal(seen[2 * accumulate - 1], seen[-1])
    assert not any(torch.equal(one, other) for one, other in zip(before, model.generator.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_without_a_discriminators_say_only_the_pixels_count() -> None:
    """The twin with the L1 loss alone minimises that, and its generator has no gradient of anything else."""
    model = built("pix2pix", adversarial=0.0, l1=10.0)
    assert isinstance(model, Pix2Pix)
    batch = batch_of(model)
    apart = (model.generator(batch.inputs, generator()) - batch.images).abs().mean()
    assert torch.allclose(model.loss_generator(batch, generator())[0], 10 * apart)


def test_cyclegans_losses_are_those_of_the_paper() -> None:
    """Least squares, cycles weighted by 10, and identities weighted by 5; discriminators are halved."""
    model = built("cyclegan", identity=0.5, cycle=10.0)
    assert isinstance(model, CycleGAN)
    batch = batch_of(model)
    images, inputs = model.forth(batch.inputs), model.back(batch.images)
    fooled = (model.of_images(images) - 1).square().mean() + (model.of_inputs(inputs) - 1).square().mean()
    cycle = (model.back(images) - batch.inputs).abs().mean() + (model.forth(inputs) - batch.images).abs().mean()
    same = (model.forth(batch.images) - batch.images).abs().mean() + (
        model.back(batch.inputs) - batch.inputs
    ).abs().mean()
    loss = model.loss_generators(batch, generator())[0]
    assert torch.allclose(loss, fooled + 10 * cycle + 5 * same, rtol=1e-5)
    critics = [
        ((of(real) - 1).square().mean() + of(fake.detach()).square().mean()) / 2
        for of, real, fake in ((model.of_images, batch.images, images), (model.of_inputs, batch.inputs, inputs))
    ]
    assert torch.allclose(model.loss_discriminators(batch, generator())[0], sum(critics, torch.zeros(())), rtol=1e-5)


def test_the_discriminators_see_the_translations_of_the_generators_step() -> None:
    """Within a step the generators move first, and these are from before their update, as in the authors' port."""
    model = built("cyclegan")
    assert isinstance(model, CycleGAN)
    batch = batch_of(model)
    before = model.forth(batch.inputs).detach()
    tools = tools_for(model, draw=lambda: batch, rng=generator())
    assert [player.name for player in tools.players] == ["generators", "discriminators"]
    model.step(0, tools)
    assert int(model.images_kept) == len(before)
    assert torch.allclose(model.images_pool[: len(before)], before, atol=1e-6)
    assert not torch.allclose(model.forth(batch.inputs), before)


def test_both_sets_are_drawn_apart() -> None:
    """Which image comes with which input changes from epoch to epoch, and the sets may have other sizes."""
    recipe = replace(VARIANTS["cyclegan"].recipe("quick"), batch=3)
    sets = {
        name: torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1)
        for name, count in (("inputs", 6), ("images", 9))
    }
    stream = BatchStream(
        CycleGAN.parts(sets, recipe, 0), PairBatch, seed=0, device="cpu", to="[0,1]", flips=False, name="both"
    )
    drawn = [cast(PairBatch, stream()) for _ in range(6)]
    inputs, images = (torch.cat([getattr(one, name) for one in drawn]).mul(255).round().flatten() for name in sets)
    assert all(sorted(inputs[first : first + 6].tolist()) == list(range(6)) for first in (0, 6, 12))
    assert all(sorted(images[first : first + 9].tolist()) == list(range(9)) for first in (0, 9))
    partners = {first: {int(other) for other in images[inputs == first]} for first in range(6)}
    assert max(map(len, partners.values())) > 1


def test_a_pool_is_filled_first_and_then_swaps_half_of_the_time() -> None:
    """While it fills, fakes pass through; then about half of them are earlier ones, whose places they take."""
    pool, kept, rng = torch.zeros(50, 1), torch.zeros((), dtype=torch.int64), generator()
    first = torch.arange(1.0, 51.0).view(50, 1)
    assert torch.equal(replayed(first, pool, kept, rng), first)
    assert int(kept) == 50
    assert torch.equal(pool, first)
    new = torch.arange(1000.0, 3000.0).view(2000, 1)
    shown = replayed(new, pool, kept, rng)
    earlier = int((shown != new).sum())
    # Binomial, 2,000 draws of one half: five standard deviations.
    assert abs(earlier - 1000) < 5 * (2000 * 0.25) ** 0.5
    everything = torch.cat([shown, pool]).flatten().sort().values
    assert torch.equal(everything, torch.cat([first, new]).flatten().sort().values), "no fake is lost or doubled"


def test_a_translator_of_any_size_keeps_the_size() -> None:
    """CycleGAN's generator is convolutional: 20 x 12 pixels in, 20 x 12 out."""
    network = ResidualTranslator(3, 3, width=4, blocks=1, norm="instance")
    assert network(torch.zeros(1, 3, 20, 12)).shape == (1, 3, 20, 12)
    assert CycleGAN.multiple == 4
    assert Pix2Pix.multiple is None


@pytest.mark.parametrize(
    ("name", "resolution", "text"),
    [("pix2pix", 24, "multiple of 16, not 24"), ("cyclegan", 18, "multiple of 4, not 18")],
)
def test_sides_that_cannot_be_halved_are_refused(name: str, resolution: int, text: str) -> None:
    """The message has the side and what it must be a multiple of."""
    recipe = replace(VARIANTS[name].recipe("quick"), resolution=resolution)
    with pytest.raises(UsageError, match=text):
        build_model(recipe, model_class(recipe).data_for(recipe))


def test_cyclegan_translates_between_images_of_one_size() -> None:
    """Inputs and images of different sizes are refused."""
    recipe = VARIANTS["cyclegan"].recipe("quick")
    data = replace(model_class(recipe).data_for(recipe), input_resolution=8)
    with pytest.raises(UsageError, match="have 8 and 16 pixels"):
        build_model(recipe, data)


def test_a_step_of_the_paper_networks_is_finite() -> None:
    """The quick recipe in the paper's normalisation makes a step with finite losses."""
    for name, settings in (("pix2pix", {"norm": "batch", "dropout": 0.5}), ("cyclegan", {"norm": "instance"})):
        model = built(name, **settings)
        tools = tools_for(model, draw=lambda model=model: batch_of(model), rng=generator())  # type: ignore[misc]
        logs = model.step(0, tools)
        assert all(bool(torch.as_tensor(value).isfinite().all()) for value in logs.values()), logs
