"""The process pool that reads files: few, lean processes that leave signals and the database to the parent."""

import multiprocessing
import os
import signal
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
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_leave_signals_to_parent)
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


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
