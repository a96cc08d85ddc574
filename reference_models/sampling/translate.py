"""Translate the images of any source with a trained model, into a folder, a grid or an .npz."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ganeval.atomic import atomic_folder, atomic_write
from ganeval.errors import SourceError, UsageError
from ganeval.grids import write_grid
from ganeval.images import to_rgb
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.sources import Reading, ReadReport, Source, length, open_source
from reference_models.base import SequenceModel, Translator
from reference_models.data.images import grey
from reference_models.engine.translations import translated
from reference_models.sampling.sampler import trained_model
from reference_models.sampling.samples import check_output

# Maximum number of images in a grid.
MAX_IN_A_GRID = 100
COLUMNS = 4
# Digits of the image numbers for a stream.
DIGITS = 6
# Neighbouring tiles share this fraction of their side, over which they are blended.
OVERLAP = 4


def open_translator(
    run: str | Path, *, weights: Literal["average", "raw"] = "average", device: str = "auto"
) -> Translator:
    """Open a trained model that translates images.

    Args:
        run: A run's folder, RUN@best, RUN@2000 (a step) or a checkpoint's file, with or without "ckpt:".
        weights: "average" for the average over training, where the run kept one; "raw" for the last weights.
        device: "auto", "cpu", "cuda", ...

    Returns:
        The model, in evaluation mode.

    Raises:
        UsageError: There is no such run, or its model does not translate images.
        CheckpointError: The checkpoint cannot be used.
    """
    model = trained_model(run, weights=weights, device=device)
    if not isinstance(model, Translator):
        made = "sequences" if isinstance(model, SequenceModel) else "images from latents"
        raise UsageError(
            f"{model.recipe.variant} makes {made} and translates no image; `ganeval sample {run}` draws some."
        )
    return model


def translate(
    model: Translator,
    source: object,
    output: str | Path,
    *,
    num_samples: int | None = None,
    tile: int | None = None,
    seed: int = 0,
    columns: int | None = None,
    scale: int | None = None,
    progress: Progress = silent,
) -> int:
    """Translate images of a source, and write them.

    Args:
        model: The model, as `open_translator` returns it.
        source: What `ganeval.open_source` takes.
        output: A new folder, for a PNG per image under the name of its input, so that `ganeval pairs` finds the
            partner of each; an .npz; or a .png for a grid, in which each output follows its input.
        num_samples: Images to translate, a random subset, or the first ones of a stream; None for all, and for a grid
            for at most 100.
        tile: Translate larger images in tiles of this many pixels, which overlap by a quarter; None for whole images.
        seed: Seed of the subset, and of a model with randomness.
        columns: Pairs per row of a grid; None for 4.
        scale: Magnification in a grid; None for 1, or more where images are small.
        progress: Shows how images are translated.

    Returns:
        The number of images that were translated.

    Raises:
        UsageError: The output cannot be written, or the model cannot translate images of this size.
        SourceError: The images cannot be read.
        ResultError: The file cannot be written.
    """
    path = Path(output)
    with processes().together():
        check_output(path)
    if model.exemplars:
        raise UsageError(
            f"{model.recipe.variant} fills an image using another one, its exemplar, but single images have none; "
            "`ganeval train-and-score` shows its results for --held-out hole:SOURCE with classes."
        )
    _check_tile(model, tile)
    opened = open_source(source, num_samples=num_samples, seed=seed)
    known = length(opened)
    if path.suffix.lower() == ".png" and num_samples is None and known is not None and known > MAX_IN_A_GRID:
        opened = open_source(source, num_samples=MAX_IN_A_GRID, seed=seed)
    made = _made(model, opened, tile=tile, seed=seed, progress=progress)
    if path.suffix.lower() == ".png":
        return _write_grid(
            made if known is not None else islice(made, MAX_IN_A_GRID),
            path,
            columns=COLUMNS if columns is None else columns,
            scale=scale,
        )
    if path.suffix.lower() == ".npz":
        outputs = _one_size([image for _, _, image in made], path)
        with atomic_write(path) as file:
            np.savez(file, arr_0=outputs.permute(0, 2, 3, 1).contiguous().numpy())
        return len(outputs)
    return _write_folder(made, opened, path)


def _made(
    model: Translator, source: Source, *, tile: int | None, seed: int, progress: Progress
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The index, the input and the output of every image, uint8 [3, H, W]; each is translated separately."""
    channels = model.data.input_channels
    index = 0
    with (
        closing(source.batches(Reading(), ReadReport())) as batches,
        progress(source.name, length(source)) as advance,
    ):
        for batch in batches:
            images = [batch.groups[0].images[0]] * len(batch)
            for group in batch.groups:
                for row, image in zip(group.rows, group.images, strict=True):
                    images[row] = image
            for image in images:
                given = grey(image[None]) if channels == 1 else image[None]
                output = _whole(model, given, tile=tile, seed=seed, where=source.item_name(index))
                yield index, image.cpu(), to_rgb(output, where=model.recipe.variant)[0]
                index += 1
            advance(len(batch))


def _whole(model: Translator, image: Tensor, *, tile: int | None, seed: int, where: str) -> Tensor:
    """One translated image, uint8 [1, C, H, W], in tiles if it is larger than they are."""
    height, width = image.shape[2:]
    trained, multiple = model.data.input_resolution, model.multiple
    if multiple is None and (height, width) != (trained, trained):
        raise UsageError(
            f"{where} has {width} x {height} pixels, but this network translates only images of {trained} x {trained} "
            "pixels; resize them first (`enlarged:SOURCE,FACTOR` and `lowres:SOURCE,FACTOR` do by whole factors)."
        )
    if tile is not None and max(height, width) > tile:
        return _tiled(model, image, tile, seed=seed)
    return _padded(model, image, seed=seed)


def _padded(model: Translator, image: Tensor, *, seed: int) -> Tensor:
    """Translate an image of any size: pad it on the right and bottom to the next multiple, and crop the result."""
    height, width = image.shape[2:]
    multiple = model.multiple or 1
    more = (-width % multiple, -height % multiple)
    given = pad(image.float(), (0, more[0], 0, more[1]), mode="replicate").to(torch.uint8) if any(more) else image
    made = translated(model, given, seed=seed)
    factor = made.shape[2] / given.shape[2]
    return made[:, :, : round(height * factor), : round(width * factor)]


def _tiled(model: Translator, image: Tensor, tile: int, *, seed: int) -> Tensor:
    """Translate an image in overlapping tiles; overlaps are blended linearly."""
    height, width = image.shape[2:]
    total = weights = None
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            made = translated(model, image[:, :, top : top + tile, left : left + tile], seed=seed).float()
            size = min(tile, height), min(tile, width)
            factor = made.shape[2] // size[0]
            if total is None or weights is None:
                total = torch.zeros(1, made.shape[1], height * factor, width * factor)
                weights = torch.zeros_like(total[:, :1])
            place = (
                ...,
                slice(top * factor, top * factor + made.shape[2]),
                slice(left * factor, left * factor + made.shape[3]),
            )
            weight = _fade(made.shape[2])[:, None] * _fade(made.shape[3])
            total[place] += made * weight
            weights[place] += weight
    assert total is not None
    assert weights is not None
    return (total / weights).round().to(torch.uint8)


def _starts(length: int, tile: int) -> list[int]:
    """The first pixels of tiles that cover a length; the last tile ends at its end."""
    if length <= tile:
        return [0]
    step = tile - tile // OVERLAP
    return [*range(0, length - tile, step), length - tile]


def _fade(side: int) -> Tensor:
    """Weights of a tile along one side: 1 in the middle, and linear over the overlap at both ends."""
    ramp = max(1, side // OVERLAP)
    distance = torch.minimum(torch.arange(side), torch.arange(side - 1, -1, -1)) + 1
    return (distance / (ramp + 1)).clamp(max=1.0)


def _check_tile(model: Translator, tile: int | None) -> None:
    """UsageError for a tile that the model cannot translate."""
    if tile is None:
        return
    if model.multiple is None:
        raise UsageError(
            f"{model.recipe.variant}'s network translates only images of one size, so tiles do not help; leave them "
            "out."
        )
    if tile < OVERLAP or tile % model.multiple:
        raise UsageError(
            f"tile is {tile}; it must be a multiple of {model.multiple} for this network, and at least {OVERLAP}."
        )


def _write_grid(made: Iterator[tuple[int, Tensor, Tensor]], path: Path, *, columns: int, scale: int | None) -> int:
    """Inputs and outputs alternating; an input of another size is resized to that of its output."""
    shown: list[Tensor] = []
    for _, image, output in made:
        size = output.shape[1:]
        shown += [image if image.shape[1:] == size else interpolate(image[None], size, mode="nearest")[0], output]
    tiles = _one_size(shown, path)
    count = len(tiles) // 2
    headings = ["input", "output"] * min(columns, count)
    usual = max(1, 64 // tiles.shape[3])
    write_grid(tiles, path, columns=2 * columns, headings=headings, scale=usual if scale is None else scale)
    return count


def _one_size(images: list[Tensor], path: Path) -> Tensor:
    """Images in one tensor; UsageError if their sizes differ."""
    sizes = {tuple(image.shape[1:]) for image in images}
    if len(sizes) > 1:
        raise UsageError(
            f"The translated images have different sizes ({', '.join(f'{w} x {h}' for h, w in sorted(sizes)[:3])}), "
            f"which {path.name} cannot hold; write them to a folder."
        )
    return torch.stack(images)


def _write_folder(made: Iterator[tuple[int, Tensor, Tensor]], source: Source, path: Path) -> int:
    """A PNG per image, named after its input if that has a name."""
    name = _output_names(source)
    count = 0
    with atomic_folder(path) as folder:
        for index, _, output in made:
            file = folder / name(index)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(output.permute(1, 2, 0).contiguous().numpy()).save(file)
            count += 1
    return count


def _output_names(source: Source) -> Callable[[int], str]:
    """The name of each output, by position: its input's name with the ending .png, or its number."""
    given, count = getattr(source, "file_names", None), length(source)
    if given is None:
        digits = DIGITS if count is None else len(str(max(0, count - 1)))
        return lambda index: f"{index:0{digits}}.png"
    names = [str(PurePosixPath(name).with_suffix(".png")) for name in given]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise SourceError(
            f"{source.name} has two images whose translations would both be called {twice}; rename one of them."
        )
    return names.__getitem__
