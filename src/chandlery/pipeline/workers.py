"""The process pool that reads files: few, lean processes that leave signals and the database to the parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

#: Imported once in the fork server, so that a worker starts in milliseconds and shares its memory.
PRELOADED = ["chandlery.pipeline.ingest", "chandlery.pipeline.fill"]


@contextmanager
def worker_pool(workers: int) -> Iterator[Executor]:
    """A pool that starts its processes with the first task. A fork after polars has run would hang, hence the fork
    server.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    # Files are spread over processes; threads inside them would only get in each other's way.
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_follow_parent)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _follow_parent() -> None:
    """Whether to stop is the parent's decision; but where it is gone, nobody will ever take what this worker makes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # At once, as if killed: what is not yet in the store is read again by the next run.
        os._exit(1)
