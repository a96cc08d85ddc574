"""Training: images per second of the variants that make images, and of DCGAN next to the loop of PyTorch's example.

The example's loop is written out here: one batch of fakes for both updates, three passes through the discriminator, the
same networks and optimizer. On a GPU ganeval's side is also timed in bfloat16.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.harness import save, say, table
from ganeval.autocast import Precision
from reference_models import VARIANTS, model_class
from reference_models.base import GAN
from reference_models.blocks.networks import conv_discriminator, conv_generator, draw_normal
from reference_models.data.images import Images, images_of
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.models.dcgan_recipes import QUICK, Settings

RESOLUTION, CHANNELS = 32, 3
BATCH = 64


def main(*, runs: int) -> None:
    """CIFAR-10-shaped noise; the paper's networks on a GPU, narrow ones on a CPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    width = 64 if device == "cuda" else 32
    rates = beside_the_example(device, width, runs)
    example = rates["the example's loop"]
    text = table(
        [f"DCGAN, {RESOLUTION} px, batch {BATCH}, width {width}, {device}", "images/s", "relative to the example"],
        [[name, f"{rate:.0f}", f"{rate / example:.2f}"] for name, rate in rates.items()],
    )
    each = variants(device, runs)
    text += "\n\n" + table(
        [f"{'paper' if device == 'cuda' else 'quick'} networks, batch {BATCH}, {device}", "images/s"],
        [[name, f"{rate:.0f}"] for name, rate in each.items()],
    )
    save("training", {"dcgan": rates, "variants": each}, text)


def beside_the_example(device: str, width: int, runs: int) -> dict[str, float]:
    """Both loops in turn, with the same networks and number of runs; the best of each."""
    recipe = replace(
        QUICK,
        resolution=RESOLUTION,
        channels=CHANNELS,
        batch=BATCH,
        ema=None,
        settings=Settings(width=width),
    )
    loops: dict[str, Callable[[], object]] = {"the example's loop": example(device, width)}
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if device == "cuda" else ("fp32",)
    for precision in precisions:
        plan = TrainingPlan(recipe=recipe, data="noise", device=device, precision=precision)
        loops[f"ganeval, {precision}"] = Training(plan, noise()).advance
    rates = dict.fromkeys(loops, 0.0)
    for _ in range(runs):
        for name, loop in loops.items():
            rates[name] = max(rates[name], rate_of(loop, BATCH))
        say(f"  {rates}")
    return rates


def variants(device: str, runs: int) -> dict[str, float]:
    """Images of noise per second that the step of each variant of images takes in, including critic updates."""
    preset = "paper" if device == "cuda" else "quick"
    rates: dict[str, float] = {}
    for name, variant in VARIANTS.items():
        if not issubclass(model_class(variant.recipe(preset)), GAN):
            continue
        recipe = replace(variant.recipe(preset), resolution=RESOLUTION, channels=CHANNELS, batch=BATCH)
        training = Training(TrainingPlan(recipe=recipe, data="noise", device=device), noise())

        def step(training: Training = training) -> object:
            # Skip the first steps, in which WGAN's critic is updated a hundred times each.
            training.step = max(training.step, 1001)
            return training.advance()

        step()
        seen = training.seen
        step()
        images = training.seen - seen
        rates[name] = max(rate_of(step, images) for _ in range(runs))
        say(f"  {name}: {rates[name]:.0f} images/s")
    return rates


def rate_of(step: Callable[[], object], images: int, *, least: float = 1.0) -> float:
    """Images per second over at least `least` seconds, after one step that is not counted."""
    step()
    _wait()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < least:
        step()
        steps += 1
    _wait()
    return steps * images / (time.perf_counter() - start)


def noise(count: int = 1024) -> Images:
    """Images of the size of CIFAR-10's, with labels."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, CHANNELS, RESOLUTION, RESOLUTION), dtype=torch.uint8, generator=rng)
    return images_of(pixels, torch.arange(count) % 10)


def example(
    device: str, width: int, *, batch: int = BATCH, wrap: Callable[[nn.Module], nn.Module] = lambda network: network
) -> Callable[[], object]:
    """One iteration of the example's loop: discriminator on reals, on fakes, generator through the same fakes.

    wrap: what both networks are wrapped in.
    """
    torch.manual_seed(0)
    networks = (
        conv_generator(100, CHANNELS, RESOLUTION, width=width, kernel=5).to(device),
        conv_discriminator(CHANNELS, RESOLUTION, width=width, kernel=5).to(device),
    )
    for network in networks:
        draw_normal(network)
    generator, discriminator = map(wrap, networks)
    criterion = nn.BCEWithLogitsLoss()
    discriminator_steps = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    generator_steps = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    images = noise().to(device).pixels.float() / 127.5 - 1
    ones, zeros = torch.ones(batch, device=device), torch.zeros(batch, device=device)
    at = 0

    def iteration() -> Tensor:
        nonlocal at
        real = images[at : at + batch]
        at = (at + batch) % len(images)
        discriminator.zero_grad()
        criterion(discriminator(real), ones).backward()
        fake = generator(torch.randn(batch, 100, device=device))
        criterion(discriminator(fake.detach()), zeros).backward()
        discriminator_steps.step()
        generator.zero_grad()
        loss: Tensor = criterion(discriminator(fake), ones)
        loss.backward()  # type: ignore[no-untyped-call]
        generator_steps.step()
        return loss

    return iteration


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
