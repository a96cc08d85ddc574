"""Which modules of the toolkit are public: those with `__all__`."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


def modules() -> Iterator[str]:
    """The toolkit's packages, and modules outside of packages."""
    yield "ganeval"
    for path in sorted((ROOT / "ganeval").iterdir()):
        if (path / "__init__.py").exists() or (path.suffix == ".py" and not path.stem.startswith("__")):
            yield f"ganeval.{path.stem}"


@cache
def listed(module: str) -> set[str] | None:
    """The `__all__` of a module of the toolkit, None where it has none."""
    path = ROOT / module.replace(".", "/")
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


PUBLIC = [module for module in modules() if listed(module) is not None]
