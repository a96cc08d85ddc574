"""How the reals were prepared is part of what a number is, and reals that were prepared otherwise are told apart."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ganeval
from ganeval.errors import UsageError
from ganeval.gate.comparability import mismatches
from ganeval_cli.main import cli

LANCZOS, BOX = "lanczos 256 of FFHQ-1024", "box 256 of FFHQ-1024"
DIGITS: Any = {"extractor": "digits", "cache": False}


def test_it_is_said_in_the_result() -> None:
    """The provenance of the reals has it, for sets of images and not for fakes; without it there is no such field."""
    found = ganeval.evaluate("digits:train", "digits:test", prepared=LANCZOS, **DIGITS)
    assert found.provenance["real"]["prepared"] == LANCZOS
    assert "prepared" not in found.provenance["fake"]
    assert "prepared" not in ganeval.evaluate("digits:train", "digits:test", **DIGITS).provenance["real"]
    assert ganeval.Evaluation.from_json(found.to_json()).provenance["real"]["prepared"] == LANCZOS


def test_statistics_remember_it(tmp_path: Path) -> None:
    """A statistics file says it of its reals in later results, and another preparation is refused."""
    path = tmp_path / "ref.npz"
    ganeval.write_reference("digits:train", path, prepared=LANCZOS, **DIGITS)
    for said in (None, LANCZOS):
        found = ganeval.evaluate(str(path), "digits:test", prepared=said, **DIGITS)
        assert found.provenance["real"]["prepared"] == LANCZOS
    with pytest.raises(UsageError, match=f"were prepared as '{LANCZOS}', not as '{BOX}'. Leave --prepared"):
        ganeval.compare(str(path), {"a": "digits:test", "b": "digits:train"}, prepared=BOX, **DIGITS)


def test_statistics_that_do_not_say_it(tmp_path: Path) -> None:
    """For a file without it, the user's word is taken."""
    path = tmp_path / "ref.npz"
    ganeval.write_reference("digits:train", path, **DIGITS)
    found = ganeval.evaluate(str(path), "digits:test", prepared=BOX, **DIGITS)
    assert found.provenance["real"]["prepared"] == BOX


@pytest.mark.parametrize(
    ("now", "was", "differ"), [(LANCZOS, BOX, True), (LANCZOS, LANCZOS, False), (LANCZOS, None, False)]
)
def test_the_gate_notices_another_preparation(now: str, was: str | None, differ: bool) -> None:
    """Two statements that differ make results incomparable; one that is missing leaves it to the images' content."""
    one, other = (ganeval.evaluate("digits:train", "digits:test", prepared=said, **DIGITS) for said in (now, was))
    fields = [str(one) for one in mismatches("fid", one, other)]
    assert fields == ([f"real.prepared ({LANCZOS}, the baseline has {BOX})"] if differ else [])


def test_the_command_says_it(tmp_path: Path) -> None:
    """`--prepared` stands under the table and in the document; an empty one is refused."""
    arguments = ["fid", "digits:train", "digits:test", "--extractor", "digits", "--no-cache", "-q", "--prepared"]
    shown = CliRunner().invoke(cli, [*arguments, LANCZOS, "-o", str(tmp_path / "x.json")])
    assert f"reals prepared as: {LANCZOS}" in shown.output
    assert json.loads((tmp_path / "x.json").read_text())["provenance"]["real"]["prepared"] == LANCZOS
    refused = CliRunner().invoke(cli, [*arguments, " "])
    assert refused.exit_code == 2
    assert "prepared must say how the reals were made" in refused.output


def test_runs_of_other_reals_are_not_compared() -> None:
    """Saved runs whose reals were prepared in two ways are not compared, and the reason names both ways."""
    runs = [
        ganeval.evaluate("digits:train", "digits:test", prepared=said, num_samples=300, seed=seed, **DIGITS)
        for seed, said in enumerate((LANCZOS, BOX))
    ]
    with pytest.raises(UsageError, match="prepared"):
        ganeval.compare_saved_runs({"a": {"a1": runs[0]}, "b": {"b1": runs[1]}})
