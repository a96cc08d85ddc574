"""protocols, extractors, metrics, weights, cache, selfcheck; and properties of every command."""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import Result

from ganeval.extractors import EXTRACTORS
from ganeval.metrics import METRICS, PAIR_METRICS
from ganeval.protocols import PROTOCOLS
from ganeval.selfcheck import SelfCheck
from ganeval.version import __version__
from ganeval_cli.main import COMMANDS, cli
from reference_models import CLASSIFIER_METRICS, SEQUENCE_METRICS

Run = Callable[..., Result]


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Each command and subcommand, by the words that call it."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {one}", sub) for one, sub in command.commands.items())


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in every_command()])
def test_every_command_and_option_explains_itself(run: Run, name: str, command: click.Command) -> None:
    """-h and --help print the same, and every command and option has a description."""
    help_text = run(*name.split(), "--help")
    assert help_text.exit_code == 0
    assert run(*name.split(), "-h").stdout == help_text.stdout
    assert command.help
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


def test_the_table_of_commands_is_what_help_lists(run: Run) -> None:
    """Every line of COMMANDS is a command of that name, and has its own line in the list."""
    text = run("--help").stdout
    assert all(command.name == name for name, command in every_command() if " " not in name)
    assert all(f"\n  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("group", ["", "weights", "cache"])
def test_no_line_of_a_list_of_commands_is_cut_off(run: Run, group: str) -> None:
    """The summary of every command fits on its line."""
    assert "..." not in run(*group.split(), "--help").stdout.partition("Commands:")[2]


def test_help_tells_the_exit_codes_and_the_environment(run: Run) -> None:
    """--help lists the exit codes and environment variables."""
    text = run("--help").stdout
    assert "Exit codes:" in text
    assert all(name in text for name in ("GANEVAL_CACHE", "GANEVAL_DATA", "GANEVAL_WEIGHTS"))


def test_version(run: Run) -> None:
    """--version prints the version of the package."""
    assert run("--version").stdout == f"ganeval {__version__}\n"


@pytest.mark.parametrize(
    ("command", "key", "names"),
    [
        ("protocols", "protocols", PROTOCOLS),
        ("extractors", "extractors", EXTRACTORS),
        ("metrics", "metrics", [*METRICS, *PAIR_METRICS]),
        ("metrics", "sequence_metrics", SEQUENCE_METRICS),
        ("metrics", "classifier_metrics", CLASSIFIER_METRICS),
    ],
)
def test_listings_list_everything(run: Run, command: str, key: str, names: dict[str, object]) -> None:
    """Every row of a table is listed, as text and as JSON."""
    text = run(command).stdout
    rows = json.loads(run(command, "--format", "json").stdout)[key]
    assert all(f"\n{name}" in f"\n{text}" for name in names)
    assert [row["name"].partition(":")[0].partition("[")[0] for row in rows] == list(names)


@pytest.mark.parametrize(
    "command", ["metrics", "extractors", "protocols", "variants", *(f"variants {name}" for name in ("gan", "seqgan"))]
)
def test_listings_fit_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """No line is wider than 80 columns, a wide terminal is used, and both say the same."""
    texts = []
    for width in (80, 150):
        monkeypatch.setenv("COLUMNS", str(width))
        texts.append(run(*command.split()).stdout)
    widest = [max(map(len, text.splitlines())) for text in texts]
    assert widest[0] <= 80 < widest[1] <= 150
    narrow, wide = (sorted(text.split()) for text in texts)
    assert narrow == wide


def test_metrics_say_what_they_need(run: Run) -> None:
    """The list of metrics says whether they need one set or two, which outputs, and whether they need classes."""
    listed = {row["name"]: row["needs"] for row in json.loads(run("metrics", "--format", "json").stdout)["metrics"]}
    assert listed["is"] == "logits of fake"
    assert listed["fid"] == "features of real, features of fake"
    assert listed["cas"] == "features of real, features of fake, classes of both"


def test_metrics_without_a_paper_are_listed_without_a_source(run: Run) -> None:
    """PSNR is of nobody's paper: nothing stands where others have theirs, and no brackets are around it."""
    text = run("metrics").stdout
    assert not PAIR_METRICS["psnr"].source
    assert f"\npsnr: {PAIR_METRICS['psnr'].title}\n" in text
    assert "()" not in text


def test_metrics_of_sequences_have_their_own_section(run: Run) -> None:
    """They follow those of pairs, below a heading; the command that it names takes these metrics and no others."""
    before, heading, after = run("metrics").stdout.partition("\nMetrics of token sequences, of ")
    command, end, entries = after.partition("\n\nMetrics of semi-supervised classifiers")[0].partition(":\n\n")
    assert heading
    assert end
    assert [entry.partition(":")[0] for entry in entries.split("\n\n")] == list(SEQUENCE_METRICS)
    assert before.rstrip().rpartition("\n\n")[2].startswith(f"{list(PAIR_METRICS)[-1]}: ")
    assert "needs sequences of the model; better: closer to that of real sequences" in entries
    refused = run(*command.strip("`").split()[1:], "--metrics", "fid")
    assert refused.exit_code == 2
    assert f"'fid' is not a metric of sequences; choose from: {', '.join(SEQUENCE_METRICS)}." in refused.stderr


def test_metrics_of_classifiers_have_their_own_section(run: Run) -> None:
    """They are the last entries, below a heading, and models that do not classify refuse them."""
    _, heading, after = run("metrics").stdout.partition("\nMetrics of semi-supervised classifiers, of ")
    command, end, entries = after.partition(":\n\n")
    assert heading
    assert end
    assert " ".join(command.split()) == "`ganeval train-and-score --variant ssgan`"
    assert [entry.partition(":")[0] for entry in entries.split("\n\n")] == list(CLASSIFIER_METRICS)
    refused = run("train-and-score", "--variant", "gan", "--metrics", "fid,test_error")
    assert refused.exit_code == 2
    assert "'test_error' needs a model that classifies images, and gan does not" in refused.stderr


def test_weights_that_are_not_there(run: Run) -> None:
    """`weights path` prints the expected path; `verify` fails and says how to get the weights."""
    path = run("weights", "path")
    verified = run("weights", "verify")
    assert path.stdout.endswith("pt_inception-2015-12-05-6726825d.pth\n")
    assert verified.exit_code == 1
    assert "ganeval weights fetch" in verified.stderr


def test_untrained_weights_are_written_and_told_from_published_ones(run: Run, tmp_path: Path) -> None:
    """`weights untrained` writes a file that scores, and that `verify` refuses with both digests."""
    path = tmp_path / "untrained.pth"
    assert run("weights", "untrained", path, "--seed", "3").stdout == f"{path}: untrained weights, seed 3\n"
    refused = run("weights", "verify", path)
    assert refused.exit_code == 1
    assert "6726825d0af5f729" in refused.stderr
    assert "found SHA-256" in refused.stderr


def test_the_cache_is_described_and_cleared(run: Run) -> None:
    """After an evaluation the cache has entries, and after `clear` it has none."""
    run("fid", "digits:train", "digits:test", "--extractor", "digits")
    before = json.loads(run("cache", "info", "--format", "json").stdout)
    assert before["arrays"] > 0
    assert f"arrays  {before['arrays']}" in run("cache", "info").stdout
    assert f"removed {before['arrays']} arrays" in run("cache", "clear").stdout
    assert json.loads(run("cache", "info", "--format", "json").stdout)["arrays"] == 0


@pytest.mark.parametrize(("outcome", "code"), [("passed", 0), ("not checked", 0), ("failed", 1)])
def test_selfcheck_fails_when_a_check_does(run: Run, monkeypatch: pytest.MonkeyPatch, outcome: str, code: int) -> None:
    """The exit code is 1 exactly when a check failed; checks that could not run are reported and do not count."""
    checks = [SelfCheck("first", "passed", "fine"), SelfCheck("second", outcome, "found 1,\nexpected 2")]  # type: ignore[arg-type]
    monkeypatch.setattr(import_module("ganeval.selfcheck"), "run_selfcheck", lambda **_: checks)
    text, document = run("selfcheck"), run("selfcheck", "--format", "json")
    assert (text.exit_code, document.exit_code) == (code, code)
    assert f"\n{outcome}: second\n" in text.stdout
    assert "    found 1, expected 2\n" in text.stdout
    assert json.loads(document.stdout)["checks"][1]["outcome"] == outcome
