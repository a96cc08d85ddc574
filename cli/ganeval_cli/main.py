"""The `ganeval` command: the table of its commands, and how their errors are handled.

Adding a command: write it in a file of this package, and add its line to COMMANDS.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import click
from click.exceptions import Exit

from ganeval import __version__
from ganeval.errors import GanevalError, ProcessError, did_you_mean
from ganeval.processes import processes
from ganeval_cli.console import complain, mute, open_streams, results_alone
from ganeval_cli.errors import foreseen_errors, interruptions

# Every command and where it is defined, in the order of `ganeval --help`.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "fid": "ganeval_cli.score:fid",
        "is": "ganeval_cli.score:inception_score",
        "kid": "ganeval_cli.score:kid",
        "prdc": "ganeval_cli.score:prdc",
        "nn": "ganeval_cli.nn:nn",
        "c2st": "ganeval_cli.c2st:c2st",
        "score": "ganeval_cli.score:score",
        "compare": "ganeval_cli.compare:compare",
        "pairs": "ganeval_cli.pairs:pairs",
        "clip-score": "ganeval_cli.clip_score:clip_score",
        "ppl": "ganeval_cli.ppl:ppl",
        "noise-floor": "ganeval_cli.noise_floor:noise_floor",
        "report": "ganeval_cli.report:report",
        "stats": "ganeval_cli.stats:stats",
        "extract": "ganeval_cli.extract:extract",
        "merge": "ganeval_cli.merge:merge",
        "variants": "ganeval_cli.variants:variants",
        "train": "ganeval_cli.train:train",
        "train-and-score": "ganeval_cli.train_and_score:train_and_score",
        "augment": "ganeval_cli.augment:augment",
        "sample": "ganeval_cli.sample:sample",
        "translate": "ganeval_cli.translate:translate",
        "interpolate": "ganeval_cli.sample:interpolate",
        "arithmetic": "ganeval_cli.sample:arithmetic",
        "check": "ganeval_cli.check:check",
        "baseline": "ganeval_cli.baseline:baseline",
        "history": "ganeval_cli.history:history",
        "metrics": "ganeval_cli.listings:metrics",
        "protocols": "ganeval_cli.listings:protocols",
        "extractors": "ganeval_cli.listings:extractors",
        "weights": "ganeval_cli.weights:weights",
        "cache": "ganeval_cli.cache:cache",
        "selfcheck": "ganeval_cli.selfcheck:selfcheck",
    }
)

EPILOG = """\b
Exit codes:
  0  done
  1  failure: images, weights, memory or disk
  2  usage: an option or argument that cannot be used as written
\b
Environment:
  GANEVAL_CACHE    folder of kept features and downloaded weights
  GANEVAL_DATA     folder of downloaded data sets
  GANEVAL_WEIGHTS  Inception weights to use instead of downloading them
\b
Try it without any download:
  ganeval score digits:train digits:test --extractor digits
"""


class Commands(click.Group):
    """A group that imports a command when it is used, and prints errors in a few lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, click's signature
        """Every name, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002, click's signature
        """The command of a name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = copy(getattr(import_module(module), name))
        if command.callback is not None:
            command.callback = results_alone()(command.callback)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that arguments begin with; a usage error with a hint for an unknown one."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command '{name}'; {did_you_mean(name, list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Arguments before the command's name."""
        with foreseen_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        with foreseen_errors():
            _check_folder()
            return super().invoke(ctx)


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="ganeval", message="%(prog)s %(version)s")
def cli() -> None:
    """How good is this image generator, and can you trust and compare that number?"""


def main() -> None:
    """Run the command of `sys.argv`; `entry.main` calls it."""
    open_streams()
    if not sys.warnoptions:
        # Warnings of libraries are for programmers; a user of the command cannot act on them.
        warnings.simplefilter("ignore")
    try:
        with interruptions(), _processes():
            cli(prog_name="ganeval")
    except Exit as ending:
        raise SystemExit(ending.exit_code) from ending


def _check_folder() -> None:
    """GanevalError if the current folder was deleted, because some libraries then end the process."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise GanevalError("The current folder was deleted; change to another one.") from error


@contextmanager
def _processes() -> Iterator[None]:
    """Within this context, the processes of torchrun share the work; without torchrun, torch is not imported."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    from ganeval.ranks import launched

    with ExitStack() as stack:
        try:
            stack.enter_context(launched())
        except ProcessError as error:
            complain(f"error: {error}")
            raise SystemExit(error.exit_code) from error
        if not processes().first:
            mute(sys.stdout)
        yield
