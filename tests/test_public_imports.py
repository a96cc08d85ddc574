"""Public modules have `__all__`; the command line and `reference_models` import from these, and only what is listed."""

import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Sequence

import pytest
from public_modules import PUBLIC, ROOT, listed, modules

# The packages of whose public names each of these makes use.
USED = {"cli": ("ganeval", "reference_models"), "reference_models": ("ganeval",)}
USERS = sorted((path, used) for folder, used in USED.items() for path in (ROOT / folder).rglob("*.py"))
# Submodules of ganeval.metrics are missing: a metric's function has the name of its module.
PACKAGES = ("extractors", "gate", "report", "report_data", "sources")


def faults(text: str, used: Sequence[str]) -> list[str]:
    """Imports of what is not public in the packages that are used, in the text of a module."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [
                f"import {one.name}" for one in node.names if one.name.startswith(tuple(f"{one}." for one in used))
            ]
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module or ""
        ours = module.partition(".")[0] in used
        for name in (one.name for one in node.names):
            public = name in (listed(module) or set()) if ours else not name.startswith("_")
            if not public:
                found.append(f"from {module} import {name}")
    return found


def test_users_import_public_names_only() -> None:
    """Every name from another package is in the `__all__` of the module it is imported from."""
    assert len(USERS) > 150
    found = {str(path.relative_to(ROOT)): faults(path.read_text(encoding="utf-8"), used) for path, used in USERS}
    assert {path: imports for path, imports in found.items() if imports} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import ganeval.errors",
        "from ganeval import errors",
        "from ganeval.compute import compute",
        "from ganeval.metrics.fid import fid",
        "from ganeval.results import parse_document",
        "import reference_models.engine.run",
        "from reference_models import engine",
        "from reference_models import models as table",
        "from reference_models.engine.plan import make_plan",
        "from reference_models.models import _row",
        "from examples import _row",
    ],
)
def test_an_import_that_is_not_public_is_found(line: str) -> None:
    """Imports of internal modules, unlisted names and private names are found."""
    assert len(faults(f"if True:\n    {line}\n", USED["cli"])) == 1


def test_a_package_may_import_its_own_modules() -> None:
    """Only the names of other packages must be public."""
    assert not faults("from reference_models.engine.plan import make_plan\n", USED["reference_models"])


def test_what_is_listed_is_there() -> None:
    """Every name of `__all__` can be imported, once, and the module says what it is for."""
    for module in (*PUBLIC, "reference_models"):
        found = importlib.import_module(module)
        assert found.__doc__, module
        assert len(set(found.__all__)) == len(found.__all__), module
        assert [name for name in found.__all__ if not hasattr(found, name)] == [], module


@pytest.mark.parametrize("module", ["ganeval", "ganeval.extractors", "ganeval.sources", "reference_models"])
def test_an_unknown_name_is_an_attribute_error(module: str) -> None:
    """A misspelt name of a package whose names are imported late fails as it does in any module."""
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'frechet'"):
        importlib.import_module(module).frechet  # noqa: B018


def test_light_packages_import_no_torch() -> None:
    """Sources, extractors, the gate, the report and plans of trainings are imported without torch and numpy."""
    code = (
        "import sys, ganeval.sources, ganeval.extractors, ganeval.gate, ganeval.report\n"
        "from reference_models import VARIANTS, check_new_run, is_run, learning_rates, make_plan, recipe_to_dict\n"
        "found = {'torch', 'numpy', 'PIL', 'jinja2', 'matplotlib'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_import_contract_lists_internal_modules() -> None:
    """What is protected are the modules without `__all__`, and the submodules of packages."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    protected = [one["protected_modules"] for one in contracts if one["type"] == "protected"]
    internal = [module for module in modules() if module not in PUBLIC]
    assert protected == [[*internal, *(f"ganeval.{package}.*" for package in PACKAGES)], ["reference_models.*"]]


def test_the_reference_has_every_public_module() -> None:
    """The documentation is generated from each module with `__all__`, and `ganeval` itself has a page by topic."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md"))
    missing = [module for module in (*PUBLIC, "reference_models") if f".. automodule:: {module}\n" not in pages]
    assert missing == ["ganeval"]
    assert not [name for name in listed("ganeval") or () if f":: ganeval.{name}\n" not in pages and name[0] != "_"]
