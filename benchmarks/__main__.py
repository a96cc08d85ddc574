"""`python -m benchmarks [NAME ...]`: run all benchmarks, or those named; results go to benchmarks/results/."""

import argparse
import inspect
from collections.abc import Callable

from benchmarks import (
    alarms,
    arrays,
    balls,
    calibration,
    calibration_photographs,
    commands,
    decoding,
    distance,
    encoders,
    gate,
    gpu,
    kernels,
    kid,
    kid_products,
    learning,
    levels,
    lite0,
    merge,
    nearest,
    neighbour,
    network,
    prdc,
    processes,
    quick_runs,
    remote,
    runs,
    sanity,
    scaling,
    sensitivity,
    shared,
    shared_training,
    steps,
    training,
)
from benchmarks.harness import say
from benchmarks.systems import (
    bayesgan,
    bgan,
    context_encoder,
    cyclegan,
    ddpm,
    exgan,
    pix2pix,
    progan,
    r3gan,
    seqgan,
    srgan,
    ssgan,
)

BENCHMARKS: dict[str, Callable[..., None]] = {
    "distance": distance.main,
    "kid": kid.main,
    "kid-products": kid_products.main,
    "kernels": kernels.main,
    "prdc": prdc.main,
    "nearest": nearest.main,
    "scaling": scaling.main,
    "balls": balls.main,
    "network": network.main,
    "neighbour": neighbour.main,
    "lite0": lite0.main,
    "encoders": encoders.main,
    "commands": commands.main,
    "decoding": decoding.main,
    "arrays": arrays.main,
    "processes": processes.main,
    "shared": shared.main,
    "merge": merge.main,
    "remote": remote.main,
    "calibration": calibration.main,
    "calibration-photographs": calibration_photographs.main,
    "levels": levels.main,
    "sensitivity": sensitivity.main,
    "sanity": sanity.main,
    "gate": gate.main,
    "runs": runs.main,
    "alarms": alarms.main,
    "training": training.main,
    "steps": steps.main,
    "quick-runs": quick_runs.main,
    "learning": learning.main,
    "shared-training": shared_training.main,
    "gpu": gpu.main,
    "pix2pix": pix2pix.main,
    "cyclegan": cyclegan.main,
    "ddpm": ddpm.main,
    "r3gan": r3gan.main,
    "progan": progan.main,
    "bgan": bgan.main,
    "ssgan": ssgan.main,
    "bayesgan": bayesgan.main,
    "seqgan": seqgan.main,
    "srgan": srgan.main,
    "context-encoder": context_encoder.main,
    "exgan": exgan.main,
}


def main() -> None:
    """Run the chosen benchmarks one after the other: two at once would slow each other down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--runs", type=int, default=3, help="measured runs of each item (3)")
    parser.add_argument("--metrics", metavar="NAME,...", help="measure these alone, and keep the others' earlier rows")
    parser.add_argument("--data", metavar="NAME,...", help="measure these data alone, and keep the rest")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    names = chosen.names or list(BENCHMARKS)
    some = {key: value.split(",") for key in ("metrics", "data") if (value := getattr(chosen, key)) is not None}
    if unfit := [name for name in names if not some.keys() <= inspect.signature(BENCHMARKS[name]).parameters.keys()]:
        parser.error(f"{', '.join(unfit)} cannot measure a part alone; leave --{' and --'.join(some)} out")
    for name in names:
        say(f"{name} ...")
        BENCHMARKS[name](runs=chosen.runs, **some)


if __name__ == "__main__":
    main()
