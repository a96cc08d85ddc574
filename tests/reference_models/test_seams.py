"""What the engine carries for models that are not a generator and a discriminator of labelled images.

Each tiny model here is written as one in `models/` would be, with `base`, `recipes` and `blocks` alone. Every one is
trained for a few steps, interrupted, and resumed bit for bit.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
from engine_helpers import assert_same_state, some_images
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import SourceError, UsageError
from reference_models import VARIANTS, Variant
from reference_models.base import GAN, Logs, Model, Player, during
from reference_models.batches import Batch, Data, Part, Tensors
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.losses import OBJECTIVES
from reference_models.data.batches import BatchStream
from reference_models.engine import checkpoint
from reference_models.engine.folder import Folder
from reference_models.engine.loop import Callbacks, Intervals, Loop
from reference_models.engine.monitors import HeldOut, SpreadMonitor
from reference_models.engine.plan import make_plan
from reference_models.engine.summary import layers
from reference_models.engine.training import Training
from reference_models.models.gan_recipes import VARIANT as GAN_VARIANT
from reference_models.recipes import SGD, Adam, Optimizer, Recipe
from reference_models.sampling.sampler import Sampler

SIDE, PIXELS = 8, 64
STEPS = 6


def perceptron(inputs: int, outputs: int) -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 12), nn.ReLU(), nn.Linear(12, outputs))


def fake_or_real(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's cross-entropy."""
    return OBJECTIVES["non-saturating"].discriminator(discriminator(real), discriminator(fake))


@dataclass(frozen=True, slots=True)
class Pairs(Tensors):
    """Aligned images: row i of one belongs to row i of the other."""

    source: Tensor
    target: Tensor


class PairedGAN(GAN):
    """Pix2pix's game: one part of the data, whose rows are pairs."""

    batch_type: ClassVar[type[Tensors]] = Pairs

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.generator, self.discriminator = perceptron(PIXELS, PIXELS), perceptron(2 * PIXELS, 1)

    @classmethod
    def parts(cls, tensors: Mapping[str, Tensor], recipe: Recipe, seed: int) -> Sequence[Part]:
        """Images of class 0 and of class 1, in their order."""
        pixels, labels = tensors["images"], tensors["labels"]
        return (Part({"source": pixels[labels == 0], "target": pixels[labels == 1]}, recipe.batch),)

    def players(self) -> Sequence[Player]:
        """The discriminator of pairs, then the generator."""
        return (
            Player("discriminator", tuple(self.discriminator.parameters()), Adam(1e-3), self.loss_discriminator),
            Player("generator", tuple(self.generator.parameters()), Adam(1e-3), self.loss_generator),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of images."""
        return self.generator(z[:, :PIXELS]).tanh().view(-1, 1, SIDE, SIDE)

    def loss_discriminator(self, batch: Pairs, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Real pairs from made ones."""
        made = torch.cat([batch.source.flatten(1), self.generator(batch.source)], 1)
        return fake_or_real(self.discriminator, torch.cat([batch.source, batch.target], 1), made), {}

    def loss_generator(self, batch: Pairs, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """To be taken for a pair, and L1."""
        made = self.generator(batch.source)
        real = self.discriminator(torch.cat([batch.source.flatten(1), made], 1))
        return F.softplus(-real).mean() + (made - batch.target.flatten(1)).abs().mean(), {}


@dataclass(frozen=True, slots=True)
class TwoSets(Tensors):
    """Images of two sets, neither aligned nor equally many."""

    a: Tensor
    b: Tensor


class UnpairedGAN(PairedGAN):
    """CycleGAN's data, and its pool of earlier fakes: two parts, and a buffer."""

    batch_type: ClassVar[type[Tensors]] = TwoSets
    pool: Tensor
    filled: Tensor

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.discriminator = perceptron(PIXELS, 1)
        self.register_buffer("pool", torch.zeros(10, PIXELS))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @classmethod
    def parts(cls, tensors: Mapping[str, Tensor], recipe: Recipe, seed: int) -> Sequence[Part]:
        """Images of class 0 and some of class 1."""
        pixels, labels = tensors["images"], tensors["labels"]
        return (Part({"a": pixels[labels == 0]}, recipe.batch), Part({"b": pixels[labels == 1][:7]}, recipe.batch))

    def loss_discriminator(self, batch: TwoSets, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Images of b from earlier fakes."""
        return fake_or_real(self.discriminator, batch.b, self.replayed(self.generator(batch.a).detach(), rng)), {}

    def loss_generator(self, batch: TwoSets, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """To be taken for an image of b."""
        return F.softplus(-self.discriminator(self.generator(batch.a))).mean(), {}

    def replayed(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """Each fake goes into the pool, and one that was there comes out."""
        chosen = []
        for fake in fakes:
            place = int(torch.randint(len(self.pool), (), generator=rng))
            chosen.append(self.pool[place].clone() if place < int(self.filled) else fake)
            self.pool[place] = fake
            self.filled.fill_(max(int(self.filled), place + 1))
        return torch.stack(chosen)


@dataclass(frozen=True, slots=True)
class SomeLabelled(Tensors):
    """A few labelled images and many without labels."""

    labelled: Tensor
    labels: Tensor
    unlabelled: Tensor


class SemiSupervisedGAN(GAN):
    """The K-logit discriminator: parts of different sizes, and batches of different sizes."""

    batch_type: ClassVar[type[Tensors]] = SomeLabelled

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.generator = perceptron(recipe.latent.size, PIXELS)
        self.discriminator = perceptron(PIXELS, cast(int, data.classes))

    @classmethod
    def parts(cls, tensors: Mapping[str, Tensor], recipe: Recipe, seed: int) -> Sequence[Part]:
        """The first six images with their labels, and all without."""
        pixels, labels = tensors["images"], tensors["labels"]
        labelled = Part({"labelled": pixels[:6], "labels": labels[:6]}, recipe.batch // 2)
        return labelled, Part({"unlabelled": pixels}, recipe.batch)

    def players(self) -> Sequence[Player]:
        """The classifier, then the generator."""
        return (
            Player("discriminator", tuple(self.discriminator.parameters()), Adam(1e-3), self.loss_discriminator),
            Player("generator", tuple(self.generator.parameters()), Adam(1e-3), self.loss_generator),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images."""
        return self.generator(z).tanh().view(-1, 1, SIDE, SIDE)

    def loss_discriminator(self, batch: SomeLabelled, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The labels, and reals from fakes by the sum of the classes' exponentials."""
        fakes = self.generate(self.latent(len(batch.unlabelled), rng=rng))
        real, fake = (self.discriminator(images).logsumexp(1) for images in (batch.unlabelled, fakes))
        supervised = F.cross_entropy(self.discriminator(batch.labelled), batch.labels)
        return supervised + F.softplus(-real).mean() + F.softplus(fake).mean(), {"logit/real": real, "logit/fake": fake}

    def loss_generator(self, batch: SomeLabelled, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """To be of some class."""
        fakes = self.generate(self.latent(len(batch.unlabelled), rng=rng))
        return F.softplus(-self.discriminator(fakes).logsumexp(1)).mean(), {}


@dataclass(frozen=True, slots=True)
class Sentences(Tensors):
    """Token sequences, int64 [N, T]."""

    tokens: Tensor


class SequenceGAN(Model):
    """SeqGAN's phases: the generator learns by likelihood, then the discriminator alone, then both in turn.

    Tokens are discrete, so the generator's gradient is that of the policy.
    """

    batch_type: ClassVar[type[Tensors]] = Sentences
    vocabulary = 5

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.generator = nn.Embedding(self.vocabulary, self.vocabulary)
        self.discriminator = nn.Sequential(nn.Embedding(self.vocabulary, 3), nn.Flatten(), nn.Linear(3 * SIDE, 1))

    @classmethod
    def parts(cls, tensors: Mapping[str, Tensor], recipe: Recipe, seed: int) -> Sequence[Part]:
        """A row of pixels per image, as tokens."""
        return (Part({"tokens": tensors["images"][:, 0, 0].long() % cls.vocabulary}, recipe.batch),)

    def players(self) -> Sequence[Player]:
        """Three players, of which two share the generator's parameters: each has losses and moments of its own."""
        generator, discriminator = tuple(self.generator.parameters()), tuple(self.discriminator.parameters())
        return (
            Player("likelihood", generator, Adam(1e-2), self.loss_likelihood, during(0, 2)),
            Player("discriminator", discriminator, Adam(1e-3), self.loss_discriminator, during(2, turns=2)),
            Player("generator", generator, Adam(1e-2), self.loss_generator, during(3)),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Tokens, int64 [N, T], sampled with uniform z [N, T]."""
        tokens = [torch.zeros(len(z), dtype=torch.int64)]
        for at in range(SIDE):
            chances = self.generator(tokens[-1]).softmax(1).cumsum(1)
            tokens.append((chances < z[:, at : at + 1]).sum(1).clamp(max=self.vocabulary - 1))
        return torch.stack(tokens[1:], 1)

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Of each token given the one before, [N, T]."""
        before = F.pad(tokens, (1, 0))[:, :-1]
        return -F.cross_entropy(self.generator(before).transpose(1, 2), tokens, reduction="none")

    def drawn(self, batch: Sentences, rng: torch.Generator) -> Tensor:
        """As many sequences as the batch has."""
        return self.generate(torch.rand(batch.tokens.shape, generator=rng))

    def loss_likelihood(self, batch: Sentences, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Teacher forcing."""
        return -self.log_likelihood(batch.tokens).mean(), {}

    def loss_discriminator(self, batch: Sentences, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Real sequences from drawn ones."""
        return fake_or_real(self.discriminator, batch.tokens, self.drawn(batch, rng)), {}

    def loss_generator(self, batch: Sentences, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The policy gradient, with the discriminator's verdict as the reward."""
        tokens = self.drawn(batch, rng)
        reward = self.discriminator(tokens).sigmoid().detach()
        return -(self.log_likelihood(tokens) * reward).sum(1).mean(), {}


class GrowingGAN(GeneratorDiscriminatorGAN):
    """ProGAN's growth: all levels are there, one more is used from step 3 on, and optimizers begin anew there."""

    objective = OBJECTIVES["non-saturating"]
    grows_at = 3
    level: Tensor

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.generator, self.discriminator = perceptron(recipe.latent.size, PIXELS // 4), perceptron(PIXELS // 4, 1)
        grown = {"generator": nn.Linear(PIXELS // 4, PIXELS), "discriminator": perceptron(PIXELS, 1)}
        self.grown = nn.ModuleDict(grown)
        self.register_buffer("level", torch.zeros((), dtype=torch.int64))

    def begin(self, step: int) -> None:
        """The level is a function of the step, and a buffer, so that the average of the weights knows it."""
        self.level.fill_(int(step >= self.grows_at))

    def resets(self, step: int) -> Collection[str]:
        """Both, when the networks grow."""
        return ("discriminator", "generator") if step == self.grows_at else ()

    def players(self) -> tuple[Player, Player]:
        """Both with the parameters of every level."""
        first, second = super().players()
        grown = {name: tuple(part.parameters()) for name, part in self.grown.items()}
        return (
            replace(first, parameters=(*first.parameters, *grown["discriminator"])),
            replace(second, parameters=(*second.parameters, *grown["generator"])),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of 8 x 8 pixels, enlarged from 4 x 4 until the networks have grown."""
        small = self.generator(z)
        if int(self.level):
            return self.grown["generator"](small).tanh().view(-1, 1, SIDE, SIDE)
        return F.interpolate(small.tanh().view(-1, 1, SIDE // 2, SIDE // 2), scale_factor=2)

    def discriminate(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """By the network of the level."""
        return self.rated(real), self.rated(fake)

    def rated(self, images: Tensor) -> Tensor:
        """Logits, [N]."""
        if int(self.level):
            return self.grown["discriminator"](images).flatten()
        return self.discriminator(F.avg_pool2d(images, 2)).flatten()

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """By the network of the level."""
        return self.objective.generator(self.rated(self.generate(self.latent(len(batch), rng=rng)))), {}


class SGHMC(torch.optim.Optimizer):
    """Stochastic gradient Hamiltonian Monte Carlo: a sampler in the place of an optimizer (Chen et al. 2014)."""

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float, friction: float) -> None:
        super().__init__(parameters, {"lr": lr, "friction": friction})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """v <- (1 - friction) v - lr g + N(0, 2 friction lr); the noise is torch's global randomness."""
        for group in self.param_groups:
            scale = (2 * group["friction"] * group["lr"]) ** 0.5
            for parameter in group["params"]:
                velocity = self.state[parameter].setdefault("velocity", torch.zeros_like(parameter))
                noise = torch.randn(parameter.shape, device=parameter.device) * scale
                velocity.mul_(1 - group["friction"]).sub_(parameter.grad, alpha=group["lr"]).add_(noise)
                parameter.add_(velocity)


def sghmc(parameters: Sequence[nn.Parameter], settings: Optimizer) -> torch.optim.Optimizer:
    """The sampler of a player's settings."""
    assert isinstance(settings, SGD)
    return SGHMC(parameters, cast(float, settings.lr), 1 - cast(float, settings.momentum))


class BayesianGAN(GAN):
    """Several generators and discriminators, each of them sampled; and state that is no tensor."""

    count = 2

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.generators = nn.ModuleList(perceptron(recipe.latent.size, PIXELS) for _ in range(self.count))
        self.discriminators = nn.ModuleList(perceptron(PIXELS, 1) for _ in range(self.count))
        self.collected: list[int] = []

    def get_extra_state(self) -> list[int]:
        """Plain values go into checkpoints with the weights."""
        return self.collected

    def set_extra_state(self, state: list[int]) -> None:
        """Back from a checkpoint."""
        self.collected = list(state)

    def begin(self, step: int) -> None:
        """Samples are collected at every other step."""
        if step % 2:
            self.collected.append(step)

    def players(self) -> Sequence[Player]:
        """discriminator-0, discriminator-1, generator-0, generator-1."""
        found = []
        for kind, networks in (("discriminator", self.discriminators), ("generator", self.generators)):
            for number, network in enumerate(networks):
                parameters, loss = tuple(network.parameters()), getattr(self, f"loss_{kind}")
                found.append(
                    Player(
                        f"{kind}-{number}",
                        parameters,
                        SGD(1e-3, 0.9),
                        lambda batch, rng, loss=loss, number=number: loss(number, batch, rng),
                        make=sghmc,
                    )
                )
        return found

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of the generators in turn."""
        images = torch.stack([network(z) for network in self.generators])
        return images[torch.arange(len(z)) % self.count, torch.arange(len(z))].tanh().view(-1, 1, SIDE, SIDE)

    def loss_discriminator(self, number: int, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """One discriminator against every generator."""
        fakes = self.generate(self.latent(len(batch), rng=rng))
        return fake_or_real(self.discriminators[number], batch.images, fakes), {}

    def loss_generator(self, number: int, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """One generator against every discriminator, joined by logsumexp."""
        fakes = self.generators[number](self.latent(len(batch), rng=rng)).tanh()
        losses = [F.softplus(-network(fakes)).mean() for network in self.discriminators]
        return torch.stack(losses).logsumexp(0), {}


MODELS: Mapping[str, type[GAN]] = {
    **{"tiny-pairs": PairedGAN, "tiny-unpaired": UnpairedGAN, "tiny-semi-supervised": SemiSupervisedGAN},
    **{"tiny-sequences": SequenceGAN, "tiny-growing": GrowingGAN, "tiny-bayesian": BayesianGAN},
}


@pytest.fixture(autouse=True)
def _variants(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny models stand in the table while a test runs."""
    for name, model in MODELS.items():
        recipe = replace(GAN_VARIANT.recipe("quick"), variant=name, settings=None, resolution=SIDE, batch=4, ema=0.9)
        recipe = replace(recipe, optimizers={"discriminator": Adam(1e-3), "generator": Adam(1e-3)})
        row = Variant(
            name=name,
            title="A tiny model",
            paper="none",
            task="a test",
            model=f"{__name__}:{model.__name__}",
            recipes={preset: replace(recipe, preset=preset) for preset in ("paper", "quick")},
            parameters={},
        )
        monkeypatch.setitem(VARIANTS._rows, name, row)  # type: ignore[attr-defined]


def training_of(name: str, **chosen: object) -> Training:
    """A training of a tiny model."""
    plan = make_plan(name, chosen={"steps": STEPS, **chosen})
    return Training(plan, some_images(classes=2))


@pytest.mark.parametrize("name", MODELS)
def test_it_is_interrupted_and_resumed_bit_for_bit(name: str, tmp_path: Path) -> None:
    """Weights, buffers, average, moments, orders of every part, and random states are restored."""
    whole, stopped = training_of(name), training_of(name)
    whole_logs = [whole.advance() for _ in range(STEPS)]
    for _ in range(STEPS // 2):
        stopped.advance()
    checkpoint.save(tmp_path / "last.pt", stopped, {})
    resumed = training_of(name)
    resumed.restore(checkpoint.load(tmp_path / "last.pt"))
    logs = [resumed.advance() for _ in range(STEPS - STEPS // 2)]
    assert_same_state(resumed.state(), whole.state())
    assert_same_state(logs, whole_logs[STEPS // 2 :])


@pytest.mark.parametrize("name", MODELS)
def test_every_player_learns_in_its_phase(name: str) -> None:
    """The parameters of each player have changed after all steps."""
    training = training_of(name)
    before = {key: value.clone() for key, value in training.model.named_parameters()}
    for _ in range(STEPS):
        training.advance()
    still = [key for key, value in training.model.named_parameters() if torch.equal(value, before[key])]
    assert not still


@pytest.mark.parametrize("name", MODELS)
def test_a_run_logs_draws_and_saves(name: str, tmp_path: Path) -> None:
    """The loop with its monitors and pictures accepts every model; one without images has no pictures."""
    training = training_of(name)
    folder = Folder(tmp_path / "run")
    folder.create()
    intervals = Intervals(log_every=2, sample_every=3, save_every=3)
    callbacks = Callbacks(monitors=[SpreadMonitor(), HeldOut(some_images(20, classes=2))])
    Loop(training, folder, intervals, callbacks).run()
    assert bool(list(folder.samples.iterdir())) == isinstance(training.model, GAN)
    assert len(folder.lines()) == STEPS // 2
    assert folder.checkpoint_path("last").exists()


@pytest.mark.parametrize("name", MODELS)
def test_its_layers_are_listed(name: str) -> None:
    """Every layer that the losses use is listed, for every type of batch."""
    assert layers(training_of(name).model)


def test_pairs_stay_together() -> None:
    """Row i of one tensor of a part stays with row i of the other, mirrored alike, in every epoch."""
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).repeat(1, 1, 1, 2)
    images[:, :, :, 1] += 100
    stream = BatchStream(
        [Part({"source": images, "target": images}, 4)], Pairs, seed=0, device="cpu", to="[0,1]", flips=True
    )
    for _ in range(6):
        batch = cast(Pairs, stream())
        assert torch.equal(batch.source, batch.target)


def test_parts_have_orders_of_their_own_and_end_their_epochs_apart() -> None:
    """Two sets of different sizes are each seen once per epoch of their own."""
    first, second = torch.arange(6), torch.arange(6)
    parts = [Part({"a": first}, 3), Part({"b": second}, 2)]
    stream = BatchStream(parts, TwoSets, seed=0, device="cpu", to="[0,1]", flips=False)
    batches = [cast(TwoSets, stream()) for _ in range(6)]
    for start in (0, 2, 4):
        assert sorted(torch.cat([batch.a for batch in batches[start : start + 2]]).tolist()) == list(range(6))
    for start in (0, 3):
        assert sorted(torch.cat([batch.b for batch in batches[start : start + 3]]).tolist()) == list(range(6))
    assert torch.cat([batch.a for batch in batches[:2]]).tolist() != torch.cat([one.b for one in batches[:3]]).tolist()
    assert stream.seen == [18, 12]


def test_a_part_that_is_too_small_is_refused() -> None:
    """Each part must have at least a batch of rows."""
    with pytest.raises(SourceError, match="has 1 image, too few for a batch of 2; choose --batch 1, or"):
        BatchStream(
            [Part({"a": torch.arange(4)}, 2), Part({"b": torch.arange(1)}, 2)],
            *(TwoSets,),
            **{"seed": 0, "device": "cpu", "to": "[0,1]", "flips": False},  # type: ignore[arg-type]
        )


def test_batches_of_several_sizes_are_split_or_refused() -> None:
    """Every tensor is split into equally many pieces, and one with too few rows is refused."""
    batch = SomeLabelled(torch.zeros(2, 1), torch.zeros(2), torch.zeros(4, 1))
    assert [(len(one.labelled), len(one.unlabelled)) for one in batch.split(2)] == [(1, 2), (1, 2)]
    with pytest.raises(UsageError, match=r"labelled 2, labels 2, unlabelled 4\) cannot be processed in 4 parts"):
        batch.split(4)


def test_a_phase_moves_its_players_alone() -> None:
    """The generator learns by likelihood first, then the discriminator, then both."""
    training = training_of("tiny-sequences")
    seen = [{key.removeprefix("loss/") for key in training.advance() if key.startswith("loss/")} for _ in range(5)]
    both = {"discriminator", "generator"}
    assert seen == [{"likelihood"}, {"likelihood"}, {"discriminator"}, both, both]


def test_optimizers_forget_when_networks_grow() -> None:
    """Adam counts its steps from the growth on."""
    training = training_of("tiny-growing")
    counts = []
    for _ in range(5):
        training.advance()
        counts.append(max(int(one["step"]) for one in training.tools.optimizers["generator"].state.values()))
    assert counts == [1, 2, 3, 1, 2]
    assert int(cast(GrowingGAN, training.best_model).level) == 1


def test_a_model_of_sequences_is_not_an_image_source() -> None:
    """Scoring it as images is refused with a message."""
    with pytest.raises(UsageError, match="tiny-sequences does not make images"):
        Sampler(training_of("tiny-sequences").model)
