"""A pytest plugin: notes which test runs which line, or runs chosen tests in a chosen order.

`--reach-record DIR` writes to DIR how long every test took and whether it passed, and which tests use which shared
fixture; where coverage.py is measuring, what runs within a test is put down to that test, and what runs within a shared
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

# Address space of a process with a fault in it, which may never stop asking for more.
MAX_MEMORY = 12 * 2**30


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two modes."""
    parser.addoption("--reach-record", type=Path)
    parser.addoption("--reach-select", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Take up the mode that was asked for."""
    if (folder := config.getoption("--reach-record")) is not None:
        config.pluginmanager.register(Recorder(folder))
    if (file := config.getoption("--reach-select")) is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        config.pluginmanager.register(Selector(file))


class Recorder:
    """Notes what every test took, and tells coverage.py whose lines it is measuring."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write down which tests use which fixture; processes side by side all write the same."""
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
        """What runs from here on belongs to this test."""
        switch(item.nodeid)
        result = yield
        switch("")
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """What a shared fixture runs belongs to all who use it, not to the first of them."""
        if fixturedef.scope == "function":
            return (yield)
        switch(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            switch(running_test())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up set-up, call and tear-down."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write down the times: the process that has all the reports."""
        if not hasattr(session.config, "workerinput"):
            tests = {name: {"seconds": took, "passed": name not in self.failed} for name, took in self.seconds.items()}
            (self.folder / "tests.json").write_text(json.dumps(tests), encoding="utf-8")


def running_test() -> str:
    """The test that pytest is at, as it tells its child processes."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]


def switch(context: str) -> None:
    """Name what coverage.py measures from here on, where it measures."""
    if (measuring := Coverage.current()) is not None:
        measuring.switch_context(context)


class Selector:
    """Runs the tests of a list, in its order."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.order = {name: number for number, name in enumerate(json.loads(file.read_text(encoding="utf-8")))}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop all others, and put these in order."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order), key=lambda item: self.order[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say which test caught the fault."""
        if report.failed:
            self.file.with_suffix(".failed").write_text(report.nodeid, encoding="utf-8")
