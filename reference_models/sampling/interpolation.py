"""Interpolation between latents, and arithmetic with the mean latents of chosen samples.

Sample i of a seed is the same image in a folder, in a grid, for a metric, and in latent arithmetic.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.errors import UsageError
from ganeval.images import to_rgb, to_uint8
from ganeval.sources import CHUNK, Sandbox, chunk_seed
from reference_models.data.classes import listed
from reference_models.sampling.sampler import Sampler

# Maximum offset per latent dimension of the neighbours of a result of latent arithmetic, as in Radford et al. 2015.
NEIGHBOURHOOD = 0.25
# Number of samples that can be given by number.
NAMEABLE = 1_000_000


def latents(sampler: Sampler, samples: Sequence[int], *, seed: int) -> Tensor:
    """float32 [len(samples), latent size]: the latents of samples of a seed. UsageError for too large numbers."""
    last = max(samples)
    if last >= NAMEABLE:
        raise UsageError(f"There is no sample {last} to name; samples are numbered from 0 to {NAMEABLE - 1}.")
    drawn: dict[int, Tensor] = {}
    for number in {sample // CHUNK for sample in samples}:
        rng = torch.Generator(sampler.device).manual_seed(chunk_seed(seed, number))
        drawn[number] = sampler.latent(CHUNK, rng)
    return torch.stack([drawn[sample // CHUNK][sample % CHUNK] for sample in samples])


def render(sampler: Sampler, z: Tensor, label: str | int | None) -> Tensor:
    """Latents [N, latent size] => their images, uint8 [N, 3, H, W] on the CPU; the model is not changed."""
    classes = sampler.num_classes
    if isinstance(label, str):
        (label,) = sampler.find_classes([label])
    if (label is None) != (classes is None) or (label is not None and not 0 <= label < (classes or 0)):
        names = sampler.class_names or tuple(map(str, range(classes or 0)))
        known = "no classes" if classes is None else f"the classes {listed(names)}"
        raise UsageError(f"This model has {known}; give a label if, and only if, a model has classes.")
    labels = None if label is None else torch.full((len(z),), label, device=z.device)
    with Sandbox(sampler, 0), torch.no_grad():
        images = sampler.model.generate(z, labels)
    name = sampler.model.recipe.variant
    return to_rgb(to_uint8(images.detach(), sampler.value_range, where=name), where=name).cpu()


def interpolate(sampler: Sampler, *, rows: int, columns: int, seed: int, label: str | int | None = None) -> Tensor:
    """Interpolate between samples: row r goes from sample 2r to sample 2r + 1.

    Normal latents are interpolated along the sphere (White 2016), so that the latents between two samples are as likely
    as the samples; uniform latents along the line.

    Args:
        sampler: The model.
        rows: Pairs of samples.
        columns: Images per row, the two samples included.
        seed: Seed of the samples.
        label: The class of all of them, by name or index; None for a model that is not conditional.

    Returns:
        Images, uint8 ``[rows * columns, 3, H, W]``.
    """
    if rows < 1 or columns < 2:
        raise UsageError(f"An interpolation needs at least 1 row and 2 columns, found {rows} and {columns}.")
    ends = latents(sampler, range(2 * rows), seed=seed)
    ways = torch.linspace(0, 1, columns, device=ends.device)
    walk = spherical if sampler.model.recipe.latent.law == "normal" else linear
    z = torch.cat([walk(ends[2 * row], ends[2 * row + 1], ways) for row in range(rows)])
    return render(sampler, z, label)


def linear(start: Tensor, end: Tensor, ways: Tensor) -> Tensor:
    """[D], [D], fractions [W] in [0, 1] => [W, D] on the line between them."""
    return start + ways[:, None] * (end - start)


def spherical(start: Tensor, end: Tensor, ways: Tensor) -> Tensor:
    """[D], [D], fractions [W] in [0, 1] => [W, D] on the arc between them; on the line if they are (anti)parallel."""
    cosine = torch.dot(start, end) / (start.norm() * end.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if float(torch.sin(angle)) < 1e-4:
        return linear(start, end, ways)
    away, towards = torch.sin((1 - ways) * angle), torch.sin(ways * angle)
    return (away[:, None] * start + towards[:, None] * end) / torch.sin(angle)


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a latent arithmetic: the mean of the latents of these samples, times its sign."""

    sign: int
    samples: tuple[int, ...]


def parse_arithmetic(text: str) -> tuple[Term, ...]:
    """ "0,3 - 1,2 + 4,8" => its terms; UsageError for anything else."""
    spelled = text.replace(" ", "")
    if not re.fullmatch(r"[+-]?\d+(,\d+)*([+-]\d+(,\d+)*)*", spelled):
        raise UsageError(
            f"'{text}' is not latent arithmetic; write numbers of samples, as in '0,3 - 1,2 + 4,8': the mean latent of "
            "samples 0 and 3, minus that of 1 and 2, plus that of 4 and 8."
        )
    return tuple(
        Term(-1 if sign == "-" else 1, tuple(int(number) for number in numbers.split(",")))
        for sign, numbers in re.findall(r"([+-]?)([\d,]+)", spelled)
    )


def arithmetic(
    sampler: Sampler, terms: Sequence[Term], *, seed: int, label: str | int | None = None
) -> tuple[Tensor, tuple[str, ...], int]:
    """Arithmetic with mean latents, as in Radford et al. 2015, figure 7.

    One row per term: its samples, and last the image of their mean latent. The row below has the image of the result,
    and images of latents near it.

    Args:
        sampler: The model.
        terms: Samples whose mean latents are added or subtracted.
        seed: Seed of the samples.
        label: The class of all of them, by name or index; None for a model that is not conditional.

    Returns:
        Images, uint8 ``[N, 3, H, W]``; a caption for each; the number of images per row.
    """
    columns = 1 + max(len(term.samples) for term in terms)
    named = latents(sampler, [sample for term in terms for sample in term.samples], seed=seed)
    known = torch.split(named, [len(term.samples) for term in terms])
    means = [part.mean(0) for part in known]
    result = torch.stack([term.sign * mean for term, mean in zip(terms, means, strict=True)]).sum(0)
    rng = torch.Generator(sampler.device).manual_seed(seed)
    noise = torch.rand(columns - 1, len(result), generator=rng, device=rng.device) * 2 - 1
    parts, captions = [], []
    for term, part, mean in zip(terms, known, means, strict=True):
        images = render(sampler, torch.cat([part, mean[None]]), label)
        blank = torch.full((columns - len(images), *images.shape[1:]), 255, dtype=torch.uint8)
        parts += [images[:-1], blank, images[-1:]]
        captions += [*map(str, term.samples), *[""] * len(blank), "-mean" if term.sign < 0 else "+mean"]
    parts.append(render(sampler, torch.cat([result[None], result + NEIGHBOURHOOD * noise]), label))
    captions += ["result", *["near"] * (columns - 1)]
    return torch.cat(parts), tuple(captions), columns


def latent_arithmetic(
    sampler: Sampler, expression: str, *, seed: int, label: str | int | None = None
) -> tuple[Tensor, tuple[str, ...], int]:
    """Add and subtract mean latents of samples, as in Radford et al. 2015, figure 7.

    One row per term: its samples, and last the image of their mean latent. The row below has the image of the result,
    and images of latents near it.

    Args:
        sampler: The model.
        expression: Numbers of samples: "0,3-1,2+4,8" is the mean latent of samples 0 and 3, minus that of 1 and 2,
            plus that of 4 and 8.
        seed: Seed of the samples.
        label: The class of all of them, by name or index; None for a model that is not conditional.

    Returns:
        Images, uint8 ``[N, 3, H, W]``; a caption for each; the number of images per row.

    Raises:
        UsageError: The expression cannot be read, or the model does not have this class.
    """
    return arithmetic(sampler, parse_arithmetic(expression), seed=seed, label=label)
