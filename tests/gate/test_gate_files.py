"""Saved results, baselines and histories: damage is refused, and a declaration says who, when and where."""

import json
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gate_helpers import evaluation, metric, save
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval.errors import GanevalError, ResultError
from ganeval.gate import baseline_document, check, read_result, to_document, update_baseline, write_baseline
from ganeval.gate.baseline import saved_from
from ganeval.gate.history import read_history
from ganeval.gate.thresholds import parse_thresholds


def test_a_saved_result_is_read_as_it_was(tmp_path: Path) -> None:
    """The evaluation of a file equals the one that was written, and has no declaration."""
    found = read_result(save(tmp_path / "r.json"))
    assert found.evaluation == evaluation()
    assert (found.declaration, str(found)) == (None, str(tmp_path / "r.json"))


GOOD = json.dumps(evaluation().to_dict())
DAMAGED = {
    "cut": (GOOD[:50], "is not JSON"),
    "other": ("[1, 2]", "no ganeval result"),
    "newer": (GOOD.replace('"schema": 1', '"schema": 2'), "has schema 2; this ganeval reads schema 1"),
    "nan": (GOOD.replace("10.0", "NaN"), "holds NaN, which is not a JSON number"),
    "infinity": (GOOD.replace("10.0", "-Infinity"), "holds -Infinity"),
    "twice": (GOOD.replace('{"fid": ', '{"fid": {}, "fid": '), "holds 'fid' twice; remove one of them"),
    "no metric": (json.dumps(evaluation({}).to_dict()), "it holds no metric"),
    "no value": (GOOD.replace('"value"', '"worth"'), "is damaged: it lacks 'value'"),
    "no metrics": ('{"schema": 1, "results": []}', "is JSON but no ganeval result: it has no 'metrics'"),
    "several methods": ('{"schema": 1, "methods": {}}', "a comparison of methods"),
    "turned interval": (
        json.dumps(evaluation({"fid": replace(metric(), interval=(9.0, 3.0))}).to_dict()),
        "an interval from 9.0 to 3.0",
    ),
    "several protocols": ('{"schema": 1, "protocols": {}}', "a result for every protocol"),
    "several generators": ('{"schema": 1, "generators": {}}', "a comparison of several generators"),
    "no fakes": (GOOD.replace('"n_fake": 1000', '"n_fake": 0'), "its fid has 0 fakes"),
    "half a declaration": (GOOD[:-1] + ', "baseline": {"by": "me"}}', "its 'baseline' must say by, at and commit"),
    "deep": ("[" * 100_000, "is nested deeper than 64 levels"),
}


@pytest.mark.parametrize(("text", "words"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """The error names the file and its fault."""
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match=re.escape(str(path))) as caught:
        read_result(path)
    assert words in str(caught.value)


anything = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
anything = anything | st.lists(anything, max_size=2) | st.dictionaries(st.text(max_size=3), anything, max_size=2)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every container of a document with each of its keys."""
    found = []
    for key, value in document.items():
        found.append((document, key))
        if isinstance(value, dict):
            found += places(value)
    return found


@settings(max_examples=300)
@given(st.data())
def test_any_damage_is_survived_or_explained(data: st.DataObject) -> None:
    """With any field removed or replaced, a result gives an outcome or a GanevalError."""
    document = json.loads(json.dumps({**evaluation().to_dict(), "baseline": {"by": "a", "at": "b", "commit": None}}))
    container, key = data.draw(st.sampled_from(places(document)))
    if data.draw(st.booleans()):
        container[key] = data.draw(anything)
    else:
        del container[key]
    thresholds = parse_thresholds("[fid]\nmax = 12\nworse_by = '5%'\nsignificance = 0.01", name="t")
    with suppress(GanevalError):
        saved = saved_from(json.loads(json.dumps(document)), name="r.json")
        for result, baseline in ((saved.evaluation, evaluation()), (evaluation(), saved.evaluation)):
            found = check(result, baseline, thresholds)
            to_document(found, result=str(saved), baseline=None, strict=False)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing files, folders and bytes that are not UTF-8 are errors with the file's name."""
    (tmp_path / "bytes.json").write_bytes(b"\xff")
    for name, words in (("none.json", "No such file"), (".", "is a folder"), ("bytes.json", "not UTF-8 text")):
        with pytest.raises(ResultError, match=words):
            read_result(tmp_path / name)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((), "is a folder; give the file of a result."),
        (("result.json", "seed-0/result.json"), "is a folder; give the file of a result, such as {}/result.json."),
        (("seed-1/result.json", "seed-0/result.json"), "give the file of a result, such as {}/seed-0/result.json."),
    ],
)
def test_the_error_for_a_folder_names_the_result_in_it(tmp_path: Path, results: tuple[str, ...], words: str) -> None:
    """A run's folder is easily given for its result; one of several seeds holds theirs a level further down."""
    for one in results:
        (tmp_path / one).parent.mkdir(exist_ok=True)
        save(tmp_path / one)
    with pytest.raises(ResultError, match=re.escape(words.format(tmp_path))):
        read_result(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository of one commit, by Ada."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    about = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    git = ("git", "-C", str(tmp_path))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "config", "user.name", "Ada"], check=True)
    subprocess.run([*git, *about, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    return tmp_path


def test_a_baseline_says_who_when_and_at_which_commit(repository: Path) -> None:
    """A baseline has git's user name, the time and the commit, and is read like any result."""
    path = repository / "base.json"
    path.write_text(json.dumps(baseline_document(evaluation(), repository)), encoding="utf-8")
    found = read_result(path)
    assert found.evaluation == evaluation()
    assert found.declaration is not None
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert (found.declaration["by"], found.declaration["commit"]) == ("Ada", head)
    assert re.fullmatch(r"\S+base\.json \(by Ada, 20\d\d-\S+\+00:00, commit [0-9a-f]{12}\)", str(found))
    # Of the repository that the file lies in, from wherever it is written.
    written = write_baseline(evaluation(), path).declaration
    assert written is not None
    assert (written["by"], written["commit"]) == ("Ada", head)


def test_a_baseline_is_written_where_the_result_may_replace_it(tmp_path: Path) -> None:
    """The first one passes against itself; a worse one, and one without a metric, leave the file as it is."""
    path = tmp_path / "base.json"
    both = evaluation({"fid": metric(), "kid": metric(1.0)})
    assert update_baseline(both, path).outcome == "pass"
    first = read_result(path)
    assert first.evaluation == both
    assert first.declaration is not None
    kept = path.read_bytes()
    assert update_baseline(evaluation({"fid": metric(20.0), "kid": metric(1.0)}), path).outcome == "regressed"
    assert update_baseline(evaluation(), path).outcome == "missing"
    assert path.read_bytes() == kept
    better = evaluation({"fid": metric(5.0), "kid": metric(1.0)})
    assert update_baseline(better, str(path)).outcome == "improved"
    assert read_result(path).evaluation == better


def test_any_result_can_be_made_the_baseline(tmp_path: Path) -> None:
    """It is returned as it is read again; a folder that does not exist is an error."""
    saved = write_baseline(evaluation(), str(tmp_path / "base.json"))
    assert saved == read_result(tmp_path / "base.json")
    with pytest.raises(ResultError):
        write_baseline(evaluation(), tmp_path / "missing" / "base.json")


@pytest.mark.parametrize("without", ["repository", "git"])
def test_without_a_repository_a_baseline_names_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    """Outside a repository, and without git, the user is the login name and there is no commit."""
    monkeypatch.setenv("LOGNAME", "grace")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    if without == "git":
        monkeypatch.setenv("PATH", "")
    declaration = baseline_document(evaluation(), tmp_path)["baseline"]
    assert (declaration["by"], declaration["commit"]) == ("grace", None)


def results(folder: Path, *values: float, **provenance: object) -> None:
    """Results of these values, one per day, in files whose names are in the opposite order."""
    for day, value in enumerate(values, start=1):
        about = {"created": f"2026-01-{day:02}T00:00:00+00:00", **provenance}
        save(folder / f"{99 - day}.json", evaluation({"fid": metric(value)}, **about))


def test_a_history_is_in_order_of_time(tmp_path: Path) -> None:
    """Results are ordered by time, not by file name, and are found in subfolders, too."""
    results(tmp_path, 14.0, 12.0, 13.0)
    (tmp_path / "old").mkdir()
    save(tmp_path / "old/97.json", evaluation({"fid": metric(20.0)}, created="2025-01-01T00:00:00+00:00"))
    found = read_history(tmp_path)
    assert [(entry.name, entry.value.value) for entry in found.entries] == [
        ("old/97.json", 20.0),
        ("98.json", 14.0),
        ("97.json", 12.0),
        ("96.json", 13.0),
    ]
    assert found.sparkline == "█▃▁▂"


def test_results_measured_otherwise_stand_apart(tmp_path: Path) -> None:
    """A result that is not comparable with the newest has a reason, and is a dot in the line of bars."""
    results(tmp_path, 14.0, 12.0)
    save(tmp_path / "a.json", evaluation(protocol="clean", created="2026-01-01T12:00:00+00:00"))
    found = read_history(tmp_path)
    assert [[one.field for one in entry.mismatches] for entry in found.entries] == [[], ["protocol"], []]
    assert found.sparkline == "█·▁"


def test_equal_values_are_bars_of_middle_height(tmp_path: Path) -> None:
    """Equal values are bars of medium height."""
    results(tmp_path, 14.0, 14.0)
    assert read_history(tmp_path).sparkline == "▅▅"


def test_the_metric_of_a_history_is_fid_unless_chosen(tmp_path: Path) -> None:
    """The metric is fid by default, or the newest result's first; results without it are named."""
    save(tmp_path / "a.json", evaluation({"kid": metric(), "is": metric()}))
    assert read_history(tmp_path).metric == "kid"
    save(tmp_path / "b.json", evaluation({"is": metric(), "fid": metric()}))
    found = read_history(tmp_path)
    assert (found.metric, len(found.entries), found.left_out) == ("fid", 1, ("a.json holds no fid.",))
    with pytest.raises(ResultError, match="holds the metric 'fdi'; did you mean 'fid'"):
        read_history(tmp_path, "fdi")


def test_what_is_no_result_is_left_out_with_a_reason(tmp_path: Path) -> None:
    """Other JSON files in the folder are skipped with a reason."""
    results(tmp_path, 14.0)
    (tmp_path / "package.json").write_text("{}", encoding="utf-8")
    (reason,) = read_history(tmp_path).left_out
    assert "package.json is JSON but no ganeval result" in reason


def test_an_empty_history_is_an_error(tmp_path: Path) -> None:
    """A missing folder, a folder without JSON and JSON without results have three different messages."""
    with pytest.raises(ResultError, match="none is not a folder"):
        read_history(tmp_path / "none")
    with pytest.raises(ResultError, match=r"holds no saved result .* no JSON file"):
        read_history(tmp_path)
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ResultError, match=r"none of its 1 JSON files is one: .*a\.json is JSON but no ganeval result"):
        read_history(tmp_path)
