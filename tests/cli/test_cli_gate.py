"""`ganeval check`, `baseline` and `history`: exit codes, formats, errors, and files that stay unchanged."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from gate_helpers import evaluation, metric, save

from ganeval.results import Evaluation
from ganeval_cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]
BOTH = "[fid]\nworse_by = 1\nsignificance = 0.01\n"
VALUES = {"pass": 10.0, "improved": 8.0, "inconclusive": 10.9, "regressed": 13.0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a baseline and thresholds, outside of GitHub."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "base.json")
    (tmp_path / "gan-thresholds.toml").write_text(BOTH, encoding="utf-8")
    for verdict, value in VALUES.items():
        save(tmp_path / f"{verdict}.json", evaluation({"fid": metric(value)}))
    save(tmp_path / "incomparable.json", evaluation(protocol="clean"))
    save(tmp_path / "missing.json", evaluation({"kid": metric()}))
    save(tmp_path / "untestable.json", evaluation({"fid": metric(9.0, 1e5)}))
    return tmp_path


@pytest.mark.parametrize(
    ("verdict", "code", "strict"),
    [
        ("pass", 0, 0),
        ("improved", 0, 0),
        ("inconclusive", 0, 4),
        ("regressed", 1, 1),
        ("incomparable", 3, 3),
        ("missing", 5, 5),
        ("untestable", 6, 6),
    ],
)
def test_the_exit_code_is_the_verdicts(run, verdict: str, code: int, strict: int) -> None:
    """Each verdict exits as documented, with --strict and without, and is the last line's first word."""
    found = run("check", f"{verdict}.json", "--baseline", "base.json")
    assert found.exit_code == code
    assert found.stdout.splitlines()[-1].startswith(f"{verdict}: {verdict}.json against base.json")
    assert found.stderr == ""
    assert run("check", f"{verdict}.json", "--baseline", "base.json", "--strict").exit_code == strict
    for form in ("json", "junit", "markdown"):
        printed = run("check", f"{verdict}.json", "--baseline", "base.json", "--format", form)
        assert (printed.exit_code, verdict in printed.stdout or verdict == "inconclusive") == (code, True)


BROKEN = {
    "no fid": (evaluation({"kid": metric()}), 5),
    "1,000,000 without an error": (evaluation({"fid": metric(1e6, None)}), 6),
    "1,000,000 with an absurd one": (evaluation({"fid": metric(1e6, 1e300)}), 6),
    "1,000,000 with one as large": (evaluation({"fid": metric(1e6, 1e6)}), 6),
    "of other images": (evaluation({"fid": metric(n_fake=10)}), 3),
}


@pytest.mark.parametrize(("result", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_measurement_is_never_green(run, folder: Path, result: Evaluation, code: int) -> None:
    """By default a missing or untestable metric has its own exit code, and cannot become a baseline."""
    (folder / "gan-thresholds.toml").unlink()
    save(folder / "broken.json", result)
    found = run("check", "broken.json", "--baseline", "base.json")
    assert (found.exit_code, found.stdout.splitlines()[-1].endswith("by the usual thresholds")) == (code, True)
    assert run("baseline", "update", "broken.json", "--baseline", "base.json").exit_code == code


def test_a_threshold_may_allow_a_metric_to_be_missing(run, folder: Path) -> None:
    """may_be_missing lets an absent metric pass, with a warning if nothing was tested at all."""
    (folder / "gan-thresholds.toml").write_text("[fid]\nmax = 12\nmay_be_missing = true\n", encoding="utf-8")
    found = run("check", "missing.json", "--baseline", "base.json")
    assert (found.exit_code, "warning: No metric was tested" in found.stdout) == (0, True)
    assert run("check", "regressed.json", "--baseline", "base.json").exit_code == 1


def test_the_table_says_what_changed(run) -> None:
    """Outcome, both values, the change with its noise and the tolerance are on one line; the reason is below."""
    lines = run("check", "regressed.json", "--baseline", "base.json").stdout.splitlines()
    row = "fid regressed 10.00 ± 0.30 13.00 ± 0.30 3.000 ± 0.42 worse worse_by 1, significance 0.01"
    assert " ".join(lines[1].split()) == row
    assert lines[3] == "fid: worse by 3; noise explains 0.987 (significance 0.01), 1 is allowed."


def test_each_format_is_printed_alone(run) -> None:
    """JSON, JUnit and Markdown are printed to standard output without anything else."""
    sides = ("check", "regressed.json", "--baseline", "base.json", "--format")
    assert json.loads(run(*sides, "json").stdout)["exit_code"] == 1
    assert run(*sides, "junit").stdout.startswith("<?xml")
    assert run(*sides, "markdown").stdout.startswith("### ❌ ganeval: regressed")


def test_junit_goes_to_a_file_beside(run, folder: Path) -> None:
    """--junit writes the XML for every output format, and also when the check fails."""
    found = run("check", "regressed.json", "--baseline", "base.json", "--junit", "junit.xml")
    assert found.exit_code == 1
    assert "<failure" in (folder / "junit.xml").read_text(encoding="utf-8")


def test_github_gets_annotations_and_a_summary(run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In GitHub Actions annotations go to standard error, the summary grows, and standard output holds JSON only."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    (folder / "summary.md").write_text("before\n", encoding="utf-8")
    found = run("check", "regressed.json", "--baseline", "base.json", "--format", "json")
    assert found.stderr.startswith("::error title=ganeval%3A fid regressed::regressed.json: worse by 3;")
    assert json.loads(found.stdout)["verdict"] == "regressed"
    assert run("check", "improved.json", "--baseline", "base.json").stderr == ""
    doubted = run("check", "pass.json", "--baseline", "base.json").stderr
    assert doubted.startswith("::warning title=ganeval::pass.json: The result is the baseline's own measurement")
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("before\n### ❌")
    assert "### ✅ ganeval: pass" in summary


def test_without_a_baseline_bounds_are_checked_alone(run, folder: Path) -> None:
    """Thresholds that compare nothing need no baseline."""
    (folder / "bounds.toml").write_text("[fid]\nmax = 12\n", encoding="utf-8")
    assert run("check", "pass.json", "--thresholds", "bounds.toml").exit_code == 0
    assert run("check", "regressed.json", "--thresholds", "bounds.toml").exit_code == 1


def test_without_thresholds_noise_is_what_is_allowed(run, folder: Path) -> None:
    """Every metric with error bars is then held to a significance of 0.01."""
    (folder / "gan-thresholds.toml").unlink()
    found = run("check", "regressed.json", "--baseline", "base.json")
    assert found.exit_code == 1
    assert found.stdout.splitlines()[-1].endswith("by the usual thresholds")


MISTAKES = {
    "no such result": (("check", "none.json", "--baseline", "base.json"), "none.json cannot be read: No such file"),
    "no such baseline": (("check", "pass.json", "--baseline", "none.json"), "none.json cannot be read: No such file"),
    "a baseline of a newer schema": (("check", "pass.json", "--baseline", "newer.json"), "this ganeval reads schema 1"),
    "NaN": (("check", "nan.json", "--baseline", "base.json"), "holds NaN"),
    "nothing to check against": (("check", "pass.json"), "compares with a baseline"),
    "no such thresholds": (("check", "pass.json", "--thresholds", "none.toml"), "none.toml cannot be read"),
    "an unknown key": (("check", "pass.json", "--thresholds", "key.toml"), "key.toml, line 2: unknown key 'mx'"),
    "an unknown metric": (("check", "pass.json", "--thresholds", "metric.toml"), "did you mean 'fid'?"),
    "JUnit into no folder": (
        ("check", "pass.json", "--baseline", "base.json", "--junit", "a/b.xml"),
        "create it first",
    ),
    "the baseline as the result": (("check", "base.json", "--baseline", "./base.json"), "is the baseline itself"),
    "JUnit over the baseline": (
        ("check", "pass.json", "--baseline", "base.json", "--junit", "base.json"),
        "would overwrite a file that this command uses",
    ),
    "JUnit over the result": (
        ("check", "pass.json", "--baseline", "base.json", "--junit", "./pass.json"),
        "would overwrite a file that this command uses",
    ),
    "a baseline of itself": (("baseline", "update", "base.json", "--baseline", "base.json"), "is the baseline itself"),
    "a baseline over thresholds": (
        ("baseline", "update", "pass.json", "--baseline", "key.toml", "--thresholds", "key.toml"),
        "would overwrite a file",
    ),
    "empty thresholds": (("check", "pass.json", "--thresholds", "empty.toml"), "empty.toml holds no thresholds"),
    "an empty baseline": (("check", "pass.json", "--baseline", "no-metric.json"), "it holds no metric"),
    "a baseline of no JSON": (("check", "pass.json", "--baseline", "empty.toml"), "is not JSON"),
    "a deep result": (("check", "deep.json", "--baseline", "base.json"), "is nested deeper than 64 levels"),
    "a count of 400 digits": (("check", "count.json", "--baseline", "base.json"), "whole number of more than 308"),
    "a count no set has": (("check", "many.json", "--baseline", "base.json"), "is not a number of images"),
    "an unknown format": (("check", "pass.json", "--format", "xml"), "'xml' is not one of"),
    "a baseline into no folder": (("baseline", "update", "pass.json", "--baseline", "a/b.json"), "create it first"),
    "a baseline of nothing": (("baseline", "update", "none.json", "--baseline", "new.json"), "none.json cannot be"),
    "a damaged old baseline": (("baseline", "update", "pass.json", "--baseline", "nan.json", "--force"), "holds NaN"),
    "a baseline nowhere": (("baseline", "update", "pass.json"), "--baseline"),
    "an unknown subcommand": (("baseline", "updat"), "updat"),
    "a history of nothing": (("history", "empty"), "holds no saved result"),
    "a history of no folder": (("history", "none"), "is not a folder"),
    "a plot of another kind": (("history", ".", "--plot", "h.gif"), "drawn as .svg, .png, .pdf; found 'h.gif'"),
    "a plot into no folder": (("history", ".", "--plot", "a/h.svg"), "create it first"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_exits_with_2_and_changes_nothing(run, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    """Every kind of bad input gives a short message and exit code 2, and leaves every file unchanged."""
    good = (folder / "pass.json").read_text(encoding="utf-8")
    files = {
        "newer.json": good.replace('"schema": 1', '"schema": 2'),
        "nan.json": good.replace("10.0", "NaN", 1),
        "no-metric.json": json.dumps(evaluation({}).to_dict()),
        "deep.json": good[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "count.json": good.replace('"n_fake": 1000', '"n_fake": ' + "9" * 400),
        "many.json": good.replace('"n_fake": 1000', '"n_fake": ' + "9" * 300),
        "empty.toml": "# nothing yet\n",
        "key.toml": "[fid]\nmx = 1\n",
        "metric.toml": "[fdi]\nmax = 1\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "empty").mkdir()
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    found = run(*arguments)
    assert found.exit_code == 2, found.output
    assert found.stdout == ""
    assert found.stderr.startswith("error: ")
    assert words in found.stderr
    assert len(found.stderr.splitlines()) <= 3
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_result_alone_leaves_nothing_to_check(run, folder: Path) -> None:
    """Without thresholds and baseline the check is an error instead of a pass."""
    (folder / "gan-thresholds.toml").unlink()
    found = run("check", "pass.json")
    assert (found.exit_code, "give --baseline, or --thresholds" in found.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "pass.json", "--baseline", "base.json", "--junit", "junit.xml"),
        ("baseline", "update", "pass.json", "--baseline", "base.json"),
        ("history", ".", "--plot", "h.svg"),
    ],
    ids=["junit", "baseline", "plot"],
)
@pytest.mark.parametrize("fault", ["touch", "replace"])
def test_a_disk_that_refuses_leaves_everything_as_it_was(
    run, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], fault: str
) -> None:
    """A read-only folder or a full disk is an error, and no file is changed or left half-written."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, fault, refuse)
    found = run(*arguments)
    assert (found.exit_code, "cannot be written: Permission denied" in found.stderr) == (2, True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_summary_that_cannot_be_written_is_an_error(run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GitHub summary in a folder that does not exist is an error."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "none/summary.md"))
    found = run("check", "pass.json", "--baseline", "base.json")
    assert (found.exit_code, "summary.md cannot be written" in found.stderr) == (2, True)


def test_a_first_baseline_is_written_with_who_and_when(run, folder: Path) -> None:
    """A first baseline holds the result and a declaration, and can be read like any other result."""
    found = run("baseline", "update", "pass.json", "--baseline", "new.json")
    assert (found.exit_code, found.stdout.partition(" by ")[0]) == (0, "new.json: fid,")
    written = json.loads((folder / "new.json").read_text(encoding="utf-8"))
    assert set(written.pop("baseline")) == {"by", "at", "commit"}
    assert written == json.loads((folder / "pass.json").read_text(encoding="utf-8"))
    assert run("check", "pass.json", "--baseline", "new.json").exit_code == 0


@pytest.mark.parametrize(
    ("result", "code"),
    [("improved", 0), ("pass", 0), ("inconclusive", 0), ("regressed", 1), ("incomparable", 3)],
)
def test_a_baseline_is_moved_by_what_is_no_worse(run, folder: Path, result: str, code: int) -> None:
    """A worse result and one with other settings are refused with a hint at --force, which accepts them."""
    before = (folder / "base.json").read_bytes()
    found = run("baseline", "update", f"{result}.json", "--baseline", "base.json")
    assert found.exit_code == code
    assert ((folder / "base.json").read_bytes() == before) == bool(code)
    assert ("--force replaces it" in found.stderr) == bool(code)
    assert run("baseline", "update", f"{result}.json", "--baseline", "base.json", "--force").exit_code == 0
    assert run("check", f"{result}.json", "--baseline", "base.json").exit_code == 0


def test_a_baseline_loses_no_metric_unasked(run, folder: Path) -> None:
    """A result that lacks a metric of the old baseline is refused by name; with --force the loss is reported."""
    save(folder / "two.json", evaluation({"fid": metric(), "kid": metric()}))
    assert run("baseline", "update", "two.json", "--baseline", "base.json").exit_code == 0
    found = run("baseline", "update", "pass.json", "--baseline", "base.json")
    assert (found.exit_code, "kid: the baseline holds it" in found.stderr) == (5, True)
    forced = run("baseline", "update", "pass.json", "--baseline", "base.json", "--force")
    assert (forced.exit_code, forced.stderr) == (0, "warning: the baseline no longer holds kid.\n")


@pytest.mark.parametrize(("text", "code"), [("[fid]\nmax = 1\n", 1), ("[fid]\nmax = 12\n", 6), ("[kid]\nmax = 1\n", 2)])
def test_a_first_baseline_can_be_tested(run, folder: Path, text: str, code: int) -> None:
    """A result that would not pass against itself is refused as a baseline unless --force is given."""
    (folder / "gan-thresholds.toml").write_text(text, encoding="utf-8")
    update = ("baseline", "update", "untestable.json", "--baseline", "new.json")
    found = run(*update)
    assert (found.exit_code, (folder / "new.json").exists()) == (code, False)
    assert run(*update, "--force").exit_code == 0


def test_history_shows_each_result(run, folder: Path) -> None:
    """The history has one line per result, changes between comparable results, bars, and what was left out."""
    (folder / "runs").mkdir()
    for day, (name, value) in enumerate((("b", 10.0), ("a", 12.0), ("c", 9.0)), start=1):
        created = f"2026-01-0{day}T00:00:00+00:00"
        save(folder / f"runs/{name}.json", evaluation({"fid": metric(value)}, created=created))
    save(folder / "runs/d.json", evaluation(protocol="clean", created="2026-01-02T12:00:00+00:00"))
    (folder / "runs/x.json").write_text("{}", encoding="utf-8")
    found = run("history", "runs")
    rows = [line.split() for line in found.stdout.splitlines()]
    assert [(row[1], row[5]) for row in rows[1:5]] == [
        ("b.json", "-"),
        ("a.json", "+20.0%"),
        ("d.json", "-"),
        ("c.json", "-"),
    ]
    assert rows[3][-2:] == ["otherwise:", "protocol"]
    assert rows[-1] == ["fid", "▃█·▁"]
    assert found.stderr.startswith("warning: left out: runs/x.json is JSON but no ganeval result")
    document = json.loads(run("history", "runs", "--format", "json").stdout)
    assert [entry["value"] for entry in document["entries"]] == [10.0, 12.0, 10.0, 9.0]
    assert document["entries"][2]["differences"] == ["protocol (clean, the baseline has tensorflow)"]


def test_bars_are_digits_where_a_terminal_has_no_bars(folder: Path) -> None:
    """On an ASCII terminal the line of bars consists of digits from 1 to 8."""
    (folder / "runs").mkdir()
    for number, value in enumerate((10.0, 12.0, 9.0)):
        save(folder / f"runs/{number}.json", evaluation({"fid": metric(value)}, created=f"2026-01-0{number + 1}"))
    found = CliRunner(charset="ascii").invoke(cli, ["history", "runs"])
    assert (found.exit_code, found.stdout.splitlines()[-1]) == (0, "fid  381")


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_history_is_drawn(run, folder: Path, kind: str) -> None:
    """--plot writes the same bytes for the same history, and names every result below the axis."""
    (folder / "runs").mkdir()
    for number in range(3):
        about = {"created": f"2026-01-0{number + 1}", "protocol": "clean" if number == 1 else "tensorflow"}
        save(folder / f"runs/re$ult$_{number}.json", evaluation({"fid": metric(10.0 + number)}, **about))
    assert run("history", "runs", "--plot", f"h.{kind}").exit_code == 0
    first = (folder / f"h.{kind}").read_bytes()
    assert run("history", "runs", "--plot", f"h.{kind}").exit_code == 0
    assert (folder / f"h.{kind}").read_bytes() == first
    if kind == "svg":
        text = first.decode()
        assert all(
            f"<!-- {words} -->" in text for words in ("re$ult$_2", "measured otherwise", "fid (lower is better)")
        )


def test_a_plot_without_matplotlib_says_what_to_install(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the optional dependency, the error names it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = run("history", ".", "--plot", "h.svg")
    assert (found.exit_code, "pip install 'ganeval[report]'" in found.stderr) == (2, True)


@pytest.fixture
def scoring(run, digits: tuple[str, str], folder: Path) -> tuple[str, ...]:
    """`score` of two folders of digits, with a baseline of the same in digits.json."""
    command = ("score", *digits, "--extractor", "digits", "--metrics", "fid", "-q")
    assert run(*command, "-o", "first.json").exit_code == 0
    assert run("baseline", "update", "first.json", "--baseline", "digits.json").exit_code == 0
    return command


def test_score_checks_in_one_step(run, scoring: tuple[str, ...], folder: Path) -> None:
    """--check prints the outcome below the table, exits with its code, and still writes the result and JUnit XML."""
    held = (*scoring, "--check", "--baseline", "digits.json")
    found = run(*held, "--strict")
    assert (found.exit_code, found.stdout.splitlines()[-1][:35]) == (4, "inconclusive: the result against di")
    (folder / "low.toml").write_text("[fid]\nmax = 0.001\n", encoding="utf-8")
    red = run(*held, "--thresholds", "low.toml", "-o", "r.json", "--junit", "j.xml")
    assert (red.exit_code, red.stdout.splitlines()[-1][:19]) == (1, "regressed: r.json a")
    assert json.loads((folder / "r.json").read_text(encoding="utf-8"))["metrics"]["fid"]
    assert "<failure" in (folder / "j.xml").read_text(encoding="utf-8")
    other = run(*held, "--num-samples", "30", "--format", "json")
    assert (other.exit_code, list(json.loads(other.stdout)["metrics"])) == (3, ["fid"])
    assert "incomparable: the result against digits.json" in other.stderr
    lost = run(*scoring[:-3], "--metrics", "is", "-q", "--check", "--baseline", "digits.json")
    assert (lost.exit_code, "missing: the result against digits.json" in lost.stdout) == (5, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--check", "--baseline", "none.json"), "none.json cannot be read"),
        (("--check", "--baseline", "base.json", "--num-samples", "5000"), "5000"),
        (("--check", "--baseline", "base.json", "--protocol", "all"), "choose one protocol"),
        (("--check", "--baseline", "base.json", "--output", "base.json"), "would overwrite a file"),
        (("--check", "--baseline", "base.json", "--report", "base.json"), "would overwrite a file"),
        (("--check", "--baseline", "base.json", "-o", "r.json", "--junit", "r.json"), "would overwrite a file"),
        (("--check", "--thresholds", "none.toml"), "none.toml cannot be read"),
        (("--strict",), "go with --check"),
        (("--baseline", "base.json"), "go with --check"),
    ],
)
def test_score_never_exits_with_1_for_a_failure(
    run, digits: tuple[str, str], arguments: tuple[str, ...], words: str
) -> None:
    """With --check, inputs that cannot be read or scored exit with 2, so that 1 always means regressed."""
    found = run("score", *digits, "--extractor", "digits", "--metrics", "fid", *arguments)
    assert (found.exit_code, found.stdout) == (2, "")
    assert words in found.stderr


LIGHT = """
import sys
from ganeval_cli.main import cli

for line in sys.stdin.read().splitlines():
    try:
        cli(line.split(), prog_name="ganeval")
    except SystemExit:
        pass
heavy = {"torch", "numpy", "scipy", "sklearn", "PIL", "matplotlib", "torchvision"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_gate_imports_nothing_heavy(folder: Path) -> None:
    """check, baseline, history and the pytest plugin import no torch or numpy."""
    lines = (
        "check regressed.json --baseline base.json --format junit --junit j.xml",
        "check incomparable.json --baseline base.json --strict",
        "check none.json",
        "baseline update improved.json --baseline base.json",
        "history .",
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import ganeval_cli.pytest_plugin\n{LIGHT}"],
        input="\n".join(lines),
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "regressed" in done.stdout


def test_the_gates_commands_are_listed() -> None:
    """All three are commands of ganeval."""
    assert {"check", "baseline", "history"} <= set(COMMANDS)
