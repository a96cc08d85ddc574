"""One name means one thing: a class or an alias of a type that other modules see is defined once under its name."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from public_modules import ROOT

PACKAGES = ("ganeval", "reference_models", "cli/ganeval_cli")
NETWORK = "a part of one network, named as in its paper, and used in its file and that file's tests alone"
# Names with several definitions, and why they may have them.
ALLOWED: Mapping[str, str] = {
    "Block": NETWORK,
    "Conv": NETWORK,
    "Discriminator": NETWORK,
    "Generator": f"the protocol of ganeval.sources; elsewhere {NETWORK}",
    "Layer": "the same type variable in two papers' files",
    "Settings": "those of an evaluation; those of a paper, used as its module's `Settings`",
    "UNet": "the U-Net of translation, shared by two papers; that of DDPM",
}


def defined(text: str) -> Iterator[str]:
    """The classes and aliases of types of a module's text, without those that begin with an underscore."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        else:
            continue
        # Constants, and type variables as T, are in capitals; other variables begin with a small letter.
        if name[0].isupper() and (name != name.upper() or isinstance(node, ast.ClassDef)):
            yield name


def homes(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Names that are defined in more than one module, with these modules."""
    found: dict[str, list[str]] = {}
    for module, text in texts.items():
        for name in set(defined(text)):
            found.setdefault(name, []).append(module)
    return {name: modules for name, modules in found.items() if len(modules) > 1}


def sources() -> dict[str, str]:
    """The text of every module, by its path."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {str(Path(path).relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def test_one_name_means_one_thing() -> None:
    """No class and no alias has the name of another, except for those that are listed with the reason."""
    assert {name: modules for name, modules in homes(sources()).items() if name not in ALLOWED} == {}


def test_what_is_allowed_is_there() -> None:
    """An exception that nothing needs is taken off the list."""
    assert set(ALLOWED) <= set(homes(sources()))


def test_a_second_definition_is_found() -> None:
    """Classes and aliases count, also one of each; constants, private names and names within functions do not."""
    one = "class Batch: ...\nclass _Row: ...\nNames = list[str]\nSIZE = 1\ndef f():\n    class Inner: ...\n"
    other = "Batch = dict[str, int]\nclass _Row: ...\nNames: object = int\nSIZE = 2\nclass Inner: ...\n"
    assert homes({"one": one, "other": other}) == {"Batch": ["one", "other"], "Names": ["one", "other"]}
