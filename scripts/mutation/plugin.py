"""A pytest plugin that records which test runs which line, or runs chosen tests in a chosen order.

`--reach-record DIR` writes to DIR how long every test took and whether it passed, and which tests use which shared
fixture; if coverage.py is running, lines run within a test are attributed to that test, and lines run within a shared
fixture to the fixture. `--reach-select FILE` runs the tests listed in a JSON file, in that order, and writes the first
that fails to FILE.failed.
"""

import json
import os
import resource
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

# Limit of the address space of a process with a fault, which may allocate without end.
MAX_MEMORY = 12 * 2**30


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for the two modes."""
    parser.addoption("--reach-record", type=Path)
    parser.addoption("--reach-select", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Enable the requested mode."""
    if (folder := config.getoption("--reach-record")) is not None:
        config.pluginmanager.register(Recorder(folder))
    if (file := config.getoption("--reach-select")) is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        config.pluginmanager.register(Selector(file))


class Recorder:
    """Records the time of every test, and sets coverage.py's context to the current test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write which tests use which fixture; parallel processes all write the same."""
        users: dict[str, list[str]] = defaultdict(list)
        for item in session.items:
            for name in getattr(item, "fixturenames", ()):
                users[name].append(item.nodeid)
        if session.items:
            draft = self.folder / f"fixtures.{os.getpid()}"
            draft.write_text(json.dumps(users), encoding="utf-8")
            draft.replace(self.folder / "fixtures.json")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Attribute the following lines to this test."""
        switch(item.nodeid)
        result = yield
        switch("")
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Attribute the lines of a shared fixture to all tests that use it, not to the first one."""
        if fixturedef.scope == "function":
            return (yield)
        switch(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            switch(running_test())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the times of set-up, call and tear-down."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the times, in the process that has all the reports."""
        if not hasattr(session.config, "workerinput"):
            tests = {name: {"seconds": took, "passed": name not in self.failed} for name, took in self.seconds.items()}
            (self.folder / "tests.json").write_text(json.dumps(tests), encoding="utf-8")


def running_test() -> str:
    """The current test, from the variable that pytest sets for child processes."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]


def switch(context: str) -> None:
    """Set the context of coverage.py, if it is running."""
    if (measuring := Coverage.current()) is not None:
        measuring.switch_context(context)


class Selector:
    """Runs the listed tests in the order of the list."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.order = {name: number for number, name in enumerate(json.loads(file.read_text(encoding="utf-8")))}
        self.files = {name.partition("::")[0] for name in self.order}

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        """Collect only the files of listed tests, each in its folder: named one by one, they would share a conftest."""
        if collection_path.is_dir() or collection_path.relative_to(config.rootpath).as_posix() in self.files:
            return None
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Deselect all other tests, and sort the listed ones."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order), key=lambda item: self.order[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the test that caught the fault."""
        if report.failed:
            self.file.with_suffix(".failed").write_text(report.nodeid, encoding="utf-8")
