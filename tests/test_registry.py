"""Tables extended by other packages: names without imports, clear errors, and isolation of broken packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganeval.errors import UsageError
from ganeval.registry import Registry
from ganeval.sources import SCHEMES

GROUP = "ganeval.test_rows"
OWN = {"one": 1, "two": 2}


def number(name: str, found: object) -> int:
    """A row of the tables here."""
    if not isinstance(found, int):
        raise UsageError(f"The number '{name}' must be a whole number, found {type(found).__name__}.")
    return found


def table() -> Registry[int]:
    """A table without entry points loaded."""
    return Registry("number", group=GROUP, rows=OWN, accept=number)


def install(site: Path, package: str, code: str, **points: str) -> None:
    """An installed package of one module, as pip leaves it, with entry points of the group."""
    site.mkdir(exist_ok=True)
    (site / f"{package}.py").write_text(code, encoding="utf-8")
    about = site / f"{package}-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n", encoding="utf-8")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]), encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python finds packages in."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def test_a_registered_row_is_a_row_like_others() -> None:
    """It is listed after the existing rows, and is found by its name."""
    numbers = table()
    numbers.register("three", 3)
    assert dict(numbers) == {**OWN, "three": 3}
    assert list(numbers) == ["one", "two", "three"]
    assert (len(numbers), "three" in numbers, "four" in numbers) == (3, True, False)
    assert numbers.usable() == dict(numbers)
    assert numbers.problems() == []
    with pytest.raises(KeyError):
        numbers["four"]


@pytest.mark.parametrize("name", ["", "Three", "a b", "a:b", "a,b", "a.b", "-a", "é", 3, None])
def test_a_name_that_cannot_be_typed_is_refused(name: object) -> None:
    """The message says which characters are allowed."""
    with pytest.raises(UsageError, match=r"cannot be the name of a number; use lower-case letters, digits, '_' and"):
        table().register(name, 3)  # type: ignore[arg-type]


def test_a_taken_name_is_refused() -> None:
    """Neither a built-in row nor a registered one is replaced."""
    numbers = table()
    numbers.register("three", 3)
    for name in ("one", "three"):
        with pytest.raises(UsageError, match=f"There is already a number '{name}'; choose another name"):
            numbers.register(name, 4)
    assert dict(numbers) == {**OWN, "three": 3}


def test_what_is_not_a_row_is_refused() -> None:
    """The table's own check raises the error, and nothing is added."""
    numbers = table()
    with pytest.raises(UsageError, match="The number 'three' must be a whole number, found str"):
        numbers.register("three", "3")
    assert "three" not in numbers


def test_a_package_adds_rows_and_is_imported_when_one_is_used(site: Path) -> None:
    """Its names are known, and counted, without importing it."""
    install(
        site, "somebodys_numbers", "FIVE = 5\nSIX = 6\n", five="somebodys_numbers:FIVE", six="somebodys_numbers:SIX"
    )
    numbers = table()
    assert list(numbers) == ["one", "two", "five", "six"]
    assert len(numbers) == 4
    assert "five" in numbers
    assert "somebodys_numbers" not in sys.modules
    assert numbers["five"] == 5
    assert numbers.usable() == {**OWN, "five": 5, "six": 6}
    assert numbers.problems() == []
    with pytest.raises(UsageError, match=r"already a number 'six' \(from somebodys_numbers 1\.5\)"):
        numbers.register("six", 7)


BROKEN = {
    "an import that fails": ("import a_module_that_nobody_has\n", "ModuleNotFoundError: No module named 'a_module"),
    "any exception": ("raise RuntimeError('no luck')\n", "RuntimeError: no luck"),
    "a name that is not there": ("", "AttributeError: module 'broken_numbers' has no attribute 'FIVE'"),
    "what is not a row": ("FIVE = 'v'\n", "must be a whole number, found str"),
}


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_package_is_named_and_harms_no_other(site: Path, code: str, reason: str) -> None:
    """Using its row is an error that names the package, and all other rows can be used."""
    install(site, "broken_numbers", code, five="broken_numbers:FIVE")
    install(site, "good_numbers", "SIX = 6\n", six="good_numbers:SIX")
    numbers = table()
    sys.modules.pop("broken_numbers", None)
    with pytest.raises(UsageError) as caught:
        numbers["five"]
    said = str(caught.value)
    assert said.startswith("The number 'five' of the package broken_numbers 1.5 cannot be used (broken_numbers:FIVE): ")
    assert reason in said
    assert said.endswith("Update or uninstall that package.")
    assert numbers["six"] == 6
    assert numbers.usable() == {**OWN, "six": 6}
    assert numbers.problems() == [said]


def test_a_package_replaces_no_row_of_ours(site: Path) -> None:
    """Its entry point is ignored and listed in `problems`, as is one with an invalid name."""
    install(site, "greedy_numbers", "ONE = 100\n", one="greedy_numbers:ONE", ONE="greedy_numbers:ONE")
    numbers = table()
    assert numbers["one"] == 1
    assert numbers.usable() == OWN
    ours, odd = sorted(numbers.problems(), key=lambda text: "'ONE'" in text)
    assert ours == "The package greedy_numbers 1.5 declares a number 'one', which is built in: it is ignored."
    assert "'ONE', which is not a usable name" in odd


def test_two_packages_with_one_name_are_both_named(site: Path) -> None:
    """The name is ambiguous, so neither is used."""
    for package in ("first_numbers", "second_numbers"):
        install(site, package, "FIVE = 5\n", five=f"{package}:FIVE")
    numbers = table()
    with pytest.raises(UsageError, match=r"'five' is declared by first_numbers 1\.5 and second_numbers 1\.5"):
        numbers["five"]
    assert numbers.usable() == OWN
    assert len(numbers.problems()) == 1


def test_a_trained_model_is_a_source_because_this_distribution_says_so() -> None:
    """`ckpt:` is an entry point like those of other packages, and its name is known without torch."""
    code = (
        "import sys; from ganeval.sources import SCHEMES, check_spec; assert 'ckpt' in SCHEMES\n"
        "check_spec('ckpt:runs/dcgan'); assert list(SCHEMES)[-1] == 'ckpt', list(SCHEMES)\n"
        "assert 'torch' not in sys.modules and 'reference_models' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # Torch is here already.
    assert SCHEMES["ckpt"].__name__ == "open_checkpoint"
