"""LPIPS: the value of the package lpips on the same weights, and weights that are not there."""

from pathlib import Path

import lpips as package
import pytest
import torch
from pair_helpers import pairs

import ganeval
from ganeval.errors import MetricError, UsageError, WeightsError
from ganeval.extractors import lpips as module
from ganeval.extractors import open_lpips
from ganeval.metrics import lpips


def theirs(name: str) -> package.LPIPS:
    """The package's LPIPS with its heads and a random trunk."""
    torch.manual_seed(1)
    return package.LPIPS(net=name, pnet_rand=True, verbose=False)


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight enum")
@pytest.mark.parametrize("name", module.TRUNKS)
def test_the_value_is_that_of_the_package_on_the_same_trunk(name: str, tmp_path: Path) -> None:
    """To the rounding of float32, for every network; the trunk goes through a file as torchvision writes it."""
    peer, real_fake = theirs(name), pairs(2, 64, 72, noise=60)
    layers = [layer for part in peer.net.children() if isinstance(part, torch.nn.Sequential) for layer in part]
    torch.save(
        {f"features.{key}": value for key, value in torch.nn.Sequential(*layers).state_dict().items()},
        tmp_path / "trunk.pth",
    )
    network = open_lpips(f"{name}:{tmp_path / 'trunk.pth'}")
    real, fake = (side.float() / 127.5 - 1 for side in real_fake)
    with torch.no_grad():
        expected = peer(real, fake).flatten()
    assert lpips(*real_fake, network=network).tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert network.caveat is not None
    assert "not the published ones" in network.caveat


def test_symmetry_identity_and_independence_of_pairs() -> None:
    """Real and fake may change places, equal images have 0; grey images are repeated."""
    network = open_lpips("alex:untrained")
    real, fake = pairs(2, 64, 64)
    values = lpips(real, fake, network=network)
    assert values.tolist() == pytest.approx(lpips(fake, real, network=network).tolist(), rel=1e-6)
    assert lpips(real, real, network=network).tolist() == [0.0, 0.0]
    assert values[1].item() == pytest.approx(lpips(real[1:], fake[1:], network=network).item(), rel=1e-5)
    grey = real[:, :1], fake[:, :1]
    repeated = (side.expand(-1, 3, -1, -1) for side in grey)
    assert torch.equal(lpips(*grey, network=network), lpips(*repeated, network=network))


def test_an_untrained_trunk_is_always_the_same_and_marked() -> None:
    """In the result, which is not comparable with published ones; the global generator is left alone."""
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, other = open_lpips("squeeze:untrained"), open_lpips("squeeze:untrained")
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    real, fake = pairs(3, 64, 64)
    options = {"lpips": {"network": "squeeze:untrained"}}
    found = ganeval.evaluate_pairs(real, fake, metrics=["lpips", "l1"], options=options)
    assert not found.comparable
    assert "not those of LPIPS" in found["lpips"].notes[0]
    assert found["l1"].notes == ()
    assert found["lpips"].options == {"network": "squeeze:untrained"}
    assert found["lpips"].value == pytest.approx(lpips(real, fake, network=one).mean().item(), rel=1e-6)
    # Nothing else of the same sets is in doubt.
    assert ganeval.evaluate_pairs(real, fake, metrics=["l1"]).comparable


def test_weights_that_are_not_there_are_an_error_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded; among all metrics, lpips is then left out."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None, raising=False)
    real, fake = pairs(2, 24, 24)
    with pytest.raises(WeightsError, match=r"alexnet-owt-7be5be79\.pth.*network=alex:untrained"):
        ganeval.evaluate_pairs(real, fake, metrics=["lpips"])
    found = ganeval.evaluate_pairs(real, fake, metrics="all", options={"ms_ssim": {"scales": 2}})
    assert list(found) == ["psnr", "ssim", "ms_ssim", "l1", "edge", "patch_frechet"]
    assert [warning.split(":")[0] for warning in found.warnings] == ["Not measured"] * 2


def test_a_network_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name, another layout, a name in place of a network, small images, and no package."""
    with pytest.raises(UsageError, match="LPIPS has no network 'alexx'; did you mean 'alex'"):
        open_lpips("alexx")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="of another layout"):
        open_lpips(f"alex:{tmp_path / 'other.pth'}")
    with pytest.raises(MetricError, match="is a name; open it"):
        lpips(*pairs(1))
    with pytest.raises(MetricError, match="too small for the network"):
        lpips(*pairs(1, 16, 16), network=open_lpips("alex:untrained"))
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'ganeval\[lpips\]'"):
        open_lpips("alex:untrained")


def test_autocasting_of_the_caller_does_not_reach_lpips() -> None:
    """A training loop in bfloat16 gets the same distance."""
    network = open_lpips("alex:untrained")
    real, fake = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = lpips(real, fake, network=network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(lpips(real, fake, network=network), expected)
