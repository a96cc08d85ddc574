"""Perceptual path length: closed forms, torch-fidelity's own number, protocols that refuse each other, bad input."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import ganeval
from ganeval.errors import GeneratorError, UsageError
from ganeval.extractors import open_lpips
from ganeval.gate.comparability import mismatches
from ganeval.metrics import lpips
from ganeval.path_length import PATH_PROTOCOLS, LatentGenerator, perceptual_path_length, trimmed_mean
from ganeval.sources.generator import chunk_seed
from ganeval_cli.main import cli

NETWORK = "alex:untrained"


class Linear:
    """Images that depend linearly on the latents; with a mapping network that adds 1."""

    value_range = "[-1,1]"

    def __init__(self, side: int = 64, classes: int | None = None) -> None:
        rng = torch.Generator().manual_seed(0)
        self.weight = 0.2 * torch.randn(4, 3 * side * side, generator=rng)
        self.side, self.num_classes = side, classes

    def latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Uniform latents."""
        return torch.rand(n, 4, generator=rng) * 2 - 1

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pixels within -1..1."""
        flat = torch.tanh(z @ self.weight + (0 if labels is None else labels[:, None] / 10))
        return flat.reshape(-1, 3, self.side, self.side)

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        """Images of random latents."""
        return self.generate(self.latent(n, rng), labels)

    def mapping(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Latents, with their class in a further number."""
        return torch.cat([z, torch.zeros(len(z), 1) if labels is None else labels[:, None].float()], 1)

    def synthesis(self, w: Tensor) -> Tensor:
        """Images of what `mapping` made."""
        return self.generate(w[:, :4], w[:, 4])


def test_the_formula_written_naively() -> None:
    """Without rounding: the LPIPS of each step over epsilon squared, one by one, and the mean of the middle 98%."""
    generator, epsilon = Linear(), 0.05
    found = perceptual_path_length(generator, protocol="stylegan3", network=NETWORK, num_samples=20, epsilon=epsilon)
    rng, values, network = torch.Generator(), [], open_lpips(NETWORK)
    for number, count in enumerate((16, 4)):
        rng.manual_seed(chunk_seed(0, number))
        start, end = generator.latent(count, rng), generator.latent(count, rng)
        for a, b in zip(start, end, strict=True):
            images = [generator.generate(z[None]) for z in (a, a + epsilon * (b - a))]
            one, other = ((image + 1) / 2 for image in images)
            values.append(float(lpips(one, other, network=network)) / epsilon**2)
    low, high = sorted(values)[0], sorted(values)[-1]
    kept = [value for value in values if low <= value <= high]
    # Floats on -1..1 go to the network by two ways that round differently.
    assert found["ppl"].value == pytest.approx(float(np.mean(kept)), rel=1e-3)
    assert found["ppl"].n_fake == 20


def test_a_generator_that_ignores_its_latents() -> None:
    """Images that do not move have a path length of exactly 0, with no error."""

    class Still(Linear):
        def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            """The same image for every latent."""
            return torch.zeros(len(z), 3, 64, 64)

    found = perceptual_path_length(Still(), network=NETWORK, num_samples=20)["ppl"]
    assert (found.value, found.standard_error) == (0.0, 0.0)


def test_torch_fidelity_gets_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own code, with the same weights and latents, agrees to float32's rounding."""
    similarity = pytest.importorskip("torch_fidelity.sample_similarity_lpips")
    ppl = pytest.importorskip("torch_fidelity.metric_ppl")
    vgg = "vgg:untrained"
    network, generator, epsilon, count = open_lpips(vgg), Linear(96), 0.2, 18

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = network.features

    heads = {f"lin{n}.model.1.weight": head.reshape(1, -1, 1, 1) for n, head in enumerate(network.heads)}
    monkeypatch.setattr(similarity, "torchvision_load_pretrained_vgg16", Features)
    monkeypatch.setattr(
        similarity.SampleSimilarityLPIPS, "load_state_dict", lambda self, state: nn.Module.load_state_dict(self, heads)
    )
    monkeypatch.setattr(similarity, "load_state_dict_from_url", lambda *_, **__: {})
    theirs = similarity.SampleSimilarityLPIPS("x", sample_similarity_resize=64, sample_similarity_dtype="uint8")
    rng, distances = torch.Generator(), []
    for number, size in enumerate((16, 2)):
        rng.manual_seed(chunk_seed(0, number))
        start, end = generator.latent(size, rng), generator.latent(size, rng)
        images = [
            ((generator.generate(z) + 1) * 127.5 + 0.5).to(torch.uint8)
            for z in (start, torch.lerp(start, end, epsilon))
        ]
        distances.append(theirs(*images).flatten().double().numpy() / epsilon**2)
    values = np.concatenate(distances)
    low, high = np.percentile(values, 1, method="lower"), np.percentile(values, 99, method="higher")
    expected = values[(low <= values) & (values <= high)].mean()
    found = perceptual_path_length(generator, network=vgg, num_samples=count, epsilon=epsilon)["ppl"]
    assert ppl.KEY_METRIC_PPL_MEAN == "perceptual_path_length_mean"
    assert found.value == pytest.approx(expected, rel=1e-5)


def test_the_mean_of_the_middle() -> None:
    """Of 0..999, the values from the 1st to the 99th percentile as the published code finds them, and their error."""
    value, error, kept = trimmed_mean(np.arange(1000.0))
    assert (value, kept) == (499.5, 982)
    clipped = np.clip(np.arange(1000.0), 9, 990)
    assert error == pytest.approx(clipped.std(ddof=1) / math.sqrt(1000) * 1000 / 982)
    assert trimmed_mean(np.array([2.0])) == (2.0, None, 1)


def test_its_error_bar_covers() -> None:
    """Intervals of trimmed means of skewed values contain the mean over draws about 95% of the time."""
    rng = np.random.RandomState(0)
    draws = [trimmed_mean(rng.gamma(2, size=300)) for _ in range(400)]
    truth = np.mean([value for value, _, _ in draws])
    covered = np.mean([error is not None and abs(value - truth) < 1.96 * error for value, error, _ in draws])
    # 400 draws know the share to 1.1 points.
    assert 0.92 < covered < 0.975


def test_sizes() -> None:
    """stylegan3 averages blocks down to 256 pixels and leaves smaller images; torch-fidelity resizes all to 64."""
    images = torch.rand(1, 3, 512, 512)
    blocks = images.reshape(1, 3, 256, 2, 256, 2).mean((3, 5))
    torch.testing.assert_close(PATH_PROTOCOLS["stylegan3"].prepared(images), blocks)
    small = torch.rand(1, 3, 32, 32)
    assert PATH_PROTOCOLS["stylegan3"].prepared(small) is small
    for size in (32, 64, 200):
        assert PATH_PROTOCOLS["torch-fidelity"].prepared(torch.rand(1, 3, size, size)).shape[2:] == (64, 64)
    with pytest.raises(UsageError, match="averages blocks of 2 x 2 pixels, which do not fit into images of 513 x 513"):
        PATH_PROTOCOLS["stylegan3"].prepared(torch.rand(1, 3, 513, 513))


def test_it_is_repeatable_and_leaves_random_states_alone() -> None:
    """Equal seeds give equal numbers, others do not, and the global generators go on where they were."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    runs = [perceptual_path_length(Linear(), network=NETWORK, num_samples=5, epsilon=0.1, seed=s) for s in (1, 1, 2)]
    values = [one["ppl"].value for one in runs]
    assert values[0] == values[1] != values[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_is_the_same_at_both_ends() -> None:
    """The constant noise of a synthesis network is drawn anew for each chunk, and does not add to the path."""

    class Noisy(Linear, nn.Module):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            Linear.__init__(self)
            self.register_buffer("noise_const", torch.zeros(3, 64, 64))
            self.seen: list[float] = []

        def synthesis(self, w: Tensor) -> Tensor:
            """Noise alone."""
            self.seen.append(float(self.noise_const.sum()))
            return torch.tanh(self.noise_const).expand(len(w), 3, 64, 64)

    generator = Noisy()
    found = perceptual_path_length(generator, protocol="stylegan3", network=NETWORK, num_samples=20)["ppl"]
    assert found.value == 0
    assert len(set(generator.seen)) == 2


def test_protocols_refuse_each_other() -> None:
    """Results of two protocols, or of two lengths of step, are incomparable to the gate."""
    given: dict[str, Any] = {"network": NETWORK, "num_samples": 4}
    one = perceptual_path_length(Linear(), protocol="stylegan3", epsilon=0.1, **given)
    other = perceptual_path_length(Linear(), protocol="torch-fidelity", epsilon=0.1, **given)
    longer = perceptual_path_length(Linear(), protocol="torch-fidelity", epsilon=0.2, **given)
    assert {reason.field for reason in mismatches("ppl", one, other)} == {"preprocessing", "protocol", "options.space"}
    assert {reason.field for reason in mismatches("ppl", other, longer)} == {"options.epsilon"}
    assert mismatches("ppl", one, ganeval.Evaluation.from_json(one.to_json())) == ()


def test_rounding_is_said() -> None:
    """At torch-fidelity's own step, a note says that rounding decides much of the value."""
    assert "rounding decides" in perceptual_path_length(Linear(), network=NETWORK, num_samples=2)["ppl"].notes[0]
    assert perceptual_path_length(Linear(), network=NETWORK, num_samples=2, epsilon=0.1)["ppl"].notes == ()


def test_classes_are_drawn() -> None:
    """A conditional generator gets one class for both ends of a step."""
    seen = []

    class Labelled(Linear):
        def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            """Keeps the classes."""
            assert labels is not None
            seen.append(labels)
            return super().generate(z, labels)

    perceptual_path_length(Labelled(classes=10), network=NETWORK, num_samples=16)
    start, end = seen[0].chunk(2)
    assert torch.equal(start, end)
    assert len(set(start.tolist())) > 2


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        (
            {"protocol": "stylegan2"},
            UsageError,
            "Unknown protocol 'stylegan2' of path lengths; did you mean 'stylegan3'",
        ),
        ({"epsilon": 0.0}, UsageError, "epsilon is 0; it must be above 0 and below 1"),
        ({"epsilon": math.nan}, UsageError, "epsilon is nan"),
        ({"num_samples": 0}, UsageError, "num_samples must be at least 1"),
        ({"network": "vgg19"}, UsageError, "LPIPS has no network 'vgg19'"),
    ],
)
def test_arguments_that_are_not_allowed(arguments: dict[str, Any], error: type[Exception], reason: str) -> None:
    """Each is named, with what is allowed."""
    with pytest.raises(error, match=reason):
        perceptual_path_length(Linear(), **{"network": NETWORK, "num_samples": 2, **arguments})


def test_generators_that_cannot_be_measured(tmp_path: Path) -> None:
    """Images, generators without latents or mapping network, and those that fail are refused in a sentence."""

    class Plain:
        def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
            """Noise."""
            return torch.rand(n, 3, 8, 8, generator=rng)

    class NoMapping(Plain):
        latent, generate = Linear.latent, Linear.generate

    class Broken(Linear):
        def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            """Raises."""
            raise ValueError("no such thing")

    class Flat(Linear):
        def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            """No images."""
            return z

    for generator, protocol, error, reason in (
        ("digits:train", "torch-fidelity", UsageError, "digits:train holds images; path lengths are of generators"),
        (Plain(), "torch-fidelity", UsageError, r"Plain has no latents to move: .*latent\(n, rng\)"),
        (NoMapping(), "stylegan3", UsageError, "NoMapping has no mapping network"),
        (Broken(), "torch-fidelity", GeneratorError, "Broken raised ValueError: no such thing"),
        (Flat(), "torch-fidelity", GeneratorError, r"Flat returned \[4, 4\]; expected \[4, 1 or 3"),
    ):
        with pytest.raises(error, match=reason):
            perceptual_path_length(generator, protocol=protocol, network=NETWORK, num_samples=2)
    assert isinstance(Linear(), LatentGenerator)


def test_a_generator_in_a_file_needs_no_more_than_latents(tmp_path: Path) -> None:
    """py:FILE.py:NAME takes an object with latent and generate alone; other objects are refused."""
    (tmp_path / "gen.py").write_text(
        "import torch\n"
        "class Shades:\n"
        "    value_range = '[-1,1]'\n"
        "    def latent(self, n, rng):\n"
        "        return torch.rand(n, 1, generator=rng) * 2 - 1\n"
        "    def generate(self, z, labels=None):\n"
        "        return z.reshape(-1, 1, 1, 1).expand(-1, 3, 16, 16)\n"
        "pictures = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)\n"
    )
    spec = f"py:{tmp_path / 'gen.py'}"
    assert perceptual_path_length(f"{spec}:Shades", network=NETWORK, num_samples=2)["ppl"].n_fake == 2
    with pytest.raises(UsageError, match=r"pictures has no latents to move"):
        perceptual_path_length(f"{spec}:pictures", network=NETWORK, num_samples=2)


def test_the_command(tmp_path: Path) -> None:
    """A trained run is measured by its spec, live, and the document is a result like any other."""
    run, saved = tmp_path / "run", tmp_path / "ppl.json"
    invoke = CliRunner().invoke
    trained = invoke(cli, ["train", "--variant", "gan", "--steps", "3", "-o", str(run), "-q"])
    assert trained.exit_code == 0, trained.output
    asked = ["ppl", f"ckpt:{run}", "--network", NETWORK, "--num-samples", "8", "-q", "-o", str(saved)]
    shown = invoke(cli, asked)
    assert shown.exit_code == 0, shown.output
    assert "protocol ppl-torch-fidelity" in shown.output
    assert ganeval.Evaluation.from_json(saved.read_text())["ppl"].n_fake == 8
    refused = invoke(cli, [*asked, "--protocol", "stylegan3"])
    assert refused.exit_code == 2
    assert "has no mapping network" in refused.output
