"""--extractor with several specs."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import Result

Run = Callable[..., Result]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text(encoding="utf-8"))
BOTH = ("--extractor", "digits,pixels:4")


def test_the_table_has_a_row_for_every_metric_and_extractor(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """Extractors stand below each other in each metric, and the document has a result by extractor."""
    saved = tmp_path / "both.json"
    found = run("score", *digits, *BOTH, "--metrics", "fid,kid", "-o", saved)
    assert found.exit_code == 0, found.output
    rows = [line.split()[:2] for line in found.stdout.splitlines()[1:5]]
    assert rows == [["fid", "digits"], ["fid", "pixels:4"], ["kid", "digits"], ["kid", "pixels:4"]]
    document = json.loads(saved.read_text())
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert list(document["extractors"]) == ["digits", "pixels:4"]


def test_a_comparison_ends_with_what_the_extractors_agree_on(run: Run, digits: tuple[str, str]) -> None:
    """The last lines are about agreement; JSON fits the schema, and CSV names the extractor."""
    arguments = ("compare", digits[0], digits[1], f"lowres:{digits[1]},2", *BOTH, "--metrics", "kid")
    text, csv = run(*arguments), run(*arguments, "--format", "csv")
    assert text.exit_code == 0, text.output
    assert "xtractor" in text.stdout.splitlines()[-1]
    document = json.loads(run(*arguments, "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert [line.split(",")[0] for line in csv.stdout.splitlines()] == ["extractor", "digits", "pixels:4"]


def test_a_file_name_may_have_a_comma(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """py:a,b.py:name is one extractor, alone and beside another."""
    file = tmp_path / "a,b.py"
    file.write_text("def colour(images):\n    return images.float().mean((2, 3))\n")
    for spec, count in ((f"py:{file}:colour", 1), (f"py:{file}:colour,digits", 2), (f"digits,py:{file}:colour", 2)):
        found = run("kid", *digits, "--extractor", spec, "--format", "csv", "-q")
        assert found.exit_code == 0, found.output
        assert len(found.stdout.splitlines()) == 1 + count


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("fid", "R", "F", "--extractor", "digits,pixls"), "Unknown extractor 'pixls'"),
        (("fid", "R", "F", "--extractor", "digits,"), "nothing before or after a comma"),
        (("fid", "R", "F", *BOTH, "--protocol", "all"), "--protocol all compares protocols of one extractor"),
        (("nn", "R", "F", *BOTH), "Nearest images are found with one extractor"),
        (("noise-floor", "R", *BOTH), "The noise floor is measured with one extractor"),
        (("stats", "R", *BOTH, "-o", "ref.npz"), "A statistics file is measured with one extractor"),
        (("c2st", "R", "F", *BOTH), "Classifiers are tested with one extractor"),
        (("compare", "R", "--runs", "A=F", "--runs", "B=R", *BOTH), "Runs are compared with one extractor"),
        (("score", "R", "F", *BOTH, "--check"), "choose one extractor"),
    ],
)
def test_what_takes_one_extractor_says_so(
    run: Run, digits: tuple[str, str], arguments: tuple[str, ...], complaint: str
) -> None:
    """Commands and options of one extractor refuse several, before anything is read."""
    sets = dict(zip("RF", digits, strict=True))
    found = run(*(sets.get(one, one) for one in arguments))
    assert found.exit_code != 0
    assert complaint in " ".join(found.output.split())
