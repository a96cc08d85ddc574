"""Named evaluation protocols: all that determines an FID or an inception score besides the images and the weights.

Other metrics have the same options in all protocols: a protocol may stand for tools that disagree there, and some of
these options do not allow small sets (KID over subsets of 1000). `elsewhere` lists the options that reproduce each
tool.

Each spec is frozen and holds facts read from the tool that it reproduces. The resize, the normalisation and the bias of
the logits belong to the Inception extractor; `options` are passed to the metrics. No torch here: listing protocols is
instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ganeval.errors import UsageError, did_you_mean

__all__ = ["DEFAULT", "PROTOCOLS", "Normalisation", "Protocol", "Resize", "find_protocol"]

Resize = Literal["tf1", "pytorch", "pytorch-antialias", "clean"]
Normalisation = Literal["(x-128)/128", "2x/255-1"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One evaluation protocol.

    Attributes:
        name: The name that selects it.
        reproduces: The tools whose numbers it gives.
        resize: How images become 299 x 299. "tf1": bilinear, source = destination * in/out, no antialias; "pytorch":
            bilinear, half-pixel centres, no antialias; "pytorch-antialias": the same with a triangle filter widened by
            the downscale; "clean": antialiased bicubic (a = -0.5), clipped to 0..255, not quantised.
        normalisation: The map from 0..255 to the network's input.
        logits_bias: Whether class probabilities include the bias of the classifier.
        ddof: Covariances are over n - ddof.
        options: Further keyword options by metric, as named in the METRICS table.
        aliases: Other names that select it.
        elsewhere: Where its tools differ from it, in sentences, with the options that reproduce them.
    """

    name: str
    reproduces: str
    resize: Resize
    normalisation: Normalisation
    logits_bias: bool
    ddof: int
    options: Mapping[str, Mapping[str, object]]
    aliases: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


def _inception_score(*, splits: int, shuffle_seed: int | None, std_ddof: int = 0) -> Mapping[str, Mapping[str, object]]:
    chosen = {"splits": splits, "shuffle_seed": shuffle_seed, "std_ddof": std_ddof}
    return MappingProxyType({"is": MappingProxyType(chosen)})


KID = "--option kid.subsets=100 --option kid.subset_size=1000"


def _kid(tools: str) -> str:
    """For a tool that draws subsets by numpy's global state, which a protocol cannot fix."""
    return f"KID over as many subsets as {tools}, but not the same ones: {KID}"


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(
                name="tensorflow",
                aliases=("torch-fidelity", "adm", "edm", "ttur", "clean-legacy-tensorflow"),
                elsewhere=(
                    f"KID over torch-fidelity's subsets, the generated set its input1: {KID}",
                    "precision and recall by ADM's rule, in float64: --option prdc.k=3 --option prdc.ties=inclusive",
                    "ADM rounds squares and products to float16, so its own precision and recall differ: in "
                    "simulations by up to 0.015 with sums in float32, and upwards by up to 0.07 without",
                    "IS as ADM, for N images: --option is.splits=N/5000 --option is.shuffle_seed=null",
                    "5000 must divide N for that: ADM's last block may be smaller, with the same weight. Images sorted "
                    "by class have another score in their order; a warning says so",
                    "precision and recall of torch-fidelity are of VGG features, which is another extractor",
                ),
                reproduces="TTUR, torch-fidelity, ADM, EDM; IS as torch-fidelity",
                resize="tf1",
                normalisation="(x-128)/128",
                logits_bias=False,
                ddof=1,
                options=_inception_score(splits=10, shuffle_seed=2020),
            ),
            Protocol(
                name="pytorch-fid",
                reproduces="pytorch-fid; IS as torch-fidelity on these features",
                resize="pytorch",
                normalisation="2x/255-1",
                logits_bias=False,
                ddof=1,
                options=_inception_score(splits=10, shuffle_seed=2020),
            ),
            Protocol(
                name="clean",
                aliases=("clean-fid",),
                elsewhere=(_kid("clean-fid"),),
                reproduces="clean-fid, mode 'clean'",
                resize="clean",
                normalisation="(x-128)/128",
                logits_bias=False,
                ddof=1,
                options=_inception_score(splits=10, shuffle_seed=2020),
            ),
            Protocol(
                name="clean-legacy-pytorch",
                elsewhere=(_kid("clean-fid"),),
                reproduces="clean-fid, mode 'legacy_pytorch'",
                resize="pytorch",
                normalisation="2x/255-1",
                logits_bias=False,
                ddof=1,
                options=_inception_score(splits=10, shuffle_seed=2020),
            ),
            Protocol(
                name="stylegan",
                aliases=("stylegan2-ada", "stylegan3"),
                elsewhere=(
                    _kid("StyleGAN"),
                    "precision and recall of StyleGAN are of VGG features, which is another extractor, and by "
                    "distances in float16",
                    "IS in splits as the images come; images sorted by class have another score then, "
                    "and a warning says so",
                ),
                reproduces="StyleGAN2-ADA and StyleGAN3 (covariance over n, not n - 1)",
                resize="tf1",
                normalisation="(x-128)/128",
                logits_bias=False,
                ddof=0,
                options=_inception_score(splits=10, shuffle_seed=None),
            ),
            Protocol(
                name="torchmetrics",
                elsewhere=(
                    "IS in splits of equal size; torchmetrics shuffles by torch's global state, and where 10 does not "
                    "divide the images its last split is smaller, or missing",
                ),
                reproduces="torchmetrics >= 1.8, its antialiased default",
                resize="pytorch-antialias",
                normalisation="(x-128)/128",
                logits_bias=False,
                ddof=1,
                options=_inception_score(splits=10, shuffle_seed=2020, std_ddof=1),
            ),
            Protocol(
                name="studiogan",
                reproduces="PyTorch-StudioGAN, post-resizer 'legacy'",
                resize="pytorch",
                normalisation="2x/255-1",
                logits_bias=True,
                ddof=1,
                options=_inception_score(splits=1, shuffle_seed=None),
            ),
        )
    }
)
DEFAULT = "tensorflow"


def find_protocol(name: str) -> Protocol:
    """Look a protocol up.

    Args:
        name: Its name or an alias.

    Returns:
        The protocol.

    Raises:
        UsageError: There is none of this name; the message has the nearest one.
    """
    for protocol in PROTOCOLS.values():
        if name == protocol.name or name in protocol.aliases:
            return protocol
    known = [word for protocol in PROTOCOLS.values() for word in (protocol.name, *protocol.aliases)]
    raise UsageError(f"Unknown protocol '{name}'; {did_you_mean(name, known)}")
