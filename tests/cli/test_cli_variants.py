"""ganeval variants: the table of reference GANs, and one of them with its recipe and layers."""

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from reference_models import VARIANTS

Run = Callable[..., Result]


def test_every_variant_is_listed_with_paper_size_and_target(run: Run) -> None:
    """Variants are listed in the order of the table with paper, size and target."""
    listed = dict(entry.split(":", 1) for entry in run("variants").stdout.split("\n\n"))
    assert list(listed) == list(VARIANTS)
    assert all(word in listed["sngan"] for word in ("Miyato et al. 2018", "5.3M", "fid 21.7 (cifar10), is 8.22"))
    assert listed["wgan"].endswith("fid 40.03 (cifar10), is 6.62 (cifar10), by pytorch-gan-collections")


def test_listing_them_needs_no_torch() -> None:
    """The list is printed without importing torch."""
    code = (
        "import sys; from ganeval_cli.main import cli; cli(['variants'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_variant_shows_its_recipe_targets_and_layers(run: Run) -> None:
    """The page of a variant has rates, sizes, published numbers with their protocol, and every layer's output."""
    text = run("variants", "wgan").stdout
    assert "RMSprop(lr=5e-05" in text
    assert "settings.clip" in text
    assert "pytorch-gan-collections" in text
    assert "paper: follows Arjovsky et al. 2017" in text
    assert "663,296 parameters" in text
    assert "256 x 4 x 4" in text


def test_each_preset_is_shown_with_its_own_targets(run: Run) -> None:
    """Each preset names its source, its differences from it, and its own targets; those from memory are marked."""
    text = " ".join(run("variants", "sngan").stdout.split())
    targets = [found.split()[:3] for found in re.findall(r"\S+: (?:fid|is) \S+ \(cifar10:t\w+, tensorflow", text)]
    theirs = "pytorch-gan-collections"
    assert targets == [
        *(["paper:", "fid", "21.7"], ["paper:", "is", "8.22"]),
        *([f"{theirs}:", "fid", "14.32"], [f"{theirs}:", "is", "8.31"]),
        *([f"{theirs}-cnn:", "fid", "17.81"], [f"{theirs}-cnn:", "is", "7.84"]),
    ]
    assert text.count("reproduced, from memory") == 2
    text = " ".join(run("variants", "lucic2018-dragan", "--preset", "paper-mnist").stdout.split())
    assert "; but generator and discriminator draw latents of their own; the discriminator has no batch norm" in text
    assert "mnist:train" in text


def test_a_preset_and_a_network_can_be_chosen(run: Run) -> None:
    """The quick recipe is small; the other network has other layers."""
    quick = run("variants", "dcgan", "--preset", "quick", "--network", "upsample").stdout
    assert "digits:train" in quick
    assert "Upsample" in quick
    assert "ConvTranspose2d" not in quick


@pytest.mark.parametrize("name", ["gan", "bigan"])
def test_json_has_the_same_as_data(run: Run, name: str) -> None:
    """There is one document for all variants, and one per variant with its layers, whose sizes add up."""
    rows = json.loads(run("variants", "--format", "json").stdout)["variants"]
    assert [row["name"] for row in rows] == list(VARIANTS)
    one = json.loads(run("variants", name, "--format", "json").stdout)
    assert one["counted"] == dict(VARIANTS[name].parameters)
    assert sum(layer["parameters"] for layer in one["layers"]) == sum(one["counted"].values())


def test_a_misspelt_variant_is_met_with_its_neighbour(run: Run) -> None:
    """A misspelt variant or network is answered with the nearest name."""
    found = run("variants", "dcgn")
    assert found.exit_code == 2
    assert "dcgan" in found.stderr
    for option in ("--preset", "--network"):
        assert "--preset and --network apply to one variant; name it" in run("variants", option, "quick").stderr
    found = run("variants", "wgan", "--network", "upsample")
    assert found.exit_code == 2
    assert "'upsample' is not a network of wgan" in found.stderr
    found = run("variants", "wgan", "--preset", "pytorch-gan-collection")
    assert found.exit_code == 2
    assert "did you mean 'pytorch-gan-collections'?" in found.stderr
