"""The one thread that writes to the store: one batch at a time, results back in the event loop."""

import asyncio
import queue
import threading
from collections.abc import Callable

import structlog

from gateway.domain.errors import StoreError
from gateway.domain.records import Position
from gateway.ports import Batch, Loaded, Store

log = structlog.get_logger()

Written = Callable[[Batch | None, Position | Loaded | StoreError], None]
Work = Callable[[], Position | None]  # something else the store does; where its head is then


class Writer:
    """Commits batches and reopens the store, off the event loop."""

    def __init__(self, store: Store, written: Written) -> None:
        self._store = store
        self._written = written
        self._jobs: queue.SimpleQueue[Batch | str | Work] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread; results come to the loop that is running now."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def commit(self, batch: Batch | None) -> None:
        """Commit a batch; `written` is called with its position or the error."""
        if batch is not None:
            self._jobs.put(batch)

    def reopen(self) -> None:
        """Open the store afresh; `written` gets no batch, and what it holds or the error."""
        self._jobs.put("reopen")

    def do(self, work: Work) -> None:
        """Do something else with the store, between two batches; what fails is tried no more."""
        self._jobs.put(work)

    async def stop(self, last: Batch | None) -> None:
        """Commit the last batch, if any, and end the thread."""
        self.commit(last)
        self._jobs.put("stop")
        await asyncio.to_thread(self._thread.join, 5)

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job == "stop":
                self._store.close()
                return
            if callable(job):
                self._work(job)
                continue
            batch = job if isinstance(job, Batch) else None
            result: Position | Loaded | StoreError
            try:
                result = self._store.open() if batch is None else self._store.commit(batch)
            except StoreError as error:
                result = error
            self._tell(batch, result)

    def _work(self, work: Work) -> None:
        try:
            head = work()
        except StoreError as error:
            log.warning("store_work_failed", why=str(error))
            return
        if head is not None:
            self._tell(None, head)

    def _tell(self, batch: Batch | None, result: Position | Loaded | StoreError) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._written, batch, result)
