"""What every process of a run needs first: one thread each, and a server of Python commands (see warm.py) for all.

The processes that run tests also load `every_test`. The one that only hands them out does not wait for its imports.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

# Before torch is imported, here and in every process that a test starts: tests run side by side, a process a core.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import pytest
from warm import SERVER, shareable


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures, or, where other processes run the tests, let these share a server."""
    if not config.getoption("numprocesses", default=None) or "PYTEST_XDIST_WORKER" in os.environ:
        config.pluginmanager.import_plugin("every_test")
        return
    held = ExitStack()
    folder = held.enter_context(TemporaryDirectory())
    held.enter_context(shareable(Path(folder)))
    os.environ[SERVER] = folder
    held.callback(os.environ.pop, SERVER)
    config.add_cleanup(held.close)
