"""`python -m benchmarks [NAME ...]`: run all benchmarks, or those named; results go to benchmarks/results/."""

import argparse
from collections.abc import Callable

from benchmarks import (
    alarms,
    calibration,
    commands,
    distance,
    gate,
    gpu,
    kid,
    levels,
    network,
    prdc,
    sanity,
    sensitivity,
    shared,
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
    "prdc": prdc.main,
    "network": network.main,
    "commands": commands.main,
    "shared": shared.main,
    "calibration": calibration.main,
    "levels": levels.main,
    "sensitivity": sensitivity.main,
    "sanity": sanity.main,
    "gate": gate.main,
    "alarms": alarms.main,
    "training": training.main,
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
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    for name in chosen.names or BENCHMARKS:
        say(f"{name} ...")
        BENCHMARKS[name](runs=chosen.runs)


if __name__ == "__main__":
    main()
