"""Named evaluation protocols: all that determines a Fréchet distance or inception score except images and weights.

Those of the first kind set the preprocessing of Inception, and leave the extractor to the user. Those of the second
kind reproduce tools that measure with another network: they prescribe the extractor as well.

Other metrics have the same options in all protocols: a protocol may stand for tools that disagree there, and some of
these options do not allow small sets (KID over subsets of 1000). `elsewhere` lists the options that reproduce each
tool.

Each spec is frozen and holds facts read from the tool that it reproduces. The resize, the normalisation and the bias of
the logits belong to the extractor; `options` are passed to the metrics. No torch here: listing protocols is instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ganeval.errors import UsageError, did_you_mean

__all__ = ["DEFAULT", "PROTOCOLS", "Interpolation", "Normalisation", "Protocol", "Resize", "find_protocol"]

Interpolation = Literal["tf1", "pytorch", "pytorch-antialias", "clean", "pil-bicubic", "torch-bicubic"]
Resize = Interpolation | Literal["pil-bicubic-then-crop", "crop-then-pil-bicubic"]
Normalisation = Literal["(x-128)/128", "2x/255-1", "imagenet", "clip"]
INCEPTION = "inception"


@dataclass(frozen=True, slots=True)
class Protocol:
    """One evaluation protocol.

    Attributes:
        name: The name that selects it.
        reproduces: The tools whose numbers it gives.
        resize: How images become squares of the extractor's size (299 for Inception). "tf1": bilinear, source =
            destination * in/out, no antialias; "pytorch": bilinear, half-pixel centres, no antialias;
            "pytorch-antialias": the same with a triangle filter widened by the downscale; "clean": antialiased bicubic
            (a = -0.5), clipped to 0..255, not quantised; "pil-bicubic": the same filter, rounded to whole grey levels
            after each direction, as Pillow resizes pictures; "torch-bicubic": PyTorch's antialiased bicubic of floats,
            neither clipped nor quantised. These do not keep the aspect. "pil-bicubic-then-crop": the short side is
            resized, and the centre cut out; "crop-then-pil-bicubic": a centre square of the short side is cut out,
            and resized.
        normalisation: The map from 0..255 to the network's input. "imagenet" and "clip": (x/255 - mean)/std, with mean
            and standard deviation of each channel over ImageNet and over the training images of CLIP.
        logits_bias: Whether class probabilities include the bias of the classifier.
        ddof: Covariances are over n - ddof.
        options: Further keyword options by metric, as named in the METRICS table.
        aliases: Other names that select it.
        elsewhere: Where its tools differ from it, in sentences, with the options that reproduce them.
        extractor: The extractor if none is named. Another one than "inception" is prescribed: its tools measure with
            that network alone.
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
    extractor: str = INCEPTION

    @property
    def prescribes(self) -> bool:
        """Whether no other extractor may be chosen."""
        return self.extractor != INCEPTION


def _inception_score(*, splits: int, shuffle_seed: int | None, std_ddof: int = 0) -> Mapping[str, Mapping[str, object]]:
    chosen = {"splits": splits, "shuffle_seed": shuffle_seed, "std_ddof": std_ddof}
    return MappingProxyType({"is": MappingProxyType(chosen)})


NO_OPTIONS: Mapping[str, Mapping[str, object]] = MappingProxyType({})
KID = "--option kid.subsets=100 --option kid.subset_size=1000"


def _kid(tools: str) -> str:
    """For a tool that draws subsets by numpy's global state, which a protocol cannot fix."""
    return (
        f"KID over as many subsets as {tools} (of all images of the smaller set, where it has fewer than 1000), but "
        f"not the same ones: {KID}"
    )


def _epsilon(tools: str) -> str:
    """For tools that change covariances where a root fails; here it does not."""
    return f"for a covariance product whose root is not finite, {tools} 1e-6 to both diagonals"


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
                    "5000 must divide N for that: ADM's last block may be smaller, with the same weight. Images "
                    "sorted by class score differently in that order; a warning says so",
                    "precision and recall of torch-fidelity use VGG features, which is another extractor",
                    "torchmetrics with antialias=False computes these features",
                    "TTUR leaves out the images of an incomplete last batch",
                    _epsilon("TTUR and ADM add"),
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
                elsewhere=(
                    "dgm-eval's FID with its Inception, without --clean_resize, equals this one",
                    _epsilon("pytorch-fid and dgm-eval add"),
                ),
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
                elsewhere=(_kid("clean-fid"), _epsilon("clean-fid adds")),
                reproduces="clean-fid, mode 'clean'",
                resize="clean",
                normalisation="(x-128)/128",
                logits_bias=False,
                ddof=1,
                options=_inception_score(splits=10, shuffle_seed=2020),
            ),
            Protocol(
                name="clean-legacy-pytorch",
                elsewhere=(_kid("clean-fid"), _epsilon("clean-fid adds")),
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
                    "floats of a generator are rounded to bytes as there, unless they lie halfway between two",
                    "precision and recall of StyleGAN use VGG features, which is another extractor, and distances in "
                    "float16",
                    "IS in splits as the images come; images sorted by class then score differently, and a warning "
                    "says so",
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
                    "with normalize=True torchmetrics truncates floats to bytes, and ganeval rounds them",
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
                elsewhere=(
                    _epsilon("StudioGAN adds"),
                    "its other post-resizers, 'clean' and 'friendly', are not protocols here",
                ),
                resize="pytorch",
                normalisation="2x/255-1",
                logits_bias=True,
                ddof=1,
                options=_inception_score(splits=1, shuffle_seed=None),
            ),
            Protocol(
                name="fd-dinov2",
                aliases=("dgm-eval",),
                reproduces="dgm-eval, FD of DINOv2 ViT-L/14 (Stein et al. 2023)",
                extractor="dinov2:vitl14",
                resize="pil-bicubic",
                normalisation="imagenet",
                logits_bias=False,
                ddof=1,
                options=NO_OPTIONS,
                elsewhere=(
                    "dgm-eval draws up to 50,000 images of each set with a seed of its own",
                    _epsilon("dgm-eval adds"),
                    "precision and recall of dgm-eval use at most 10,000 images: --option prdc.subset_size=10000",
                    "another size of the network gives other numbers: --extractor dinov2:vitb14 without this protocol "
                    "resizes and normalises in the same way",
                ),
            ),
            Protocol(
                name="fd-dinov2-edm2",
                aliases=("edm2",),
                reproduces="EDM2's FD of DINOv2 ViT-L/14 (Karras et al. 2024), its default resize",
                extractor="dinov2:vitl14",
                resize="torch-bicubic",
                normalisation="imagenet",
                logits_bias=False,
                ddof=1,
                options=NO_OPTIONS,
                elsewhere=(
                    "EDM2 reports the lowest of several runs of 50,000 images, which is biased low",
                    "its resize 'pil' is that of fd-dinov2; its FID uses the protocol tensorflow",
                ),
            ),
            Protocol(
                name="clip-fid",
                reproduces="clean-fid, model 'clip_vit_b_32' (Kynkäänniemi et al. 2023)",
                extractor="open_clip:ViT-B-32-quickgelu/openai",
                resize="pil-bicubic-then-crop",
                normalisation="clip",
                logits_bias=False,
                ddof=1,
                options=NO_OPTIONS,
                elsewhere=(
                    "clean-fid runs this network in fp16 on a GPU, as OpenAI's loader does, and in fp32 on a CPU",
                    "clean-fid's mode ('clean', 'legacy_...') changes nothing here",
                ),
            ),
            Protocol(
                name="cmmd",
                reproduces="CMMD of google-research and cmmd-pytorch (Jayasumana et al. 2024)",
                extractor="open_clip:ViT-L-14-336-quickgelu/openai",
                resize="crop-then-pil-bicubic",
                normalisation="clip",
                logits_bias=False,
                ddof=1,
                options=NO_OPTIONS,
                elsewhere=(
                    "the original in JAX leaves out the images of an incomplete last batch; its PyTorch port does not",
                ),
            ),
            Protocol(
                name="siglip",
                reproduces="no published tool: SigLIP ViT-B/16 with the preprocessing of transformers",
                extractor="timm:vit_base_patch16_siglip_224.webli",
                resize="pil-bicubic",
                normalisation="2x/255-1",
                logits_bias=False,
                ddof=1,
                options=NO_OPTIONS,
                elsewhere=(
                    "timm itself resizes the short side to 248 and cuts out 224, which gives other numbers: "
                    "--extractor timm:vit_base_patch16_siglip_224.webli without this protocol",
                ),
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
