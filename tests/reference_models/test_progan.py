"""Progressive growing: fades that are exact at both ends, the schedule, the layers, and errors of public code."""

import math
from collections import Counter
from dataclasses import replace
from typing import cast

import pytest
import torch
from engine_helpers import assert_same_state, some_images
from torch import Tensor
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models import build_model
from reference_models.batches import Batch, Data, Part
from reference_models.blocks.losses import gradient_penalty
from reference_models.data.batches import BatchStream
from reference_models.engine.plan import make_plan
from reference_models.engine.training import Training
from reference_models.models import progan
from reference_models.models.progan import ProGAN
from reference_models.models.progan_recipes import CIFAR10, PAPER, QUICK, Settings
from reference_models.recipes import Recipe

SIDE, STEPS = 16, 20
SMALL = replace(QUICK, batch=4, steps=STEPS, settings=Settings(maps=64, widest=8, last=0.4))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(recipe: Recipe = SMALL, **settings: object) -> ProGAN:
    """A small model, the same every time; its biases are not 0, so that they count."""
    torch.manual_seed(0)
    recipe = replace(recipe, settings=replace(cast(Settings, recipe.settings), **settings))
    model = cast(ProGAN, build_model(recipe, Data(1, recipe.resolution)))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return model


def images(count: int = 4, side: int = SIDE) -> Tensor:
    return torch.rand(count, 1, side, side, generator=rng(1)) * 2 - 1


def training(**chosen: object) -> Training:
    """A training of the small model."""
    own = {"settings.maps": 64, "settings.widest": 8, "settings.last": 0.4}
    return Training(make_plan("progan", chosen={"batch": 4, "steps": STEPS, **own, **chosen}), some_images(size=SIDE))


@pytest.mark.parametrize("level", [1, 2])
@torch.no_grad()
def test_a_fade_begins_with_the_old_networks(level: int) -> None:
    """With a share of 0 the generator gives the enlarged old image, and the discriminator the old output, exactly."""
    model, z, seen = built(), torch.randn(4, 32, generator=rng()), images(side=4 * 2**level)
    old = model.generator(z, level - 1, 1.0)
    assert torch.equal(model.generator(z, level, 0.0), old.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(
        model.discriminator(seen, level, 0.0), model.discriminator(F.avg_pool2d(seen, 2), level - 1, 1.0)
    )


@pytest.mark.parametrize("level", [1, 2])
@torch.no_grad()
def test_a_fade_ends_with_the_new_networks_alone(level: int) -> None:
    """With a share of 1 the layers to and from images of the level below do not matter; just before it, hardly."""
    model, z, seen = built(), torch.randn(4, 32, generator=rng()), images(side=4 * 2**level)
    made, judged = model.generator(z, level, 1.0), model.discriminator(seen, level, 1.0)
    nearly = 1 - 1e-6
    assert torch.allclose(model.generator(z, level, nearly), made, atol=1e-4)
    assert torch.allclose(model.discriminator(seen, level, nearly), judged, atol=1e-4)
    for network in (model.generator.to_images, model.discriminator.from_images):
        for parameter in network[level - 1].parameters():
            parameter.fill_(9.0)
    assert torch.equal(model.generator(z, level, 1.0), made)
    assert torch.equal(model.discriminator(seen, level, 1.0), judged)
    assert not torch.allclose(model.generator(z, level, nearly), made, atol=1e-6)


@torch.no_grad()
def test_within_a_fade_images_and_features_are_mixed_by_the_share() -> None:
    """A share of 0.25 is a quarter of the new image and three quarters of the old."""
    model, z = built(), torch.randn(4, 32, generator=rng())
    old, new = (model.generator(z, 2, alpha) for alpha in (0.0, 1.0))
    assert torch.allclose(model.generator(z, 2, 0.25), 0.75 * old + 0.25 * new, atol=1e-6)
    last, seen = model.discriminator.last, images()
    model.discriminator.last = torch.nn.Identity()  # type: ignore[assignment]
    model.discriminator.group = 0
    model.discriminator.blocks[0] = torch.nn.Identity()
    before, after = (model.discriminator(seen, 2, alpha) for alpha in (0.0, 1.0))
    assert torch.allclose(model.discriminator(seen, 2, 0.25), 0.75 * before + 0.25 * after, atol=1e-6)
    assert not torch.allclose(before, after)
    assert last is not model.discriminator.last


def test_reals_are_averaged_to_the_level_and_faded_alike() -> None:
    """Reals of a fade are mixed with their own enlarged averages; with a share of 0 they are those of the old level."""
    model, given = built(), images()
    means = given.view(4, 1, 8, 2, 8, 2).mean((3, 5))
    rough = means.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(model.seen(given, 2, 1.0), given)
    assert torch.allclose(model.seen(given, 1, 1.0), means, atol=1e-6)
    assert torch.allclose(model.seen(given, 2, 0.25), 0.25 * given + 0.75 * rough, atol=1e-6)
    old = model.seen(given, 1, 1.0).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(model.seen(given, 2, 0.0), old, atol=1e-6)


@pytest.mark.parametrize("recipe", [SMALL, QUICK, CIFAR10], ids=["small", "quick", "cifar10"])
def test_the_share_never_exceeds_1_and_growth_never_goes_back(recipe: Recipe) -> None:
    """At every step the share is in (0, 1] and the level within the networks (a public port reaches 1.99)."""
    model = built(recipe)
    steps = range(0, recipe.steps, max(1, recipe.steps // 5000))
    grown = [model.grown(step) for step in steps]
    assert grown == sorted(grown)
    assert (grown[0], grown[-1]) == (0.0, float(model.top))
    assert model.grown(recipe.steps + 1000) == model.top
    for step in steps:
        model.begin(step)
        level, alpha = model.state_of_growth()
        assert 0 <= level <= model.top
        assert 0 < alpha <= 1
        assert level == 0 or level - 1 + alpha == pytest.approx(model.grown(step), abs=1e-6)


def test_a_step_belongs_to_a_level_or_to_a_fade() -> None:
    """Messages name it; a fade begins where the level below ends, and a model that does not grow has one phase."""
    model = built()
    found = list(dict.fromkeys(model.phase(step) for step in range(STEPS)))
    assert found == ["4 x 4", "fade to 8 x 8", "8 x 8", "fade to 16 x 16", "16 x 16"]
    assert {built(start=SIDE).phase(step) for step in range(STEPS)} == {""}


def images_of_phases(recipe: Recipe) -> dict[tuple[int, bool], int]:
    """Images by level, and whether it is fading in."""
    with torch.device("meta"):
        model = cast(ProGAN, build_model(recipe, Data(recipe.channels, recipe.resolution)))
    found: Counter[tuple[int, bool]] = Counter()
    begins = [*model._begins]
    for phase in range(len(begins) - 1):
        steps, first = begins[phase + 1] - begins[phase], begins[phase]
        found[math.ceil(model.grown(first + steps // 2)), phase % 2 == 1] += steps * (
            model.rows(first + steps // 2) or recipe.batch
        )
    return dict(found)


def test_the_papers_phases_have_the_authors_numbers_of_images() -> None:
    """600,000 images of each phase of CelebA-HQ, then 2.4 million; 400,000 of CIFAR-10, then 17.6 million."""
    found = images_of_phases(PAPER)
    assert found.pop((8, False)) == pytest.approx(2_400_000, abs=128)
    assert all(count == pytest.approx(600_000, abs=128) for count in found.values())
    assert len(found) == 16
    found = images_of_phases(CIFAR10)
    assert found.pop((3, False)) == pytest.approx(17_600_000, abs=128)
    assert all(count == pytest.approx(400_000, abs=128) for count in found.values())


def test_the_papers_batches_are_the_authors() -> None:
    """128 images of 4, 8 and 16 pixels, then half as many for each doubling, to 4 of 512 and 1024."""
    with torch.device("meta"):
        model = cast(ProGAN, build_model(PAPER, Data(3, 1024)))
    wanted = [128, 128, 128, 64, 32, 16, 8, 4, 4]
    assert [model.rows(model._begins[2 * level]) for level in range(9)] == wanted
    # A fade has the batch of the level that comes in.
    assert [model.rows(model._begins[2 * level - 1] + 1) for level in range(1, 9)] == wanted[1:]


def test_a_training_draws_as_many_images_as_its_level_takes() -> None:
    """Batches shrink with the level, the count of images seen is that of images drawn, and resuming keeps both."""
    chosen = {"batch": 16, "settings.halved_from": 4}
    whole, counts = training(**chosen), []
    for _ in range(STEPS):
        before = whole.seen
        whole.advance()
        counts.append(whole.seen - before)
    assert sorted(set(counts), reverse=True) == [16, 8, 4]
    model = cast(ProGAN, whole.model)
    assert counts == [[16, 8, 4][math.ceil(model.grown(step))] for step in range(STEPS)]
    assert whole.seen == sum(counts)
    stopped = training(**chosen)
    for _ in range(7):
        stopped.advance()
    resumed = training(**chosen)
    resumed.restore(stopped.state())
    for _ in range(7, STEPS):
        resumed.advance()
    assert_same_state(resumed.state(), whole.state())


@pytest.mark.parametrize("epochs", [1.0, 2.5, 30.0])
def test_epochs_are_counted_with_the_batches_of_every_level(epochs: float) -> None:
    """A run of the steps of some epochs draws that many images, to within two of its largest batches."""
    chosen = {"batch": 16, "settings.halved_from": 4, "steps": 1000}
    steps = training(**chosen).steps_of(epochs)
    model = cast(ProGAN, training(**{**chosen, "steps": steps}).model)
    drawn = sum(model.rows(step) or 16 for step in range(steps))
    assert abs(drawn - epochs * 40) <= 2 * 16


def test_a_stream_of_changing_batches_draws_each_image_once_per_epoch() -> None:
    """Batches of 4, 1 and 3 rows go on where the last one ended."""
    stream = BatchStream([Part({"images": torch.arange(8)}, 4)], Batch, seed=0, device="cpu", to="[0,1]", flips=False)
    drawn: list[int] = []
    for rows in (None, 1, 3, 4, 3, 1):
        stream.rows = rows
        found = cast(Batch, stream()).images.tolist()
        assert len(found) == (rows or 4)
        drawn += found
    assert sorted(drawn[:8]) == sorted(drawn[8:]) == list(range(8))
    assert stream.seen == [16]


def test_optimizers_are_reset_where_a_fade_begins_and_where_it_ends() -> None:
    """Adam counts its steps from each change of a level that is used; so the floor or the ceiling of lod changes."""
    run = training()
    model, counts = cast(ProGAN, run.model), []
    for _ in range(STEPS):
        run.advance()
        counts.append(max(int(one["step"]) for one in run.tools.optimizers["generator"].state.values()))
    resets = [step for step in range(1, STEPS) if counts[step] <= counts[step - 1]]
    assert resets == [step for step in range(STEPS) if model.resets(step)]
    used = [(math.floor(model.grown(step)), math.ceil(model.grown(step))) for step in range(STEPS)]
    assert resets == [step for step in range(1, STEPS) if used[step] != used[step - 1]]
    assert len(resets) == 4


@torch.no_grad()
def test_images_have_full_size_and_range_at_every_step() -> None:
    """Smaller images are enlarged, each pixel to a square; pixels beyond the range are clipped."""
    model, z = built(), torch.randn(5, 32, generator=rng())
    for step in range(STEPS):
        model.begin(step)
        level, alpha = model.state_of_growth()
        made = model.generate(z)
        assert made.shape == (5, 1, SIDE, SIDE)
        assert made.abs().max() <= 1
        block = SIDE // (4 * 2**level)
        assert torch.equal(made, made[:, :, ::block, ::block].repeat_interleave(block, 2).repeat_interleave(block, 3))
        assert torch.equal(made[:, :, ::block, ::block], model.generator(z, level, alpha).clamp(-1, 1))


def test_the_deviation_is_that_of_the_population_in_strided_groups() -> None:
    """Groups are images i, i + N/4, ...: not neighbours, and no correction by N - 1, as in a public port."""
    x = torch.randn(8, 3, 4, 4, generator=rng())
    found = progan.with_deviation(x, 4)
    assert torch.equal(found[:, :3], x)
    for number in range(8):
        group = x[number % 2 :: 2]
        variances = (group - group.mean(0)).square().mean(0)
        assert torch.allclose(found[number, 3], (variances + 1e-8).sqrt().mean().expand(4, 4), atol=1e-6)
    consecutive = x.view(2, 4, 3, 4, 4).std(1).mean((1, 2, 3))
    assert not torch.allclose(found[::4, 3, 0, 0], consecutive, atol=1e-3)
    same = x[:1].expand(8, -1, -1, -1)
    assert progan.with_deviation(same, 4)[:, 3].max() == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize(("count", "size"), [(8, 4), (6, 3), (3, 3), (5, 1), (2, 2), (12, 4)])
def test_groups_divide_the_batch(count: int, size: int) -> None:
    """Where a batch is no multiple of 4, groups are the largest that divide it; a group of one has no deviation."""
    x = torch.randn(count, 2, 4, 4, generator=rng())
    expected = (x.view(size, -1, 2, 4, 4).var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).repeat(size)
    assert torch.allclose(progan.with_deviation(x, 4)[:, 2, 0, 0], expected)


def test_weights_are_scaled_at_run_time_and_biases_are_not() -> None:
    """conv(x) = scale * (x conv weight) + bias, and a linear layer alike; a public port scales the bias too."""
    torch.manual_seed(0)
    conv, linear = progan.EqualisedConv(6, 5, 3), progan.EqualisedLinear(6, 5)
    assert conv.weight.std().item() == pytest.approx(1, rel=0.1)
    assert conv.bias is not None
    assert not conv.bias.any()
    assert not linear.bias.any()
    torch.nn.init.normal_(conv.bias)
    torch.nn.init.normal_(linear.bias)
    x = torch.randn(2, 6, 4, 4)
    expected = F.conv2d(x, conv.weight, padding=1) * math.sqrt(2 / 54) + conv.bias[:, None, None]
    assert torch.allclose(conv(x), expected, atol=1e-5)
    rows = torch.randn(2, 6)
    assert torch.allclose(linear(rows), rows @ linear.weight.T * math.sqrt(2 / 6) + linear.bias, atol=1e-5)


def test_gains_are_the_authors() -> None:
    """1 to images and in the last layer, sqrt(2) / 4 from latents, sqrt(2) elsewhere; a public port has sqrt(2)."""
    model = built()
    found = {name: module for name, module in model.named_modules() if hasattr(module, "scale")}
    assert len(found) == 3 + 6 + 3 + 5 + 2
    for name, module in found.items():
        inputs = module.weight[0].numel()
        gain = 1.0 if "to_images" in name or name == "discriminator.last.5" else math.sqrt(2)
        gain = math.sqrt(2) / 4 if name == "generator.blocks.0.0.linear" else gain
        assert module.scale == pytest.approx(gain / math.sqrt(inputs)), name


def test_features_of_a_pixel_and_latents_have_mean_square_1() -> None:
    """The generator normalises both, so that the length of a latent does not matter."""
    x = torch.randn(2, 8, 4, 4, generator=rng()) * 7
    assert torch.allclose(progan.pixel_norm(x).square().mean(1), torch.ones(2, 4, 4), atol=1e-5)
    model, z = built(), torch.randn(3, 32, generator=rng())
    with torch.no_grad():
        assert torch.allclose(model.generator(z, 2, 1.0), model.generator(5 * z, 2, 1.0), atol=1e-4)


@pytest.mark.parametrize("step", [0, 4, 19])
def test_the_loss_is_the_authors_formula(step: int) -> None:
    """f(G(z)) - f(x) + 10 (slope - 1)^2 + 0.001 f(x)^2: the whole drift, and on reals only (mmagic: half, on both)."""
    model = built()
    model.begin(step)
    level, alpha = model.state_of_growth()
    loss, _ = model.loss_discriminator(Batch(images()), rng(5))
    same = rng(5)
    real = model.seen(images(), level, alpha)
    fake = model.generator(torch.randn(4, 32, generator=same), level, alpha)
    share = torch.rand(4, 1, 1, 1, generator=same)
    at = (fake + share * (real - fake)).detach().requires_grad_()
    of_real, of_fake, mixed = (model.discriminator(one, level, alpha) for one in (real, fake, at))
    (gradient,) = torch.autograd.grad(mixed.sum(), at)
    penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    expected = of_fake.mean() - of_real.mean() + 10 * penalty + 0.001 * of_real.square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_another_slope_is_asked_for_with_a_relative_penalty() -> None:
    """The penalty is (slope / wanted - 1)^2, with 750 for CIFAR-10: 0.25 for a slope of 3 where 2 is wanted."""
    found = gradient_penalty(lambda x: 3 * x[:, 0, 0, 0], images(), -images(), rng(), wanted=2.0)
    assert found.item() == pytest.approx(0.25)
    assert cast(Settings, CIFAR10.settings).slope == 750


def test_the_share_of_the_penalty_is_not_that_of_the_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    """All passes of a loss have the level and share of the step, and the loss changes neither, as SB-GAN's does."""
    model, passes = built(), []
    model.begin(5)
    before = model.growth.clone()
    forward = type(model.discriminator).forward

    def watched(network: object, given: Tensor, level: int, alpha: float) -> Tensor:
        passes.append((level, alpha))
        return forward(network, given, level, alpha)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model.discriminator), "forward", watched)
    model.loss_discriminator(Batch(images()), rng())
    model.loss_generator(Batch(images()), rng())
    assert len(passes) == 4
    assert set(passes) == {model.state_of_growth()}
    assert 0 < passes[0][1] < 1
    assert torch.equal(model.growth, before)


def test_the_ablations_of_the_paper_are_settings() -> None:
    """A model whose first images have full size never grows; one without groups has no map of deviations."""
    model = built(start=SIDE)
    assert {model.grown(step) for step in range(STEPS)} == {2.0}
    assert not any(model.resets(step) for step in range(STEPS))
    without = built(group=0)
    assert without.discriminator.last[0].in_channels == built().discriminator.last[0].in_channels - 1
    alone, together = without.discriminator(images()[:1], 2, 1.0), without.discriminator(images(), 2, 1.0)
    assert torch.allclose(alone, together[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": 6}, "start is 6; images of 16 pixels can grow from one of these: 4, 8, 16"),
        ({"start": 32}, "start is 32"),
        ({"last": 1.0}, "last is 1.0; .* below 1"),
        ({"maps": 4}, "maps is 4, .* at 16 pixels; choose 8 or more"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    """The message has the setting, and what is allowed."""
    with pytest.raises(UsageError, match=message):
        built(**settings)


@pytest.mark.parametrize("resolution", [4, 24, 2048])
def test_other_sizes_are_refused(resolution: int) -> None:
    """Images have 8 to 1024 pixels, a power of two."""
    with pytest.raises(UsageError, match=rf"8, .* or 1024 pixels, not of {resolution}"):
        build_model(SMALL, Data(1, resolution))
