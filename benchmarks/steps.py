"""One training step next to public code of the same networks: CPU milliseconds of one thread, the two sides in turn.

A step is all of what both do for a batch: every player, its optimizer, and the average of the weights where there is
one. The networks have the layers of the paper's preset and equal widths on both sides, and equally many parameters;
`Case.more` says where theirs has others. Images are noise.

Folders of public code are read from environment variables, and what is not set is skipped: PIX2PIX_CODE, a checkout of
junyanz/pytorch-CycleGAN-and-pix2pix; R3GAN_CODE, of brownvc/R3GAN; SSGAN_CODE, of Sleepychord/ImprovedGAN-pytorch, a
port of openai/improved-gan; PROGAN_CODE, of facebookresearch/pytorch_GAN_zoo. DDPM's peer is the package diffusers, if
PYTHONPATH or the environment has it.
"""

import importlib
import io
import itertools
import json
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from packaging.version import parse
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.harness import RESULTS, save, say, table
from reference_models import model_class
from reference_models.base import Translator
from reference_models.data.images import Images, images_of
from reference_models.engine.plan import make_plan
from reference_models.engine.training import Training
from reference_models.recipes import Recipe

# Steps of each side before those that are timed, and timed steps per run.
WARM, TIMED = 2, 5
CLASSES = 10

Step = Callable[[], object]
# A step of public code, and the networks that it trains.
Public = tuple[Step, Sequence[nn.Module]]


def main(*, runs: int, data: Sequence[str] | None = None) -> None:
    """All cases, or those of the named variants; the others keep their earlier figures.

    runs: five timed steps of each side for every run, and seven or more.
    """
    torch.set_num_threads(1)
    variants = {case.variant for case in CASES}
    if unknown := set(data or ()) - variants:
        raise SystemExit(f"steps has no {', '.join(sorted(unknown))}; choose from {', '.join(sorted(variants))}.")
    kept = RESULTS / "steps.json"
    known: dict[str, Any] = json.loads(kept.read_text())["cases"] if kept.exists() else {}
    for case in CASES:
        if data is not None and case.variant not in data:
            continue
        if (folder := case.folder()) is None:
            say(f"  {case}: skipped, {case.missing}")
            continue
        known[str(case)] = measured(case, folder, max(7, TIMED * runs))
        figures = {str(case): known[str(case)] for case in CASES if str(case) in known}
        # Kept after each case, so that an interrupted run is of use.
        save("steps", {"cases": figures}, steps_table(figures))


def steps_table(cases: Mapping[str, Mapping[str, Any]]) -> str:
    """The medians of both sides, and of the ratio of each turn, with its quartiles."""
    rows = []
    for name, found in cases.items():
        ours, theirs = (np.array(found[side]) for side in ("ganeval", "public"))
        low, ratio, high = np.quantile(theirs / ours, (0.25, 0.5, 0.75))
        cells = [f"{np.median(ours):.0f}", f"{np.median(theirs):.0f}", f"{ratio:.2f} ({low:.2f} to {high:.2f})"]
        rows.append([name, f"{found['parameters'][0]:,}", f"{found['peer']}, {found['version']}", *cells])
    head = ["one step, one thread, fp32", "parameters", "public code", "ganeval, ms", "public code, ms", "speedup"]
    return table(head, rows)


def measured(case: "Case", folder: Path, turns: int) -> dict[str, Any]:
    """CPU milliseconds of each timed step of both sides; RuntimeError if their networks have other sizes."""
    about = {"peer": case.peer, "version": case.version(folder)}
    plan = make_plan(case.variant, preset="paper", data="noise", chosen=case.chosen)
    training = Training(plan, noise(plan.recipe))
    step, networks = case.build(folder, training)
    counts = [parameters(training.model), sum(map(parameters, networks))]
    if counts[1] - counts[0] != case.more:
        raise RuntimeError(f"{case} has {counts[0]:,} parameters, and {counts[1]:,} in {case.peer}.")
    steps: dict[str, Step] = {"ganeval": training.advance, "public": step}
    found: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(WARM + turns):
        for name, advance in steps.items():
            start = time.process_time()
            advance()
            if turn >= WARM:
                found[name].append(1000 * (time.process_time() - start))
    say(f"  {case}: " + ", ".join(f"{name} {np.median(times):.0f} ms" for name, times in found.items()))
    return {**about, "parameters": counts, **found}


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def noise(recipe: Recipe) -> Images:
    """Eight batches of random images, with classes or inputs for a model that learns from them."""
    rng, count = torch.Generator().manual_seed(0), 8 * recipe.batch

    def drawn() -> Tensor:
        shape = (count, recipe.channels, recipe.resolution, recipe.resolution)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=rng)

    model = model_class(recipe)
    labels = torch.arange(count) % CLASSES if model.learns_labels else None
    return images_of(drawn(), labels, inputs=drawn() if issubclass(model, Translator) else None)


def batches(training: Training) -> Callable[[], Tensor]:
    """Batches of the noise, one after another, as theirs would be loaded: float32 in the model's range."""
    pixels = training.images.pixels.float() / 255
    pixels = pixels if training.model.value_range == "[0,1]" else 2 * pixels - 1
    found = itertools.cycle(torch.split(pixels, training.plan.recipe.batch))
    return lambda: next(found)


def modules_of(folder: Path, *names: str, stand_ins: Sequence[ModuleType] = ()) -> list[Any]:
    """Modules of a checkout, which are then forgotten: those of another checkout may have the same names.

    stand_ins: for modules that they import, and that a step does not use.
    """
    before, lent = set(sys.modules), {module.__name__ for module in stand_ins}
    for module in stand_ins:
        sys.modules.setdefault(module.__name__, module)
    sys.path.insert(0, str(folder))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name in lent or str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
                del sys.modules[name]


def pix2pix(folder: Path, training: Training) -> Public:
    """Their Pix2PixModel; a U-Net of eight levels, batch normalisation and dropout."""
    settings = cast(Any, training.plan.recipe.settings)
    (module,) = modules_of(folder, "models.pix2pix_model")
    model = theirs(module.Pix2PixModel, settings, netG="unet_256", norm="batch", no_dropout=False, gan_mode="vanilla")
    return translating(model, training), [model.netG, model.netD]


def cyclegan(folder: Path, training: Training) -> Public:
    """Their CycleGANModel; nine residual blocks, instance normalisation, and pools of 50 images."""
    settings = cast(Any, training.plan.recipe.settings)
    (module,) = modules_of(folder, "models.cycle_gan_model")
    model = theirs(
        module.CycleGANModel, settings, netG="resnet_9blocks", norm="instance", no_dropout=True, gan_mode="lsgan"
    )
    return translating(model, training), [model.netG_A, model.netG_B, model.netD_A, model.netD_B]


def theirs(make: Callable[[Any], Any], settings: Any, **options: object) -> Any:
    """A model of pytorch-CycleGAN-and-pix2pix with the paper's options and the widths of these settings."""
    paths = {"checkpoints_dir": "", "name": "", "preprocess": "none", "direction": "AtoB"}
    sizes = {"input_nc": 3, "output_nc": 3, "ngf": settings.width, "ndf": settings.critic_width}
    networks = {"netD": "basic", "n_layers_D": 3, "init_type": "normal", "init_gain": 0.02, "pool_size": 50}
    losses = {"lr": 2e-4, "beta1": 0.5, "lambda_L1": 100.0, "lambda_A": 10.0, "lambda_B": 10.0, "lambda_identity": 0.5}
    # They print what they initialise.
    with redirect_stdout(io.StringIO()):
        return make(SimpleNamespace(gpu_ids=[], isTrain=True, **paths, **sizes, **networks, **losses, **options))


def translating(model: Any, training: Training) -> Step:
    """What their train.py does with a batch."""
    draw = batches(training)

    def step() -> None:
        model.set_input({"A": draw(), "B": draw(), "A_paths": "", "B_paths": ""})
        model.optimize_parameters()

    return step


def r3gan(folder: Path, training: Training) -> Public:
    """Both players and the average as in their training loop; with the same weights the networks have equal outputs."""
    # A part of setuptools that they import, and that its newer versions do not have.
    versions: Any = ModuleType("pkg_resources")
    versions.parse_version = parse
    networks, trainer = modules_of(folder, "R3GAN.Networks", "R3GAN.Trainer", stand_ins=[versions])
    recipe = training.plan.recipe
    settings, stages = cast(Any, recipe.settings), int(math.log2(recipe.resolution)) - 1
    sizes = [settings.width] * stages, [settings.groups] * stages, [settings.blocks] * stages
    generator, discriminator = networks.Generator(recipe.latent.size, *sizes, 2), networks.Discriminator(*sizes, 2)
    check_equal(training, generator, discriminator)
    game = trainer.AdversarialTraining(generator, discriminator)
    average = deepcopy(generator).requires_grad_(False)
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.0, 0.9)) for network in (discriminator, generator)
    ]
    draw = batches(training)

    def step() -> None:
        for network, other, optimizer in (
            (discriminator, generator, optimizers[0]),
            (generator, discriminator, optimizers[1]),
        ):
            latents, images = torch.randn(recipe.batch, recipe.latent.size), draw()
            network.requires_grad_(True)
            other.requires_grad_(False)
            optimizer.zero_grad()
            if network is discriminator:
                game.AccumulateDiscriminatorGradients(latents, images, None, settings.gamma)
            else:
                game.AccumulateGeneratorGradients(latents, images, None)
            optimizer.step()
        with torch.no_grad():
            for averaged, parameter in zip(average.parameters(), generator.parameters(), strict=True):
                averaged.copy_(parameter.lerp(averaged, 0.99))

    return step, [generator, discriminator]


def check_equal(training: Training, generator: nn.Module, discriminator: nn.Module) -> None:
    """RuntimeError if R3GAN's networks of both sides give other outputs with the same weights."""
    recipe, ours = training.plan.recipe, cast(Any, deepcopy(training.model))
    copy_weights(ours.generator, generator, ("basis", "strengths", "stages", "output"))
    copy_weights(ours.discriminator, discriminator, ("input", "stages", "basis", "output"))
    z, images = torch.randn(4, recipe.latent.size), torch.randn(4, 3, recipe.resolution, recipe.resolution)
    with torch.no_grad():
        same = torch.allclose(generator(z), ours.generator(z), atol=1e-4)
        same = same and torch.allclose(discriminator(images), ours.discriminator(images), atol=1e-4)
    if not same:
        raise RuntimeError("R3GAN's public networks give other outputs than these with the same weights.")


@torch.no_grad()
def copy_weights(ours: nn.Module, theirs: nn.Module, order: Sequence[str]) -> None:
    """Copy weights, then biases; random ones where ours are 0. order: of our layers, which is that of theirs."""
    named = sorted(ours.named_parameters(), key=lambda one: order.index(one[0].partition(".")[0]))
    for biases in (False, True):
        pairs = zip(
            [one for name, one in named if name.endswith("bias") == biases],
            [one for name, one in theirs.named_parameters() if name.endswith("Bias") == biases],
            strict=True,
        )
        for one, other in pairs:
            one.copy_(torch.randn_like(one) / 10 if not one.any() else one)
            other.copy_(one.view_as(other))


def ssgan(folder: Path, training: Training) -> Public:
    """Their trainD and trainG, on a batch of labelled images and two of unlabelled ones."""
    nets, module = modules_of(folder, "Nets", "ImprovedGAN", stand_ins=[ModuleType("tensorboardX")])
    # Not initialised: that reads and writes files.
    game = object.__new__(module.ImprovedGAN)
    with warnings.catch_warnings():
        # They draw weights by an older name of the function.
        warnings.simplefilter("ignore", FutureWarning)
        game.G, game.D = nets.Generator(training.plan.recipe.latent.size), nets.Discriminator()
    game.Doptim, game.Goptim = (
        torch.optim.Adam(network.parameters(), lr=3e-3, betas=(0.5, 0.999)) for network in (game.D, game.G)
    )
    game.args = SimpleNamespace(cuda=False, unlabel_weight=1)
    draw, labels = batches(training), torch.arange(training.plan.recipe.batch) % CLASSES

    def step() -> None:
        game.trainD(draw(), labels, draw())
        game.trainG(draw())

    return step, [game.G, game.D]


def progan(folder: Path, training: Training) -> Public:
    """Their ProgressiveGAN at its full size, between two fades."""
    (module,) = modules_of(folder, "models.progressive_gan")
    recipe, model = training.plan.recipe, cast(Any, training.model)
    first, *others = (layer.out_channels for layer in [one[0] for one in model.discriminator.from_images])

    def adam(network: nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), 1e-3, (0.0, 0.99))

    # Their own gives Adam a beta of int 0, which torch no longer takes.
    module.ProgressiveGAN.getOptimizerD = lambda game: adam(game.netD)
    module.ProgressiveGAN.getOptimizerG = lambda game: adam(game.netG)
    game = module.ProgressiveGAN(
        dimLatentVector=recipe.latent.size,
        depthScale0=first,
        miniBatchStdDev=True,
        useGPU=False,
        lossMode="WGANGP",
        lambdaGP=10.0,
        epsilonD=1e-3,
    )
    for width in others:
        game.addScale(width)
    draw = batches(training)
    return lambda: game.optimizeParameters(draw()), [game.netG, game.netD]


def ddpm(_: Path, training: Training) -> Public:
    """UNet2DModel in the loop of diffusers' example of unconditional training, with Adam."""
    diffusers: Any = importlib.import_module("diffusers")
    averages: Any = importlib.import_module("diffusers.training_utils")
    recipe = training.plan.recipe
    settings = cast(Any, recipe.settings)
    levels = ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"]
    network = diffusers.UNet2DModel(
        **{"sample_size": recipe.resolution, "in_channels": 3, "out_channels": 3, "layers_per_block": settings.blocks},
        block_out_channels=(settings.width, *[2 * settings.width] * 3),
        down_block_types=tuple(levels),
        up_block_types=tuple(one.replace("Down", "Up") for one in reversed(levels)),
        **{"downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6},
        **{"norm_num_groups": settings.groups, "attention_head_dim": None, "dropout": settings.dropout},
    )
    scheduler = diffusers.DDPMScheduler(settings.diffusion_steps)
    average = averages.EMAModel(network.parameters(), decay=0.9999)
    optimizer = torch.optim.Adam(network.parameters(), 2e-4)
    draw = batches(training)

    def step() -> None:
        images = draw()
        noise, times = torch.randn(images.shape), torch.randint(settings.diffusion_steps, (len(images),))
        loss = F.mse_loss(network(scheduler.add_noise(images, noise, times), times).sample, noise)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(network.parameters())

    return step, [network]


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: the paper's preset with other settings, and the public code that is beside it.

    variable: of the environment, the folder of a checkout; None for an installed package. more: parameters that theirs
    has and this side has not.
    """

    variant: str
    chosen: Mapping[str, object]
    peer: str
    variable: str | None
    build: Callable[[Path, Training], Public]
    more: int = 0

    def __str__(self) -> str:
        shown = "".join(f", {name} {self.chosen[key]}" for key, name in SHOWN.items() if key in self.chosen)
        return f"{self.variant}, {self.chosen['resolution']} px, batch {self.chosen['batch']}{shown}"

    @property
    def missing(self) -> str:
        """Why a case is skipped."""
        return f"{self.peer} cannot be imported" if self.variable is None else f"{self.variable} is not set"

    def folder(self) -> Path | None:
        """Where the public code is; None if it is not there."""
        if self.variable is not None:
            return Path(os.environ[self.variable]) if self.variable in os.environ else None
        found = find_spec(self.peer)
        return None if found is None or found.origin is None else Path(found.origin).parent

    def version(self, folder: Path) -> str:
        """Of the public code: a package's version, or the commit of a checkout."""
        if self.variable is None:
            return version(self.peer)
        command = ["git", "-C", str(folder), "rev-parse", "--short=8", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


SHOWN = {"settings.width": "width", "settings.blocks": "blocks", "settings.widest": "width"}
ZHU, HUANG, DIFFUSERS = "junyanz/pytorch-CycleGAN-and-pix2pix", "brownvc/R3GAN", "diffusers"


def sizes(resolution: int, batch: int, **settings: object) -> dict[str, object]:
    """Chosen settings of a recipe: of the images, and the model's own."""
    own = {f"settings.{name}": value for name, value in settings.items()}
    return {"resolution": resolution, "batch": batch, **own}


CASES = (
    Case("pix2pix", sizes(256, 1, width=64, critic_width=64), ZHU, "PIX2PIX_CODE", pix2pix),
    Case("pix2pix", sizes(256, 1, width=32, critic_width=32), ZHU, "PIX2PIX_CODE", pix2pix),
    Case("cyclegan", sizes(64, 1, width=64, critic_width=64), ZHU, "PIX2PIX_CODE", cyclegan),
    Case("cyclegan", sizes(128, 1, width=32, critic_width=32), ZHU, "PIX2PIX_CODE", cyclegan),
    Case("r3gan", sizes(16, 32, width=32, groups=2, blocks=1, conditional=False), HUANG, "R3GAN_CODE", r3gan),
    Case("r3gan", sizes(32, 16, width=64, groups=4, blocks=2, conditional=False), HUANG, "R3GAN_CODE", r3gan),
    Case("ssgan", sizes(28, 100), "Sleepychord/ImprovedGAN-pytorch", "SSGAN_CODE", ssgan),
    Case(
        "progan",
        # All levels at once, in batches of one size. Theirs has a bias for each of the first feature maps' 16 pixels.
        sizes(32, 16, maps=1024, widest=128, start=32, halved_from=32),
        "facebookresearch/pytorch_GAN_zoo",
        "PROGAN_CODE",
        progan,
        more=15 * 128,
    ),
    Case("ddpm", sizes(32, 8, width=32, groups=16), DIFFUSERS, None, ddpm),
    Case("ddpm", sizes(16, 8, width=64, groups=32, attention=8), DIFFUSERS, None, ddpm),
)
