"""The base classes of reference models: players that are updated in turn, by one step function for all papers.

A subclass is one paper: it builds the networks, declares the players, and has one loss per player. Other state (BEGAN's
k_t) is a buffer, so that it is saved and restored with the weights. `Model` is what the engine trains; a `GAN` makes
images from latents, a `Translator` makes images from images, a `SequenceModel` writes tokens. A model that also
classifies is `SemiSupervised`, too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ganeval.autocast import Precision, autocast
from ganeval.errors import UsageError
from ganeval.ranges import ValueRange
from reference_models.batches import Batch, Data, PairBatch, Part, SequenceData, Sequences, Tensors
from reference_models.recipes import SGD, Adam, Optimizer, Recipe, RMSprop, value_at
from reference_models.sharing import add_up, logged, rows_of, sharing

# What a step reports: floats or tensors, left on their device. A loss may return a number per image, [N]; a step then
# reports its mean, and its standard error over the batch as error/<key>. Reserved keys: loss/<player>, grad/<player>,
# rate/<player> (the learning rate), logit/real, logit/fake, penalty, M, k, ess (effective number of samples), level.
Logs = dict[str, float | Tensor]
# (batch, rng) => a scalar to minimise, and further values to log. The batch is of the model's `batch_type`.
Loss = Callable[[Any, torch.Generator], tuple[Tensor, Logs]]


@dataclass(frozen=True, slots=True)
class Player:
    """One player of the game: its parameters, optimizer, loss and number of updates.

    Two players may share parameters: a generator that is pretrained with one loss and then trained with another is two
    players.

    Attributes:
        name: Its key in logs and checkpoints.
        parameters: The parameters that it updates.
        optimizer: Settings of its optimizer, whose rate follows its schedule.
        loss: (batch, rng) => a scalar to minimise, and further values to log.
        updates: How many per step, or a function of the step, counted from 0; 0 for none, as in a phase of other
            players.
        make: Makes the optimizer from parameters and settings; None for the one that the settings name. It may be any
            `torch.optim.Optimizer`, also a sampler (SGHMC); it draws from torch's global random state, which
            checkpoints keep.
        shares: Whether its first update in a step uses the batch of the previous update instead of a new one.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    optimizer: Optimizer
    loss: Loss
    updates: int | Callable[[int], int] = 1
    make: Callable[[Sequence[nn.Parameter], Optimizer], torch.optim.Optimizer] | None = None
    shares: bool = True

    def turns(self, step: int) -> int:
        """How many updates this player makes at a step.

        Args:
            step: The number of the step, from 0.

        Returns:
            The number of updates.
        """
        return self.updates if isinstance(self.updates, int) else self.updates(step)


def during(start: int, end: int | None = None, *, turns: int = 1) -> Callable[[int], int]:
    """`Player.updates` of a phase: `turns` per step from `start` until before `end` (None: the last step), else 0.

    >>> pretraining = during(0, 2)
    >>> [pretraining(step) for step in range(4)]
    [1, 1, 0, 0]
    """
    return lambda step: turns if step >= start and (end is None or step < end) else 0


@dataclass(frozen=True, slots=True)
class Tools:
    """The batches, optimizers and random numbers of a step; `tools_for` makes them for a model.

    draw: returns a new batch. rng: source of all randomness in losses, on the model's device.
    accumulate: number of parts a batch is processed in, to save memory. precision: of products (`ganeval.autocast`).
    Processes that share their work (`ganeval.distributed_work`) draw the same batches, and share the rows of each part.
    """

    players: tuple[Player, ...]
    optimizers: Mapping[str, torch.optim.Optimizer]
    draw: Callable[[], Tensors]
    rng: torch.Generator
    accumulate: int = 1
    precision: Precision = "fp32"


class Model(nn.Module, ABC):
    """A reference model, with its networks and one loss per player.

    Args:
        data: The images, or sequences, that it is built for.
        recipe: How it is trained.

    Raises:
        UsageError: The model needs labels, and the images have no classes.
    """

    data: Data | SequenceData
    value_range: ClassVar[ValueRange] = "[-1,1]"
    # Whether it learns from labels, even if it does not make images of a given class; every conditional model does.
    learns_labels: ClassVar[bool] = False
    # The batch that losses take; its fields are filled from `parts`.
    batch_type: ClassVar[type[Tensors]] = Batch

    def __init__(self, data: Data | SequenceData, recipe: Recipe) -> None:
        """UsageError if the model needs labels and the data have no classes."""
        super().__init__()
        self.data = data
        self.recipe = recipe
        if data.classes is not None or not (self.conditional or self.learns_labels):
            return
        if data.unlabelled is not None:
            raise UsageError(
                f"{recipe.variant} learns from labels, but those of these images are not classes: {data.unlabelled}. "
                "Label every image, leave out those without a class, or choose a variant without labels."
            )
        raise UsageError(
            f"{recipe.variant} learns from labels, but these images have none; use a folder with a subfolder for each "
            "of two or more classes, a labelled data set, or a variant without labels."
        )

    @property
    def conditional(self) -> bool:
        """Whether it makes images of a given class, as set by a class attribute or the recipe."""
        return False

    @abstractmethod
    def players(self) -> Sequence[Player]:
        """The players, in the order of their updates."""

    @classmethod
    def parts(cls, tensors: Mapping[str, Tensor], recipe: Recipe, seed: int) -> Sequence[Part]:  # noqa: ARG003
        """The parts that the model learns from, made from the tensors of its training set.

        Args:
            tensors: "images", uint8 ``[N, C, H, W]`` or float32 in the model's range; "labels", their classes, int64
                ``[N]``, if there are any; for a `Translator` "inputs", ``[M, C', H', W']``; for a `SequenceModel`
                only "tokens", int64 ``[N, T]``.
            recipe: The recipe of the training, for the size of a batch and the model's own settings.
            seed: The seed of the run, for a model that learns from a random part of its training set.

        Returns:
            Parts whose tensors are fields of `batch_type`; one part with all tensors, unless a model overrides this.
        """
        return (Part(tensors, recipe.batch),)

    @classmethod
    def data_for(cls, recipe: Recipe, classes: int | None = None) -> Data:
        """The properties of the images that a recipe is written for, if none were read: for listings and tests.

        Args:
            recipe: The recipe.
            classes: The number of classes; None for images without labels.

        Returns:
            Their properties.
        """
        return Data(recipe.channels, recipe.resolution, classes)

    def phase(self, step: int) -> str:  # noqa: ARG002
        """The phase of a step, for messages.

        Args:
            step: The number of the step, from 0.

        Returns:
            Its name; "" for a model that learns in one phase.
        """
        return ""

    def begin(self, step: int) -> None:
        """A hook before each step, for a model that changes as it learns.

        Everything it sets must be a function of the step, or a buffer, so that a resumed run is identical.

        Args:
            step: The number of the step, from 0.
        """

    def resets(self, step: int) -> Collection[str]:  # noqa: ARG002
        """Players whose optimizers are reset before a step, for example because a network has grown.

        Args:
            step: The number of the step, from 0.

        Returns:
            Names of players.
        """
        return ()

    def rows(self, step: int) -> int | None:  # noqa: ARG002
        """Rows per batch at a step, for a model whose batch size changes during training.

        It must be a function of the step, whose mean over a run does not depend on the run's length.

        Args:
            step: The number of the step, from 0.

        Returns:
            Rows to draw from each part of the data; None for each part's own batch size.
        """
        return None

    def after(self, player: Player, logs: Logs) -> Logs:  # noqa: ARG002
        """A hook after each update of a player, for clipping and balance.

        Args:
            player: The player that was updated.
            logs: What its update logs.

        Returns:
            What to log.
        """
        return {}

    def decay(self, updates: int) -> float:
        """The decay of the average of the weights, for models whose recipe has an average.

        It is the recipe's, but at most (1 + updates) / (10 + updates), so that the initial weights are forgotten soon.

        Args:
            updates: The number of steps made, including the one whose weights are to be averaged.

        Returns:
            The share of the earlier average in the new one, from 0 to 1.
        """
        return min(self.recipe.ema or 0.0, (1 + updates) / (10 + updates))

    def step(self, number: int, tools: Tools) -> Logs:
        """One step of every player, in turn.

        The first update draws a batch, and so does every further update of the same player: a critic never gets the
        same batch twice in a row, and a player with one update shares the batch of the previous update, unless it draws
        its own (`Player.shares`).

        Args:
            number: The number of the step, from 0.
            tools: Batches, optimizers and random states of the training.

        Returns:
            What to log.
        """
        self.begin(number)
        for name in self.resets(number):
            tools.optimizers[name].state.clear()
        logs: Logs = {}
        batch: Tensors | None = None
        for player in tools.players:
            optimizer = tools.optimizers[player.name]
            logs[f"rate/{player.name}"] = _schedule(optimizer, player.optimizer, number, self.recipe.steps)
            for turn in range(player.turns(number)):
                batch = batch if batch is not None and player.shares and not turn else tools.draw()
                logs |= self.update(player, batch, optimizer, tools)
        return logs

    def update(self, player: Player, batch: Tensors, optimizer: torch.optim.Optimizer, tools: Tools) -> Logs:
        """Update one player once; all parameters of other players are constants.

        If processes share the work, each computes the loss of its own rows, and the gradients are summed.

        Args:
            player: The player to update.
            batch: The batch for its loss, the same in all processes.
            optimizer: The optimizer of the player's parameters.
            tools: Batches, optimizers and random states of the training.

        Returns:
            What to log.
        """
        logs: Logs = {}
        optimizer.zero_grad()
        with _only(player, self):
            for part in batch.split(tools.accumulate):
                rows = rows_of(len(part))
                with sharing(rows):
                    with autocast(batch.device.type, tools.precision):
                        loss, seen = player.loss(part.rows(rows.start, rows.stop), tools.rng)
                    (loss * (len(rows) / len(batch))).backward()  # type: ignore[no-untyped-call]
                _add(logs, logged({f"loss/{player.name}": loss, **seen}, rows), len(part) / len(batch))
        gradients = [parameter.grad for parameter in player.parameters if parameter.grad is not None]
        add_up(gradients)
        norm = logs[f"grad/{player.name}"] = get_total_norm(gradients)
        if isinstance(player.optimizer, Adam) and player.optimizer.max_norm is not None:
            clip_grads_with_norm_(player.parameters, player.optimizer.max_norm, norm)
        # NaN would spread to every weight. The check is free only on a CPU; on a GPU it would wait for the device.
        if norm.device.type != "cpu" or bool(norm.isfinite()):
            optimizer.step()
        return logs | self.after(player, logs)


class GAN(Model):
    """A model that makes images from latents.

    Args:
        data: The images that it is built for.
        recipe: How it is trained.
    """

    data: Data
    # Whether `generate` is one pass through a network; if not, fakes are not drawn for each line of the log.
    one_pass: ClassVar[bool] = True

    @abstractmethod
    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate images of latents.

        Args:
            z: Latents, float32 ``[N, latent size]``.
            labels: Classes, int64 ``[N]``; None for a model that is not conditional.

        Returns:
            Images, float32 ``[N, C, H, W]`` in `value_range`.
        """

    def latent(self, n: int, *, rng: torch.Generator) -> Tensor:
        """Draw latents from the recipe's distribution.

        Args:
            n: How many.
            rng: The source of randomness, on whose device they are made.

        Returns:
            float32 ``[n, latent size]``.
        """
        latent = self.recipe.latent
        if latent.law == "normal":
            return torch.randn(n, latent.size, generator=rng, device=rng.device)
        low, high = latent.interval
        return torch.rand(n, latent.size, generator=rng, device=rng.device) * (high - low) + low


class Translator(Model):
    """A model that makes images from images.

    Args:
        data: The images that it is built for.
        recipe: How it is trained.
    """

    data: Data
    batch_type: ClassVar[type[Tensors]] = PairBatch
    # Whether it learns from pairs. A model that does not never sees a pair: from a source of pairs it gets the inputs
    # of one half and the targets of the other.
    paired: ClassVar[bool] = True
    # Inputs whose sides are multiples of this can be translated; None: only inputs of the trained size.
    multiple: ClassVar[int | None] = None
    # Whether the second half of an input's channels is an exemplar, another image that `given` adds.
    exemplars: ClassVar[bool] = False

    @abstractmethod
    def translate(self, inputs: Tensor, *, rng: torch.Generator) -> Tensor:
        """Translate images.

        Args:
            inputs: float32 ``[N, C', H', W']`` in `value_range`.
            rng: The source of randomness, for a model that uses any.

        Returns:
            Images, float32 ``[N, C, H, W]`` in `value_range`.
        """

    @classmethod
    def data_for(cls, recipe: Recipe, classes: int | None = None) -> Data:
        """Like `Model.data_for`; inputs are like outputs unless a model overrides this.

        Args:
            recipe: The recipe.
            classes: The number of classes; None for images without labels.

        Returns:
            Their properties.
        """
        known = super().data_for(recipe, classes)
        return replace(known, input_channels=known.channels, input_resolution=known.resolution)

    @classmethod
    def given(cls, pairs: Mapping[str, Tensor], recipe: Recipe) -> Tensor:  # noqa: ARG003
        """The model's inputs, made from the aligned pairs of a source: by default, the inputs of the pairs.

        Args:
            pairs: "inputs", uint8 ``[N, C', H', W']``; "images", the targets, uint8 ``[N, C, H, W]``; "labels", the
                classes of the targets, int64 ``[N]``, if they have any.
            recipe: As the model is trained.

        Returns:
            uint8 ``[N, C'', H', W']``.

        Raises:
            UsageError: The model cannot learn from these pairs.
        """
        return pairs["inputs"]

    @classmethod
    def parts(cls, tensors: Mapping[str, Tensor], recipe: Recipe, seed: int) -> Sequence[Part]:  # noqa: ARG003
        """One part with pairs; if the model is not `paired`, one with inputs and one with images of other pairs.

        Args:
            tensors: "inputs" and "images".
            recipe: As the model is trained.
            seed: Of the run.

        Returns:
            The parts.
        """
        inputs, images = tensors["inputs"], tensors["images"]
        if cls.paired:
            return (Part({"inputs": inputs, "images": images}, recipe.batch),)
        return Part({"inputs": inputs}, recipe.batch), Part({"images": images}, recipe.batch)


class SemiSupervised(ABC):
    """A second base class of models that also learn to classify images from few labels.

    Attributes:
        labels_alone: Settings of its supervised twin, which learns only from these labels.
    """

    labels_alone: ClassVar[Mapping[str, object]]

    @abstractmethod
    def classify(self, images: Tensor) -> Tensor:
        """Class logits of images.

        Args:
            images: float32 ``[N, C, R, R]`` in the model's range.

        Returns:
            float32 ``[N, classes]``. Outside training, the logits of an image do not depend on the others.
        """

    @classmethod
    @abstractmethod
    def labelled(cls, labels: Tensor, recipe: Recipe, seed: int) -> Tensor:
        """The images whose labels it learns from.

        Args:
            labels: Classes of the training images, int64 ``[N]``.
            recipe: As the model is trained.
            seed: Of the run.

        Returns:
            Indices of images, int64, on the CPU.

        Raises:
            UsageError: There are too few images or labels for the classes.
        """


class SequenceModel(Model):
    """A model that writes token sequences from uniform numbers, one per token.

    Args:
        data: The sequences that it is built for.
        recipe: How it is trained; its latent has one number per token of a sequence.

    Raises:
        UsageError: The latent has another size.
    """

    data: SequenceData
    batch_type: ClassVar[type[Tensors]] = Sequences

    def __init__(self, data: SequenceData, recipe: Recipe) -> None:
        """UsageError for a latent that is not one number per token."""
        super().__init__(data, recipe)
        if recipe.latent.size != data.length:
            raise UsageError(
                f"{recipe.variant} draws one token per number of its latent, which has {recipe.latent.size}, but these "
                f"sequences have {data.length} tokens; leave the latent out, or choose {data.length}."
            )

    @abstractmethod
    def generate(self, z: Tensor, *, alpha: float = 1.0) -> Tensor:
        """Write sequences.

        Args:
            z: Numbers in [0, 1), float32 ``[N, T]``.
            alpha: Factor of the logits, an inverse temperature: above 1 for likelier sequences, of less variety.

        Returns:
            Tokens, int64 ``[N, T]``; the same for the same `z`.
        """

    @abstractmethod
    def log_likelihood(self, tokens: Tensor, *, alpha: float = 1.0) -> Tensor:
        """Natural logarithm of the probability of each token, given those before it.

        Args:
            tokens: int64 ``[N, T]``.
            alpha: Factor of the logits, as in `generate`.

        Returns:
            float32 ``[N, T]``.
        """

    def latent(self, n: int, *, rng: torch.Generator) -> Tensor:
        """Draw uniform numbers.

        Args:
            n: How many rows.
            rng: The source of randomness, on whose device they are made.

        Returns:
            float32 ``[n, T]``, in [0, 1).
        """
        return torch.rand(n, self.data.length, generator=rng, device=rng.device)


def tools_for(
    model: Model,
    *,
    draw: Callable[[], Tensors],
    rng: torch.Generator,
    accumulate: int = 1,
    precision: Precision = "fp32",
) -> Tools:
    """The `Tools` of a model: its players with new optimizers, and the source of its batches."""
    players = tuple(model.players())
    optimizers = {player.name: _optimizer(player) for player in players}
    return Tools(players, optimizers, draw, rng, accumulate, precision)


def _optimizer(player: Player) -> torch.optim.Optimizer:
    if player.make is not None:
        return player.make(player.parameters, player.optimizer)
    settings, lr = player.optimizer, value_at(player.optimizer.lr, 0, 1)
    match settings:
        case Adam():
            betas = settings.betas[0], value_at(settings.betas[1], 0, 1)
            return torch.optim.Adam(player.parameters, lr, betas, weight_decay=settings.weight_decay, fused=True)
        case SGD():
            return torch.optim.SGD(player.parameters, lr, value_at(settings.momentum, 0, 1), fused=True)
        case RMSprop():
            return torch.optim.RMSprop(player.parameters, lr, settings.alpha, foreach=True)


def _add(logs: Logs, seen: Logs, share: float) -> None:
    """Add the logs of a part of a batch, weighted by its share of the rows."""
    for name, value in means(seen).items():
        logs[name] = logs.get(name, 0.0) + value * share


def means(seen: Logs) -> Logs:
    """Detached scalars: values per image [N] => their mean, and its standard error under error/<key>."""
    found: Logs = {}
    for name, value in seen.items():
        if not isinstance(value, Tensor):
            found[name] = value
            continue
        plain = value.detach().float()
        found[name] = plain.mean()
        if plain.ndim:
            # The standard deviation of a single image is 0, not NaN.
            found[f"error/{name}"] = plain.std(correction=min(1, len(plain) - 1)) / len(plain) ** 0.5
    return found


def _schedule(optimizer: torch.optim.Optimizer, settings: Optimizer, step: int, steps: int) -> float:
    """Set the rate, the momentum and the second beta of a step; returns the rate."""
    rate = value_at(settings.lr, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
        if isinstance(settings, SGD):
            group["momentum"] = value_at(settings.momentum, step, steps)
        if isinstance(settings, Adam):
            group["betas"] = settings.betas[0], value_at(settings.betas[1], step, steps)
    return rate


@contextmanager
def _only(player: Player, model: nn.Module) -> Iterator[None]:
    """Within this context, only this player's parameters require gradients, so that no others are computed."""
    own = {id(parameter) for parameter in player.parameters}
    others = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in own]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)
