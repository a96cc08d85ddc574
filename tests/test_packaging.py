"""The wheel has the right files and dependencies, and works outside the checkout."""

import ast
import email
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganeval.version import __version__

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "ganeval": ROOT / "ganeval",
    "ganeval_cli": ROOT / "cli/ganeval_cli",
    "reference_models": ROOT / "reference_models",
}
# Where a distribution is not called as what is imported from it.
DISTRIBUTIONS = {"PIL": "pillow", "imblearn": "imbalanced-learn", "skimage": "scikit-image", "sklearn": "scikit-learn"}


def run(*arguments: str | Path, **environment: str) -> str:
    """Run a Python command outside the checkout, which must succeed; return its output."""
    return ran(*arguments, **environment).stdout


def ran(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """As `run`; return all that was written."""
    away = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ, **environment}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=away, cwd=ROOT.anchor, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed into it, without its dependencies, which are here already."""
    folder = tmp_path_factory.mktemp("site")
    run("-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    """Every file of the packages, their data and their marks of being typed; no tests, no scripts, no `cli`."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert "ganeval/extractors/digits.safetensors" in names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Version, licence and the command are in its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        info = f"ganeval-{__version__}.dist-info"
        about = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        commands = archive.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert (about["Name"], about["Version"], about["License-Expression"]) == ("ganeval", __version__, "Apache-2.0")
    assert "[console_scripts]\nganeval = ganeval_cli.entry:main" in commands
    assert "[pytest11]\nganeval = ganeval_cli.pytest_plugin" in commands


@pytest.fixture(scope="module")
def scored(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What a new Python that runs the installed command writes to pipes, by the included weights and a user's file."""
    noisy = tmp_path_factory.mktemp("noisy") / "noisy.py"
    noisy.write_text(
        "import warnings, torch\nwarnings.warn('old')\n\ndef embed(x):\n    return x.float().mean((2, 3))\n",
        encoding="utf-8",
    )
    words = ("score", "digits:train", "digits:test", "--extractor", f"digits,py:{noisy}:embed", "--metrics", "fid")
    return ran(installed / "bin/ganeval", *words, PYTHONPATH=str(installed))


def test_the_installed_wheel_works_away_from_the_checkout(
    installed: Path, scored: subprocess.CompletedProcess[str]
) -> None:
    """Its packages are imported from where it was installed, and it scores with the included weights."""
    code = (
        "import ganeval, ganeval_cli, reference_models as r; print(ganeval.__file__, ganeval_cli.__file__, r.__file__)"
    )
    found = run("-c", code, PYTHONPATH=str(installed)).split()
    assert all(Path(file).is_relative_to(installed) for file in found)
    assert run("-m", "ganeval_cli", "--version", PYTHONPATH=str(installed)) == f"ganeval {__version__}\n"
    assert scored.stdout.startswith("metric")
    assert "measured with digits (weights digits, " in scored.stdout


def test_no_bar_and_no_library_warning_through_a_pipe(scored: subprocess.CompletedProcess[str]) -> None:
    """Standard error that is not a terminal has ganeval's own remarks, and no output of libraries."""
    remarks = scored.stderr.splitlines()
    assert remarks
    assert all(line.startswith("warning: ") for line in remarks)
    assert "old" not in scored.stderr


def test_dependencies_are_those_that_are_imported() -> None:
    """Every import is a dependency of `pip install ganeval`, and every dependency is imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared, optional = (
        {re.split(r"[<>=~!\[ ]", requirement)[0] for requirement in requirements}
        for requirements in (
            project["dependencies"],
            [
                one
                for extra in ("datasets", "msssim", "parquet", "remote", "report", "skimage", "smote")
                for one in project["optional-dependencies"][extra]
            ],
        )
    )
    # pytest itself loads the plugin, so it is there.
    found = {DISTRIBUTIONS.get(name, name) for name in imported()} - {"pytest"}
    assert found - optional == declared
    assert optional <= found


def imported() -> set[str]:
    """Top-level names of third-party packages that the three packages import, anywhere in a file."""
    found = {
        name.partition(".")[0] for folder in PACKAGES.values() for path in folder.rglob("*.py") for name in names(path)
    }
    return found - set(sys.stdlib_module_names) - set(PACKAGES)


def names(path: Path) -> Iterator[str]:
    """Every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
