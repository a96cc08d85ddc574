"""Vision models of the package transformers as extractors: their image processor, and the pooled output.

Models of images and text (CLIP, SigLIP) give the image's embedding after its projection; others give `pooler_output`.
Only safetensors are read, and no code of a repository is run.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganeval.errors import ExtractorError, UsageError, WeightsError
from ganeval.extractors import Request
from ganeval.extractors.base import Weights
from ganeval.extractors.encoder import Encoder, needed
from ganeval.extractors.huggingface import check_digest, hub_folder
from ganeval.extractors.statefile import load_state
from ganeval.paths import expanded

EXTRA = "hf"
WEIGHTS = ("*.safetensors",)
TOKENIZER = ("tokenizer*", "special_tokens_map.json", "vocab.json", "merges.txt", "*.model")
VOCABULARIES = ("tokenizer.json", "vocab.json", "*.model")
# Models trained on texts padded to the full length; others do not see the padding.
PADDED = ("siglip",)
FILES = ("config.json", "preprocessor_config.json", "model*.safetensors", "model.safetensors.index.json", "README.md")


def open_transformers(request: Request) -> Encoder:
    """`hf:OWNER/NAME` or `hf:FOLDER` => the extractor.

    Raises:
        UsageError: It is neither a repository nor a folder.
        WeightsError: The weights are missing or damaged.
        ExtractorError: transformers is not installed, or the model has no pooled output.
    """
    package = needed("transformers", extra=EXTRA)
    folder, network, weights = _opened(package, request, FILES, WEIGHTS)
    with _refusals(folder):
        processor = package.AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
    prepare, embed = _preprocessing(processor), _pooling(network)
    pooling = "embedding after the projection" if _has_projection(network) else "pooler_output"
    with torch.inference_mode():
        dimensions = embed(prepare(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))).shape[1]
    return Encoder(
        network,
        embed,
        prepare,
        name=f"hf:{request.argument}",
        dimensions=dimensions,
        preprocessing=f"{_described(processor)}; {pooling}",
        weights=weights,
        device=request.device,
        precision=request.precision,
    )


class TransformersTexts:
    """The text tower of a model of images and text.

    Args:
        model: The whole model.
        tokenizer: Texts to numbers.
        context: The largest number of tokens of a text, its start and end included.
        device: Torch's name of a device.
    """

    def __init__(self, model: Any, tokenizer: Any, context: int, device: str) -> None:
        self._model = model.eval().requires_grad_(requires_grad=False).to(device)
        self._tokenizer, self.context, self._device = tokenizer, context, device
        self._padding = "max_length" if model.config.model_type.startswith(PADDED) else True

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has; those beyond `context` are not seen."""
        return [len(found) for found in self._tokenizer(list(texts), verbose=False)["input_ids"]]

    def embed(self, texts: Sequence[str]) -> Tensor:
        """float32 [N, D], after the projection, not normalised."""
        tokens = self._tokenizer(
            list(texts), padding=self._padding, truncation=True, max_length=self.context, return_tensors="pt"
        )
        with torch.no_grad():
            given = self._model.get_text_features(**tokens.to(self._device))
        found: Tensor = given.pooler_output.float()
        return found


def open_text_tower(request: Request) -> TransformersTexts:
    """The text tower that belongs to the image tower of the same request.

    Raises:
        UsageError: It is neither a repository nor a folder, or the model has no texts.
        WeightsError: The weights or the tokenizer are missing or damaged.
        ExtractorError: transformers, or a package that the tokenizer needs, is not installed.
    """
    package = needed("transformers", extra=EXTRA)
    folder, network, _ = _opened(package, request, (*FILES, *TOKENIZER), (*WEIGHTS, "tokenizer*"))
    if not hasattr(network, "get_text_features"):
        raise UsageError(
            f"{type(network).__name__} of {folder} has no texts; CLIPScore needs a model of images and texts, such as "
            "hf:openai/clip-vit-large-patch14."
        )
    # transformers would create an empty tokenizer.
    if not any(any(folder.glob(pattern)) for pattern in VOCABULARIES):
        raise WeightsError(f"{folder} holds no tokenizer: expected one of {', '.join(VOCABULARIES)}.")
    try:
        with _refusals(folder):
            tokenizer = package.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except ImportError as error:
        raise ExtractorError(
            f"The tokenizer of {folder} needs a package that is missing: {(str(error).strip().splitlines() or [''])[0]}"
        ) from error
    return TransformersTexts(network, tokenizer, network.config.text_config.max_position_embeddings, request.device)


def _opened(package: Any, request: Request, files: Sequence[str], wanted: Sequence[str]) -> tuple[Path, Any, Weights]:
    """The folder of a model, the model, and its weights. files, wanted: as of `hub_folder`."""
    folder = _folder(request.argument)
    published = folder is None and request.weights is None
    folder = hub_folder(request.argument, files, wanted, extra=EXTRA) if folder is None else folder
    state, weights = _state(folder, request.weights, published=published)
    with _refusals(folder):
        config = package.AutoConfig.from_pretrained(str(folder), local_files_only=True)
        # Building a model draws random weights.
        with torch.random.fork_rng(devices=[]), _quiet(package):
            with torch.device("meta"):
                kind = type(package.AutoModel.from_config(config))
            network, report = kind.from_pretrained(
                None, config=config, state_dict=state, output_loading_info=True, dtype=torch.float32
            )
    if faults := sorted(report["missing_keys"]):
        raise WeightsError(
            f"{weights.name} of {folder} lacks {len(faults)} entries of {type(network).__name__} "
            f"({', '.join(faults[:3])}), which transformers would initialise at random. Choose a model whose pooled "
            "output was trained."
        )
    return folder, network, weights


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Within this context, errors of transformers about a folder become WeightsErrors."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"transformers cannot open {folder}: {(str(error).splitlines() or [''])[0]}") from error


def _folder(argument: str) -> Path | None:
    """The folder that an argument names; None for a repository."""
    path = expanded(argument, by="the extractor")
    if path.is_dir():
        return path
    if argument.startswith(("/", ".", "~")) or argument.count("/") > 1:
        raise UsageError(f"There is no folder {path}; write hf:OWNER/NAME, or hf: and a folder.")
    return None


def _state(folder: Path, chosen: Path | None, *, published: bool) -> tuple[dict[str, Tensor], Weights]:
    """The weights of a folder, in one file or several, or those of the user's file."""
    files = sorted(folder.glob("*.safetensors")) if chosen is None else [expanded(chosen, by="weights")]
    if not files:
        raise WeightsError(f"{folder} holds no *.safetensors; other formats are not read.")
    state, digests = dict[str, Tensor](), []
    for file in files:
        part, sha256 = load_state(file)
        if published:
            check_digest(file, sha256)
        state |= part
        digests.append(sha256)
    sha256 = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    name = files[0].name if len(files) == 1 else f"{len(files)} files"
    return state, Weights(name, sha256, published=published, licence=_licence(folder))


def _licence(folder: Path) -> str:
    """The licence stated in the front matter of a repository's README."""
    readme = folder / "README.md"
    if not readme.is_file():
        return ""
    head = readme.read_text(encoding="utf-8", errors="replace").removeprefix("---").partition("\n---")[0]
    found = re.search(r"^license(?:_name)?: *([\w.-]+) *$", head, re.MULTILINE)
    return "" if found is None else found[1]


@contextmanager
def _quiet(package: Any) -> Iterator[None]:
    """Without transformers' own progress and reports."""
    log = package.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(logging.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _has_projection(network: Any) -> bool:
    """Whether a model takes images and text, and gives an embedding of images."""
    return hasattr(network, "get_image_features")


def _pooling(network: Any) -> Callable[[Tensor], Tensor]:
    """The function that gives the pooled output of a model; ExtractorError if it has none."""
    call = network.get_image_features if _has_projection(network) else network

    def embed(inputs: Tensor) -> Tensor:
        try:
            given = call(pixel_values=inputs)
        except (TypeError, ValueError) as error:
            raise ExtractorError(f"{type(network).__name__} cannot be called with images only: {error}") from error
        pooled: Tensor | None = getattr(given, "pooler_output", None)
        if pooled is None:
            raise ExtractorError(
                f"{type(network).__name__} gives no pooled output; write a function that pools as you want, and use it "
                "by py:FILE.py:NAME."
            )
        return pooled.flatten(1)

    return embed


def _preprocessing(processor: Any) -> Callable[[Tensor], Tensor]:
    """The image processor, for batches of one size."""

    def preprocess(images: Tensor) -> Tensor:
        values: Tensor = processor(images=list(images), return_tensors="pt", input_data_format="channels_first")[
            "pixel_values"
        ]
        return values

    return preprocess


def _described(processor: Any) -> str:
    """The processor with its whole configuration."""
    settings = {key: value for key, value in processor.to_dict().items() if value is not None}
    name = str(settings.pop("image_processor_type", type(processor).__name__))
    return f"{name}({', '.join(f'{key}={settings[key]}' for key in sorted(settings))})"
