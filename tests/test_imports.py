"""The public names of `ganeval`, the cost of importing them, and the dependencies between modules."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ganeval

ROOT = Path(__file__).parent.parent


def test_public_names_are_what_they_say() -> None:
    """Every name of __all__ exists under its own name, and there are no others."""
    assert set(ganeval.__all__) == {*ganeval._HOMES, "__version__"}
    assert dir(ganeval) == sorted(ganeval.__all__)
    for name in ganeval._HOMES:
        assert getattr(ganeval, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="no attribute 'frechet'"):
        ganeval.frechet  # noqa: B018


def test_a_submodule_does_not_take_the_place_of_a_function() -> None:
    """`ganeval.evaluate` is the function, also after its module was imported; submodules appear."""
    importlib.import_module("ganeval.evaluation")
    importlib.import_module("ganeval.compute")
    assert callable(ganeval.evaluate)
    assert ganeval.compute.__name__ == "ganeval.compute"  # type: ignore[attr-defined]


def test_fid_and_inception_score_are_what_evaluate_says() -> None:
    """The short forms return the metric of the long one."""
    sides = ("digits:train", "digits:test")
    together = ganeval.evaluate(*sides, metrics=["fid", "is"], extractor="digits")
    assert ganeval.fid(*sides, extractor="digits") == together["fid"]
    assert ganeval.inception_score(sides[1], extractor="digits") == together["is"]


def test_importing_ganeval_imports_no_torch() -> None:
    """`import ganeval`, its settings, protocols, results and lists of names need no torch."""
    code = (
        "import sys, ganeval, ganeval.settings, ganeval.protocols, ganeval.results\n"
        "import ganeval.extractors, ganeval.sources\n"
        "ganeval.Settings, ganeval.Evaluation, ganeval.GanevalError, ganeval.open_source, dir(ganeval)\n"
        "found = {'torch', 'numpy', 'scipy', 'PIL', 'sklearn'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(ROOT), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def environment(root: Path) -> dict[str, str]:
    """This environment, with the packages of a checkout before anything that is installed."""
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'cli'}"}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """The import contract of pyproject.toml, on the packages of a checkout."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of their contract."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", root)
    skipped = shutil.ignore_patterns("__pycache__")
    for package in ("ganeval", "cli", "reference_models"):
        shutil.copytree(ROOT / package, root / package, ignore=skipped)
    return root


def test_the_import_contract_holds() -> None:
    """Dependencies between modules have one direction."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("ganeval/evaluation.py", "import ganeval_cli.main"),
        ("ganeval/sources/folder.py", "import ganeval.preprocess"),
        ("ganeval/metrics/fid.py", "import ganeval.sources"),
        ("ganeval/results.py", "import numpy"),
        ("ganeval/newcomer.py", '"""A module that nobody gave a place."""'),
        ("reference_models/__init__.py", "import ganeval_cli.main"),
        ("reference_models/base.py", "import ganeval.compute"),
        ("cli/ganeval_cli/score.py", "import ganeval.sources.folder"),
        ("cli/ganeval_cli/sample.py", "import reference_models.sampling.samples"),
    ],
)
def test_the_import_contract_can_be_broken(copy: Path, module: str, line: str) -> None:
    """Every kind of forbidden dependency is found."""
    path = copy / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        done = lint_imports(copy)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    assert (done.returncode, "BROKEN" in done.stdout) == (1, True), done.stdout + done.stderr
