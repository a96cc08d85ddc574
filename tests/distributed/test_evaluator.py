"""The Evaluator of a distributed training loop gives every rank the number of one process."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from distributed.forked import run
from made_once import Once

SIZES = (1, 2, 5)


@pytest.fixture(scope="module")
def found(python: Sequence[str], once: Once) -> dict[int, list[dict[str, Any]]]:
    """What every process of every number of them found, by the number and the rank."""
    folder = once("evaluators", lambda folder: run(python, "evaluators", folder, *SIZES))
    return {size: [json.loads((folder / f"{size}-{rank}.json").read_text()) for rank in range(size)] for size in SIZES}


@pytest.mark.parametrize("size", SIZES[1:])
def test_every_rank_has_the_result_of_one_process(found: dict[int, list[dict[str, Any]]], size: int) -> None:
    """Uneven batches, ranks without images and reals in one rank alone give, bit for bit, what one process gives."""
    (one,) = found[1]
    assert one["together"][0]["provenance"]["fake"]["count"] == 130
    for rank in found[size]:
        assert rank["together"] == one["together"]


def test_states_are_of_a_rank(found: dict[int, list[dict[str, Any]]]) -> None:
    """Evaluators that each go on from their own state give the result of one process."""
    assert [rank["resumed"] for rank in found[2]] == [found[1][0]["resumed"]] * 2


def test_ranks_that_share_other_work_give_the_same(found: dict[int, list[dict[str, Any]]]) -> None:
    """Inside `distributed_work` the result is the same."""
    assert [rank["inside"] for rank in found[2]] == [found[1][0]["together"][0]] * 2


def test_an_evaluator_of_one_rank_waits_for_no_other(found: dict[int, list[dict[str, Any]]]) -> None:
    """`all_ranks=False` gives the result of the rank's own images, though no other rank computes."""
    assert found[2][0]["alone"] == found[1][0]["alone"]


def test_an_error_is_that_of_every_rank(found: dict[int, list[dict[str, Any]]]) -> None:
    """Missing fakes, missing classes in one rank, and other arguments in one rank are one clear error, and no hang."""
    for rank in found[2]:
        assert (
            rank["together"][1] == "MetricError: No fake images were taken in; call update(images, real=False) first."
        )
        assert rank["unlabelled"].startswith("UsageError: The metric 'intra_fid' needs the class of every image")
        extractor, metrics, options = rank["unlike"]
        differ = "UsageError: The Evaluators of ranks 0 and 1 differ: "
        assert extractor.startswith(f"{differ}extractor is digits, ")
        assert metrics.startswith(f"{differ}metrics is ['fid'] and ['kid']. Make them with the same arguments")
        assert options.startswith(f"{differ}options is {{'prdc': {{'k': 4}}}} and {{'prdc': {{'k': 3}}}}.")


def test_images_that_two_ranks_took_in_are_counted(found: dict[int, list[dict[str, Any]]]) -> None:
    """One of 41 reals, by which a sampler evens out two shares, and all fakes of a second rank with the same seed."""
    assert found[1][0]["padded"] == [41, []]
    for rank in found[2]:
        count, (of_reals, of_fakes) = rank["padded"]
        assert count == 42
        assert of_reals.startswith("real: 1 of 42 images equal an image of another process")
        assert of_fakes.startswith("fake: 20 of 40 images")


def test_uneven_batches_give_the_kid_that_torchmetrics_misses(found: dict[int, list[dict[str, Any]]]) -> None:
    """Both agree in one process; in two, torchmetrics gives another number or an error, and the Evaluator the same."""
    ((ours, theirs),) = (rank["kids"] for rank in found[1])
    assert theirs == pytest.approx(ours, rel=1e-4)
    for rank in found[2]:
        assert rank["kids"][0] == ours
        assert rank["kids"][1] != pytest.approx(ours, rel=1e-2)
