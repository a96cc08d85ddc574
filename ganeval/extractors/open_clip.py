"""The image towers of OpenCLIP's models as extractors: their own preprocessing, and the embedding after the projection.

Embeddings are not normalised to unit length; metrics that need that do it.

A tag says with which activation its weights were trained: those of OpenAI need QuickGELU, and give wrong features
without it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError, WeightsError, did_you_mean
from ganeval.extractors import Request
from ganeval.extractors.base import Weights
from ganeval.extractors.encoder import Encoder, load_into, needed, one_by_one, prescribed, read_config, weights_in
from ganeval.extractors.huggingface import check_digest, hub_file
from ganeval.extractors.statefile import load_state
from ganeval.paths import expanded

EXTRA = "clip"
LOCAL = "local-dir:"
TOWER = "visual."
# As OpenCLIP stores weights on the Hub.
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# Licences by the beginning of tags; OpenCLIP itself states none.
LICENCES = (("openai", "MIT"), ("laion", "MIT"), ("datacomp", "MIT"), ("dfn", "apple-ascl"), ("webli", "Apache-2.0"))


# The text tower is not used, so it is built as small as possible.
NO_TEXT = MappingProxyType({"context_length": 1, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1})


def open_open_clip(request: Request) -> Encoder:
    """`open_clip:NAME/TAG`, with --weights also `open_clip:NAME`, or `open_clip:local-dir:FOLDER` => the extractor.

    Raises:
        UsageError: OpenCLIP has no such model or tag.
        WeightsError: The weights are missing, damaged or of another layout.
        ExtractorError: OpenCLIP is not installed.
    """
    package = needed("open_clip", extra=EXTRA)
    name, tag = _named(package, request)
    architecture = _architecture(package, name)
    about = package.get_pretrained_cfg(name, tag) if tag else {}
    if tag and architecture.get("quick_gelu") and not about.get("quick_gelu"):
        plain = name.removesuffix("-quickgelu")
        raise UsageError(f"The weights {tag} were not trained with QuickGELU, which {name} has; choose {plain}/{tag}.")
    path = _file(request, name, tag, about)
    state, sha256 = load_state(path)
    published = bool(tag) and request.weights is None
    if published:
        check_digest(path, sha256)
    tower = _tower(package, name, about)
    of_images = {key.removeprefix(TOWER): value for key, value in state.items() if key.startswith(TOWER)}
    load_into(tower, of_images, where=f"{path} (entries {TOWER}*)")
    config: Any = tower.preprocess_cfg
    size = config["size"] if isinstance(config["size"], int) else config["size"][0]
    preprocess = prescribed(request.protocol, "open_clip", size)
    transform = package.transform.image_transform_v2(package.transform.PreprocessCfg(**config), is_train=False)
    quick = any(type(part).__name__ == "QuickGELU" for part in tower.modules())
    return Encoder(
        tower,
        _embedding(tower),
        preprocess or one_by_one(transform),
        name=f"open_clip:{request.argument}",
        dimensions=int(architecture["embed_dim"]),
        preprocessing=f"{preprocess or _described(config)}; {'QuickGELU, ' if quick else ''}after the projection",
        weights=Weights(
            path.name,
            sha256,
            published=published,
            licence=next((licence for start, licence in LICENCES if tag.startswith(start)), ""),
        ),
        device=request.device,
        precision=request.precision,
    )


class OpenClipTextTower:
    """The text tower of one of OpenCLIP's models.

    Args:
        model: The whole model.
        tokenizer: Texts to numbers.
        context: The largest number of tokens of a text, its start and end included.
        device: Torch's name of a device.
    """

    def __init__(self, model: Any, tokenizer: Any, context: int, device: str) -> None:
        self._model = model.eval().requires_grad_(requires_grad=False).to(device)
        self._tokenizer, self.context, self._device = tokenizer, context, device

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has; those beyond `context` are not seen."""
        return [len(self._tokenizer.encode(text)) + 2 for text in texts]

    def embed(self, texts: Sequence[str]) -> Tensor:
        """float32 [N, D], after the projection, not normalised."""
        tokens = self._tokenizer(list(texts), context_length=self.context).to(self._device)
        with torch.no_grad():
            found: Tensor = self._model.encode_text(tokens).float()
        return found


def open_text_tower(request: Request) -> OpenClipTextTower:
    """The text tower that belongs to the image tower of the same request.

    Raises:
        UsageError: OpenCLIP has no such model or tag, or its texts are tokenised by another package.
        WeightsError: The weights are missing, damaged or of another layout.
        ExtractorError: OpenCLIP is not installed.
    """
    package = needed("open_clip", extra=EXTRA)
    name, tag = _named(package, request)
    text = dict(_architecture(package, name).get("text_cfg", {}))
    if "hf_tokenizer_name" in text or "hf_model_name" in text:
        raise UsageError(
            f"The texts of {name} are tokenised by transformers, which is not supported here; choose a model with "
            "OpenCLIP's own tokenizer, such as open_clip:ViT-L-14/openai."
        )
    about = package.get_pretrained_cfg(name, tag) if tag else {}
    path = _file(request, name, tag, about)
    state, _ = load_state(path)
    model = _built(package, name, about)
    load_into(model, state, where=str(path))
    context = int(text.get("context_length", 77))
    return OpenClipTextTower(model, package.tokenizer.SimpleTokenizer(context_length=context), context, request.device)


def _named(package: Any, request: Request) -> tuple[str, str]:
    """The name of a model and of its weights, the latter "" for a user's file or folder."""
    if request.argument.startswith(LOCAL):
        return f"{LOCAL}{expanded(request.argument.removeprefix(LOCAL), by='the extractor')}", ""
    name, _, tag = request.argument.partition("/")
    known = package.list_models()
    if name not in known:
        raise UsageError(f"OpenCLIP has no model '{name}'; {did_you_mean(name, known)}")
    tags = package.list_pretrained_tags_by_model(name)
    if tag and tag not in tags:
        raise UsageError(f"OpenCLIP has no weights '{tag}' of {name}; {did_you_mean(tag, tags)}")
    if not tag and request.weights is None:
        raise UsageError(
            f"Say which weights of {name}: open_clip:{name}/TAG, where TAG is one of {', '.join(tags) or 'none'}; or "
            "give a file with --weights."
        )
    return name, tag


def _architecture(package: Any, name: str) -> dict[str, Any]:
    """What OpenCLIP builds a model from."""
    if not name.startswith(LOCAL):
        found: dict[str, Any] = package.get_model_config(name)
        return found
    folder = Path(name.removeprefix(LOCAL))
    document = read_config(folder, "open_clip_config.json", package="OpenCLIP")
    if not isinstance(document.get("model_cfg"), dict):
        raise WeightsError(f"{folder}: open_clip_config.json has no model_cfg.")
    return dict(document["model_cfg"])


def _file(request: Request, name: str, tag: str, about: Mapping[str, Any]) -> Path:
    """The file of the weights."""
    if request.weights is not None:
        return expanded(request.weights, by="weights")
    if name.startswith(LOCAL):
        return weights_in(Path(name.removeprefix(LOCAL)))
    repository, _, file = about["hf_hub"].rpartition("/")
    if not repository:
        raise WeightsError(
            f"The weights {tag} of {name} are not on the Hugging Face Hub; give their state_dict with --weights."
        )
    return hub_file(repository, (f"{file.rpartition('.')[0]}.safetensors", file) if file else FILES, extra=EXTRA)


def _tower(package: Any, name: str, about: Mapping[str, Any]) -> nn.Module:
    """The image tower with random weights, and the activation and preprocessing that the published weights need."""
    tower: nn.Module = _built(package, name, about, text_cfg=dict(NO_TEXT)).visual
    return tower


def _built(package: Any, name: str, about: Mapping[str, Any], **changed: object) -> Any:
    """A model with random weights, and the activation and preprocessing that the published weights need."""
    before = logging.root.manager.disable
    # OpenCLIP warns of random weights, which are replaced.
    logging.disable(logging.WARNING)
    try:
        with torch.random.fork_rng(devices=[]):
            return package.create_model(
                name,
                load_weights=False,
                pretrained_text=False,
                force_quick_gelu=bool(about.get("quick_gelu")),
                force_preprocess_cfg=dict(about),
                **changed,
            )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise WeightsError(f"OpenCLIP cannot build {name}: {(str(error).splitlines() or [''])[0]}") from error
    finally:
        logging.disable(before)


def _embedding(tower: nn.Module) -> Callable[[Tensor], Tensor]:
    """The function that calls a tower, without the tokens that some towers return as well."""

    def embed(inputs: Tensor) -> Tensor:
        given = tower(inputs)
        embedding: Tensor = given[0] if isinstance(given, tuple) else given
        return embedding

    return embed


def _described(config: Mapping[str, Any]) -> str:
    """OpenCLIP's preprocessing in words."""
    mean, std = (", ".join(f"{value:g}" for value in config[key]) for key in ("mean", "std"))
    size = config["size"] if isinstance(config["size"], int) else " x ".join(map(str, config["size"]))
    return f"open_clip: {config['resize_mode']} {config['interpolation']} to {size}, (x/255-({mean}))/({std})"
