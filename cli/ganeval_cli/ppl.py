"""`ganeval ppl`: perceptual path length of a generator with latents."""

import click

from ganeval_cli.gate_options import GATE, GateOptions
from ganeval_cli.options import EVALUATION, OUTPUT, OutputOptions, command
from ganeval_cli.run import check_specs, show_one

_TAKEN = ("device", "seed")


@command(*(one for one in EVALUATION.options if one.name in _TAKEN), OUTPUT, GATE)
@click.argument("generator")
@click.option(
    "--protocol",
    metavar="NAME",
    default="torch-fidelity",
    show_default=True,
    help="Which published numbers to reproduce: torch-fidelity (steps in the latents z), or stylegan3 (steps in w; for "
    "generators with a mapping network).",
)
@click.option(
    "--network",
    metavar="NAME[:FILE]",
    default="vgg",
    show_default=True,
    help="The network of LPIPS: alex, vgg or squeeze; after a colon a file with its weights, or 'untrained'.",
)
@click.option(
    "--num-samples", type=click.IntRange(min=1), metavar="N", default=50_000, show_default=True, help="Steps to take."
)
@click.option(
    "--epsilon",
    type=float,
    metavar="X",
    default=1e-4,
    show_default=True,
    help="Length of a step, as a share of the way to another latent.",
)
def ppl(
    *,
    generator: str,
    protocol: str,
    network: str,
    num_samples: int,
    epsilon: float,
    device: str,
    seed: int,
    output: OutputOptions,
    gate: GateOptions,
) -> None:
    """How abruptly images change between latents (PPL).

    GENERATOR is ckpt:RUN, or py:FILE.py:NAME with the methods latent(n, rng) and generate(z, labels). Lower is
    smoother. Numbers of different protocols are not comparable, and the gate refuses to compare them.
    """
    with gate.exit_codes():
        opened = gate.open(writes=(output.path,), several=None)
        check_specs(generator)
        output.check()
        from ganeval import perceptual_path_length
        from ganeval_cli.progress import bars

        found = perceptual_path_length(
            generator,
            protocol=protocol,
            network=network,
            num_samples=num_samples,
            epsilon=epsilon,
            seed=seed,
            device=device,
            progress=bars(quiet=output.quiet),
        )
        show_one(found, output=output)
        if opened is not None:
            opened.hold(found, output)
