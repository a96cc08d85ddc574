"""Running commands in this process, on small sets of real digits."""

from pathlib import Path

import pytest
from cli_helpers import Run, write_digits
from click.testing import CliRunner, Result

from ganeval_cli.main import cli


@pytest.fixture(scope="session")
def run() -> Run:
    """run("fid", real, fake) returns the output of the command and its exit code."""

    def command(*arguments: str | Path) -> Result:
        return CliRunner().invoke(cli, [str(one) for one in arguments], prog_name="ganeval")

    return command


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two folders of 40 greyscale PNGs each: real digits, and other real digits."""
    return write_digits(tmp_path_factory.mktemp("real"), "train"), write_digits(tmp_path_factory.mktemp("fake"), "test")
