"""What every extractor of the table keeps to: a new row is held to it once it is said how to open it offline."""

from collections.abc import Callable, Iterator
from pathlib import Path

import encoder_files
import pytest
import torch
import torchvision
from torch import Tensor

from ganeval import testing
from ganeval.errors import UsageError
from ganeval.extractors import EXTRACTORS, NO_DOWNLOAD, dinov2, open_extractor
from ganeval.extractors.base import Extractor, Precision, identity
from ganeval.extractors.running import run, run_all
from ganeval.extractors.statefile import save_state
from ganeval.images import to_rgb
from ganeval.outputs import Output
from ganeval.protocols import find_protocol
from ganeval.sources.base import batch_of

NETWORK = "squeezenet1_1"
USERS = """
import torch
from torch import nn

class Embed(nn.Module):
    size = 24

    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.conv = nn.utils.skip_init(nn.Conv2d, 3, 16, 5, stride=2)
        for parameter in self.conv.parameters():
            parameter.data = torch.randn(parameter.shape, generator=rng) / 8
        self.normalise = nn.BatchNorm2d(16)

    def forward(self, images):
        x = self.normalise(self.conv(images / 255)).relu()
        return {"features": x.mean((2, 3)), "logits": x.amax((2, 3))[:, :5]}
"""
# Relative errors: of an image's row, against its length. Generated weights put inception at the edge of chaos, where
# rounding grows fiftyfold from the first layer to the last; its shallow taps are held to less elsewhere.
# lite0 sees nearly nothing in pieces of sky: their rows move by up to 0.43, those of other pieces by up to 0.21;
# rounding the pixels of sky to bfloat16 alone moves a row by up to 0.18. Rows must also stay nearest to their own.
PROMISED, REDUCED, REDUCED_DEEP, REDUCED_FLAT = 1e-4, 0.05, 0.4, 0.5
Open = Callable[..., Extractor]


@pytest.fixture(scope="module")
def tiny_dinov2() -> Iterator[None]:
    """A network of DINOv2's kind that takes little time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dinov2.SIZES, encoder_files.TINY, encoder_files.TINY_SIZE)
        yield


@pytest.fixture(scope="module", params=EXTRACTORS)
def opened(request: pytest.FixtureRequest, untrained_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """opened(): one extractor of the table, made without any download; its options are those of `open_extractor`."""
    folder = tmp_path_factory.mktemp("extractor")
    weights: Path | None = None
    if request.param == "inception":
        spec, weights = "inception", untrained_weights
    elif request.param == "torchvision":
        spec, weights = f"torchvision:{NETWORK}", folder / "random.pth"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_state(torchvision.models.get_model(NETWORK, weights=None).state_dict(), weights)
    elif request.param == "py":
        spec = f"py:{folder / 'users.py'}:Embed"
        (folder / "users.py").write_text(USERS)
    elif request.param in ("timm", "dinov2", "open_clip", "hf"):
        request.getfixturevalue("tiny_dinov2")
        spec, weights = encoder_files.MAKERS[request.param](folder)
    else:
        spec = {"lite0": "lite0", "digits": "digits", "pixels": "pixels:6"}[request.param]

    def open_one(*, protocol: str = "tensorflow", device: str = "cpu", precision: Precision = "fp32") -> Extractor:
        return open_extractor(
            spec, protocol=find_protocol(protocol), weights=weights, device=device, precision=precision
        )

    return open_one


@pytest.fixture(scope="module")
def extractor(opened: Open) -> Extractor:
    """On the CPU, in full precision."""
    return opened()


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    """Five uint8 images [3, H, W] of four sizes, pieces of a photograph."""
    from sklearn.datasets import load_sample_image

    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)
    corners = ((0, 0, 64, 64), (100, 50, 90, 70), (200, 300, 64, 64), (50, 400, 41, 83), (10, 10, 240, 240))
    return [photo[:, top : top + height, left : left + width].clone() for top, left, height, width in corners]


@pytest.fixture(scope="module")
def arrays(extractor: Extractor, images: list[Tensor]) -> dict[Output, Tensor]:
    """All outputs of the extractor for the images, in one batch of mixed sizes."""
    return run(extractor, batch_of(images), extractor.outputs)


def check_close(found: Tensor, expected: Tensor, tolerance: float = PROMISED) -> None:
    """Every row agrees within a share of its own length."""
    assert found.shape == expected.shape
    error = (found - expected).norm(dim=1) / expected.norm(dim=1)
    assert float(error.max()) < tolerance


def _reduced(extractor: Extractor) -> float:
    return {"inception": REDUCED_DEEP, "lite0": REDUCED_FLAT}.get(extractor.name, REDUCED)


CHECKS = (
    testing.check_outputs,
    testing.check_outputs_asked_for,
    testing.check_rows_are_independent,
    testing.check_extractor_is_a_function,
)


@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_every_extractor_keeps_to_what_is_checked_of_others(
    extractor: Extractor, images: list[Tensor], check: Callable[[Extractor, list[Tensor]], None]
) -> None:
    """Each extractor fulfils one property checked by `ganeval.testing.check_extractor`, on pieces of a photograph."""
    check(extractor, images)


def test_it_says_what_it_is(extractor: Extractor) -> None:
    """It states name, weights, preprocessing, precision and device for the provenance."""
    testing.check_identity(extractor)
    assert extractor.name.partition(":")[0] in EXTRACTORS
    assert (extractor.precision, extractor.device) == ("fp32", "cpu")


def test_an_extractor_of_ones_own_is_held_to_the_same() -> None:
    """A correct extractor passes, and each violated property is named."""

    def means(images: Tensor) -> Tensor:
        return images.float().mean((2, 3))

    def noisy(images: Tensor) -> Tensor:
        return means(images) + torch.rand(())

    def of_the_batch(images: Tensor) -> Tensor:
        return means(images) - means(images).mean(0)

    testing.check_extractor(means)
    testing.check_extractor("digits")
    for wrong, sentence in ((noisy, "noisy"), (of_the_batch, "rows of features alone differ by up to")):
        with pytest.raises(AssertionError, match=sentence):
            testing.check_extractor(wrong)


def test_threads_do_not_matter(extractor: Extractor, images: list[Tensor], arrays: dict[Output, Tensor]) -> None:
    """Another number of threads gives the same rows."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = run(extractor, batch_of(images), extractor.outputs)
    finally:
        torch.set_num_threads(before)
    for output in extractor.outputs:
        check_close(found[output], arrays[output])


def test_rows_of_thread_safe_extractors_are_the_same_on_any_number_of_threads(
    extractor: Extractor, images: list[Tensor]
) -> None:
    """Bit for bit, as a batch has one of them; rows of others agree within the promise."""
    before, key = torch.get_num_threads(), identity(extractor)
    batches = [batch_of([images[index % len(images)] for index in (start, start + 1)]) for start in range(3)]
    found: list[list[dict[Output, Tensor]]] = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            found.append([given[key] for _, given in run_all(batches, {key: extractor}, extractor.outputs)])
        finally:
            torch.set_num_threads(before)
    for one, three in zip(*found, strict=True):
        for output in extractor.outputs:
            if getattr(extractor, "thread_safe", False):
                assert torch.equal(one[output], three[output])
            check_close(three[output], one[output])


def test_how_images_lie_in_memory_does_not_matter(extractor: Extractor, images: list[Tensor]) -> None:
    """Greyscale expanded without a copy and channels-last memory give the same features."""
    grey = images[0][:1][None]
    repeated, copied = to_rgb(grey, where="here"), grey.repeat(1, 3, 1, 1)
    last = images[1][None].contiguous(memory_format=torch.channels_last)
    for strided, plain in ((repeated, copied), (last, images[1][None])):
        found, expected = (run(extractor, batch_of([one[0]]), extractor.outputs) for one in (strided, plain))
        for output in extractor.outputs:
            check_close(found[output], expected[output], 1e-5)


def test_opening_it_again_gives_the_same_extractor(opened: Open, extractor: Extractor) -> None:
    """Its identity, which is part of the cache key, is stable, and opening it draws no global random numbers."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    again = opened()
    assert torch.equal(torch.get_rng_state(), before)
    assert identity(again) == identity(extractor)
    assert again.weights == extractor.weights
    assert again.outputs == extractor.outputs


def test_only_the_inception_network_is_told_by_protocols(opened: Open, extractor: Extractor) -> None:
    """A protocol that changes the numbers changes the description; other extractors have their own preprocessing."""
    words = {opened(protocol=name).preprocessing for name in ("tensorflow", "clean", "studiogan")}
    assert (len(words) > 1) == extractor.name.startswith("inception")
    assert extractor.preprocessing in words


def test_reduced_precision_is_recorded_and_close_or_refused(
    opened: Open, images: list[Tensor], arrays: dict[Output, Tensor]
) -> None:
    """bf16 stays near each row, and nearest to it, and has another identity; without a network it is refused."""
    try:
        reduced = opened(precision="bf16")
    except UsageError as error:
        refused = str(error)
        reduced = None
    if reduced is None:
        assert "'pixels' has no network" in refused
        return
    assert reduced.precision == "bf16"
    assert identity(reduced) != identity(opened())
    found = run(reduced, batch_of(images), reduced.outputs)
    for output in reduced.outputs:
        assert found[output].dtype == torch.float32
        check_close(found[output], arrays[output], _reduced(reduced))
        nearest = torch.cdist(found[output], arrays[output]).argmin(1)
        assert nearest.tolist() == list(range(len(images)))
        assert not torch.equal(found[output], arrays[output])


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
@pytest.mark.parametrize(("precision", "needs"), [("fp16", "a GPU"), ("tf32", "an NVIDIA GPU")])
def test_precisions_of_gpus_are_refused_on_a_cpu(opened: Open, device: str, precision: str, needs: str) -> None:
    """The error names the precisions to choose instead."""
    with pytest.raises(UsageError, match=rf"{precision} needs {needs}; on|no network that could run in {precision}"):
        opened(precision=precision, device=device)


@pytest.fixture
def gpu() -> Iterator[str]:
    """The name of a CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and there is none")
    return "cuda"


@pytest.mark.gpu
def test_a_gpu_agrees(opened: Open, images: list[Tensor], arrays: dict[Output, Tensor], gpu: str) -> None:
    """In full precision as promised, and in the others nearly so."""
    extractor = opened(device=gpu)
    found = run(extractor, batch_of(images), extractor.outputs)
    for output in extractor.outputs:
        check_close(found[output], arrays[output])
        assert found[output].device.type == "cpu"
    if not extractor.name.startswith("pixels"):
        for precision in ("tf32", "fp16"):
            reduced = opened(device=gpu, precision=precision)
            for output, array in run(reduced, batch_of(images), reduced.outputs).items():
                check_close(array, arrays[output], _reduced(reduced))
                assert not torch.equal(array, found[output])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", "Unknown extractor 'digit'; did you mean 'digits'?"),
        ("clip", "Unknown extractor 'clip'; did you mean 'open_clip'?"),
        ("zzz", "Unknown extractor 'zzz'; choose from: inception, lite0, digits, pixels, torchvision, dinov2"),
        ("", "Unknown extractor ''"),
        ("digits:3", "'digits' takes nothing after a colon, found '3'"),
        ("torchvision", "'torchvision' needs a name: torchvision:NAME"),
        ("py:", "'py' needs a name: py:FILE.py:NAME"),
        ("pixels:0", "'pixels:0' is not a size; write for example pixels:32"),
        ("pixels:100000", "size must be from 1 to 4,096, found 100000"),
        ("pixels:-3", "'pixels:-3' is not a size"),
        ("pixels:٣", "is not a size"),
    ],
)
def test_a_spec_that_names_none_gets_a_hint(spec: str, message: str) -> None:
    """The error quotes the spec and lists the known ones."""
    with pytest.raises(UsageError) as error:
        open_extractor(spec, protocol=find_protocol("clean"))
    assert message in str(error.value)


@pytest.mark.parametrize("spec", ["digits", "pixels:4", "py:x.py:name"])
def test_weights_are_refused_where_they_mean_nothing(spec: str, tmp_path: Path) -> None:
    """A weights file that would have no effect is an error."""
    with pytest.raises(UsageError, match="takes no weights file"):
        open_extractor(spec, protocol=find_protocol("clean"), weights=tmp_path / "w.pth")


def test_what_needs_no_download_is_in_the_table() -> None:
    """The extractors recommended when there is no network need no download."""
    for word in NO_DOWNLOAD:
        assert EXTRACTORS[word].needs == "nothing"
        assert open_extractor(word, protocol=find_protocol("clean")).weights.published
