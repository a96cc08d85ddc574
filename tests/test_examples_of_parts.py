"""The examples of extraction in parts work unchanged: a SLURM array, make, and Ray Data."""

import ast
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from core_helpers import write_folder

import ganeval

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
# Stand-ins: `ganeval` is this checkout, and `srun` leaves its own options out and runs the rest.
GANEVAL = """#!/usr/bin/env bash
exec {python} -m ganeval "$@"
"""
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
OPTIONS = "--extractor digits --batch-size 8"
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 21 images."""
    return write_folder(tmp_path_factory.mktemp("set"), 21)


@pytest.fixture
def environment(python: Sequence[str], tmp_path: Path) -> dict[str, str]:
    """`ganeval` and `srun` on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"ganeval": GANEVAL.format(python=shlex.join(python)), "srun": SRUN}.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    paths = f"{ROOT}{os.pathsep}{ROOT / 'cli'}"
    # `make test` tells its own options to every make below it.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return {**outside, "PATH": path, "PYTHONPATH": paths, "GANEVAL_CACHE": str(tmp_path / "cache")}


def same(merged: Path, images: Path) -> bool:
    """Whether a merged file has the features of one extraction."""
    whole = merged.with_name("whole.npz")
    ganeval.extract_features(images, whole, extractor="digits", batch_size=8, cache=False)
    with np.load(merged) as one, np.load(whole) as other:
        return all(np.array_equal(one[name], other[name]) for name in other.files if name != "part")


@needs_bash
def test_a_slurm_array_extracts_all_shards(images: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Every task writes its shard, and the merged file is that of one process."""
    parts = tmp_path / "parts"
    own = {"SOURCE": str(images), "PARTS": str(parts), "OPTIONS": OPTIONS, "SLURM_ARRAY_TASK_MAX": "2"}
    printed = [
        subprocess.run(
            [EXAMPLES / "slurm-array.sh"],
            env={**environment, **own, "SLURM_ARRAY_TASK_ID": task},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for task in ("1", "2")
    ]
    assert [line.rpartition("/")[2] for line in printed] == [
        "part-1-of-2.npz: features of 8 of 21 images\n",
        "part-2-of-2.npz: features of 13 of 21 images\n",
    ]
    ganeval.merge_parts(sorted(parts.glob("*.npz")), tmp_path / "reference.npz")
    assert same(tmp_path / "reference.npz", images)


@needs_bash
def test_a_slurm_task_without_its_settings_says_what_is_missing(environment: dict[str, str]) -> None:
    """Each variable that must be set is named."""
    done = subprocess.run([EXAMPLES / "slurm-array.sh"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "set SOURCE to the images" in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_extracts_what_is_missing(images: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """make writes all parts and the merged file; a part that is lost is made again."""
    command = ["make", "-f", str(EXAMPLES / "extract.mk"), f"SOURCE={images}", "SHARDS=1", f"OPTIONS={OPTIONS}"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert same(tmp_path / "reference.npz", images)
    (tmp_path / "parts" / "part-1-of-1.npz").unlink()
    planned = subprocess.run(
        [*command, "--dry-run"], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert [line.split()[1] for line in planned.stdout.splitlines()] == ["extract", "merge"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The example for Ray as a module, without Ray."""
    spec = importlib.util.spec_from_file_location("ray_extract", EXAMPLES / "ray_extract.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_ray_maps_gives_the_features_of_ganeval(script: ModuleType, images: Path) -> None:
    """Rows of a batch of images of several sizes are those of an evaluation within rounding."""
    found = ganeval.evaluate(None, images, metrics=["vendi"], extractor="digits", cache=False)
    assert found.fake is not None
    source = ganeval.open_source(images)
    pixels = [source.image_at(place).permute(1, 2, 0).numpy() for place in range(5)]  # type: ignore[attr-defined]
    batch = {"path": np.array([str(place) for place in range(5)]), "image": np.array(pixels)}
    rows = script.Extract("digits", "tensorflow")(batch)
    assert rows["path"].tolist() == ["0", "1", "2", "3", "4"]
    # float32 of another batch size.
    torch.testing.assert_close(torch.from_numpy(rows["features"]), found.fake.rows()[:5], rtol=1e-5, atol=1e-5)
    larger = np.repeat(np.repeat(pixels[0], 2, 0), 2, 1)
    mixed = np.empty(2, object)
    mixed[:] = [pixels[0], larger]
    assert script.Extract("digits", "tensorflow")({"path": np.array(["a", "b"]), "image": mixed})["features"].shape == (
        2,
        64,
    )


def test_ray_is_imported_by_the_script_alone() -> None:
    """The script compiles, and imports Ray only when it runs, so that its class can be used without."""
    tree = ast.parse((EXAMPLES / "ray_extract.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("ray" in ast.unparse(node) for node in top)
    calls = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert {"read_images", "map_batches", "iter_batches"} <= calls


def test_a_local_cluster_of_ray_extracts_a_folder(images: Path, tmp_path: Path) -> None:
    """With Ray, the script writes features in the order of the images, and an evaluation takes them."""
    pytest.importorskip("ray", reason="ray is not installed")
    output = tmp_path / "features.npz"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, EXAMPLES / "ray_extract.py", images, output.as_uri(), "--extractor", "digits"]
    subprocess.run(
        [*command, "--workers", "1", "--batch-size", "8"],
        env={**os.environ, "PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0"},
        check=True,
        capture_output=True,
    )
    settings = {"extractor": "digits", "metrics": ["fid"], "cache": False}
    one = ganeval.evaluate("digits:test", f"features:{output}", **settings)  # type: ignore[arg-type]
    other = ganeval.evaluate("digits:test", images, **settings)  # type: ignore[arg-type]
    # float32 rows of other batches.
    assert one["fid"].value == pytest.approx(other["fid"].value, rel=1e-4)
    assert one["fid"].n_fake == 21
