"""Counts what a reader meets on the way from images to a number: files, functions, frames, types, lines.

    python scripts/trace_path.py

Traces `ganeval.fid` and `ganeval fid` on the embedded digits, with an empty cache, and counts this project's own code:
functions called and their files, frames from the call to the metric, classes whose instances are passed or returned,
and how often the reals return to a module that was left. ORCHESTRATION lists the modules between sources, extractors
and metrics on the one side and results on the other.
"""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import ganeval
from ganeval_cli.main import main as command

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = tuple(str(ROOT / name) + os.sep for name in ("ganeval", "cli", "reference_models"))
# Modules that take images to a number by calling others.
ORCHESTRATION = (
    *("selection", "inputs", "checks", "features", "compute", "evaluation"),
    *("provenance", "matching", "floor", "streaming"),
)


@dataclass(slots=True)
class Seen:
    """What a profile has met. depths: frames of this project below the outermost call when the metric began."""

    functions: set[tuple[str, str, int]] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    depths: list[int] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)

    @property
    def files(self) -> set[str]:
        """The files that the functions stand in."""
        return {file for file, _, _ in self.functions}


def is_ours(frame: FrameType) -> bool:
    """Whether a frame runs a function of this project: no module's body, comprehension or generated method."""
    code = frame.f_code
    return code.co_filename.startswith(PACKAGES) and not code.co_name.startswith("<")


def depth(frame: FrameType | None) -> int:
    """This project's frames up to this one."""
    count = 0
    while frame is not None:
        count += is_ours(frame)
        frame = frame.f_back
    return count


def traced(call: Callable[[], object], metric: str) -> Seen:
    """Run a call and note what it goes through; metric: the file name of the metric it ends in."""
    seen = Seen()

    def note(value: object) -> None:
        kind = type(value)
        if kind.__module__.partition(".")[0] in ("ganeval", "ganeval_cli", "reference_models"):
            seen.types.add(f"{kind.__module__}.{kind.__qualname__}")

    def profile(frame: FrameType, event: str, result: object) -> None:
        if event not in ("call", "return") or not is_ours(frame):
            return
        code = frame.f_code
        if event == "return":
            note(result)
            return
        seen.functions.add((code.co_filename, code.co_qualname, code.co_firstlineno))
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            note(frame.f_locals.get(name))
        module = str(Path(code.co_filename).relative_to(ROOT))
        if not seen.modules or seen.modules[-1] != module:
            seen.modules.append(module)
        if Path(code.co_filename).name == metric and code.co_name == Path(metric).stem:
            seen.depths.append(depth(frame))

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen


def ended(command: Callable[[], object]) -> None:
    """A command without its output and its exit."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        command()


def orchestration() -> dict[str, int]:
    """Lines of every module of ganeval that takes images to a number by calling others, by file."""
    files = [ROOT / "ganeval" / f"{name}.py" for name in ORCHESTRATION]
    return {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in files}


def main() -> None:
    """Print the counts."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["GANEVAL_CACHE"] = cache
        arguments = ("digits:train", "digits:test")
        call = traced(lambda: ganeval.fid(*arguments, extractor="digits", cache_dir=Path(cache) / "call"), "fid.py")
        sys.argv = ["ganeval", "fid", *arguments, "--extractor", "digits", "-q"]
        typed = traced(lambda: ended(command), "fid.py")
    for name, seen in (("ganeval.fid(...)", call), ("ganeval fid ...", typed)):
        print(
            f"{name}: {len(seen.functions)} functions in {len(seen.files)} files, {seen.depths[0]} frames to the "
            f"metric, {len(seen.types)} types, {len(seen.modules)} stays in modules"
        )
    lines = orchestration()
    print(f"orchestration: {sum(lines.values())} lines in {len(lines)} files: {lines}")
    if "-v" in sys.argv or "--types" in sys.argv or os.environ.get("VERBOSE"):
        print("\n".join(sorted(call.types)))


if __name__ == "__main__":
    main()
