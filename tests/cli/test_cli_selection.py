"""--include and --exclude on every evaluation command, and what -v says of files and labels."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ganeval_cli.main import cli

Run = Callable[..., Result]
FAST = ("--extractor", "pixels:2", "--no-cache", "--include", "1?.png", "--include", "2?.png", "--exclude", "19.png")


@pytest.mark.parametrize(
    ("command", "sides"),
    [("fid", 2), ("prdc", 2), ("nn", 2), ("c2st", 2), ("score", 2), ("noise-floor", 1), ("stats", 1), ("compare", 3)],
)  # fmt: skip
def test_every_measuring_command_selects(
    run: Run, digits: tuple[str, str], tmp_path: Path, command: str, sides: int
) -> None:
    """Of 40 images each, 19 are taken on either side, and the document says which."""
    extra = ("-o", tmp_path / "ref.npz") if command == "stats" else ()
    specs = (*digits, f"{digits[1]}/../{Path(digits[1]).name}")[:sides]
    result = run(command, *specs, *FAST, *extra, "--format", "json")
    assert result.exit_code == 0, result.output
    document = json.dumps(json.loads(result.stdout), sort_keys=True)
    assert '{"exclude": ["19.png"], "include": ["1?.png", "2?.png"], "of": 40}' in document


def test_all_commands_with_a_batch_size_have_them() -> None:
    """Every command with --batch-size has --include and --exclude."""
    for name in cli.list_commands(None):  # type: ignore[arg-type]
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        options = {option.name for option in command.params} if command else set()
        assert ("include" in options) == ("on_error" in options) == ("exclude" in options), name


def test_verbose_says_what_was_taken_and_where_labels_are(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """-v shows the selection, the files left out, and the file of labels or the reason why there are none."""
    folder = Path(digits[0])
    (folder / "notes.txt").write_text("left out")
    (folder / "labels.csv").write_text("".join(f"{index}.png,{index % 2}\n" for index in range(40)))
    try:
        shown = run("fid", *digits, "--extractor", "pixels:2", "-v", "--include", "?.png").stdout
        assert "selected: include ?.png, of 40 images" in shown
        assert "left out: 1 x .txt" in shown
        assert "labels: 2 classes, from labels.csv" in shown
        (folder / "labels.csv").write_text("".join(f"{index}.png,{index - 1}\n" for index in range(40)))
        shown = run("fid", *digits, "--extractor", "pixels:2", "-v", "--include", "?.png").stdout
        assert "labels: none: labels.csv: 0.png has the label -1; classes are counted from 0" in shown
    finally:
        (folder / "notes.txt").unlink()
        (folder / "labels.csv").unlink()


def test_a_quoted_glob_and_a_list_are_sources(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """Globs and lists need no shell; a glob without a match is refused with the files that exist."""
    (tmp_path / "list.txt").write_text("".join(f"{digits[1]}/{index}.png\n" for index in range(5)))
    result = run("fid", f"{digits[0]}/1*.png", tmp_path / "list.txt", "--extractor", "pixels:2")
    assert "11 x 5" in result.stdout
    result = run("fid", f"{digits[0]}/*.jpg", digits[1], "--extractor", "pixels:2")
    assert result.exit_code == 2
    assert "matches nothing" in result.stderr
    result = run("fid", *digits, "--extractor", "pixels:2", "--include", "*.jpg")
    assert result.exit_code != 0
    assert "--include '*.jpg' excludes all of its 40 images: 0.png, 1.png, 2.png, ..." in result.stderr
