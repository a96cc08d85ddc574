"""Processes that train a model together train the one that a single process trains."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from distributed.forked import run
from distributed.trainings import CASES, IN_MORE, apart, furthest
from engine_helpers import assert_same_state
from made_once import Once

SIZES = (1, 2, 5)


@pytest.fixture(scope="module")
def found(python: Sequence[str], once: Once) -> dict[int, list[dict[str, Any]]]:
    """What every process of every number of them found, by the number and the rank."""
    folder = once("trainings", lambda folder: run(python, "trainings", folder, *SIZES))
    return {size: [torch.load(folder / f"{size}-{rank}.pt") for rank in range(size)] for size in SIZES}


@pytest.mark.parametrize(("case", "size"), [(case, 2) for case in CASES] + [(case, 5) for case in IN_MORE])
def test_losses_gradients_and_draws_are_those_of_one_process(
    found: dict[int, list[dict[str, Any]]], case: str, size: int
) -> None:
    """In double precision all logs of three steps agree to 1e-8, random states and the data's order are the same.

    The logs have every loss and the norm of every gradient. Weights whose gradient is 0 but for rounding move by up to
    1e-6 with Adam; the penalty on squared gradients of r3gan amplifies rounding to 3e-9.
    """
    (alone,), (first, *others) = (found[number] for number in (1, size))
    within = 1e-8 if case != "rollouts" else 1e-5
    for one, other in zip(alone[case]["logs"], first[case]["logs"], strict=True):
        assert apart(one, other) < within
    assert furthest(alone[case]["weights"], first[case]["weights"]) < (1e-6 if case != "rollouts" else 1e-4)
    assert_same_state(alone[case]["random"], first[case]["random"])
    assert alone[case]["seen"] == first[case]["seen"]
    for other in others:
        assert_same_state(first[case], other[case])


def test_a_run_is_scored_and_logged_as_that_of_one_process(found: dict[int, list[dict[str, Any]]]) -> None:
    """In single precision the log of a run, with its scores, is that of one process up to rounding."""
    alone, together = (found[size][0]["whole"]["log"] for size in (1, 2))
    assert [line.keys() for line in alone] == [line.keys() for line in together]
    scores = [[line["score/fid"] for line in log if "score/fid" in line] for log in (alone, together)]
    assert len(scores[0]) == 3
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)


def test_a_resumed_run_is_an_uninterrupted_one(found: dict[int, list[dict[str, Any]]]) -> None:
    """After Ctrl-C in one of two processes both end at the same step, and the resumed run is bit for bit the same."""
    first = found[2][0]
    for rank in found[2]:
        assert_same_state(first["whole"]["state"], rank["whole"]["state"])
        assert_same_state(first["whole"]["state"], rank["broken"]["state"])
    logs = [[{**line, "images/s": 0} for line in first[name]["log"]] for name in ("whole", "broken")]
    assert logs[0] == logs[1]


def test_an_error_is_that_of_every_process(found: dict[int, list[dict[str, Any]]]) -> None:
    """A folder that is taken, too small a batch, and draws that cannot be shared are one error in all processes."""
    for rank in found[2]:
        taken, small, draw = rank["refused"]
        assert taken.startswith("UsageError: ")
        assert taken.endswith("exists and is not an empty folder; choose another one for the run.")
        assert small.startswith("UsageError: 2 processes cannot share a batch, or a part of one, of 1 rows; choose")
        assert draw.startswith("UsageError: Processes cannot share the numbers that normal_ draws for a batch;")


def test_the_loss_of_a_process_is_noticed(found: dict[int, list[dict[str, Any]]]) -> None:
    """When one of two processes ends in a step, the other one ends with an error that says so, and does not wait."""
    assert found[2][0]["deserted"].startswith("ProcessError: Process 0 of 2 lost another process, which ended before")
