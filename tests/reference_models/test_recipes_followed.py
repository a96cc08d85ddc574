"""Recipes compared with restatements of their sources: papers, compare_gan, and pytorch-gan-collections."""

import json
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models import VARIANTS, build_model
from reference_models.base import GAN, tools_for
from reference_models.batches import Batch, Data
from reference_models.blocks import losses
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.engine.plan import make_plan, plan_from
from reference_models.models.lucic2018 import Lucic2018, Lucic2018BEGAN
from reference_models.recipes import SGD, Adam, Optimizer, RMSprop, plain, value_at

REAL, FAKE = torch.tensor([0.0071, 0.0071]), torch.tensor([0.01, 0.01])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sigmoid(logits: Tensor) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.double().numpy()))


def cross_entropy(logits: Tensor, label: float) -> float:
    """TensorFlow's sigmoid_cross_entropy_with_logits, as its documentation writes it."""
    x = logits.double().numpy()
    return float(np.mean(np.maximum(x, 0) - x * label + np.log(1 + np.exp(-np.abs(x)))))


def study(loss: str, real: Tensor, fake: Tensor) -> tuple[float, float]:
    """The losses of both players in compare_gan/src/gans from 2018-02 to 2018-10, without penalties."""
    discriminator = cross_entropy(real, 1) + cross_entropy(fake, 0)
    if loss == "minimax":
        return discriminator, -cross_entropy(fake, 0)
    if loss in ("non-saturating", "dragan"):
        return discriminator, cross_entropy(fake, 1)
    if loss == "least-squares":
        squares = 0.5 * (np.mean((sigmoid(real) - 1) ** 2) + np.mean(sigmoid(fake) ** 2))
        return float(squares), float(0.5 * np.mean((sigmoid(fake) - 1) ** 2))
    return float(fake.double().mean() - real.double().mean()), float(-fake.double().mean())


def lucic2018(loss: str) -> Lucic2018:
    """A small model of the variant."""
    torch.manual_seed(0)
    recipe = VARIANTS[f"lucic2018-{loss}"].recipe("quick")
    return cast(Lucic2018, build_model(recipe, Data(1, recipe.resolution)))


@pytest.mark.parametrize("loss", ["minimax", "non-saturating", "least-squares", "wgan", "wgan-gp", "dragan"])
def test_a_lucic2018_variants_losses_are_those_of_the_study(loss: str) -> None:
    """Losses agree for fixed logits, large and small."""
    objective = lucic2018(loss).objective
    for real, fake in ((REAL, FAKE), (torch.tensor([3.0, -1.5, 0.2]), torch.tensor([-4.0, 2.5, 0.0]))):
        discriminator, generator = study(loss, real, fake)
        assert objective.discriminator(real, fake).item() == pytest.approx(discriminator, rel=1e-5, abs=1e-6)
        assert objective.generator(fake).item() == pytest.approx(generator, rel=1e-5, abs=1e-6)


def test_least_squares_of_an_untrained_lucic2018_variant_are_a_quarter() -> None:
    """Least squares of probabilities near 0.5 is 0.25; of the logits, as in Mao's paper, it would be near 0.5."""
    of_study = lucic2018("least-squares").objective.discriminator(REAL, FAKE).item()
    of_paper = losses.OBJECTIVES["least-squares"].discriminator(REAL, FAKE).item()
    assert (round(of_study, 3), round(of_paper, 3)) == (0.250, 0.493)


class Watched(nn.Module):
    """A linear critic that records its inputs."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope, self.seen = slope, list[Tensor]()

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach())
        return self.slope * images.flatten(1)[:, 0]


@pytest.mark.parametrize("loss", ["wgan-gp", "dragan"])
@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_a_lucic2018_variants_penalty_is_that_of_the_study(loss: str, slope: float) -> None:
    """(sqrt(0.0001 + slope^2) - 1)^2: of the logit between real and fake, of the probability near the real."""
    model, critic = lucic2018(loss), Watched(slope)
    model.discriminator = critic
    images = torch.rand(5, 1, 16, 16, generator=rng())
    with torch.enable_grad():
        _, logs = model.loss_discriminator(Batch(images), rng())
    asked = critic.seen[-1]
    first = slope * asked.flatten(1)[:, 0]
    slopes = slope * sigmoid(first) * (1 - sigmoid(first)) if loss == "dragan" else np.full(5, slope)
    expected = np.mean((np.sqrt(1e-4 + slopes**2) - 1) ** 2)
    assert torch.as_tensor(logs["penalty"]).item() == pytest.approx(expected, rel=1e-5)
    if loss == "dragan":
        moved = (asked - images).numpy()
        assert moved.min() >= -1e-6
        assert moved.max() <= 0.5 * images.numpy().std() + 1e-6


# Of compare_gan/src/params.py and generate_tasks_lib.py: rate, beta 1, updates of the discriminator a step, its batch
# normalisation (of the narrow search where the default mixes batches under a penalty), and the steps on CIFAR-10.
DEFAULTS = {
    "minimax": (5e-5, 0.0, 1, True, 78_125),
    "non-saturating": (5e-5, 0.0, 1, True, 78_125),
    "least-squares": (2e-4, 0.5, 1, True, 78_125),
    "wgan": (5e-5, 0.5, 5, True, 15_625),
    "wgan-gp": (1e-4, 0.5, 5, False, 15_625),
    "dragan": (1e-4, 0.5, 1, False, 78_125),
    "began": (1e-4, 0.5, 5, False, 15_625),
}


@pytest.mark.parametrize("loss", DEFAULTS)
def test_a_lucic2018_variant_has_the_studys_defaults(loss: str) -> None:
    """All variants use Adam, batches of 64, and equally many updates of the discriminator."""
    recipe = VARIANTS[f"lucic2018-{loss}"].recipe("paper")
    rate, beta, updates, normalised, steps = DEFAULTS[loss]
    assert set(recipe.optimizers.values()) == {Adam(rate, (beta, 0.999))}
    assert (recipe.batch, recipe.latent.size, recipe.steps) == (64, 64, steps)
    model = build_model(recipe, Data(1, 16))
    assert isinstance(model, Lucic2018 | Lucic2018BEGAN)
    assert model.discriminator_updates(0) == updates
    found = any(isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d) for one in model.discriminator.modules())
    assert found == normalised


# Table 2 of the study: FID on MNIST, Fashion-MNIST, CIFAR-10 and CelebA.
FIGURES = {
    "minimax": (9.8, 29.6, 72.7, 65.6),
    "non-saturating": (6.8, 26.5, 58.5, 55.0),
    "least-squares": (7.8, 30.7, 87.1, 53.9),
    "wgan": (6.7, 21.5, 55.2, 41.3),
    "wgan-gp": (20.3, 24.5, 55.8, 30.3),
    "dragan": (7.6, 27.7, 69.8, 42.3),
    "began": (13.1, 22.9, 71.4, 38.9),
}


@pytest.mark.parametrize("loss", FIGURES)
def test_a_lucic2018_variant_quotes_its_own_row(loss: str) -> None:
    """Each set's preset has the figure of its column."""
    presets = ("paper-mnist", "paper-fashionmnist", "paper", "paper-celeba")
    recipes = [VARIANTS[f"lucic2018-{loss}"].recipe(preset) for preset in presets]
    assert tuple(recipe.targets[0].value for recipe in recipes) == FIGURES[loss]


def test_each_set_of_the_study_is_a_preset_with_its_own_figure() -> None:
    """Sizes, lengths, and FID of 10,000 fakes against the test images are the study's."""
    recipes = VARIANTS["lucic2018-wgan-gp"].recipes
    told = {
        preset: (recipe.data, recipe.resolution, recipe.steps * 5, recipe.targets[0].value, recipe.targets[0].data)
        for preset, recipe in recipes.items()
        if preset != "quick"
    }
    assert told == {
        "paper": ("cifar10:train", 32, 78_125, 55.8, "cifar10:test"),
        "paper-mnist": ("mnist:train", 28, 15_625, 20.3, "mnist:test"),
        "paper-fashionmnist": ("fashionmnist:train", 28, 15_625, 24.5, "fashionmnist:test"),
        "paper-celeba": ("celeba:train", 64, 101_250, 30.3, "celeba:test"),
    }
    assert all((one.real, one.fake) == (10_000, 10_000) for recipe in recipes.values() for one in recipe.targets)


# Of configs/*.txt and the defaults of the four programs: latents, batch, betas, updates of the discriminator a step,
# mirrored images, noise on the reals.
COLLECTION = {
    ("dcgan", ""): (100, 128, (0.5, 0.9), 1, True, 0.0),
    ("wgan", ""): (100, 128, (0.0, 0.9), 1, True, 0.0),
    ("wgan-gp", ""): (128, 64, (0.0, 0.9), 5, True, 0.0),
    ("wgan-gp", "-cnn"): (100, 128, (0.0, 0.9), 1, True, 0.0),
    ("sngan", ""): (128, 64, (0.0, 0.9), 5, False, 1 / 128),
    ("sngan", "-cnn"): (100, 128, (0.0, 0.9), 1, False, 1 / 128),
}


def collected(name: str, suffix: str) -> GeneratorDiscriminatorGAN:
    recipe = VARIANTS[name].recipe(f"pytorch-gan-collections{suffix}")
    return cast(GeneratorDiscriminatorGAN, build_model(recipe, Data(3, 32)))


@pytest.mark.parametrize(("name", "suffix"), COLLECTION)
def test_the_collections_presets_have_its_settings(name: str, suffix: str) -> None:
    """Rates fall from 2e-4 to 0 over 100,000 steps, the generator has twice the fakes, and z is normal."""
    model = collected(name, suffix)
    recipe = model.recipe
    size, batch, betas, updates, flips, noise = COLLECTION[name, suffix]
    (adam,) = set(recipe.optimizers.values())
    assert isinstance(adam, Adam)
    assert adam.betas == betas
    assert [value_at(adam.lr, step, 100_000) for step in (0, 50_000, 100_000)] == pytest.approx([2e-4, 1e-4, 0.0])
    assert (recipe.latent.size, recipe.latent.law, recipe.batch, recipe.steps) == (size, "normal", batch, 100_000)
    assert (recipe.data, recipe.resolution, recipe.ema, recipe.flips) == ("cifar10:train", 32, None, flips)
    assert {model.discriminator_updates(step) for step in (0, 1, 24, 500, 1000)} == {updates}
    assert (model.generator_batch, model.noise) == (2, noise)


def test_the_collections_wgan_is_clipped_at_a_tenth_and_its_residual_critic_adds_places_up() -> None:
    """The clip is 0.1 instead of 0.01, and the residual critic sums, also under WGAN-GP's penalty of 10."""
    settings = {name: VARIANTS[name].recipe("pytorch-gan-collections").settings for name in ("wgan", "wgan-gp")}
    assert settings["wgan"].clip == 0.1  # type: ignore[attr-defined]
    assert (settings["wgan-gp"].penalty, settings["wgan-gp"].generator_width) == (10.0, 256)  # type: ignore[attr-defined]
    critic = collected("wgan-gp", "").discriminator
    assert critic.total is True
    paper = build_model(VARIANTS["wgan-gp"].recipe("paper"), Data(3, 32))
    assert paper.get_submodule("discriminator").total is False


# Of the papers and their authors' code. Optimizers: kind, rate in the first step and at the end, first and second beta,
# or momentum, at the end.
PAPERS: dict[tuple[str, str], dict[str, Any]] = {
    ("gan", "paper"): {
        **{"batch": 100, "latent": 100, "steps": 250 * 500, "*": ("SGD", 0.1, 0.1 / 1.000004**125_000, 0.7)},
    },
    ("dcgan", "paper"): {"batch": 128, "latent": 100, "width": 128, "*": ("Adam", 2e-4, 2e-4, 0.5, 0.999)},
    ("wgan", "paper"): {"batch": 64, "latent": 100, "clip": 0.01, "*": ("RMSprop", 5e-5, 5e-5)},
    ("wgan-gp", "paper"): {
        **{"batch": 64, "latent": 128, "steps": 100_000, "critic_updates": 5, "penalty": 10, "critic_width": 128},
        "*": ("Adam", 2e-4, 0, 0, 0.9),
    },
    ("cgan", "paper"): {"batch": 100, "latent": 100, "*": ("SGD", 0.1, 0.1 / 1.00004**150_000, 0.7)},
    ("acgan", "paper"): {"batch": 100, "latent": 100, "*": ("Adam", 2e-4, 2e-4, 0.5, 0.999)},
    ("bigan", "paper"): {"batch": 128, "latent": 50, "*": ("Adam", 2e-4, 2e-6, 0.5, 0.999)},
    ("began", "paper"): {
        **{"batch": 16, "latent": 64, "width": 128, "gamma": 0.5, "rate": 0.001},
        "*": ("Adam", 8e-5, 5e-6, 0.5, 0.999),
    },
    ("sngan", "paper"): {
        **{"batch": 64, "latent": 128, "steps": 50_000, "discriminator_updates": 5, "generator_width": 256},
        **{"discriminator_width": 128, "*": ("Adam", 2e-4, 0, 0, 0.9)},
    },
    ("progan", "paper"): {
        **{"batch": 128, "latent": 512, "ema": 0.999, "maps": 8192, "widest": 512, "group": 4},
        **{"penalty": 10, "slope": 1, "drift": 0.001, "*": ("Adam", 1e-3, 1e-3, 0, 0.99)},
    },
    ("cyclegan", "paper"): {
        **{"batch": 1, "steps": 200 * 1334, "blocks": 9, "width": 64, "cycle": 10, "identity": 0.5, "pool": 50},
        **{"patch": 3, "norm": "instance", "*": ("Adam", 2e-4, 0, 0.5, 0.999)},
    },
    ("pix2pix", "paper"): {
        **{"batch": 1, "steps": 200 * 400, "levels": 8, "width": 64, "patch": 3, "l1": 100, "adversarial": 1},
        **{"norm": "batch", "dropout": 0.5, "sees_input": True, "*": ("Adam", 2e-4, 2e-4, 0.5, 0.999)},
    },
    ("srgan", "paper"): {
        **{"batch": 16, "steps": 1_200_000, "scale": 4, "blocks": 16, "width": 64, "pretraining": 5 / 6},
        **{"content": "vgg", "adversarial": 1e-3, "skip": "none", "srresnet": ("Adam", 1e-4, 1e-4, 0.9, 0.999)},
        "*": ("Adam", 1e-4, 1e-5, 0.9, 0.999),
    },
    ("srgan", "srresnet"): {
        **{"batch": 16, "steps": 1_000_000, "pretraining": 1, "srresnet": ("Adam", 1e-4, 1e-4, 0.9, 0.999)},
    },
    ("context-encoder", "paper"): {
        **{"batch": 64, "overlap": 4, "band": 10, "reconstruction": 0.999, "bottleneck": 4000},
        **{"discriminator": ("Adam", 2e-4, 2e-4, 0.5, 0.999), "generator": ("Adam", 2e-3, 2e-3, 0.5, 0.999)},
    },
    ("ssgan", "paper"): {
        **{"batch": 100, "latent": 100, "steps": 300 * 600, "ema": 0.9999, "labelled": 100, "width": 1000},
        **{"generator_width": 500, "pixel_noise": 0.3, "unit_noise": 0.5, "generator_loss": "matching-squares"},
        "*": ("Adam", 3e-3, 3e-3, 0.5, 0.999),
    },
    ("ssgan", "cifar10"): {
        **{"batch": 100, "latent": 100, "steps": 1200 * 500, "ema": 0.9999, "labelled": 4000, "width": 96},
        **{"generator_loss": "matching-absolutes", "*": ("Adam", 3e-4, 0, 0.5, 0.999)},
    },
    ("bayesgan", "paper"): {
        **{"batch": 64, "latent": 101, "steps": 50_000, "burn_in": 5000 / 50_000, "generators": 10, "samples": 2},
        **{"prior": 1, "generator_width": 64, "discriminator_width": 96, "*": ("SGD", 2e-4, 2e-4, 1 - 0.01)},
    },
    ("seqgan", "paper"): {
        **{"batch": 64, "embedding": 32, "hidden": 32, "deviation": 0.1, "clip": 5, "discriminator_embedding": 64},
        **{"dropout": 1 - 0.75, "l2": 0.2, "rollouts": 16, "lag": 0.8, "reward": "discriminator"},
        **{"discriminator": ("Adam", 1e-4, 1e-4, 0.9, 0.999), "*": ("Adam", 1e-2, 1e-2, 0.9, 0.999)},
    },
    ("bgan", "paper"): {
        **{"batch": 64, "latent": 64, "width": 64, "units": 1024, "samples": 20, "weights": "importance"},
        "*": ("Adam", 1e-4, 1e-4, 0.5, 0.999),
    },
    ("r3gan", "paper"): {
        **{"batch": 512, "latent": 64, "width": 768, "groups": 96, "blocks": 2, "embedding": 64, "conditional": True},
        **{"gamma": 0.05, "gamma_end": 0.005, "penalty": "both", "loss": "relativistic"},
        "*": ("Adam", 2e-4, 5e-5, 0, 0.99),
    },
    ("ddpm", "paper"): {
        **{"batch": 128, "steps": 800_000, "ema": 0.9999, "width": 128, "levels": 4, "blocks": 2, "groups": 32},
        **{"attention": 16, "dropout": 0.1, "diffusion_steps": 1000, "beta_start": 1e-4, "beta_end": 0.02},
        "*": ("Adam", 0, 2e-4, 0.9, 0.999),
    },
}


def optimizer(settings: Optimizer, steps: int) -> tuple[object, ...]:
    """Kind, rates, and betas or momentum, as in PAPERS."""
    rates = [value_at(settings.lr, step, steps) for step in (0, steps)]
    match settings:
        case Adam():
            return ("Adam", *rates, settings.betas[0], value_at(settings.betas[1], steps, steps))
        case SGD():
            return ("SGD", *rates, value_at(settings.momentum, steps, steps))
        case RMSprop():
            return ("RMSprop", *rates)


@pytest.mark.parametrize(("name", "preset"), PAPERS)
def test_a_papers_recipe_has_the_papers_numbers(name: str, preset: str) -> None:
    """Batch, latent, length, average, optimizers and the model's own settings; a public port of pix2pix has others."""
    recipe, wanted = VARIANTS[name].recipe(preset), dict(PAPERS[name, preset])
    used = {player for player in recipe.optimizers if preset != "srresnet" or player == "srresnet"}
    usual = wanted.pop("*", None)
    for player in used:
        kind, *numbers = optimizer(recipe.optimizers[player], recipe.steps)
        told, *expected = wanted.pop(player, usual)
        assert (player, kind, numbers) == (player, told, pytest.approx(expected, rel=1e-6))
    found = {"batch": recipe.batch, "latent": recipe.latent.size, "steps": recipe.steps, "ema": recipe.ema}
    found |= {} if recipe.settings is None else cast(dict[str, Any], plain(recipe.settings))
    assert {key: found[key] for key in wanted} == pytest.approx(wanted)


def test_published_numbers_of_later_models_are_those_of_their_sources() -> None:
    """Of generated images, of translations, of classes and of sequences, each with its recipe."""
    told = {
        (name, preset): [(one.metric, one.data, one.value) for one in recipe.targets]
        for name, variant in VARIANTS.items()
        for preset, recipe in variant.recipes.items()
        if recipe.targets
    }
    sets = ("Set5", "Set14", "BSD100")
    expected = {
        ("progan", "paper"): [("fid", "celeba-hq", 7.30)],
        ("progan", "cifar10"): [("is", "cifar10:train", 8.56), ("is", "cifar10:train", 8.80)],
        ("cyclegan", "paper"): [("fid", "horse2zebra:testB", 64.5)],
        ("pix2pix", "paper"): [
            ("fid", "facades:test", 124.98),
            ("fcn-per-pixel-accuracy", "cityscapes:labels", 0.66),
        ],
        ("srgan", "paper"): [("psnr", *one) for one in zip(sets, (29.40, 26.02, 25.16), strict=True)],
        ("srgan", "srresnet"): [("psnr", *one) for one in zip(sets, (32.05, 28.49, 27.58), strict=True)],
        ("context-encoder", "paper"): [("psnr", "Paris StreetView, 100 held-out images", 18.58)],
        ("exgan", "paper"): [("fid", "Celeb-ID", 15.66)],
        ("ssgan", "paper"): [("test_error", "mnist:test", 0.0093)],
        ("ssgan", "cifar10"): [("test_error", "cifar10:test", 0.1863)],
        ("seqgan", "paper"): [("nll_oracle", "the authors' oracle", 8.736)],
        ("r3gan", "paper"): [("fid", "cifar10:train", 1.96)],
        ("ddpm", "paper"): [("fid", "cifar10:train", 3.17), ("is", "cifar10:train", 9.46)],
        ("ddpm", "ddim"): [("fid", "cifar10:train", 4.16)],
    }
    later = {name for name, _ in expected} | {"bayesgan", "bgan"}
    assert {key: numbers for key, numbers in told.items() if key[0] in later} == expected


def noisy(noise: float) -> tuple[GAN, list[Tensor]]:
    """A small SNGAN with this noise, and its discriminator's inputs."""
    recipe = VARIANTS["sngan"].recipe("quick")
    recipe = replace(recipe, settings=replace(recipe.settings, noise=noise))  # type: ignore[type-var]
    torch.manual_seed(0)
    model = build_model(recipe, Data(1, 16))
    seen: list[Tensor] = []
    model.get_submodule("discriminator").register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    return model, seen


def test_noise_is_added_to_the_reals_that_a_discriminator_learns_from() -> None:
    """The noise is uniform up to the given bound, new each time, and absent if the bound is 0."""
    batch = Batch(torch.zeros(4, 1, 16, 16))
    model, seen = noisy(0.25)
    tools = tools_for(model, draw=lambda: batch, rng=rng())
    for _ in range(2):
        model.update(model.players()[0], batch, tools.optimizers["discriminator"], tools)
    first, second = (images[:4] for images in seen)
    assert 0 <= first.min() < 0.01
    assert 0.24 < first.max() <= 0.25
    assert not torch.equal(first, second)
    model, seen = noisy(0.0)
    model.players()[0].loss(batch, rng())
    assert not seen[0][:4].any()


def test_the_papers_networks_on_cifar10_see_reals_with_the_noise_of_their_authors_code() -> None:
    """WGAN-GP has noise of one step of 8 bits in [-1, 1], SNGAN none."""
    noises = {name: VARIANTS[name].recipe("paper").settings.noise for name in ("wgan-gp", "sngan")}  # type: ignore[attr-defined]
    assert noises == {"wgan-gp": 1 / 128, "sngan": 0.0}


def test_what_is_said_of_a_recipe_does_not_stop_a_run_from_going_on() -> None:
    """A run can be resumed with a changed description and changed targets, but not with another latent."""
    document: dict[str, Any] = json.loads(json.dumps(plain(make_plan("gan", preset="paper"))))
    document["recipe"] |= {"targets": [], "differs": "in everything"}
    del document["recipe"]["follows"]
    assert plan_from(document) == make_plan("gan", preset="paper")
    document["recipe"]["latent"] = {"size": 100, "law": "normal", "bounds": None}
    with pytest.raises(UsageError, match=r"recipe\.latent\.law was 'normal' and is 'uniform'"):
        plan_from(document)
