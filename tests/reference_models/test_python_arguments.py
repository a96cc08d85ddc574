"""What Python may be given in place of texts and numbers, and what is refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import reference_models
from ganeval.errors import UsageError
from reference_models import Intervals, make_plan, summarize_recipe

SMALL = {"steps": 1, "resolution": 8, "settings.hidden": 8}


def trained(run: Path, **given: Any) -> reference_models.Training:
    """A perceptron of one step."""
    return reference_models.train("gan", run, **{"chosen": SMALL, "device": "cpu", **given})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional run with averaged weights."""
    path = tmp_path_factory.mktemp("runs") / "cgan"
    reference_models.train("cgan", path, chosen={"steps": 1, "ema": 0.9}, device="cpu")
    return path


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    """A sweep over an array trains; the settings have Python's numbers, as JSON needs them."""
    batch, seed = np.int64(16), np.arange(3)[2]
    asked: Any = {"train_images": np.int64(99), "intervals": Intervals(save_every=np.int64(1))}  # type: ignore[arg-type]
    trained(tmp_path / "run", chosen={**SMALL, "batch": batch}, seed=seed, accumulate=np.int32(2), **asked)
    plan = json.loads((tmp_path / "run/config.json").read_text())["plan"]
    assert (plan["recipe"]["batch"], plan["chosen"]["batch"], plan["seed"], plan["accumulate"]) == (16, 16, 2, 2)
    assert plan["train_images"] == 99


def test_data_may_be_a_path(tmp_path: Path) -> None:
    """A path does as its text, for training and for held-out images; images in memory do not."""
    (tmp_path / "images").mkdir()
    for index in range(4):
        Image.new("L", (8, 8), 60 * index).save(tmp_path / "images" / f"{index}.png")
    chosen = {**SMALL, "batch": 4}
    assert trained(tmp_path / "run", data=tmp_path / "images", chosen=chosen).plan.data == str(tmp_path / "images")
    asked: Any = {"held_out": tmp_path / "images", "metrics": ["fid"], "extractor": "digits"}
    scored = reference_models.score_run(tmp_path / "run", **asked)
    assert scored.scores.references_of["floor"].startswith(str(tmp_path / "images"))
    for given in (torch.zeros(4, 1, 8, 8, dtype=torch.uint8), np.zeros((4, 8, 8, 1), dtype=np.uint8), ["a.png"]):
        with pytest.raises(UsageError, match=r"data must be a source as text.*save images in memory as an \.npz"):
            trained(tmp_path / "other", data=given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number"),
        ({"seed": None}, "seed is None; it must be a whole number"),
        ({"seed": np.arange(2)}, r"seed is array.*; it must be a whole number"),
        ({"train_images": 9.5}, "train_images is 9.5; it must be a whole number"),
        ({"train_images": True}, "train_images is True; it must be a whole number"),
        ({"chosen": {"steps": torch.tensor(2.5)}}, r"steps of gan is tensor\(2.5000\); it must be a whole number"),
        ({"accumulate": "2"}, "accumulate is '2'; it must be a whole number"),
        ({"chosen": [("steps", 2)]}, "Choices are values by name"),
        ({"chosen": {3: 2}}, "Choices are values by name"),
        ({"epochs": "1", "chosen": {}}, "epochs is '1'; it must be a finite number above 0"),
        ({"epochs": True, "chosen": {}}, "epochs is True; it must be a finite number above 0"),
        ({"epochs": 1}, "steps and epochs both set the length"),
        ({"preset": None}, "'None' is not a preset of gan"),
        ({"preset": ["quick"]}, r"'\['quick'\]' is not a preset of gan"),
    ],
)
def test_wrong_arguments_of_a_training(tmp_path: Path, given: dict[str, Any], reason: str) -> None:
    """Each is named, and no folder is made."""
    with pytest.raises(UsageError, match=reason):
        trained(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_a_plan_is_no_variant(tmp_path: Path) -> None:
    """Nor is anything else that is no name, whether Python can look it up in a table or not."""
    for given in (reference_models.make_plan("gan"), ["gan"], None):
        with pytest.raises(UsageError, match="is not a variant"):
            reference_models.train(given, tmp_path / "run")  # type: ignore[arg-type]


def test_steps_and_epochs_are_not_both_scored(tmp_path: Path) -> None:
    """`train_and_score` refuses both, as the command does."""
    with pytest.raises(UsageError, match="steps and epochs both"):
        reference_models.train_and_score("gan", tmp_path / "run", chosen=SMALL, epochs=1)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"save_every": 1.5}, "save_every is 1.5; it must be a number of steps"),
        ({"stop_on": "collapse"}, "stop_on must be a list of alarm names, found the text 'collapse'"),
        ({"stop_on": ("colapse",)}, "There is no alarm 'colapse'; did you mean 'collapse'"),
    ],
)
def test_intervals_and_alarms_are_checked(given: dict[str, Any], reason: str) -> None:
    """An alarm that does not exist would never end a run."""
    with pytest.raises(UsageError, match=reason):
        Intervals(**given)


def test_weights_are_average_or_raw(run: Path, tmp_path: Path) -> None:
    """Another word was taken for the raw weights."""
    wrong: Any = "averaged"
    for opened in (reference_models.open_sampler, reference_models.open_translator):
        with pytest.raises(UsageError, match="weights is 'averaged'; did you mean 'average'"):
            opened(run, weights=wrong, device="cpu")
    with pytest.raises(UsageError, match="did you mean 'average'"):
        reference_models.sample_sequences(run, tmp_path / "out.txt", weights=wrong, device="cpu")


def test_classes_are_words_or_numbers(run: Path) -> None:
    """A text of several characters is not as many classes."""
    sampler = reference_models.open_sampler(run, device="cpu")
    assert sampler.find_classes([1, "3"]) == [1, 3]
    with pytest.raises(UsageError, match=r"Classes must be a list of names or numbers, found '13'; write \['13'\]"):
        sampler.find_classes("13")


@pytest.mark.parametrize("wrong", [{"columns": 0}, {"scale": 0}])
def test_a_grid_has_a_column_and_a_scale(run: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    """0 is not the default."""
    plain = tmp_path / "plain"
    trained(plain)
    for path in (run, plain):
        sampler = reference_models.open_sampler(path, device="cpu")
        with pytest.raises(UsageError, match="of a grid must be 1 or more"):
            reference_models.sample(sampler, tmp_path / "grid.png", num_samples=2, **wrong)
    pairs = tmp_path / "pix2pix"
    reference_models.train("pix2pix", pairs, chosen={"steps": 1, "settings.width": 4}, device="cpu")
    images, model = torch.zeros(1, 3, 16, 16, dtype=torch.uint8), reference_models.open_translator(pairs, device="cpu")
    with pytest.raises(UsageError, match="of a grid must be 1 or more"):
        reference_models.translate(model, images, tmp_path / "grid.png", **wrong)


def test_a_run_to_resume_may_be_a_text(tmp_path: Path) -> None:
    """As for every other function that takes a run."""
    trained(tmp_path / "run")
    loop = reference_models.resume(str(tmp_path / "run"), steps=2)
    loop.run()
    assert loop.training.step == 2


def test_a_recipe_is_summarized_for_some_classes() -> None:
    """A class more has an output and an embedding more; a conditional model without classes is an error."""
    recipe = make_plan("acgan").recipe
    two, three = (sum(summarize_recipe(recipe, classes=count).parameters.values()) for count in (2, 3))
    assert three > two
    with pytest.raises(UsageError, match="has at least 1 class, found classes=0"):
        summarize_recipe(recipe, classes=0)
