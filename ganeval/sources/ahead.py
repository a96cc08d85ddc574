"""Work done ahead of its consumer by a few threads, handed over in order, with a bounded window."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

T = TypeVar("T")
# Batches that may wait for the consumer beyond one in the hands of each worker.
WINDOW = 2


def in_order(tasks: Iterable[Callable[[], T]], *, workers: int, stop: Event, tasks_per_batch: int = 1) -> Generator[T]:
    """Each task's result, in the tasks' order; at most `workers + WINDOW` batches of them exist at a time.

    A task's exception is raised in its place. When the iterator ends for whatever reason (exhausted, closed, Ctrl-C),
    `stop` is set for running tasks to look at, waiting ones are cancelled, and no thread is left.
    """
    # The consumer keeps what it has of the batch that it fills.
    most = (workers + WINDOW - 1) * tasks_per_batch + 1
    pending: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ganeval-read")
    try:
        for task in tasks:
            pending.append(pool.submit(task))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
