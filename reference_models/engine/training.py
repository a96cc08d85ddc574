"""The state of a training, which determines the next step: model, optimizers, data order and random states."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from ganeval.precision import full_precision
from ganeval.processes import processes
from reference_models.base import Logs, Model, tools_for
from reference_models.data.batches import BatchStream
from reference_models.data.images import Images
from reference_models.data.tokens import Tokens
from reference_models.engine.plan import TrainingPlan
from reference_models.models import build_model
from reference_models.recipes import Recipe
from reference_models.sharing import rows_of

# Up to this many channels, convolutions on a CPU are a fifth faster in channels-last layout; with 1024, a tenth slower.
NARROW = 256
# More than in any paper; `steps_of` loops over steps, which takes a second for this many.
MAX_STEPS = 2_000_000


class Average:
    """The exponential moving average of a model's weights, with the model's decay; its buffers are copied."""

    def __init__(self, model: Model) -> None:
        self.model = deepcopy(model)
        self.model.requires_grad_(False)
        self._weights = _tensors(self.model.parameters()), _tensors(model.parameters())
        self._buffers = _tensors(self.model.buffers()), _tensors(model.buffers())

    def update(self, steps: int) -> None:
        """Update the average with the model's weights after `steps` steps."""
        with torch.no_grad():
            torch._foreach_lerp_(*self._weights, 1 - self.model.decay(steps))
            if self._buffers[0]:
                torch._foreach_copy_(*self._buffers)


def _fastest_layout(model: nn.Module, device: torch.device) -> torch.memory_format:
    """Channels last, except on a CPU for wide convolutions and for instance normalisation, where it is slower."""
    if device.type == "cpu" and any(isinstance(part, nn.InstanceNorm2d) for part in model.modules()):
        # Such a layer copies its images to the contiguous layout and back, and its gradients too.
        return torch.contiguous_format
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    wide = max((part.out_channels for part in convolutions), default=0) > NARROW
    return torch.contiguous_format if wide and device.type == "cpu" else torch.channels_last


def _tensors(given: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.data for tensor in given]


def _check_parts(model: Model, plan: TrainingPlan) -> None:
    """UsageError for parts of batches that are too small.

    A layer that normalises only over images needs two, because one image has no variance, and each process needs one. A
    layer of maps of one pixel is of this kind, too, which is noticed at the first step.
    """
    if processes().size > 1:
        batch = min(model.rows(step) or plan.recipe.batch for step in range(plan.recipe.steps))
        most = math.ceil(batch / plan.accumulate)
        rows_of(batch % most or most)
    size = math.ceil(plan.recipe.batch / plan.accumulate)
    smallest = plan.recipe.batch % size or size
    if smallest > 1:
        return
    error = UsageError(
        f"batch is {plan.recipe.batch} and accumulate is {plan.accumulate}, so that {plan.recipe.variant} would be "
        "given a single image, but it normalises over several; choose --batch and --accumulate so that every part has "
        "2 images or more."
    )

    def check(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if layer.training and given[0].numel() == given[0].shape[1]:
            raise error

    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d):
            raise error
        if isinstance(part, nn.BatchNorm2d):
            part.register_forward_pre_hook(check)


def stream_of(
    model: Model, images: Images | Tokens, recipe: Recipe, *, seed: int, device: str, flips: bool
) -> BatchStream:
    """Batches of images in the form that a model takes, of the recipe's size."""
    return BatchStream(
        model.parts(images.tensors, recipe, seed),
        model.batch_type,
        seed=seed,
        device=device,
        to=model.value_range,
        flips=flips,
        name=images.about.get("name", "The training set"),
    )


class Training:
    """A plan in progress; `step` is the number of steps done, `examples` are the training images or sequences.

    Processes that share their work train one model together: each has all images, and computes its own rows of each
    batch.

    Args:
        plan: The plan.
        images: The training images, or sequences.

    Raises:
        UsageError: The plan cannot be carried out with these images.
        SourceError: There are fewer images than a batch has.
    """

    def __init__(self, plan: TrainingPlan, images: Images | Tokens) -> None:
        """Build the model, the optimizers and the stream of batches."""
        device = torch.device(plan.device)
        recipe = plan.recipe
        self.plan, self.step = plan, 0
        self.examples: Images | Tokens = images.to(plan.device)
        self._cuda = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(self._cuda):
            # `torch.manual_seed` would also seed GPUs that this training does not use.
            (torch.manual_seed if self._cuda else torch.default_generator.manual_seed)(plan.seed)
            self.model: Model = build_model(recipe, images.data)
            self._random = self._global_random()
        _check_parts(self.model, plan)
        self.model.to(device=device, memory_format=_fastest_layout(self.model, device))  # type: ignore[call-overload]
        self._stream = stream_of(
            self.model, self.examples, recipe, seed=plan.seed, device=plan.device, flips=recipe.flips
        )
        self.tools = tools_for(
            self.model,
            draw=self._stream,
            # A CPU's generator uses only the low 32 bits, so there this is the stream of the initial weights, as
            # in every run measured so far.
            rng=torch.Generator(device).manual_seed(plan.seed + 2**32),
            accumulate=plan.accumulate,
            precision=plan.precision,
        )
        self.average = None if recipe.ema is None else Average(self.model)

    @property
    def images(self) -> Images:
        """The training images, of a model that learns from images."""
        assert isinstance(self.examples, Images)
        return self.examples

    @property
    def sequences(self) -> Tokens:
        """The training sequences, of a model that learns from sequences."""
        assert isinstance(self.examples, Tokens)
        return self.examples

    @property
    def seen(self) -> int:
        """Rows drawn so far, of all parts of the data."""
        return sum(self._stream.seen)

    @property
    def best_model(self) -> Model:
        """The model to draw samples from: the average if there is one."""
        return self.model if self.average is None else self.average.model

    def advance(self) -> Logs:
        """Make one step; the caller's random state is not changed."""
        self._stream.rows = self.model.rows(self.step)
        with self._own_random(), full_precision():
            logs = self.model.step(self.step, self.tools)
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        return logs

    def steps_of(self, epochs: float) -> int:
        """The number of steps in which `epochs` passes over all images are drawn.

        Args:
            epochs: Passes over all images.

        Returns:
            The number of steps.

        Raises:
            UsageError: `epochs` is not a possible number, or gives no possible number of steps.
        """
        wanted, drawn, step = epochs * len(self.examples), 0.0, 0
        if not 0 < wanted < math.inf:
            raise UsageError(f"epochs is {epochs}; it must be a finite number above 0.")
        batch = self._mean_batch()
        while drawn < wanted:
            if step == MAX_STEPS:
                raise UsageError(f"epochs is {epochs}, which takes over {MAX_STEPS} steps; say how many with --steps.")
            # As in `Model.step`: one batch per update, but none for the first update of a player that shares the last
            # batch.
            batches = 0
            for player in self.tools.players:
                turns = player.turns(step)
                batches += turns - 1 if turns and batches and player.shares else turns
            drawn += batch * batches
            step += 1
        return step

    def _mean_batch(self) -> float:
        """The mean batch size over a run of this plan; schedules are stretched, so the length does not matter."""
        recipe = self.plan.recipe
        return sum(self.model.rows(step) or recipe.batch for step in range(recipe.steps)) / recipe.steps

    def state(self) -> dict[str, Any]:
        """The whole state, as tensors and plain values."""
        return {
            "step": self.step,
            "seen": self._stream.seen,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.model.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.tools.optimizers.items()},
            "random": {**self._random, "losses": self.tools.rng.get_state()},
        }

    def restore(self, state: Mapping[str, Any], *, other_device: bool = False) -> None:
        """Restore what `state` returned.

        Args:
            state: The state; KeyError, RuntimeError and other exceptions mean that it does not fit.
            other_device: Whether it was saved on another kind of device, whose random states cannot be used here.
        """
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])
        for name, optimizer in self.tools.optimizers.items():
            # Rates come from the plan; those in the file are ignored.
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state["optimizers"][name]["state"], "param_groups": groups})
        self.step, self._stream.seen = int(state["step"]), list(map(int, state["seen"]))
        if other_device:
            self._begin_random()
        else:
            self._random = {name: state["random"][name] for name in self._random}
            self.tools.rng.set_state(state["random"]["losses"])
        if min(self.step, *self._stream.seen) < 0:
            raise ValueError(f"step {self.step} and {self.seen} images seen cannot be below 0")

    def _begin_random(self) -> None:
        """Set new random states, from the seed and the step."""
        seed = self.plan.seed * 1_000_003 + self.step + 1
        self.tools.rng.manual_seed(seed)
        with torch.random.fork_rng(self._cuda):
            (torch.manual_seed if self._cuda else torch.default_generator.manual_seed)(seed)
            self._random = self._global_random()

    @contextmanager
    def _own_random(self) -> Iterator[None]:
        """Within this context, torch's global random state, used by dropout, is this training's own."""
        with torch.random.fork_rng(self._cuda):
            torch.set_rng_state(self._random["cpu"])
            for device in self._cuda:
                torch.cuda.set_rng_state(self._random["cuda"], device)
            yield
            self._random = self._global_random()

    def _global_random(self) -> dict[str, Tensor]:
        names = ["cpu"] + ["cuda"] * len(self._cuda)
        states = [torch.get_rng_state()] + [torch.cuda.get_rng_state(device) for device in self._cuda]
        return dict(zip(names, states, strict=True))
