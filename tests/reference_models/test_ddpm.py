"""The diffusion model: its marginals, its samplers in closed form, its U-Net, its schedule and its average."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model
from reference_models.base import tools_for
from reference_models.batches import Batch, Data
from reference_models.data.images import images_of
from reference_models.engine.choices import choose
from reference_models.engine.monitors import SpreadMonitor
from reference_models.engine.plan import TrainingPlan, make_plan, plan_from
from reference_models.engine.training import Average, Training
from reference_models.models.ddpm import DDPM, Attention, Block, UNet, posterior_mean, sinusoids
from reference_models.models.ddpm_recipes import Settings
from reference_models.recipes import Adam, WarmedUp, nominal, plain, rates, rescaled, value_at

MEAN, DEVIATION = 0.1, 0.2  # of the Gaussian images whose best prediction is known
T = 1000


def model_of(data: Data | None = None, **settings: object) -> DDPM:
    """The quick recipe's model with some settings, in evaluation mode."""
    recipe = VARIANTS["ddpm"].recipe("quick")
    own = replace(cast(Settings, recipe.settings), **settings)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return cast(DDPM, build_model(replace(recipe, settings=own), data or Data(1, 8))).eval()


def paper_betas() -> np.ndarray:
    return np.array([1e-4 + (0.02 - 1e-4) * step / (T - 1) for step in range(T)])


class Predictor(nn.Module):
    """A function of noisy images and of the a_t of their steps, in place of the network."""

    def __init__(self, model: DDPM, predict: Callable[[Tensor, float], Tensor]) -> None:
        super().__init__()
        self.bars, self.predict = model.alpha_bars.double(), predict

    def forward(self, noisy: Tensor, steps: Tensor) -> Tensor:
        assert len(set(steps.tolist())) == 1
        return self.predict(noisy, float(self.bars[steps[0]]))


def best_prediction(noisy: Tensor, kept: float) -> Tensor:
    """The expected noise given x_t, for images of independent pixels N(MEAN, DEVIATION^2): x_t is normal, too."""
    return math.sqrt(1 - kept) * (noisy - math.sqrt(kept) * MEAN) / (kept * DEVIATION**2 + 1 - kept)


def gaussian(**settings: object) -> DDPM:
    """The paper's diffusion with the best prediction for Gaussian images."""
    defaults = {"diffusion_steps": T, "beta_start": 1e-4, "beta_end": 0.02, "spacing": "linear"}
    model = model_of(**{**defaults, **settings})
    model.network = Predictor(model, best_prediction)  # type: ignore[assignment]
    return model


def latents(count: int, size: int = 64, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_the_marginals_are_those_of_the_steps_one_by_one() -> None:
    """After step t, from 0, noise was added t + 1 times; its mean and variance follow from those before it."""
    model = gaussian()
    mean, variance = 1.0, 0.0
    for step, beta in enumerate(paper_betas()):
        mean, variance = mean * math.sqrt(1 - beta), variance * (1 - beta) + beta
        kept = float(model.alpha_bars[step])
        # The buffer is float32.
        assert math.sqrt(kept) == pytest.approx(mean, rel=1e-6)
        assert 1 - kept == pytest.approx(variance, rel=1e-5, abs=1e-7)
    assert float(model.alpha_bars[0]) == pytest.approx(1 - 1e-4)


def test_every_image_of_a_batch_has_the_noise_of_its_own_step() -> None:
    """Images of 0.5 and noise of 1 give the sum of the two roots."""
    model = gaussian()
    steps, shape = torch.tensor([0, 10, 999]), (3, 1, 8, 8)
    noisy = model.diffuse(torch.full(shape, 0.5), steps, torch.ones(shape))
    bars = np.cumprod(1 - paper_betas())[[0, 10, 999]]
    expected = 0.5 * np.sqrt(bars) + np.sqrt(1 - bars)
    assert noisy.flatten(1).mean(1).tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert noisy.flatten(1).std(1).tolist() == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("preset", VARIANTS["ddpm"].recipes)
def test_after_the_last_step_hardly_anything_is_left_of_the_image(preset: str) -> None:
    """x_T is drawn as normal noise, so a smaller T needs larger variances: the paper's 1e-4 to 0.02 at 200 keep 13%."""
    settings = cast(Settings, VARIANTS["ddpm"].recipe(preset).settings)
    betas = np.linspace(settings.beta_start, settings.beta_end, settings.diffusion_steps)
    assert np.prod(1 - betas) < 1e-4
    assert np.prod(1 - np.linspace(1e-4, 0.02, 200)) > 0.12


def test_the_loss_is_the_mean_squared_error_of_the_noise_at_a_random_step() -> None:
    """A network that predicts 0 has the mean square of the noise, 1; steps are uniform over all, 0 and the last too."""
    model = gaussian()
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, noisy: Tensor, steps: Tensor) -> Tensor:
            seen.append(steps)
            return torch.zeros_like(noisy)

    model.network = Watching()  # type: ignore[assignment]
    images = torch.zeros(20_000, 1, 8, 8)
    loss, _ = model.loss_generator(Batch(images), torch.Generator().manual_seed(0))
    # The mean of 1.28 million squares, each with variance 2.
    assert float(loss) == pytest.approx(1.0, abs=5 * math.sqrt(2 / images.numel()))
    assert (int(seen[0].min()), int(seen[0].max())) == (0, T - 1)
    assert float(seen[0].double().mean()) == pytest.approx((T - 1) / 2, abs=5 * T / math.sqrt(12 * len(images)))


def transported(z: Tensor) -> Tensor:
    """The image that the noiseless flow leads to, for Gaussian images: all x_t are an affine function of each other."""
    kept = float(np.cumprod(1 - paper_betas())[-1])
    return MEAN + DEVIATION * (z - math.sqrt(kept) * MEAN) / math.sqrt(kept * DEVIATION**2 + 1 - kept)


def test_ddim_maps_normal_noise_to_the_law_of_the_images() -> None:
    """For Gaussian images it solves the flow up to its step size: the map of each latent is known in closed form."""
    z = latents(200)
    images = gaussian(sampling_steps=T).generate(z).flatten(1)
    # 1000 steps of Euler's method; the error falls with the number of steps.
    errors = [
        float((gaussian(sampling_steps=count).generate(z).flatten(1) - transported(z)).abs().max())
        for count in (50, 200, T)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.02
    assert float(images.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(images.std()) == pytest.approx(DEVIATION, abs=0.01)


def with_the_true_noise(model: DDPM) -> tuple[Tensor, Tensor]:
    """Images, and what DDIM makes of them at the highest level if every prediction is the noise that was added."""
    image = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    model.network = Predictor(model, lambda noisy, kept: noise)  # type: ignore[assignment]
    noisy = model.diffuse(image, torch.full((3,), model.visited()[0]), noise)
    return image, model.generate(noisy.flatten(1))


@pytest.mark.parametrize("count", [2, 7, 50, T])
def test_ddim_with_the_true_noise_returns_the_image_whatever_the_number_of_steps(count: int) -> None:
    """Every step leads to the same image at a lower level."""
    image, found = with_the_true_noise(gaussian(sampling_steps=count))
    # Rounding of x_t is divided by sqrt(a_t), 0.006 at the last step.
    assert torch.allclose(found, image, atol=1e-3)


class OffByOne(DDPM):
    """The known bug: each step is given the a_t of the step before."""

    def levels(self, steps: Sequence[int]) -> list[tuple[int, float]]:
        """Of a neighbour."""
        return [(step, super(OffByOne, self).levels([max(0, step - 1)])[0][1]) for step in steps]


def test_a_sampler_that_takes_its_neighbours_level_does_not_return_the_image() -> None:
    """Off by one step of 1000, the image is a hundredth too dark or too bright."""
    model = gaussian(sampling_steps=T)
    model.__class__ = OffByOne
    image, found = with_the_true_noise(model)
    assert (found - image).abs().max() > 5e-3


def test_the_posterior_mean_is_bayes_rule() -> None:
    """Precisions add: of x_s given x_0, and of x_s given x_t; the last step leads to the image itself."""
    bars = np.cumprod(1 - paper_betas())
    image, noisy = torch.tensor([0.3, -0.8]), torch.tensor([1.1, 0.2])
    for step, before in ((1, 0), (500, 499), (999, 998), (900, 800)):
        kept, target = float(bars[step]), float(bars[before])
        alpha = kept / target
        precisions = 1 / (1 - target), alpha / (1 - alpha)
        expected = (math.sqrt(target) * image * precisions[0] + noisy / math.sqrt(alpha) * precisions[1]) / sum(
            precisions
        )
        found = posterior_mean(image, noisy, kept, target)
        assert torch.allclose(found, expected, rtol=1e-5)
        # DDIM's mean with the posterior's variance taken out (eta 1) is the same.
        variance = (1 - target) / (1 - kept) * (1 - alpha)
        noise = (noisy - math.sqrt(kept) * image) / math.sqrt(1 - kept)
        of_ddim = math.sqrt(target) * image + math.sqrt(1 - target - variance) * noise
        assert torch.allclose(found, of_ddim, rtol=1e-4)
    assert torch.allclose(posterior_mean(image, noisy, 0.4, 1.0), image)


@pytest.mark.parametrize("count", [25, T])
def test_ancestral_sampling_has_the_mean_and_the_variance_of_its_chain(count: int) -> None:
    """For Gaussian images each step is affine plus noise of variance beta, so both moments follow step by step.

    In 25 steps the posterior's own variance, "fixedsmall", would give images whose deviation is a fifth smaller.
    """
    model = gaussian(sampler="ddpm", sampling_steps=count)
    bars = [1.0, *np.cumprod(1 - paper_betas())[:: T // count]]
    mean, variance = 0.0, 1.0
    for step in reversed(range(count)):
        kept, target = bars[step + 1], bars[step]
        beta = 1 - kept / target
        # The predicted image is an affine function of x_t: its slope, and its value where x_t is 0.
        slope, at_zero = (
            float((x - math.sqrt(1 - kept) * best_prediction(torch.tensor(x), kept)) / math.sqrt(kept))
            for x in (1.0, 0.0)
        )
        of_image = math.sqrt(target) * beta / (1 - kept)
        factor = of_image * (slope - at_zero) + math.sqrt(1 - beta) * (1 - target) / (1 - kept)
        mean = factor * mean + of_image * at_zero
        variance = factor**2 * variance + (beta if step else 0.0)
    images = model.generate(latents(60)).flatten()
    # 3,840 independent pixels; five standard errors.
    assert float(images.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / len(images)))
    assert float(images.std()) == pytest.approx(math.sqrt(variance), rel=5 / math.sqrt(2 * len(images)))
    # The larger variances suit images of variance 1; for these they add a little.
    assert DEVIATION < math.sqrt(variance) < DEVIATION * (1.1 if count == T else 1.3)


def test_only_ancestral_sampling_clips_the_predicted_image_on_the_way() -> None:
    """With a prediction of 0 the image is x_t / sqrt(a_t), far outside [-1, 1]."""
    z = torch.full((1, 64), 2.0)
    for sampler in ("ddim", "ddpm"):
        model = gaussian(sampler=sampler, sampling_steps=2)
        seen: list[float] = []

        def predict(noisy: Tensor, kept: float, seen: list[float] = seen) -> Tensor:
            seen.append(float(noisy.mean()))
            return torch.zeros_like(noisy)

        model.network = Predictor(model, predict)  # type: ignore[assignment]
        images = model.generate(z)
        assert images.abs().max() <= 1
        kept = float(np.cumprod(1 - paper_betas())[500])
        if sampler == "ddim":
            assert seen[1] == pytest.approx(math.sqrt(1 - 1e-4) * 2 / math.sqrt(kept), rel=1e-4)
        else:
            assert abs(seen[1]) < 3


def test_the_steps_a_sampler_visits_are_those_of_the_authors_code() -> None:
    """Uniform ones are multiples of T / S; quadratic ones end at 0.8 T, and are visited once where they coincide."""

    def visited(spacing: str, count: int) -> list[int]:
        return gaussian(spacing=spacing, sampling_steps=count).visited()

    assert visited("linear", 10) == list(range(900, -1, -100))
    assert visited("linear", T) == list(reversed(range(T)))
    assert len(visited("linear", 30)) == 30
    for count in (5, 10, 20, 50, 100):
        authors = [int(step) for step in np.linspace(0, np.sqrt(T * 0.8), count) ** 2]
        assert visited("quadratic", count) == sorted(set(authors), reverse=True)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_latent_decides_its_image_alone_and_in_a_batch(sampler: str) -> None:
    """Twice the same to the bit, for any global random state; equal latents give equal images, others do not."""
    model = model_of(sampler=sampler)
    nn.init.normal_(cast(nn.Conv2d, cast(UNet, model.network).exit[2]).weight, 0, 0.1)
    z = latents(4)
    z[3] = z[0]
    with torch.no_grad():
        first = model.generate(z)
        torch.manual_seed(99)
        assert torch.equal(first, model.generate(z))
        alone = torch.cat([model.generate(row[None]) for row in z])
    # A convolution of one image and of four may add up in another order.
    assert torch.allclose(first, alone, atol=1e-4)
    assert torch.allclose(first[0], first[3], atol=1e-4)
    assert not torch.allclose(first[0], first[1], atol=0.1)


def test_the_papers_network_has_the_parameters_counted_by_hand() -> None:
    """35.7 million: 3 x 3 and 1 x 1 convolutions, gains and shifts, and the step's layers."""

    def conv(before: int, after: int, kernel: int = 3) -> int:
        return kernel**2 * before * after + after

    def block(before: int, after: int) -> int:
        shortcut = conv(before, after, 1) if before != after else 0
        return 2 * before + conv(before, after) + conv(512, after, 1) + 2 * after + conv(after, after) + shortcut

    def attention(width: int) -> int:
        return 2 * width + 4 * conv(width, width, 1)

    resample = conv(128, 128) + 2 * conv(256, 256) + 3 * conv(256, 256)
    down = 2 * block(128, 128) + block(128, 256) + 5 * block(256, 256) + 2 * attention(256)
    middle = 2 * block(256, 256) + attention(256)
    up = 6 * block(512, 256) + 2 * block(512, 256) + block(384, 256) + 3 * attention(256)
    up += block(384, 128) + 2 * block(256, 128)
    ends = conv(128, 512, 1) + conv(512, 512, 1) + conv(3, 128) + 2 * 128 + conv(128, 3)
    assert resample + down + middle + up + ends == VARIANTS["ddpm"].parameters["generator"] == 35_746_307


def test_the_papers_network_is_built_as_the_paper_says() -> None:
    """Attention at 16 x 16 and in the middle alone; groups of 32; dropout 0.1; zeros where a branch ends."""
    recipe = VARIANTS["ddpm"].recipe()
    network = cast(UNet, cast(DDPM, build_model(recipe, Data(3, 32))).network)
    blocks = [one for one in network.modules() if isinstance(one, Block)]
    attending = [isinstance(one.attention, Attention) for one in blocks]
    assert attending == [*[False] * 2, *[True] * 2, *[False] * 4, True, False, *[False] * 6, *[True] * 3, *[False] * 3]
    norms = [one for one in network.modules() if isinstance(one, nn.GroupNorm)]
    assert {(norm.num_groups, norm.eps) for norm in norms} == {(32, 1e-6)}
    assert {one.p for one in network.modules() if isinstance(one, nn.Dropout)} == {0.1}
    zeros = [cast(nn.Conv2d, network.exit[2]), *(cast(nn.Conv2d, block.second[3]) for block in blocks)]
    zeros += [one.attention.output for one in blocks if isinstance(one.attention, Attention)]
    assert all(not layer.weight.any() for layer in zeros)
    quarter = torch.zeros(1, 3, 4, 4)
    assert not network.exit(torch.randn(1, 128, 4, 4)).any()
    assert quarter.shape == (1, 3, 4, 4)


def test_attention_is_the_formula_written_out() -> None:
    """Softmax of q k / sqrt(channels) over all places, one head, added to the input."""
    torch.manual_seed(0)
    attention = Attention(16, 4)
    nn.init.normal_(attention.output.weight, 0, 0.3)
    x = torch.randn(2, 16, 3, 3)
    q, k, v = attention.inputs(attention.norm(x)).flatten(2).double().chunk(3, 1)
    weights = torch.einsum("ncq,nck->nqk", q, k).div(4).softmax(2)
    mixed = torch.einsum("nqk,nck->ncq", weights, v).float().view(2, 16, 3, 3)
    assert torch.allclose(attention(x), x + attention.output(mixed), atol=1e-5)


def test_the_embedding_of_a_step_is_sines_then_cosines() -> None:
    """Frequencies fall from 1 to 1 / 10,000; no two steps have the same."""
    found = sinusoids(torch.tensor([0, 3, 999]), 8)
    for row, step in zip(found, (0, 3, 999), strict=True):
        angles = [step * 10_000 ** (-number / 3) for number in range(4)]
        expected = [*map(math.sin, angles), *map(math.cos, angles)]
        # Angles of up to 999 in float32.
        assert row.tolist() == pytest.approx(expected, abs=1e-4)
    every = sinusoids(torch.arange(T), 32)
    apart = torch.cdist(every, every) + torch.eye(T) * 10
    assert apart.min() > 0.1


def test_the_step_reaches_every_block() -> None:
    """Normalisation with one channel per group would take it out again: such groups are refused."""
    model = model_of()
    network = cast(UNet, model.network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            nn.init.normal_(module.weight, 0, 0.05)
    network(torch.randn(4, 1, 8, 8), torch.tensor([0, 10, 100, 199])).square().mean().backward()
    for block in network.modules():
        if isinstance(block, Block):
            assert cast(Tensor, block.time.weight.grad).abs().max() > 1e-6
    with pytest.raises(UsageError, match="multiple of 64"):
        model_of(groups=32)


def test_impossible_settings_are_refused() -> None:
    """The message names the setting and the allowed values."""
    for wrong, message in (
        ({"sampling_steps": 1}, "must be from 2 to the 200"),
        ({"sampling_steps": 201}, "must be from 2 to the 200"),
        ({"beta_end": 1e-5}, "variances that rise"),
        ({"beta_end": 1.0}, "stay below 1"),
    ):
        with pytest.raises(UsageError, match=message):
            model_of(**wrong)
    for resolution in (7, 9):
        with pytest.raises(UsageError, match="choose a multiple of 2"):
            model_of(Data(1, resolution))
    with pytest.raises(UsageError, match="multiple of 8, such as 24"):
        build_model(VARIANTS["ddpm"].recipe(), Data(3, 27))


@pytest.mark.parametrize(("channels", "resolution"), [(1, 8), (3, 8), (4, 16), (1, 14), (1, 32)])
def test_a_latent_has_the_shape_of_the_images(channels: int, resolution: int) -> None:
    """Its size follows the images that the model is built for, whatever the recipe's are."""
    model = model_of(Data(channels, resolution))
    z = model.latent(2, rng=torch.Generator().manual_seed(0))
    assert z.shape == (2, channels * resolution**2) == (2, model.recipe.latent.size)
    with torch.no_grad():
        assert model.generate(z).shape == (2, channels, resolution, resolution)


def test_the_size_of_a_latent_follows_the_resolution_and_is_not_chosen() -> None:
    """A plan records the size that its model has."""
    recipe = VARIANTS["ddpm"].recipe("quick")
    assert choose(recipe, {"resolution": 16, "channels": 3}).latent.size == 768
    with pytest.raises(UsageError, match="one number for each pixel and channel"):
        choose(recipe, {"latent": 7})


def test_the_warm_up_rises_from_0_over_5000_steps_and_stays() -> None:
    """It belongs to the length of the run, and a chosen rate is the one that it rises to."""
    recipe = VARIANTS["ddpm"].recipe()
    at = {step: rates(recipe, step)["generator"] for step in (0, 2500, 5000, 400_000, 799_999)}
    assert at == pytest.approx({0: 0.0, 2500: 1e-4, 5000: 2e-4, 400_000: 2e-4, 799_999: 2e-4})
    schedule = WarmedUp(1.0, within=0.1)
    assert [value_at(schedule, step, 100) for step in (0, 5, 10, 99)] == pytest.approx([0, 0.5, 1, 1])
    assert nominal(schedule) == 1.0
    assert rescaled(schedule, 3.0) == WarmedUp(3.0, within=0.1)
    plan = make_plan("ddpm", preset="paper", chosen={"lr": 1e-3, "steps": 1600})
    assert rates(plan.recipe, 1599)["generator"] == 1e-3
    assert plan_from(cast(dict[str, object], plain(plan))) == plan


def test_gradients_are_clipped_before_the_step_and_logged_as_they_were() -> None:
    """The norm in the log is the original; the gradients that the optimizer is given have the largest allowed norm."""
    model = model_of().train()
    model.recipe = replace(model.recipe, optimizers={"generator": Adam(1e-3, max_norm=0.01)})
    batch = Batch(torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    tools = tools_for(model, draw=lambda: batch, rng=torch.Generator().manual_seed(0))
    (player,) = tools.players
    logs = model.update(player, batch, tools.optimizers["generator"], tools)
    used = math.sqrt(sum(float(one.grad.square().sum()) for one in player.parameters if one.grad is not None))
    assert float(logs["grad/generator"]) > 0.1
    assert used == pytest.approx(0.01, rel=1e-3)
    model.recipe = replace(model.recipe, optimizers={"generator": Adam(1e-3, max_norm=1e6)})
    tools = tools_for(model, draw=lambda: batch, rng=torch.Generator().manual_seed(1))
    (player,) = tools.players
    logs = model.update(player, batch, tools.optimizers["generator"], tools)
    used = math.sqrt(sum(float(one.grad.square().sum()) for one in player.parameters if one.grad is not None))
    assert used == pytest.approx(float(logs["grad/generator"]), rel=1e-4)


def test_the_average_forgets_the_initial_weights_within_a_hundred_steps() -> None:
    """At a constant decay of 0.9999 it would still hold 99% of them; the decay is at most (1 + t) / (10 + t)."""
    model = model_of()
    model.recipe = replace(model.recipe, ema=0.9999)
    average = Average(model)
    first = {name: weight.clone() for name, weight in model.named_parameters()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    left = 1.0
    for step in range(1, 101):
        average.update(step)
        left *= (1 + step) / (10 + step)
    assert left < 1e-5
    assert 0.9999**100 > 0.99
    for name, weight in average.model.named_parameters():
        # float32 weights around 1, updated a hundred times.
        assert torch.allclose(weight, first[name] + 1 - left, atol=1e-5)


def test_the_spread_of_fakes_is_not_measured_at_each_line_of_the_log() -> None:
    """64 images take as many passes through the network as thousands of training images."""
    recipe = replace(VARIANTS["ddpm"].recipe("quick"), batch=4)
    images = images_of(torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8))
    assert SpreadMonitor()(Training(TrainingPlan(recipe=recipe, data="some images"), images)) == {}


def test_the_published_scores_are_with_the_sampler_that_reached_them() -> None:
    """3.17 is of the chain of 1000 steps, 4.16 of DDIM in 100 quadratic steps of the same training."""
    paper, ddim = (VARIANTS["ddpm"].recipe(preset) for preset in ("paper", "ddim"))
    assert [one.value for one in paper.targets] == [3.17, 9.46]
    assert [(one.value, one.recalled) for one in ddim.targets] == [(4.16, True)]
    own = cast(Settings, paper.settings), cast(Settings, ddim.settings)
    assert [(one.sampler, one.sampling_steps) for one in own] == [("ddpm", 1000), ("ddim", 100)]
    assert replace(own[0], sampler="ddim", sampling_steps=100, spacing="quadratic") == own[1]
    assert {name: getattr(paper, name) for name in ("steps", "batch", "optimizers", "ema", "flips")} == {
        name: getattr(ddim, name) for name in ("steps", "batch", "optimizers", "ema", "flips")
    }
    assert all(high > low for high, low in pairwise(cast(DDPM, build_model(ddim, Data(3, 32))).visited()))
