"""The process pool that reads files: few, lean processes that leave signals and the database to the parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.forkserver import ensure_running

from chandlery.errors import ChandleryError

#: Imported once in the fork server, so that a worker starts in milliseconds and shares its memory.
PRELOADED = [
    f"chandlery.pipeline.{module}" for module in ("ingest", "fill", "answers", "weekly_sums", "audit_task")
] + ["chandlery.stores.parquet"]


class WorkerDied(ChandleryError):
    """A worker process died (out of memory, or killed) while these were in hand: {current}; run the same command
    again to go on"""


def start_fork_server() -> None:
    """Have workers ready early: the server imports what they need on another core, while this process is still busy.

    A fork after polars has run would hang, hence a server that only imports it.
    """
    multiprocessing.set_forkserver_preload(PRELOADED)
    # Files are spread over processes; threads inside them would only get in each other's way.
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    # Whether a file in hand is finished is this process's decision. The server and its workers inherit what is blocked
    # here, and never see the signals; the tracker comes first, because its start unblocks them.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def worker_pool(workers: int) -> Iterator[Executor]:
    """A pool that starts its processes with the first task. Left by an exception, it does not wait for what they do."""
    start_fork_server()
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_follow_parent)
    try:
        yield pool
    except BaseException:
        # Nobody is left to record what they have in hand; half of it is never in the store.
        for worker in multiprocessing.active_children():
            worker.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def workers_watched() -> Iterator[None]:
    """Raises WorkerDied where a worker did."""
    try:
        yield
    except BrokenExecutor as error:
        raise WorkerDied(current="ends of archives, answers or derivations") from error


_ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _follow_parent() -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # At once, as if killed too: what is not yet in the store is read again by the next run.
        os._exit(1)
