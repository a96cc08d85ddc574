"""Metrics of neighbours and FLD, beside their authors' code: seconds of one thread, memory, and how far values differ.

FLD has a random part, the half of the training images that its baseline is made from, by which its values differ.

Each tool is in its own process, with the same features and OMP_NUM_THREADS=1, and its processor time is taken, so that
other work on the machine counts as little as possible. The authors' code is read from checkouts, in the folders that
these environment variables name; what is not there is skipped:

    CLIPPED_CODE    nicolassalvy/ClippedDensityCoverage
    FLD_CODE        marcojira/fld
    DGM_EVAL_CODE   layer6ai-labs/dgm-eval (realism, with precision, recall, density and coverage)
    P_PR_CODE       kdst-team/Probablistic_precision_recall
"""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import alternate, median, save, say, table

COUNT, DIMENSIONS = 10_000, 768
START = """
import sys, time, types
import torch
count, width, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[4]
rng = torch.Generator().manual_seed(0)
real, fake = (torch.rand(count, width, generator=rng) ** power for power in (3.0, 2.5))
sys.path.insert(0, folder)
def package(name, path):
    # Without its __init__, which imports networks and figures.
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
for name in ("matplotlib", "matplotlib.pyplot", "seaborn"):
    sys.modules[name] = types.ModuleType(name)
"""
END = """
start = time.process_time()
found = values()
with open(sys.argv[3], "a") as file:
    print(time.process_time() - start, *found, file=file)
"""
FEATURES = "values = lambda: [0.0]"


@dataclass(frozen=True, slots=True)
class Peer:
    """code: the variable with its folder. ours, theirs: programs that define `values`."""

    code: str
    ours: str
    theirs: str


PEERS = {
    "clipped density and coverage": Peer(
        "CLIPPED_CODE",
        "from ganeval.metrics import clipped\nvalues = lambda: [one.value for one in clipped(real, fake).values()]",
        "from ClippedDensityCoverage.metrics.Clipped_Density_Coverage import ClippedDensityCoverage\n"
        "def values():\n"
        "    metrics = ClippedDensityCoverage(real.numpy(), n_jobs=1)\n"
        "    return metrics.ClippedDensity(fake.numpy()), metrics.ClippedCoverage(fake.numpy())",
    ),
    "P-precision and P-recall": Peer(
        "P_PR_CODE",
        "from ganeval.metrics import probabilistic\n"
        "values = lambda: [one.value for one in probabilistic(real, fake).values()]",
        "package('metric', folder + '/metric')\n"
        "from metric import pp_pr\n"
        "from functools import partial\n"
        "pp_pr.get_pairwise_distances = partial(pp_pr.get_pairwise_distances, jobs=1)\n"
        "values = lambda: pp_pr.compute_pprecision_precall(real.numpy(), fake.numpy())",
    ),
    "realism": Peer(
        "DGM_EVAL_CODE",
        "from ganeval.metrics import realism\nvalues = lambda: [realism(real, fake).value]",
        "package('dgm_eval', folder + '/dgm_eval')\n"
        "package('dgm_eval.metrics', folder + '/dgm_eval/metrics')\n"
        "import numpy, sklearn.metrics\n"
        "from functools import partial\n"
        "from dgm_eval.metrics import prdc\n"
        "pairs = sklearn.metrics.pairwise_distances\n"
        "sklearn.metrics.pairwise_distances = lambda *sets, **named: pairs(*sets, metric='euclidean', n_jobs=1)\n"
        "values = lambda: [numpy.median(prdc.compute_prdc(real.numpy(), fake.numpy(), 5, realism=True)['realism'])]",
    ),
    "FLD": Peer(
        "FLD_CODE",
        "from ganeval.metrics import fld_score\n"
        "half = count // 2\n"
        "values = lambda: [fld_score(real[half:], real[:half], fake[:half])['fld'].value]",
        "package('fld', folder + '/fld')\n"
        "from fld.metrics.FLD import FLD\n"
        "half = count // 2\n"
        "values = lambda: [FLD().compute_metric(real[half:], real[:half], fake[:half])]",
    ),
}


def main(*, runs: int, count: int = COUNT) -> None:
    """Each metric of two sets of so many images; FLD of three sets with half as many, as it needs more time."""
    rows, figures, missing = [], {}, []
    for name, peer in PEERS.items():
        folder = os.environ.get(peer.code)
        if folder is None or not Path(folder).is_dir():
            missing.append(f"{name} (the folder {peer.code})")
            continue
        with tempfile.TemporaryDirectory() as temporary:
            files = {tool: Path(temporary) / tool for tool in ("features", "authors", "ganeval")}
            programs = dict(zip(files, (FEATURES, peer.theirs, peer.ours), strict=True))
            commands = {
                tool: [
                    *(sys.executable, "-W", "ignore", "-c", START + programs[tool] + END),
                    *(str(count), str(DIMENSIONS), str(files[tool]), folder),
                ]
                for tool in files
            }
            found = alternate(commands, runs=runs, environment={"OMP_NUM_THREADS": "1"})
            lines = {tool: [line.split() for line in file.read_text().splitlines()] for tool, file in files.items()}
        seconds = {tool: min(float(line[0]) for line in lines[tool]) for tool in ("authors", "ganeval")}
        peaks = {tool: median([run.peak for run in found[tool]]) for tool in found}
        over = {tool: (peaks[tool] - peaks["features"]) / 2**20 for tool in seconds}
        values = {tool: [float(value) for value in lines[tool][0][1:]] for tool in seconds}
        apart = max(abs(one - other) for one, other in zip(values["authors"], values["ganeval"], strict=True))
        say(f"  {name}: {seconds}, {values}")
        rows.append(
            [
                name,
                f"{seconds['authors']:.1f} s",
                f"{seconds['ganeval']:.1f} s",
                f"{seconds['authors'] / seconds['ganeval']:.1f}",
                f"{over['authors']:.0f} MB",
                f"{over['ganeval']:.0f} MB",
                f"{apart:.1g}",
            ]
        )
        figures[name] = {"seconds": seconds, "megabytes_over_features": over, "values": values}
    header = [
        f"{count} x {DIMENSIONS}",
        *(
            "authors' code",
            "ganeval, with error bars",
            "speedup",
            "authors' code, memory",
            "ganeval, memory",
            "values differ by",
        ),
    ]
    text = table(header, rows)
    if missing:
        text += f"\n\nNot measured, as there is no checkout: {', '.join(missing)}."
    save("balls", {"count": count, "dimensions": DIMENSIONS, **figures}, text)
