"""The way from images to a number is as short as scripts/trace_path.py counts it, and stays so."""

import ast
import re
import subprocess
from collections.abc import Sequence

import pytest


@pytest.fixture(scope="module")
def counts(python: Sequence[str]) -> str:
    """What the script prints."""
    done = subprocess.run([*python, "-m", "scripts.trace_path"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("call", "frames"), [("ganeval.fid(...)", 4), ("ganeval fid ...", 8)])
def test_the_metric_is_a_few_frames_away(counts: str, call: str, frames: int) -> None:
    """From Python and from the command, and at most 18 types are passed on the way."""
    (found,) = re.findall(rf"^{re.escape(call)}: .*, (\d+) frames to the metric, (\d+) types", counts, re.MULTILINE)
    assert int(found[0]) <= frames
    assert int(found[1]) <= 18


def test_the_steps_can_be_read_in_one_sitting(counts: str) -> None:
    """At most 1,200 lines, with their users seven files and 800 lines of code; each is entered once for a set."""
    line = r"^(?:orchestration|users): (\d+) lines in (\d+) files, (\d+) of them code"
    found = re.findall(line, counts, re.MULTILINE)
    (steps, users) = ([int(number) for number in numbers] for numbers in found)
    assert steps[0] <= 1200
    assert steps[1] + users[1] <= 7
    assert steps[2] + users[2] <= 800
    (visits,) = re.findall(r"^visits by ganeval.fid\(...\): (.*)$", counts, re.MULTILINE)
    assert ast.literal_eval(visits) == {"evaluation": 1, "selection": 1, "inputs": 1, "extraction": 2, "compute": 1}
