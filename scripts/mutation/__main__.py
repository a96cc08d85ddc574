"""Breaks lines of the code one at a time, and counts how many of the faults the tests catch.

    python -m scripts.mutation [--commit REV] [--also REV] [--count 40] [--seed 0] [--budget 600]

The lines are sampled, by the seed, from all lines of ganeval, ganeval_cli and reference_models that one small change
can break (operators.py). Everything happens in temporary checkouts of the commit; the current checkout and its
uncommitted changes are not used.

The whole suite is run once under coverage.py to learn which tests run which line of the sampled files, child processes
included, and how long each takes. Then each fault is put into its file, and these tests run until one fails: those that
run the line or use a shared fixture that does, the file with the least time first; then the other tests of the same
files, because what is cached in a process is made in the first test that needs it. For a line that runs on import, or
that no test was seen to run, all tests that run anything in its file are run, or, without such tests, the whole suite.
Tests that would exceed the budget of seconds of one fault are left out, and counted. A fault is also caught if tests
can no longer be collected. The test that catches a fault is run again without it, and the fault is not counted as
caught if it fails then, too: a busy machine makes tests fail that wait for a process. Nor is a fault counted whose
tests take more than ten times as long as expected: they may be endless, or the machine slow. The output is written
after every fault.

Two test suites are compared on the same faults: `--commit OLD --also NEW` and `--commit NEW --also OLD` sample from the
lines that both commits have, with the same text in a function of the same qualified name, and so break the same lines
in the same way; each commit is tested with its own tests. Lines that differ are left out.
"""

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from coverage import CoverageData

from benchmarks.harness import machine, say, table
from scripts.mutation.operators import Mutation, draw

ROOT = Path(__file__).resolve().parents[2]
COVERAGE = """\
[run]
data_file = {folder}/coverage
parallel = true
context = ${{PYTEST_CURRENT_TEST-}}
concurrency = thread
    multiprocessing
include =
    {files}
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which tests run a line. lines: by file and line number; files: by file; seconds: of every test that passes."""

    lines: dict[tuple[str, int], set[str]]
    files: dict[str, set[str]]
    seconds: dict[str, float]

    def tests(self, mutation: Mutation) -> list[str]:
        """The tests that may catch a fault, in the order to run them."""
        every = set(self.seconds)
        of_line = self.lines.get((mutation.file, mutation.line), set()) & every
        near = of_line or self.files.get(mutation.file, set()) & every or every
        files = {module(test) for test in near}
        others = {test for test in self.seconds if module(test) in files} - near
        return self._ordered(near) + self._ordered(others)

    def _ordered(self, tests: set[str]) -> list[str]:
        """Group tests by file, as files share fixtures; the file with the least time first."""
        took: dict[str, float] = defaultdict(float)
        for test in tests:
            took[module(test)] += self.seconds[test]
        return sorted(tests, key=lambda test: (took[module(test)], module(test), self.seconds[test], test))


SURVIVED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
# With -x, an error of collection counts as a failed test, which no test reports.
NOT_COLLECTED = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
VERDICTS = ("caught", "survived", "out of time", "fails without the fault")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for a fault. verdict: one of VERDICTS. by: the first test that failed, "collection" or "a crash".

    tests: how many were chosen; left_out: how many more might have caught it, but exceeded the budget.
    """

    mutation: Mutation
    verdict: str
    by: str | None
    tests: int
    left_out: int
    seconds: float


def affordable(tests: Sequence[str], seconds: Mapping[str, float], budget: float) -> list[str]:
    """The tests that take no more than the budget together; a test that exceeds what is left of it is passed over."""
    found = []
    for test in tests:
        if seconds[test] <= budget:
            budget -= seconds[test]
            found.append(test)
    return found


def module(test: str) -> str:
    """The file of a test."""
    return test.partition("::")[0]


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A temporary working tree of a commit."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        path = Path(folder) / "tree"
        git("worktree", "add", "--quiet", "--detach", str(path), revision)
        try:
            yield path
        finally:
            git("worktree", "remove", "--force", str(path))


def git(*arguments: str) -> str:
    """The output of a git command."""
    command = ("git", "-C", str(ROOT), *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def pytest_in(tree: Path, *arguments: str | Path, timeout: float | None = None, **environment: str) -> int | None:
    """Run pytest on a checkout; None if it was stopped, with its child processes, after `timeout` seconds."""
    paths = (tree, tree / "cli", ROOT / "scripts")
    environment = {
        **os.environ,
        **environment,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
    }
    # Without its own settings named, pytest looks for them above all paths among the arguments.
    settings = ("-c", str(tree / "pyproject.toml"), "-p", "mutation.plugin", "-p", "no:cacheprovider")
    command = (sys.executable, "-m", "pytest", *settings, *map(str, arguments))
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None


def record(tree: Path, files: Collection[str], tests: Sequence[str], *, processes: int, folder: Path) -> Reach:
    """Run the tests under coverage.py on some files. A test that fails without a fault is left out."""
    settings = folder / "coveragerc"
    measured = "\n    ".join(str(tree / file) for file in sorted(files))
    settings.write_text(COVERAGE.format(folder=folder, files=measured), encoding="utf-8")
    pytest_in(tree, "--reach-record", folder, "-n", str(processes), *tests, COVERAGE_PROCESS_START=str(settings))
    found = json.loads((folder / "tests.json").read_text(encoding="utf-8"))
    seconds = {test: what["seconds"] for test, what in found.items() if what["passed"]}
    for test in sorted(set(found) - set(seconds)):
        say(f"fails without a fault, and is left out: {test}")
    users = json.loads((folder / "fixtures.json").read_text(encoding="utf-8"))
    lines: dict[tuple[str, int], set[str]] = defaultdict(set)
    of_file: dict[str, set[str]] = defaultdict(set)
    for part in folder.glob("coverage.*"):
        data = CoverageData(str(part))
        data.read()
        for file in data.measured_files():
            name = Path(file).relative_to(tree).as_posix()
            for number, contexts in data.contexts_by_lineno(file).items():
                for test in (test for context in contexts for test in owners(context, users)):
                    lines[name, number].add(test)
                    of_file[name].add(test)
    return Reach(dict(lines), dict(of_file), seconds)


def owners(context: str, users: dict[str, list[str]]) -> Sequence[str]:
    """The tests that ran a line: directly, through a fixture, or in a child process."""
    if context.startswith("fixture "):
        return users.get(context.removeprefix("fixture "), ())
    for phase in (" (setup)", " (call)", " (teardown)"):
        context = context.removesuffix(phase)
    return (context,) if context else ()


def tried(mutation: Mutation, reach: Reach, *, budget: float, tree: Path) -> Outcome:
    """Put a fault into a checkout, run the tests until one fails, and restore the file."""
    every = reach.tests(mutation)
    tests = affordable(every, reach.seconds, budget)
    path = tree / mutation.file
    source = path.read_bytes()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "tests.json"
        chosen.write_text(json.dumps(tests), encoding="utf-8")
        path.write_bytes(mutation.applied(source))
        try:
            arguments = ["-x", "-n", "0", "--reach-select", str(chosen)]
            timeout = 120 + 10 * sum(reach.seconds[test] for test in tests)
            code = pytest_in(tree, *arguments, timeout=timeout, PYTHONDONTWRITEBYTECODE="1")
        finally:
            path.write_bytes(source)
        failed = chosen.with_suffix(".failed")
        by = failed.read_text(encoding="utf-8") if failed.exists() else None
        if by is not None:
            alone = pytest_in(tree, "-n", "0", by, timeout=120 + 10 * reach.seconds[by], PYTHONDONTWRITEBYTECODE="1")
            verdict = "caught" if alone == 0 else "fails without the fault"
        elif code is None:
            verdict = "out of time"
        elif code in SURVIVED:
            verdict = "survived"
        elif code in NOT_COLLECTED or code < 0:
            by = "collection" if code > 0 else "a crash"
            alone = pytest_in(tree, *arguments, "--collect-only", PYTHONDONTWRITEBYTECODE="1")
            verdict = "caught" if alone == 0 else "fails without the fault"
        else:
            raise RuntimeError(f"pytest ended with exit code {code}, not by a test, for {mutation.file}: {mutation}")
    took = round(time.perf_counter() - start, 1)
    return Outcome(mutation, verdict, by, len(tests), len(every) - len(tests), took)


def written(outcomes: Sequence[Outcome], commit: str) -> str:
    """The table of faults, preceded by how many had which outcome."""
    counts = [(sum(outcome.verdict == verdict for outcome in outcomes), verdict) for verdict in VERDICTS]
    rows = [
        (
            f"`{outcome.mutation.file}:{outcome.mutation.line}`",
            f"`{outcome.mutation.change}`".replace("|", "\\|"),
            outcome.verdict if outcome.verdict == "caught" else f"**{outcome.verdict}**",
            f"`{outcome.by}`".replace("|", "\\|") if outcome.by else "",
            f"{outcome.tests}" + (f" of {outcome.tests + outcome.left_out}" if outcome.left_out else ""),
            f"{outcome.seconds:.0f}",
        )
        for outcome in sorted(outcomes, key=lambda outcome: (outcome.mutation.file, outcome.mutation.line))
    ]
    title = (
        f"{len(outcomes)} faults at {commit}: {', '.join(f'{count} {verdict}' for count, verdict in counts if count)}."
    )
    return f"{title}\n\n{table(('line', 'fault', 'outcome', 'by', 'tests', 'seconds'), rows)}\n"


def main() -> None:
    """Sample the lines, find the tests that run them, break them, and write the outcomes."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("--commit", default="HEAD", help="the commit to break and test")
    parser.add_argument("--also", metavar="REV", help="use only lines that this commit has, too")
    parser.add_argument("--count", type=int, default=40, help="number of lines")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--budget", type=float, default=600, help="seconds of tests per fault", metavar="SECONDS")
    parser.add_argument("--within", default="", help="use only files whose path begins with this")
    parser.add_argument("--tests", nargs="*", default=[], metavar="PATH", help="run only these tests")
    parser.add_argument("--list", action="store_true", help="print the faults without running tests")
    parser.add_argument("-o", "--output", type=Path, help="where the .json and .md files are written", metavar="PATH")
    options = parser.parse_args()
    # Remove the temporary checkout also after a signal.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commit = git("rev-parse", "--short", options.commit)
    with ExitStack() as stack:
        trees = [stack.enter_context(checkout(commit)) for _ in range(options.processes)]
        roots = [trees[0], *([stack.enter_context(checkout(options.also))] if options.also else [])]
        drawn = draw(roots, count=options.count, seed=options.seed, within=options.within)
        if options.list:
            print("\n".join(f"{mutation.file}:{mutation.line}: {mutation.change}" for mutation in drawn))
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        say("running the tests under coverage.py")
        files = {mutation.file for mutation in drawn}
        reach = record(trees[0], files, options.tests, processes=options.processes, folder=folder)
        free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for tree in trees:
            free.put(tree)

        outcomes: list[Outcome] = []

        def attempt(mutation: Mutation) -> None:
            tree = free.get()
            outcome = tried(mutation, reach, budget=options.budget, tree=tree)
            free.put(tree)
            say(f"{mutation.file}:{mutation.line}: {mutation.change}: {outcome.verdict}")
            outcomes.append(outcome)
            if options.output is not None:
                save(outcomes, options, commit)

        with ThreadPoolExecutor(options.processes) as pool:
            list(pool.map(attempt, drawn))
    print(written(outcomes, commit))


def save(outcomes: Sequence[Outcome], options: argparse.Namespace, commit: str) -> None:
    """Write the outcomes so far."""
    settings = {name: getattr(options, name) for name in ("also", "seed", "count", "budget")}
    document = {"commit": commit, **settings, "machine": machine(), "faults": [asdict(outcome) for outcome in outcomes]}
    options.output.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    options.output.with_suffix(".md").write_text(written(outcomes, commit), encoding="utf-8")


if __name__ == "__main__":
    main()
