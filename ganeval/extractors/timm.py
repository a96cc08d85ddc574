"""timm's image models as extractors: their own preprocessing, and their pooled features before any classifier.

Published weights come from the Hugging Face Hub, where timm keeps them. Position embeddings are resampled by timm, with
antialias, where the size of an image differs from that of the training.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError, WeightsError, did_you_mean
from ganeval.extractors import Request
from ganeval.extractors.base import Weights
from ganeval.extractors.encoder import Encoder, needed, one_by_one, prescribed, read_config, weights_in
from ganeval.extractors.hub import fetch
from ganeval.extractors.huggingface import check_digest, hub_file
from ganeval.extractors.statefile import load_state
from ganeval.paths import expanded

EXTRA = "timm"
LOCAL = "local-dir:"
# As timm stores weights on the Hub.
FILES = ("model.safetensors", "pytorch_model.bin")


def open_timm(request: Request) -> Encoder:
    """`timm:NAME`, `timm:NAME.TAG` or `timm:local-dir:FOLDER` => the extractor.

    Raises:
        UsageError: timm has no such model.
        WeightsError: The weights are missing, damaged or of another layout.
        ExtractorError: timm is not installed.
    """
    timm = needed("timm", extra=EXTRA)
    name, config = _config(timm, request.argument)
    path, published = _file(request, config)
    state, sha256 = load_state(path)
    if published:
        check_digest(path, sha256)
    network = _network(timm, name, config, state, where=path)
    transform, size = _transform(timm, network)
    preprocess = prescribed(request.protocol, "timm", size)
    pool = getattr(network, "global_pool", "")
    pool = pool if isinstance(pool, str) else getattr(pool, "pool_type", type(pool).__name__)
    return Encoder(
        network,
        lambda inputs: network.forward_head(network.forward_features(inputs), pre_logits=True),  # type: ignore[operator]
        preprocess or one_by_one(transform),
        name=f"timm:{request.argument}",
        dimensions=int(getattr(network, "head_hidden_size", 0) or network.num_features),  # type: ignore[arg-type]
        preprocessing=f"{preprocess or _described(transform)}; pool {pool or 'of its head'}",
        weights=Weights(path.name, sha256, published=published, licence=str(config.get("license") or "")),
        device=request.device,
        precision=request.precision,
    )


def _config(timm: Any, argument: str) -> tuple[str, Mapping[str, Any]]:
    """The name that timm builds, and timm's configuration of its weights."""
    if argument.startswith(LOCAL):
        folder = expanded(argument.removeprefix(LOCAL), by="the extractor")
        document = read_config(folder, "config.json", package="timm")
        # Older folders keep everything in one object.
        config = dict(document.get("pretrained_cfg") or document)
        return f"{LOCAL}{folder}", {**config, "architecture": document.get("architecture", ""), "file": str(folder)}
    architecture, _, tag = argument.partition(".")
    if not timm.is_model(architecture):
        raise UsageError(f"timm has no model '{architecture}'; {did_you_mean(architecture, timm.list_models())}")
    tags = [known.partition(".")[2] for known in timm.list_models(f"{architecture}.*", pretrained=True)]
    if tag and tag not in tags:
        raise UsageError(f"timm has no weights '{tag}' of {architecture}; {did_you_mean(tag, tags)}")
    config = timm.get_pretrained_cfg(argument)
    return argument, {} if config is None else config.to_dict()


def _file(request: Request, config: Mapping[str, Any]) -> tuple[Path, bool]:
    """The file of the weights, and whether it is the published one."""
    if request.weights is not None:
        return expanded(request.weights, by="weights"), False
    if request.argument.startswith(LOCAL):
        return weights_in(Path(config["file"])), False
    if repository := config.get("hf_hub_id"):
        names = (config["hf_hub_filename"],) if config.get("hf_hub_filename") else FILES
        return hub_file(repository, names, extra=EXTRA), True
    if config.get("url") and not config.get("custom_load"):
        return fetch(config["url"]), True
    raise WeightsError(f"timm publishes no weights of {request.argument} that can be read; give a file with --weights.")


def _network(timm: Any, name: str, config: Mapping[str, Any], state: Mapping[str, Tensor], *, where: Path) -> nn.Module:
    """The model with these weights, which timm converts; WeightsError unless they fit exactly."""
    architecture = str(config.get("architecture") or name)
    # The published DINOv3 features are the class token, where timm would average the patches.
    options = {"global_pool": "token"} if architecture.startswith("vit_") and "dinov3" in architecture else {}
    source = {"state_dict": dict(state), "source": "", "file": "", "custom_load": False}
    try:
        # Building a model draws random weights.
        with torch.random.fork_rng(devices=[]):
            network: nn.Module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=source, **options)
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise WeightsError(f"{where} does not fit {name}: {reason}") from error
    # timm caches the configuration, and with it the state_dict.
    kept: Any = network.pretrained_cfg
    kept["state_dict"] = None
    return network


def _transform(timm: Any, network: nn.Module) -> tuple[Any, int]:
    """timm's transform of an image, and the side of its output."""
    data = timm.data.resolve_model_data_config(network)
    return timm.data.create_transform(**data, is_training=False), int(data["input_size"][-1])


def _described(transform: Any) -> str:
    """The steps of a transform."""

    def step(one: Any) -> str:
        if hasattr(one, "mean"):
            mean, std = (", ".join(f"{float(value):g}" for value in values) for values in (one.mean, one.std))
            return f"(x/255-({mean}))/({std})"
        return str(one)

    return "timm: " + ", ".join(step(one) for one in transform.transforms)
