"""Every variant is trained and scored with nothing but its name: data, metrics, references and pictures are its own."""

import math
from pathlib import Path

import pytest

from reference_models import CLASSIFIER_METRICS, VARIANTS, train_and_score

# What the scores of models that translate stand next to; that of others is the noise floor.
TRIVIAL = {
    "pix2pix": ["input", "mean", "nearest"],
    "cyclegan": ["input", "mean"],
    "srgan": ["input", "mean", "nearest"],
    "context-encoder": ["input", "mean", "nearest"],
    "exgan": ["input", "mean", "exemplar", "nearest"],
}
# What the errors of models that classify stand next to.
RIVALS = {"ssgan": ["labels alone", "label spreading"]}
# Settings that make an image in fewer passes.
CHEAPER = {"ddpm": {"settings.sampling_steps": 5}}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all variants, many of which are scored against the same digits."""
    return tmp_path_factory.mktemp("features")


# Those of Lucic et al. differ in their losses alone.
@pytest.mark.parametrize("name", [name for name in VARIANTS if not name.startswith("lucic2018-")])
def test_a_variant_is_scored_with_its_name_alone(
    name: str, tmp_path: Path, features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each metric of its task has an error bar, its references have it, too, and pictures are written."""
    monkeypatch.setenv("GANEVAL_CACHE", str(features))
    scored = train_and_score(
        name, tmp_path / "run", chosen={"steps": 4, "batch": 8, **CHEAPER.get(name, {})}, num_samples=40, device="cpu"
    )
    found = scored.scores.evaluation.metrics
    assert all(math.isfinite(one.value) and one.standard_error is not None for one in found.values())
    references = scored.scores.references
    rivals = RIVALS.get(name, [])
    assert list(references) == TRIVIAL.get(name, ["floor", *rivals])
    classified = {"test_error"} if rivals else set()
    for other, one in references.items():
        assert one.metrics.keys() >= (classified if other in rivals else found.keys() - classified)
    task = {"nll_test"} if name == "seqgan" else {"psnr", "ssim", "l1"} if name in TRIVIAL else {"fid", "coverage"}
    assert task <= found.keys()
    assert classified == found.keys() & CLASSIFIER_METRICS.keys()
    pictures = (
        ["samples.txt"]
        if name == "seqgan"
        else ["samples.png"]
        if name in TRIVIAL
        else ["neighbours.png", "samples.png"]
    )
    assert sorted(path.name for path in scored.pictures) == pictures
    assert all(path.stat().st_size for path in scored.pictures)
    assert (tmp_path / "run" / "result.json").exists()
    assert scored.diagnostics.verdict()
