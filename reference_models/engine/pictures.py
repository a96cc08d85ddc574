"""The picture that a run draws during training, always of the same latents or inputs."""

from pathlib import Path

import torch

from ganeval.images import to_rgb, to_uint8
from ganeval.sources import Sandbox
from reference_models.base import GAN, SequenceModel, Translator
from reference_models.engine.class_grid import write_labelled
from reference_models.engine.sequences import write_sequences
from reference_models.engine.training import Training
from reference_models.engine.translations import columns, translated, write_translations

# Number of images in a picture of samples, and of rows in one of translations.
SAMPLES, TRANSLATIONS = 100, 8


def write_picture(training: Training, path: Path) -> None:
    """Write a PNG of the model's images, or a text with one sequence per line. path: of the PNG."""
    match training.best_model:
        case SequenceModel() as model:
            write_sequences(model, path.with_suffix(".txt"), count=SAMPLES, seed=training.plan.seed)
        case GAN() as model:
            _write_samples(model, training, path)
        case Translator() as model:
            images = training.images
            inputs = images.tensors["inputs"][:TRANSLATIONS]
            outputs = translated(model, inputs, seed=training.plan.seed)
            targets = images.pixels[:TRANSLATIONS] if images.aligned else None
            write_translations(path, columns(inputs=inputs, outputs=outputs, targets=targets))


def _write_samples(model: GAN, training: Training, path: Path) -> None:
    """SAMPLES images, of all classes in turn if the model is conditional."""
    seed, device = training.plan.seed, training.plan.device
    rng = torch.Generator(device).manual_seed(seed)
    labels = None
    if model.conditional and model.data.classes:
        labels = torch.arange(SAMPLES, device=device) % model.data.classes
    with Sandbox(model, seed), torch.no_grad():
        images = model.generate(model.latent(SAMPLES, rng=rng), labels)
    name = model.recipe.variant
    shown = to_rgb(to_uint8(images, model.value_range, where=name), where=name)
    write_labelled(shown, None if labels is None else labels.tolist(), path, names=model.data.class_names)
