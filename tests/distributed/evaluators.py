"""What Evaluators give in several processes, and in one that takes in the same images in the order of the ranks.

`python evaluators.py FOLDER SIZE...` writes what each process found to FOLDER/SIZE-RANK.json.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from distributed.forked import main
from torch import Tensor, distributed
from torch.utils.data import DistributedSampler
from torchmetrics.image import KernelInceptionDistance

import ganeval
from ganeval import ranks
from ganeval.errors import GanevalError

METRICS = ["fid", "kid", "is", "precision", "intra_fid", "c2st_knn"]
RANKS = 5
Update = tuple[Tensor, bool, Tensor]


def updates(rank: int) -> Iterator[Update]:
    """What a rank takes in: uneven numbers of batches of uneven sizes, nothing in rank 1, reals in rank 0 alone."""
    rng = torch.Generator().manual_seed(rank)
    batches = {0: [(40, True), (9, False)], 1: [], 2: [(17, False), (70, False)], 3: [(0, False), (1, False)]}
    for count, real in batches.get(rank, [(30, False), (3, False)]):
        labels = torch.arange(count) % 3
        noise = torch.randint(0, 120, (count, 1, 8, 8), generator=rng)
        yield (labels[:, None, None, None] * 60 + noise).byte(), real, labels


def taken_in(*of: int, **chosen: Any) -> ganeval.Evaluator:
    """An Evaluator that took in what these ranks have."""
    evaluator = ganeval.Evaluator(**{"metrics": METRICS, "extractor": "digits", **chosen})
    for rank in of:
        for images, real, labels in updates(rank):
            evaluator.update(images, real=real, labels=labels)
    return evaluator


def plain(result: ganeval.Evaluation) -> Any:
    """A result without its date."""
    found = result.to_dict()
    del found["provenance"]["created"]
    return json.loads(json.dumps(found))


def shares(rank: int, size: int) -> range:
    """The ranks of five processes whose images a process takes in; those of all processes are all, in order."""
    return range(RANKS * rank // size, RANKS * (rank + 1) // size)


def together(rank: int, size: int) -> Any:
    """The result of all images, twice, and after a reset of the fakes the error that there are none."""
    evaluator = taken_in(*shares(rank, size))
    first, again = plain(evaluator.compute()), plain(evaluator.compute())
    assert first == again
    evaluator.reset(real=False)
    return first, refused(evaluator.compute)


def inside(rank: int, size: int) -> Any:
    """The same where the processes share other work, too."""
    with ganeval.distributed_work():
        return plain(taken_in(*shares(rank, size)).compute())


def resumed(rank: int, size: int) -> Any:
    """The result of Evaluators that went on from a checkpoint of each rank."""
    own = list(shares(rank, size))
    before = taken_in(*own[:1], metrics=["fid", "kid"])
    after = taken_in(metrics=["fid", "kid"])
    after.load_state_dict(before.state_dict())
    for more in own[1:]:
        for images, real, labels in updates(more):
            after.update(images, real=real, labels=labels)
    return plain(after.compute())


def alone(rank: int, size: int) -> Any:
    """The result of the first rank's own images, while the others do nothing."""
    if rank:
        return None
    return plain(taken_in(*range(RANKS), metrics=["fid"], all_ranks=False).compute())


def padded(rank: int, size: int) -> Any:
    """The number of reals and the warnings where a sampler repeats images so that all processes have as many."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (41, 3, 8, 8), dtype=torch.uint8, generator=rng)
    own: DistributedSampler[Tensor] = DistributedSampler(images, size, rank, shuffle=False)  # type: ignore[arg-type]
    evaluator = ganeval.Evaluator(metrics=["fid"], extractor="digits")
    evaluator.update(images[list(own)], real=True)
    # Every process draws with the same seed.
    evaluator.update(images[:20].flip(3), real=False)
    found = evaluator.compute()
    return found["fid"].n_real, [text for text in found.warnings if "DistributedSampler" in text]


def unlabelled(rank: int, size: int) -> Any:
    """The error of a metric of classes where the images of the last rank have none."""
    evaluator = taken_in(*shares(rank, size), metrics=["intra_fid"])
    if rank == size - 1:
        evaluator.update(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), real=False)
    return refused(evaluator.compute)


def unlike(rank: int, size: int) -> Any:
    """The errors where the last rank has another extractor, other metrics, other options."""
    last = rank == size - 1
    kinds: list[dict[str, Any]] = [
        {"extractor": "pixels:4" if last else "digits"},
        {"metrics": ["kid"] if last else ["fid"]},
        {"metrics": ["precision"], "options": {"prdc": {"k": 3 if last else 4}}},
    ]
    return [refused(taken_in(0, 2, **{"metrics": ["fid"], **kind}).compute) for kind in kinds]


def refused(compute: Callable[[], object]) -> str:
    """The message of the error that this raises."""
    try:
        compute()
    except GanevalError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def embed(images: Tensor) -> Tensor:
    """Features for torchmetrics and an Evaluator."""
    return images.float().flatten(1)[:, ::8] / 255


class Embedding(torch.nn.Module):
    """The features as torchmetrics takes them."""

    num_features = 24

    def forward(self, images: Tensor) -> Tensor:
        return embed(images)


def kid(rank: int, size: int, *, theirs: bool) -> float | str:
    """KID of five batches of reals and of fakes, three of each in rank 0 and two in rank 1, of all images at once."""
    rng = torch.Generator().manual_seed(0)
    batches = torch.randint(0, 256, (2, 5, 8, 3, 8, 8), dtype=torch.uint8, generator=rng)
    batches[1] //= 2
    own = batches if size == 1 else batches[:, :3] if rank == 0 else batches[:, 3:]
    metric: Any = (
        KernelInceptionDistance(Embedding(), subsets=1, subset_size=40)
        if theirs
        else ganeval.Evaluator(metrics=["kid"], extractor=f"py:{__file__}:embed")
    )
    for real, some in ((True, own[0]), (False, own[1])):
        for batch in some:
            metric.update(batch, real=real)
    if not theirs:
        return float(metric.compute()["kid"].value)
    try:
        return float(metric.compute()[0])
    except (RuntimeError, ValueError) as error:
        return str(error)


def task(folder: Path, rank: int, size: int) -> None:
    """What one process finds."""
    ranks.IN_MEMORY_BYTES = 1 << 12
    ranks.BLOCK_BYTES = 1 << 11
    if size > 1:
        distributed.init_process_group("gloo")
    cases = [together, resumed, alone, padded] if size < 3 else [together]
    cases += [inside, unlabelled, unlike] if size == 2 else []
    found = {case.__name__: case(rank, size) for case in cases}
    if size < 3:
        # The last one: a rank of torchmetrics may have ended.
        found["kids"] = [kid(rank, size, theirs=theirs) for theirs in (False, True)]
    (folder / f"{size}-{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    if size > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(task)
