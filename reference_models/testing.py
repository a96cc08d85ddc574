"""Check a model, also of another package, against the contract of every model.

    from reference_models.testing import check_model

    check_model("my-variant")

It raises AssertionError with a message about the first broken rule. No test framework is needed.
"""

import copy
from dataclasses import replace

import torch

from reference_models import build_model, find_variant, model_class
from reference_models.base import GAN, Model, SequenceModel, Translator, tools_for
from reference_models.batches import SequenceData, Tensors
from reference_models.data.batches import BatchStream
from reference_models.data.images import Images, images_of
from reference_models.data.placeholder import placeholder
from reference_models.data.tokens import Tokens, tokens_of
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.recipes import Recipe

CLASSES = 3


def check_model(variant: str, *, preset: str = "quick") -> None:
    """Check a variant against the contract of all variants, on a few random images; takes seconds for a small recipe.

    Args:
        variant: Its name; an installed package may declare it.
        preset: The recipe to build it with.

    Raises:
        AssertionError: A rule is broken; the message says which.
        UsageError: The variant or preset is unknown.
    """
    recipe = replace(find_variant(variant).recipe(preset), batch=6, ema=0.9)
    check_recipes(variant)
    check_samples(recipe)
    check_players(recipe)
    check_losses(recipe)
    check_restoring(recipe)


def check_recipes(variant: str) -> None:
    """Every recipe states what it follows, and has an optimizer for every player and an existing network."""
    row = find_variant(variant)
    _expect(bool(row.title and row.paper), f"{variant} has no title or no paper")
    for preset, recipe in row.recipes.items():
        where = f"The recipe {preset} of {variant}"
        _expect((recipe.variant, recipe.preset) == (variant, preset), f"{where} is called {recipe.preset}")
        _expect(bool(recipe.follows), f"{where} does not state what it follows")
        _expect(recipe.network in row.networks, f"{where} has an unknown network {recipe.network}")
        players = {player.name for player in _model(recipe).players()}
        _expect(
            set(recipe.optimizers) == players, f"{where} has optimizers for {set(recipe.optimizers)}, not {players}"
        )


def check_samples(recipe: Recipe) -> None:
    """Outputs for any number of latents or inputs have the declared shape and range, and are reproducible."""
    model = _model(recipe).eval()
    data = model.data
    if isinstance(data, SequenceData):
        assert isinstance(model, SequenceModel)
        _check_sequences(model)
        return
    with torch.no_grad():
        match model:
            case GAN():
                z = model.latent(5, rng=torch.Generator().manual_seed(3))
                _expect(tuple(z.shape) == (5, recipe.latent.size), f"{recipe.variant}: latents are {list(z.shape)}")
                labels = torch.arange(5) % CLASSES if model.conditional else None
                images, again = (model.generate(z, labels) for _ in range(2))
            case Translator():
                assert data.input_channels is not None
                assert data.input_resolution is not None
                inputs = torch.rand(5, data.input_channels, data.input_resolution, data.input_resolution)
                images, again = (model.translate(inputs, rng=torch.Generator().manual_seed(3)) for _ in range(2))
            case _:
                return
    low, shape = (-1.0 if model.value_range == "[-1,1]" else 0.0), (5, data.channels, data.resolution, data.resolution)
    _expect(tuple(images.shape) == shape, f"{recipe.variant}: images are {list(images.shape)}, not {list(shape)}")
    _expect(images.dtype == torch.float32, f"{recipe.variant}: images are {images.dtype}")
    within = bool(images.isfinite().all()) and float(images.min()) >= low and float(images.max()) <= 1
    _expect(within, f"{recipe.variant}: images are not within {model.value_range}")
    _expect(torch.equal(images, again), f"{recipe.variant}: the same latents or inputs give different images")


def _check_sequences(model: SequenceModel) -> None:
    """Sequences are tokens of the vocabulary, reproducible from the same numbers, with valid probabilities."""
    name, data = model.recipe.variant, model.data
    z = model.latent(5, rng=torch.Generator().manual_seed(3))
    tokens, again = (model.generate(z) for _ in range(2))
    _expect(tuple(tokens.shape) == (5, data.length), f"{name}: sequences are {list(tokens.shape)}")
    within = int(tokens.min()) >= 0 and int(tokens.max()) < len(data.vocabulary)
    _expect(tokens.dtype == torch.int64 and within, f"{name}: sequences have other tokens than the vocabulary")
    _expect(torch.equal(tokens, again), f"{name}: the same numbers give different sequences")
    likelihood = model.log_likelihood(tokens)
    fine = likelihood.shape == tokens.shape and bool((likelihood <= 0).all())
    _expect(fine, f"{name}: log-likelihoods are not one per token, of 0 or less")


def check_players(recipe: Recipe) -> None:
    """Every parameter has a player, and an update of a player changes only its own parameters."""
    model = _model(recipe)
    players = list(model.players())
    owned = [id(parameter) for player in players for parameter in player.parameters]
    everything = {id(parameter) for parameter in model.parameters()}
    _expect(set(owned) == everything, f"{recipe.variant}: some parameters belong to no player, or not to the model")
    tools = tools_for(model, draw=lambda: _batch(model), rng=torch.Generator().manual_seed(0))
    for player in players:
        before = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
        for seed in range(3):
            model.update(player, _batch(model, seed=seed), tools.optimizers[player.name], tools)
        own = {id(parameter) for parameter in player.parameters}
        moved = {id(parameter) for parameter, was in before if not torch.equal(parameter, was)}
        _expect(bool(moved), f"{recipe.variant}: the {player.name} learns nothing")
        _expect(moved <= own, f"{recipe.variant}: the {player.name} changes parameters of another player")


def check_losses(recipe: Recipe) -> None:
    """Each loss is a finite scalar."""
    model = _model(recipe)
    for player in model.players():
        loss, _ = player.loss(_batch(model), torch.Generator().manual_seed(0))
        fine = loss.shape == () and bool(loss.isfinite())
        _expect(fine, f"{recipe.variant}: the loss of the {player.name} is {loss.detach()}, not a finite scalar")


def check_restoring(recipe: Recipe) -> None:
    """A restored training continues bit for bit, independently of the caller's random state."""
    first, second = _training(recipe), _training(recipe)
    first.advance()
    state = copy.deepcopy(first.state())
    first.advance()
    second.restore(state)
    torch.manual_seed(99)
    second.advance()
    # Buffers that are not saved, too: their contents may affect a later step.
    one, other = ({**of.model.state_dict(), **dict(of.model.named_buffers())} for of in (first, second))
    same = one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    _expect(same, f"{recipe.variant}: a restored training continues differently; some state is not in a buffer")


def _model(recipe: Recipe) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return build_model(recipe, model_class(recipe).data_for(recipe, CLASSES))


def _batch(model: Model, count: int = 6, seed: int = 0) -> Tensors:
    """A batch for the model, made from random labelled images in its range."""
    parts = model.parts(placeholder(model, count, seed=seed), replace(model.recipe, batch=count), seed)
    return BatchStream(parts, model.batch_type, seed=seed, device="cpu", to=model.value_range, flips=False)()


def examples_for(model: Model, count: int = 16) -> Images | Tokens:
    """A training set of random images or sequences that fits a model, with `count` rows or more."""
    found = placeholder(model, count)
    if isinstance(model, SequenceModel):
        return tokens_of(found["tokens"], model.data.vocabulary)
    return images_of(found["images"], found.get("labels"), inputs=found.get("inputs"))


def _training(recipe: Recipe) -> Training:
    return Training(TrainingPlan(recipe=recipe, data="some images", seed=1), examples_for(_model(recipe)))


def _expect(truth: bool, sentence: str) -> None:
    if not truth:
        raise AssertionError(f"{sentence}.")
