"""Prefetching: a few threads work ahead of the consumer; results come in order, and their number is bounded."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from threading import Event
from typing import TypeVar

T = TypeVar("T")
# Finished batches that may wait for the consumer, in addition to the current batch of each worker.
WINDOW = 2
# Seconds to wait for a whole batch before its results are taken one by one: its end may be waiting for
# memory that its beginning holds.
PATIENCE = 0.05


def in_order(tasks: Iterable[Callable[[], T]], *, workers: int, stop: Event, tasks_per_batch: int = 1) -> Generator[T]:
    """Each task's result, in the tasks' order; at most `workers + WINDOW` batches of them exist at a time.

    A task's exception is raised in its place. When the iterator ends, also early or by Ctrl-C, `stop` is set so that
    running tasks can end, waiting tasks are cancelled, and all threads are joined.
    """
    # The consumer holds the results of the batch that it is filling.
    most = (workers + WINDOW - 1) * tasks_per_batch + 1
    pending: deque[Future[T]] = deque()
    number = count()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ganeval-read")

    def oldest() -> T:
        if next(number) % tasks_per_batch == 0:
            # Woken once per batch: with small images, waking for each result and switching threads would cost time.
            wait([pending[min(tasks_per_batch, len(pending)) - 1]], PATIENCE)
        return pending.popleft().result()

    try:
        for task in tasks:
            pending.append(pool.submit(task))
            if len(pending) >= most:
                yield oldest()
        while pending:
            yield oldest()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
