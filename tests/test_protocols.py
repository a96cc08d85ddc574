"""Protocols: the properties of each tool, found by name, and equal in every part that uses them."""

import dataclasses
import inspect
import json
import re

import pytest

from ganeval.errors import UsageError
from ganeval.metrics import METRICS
from ganeval.options import checked_options
from ganeval.protocols import DEFAULT, PROTOCOLS, Protocol, find_protocol
from ganeval.settings import Settings

# As read in the tools' own sources: resize, normalisation, bias, ddof; splits, shuffle seed and ddof of the IS.
FACTS = {
    "tensorflow": ("tf1", "(x-128)/128", False, 1, 10, 2020, 0),
    "pytorch-fid": ("pytorch", "2x/255-1", False, 1, 10, 2020, 0),
    "clean": ("clean", "(x-128)/128", False, 1, 10, 2020, 0),
    "clean-legacy-pytorch": ("pytorch", "2x/255-1", False, 1, 10, 2020, 0),
    "stylegan": ("tf1", "(x-128)/128", False, 0, 10, None, 0),
    "torchmetrics": ("pytorch-antialias", "(x-128)/128", False, 1, 10, 2020, 1),
    "studiogan": ("pytorch", "2x/255-1", True, 1, 1, None, 0),
}
# Of those that prescribe an extractor: it, resize, normalisation, ddof.
PRESCRIBED = {
    "fd-dinov2": ("dinov2:vitl14", "pil-bicubic", "imagenet", 1),
    "fd-dinov2-edm2": ("dinov2:vitl14", "torch-bicubic", "imagenet", 1),
    "clip-fid": ("open_clip:ViT-B-32-quickgelu/openai", "pil-bicubic-then-crop", "clip", 1),
    "cmmd": ("open_clip:ViT-L-14-336-quickgelu/openai", "crop-then-pil-bicubic", "clip", 1),
    "siglip": ("timm:vit_base_patch16_siglip_224.webli", "pil-bicubic", "2x/255-1", 1),
}
ALIASES = {
    "tensorflow": ["torch-fidelity", "adm", "edm", "ttur", "clean-legacy-tensorflow"],
    "clean": ["clean-fid"],
    "stylegan": ["stylegan2-ada", "stylegan3"],
    "fd-dinov2": ["dgm-eval"],
    "fd-dinov2-edm2": ["edm2"],
}


def test_the_table_holds_the_facts() -> None:
    """Every protocol has the settings of its tool."""
    found = {
        name: (
            protocol.resize,
            protocol.normalisation,
            protocol.logits_bias,
            protocol.ddof,
            *(protocol.options["is"][option] for option in ("splits", "shuffle_seed", "std_ddof")),
        )
        for name, protocol in PROTOCOLS.items()
        if not protocol.prescribes
    }
    assert found == FACTS
    assert DEFAULT == "tensorflow"


def test_protocols_of_other_networks_prescribe_them() -> None:
    """Those that are not of inception have the extractor and the preprocessing of their tool, and no option."""
    found = {
        name: (protocol.extractor, protocol.resize, protocol.normalisation, protocol.ddof)
        for name, protocol in PROTOCOLS.items()
        if protocol.prescribes
    }
    assert found == PRESCRIBED
    assert all(not PROTOCOLS[name].options and not PROTOCOLS[name].logits_bias for name in found)
    for name, (extractor, *_) in PRESCRIBED.items():
        assert Settings(protocol=name).extractor == Settings(protocol=name, extractor=extractor).extractor == extractor
        with pytest.raises(UsageError, match=f"{name} uses the extractor {extractor}, and 'digits' was chosen"):
            Settings(protocol=name, extractor="digits")
    assert Settings(protocol="clean").extractor == Settings().extractor == "inception"
    assert Settings(protocol="clean", extractor="digits").extractor == "digits"


def test_aliases_lead_to_the_same_protocol() -> None:
    """A tool's name stands for the protocol that reproduces it."""
    for name, aliases in ALIASES.items():
        for alias in aliases:
            assert find_protocol(alias) is find_protocol(name) is PROTOCOLS[name]


def test_no_name_stands_for_two() -> None:
    """Names and aliases are all different."""
    names = [name for protocol in PROTOCOLS.values() for name in (protocol.name, *protocol.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stylgan", "did you mean 'stylegan'?"),
        ("", "choose from: tensorflow, torch-fidelity"),
        ("Clean", "clean"),
    ],
)
def test_an_unknown_name_gets_a_hint(name: str, message: str) -> None:
    """The message has the nearest name, or all of them."""
    with pytest.raises(UsageError, match="Unknown protocol") as error:
        find_protocol(name)
    assert message in str(error.value)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_protocol_cannot_be_changed(protocol: Protocol) -> None:
    """Neither its fields nor its options can be assigned."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.ddof = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        protocol.options.get("is", protocol.options)["splits"] = 2  # type: ignore[index]


def test_what_a_protocol_does_not_fix_can_be_asked_for() -> None:
    """The options that it names exist for metrics, and their values have the right type."""
    texts = [text for protocol in PROTOCOLS.values() for text in protocol.elsewhere]
    named = [found for text in texts for found in re.findall(r"--option (\w+)\.(\w+)=(\S+)", text)]
    assert {name for name, *_ in named} == {"kid", "prdc", "is"}
    for name, option, value in named:
        given = 10 if value == "N/5000" else value if value.isalpha() and value != "null" else json.loads(value)
        assert checked_options({name: {option: given}}, METRICS)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_options_are_ones_that_metrics_take(protocol: Protocol) -> None:
    """Every option names a parameter of a metric, or of a family of them, that is in the table."""
    takers = {row.family or name: row.compute for name, row in METRICS.items()}
    for name, options in protocol.options.items():
        assert set(options) <= set(inspect.signature(takers[name]).parameters)
    for row in METRICS.values():
        assert not row.takes_moments or "ddof" in inspect.signature(row.compute).parameters
