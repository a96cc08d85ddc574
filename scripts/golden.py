"""Golden numbers: the values of every metric, protocol and evaluation command for a small fixed set of digits.

    python scripts/golden.py          list the numbers that differ from tests/golden.json
    python scripts/golden.py --write  record the current numbers there

A change of the code that is not meant to change a number leaves them equal bit for bit on the machine that wrote them,
and equal within rounding on others (tests/test_golden.py). An intended change records them again, and the changelog
says how far they moved.
"""

import contextlib
import hashlib
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import ganeval
from ganeval.extractors.untrained import untrained_weights
from ganeval_cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "tests" / "golden.json"
# Numbers of reals and of fakes; and of each for the Inception network.
REALS, FAKES, SEEN = 300, 200, 5
# Libraries whose versions must be equal for bit-for-bit equality.
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pillow")
# Fields of a result that are numbers, or determine them.
FIELDS = ("value", "standard_error", "interval", "n_real", "n_fake", "options", "details")
DIFFERENCE = ("value", "standard_error", "p_corrected")
# Tolerances on other machines: convolutions sum in another order, and the order of neighbours may change.
RELATIVE, ABSOLUTE = 1e-3, 1e-5
# A network is trained here, which magnifies the last digits: of some 300 images, two may come to the other side.
TRAINED, TRAINED_ABSOLUTE = "/c2st_mlp/", 0.01
Numbers = dict[str, Any]


def machine() -> dict[str, str]:
    """The processor and libraries that determine the last bits of a number."""
    processor = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
        model = next((line.partition(":")[2] for line in lines if line.startswith("model name")), "")
        processor = f"{model.strip()} {hashlib.sha256(flags.encode()).hexdigest()[:12]}"
    return {"processor": processor, **{name: version(name) for name in LIBRARIES}}


def sets(folder: Path) -> tuple[Path, Path, Path]:
    """Labelled digits of 8 x 8, some held out and with noise, and the same with less noise."""
    digits = load_digits()
    images = np.clip(digits.images * 16, 0, 255)
    rng = np.random.RandomState(0)
    reals, others = slice(0, REALS), slice(REALS, REALS + FAKES)
    paths = []
    for name, chosen, noise in (("real", reals, 0.0), ("fake", others, 40.0), ("better", others, 10.0)):
        noisy = np.clip(images[chosen] + noise * rng.standard_normal(images[chosen].shape), 0, 255)
        paths.append(folder / f"{name}.npz")
        np.savez(paths[-1], images=_rgb(noisy.astype(np.uint8)), labels=digits.target[chosen])
    return paths[0], paths[1], paths[2]


def _rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, 3)


def of_results(metrics: Mapping[str, Any]) -> Numbers:
    """The numbers of a document's `metrics`."""
    return {name: {field: one[field] for field in FIELDS} for name, one in metrics.items()}


def commands(folder: Path) -> dict[str, list[str]]:
    """Every evaluation command, by the name of its numbers."""
    real, fake, better = map(str, sets(folder))
    digits = ["--extractor", "digits", "-q", "--format", "json"]
    run = str(folder / "run")
    return {
        "score all": ["score", real, fake, "--metrics", "all", *digits],
        "score all of pixels": ["score", real, fake, "--metrics", "all", *digits, "--extractor", "pixels:32"],
        "score of some": ["score", real, fake, "--num-samples", "100", "--seed", "3", *digits],
        "fid": ["fid", real, fake, *digits],
        "is": ["is", fake, *digits],
        "kid": ["kid", real, fake, "--subsets", "5", "--subset-size", "50", *digits],
        "prdc": ["prdc", real, fake, "--k", "3", *digits],
        "nn": ["nn", real, fake, *digits],
        "c2st": ["c2st", real, fake, "--classifier", "1nn,logistic", *digits],
        "compare": ["compare", real, fake, better, "--metrics", "fid,kid,vendi,precision", *digits],
        "noise": ["noise-floor", real, "--metrics", "fid,kid,coverage", "--splits", "3", *digits],
        "stats": ["stats", real, "-o", str(folder / "ref.npz"), "--extractor", "digits", "-q"],
        "fid of statistics": ["fid", str(folder / "ref.npz"), fake, *digits],
        "train": ["train", "--variant", "gan", "--steps", "20", "-o", run, "-q"],
        "fid of a run": ["fid", "digits:test", f"ckpt:{run}", "--num-samples", "100", *digits],
        "train-and-score": [
            *("train-and-score", "--variant", "cgan", "--steps", "20", "--num-samples", "100", "--metrics", "fid,is"),
            *("-o", str(folder / "scored"), "-q", "--format", "json"),
        ],
    }


def printed(arguments: list[str]) -> str:
    """Standard output of a command; RuntimeError if it fails."""
    result = CliRunner().invoke(cli, arguments, prog_name="ganeval")
    if result.exit_code:
        raise RuntimeError(f"ganeval {' '.join(arguments)} failed: {result.output}")
    return result.stdout


def _metrics(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every table of metrics in a document, with the keys that lead there."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key == "metrics" and isinstance(value, Mapping):
                yield "", value
            else:
                for path, found in _metrics(value):
                    yield f"/{key}{path}", found


def of_commands() -> Numbers:
    """The numbers that commands print as JSON."""
    found: Numbers = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, arguments in commands(folder).items():
            text = printed(arguments).replace(f"{name}/", "")
            if text.startswith("{"):
                document = json.loads(text)
                for path, metrics in _metrics(document):
                    found[title + path] = of_results(metrics)
                if "differences" in document:
                    found[f"{title}/differences"] = {
                        f"{one['metric']}/{number}": {key: one[key] for key in DIFFERENCE}
                        for number, one in enumerate(document["differences"])
                    }
        with np.load(folder / "ref.npz") as kept:
            found["stats"] = {"mu": float(kept["mu"].sum()), "sigma": float(np.abs(kept["sigma"]).sum())}
    return found


def of_protocols() -> Numbers:
    """FID and inception score under every protocol, with generated weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real, fake, _ = sets(folder)
        weights = untrained_weights(folder / "untrained.pth", seed=0)
        found = ganeval.evaluate_protocols(
            *(real, fake),
            metrics=["fid", "is"],
            options={"is": {"splits": 2}},
            weights=weights,
            num_samples=SEEN,
            cache=False,
            device="cpu",
        )
    return {f"protocol {name}": of_results(one.to_dict()["metrics"]) for name, one in found.items()}


def measured() -> Numbers:
    """All golden numbers, and the machine that they were computed on."""
    with tempfile.TemporaryDirectory() as cache:
        before = os.environ.get("GANEVAL_CACHE")
        os.environ["GANEVAL_CACHE"] = cache
        try:
            return {"machine": machine(), "numbers": of_commands() | of_protocols()}
        finally:
            if before is None:
                del os.environ["GANEVAL_CACHE"]
            else:
                os.environ["GANEVAL_CACHE"] = before


def differing(kept: Any, found: Any, equal: Callable[[str, Any, Any], bool], where: str = "") -> Iterator[str]:
    """Where two sets of numbers differ, and how."""
    if isinstance(kept, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys((*kept, *found)):
            yield from differing(kept.get(key), found.get(key), equal, f"{where}/{key}")
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for number, (one, other) in enumerate(zip(kept, found, strict=True)):
            yield from differing(one, other, equal, f"{where}[{number}]")
    elif not equal(where, kept, found):
        yield f"{where}: {kept!r} is now {found!r}"


def exactly(where: str, kept: Any, found: Any) -> bool:  # noqa: ARG001
    """Whether two numbers are equal, bit for bit."""
    return bool(kept == found)


def nearly(where: str, kept: Any, found: Any) -> bool:
    """Whether two numbers are equal up to differences between processors and libraries."""
    if isinstance(kept, int | float) and isinstance(found, int | float):
        absolute = TRAINED_ABSOLUTE if TRAINED in where else ABSOLUTE
        return math.isclose(kept, found, rel_tol=RELATIVE, abs_tol=absolute)
    return bool(kept == found)


def main() -> None:
    """Compare the numbers, or write them."""
    found = json.loads(json.dumps(measured()))
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{FILE.relative_to(ROOT)} written.")
        return
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    same = kept["machine"] == found["machine"]
    lines = list(differing(kept["numbers"], found["numbers"], exactly))
    print("\n".join(lines) if lines else "All numbers are equal, bit for bit.")
    if lines and not same:
        print(f"They were written on another machine: {kept['machine']}, now {found['machine']}.")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
