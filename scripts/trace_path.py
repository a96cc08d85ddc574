"""Counts the code on the way from images to a number: files, functions, frames, types, lines.

    python scripts/trace_path.py

Traces `ganeval.fid` and `ganeval fid` on the embedded digits, with an empty cache, and counts this project's own code.
Both run once before, so that what a first call imports and registers is not counted.
ORCHESTRATION lists the modules that turn images into a number by calling others: those between sources, extractors and
metrics on the one side and results on the other. Leaves such as `options`, `cache` and `provenance` call none of them.
USERS are the modules that call those for several generators or for images that arrive in batches.

It prints

- functions: all that are called, and the files that define them;
- frames: from the call, or the command, to the metric;
- types: the classes of this project whose instances are arguments, results or `self` in calls of or from functions of
  ORCHESTRATION, that is, what is passed along between specs and an Evaluation; then all classes, including those used
  only within a source, an extractor, a metric or a helper;
- visits: how often each module of ORCHESTRATION is entered through one of its functions from another module of the
  list, for one set of reals and one of fakes; methods of the types that are passed along do not count;
- lines of ORCHESTRATION and of USERS, with docstrings, comments and blanks, and without them.
"""

import ast
import contextlib
import io
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType

import ganeval
from ganeval_cli.main import main as command

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = tuple(str(ROOT / name) + os.sep for name in ("ganeval", "cli", "reference_models"))
# Modules that turn images into a number by calling others.
ORCHESTRATION = ("selection", "inputs", "extraction", "compute", "evaluation")
USERS = ("comparing", "streaming")


@dataclass(slots=True)
class Seen:
    """What a profile recorded.

    types: those that orchestration passes on; all_types: with those inside other modules. depths: frames of this
    project below the outermost call when the metric began. visits: entries into modules of the orchestration.
    """

    functions: set[tuple[str, str, int]] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    all_types: set[str] = field(default_factory=set)
    depths: list[int] = field(default_factory=list)
    visits: Counter[str] = field(default_factory=Counter)

    @property
    def files(self) -> set[str]:
        """The files that define the functions."""
        return {file for file, _, _ in self.functions}


def is_ours(frame: FrameType) -> bool:
    """Whether a frame runs a function of this project, not a module's body, a comprehension or a generated method."""
    code = frame.f_code
    return code.co_filename.startswith(PACKAGES) and not code.co_name.startswith("<")


def orchestrating(frame: FrameType | None) -> str | None:
    """The module of ORCHESTRATION that a frame runs in, if it is one."""
    return None if frame is None else orchestration_of(frame.f_code.co_filename)


@cache
def orchestration_of(file: str) -> str | None:
    """The module of ORCHESTRATION that a file is, if it is one."""
    path = Path(file)
    return path.stem if path.parent == ROOT / "ganeval" and path.stem in ORCHESTRATION else None


def caller(frame: FrameType) -> FrameType | None:
    """The nearest frame below that runs in a module of ORCHESTRATION."""
    below = frame.f_back
    while below is not None and orchestrating(below) is None:
        below = below.f_back
    return below


def depth(frame: FrameType | None) -> int:
    """This project's frames up to this one."""
    count = 0
    while frame is not None:
        count += is_ours(frame)
        frame = frame.f_back
    return count


def traced(call: Callable[[], object], metric: str) -> Seen:
    """Run a call and record the code it uses; metric: the file name of the metric that is called last."""
    seen = Seen()

    def note(value: object, *, passed: bool) -> None:
        kind = type(value)
        if kind.__module__.partition(".")[0] in ("ganeval", "ganeval_cli", "reference_models"):
            name = f"{kind.__module__}.{kind.__qualname__}"
            seen.all_types.add(name)
            if passed:
                seen.types.add(name)

    def profile(frame: FrameType, event: str, result: object) -> None:
        if event not in ("call", "return") or not is_ours(frame):
            return
        code, module = frame.f_code, orchestrating(frame)
        passed = module is not None or orchestrating(frame.f_back) is not None
        if event == "return":
            for item in (result, *(result if isinstance(result, list | tuple) else ())):
                note(item, passed=passed)
            return
        seen.functions.add((code.co_filename, code.co_qualname, code.co_firstlineno))
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            note(frame.f_locals.get(name), passed=passed)
        is_function = "." not in code.co_qualname
        if module is not None and is_function and module != orchestrating(caller(frame)):
            seen.visits[module] += 1
        if Path(code.co_filename).name == metric and code.co_name == Path(metric).stem:
            seen.depths.append(depth(frame))

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen


def ended(command: Callable[[], object]) -> None:
    """Run a command, suppressing its output and its exit."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        command()


def lines(modules: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Lines of modules of ganeval, by file: all, and those with code."""
    files = [ROOT / "ganeval" / f"{name}.py" for name in modules]
    return {file.name: counted(file.read_text(encoding="utf-8")) for file in files}


def counted(text: str) -> tuple[int, int]:
    """Lines of a module, and those of them that are not blank and not of a comment or docstring."""
    prose = set[int]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            prose.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    found = text.splitlines()
    code = [line for number, line in enumerate(found, 1) if number not in prose and line.strip()]
    return len(found), sum(not line.lstrip().startswith("#") for line in code)


def main() -> None:
    """Print the counts."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("digits:train", "digits:test")
        sys.argv = ["ganeval", "fid", *arguments, "--extractor", "digits", "-q"]
        runs: tuple[Callable[[], object], ...] = (
            lambda: ganeval.fid(*arguments, extractor="digits"),
            lambda: ended(command),
        )
        both: list[Seen] = []
        for number, run in enumerate(runs):
            os.environ["GANEVAL_CACHE"] = f"{folder}/first-{number}"
            run()
            os.environ["GANEVAL_CACHE"] = f"{folder}/{number}"
            both.append(traced(run, "fid.py"))
    call, typed = both
    for name, seen in (("ganeval.fid(...)", call), ("ganeval fid ...", typed)):
        print(
            f"{name}: {len(seen.functions)} functions in {len(seen.files)} files, {seen.depths[0]} frames to the "
            f"metric, {len(seen.types)} types passed on the way ({len(seen.all_types)} with those inside other modules)"
        )
    for name, modules in (("orchestration", ORCHESTRATION), ("users", USERS)):
        found = lines(modules)
        total, code = (sum(column) for column in zip(*found.values(), strict=True))
        print(f"{name}: {total} lines in {len(found)} files, {code} of them code: {found}")
    print(f"visits by ganeval.fid(...): {dict(call.visits)}")
    print(f"types passed by ganeval.fid(...): {', '.join(sorted(call.types))}")


if __name__ == "__main__":
    main()
