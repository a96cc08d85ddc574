"""Minimal inputs for the engine: a game of two numbers, a few images, a run of seconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reference_models.base import GAN, Logs, Player
from reference_models.batches import Batch, Data
from reference_models.data.images import Images, images_of
from reference_models.engine.loop import Callbacks, Intervals, Loop
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.run import start
from reference_models.models.gan_recipes import QUICK
from reference_models.recipes import SGD


class Numbers(GAN):
    """Two players with a number each, d and g: the discriminator wants (mean - d g)^2 small, the generator (d - g)^2.

    drawn: the mean of every batch that a loss saw, with the player's name. after_calls: whose updates were followed.
    """

    def __init__(self, turns: Any = 1) -> None:
        super().__init__(Data(1, 1), QUICK)
        self.discriminator = nn.Parameter(torch.tensor(0.0))
        self.generator = nn.Parameter(torch.tensor(1.0))
        self.turns = turns
        self.drawn: list[tuple[str, float]] = []
        self.after_calls: list[str] = []

    def players(self) -> Sequence[Player]:
        return (
            Player("discriminator", (self.discriminator,), SGD(0.1), self.loss_discriminator, self.turns),
            Player("generator", (self.generator,), SGD(0.5), self.loss_generator),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator.expand(len(z), 1, 1, 1)

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        self.drawn.append(("discriminator", float(batch.images.mean())))
        return (batch.images - self.discriminator * self.generator).square().mean(), {"penalty": self.discriminator * 2}

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        self.drawn.append(("generator", float(batch.images.mean())))
        return (self.discriminator - self.generator).square(), {}

    def after(self, player: Player, logs: Logs) -> Logs:
        self.after_calls.append(player.name)
        return {"k": 7.0} if player.name == "generator" else {}


def some_images(count: int = 40, *, size: int = 8, channels: int = 1, classes: int | None = None) -> Images:
    """Random images, the same every time."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=rng)
    return images_of(pixels, None if classes is None else torch.arange(count) % classes, about={"name": "some images"})


def small_plan(**chosen: object) -> TrainingPlan:
    """The 2014 GAN on 8 x 8 digits."""
    return make_plan("gan", chosen={"resolution": 8, "batch": 16, "steps": 6, "settings.hidden": 32, **chosen})


def small_run(
    folder: Path, intervals: Mapping[str, Any] | None = None, callbacks: Callbacks | None = None, **chosen: object
) -> Loop:
    """A run of a small plan; only its last step is due unless intervals are given."""
    rare = {"log_every": 1, "sample_every": 0, "save_every": 0}
    return start(
        small_plan(**chosen),
        folder,
        intervals=Intervals(**{**rare, **(intervals or {})}),
        callbacks=callbacks or Callbacks(),
    )


def assert_same_state(one: Any, other: Any, where: str = "state") -> None:
    """Assert bit-for-bit equality, through dicts and lists."""
    if isinstance(one, Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, Mapping):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same_state(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same_state(left, right, f"{where}[{number}]")
    else:
        assert one == other, where
