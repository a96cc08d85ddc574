"""Trainings of several processes, and of one.

`python -m distributed.trainings FOLDER SIZE...` writes what each process found to FOLDER/SIZE-RANK.pt.
"""

import math
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, cast

import sklearn.datasets  # noqa: F401, imported once for all processes
import torch
import torch._dynamo
from distributed.forked import main
from torch import Tensor, distributed

from ganeval.errors import GanevalError
from ganeval.ranks import launched
from reference_models.base import Player
from reference_models.engine.folder import read_log
from reference_models.engine.loop import Callbacks, Intervals
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.reading import read_examples
from reference_models.engine.resume import resume
from reference_models.engine.run import start
from reference_models.engine.training import Training
from reference_models.scoring.periodic import scorer

# A batch of 7 is uneven in 2 and 5 processes.
SMALL: Mapping[str, Any] = {"batch": 7, "steps": 3}
# What couples the images of a batch, or draws for them: dropout, classes, batch normalisation, penalties with double
# backward, statistics of the batch in layers and in losses, pools, samplers, phases.
CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "rollouts": ("seqgan", {"likelihood": 1, "pretraining": 1, "adversarial": 1}),
    "dropout": ("gan", {"resolution": 8}),
    "parts": ("dcgan", {"width": 4, "batch": 14}),
    "classes": ("acgan", {"generator_width": 16, "discriminator_width": 4}),
    "penalty": ("wgan-gp", {"generator_width": 16, "critic_width": 4}),
    "clip": ("lucic2018-wgan", {"width": 8, "dense": 32}),
    "spread of reals": ("lucic2018-dragan", {"width": 8, "dense": 32}),
    "penalty of a normalised critic": ("lucic2018-wgan-gp", {"width": 8, "dense": 32, "normalised": True}),
    "balance": ("began", {"width": 8}),
    "minibatch deviation": ("progan", {"batch": 12, "maps": 32, "widest": 8}),
    "importance": ("bgan", {"width": 4, "units": 32}),
    "minibatch discrimination": ("ssgan", {"kernels": 8, "labelled": 20, "width": 32, "generator_width": 16}),
    "feature matching": ("ssgan", {"norm": "virtual", "labelled": 20, "width": 32, "generator_width": 16}),
    "posterior": ("bayesgan", {"joined": "densities", "hidden": 16, "observations": 10}),
    "relativistic": ("r3gan", {"width": 32, "groups": 8}),
    "pool": ("cyclegan", {"pool": 5, "width": 4}),
    "noise of a translator": ("pix2pix", {"dropout": 0.5, "width": 4}),
    "diffusion": ("ddpm", {"dropout": 0.1}),
}
# These are computed in more than two processes as well, whose batches are of two or three images.
IN_MORE = ("parts", "minibatch deviation")


def plan_of(case: str) -> TrainingPlan:
    """The plan of a case."""
    variant, chosen = CASES[case]
    named = {name if name in ("batch", "resolution") else f"settings.{name}": value for name, value in chosen.items()}
    return make_plan(variant, chosen={**SMALL, **named}, train_images=40, accumulate=2 if case == "parts" else 1)


def exactly() -> None:
    """From now on, single precision is double precision, so that rounding cannot hide what is wrong.

    With batch normalisation some gradients are 0 up to rounding, and Adam makes as much of rounding as of a gradient.
    """
    torch.set_default_dtype(torch.float64)
    torch.float32 = torch.float64  # type: ignore[misc]
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]


def trained(case: str) -> dict[str, Any]:
    """The logs of three steps, the weights, and the random states."""
    plan = plan_of(case)
    training = Training(plan, read_examples(plan))
    logs = [{name: float(value) for name, value in training.advance().items()} for _ in range(3)]
    state = training.state()
    return {"logs": logs, "weights": state["model"], "random": state["random"], "seen": state["seen"]}


def run(folder: Path, name: str, *, steps: int) -> dict[str, Any]:
    """A run of so many steps that scores, saves and draws on the way; its log and checkpoint."""
    output = folder / f"{name}-{distributed.get_world_size() if distributed.is_initialized() else 1}"
    intervals = Intervals(log_every=2, sample_every=2, save_every=2, score_every=3)
    score = scorer("digits:test", metrics=["fid"], num_samples=40, extractor="digits", cache=False)
    callbacks = Callbacks(scorer=score)
    plan = make_plan("dcgan", chosen={"settings.width": 4, "batch": 7, "steps": 6})
    if output.exists():
        loop = resume(output, intervals=intervals, callbacks=callbacks)
    else:
        loop = start(plan, output, intervals=intervals, callbacks=callbacks)
    if steps < loop.training.plan.recipe.steps:
        _stop_before(loop.training, steps)
    with suppress(KeyboardInterrupt):
        loop.run()
    return {"log": read_log(output), "state": loop.training.state()}


def _stop_before(training: Training, step: int) -> None:
    """Interrupt one of the processes in this step, as with Ctrl-C."""
    advance = training.advance

    def interrupted() -> Any:
        if training.step + 1 == step and distributed.get_rank() == distributed.get_world_size() - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return advance()

    training.advance = interrupted  # type: ignore[method-assign]


def refused(folder: Path) -> list[str]:
    """The errors of a folder that is taken, of a batch that is too small, and of a draw that cannot be shared."""
    found = []

    class Careless(Training):
        def __init__(self, plan: TrainingPlan) -> None:
            super().__init__(plan, read_examples(plan))

            def loss(batch: Any, rng: torch.Generator) -> Any:
                return torch.empty(len(batch), device="cpu").normal_(generator=rng).mean(), {}

            player = cast(Player, self.tools.players[0])
            self.model.update(
                Player(player.name, player.parameters, player.optimizer, loss),
                self.tools.draw(),
                self.tools.optimizers[player.name],
                self.tools,
            )

    taken = folder / f"taken-{distributed.get_world_size()}"
    if distributed.get_rank() == 0:
        taken.mkdir()
        (taken / "note.txt").write_text("mine")
    distributed.barrier()
    plan = make_plan("gan", chosen={"resolution": 8, "batch": 7, "steps": 2})
    for attempt in (
        lambda: start(plan, taken),
        lambda: Training(plan.choose({"batch": 1}), read_examples(plan)),
        lambda: Careless(plan),
    ):
        try:
            attempt()
        except GanevalError as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


def deserted(rank: int, leave: Callable[[], object]) -> str:
    """The error of the first process when the second one ends in the middle of a training."""
    plan = plan_of("dropout")
    training = Training(plan, read_examples(plan))
    training.advance()
    if rank == 1:
        leave()
        os._exit(0)
    try:
        training.advance()
    except GanevalError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def task(folder: Path, rank: int, size: int) -> None:
    """What one process finds."""
    found: dict[str, Any] = {}
    with launched() if size > 1 else nullcontext():
        if size < 3:
            found["whole"] = run(folder, "whole", steps=6)
        if size == 2:
            run(folder, "broken", steps=3)
            found["broken"] = run(folder, "broken", steps=6)
            found["refused"] = refused(folder)
        for case in CASES if size < 3 else IN_MORE:
            # The network of sequences is of single precision, whatever the default is.
            if case != "rollouts":
                exactly()
            found[case] = trained(case)
        if size == 2:
            found["deserted"] = deserted(rank, lambda: torch.save(found, folder / f"{size}-{rank}.pt"))
        torch.save(found, folder / f"{size}-{rank}.pt")


def apart(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The largest difference of two logs, relative to the value or to 1e-3."""
    assert one.keys() == other.keys()
    return max((abs(value - other[name]) / max(abs(value), 1e-3) for name, value in one.items()), default=math.nan)


def furthest(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference of two states' numbers."""
    return max(float((value.double() - other[name].double()).abs().max()) for name, value in one.items())


if __name__ == "__main__":
    main(task)
