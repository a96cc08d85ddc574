"""Improved techniques for training GANs (Salimans et al. 2016): a discriminator that also classifies, trained with few
labels.

The discriminator has one logit per class, and the class of fakes is implicit: D(x) = Z / (Z + 1) with Z the sum of the
exponentials of the logits. It minimises the cross-entropy of the labelled images, half of -log D(x) of the unlabelled
ones, and half of -log(1 - D(G(z))). With lse = log Z, the last two are softplus(lse) - lse and softplus(lse).

The generator matches the batch means of the discriminator's last hidden layer; the paper's other techniques are
settings. For MNIST, both are perceptrons, and noise is added to the pixels and to the units of the discriminator; for
CIFAR-10, both are convolutional, and the discriminator has dropout. Scales and biases of weight normalisation are set
on a first batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector

from ganeval.errors import UsageError
from ganeval.ranges import ValueRange
from reference_models.base import GAN, Logs, Player, SemiSupervised, Tools
from reference_models.batches import Data, Part, Tensors
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.labels import balanced
from reference_models.blocks.networks import SLOPE, check_resolution, enlarge
from reference_models.blocks.virtual_norm import ShiftedBatchNorm, VirtualBatchNorm
from reference_models.blocks.weight_norm import WeightNorm, fitted
from reference_models.models.ssgan_recipes import Settings
from reference_models.recipes import Recipe
from reference_models.sharing import everyones, own_rows


@dataclass(frozen=True, slots=True)
class PartlyLabelled(Tensors):
    """A batch of labelled images and one of unlabelled images.

    Attributes:
        labelled: float32 ``[N, C, H, W]`` in [0, 1].
        labels: int64 ``[N]``.
        unlabelled: float32 ``[N, C, H, W]`` in [0, 1].
    """

    labelled: Tensor
    labels: Tensor
    unlabelled: Tensor


class Noise(nn.Module):
    """Adds normal noise of a deviation to training batches."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """Any shape => the same"""
        return x + self.deviation * torch.randn_like(x) if self.training and self.deviation else x


class Affine(nn.Module):
    """x => factor x + shift"""

    def __init__(self, factor: float, shift: float) -> None:
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, x: Tensor) -> Tensor:
        """Any shape => the same"""
        return self.factor * x + self.shift


class MinibatchDiscrimination(nn.Module):
    """Features [N, F] => how close each row is to the other rows of its batch, per kernel, [N, kernels] (section 3.2).

    A kernel maps features to `size` numbers; closeness is the sum over the other rows of exp(-L1 distance). Kernels are
    scaled on a first batch (`fit`), because otherwise the exponentials of distances between many features are all 0.
    Outside training, where an image must not depend on its batch, every row gets the mean closeness of reals in
    training.
    """

    usual: Tensor

    def __init__(self, features: int, kernels: int, size: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(features, kernels, size) * 0.05)
        self.log_scale = nn.Parameter(torch.zeros(kernels, size))
        self.bias = nn.Parameter(torch.full((kernels,), -1.0))
        self.register_buffer("usual", torch.zeros(kernels))

    def forward(self, features: Tensor) -> Tensor:
        """float32 [N, F] => float32 [N, kernels]"""
        if not self.training:
            return self.usual.expand(len(features), -1)
        return (-self.distances(features)).exp().sum(1) + self.bias

    def distances(self, features: Tensor) -> Tensor:
        """L1 distances between all rows of a batch per kernel, [N, N, kernels]; infinite between a row and itself."""
        unit = self.direction / torch.linalg.vector_norm(self.direction, dim=0)
        projected = torch.einsum("nf,fks->nks", features, unit * self.log_scale.exp())
        others = everyones(projected)
        apart = (projected[:, None] - others[None]).abs().sum(3)
        own = own_rows(torch.eye(len(others), dtype=torch.bool, device=features.device))
        return apart.masked_fill(own[:, :, None], torch.inf)

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Scale each kernel so that the mean distance to the nearest row is 2; shift the means to 0."""
        nearest = self.distances(features).amin(1).mean(0) / 2
        self.log_scale.sub_(torch.where(nearest > 0, nearest, 1.0).log()[:, None])
        self.bias.copy_(-(-self.distances(features)).exp().sum(1).mean(0))

    @torch.no_grad()
    def remember(self, features: Tensor) -> None:
        """Update the running mean closeness of reals."""
        self.usual.lerp_(everyones(self(features.detach())).mean(0), 0.1)


class Classifier(nn.Module):
    """Images [N, C, R, R] => logits of the classes [N, classes]."""

    def __init__(self, hidden: nn.Module, last: nn.Module, features: int, settings: Settings) -> None:
        super().__init__()
        self.hidden, self.last = hidden, last
        self.closeness = None
        if settings.kernels:
            self.closeness = MinibatchDiscrimination(features, settings.kernels, settings.kernel_size)

    def features(self, images: Tensor) -> Tensor:
        """The last hidden layer, [N, features]."""
        found: Tensor = self.hidden(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """float32 [N, C, R, R] => float32 [N, classes]"""
        (logits,) = self.logits(self.features(images))
        return logits

    def logits(self, *groups: Tensor) -> Sequence[Tensor]:
        """Features of several batches, kept apart in minibatch discrimination => logits of each."""
        if self.closeness is not None:
            groups = tuple(torch.cat([features, self.closeness(features)], 1) for features in groups)
        return torch.split(self.last(torch.cat(groups)), [len(features) for features in groups])


class Generator(nn.Module):
    """Latents [N, latent size] => images [N, C, R, R].

    reference: the latents of the reference batch of virtual batch normalisation; None for batch normalisation.
    """

    reference: Tensor | None

    def __init__(self, layers: nn.Sequential, reference: Tensor | None) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("reference", reference)

    def forward(self, z: Tensor) -> Tensor:
        """float32 [N, latent size] => float32 [N, C, R, R]"""
        if self.reference is None:
            images: Tensor = self.layers(z)
            return images
        images = self.layers(torch.cat([self.reference, z]))
        return images[len(self.reference) :]


class HistoricalAverage(nn.Module):
    """The mean of all earlier values of a player's parameters (historical averaging, section 3.3)."""

    mean: Tensor
    count: Tensor

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(sum(parameter.numel() for parameter in parameters)))
        self.register_buffer("count", torch.zeros(()))

    def penalty(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """The squared distance of the parameters from their mean; 0 before the first `add`."""
        distance = (parameters_to_vector(parameters) - self.mean).square().sum()
        return torch.where(self.count > 0, distance, 0.0)

    @torch.no_grad()
    def add(self, parameters: Sequence[nn.Parameter]) -> None:
        """Include the current values in the mean."""
        self.count += 1
        self.mean.lerp_(parameters_to_vector(parameters), float(1 / self.count))


class SSGAN(GAN, SemiSupervised):
    """The paper's semi-supervised GAN: `generate` makes images, `classify` finds the classes of images."""

    value_range: ClassVar[ValueRange] = "[0,1]"
    learns_labels: ClassVar[bool] = True
    batch_type: ClassVar[type[Tensors]] = PartlyLabelled
    labels_alone: ClassVar[Mapping[str, object]] = MappingProxyType({"settings.learns_from": "labels"})

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.settings, classes = cast(Settings, recipe.settings), cast(int, data.classes)
        if self.settings.smoothing >= 1:
            raise UsageError(
                f"smoothing of {recipe.variant} is {self.settings.smoothing}; the label of reals is 1 - smoothing, so "
                "it must be below 1, and 0.1 to 0.25 is usual."
            )
        reference = self.latent(recipe.batch, rng=torch.default_generator) if self.settings.norm == "virtual" else None
        if recipe.network == "cifar":
            check_resolution("The network 'cifar' of ssgan", data.resolution, (32,), otherwise=", or --network paper")
            layers, self.discriminator = _conv_generator(recipe, data), _conv_classifier(data, classes, self.settings)
        else:
            layers, self.discriminator = _dense_generator(recipe, data), _dense_classifier(recipe, data, classes)
        self.generator = Generator(layers, reference)
        self.histories = nn.ModuleDict()
        if self.settings.history:
            self.histories.update({player.name: HistoricalAverage(player.parameters) for player in self.players()})

    @classmethod
    def parts(cls, tensors: Mapping[str, Tensor], recipe: Recipe, seed: int) -> Sequence[Part]:
        """A few labelled images, repeated if a batch is larger, and all images without labels."""
        images, labels = tensors["images"], tensors.get("labels")
        if labels is None:
            raise UsageError(f"{recipe.variant} learns from labels, but these images have none; give labelled images.")
        rows = cls.labelled(labels, recipe, seed)
        rows = rows.repeat(-(-recipe.batch // len(rows)))
        chosen = {"labelled": images[rows.to(images.device)], "labels": labels[rows.to(labels.device)]}
        return Part(chosen, recipe.batch), Part({"unlabelled": images}, recipe.batch)

    @classmethod
    def labelled(cls, labels: Tensor, recipe: Recipe, seed: int) -> Tensor:
        """Equally many images of each class, up to one."""
        return balanced(labels, cast(Settings, recipe.settings).labelled, seed=seed)

    def players(self) -> tuple[Player, Player]:
        """The discriminator, then the generator, which is not updated if only labels are used."""
        rates, at_play = self.recipe.optimizers, int(self.settings.learns_from == "everything")
        discriminator, generator = tuple(self.discriminator.parameters()), tuple(self.generator.parameters())
        return (
            Player("discriminator", discriminator, rates["discriminator"], self.loss_discriminator),
            Player("generator", generator, rates["generator"], self.loss_generator, at_play),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in [0, 1]"""
        images: Tensor = self.generator(z)
        return images

    def classify(self, images: Tensor) -> Tensor:
        """float32 [N, C, R, R] in [0, 1] => logits of the classes, float32 [N, classes]"""
        logits: Tensor = self.discriminator(images)
        return logits

    def step(self, number: int, tools: Tools) -> Logs:
        """One step of both players; before the first, weight normalisation is fitted to a batch of labelled images."""
        if number == 0:
            self._fit(cast(PartlyLabelled, tools.draw()), tools.rng)
        return super().step(number, tools)

    def loss_discriminator(self, batch: PartlyLabelled, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-log p(y | x), and (-log D(x) - log(1 - D(G(z)))) / 2; the label of unlabelled reals is 1 - smoothing."""
        groups = [batch.labelled]
        if self.settings.learns_from == "everything":
            groups += [batch.unlabelled, self.generate(self.latent(len(batch.unlabelled), rng=rng)).detach()]
        # Rows are independent before `logits`, so all images pass together.
        features = torch.split(self.discriminator.features(torch.cat(groups)), [len(images) for images in groups])
        if self.discriminator.closeness is not None:
            self.discriminator.closeness.remember(features[0])
        logits, *in_play = self.discriminator.logits(*features)
        classes = F.cross_entropy(logits, batch.labels, reduction="none")
        logs: Logs = {"loss/class": classes}
        loss = classes.mean() + self._pull("discriminator")
        if not in_play:
            return loss, logs
        real, fake = (logits.logsumexp(1) for logits in in_play)
        game = (F.softplus(real) - (1 - self.settings.smoothing) * real).mean() + F.softplus(fake).mean()
        return loss + game / 2, logs | logit_logs(real, fake)

    def loss_generator(self, batch: PartlyLabelled, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The distance between mean features of reals and fakes, or -log D(G(z))."""
        fakes = self.generate(self.latent(len(batch.unlabelled), rng=rng))
        if self.settings.generator_loss == "non-saturating":
            loss = F.softplus(-self.discriminator(fakes).logsumexp(1)).mean()
        else:
            made, seen = self.discriminator.features(torch.cat([fakes, batch.unlabelled])).chunk(2)
            apart = everyones(made).mean(0) - everyones(seen).mean(0)
            loss = apart.square().mean() if self.settings.generator_loss == "matching-squares" else apart.abs().mean()
        return loss + self._pull("generator"), {}

    def after(self, player: Player, logs: Logs) -> Logs:
        """Update the history of the parameters."""
        if player.name in self.histories:
            cast(HistoricalAverage, self.histories[player.name]).add(player.parameters)
        return super().after(player, logs)

    def _pull(self, name: str) -> Tensor | float:
        """The penalty of historical averaging of a player; 0 without it."""
        if name not in self.histories:
            return 0.0
        parameters = tuple(self.get_submodule(name).parameters())
        return self.settings.history * cast(HistoricalAverage, self.histories[name]).penalty(parameters)

    @torch.no_grad()
    def _fit(self, batch: PartlyLabelled, rng: torch.Generator) -> None:
        """Initialise on a first batch: of labelled images, and of fakes for the generator of "cifar"."""
        with fitted(self.discriminator):
            features = self.discriminator.features(batch.labelled)
            if self.discriminator.closeness is not None:
                self.discriminator.closeness.fit(features)
            self.discriminator.logits(features)
        if self.recipe.network == "cifar":
            with fitted(self.generator):
                self.generate(self.latent(self.recipe.batch, rng=rng))


def _norm(recipe: Recipe, channels: int, dimensions: int) -> nn.Module:
    """The generator's normalisation."""
    if cast(Settings, recipe.settings).norm == "virtual":
        return VirtualBatchNorm(channels, recipe.batch)
    return ShiftedBatchNorm(channels, dimensions)


def _dense_generator(recipe: Recipe, data: Data) -> nn.Sequential:
    """Two hidden layers with softplus, and sigmoid pixels."""
    width, pixels = cast(Settings, recipe.settings).generator_width, data.channels * data.resolution**2
    layers: list[nn.Module] = []
    for before in (recipe.latent.size, width):
        layers += [_drawn(nn.Linear(before, width, bias=False)), _norm(recipe, width, 1), nn.Softplus()]
    layers += [WeightNorm(_drawn(nn.Linear(width, pixels, bias=False)), learns=True), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Unflatten(1, (data.channels, data.resolution, data.resolution)))


def _dense_classifier(recipe: Recipe, data: Data, classes: int) -> Classifier:
    """Noise before every layer. "paper": width, its half, three times its quarter, ReLU; "plain": width twice."""
    settings, pixels = cast(Settings, recipe.settings), data.channels * data.resolution**2
    width = settings.width
    plain = recipe.network == "plain"
    widths = [width, width] if plain else [width, width // 2, *[width // 4] * 3]
    layers: list[nn.Module] = [nn.Flatten(), Noise(settings.pixel_noise)]
    for before, after in pairwise([pixels, *widths]):
        linear = nn.Linear(before, after, bias=False)
        nn.init.normal_(linear.weight, 0.0, 0.1)
        layers += [WeightNorm(linear), nn.LeakyReLU(SLOPE) if plain else nn.ReLU(), Noise(settings.unit_noise)]
    last = nn.Linear(widths[-1] + settings.kernels, classes, bias=False)
    nn.init.normal_(last.weight, 0.0, 0.1)
    # The noise after the last hidden layer is not part of the features.
    output = nn.Sequential(layers.pop(), WeightNorm(last, learns=True))
    return Classifier(nn.Sequential(*layers), output, widths[-1], settings)


def _drawn(layer: nn.Linear) -> nn.Linear:
    nn.init.xavier_uniform_(layer.weight)
    return layer


def _draw(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.05)


def _conv_generator(recipe: Recipe, data: Data) -> nn.Sequential:
    """Dense to 4 x 4, three fractionally-strided 5 x 5 convolutions, ReLU; tanh pixels, mapped to [0, 1]."""
    width = cast(Settings, recipe.settings).generator_width
    widths = [width * 4, width * 2, width]
    dense = nn.Linear(recipe.latent.size, widths[0] * 16, bias=False)
    layers: list[nn.Module] = [dense, _norm(recipe, widths[0] * 16, 1), nn.ReLU(), nn.Unflatten(1, (widths[0], 4, 4))]
    for before, after in pairwise(widths):
        layers += [enlarge(before, after, 5), _norm(recipe, after, 2), nn.ReLU()]
    layers += [WeightNorm(enlarge(width, data.channels, 5), learns=True, deviation=0.1), nn.Tanh(), Affine(0.5, 0.5)]
    network = nn.Sequential(*layers)
    _draw(network)
    return network


def _conv_classifier(data: Data, classes: int, settings: Settings) -> Classifier:
    """Three blocks of 3 x 3 convolutions, leaky ReLU; a fifth of the pixels and half of two blocks' units dropped."""
    width, channels = settings.width, data.channels
    layers: list[nn.Module] = [Affine(2.0, -1.0), nn.Dropout(0.2)]
    for before, after in ((channels, width), (width, width * 2)):
        for inputs, stride in ((before, 1), (after, 1), (after, 2)):
            layers += [WeightNorm(nn.Conv2d(inputs, after, 3, stride, padding=1, bias=False)), nn.LeakyReLU(SLOPE)]
        layers += [nn.Dropout(0.5)]
    for kernel in (3, 1, 1):
        layers += [WeightNorm(nn.Conv2d(width * 2, width * 2, kernel, bias=False)), nn.LeakyReLU(SLOPE)]
    last = WeightNorm(nn.Linear(width * 2 + settings.kernels, classes, bias=False), learns=True, deviation=0.1)
    found = Classifier(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), last, width * 2, settings)
    _draw(found)
    return found
