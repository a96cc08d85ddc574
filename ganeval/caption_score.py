"""CLIPScore: how well images fit their captions, by the embeddings of a CLIP model.

Two conventions are in use, whose numbers are not comparable:

- "torchmetrics": 100 times the cosine; the mean over images is clipped at 0. Usually with ViT-L/14.
- "hessel": 2.5 times the cosine, clipped at 0 for each image; captions begin with "A photo depicts". With ViT-B/32.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Unpack, cast

import numpy as np
import torch
from torch import Tensor

from ganeval.autocast import Precision
from ganeval.devices import find_device
from ganeval.errors import UsageError, did_you_mean
from ganeval.extraction import extract_set
from ganeval.extractors import Request, find_extractor, open_clip, transformers
from ganeval.inputs import open_images, open_setups
from ganeval.pairs import PairValues
from ganeval.paths import expanded
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.provenance import incomparable, provenance
from ganeval.results import Evaluation, MetricResult
from ganeval.selection import Selection
from ganeval.settings import Settings, SettingsKeywords
from ganeval.sources.base import part_of
from ganeval.sources.captions import captions_of
from ganeval.sources.items import ItemSource
from ganeval.uncertainty import student_interval

# Captions per call of the text tower.
CHUNK = 64


class TextTower(Protocol):
    """The text tower of a model of images and texts. context: the largest number of tokens of a text."""

    context: int

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has; those beyond `context` are not seen."""
        ...

    def embed(self, texts: Sequence[str]) -> Tensor:
        """float32 [N, D], in the space of the images' features, not normalised."""
        ...


# The function that opens the text tower, by the first word of the extractor.
TOWERS: Mapping[str, Callable[[Request], TextTower]] = MappingProxyType(
    {"open_clip": open_clip.open_text_tower, "hf": transformers.open_text_tower}
)


@dataclass(frozen=True, slots=True)
class Convention:
    """How a cosine becomes a score.

    Attributes:
        name: The name that selects it.
        extractor: The model of published numbers.
        scale: Cosines are multiplied by this.
        each: Whether the score of each image is clipped at 0, instead of their mean.
        prefix: What captions begin with.
    """

    name: str
    extractor: str
    scale: float
    each: bool
    prefix: str


CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        one.name: one
        for one in (
            Convention("torchmetrics", "open_clip:ViT-L-14/openai", 100.0, each=False, prefix=""),
            Convention("hessel", "open_clip:ViT-B-32/openai", 2.5, each=True, prefix="A photo depicts "),
        )
    }
)


def clip_score(
    images: str | Path,
    captions: str | Path | None = None,
    *,
    convention: str = "torchmetrics",
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> Evaluation:
    """CLIPScore of a folder of images with captions.

    Args:
        images: A folder. Captions are read from its metadata.jsonl or metadata.csv (`file_name` and `text`) or
            captions.csv, or from NAME.txt next to each image.
        captions: A .csv or .jsonl file with the captions instead.
        convention: "torchmetrics" or "hessel".
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`. `extractor` is a model of images and texts: "open_clip:NAME/TAG",
            "open_clip:local-dir:FOLDER", "hf:OWNER/NAME" or "hf:FOLDER" (CLIP, SigLIP and the like of transformers);
            without it, that of the convention's published numbers.

    Returns:
        An Evaluation with the metric "clip_score", higher is better, and its standard error; ``pairs`` has the score of
        each caption (as ``real``) and image.

    Raises:
        UsageError: The convention or extractor does not exist, or the extractor is not a model of images and texts.
        SourceError: An image or a caption is missing or cannot be read.
        WeightsError: The weights are missing.

    References:
        Hessel et al. 2021, "CLIPScore: A Reference-free Evaluation Metric for Image Captioning"; torchmetrics 1.9,
        `clip_score`.
    """
    if convention not in CONVENTIONS:
        raise UsageError(
            f"Unknown convention '{convention}' of CLIPScore; {did_you_mean(convention, list(CONVENTIONS))}"
        )
    chosen = CONVENTIONS[convention]
    asked = Settings.of({**settings, "extractor": settings.get("extractor") or chosen.extractor})
    open_tower = TOWERS.get(str(asked.extractor).partition(":")[0])
    if not isinstance(asked.extractor, str) or open_tower is None:
        raise UsageError(
            "CLIPScore needs images and texts in one space: choose an extractor open_clip:NAME/TAG or hf:OWNER/NAME."
        )
    opened = open_images(images, asked)
    if not isinstance(opened.source, ItemSource) or opened.source.kind != "folder":
        raise UsageError(f"{opened.name} is not a folder; captions belong to the files of a folder of images.")
    names = [opened.source.item_name(index) for index in range(len(opened.source))]
    file = None if captions is None else expanded(captions, by="captions")
    # Checked before the model is opened, which may start a download.
    texts, where, strays = captions_of(Path(images), names, file)
    (setup,) = open_setups(asked, [opened])
    _, argument = find_extractor(asked.extractor)
    request = Request(
        argument, setup.protocol, asked.weights, find_device(asked.device), cast(Precision, asked.precision)
    )
    tower = open_tower(request)
    features = Selection({}, {}, lenient=False, also=frozenset(("features",)), left_out=None)
    (found,) = extract_set(opened, [setup], [features], asked, progress, real=False)
    kept = [found.index(row) for row in range(len(found))]
    prompts = [chosen.prefix + texts[index] for index in kept]
    team = processes()
    places = part_of(len(prompts), team.rank, team.size, CHUNK)
    chunks = [prompts[start : min(start + CHUNK, places.stop)] for start in range(places.start, places.stop, CHUNK)]
    with team.together():
        own = torch.cat([found.rows()[:0], *(tower.embed(chunk).float().cpu() for chunk in chunks)])
    embedded = team.gather(own)
    cosines = torch.cosine_similarity(found.rows().double(), embedded.double()).numpy()
    scores = chosen.scale * (np.maximum(cosines, 0) if chosen.each else cosines)
    mean = float(scores.mean())
    value = mean if chosen.each else max(mean, 0.0)
    error = float(scores.std(ddof=1)) / len(scores) ** 0.5 if len(scores) > 1 else None
    long = sum(length > tower.context for length in tower.lengths(prompts))
    reservations = incomparable(setup.extractor, [found])
    cut = (
        (f"{long} of {len(prompts)} captions are longer than {tower.context} tokens, and were cut off.",)
        if long
        else ()
    )
    stray = (
        (f"{where} has captions of {len(strays)} files that are not in the folder, {strays[0]} first.",)
        if strays
        else ()
    )
    result = MetricResult(
        value=value,
        standard_error=error,
        interval=None if error is None else _cut_off(*student_interval(mean, error, len(scores) - 1)),
        direction="higher",
        n_real=None,
        n_fake=len(scores),
        method="mean over images" if error is not None else "no error bar for 1 image",
        options={"convention": chosen.name, "scale": chosen.scale, "prefix": chosen.prefix},
        notes=()
        if value == mean
        else (f"The mean is {mean:.4g}, which the convention {chosen.name} cuts off at 0: texts and images disagree.",),
        details={"median": float(np.median(scores)), "min": float(scores.min()), "max": float(scores.max())},
    )
    about = provenance(setup.extractor, setup.protocol, seed=asked.seed, real=None, fake=found)
    return Evaluation(
        metrics={"clip_score": result},
        provenance={**about, "fake": {**about["fake"], "captions": where}},
        comparable=not reservations,
        warnings=(*reservations, *stray, *cut, *found.warnings),
        pairs=PairValues([texts[index] for index in kept], [names[index] for index in kept], {"clip_score": scores}),
    )


def _cut_off(low: float, high: float) -> tuple[float, float]:
    """The interval of a value that is clipped at 0."""
    return max(low, 0.0), max(high, 0.0)
