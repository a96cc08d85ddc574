"""fid, is, score and stats: what they print, and what they write."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result

from ganeval.protocols import PROTOCOLS
from ganeval.results import Evaluation

Run = Callable[..., Result]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text(encoding="utf-8"))
DIGITS = ("--extractor", "digits")


def valid(text: str) -> Any:
    """The JSON document of a text, validated against the published schema."""
    document = json.loads(text)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    return document


@pytest.mark.parametrize("command", ["fid", "score"])
def test_the_table_says_value_error_interval_direction_and_counts(
    run: Run, digits: tuple[str, str], command: str
) -> None:
    """A table has value, error, interval, direction and counts, and a line on how they were computed."""
    result = run(command, *digits, *DIGITS)
    head, fid = result.stdout.splitlines()[:2]
    assert result.exit_code == 0
    assert head.split() == ["metric", "value", "95%", "interval", "better", "images"]
    assert "±" in fid
    assert " to " in fid
    assert fid.endswith("lower   40 x 40")
    assert "measured with digits (weights digits, sha256 " in result.stdout


def test_score_measures_what_the_extractor_allows(run: Run, digits: tuple[str, str]) -> None:
    """Without --metrics the usual metrics are computed, without IS if the extractor has no classes."""
    with_classes = valid(run("score", *digits, *DIGITS, "--format", "json").stdout)
    without = valid(run("score", *digits, "--extractor", "pixels", "--format", "json").stdout)
    assert list(with_classes["metrics"]) == ["fid", "kid", "is", "precision", "recall", "density", "coverage"]
    assert set(with_classes["metrics"]) - set(without["metrics"]) == {"is"}


def test_score_measures_what_is_asked_for(run: Run, digits: tuple[str, str]) -> None:
    """--metrics chooses, in the order given."""
    document = valid(run("score", *digits, *DIGITS, "--metrics", "is, fid", "--format", "json").stdout)
    assert list(document["metrics"]) == ["is", "fid"]


def test_the_inception_score_looks_at_the_fakes_alone(run: Run, digits: tuple[str, str]) -> None:
    """`is` takes one set, and the result names no real set."""
    document = valid(run("is", digits[1], *DIGITS, "--format", "json").stdout)
    assert document["metrics"]["is"]["n_real"] is None
    assert document["provenance"]["real"] is None


def test_json_is_all_there_is_on_standard_output(run: Run, digits: tuple[str, str]) -> None:
    """With --format json the output is one valid document, and remarks go to standard error."""
    result = run("fid", *digits, *DIGITS, "--format", "json")
    assert valid(result.stdout)["metrics"]["fid"]["n_fake"] == 40
    assert result.stderr.startswith("warning: fid: 40 images")


def test_what_other_code_prints_goes_to_standard_error(run: Run, tmp_path: Path) -> None:
    """A document stays one where the file of a generator prints while it is loaded and sampled."""
    code = """print("loaded")
import torch
value_range = "[0,1]"
num_samples = 40
def sample(n, *, labels=None, rng):
    print("sampled")
    return torch.rand(n, 1, 8, 8, generator=rng)
import sys
this = sys.modules[__name__]
"""
    (tmp_path / "gen.py").write_text(code)
    result = run("fid", "digits:test", f"py:{tmp_path}/gen.py:this", *DIGITS, "--format", "json", "-q")
    assert valid(result.stdout)["metrics"]["fid"]["n_fake"] == 40
    assert result.stderr.splitlines() == ["loaded", "sampled", "sampled"]


def test_quiet_silences_remarks(run: Run, digits: tuple[str, str]) -> None:
    """-q leaves standard error empty."""
    assert run("fid", *digits, *DIGITS, "-q").stderr == ""


def test_output_holds_the_document_that_json_prints(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """--output writes the JSON document in addition to the table, and ganeval reads it back."""
    path = tmp_path / "result.json"
    path.write_text("of an earlier run")
    result = run("score", *digits, *DIGITS, "-o", path)
    written, text = valid(path.read_text(encoding="utf-8")), result.stdout
    assert text.startswith("metric")
    assert Evaluation.from_json(path.read_text(encoding="utf-8"))["fid"].value == written["metrics"]["fid"]["value"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def test_verbose_shows_the_provenance(run: Run, digits: tuple[str, str]) -> None:
    """-v shows what was converted, whether the cache was used, and the full signature."""
    run("fid", *digits, *DIGITS)
    text = run("fid", *digits, *DIGITS, "-v").stdout
    document = valid(run("fid", *digits, *DIGITS, "--format", "json").stdout)
    assert "converted: greyscale 40" in text
    assert text.count("features from the cache") == 2
    assert document["signature"] in text
    assert document["provenance"]["weights_sha256"] in text


def test_the_cache_can_be_left_alone(run: Run, digits: tuple[str, str]) -> None:
    """--no-cache neither reads nor writes the cache."""
    run("fid", *digits, *DIGITS, "--no-cache")
    assert json.loads(run("cache", "info", "--format", "json").stdout)["arrays"] == 0


def test_skipped_images_are_listed(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """An unreadable image stops the run and is named; with --on-error skip it is reported instead."""
    for path in Path(digits[1]).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"")
    stopped = run("fid", digits[0], tmp_path, *DIGITS)
    skipped = run("fid", digits[0], tmp_path, *DIGITS, "--on-error", "skip", "-v")
    assert stopped.exit_code == 1
    assert "broken.png" in stopped.stderr
    assert skipped.exit_code == 0
    assert "skipped: " in skipped.stdout
    assert "broken.png" in skipped.stderr


def test_the_argument_of_pixels_resizes(run: Run, digits: tuple[str, str]) -> None:
    """pixels:4 compares images of 4 x 4."""
    document = valid(run("fid", *digits, "--extractor", "pixels:4", "--format", "json").stdout)
    assert document["provenance"]["extractor"] == "pixels:4"
    assert document["provenance"]["dimensions"] in (None, 48)


def test_other_weights_are_marked(run: Run, digits: tuple[str, str], untrained_weights: Path, tmp_path: Path) -> None:
    """Values from other weights are marked in the table, also with -q, and JSON says that they are not comparable."""
    path = tmp_path / "result.json"
    table = run("fid", *digits, "--weights", untrained_weights, "--num-samples", "2", "-q", "-o", path)
    document = valid(path.read_text(encoding="utf-8"))
    assert " * " in table.stdout.splitlines()[1]
    assert "* not comparable with published numbers" in table.stdout
    assert document["comparable"] is False


def test_every_protocol_at_once(run: Run, digits: tuple[str, str], untrained_weights: Path, tmp_path: Path) -> None:
    """--protocol all has one row per protocol of inception, with the difference from the default one."""
    path = tmp_path / "result.json"
    options = ("--weights", untrained_weights, "--num-samples", "2", "--protocol", "all", "-v", "-o", path)
    # The first layers see the protocols' resizes, too.
    table = run("fid", *digits, *options, "--extractor", "inception:64").stdout.splitlines()
    document = valid(path.read_text(encoding="utf-8"))
    of_inception = [name for name, protocol in PROTOCOLS.items() if not protocol.prescribes]
    assert list(document["protocols"]) == of_inception
    assert [line.split()[0] for line in table[1 : len(of_inception) + 1]] == of_inception
    assert table[0].endswith("against tensorflow")
    assert table[1].endswith("+0.00%")


def test_stats_stand_for_the_real_images(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """A file by `stats` gives the same FID as its images, and is refused for another extractor."""
    reference = tmp_path / "ref.npz"
    written = run("stats", digits[0], "-o", reference, *DIGITS, "-v")
    direct = valid(run("fid", *digits, *DIGITS, "--format", "json").stdout)["metrics"]["fid"]
    stored = valid(run("fid", reference, digits[1], *DIGITS, "--format", "json").stdout)["metrics"]["fid"]
    assert "mean and covariance of 40 images, 64 dimensions" in written.stdout
    assert stored["value"] == pytest.approx(direct["value"], rel=1e-6)
    assert stored["n_real"] == 40
    assert run("fid", reference, digits[1], "--extractor", "pixels:8").exit_code == 1


def test_stats_say_what_they_wrote_in_json(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """`stats --format json` prints a description of the file."""
    about = json.loads(run("stats", digits[0], "-o", tmp_path / "ref.npz", *DIGITS, "--format", "json").stdout)
    assert (about["count"], about["dimensions"], about["measured"]["extractor"]) == (40, 64, "digits")


def test_a_name_that_is_no_text_costs_no_result(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """A folder whose name is not UTF-8 is scored, printed and written like any other."""
    odd = tmp_path / os.fsdecode(b"odd\xff")
    odd.symlink_to(digits[1])
    path = tmp_path / "result.json"
    table = run("fid", digits[0], odd, *DIGITS, "-v", "-o", path)
    assert table.exit_code == 0
    assert "odd\\udcff" in table.stdout
    assert valid(path.read_text(encoding="utf-8"))["provenance"]["fake"]["name"] == str(odd)
