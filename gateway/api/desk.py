"""Live desk pages: a call is delivered to the desk once a page says that it shows it (RULES E4).

Rules: a page is an event stream held open by a desk token. That bytes were sent to it proves
nothing, for a closed lid is still connected: the page itself confirms. The journal is not in this
path, so it works while the store is lost (X1).
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.errors import GatewayError
from gateway.ports import Notification

CONFIRM_WITHIN_S = 10.0
PENDING_MAX = 100  # calls that a page has not yet read


class Page:
    """What one open page has still to show."""

    def __init__(self) -> None:
        self._calls: deque[str] = deque()
        self._news = asyncio.Event()

    def put(self, call: str) -> None:
        """One more call, as JSON. A page that reads nothing is not live, and is left alone."""
        if len(self._calls) < PENDING_MAX:
            self._calls.append(call)
            self._news.set()

    def take(self) -> list[str]:
        """The calls not yet taken, in order."""
        taken = list(self._calls)
        self._calls.clear()
        self._news.clear()
        return taken

    async def wait(self) -> None:
        """Until there is a call to take."""
        await self._news.wait()


class Desk:
    """The desk pages that are open now. A Notifier for channels of the kind `desk`."""

    def __init__(self, confirm_within_s: float = CONFIRM_WITHIN_S) -> None:
        self._confirm_within_s = confirm_within_s
        self._pages: set[Page] = set()
        self._waiting: dict[str, set[asyncio.Future[str]]] = {}

    @property
    def pages(self) -> int:
        """How many are open."""
        return len(self._pages)

    @contextmanager
    def page(self) -> Iterator[Page]:
        """A page that is open as long as this lasts; calls come in its queue."""
        opened = Page()
        self._pages.add(opened)
        try:
            yield opened
        finally:
            self._pages.discard(opened)

    async def deliver(self, notification: Notification) -> str:
        """Show a call on every page; which confirmed it. Raises GatewayError when none did."""
        if not self._pages:
            raise GatewayError("no desk page is open")
        shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(notification.call, set())
        waiting.add(shown)
        try:
            self._push(notification)
            async with asyncio.timeout(self._confirm_within_s):
                return await shown
        except TimeoutError:
            raise GatewayError(
                f"no desk page confirmed the call within {self._confirm_within_s:g} s"
            ) from None
        finally:
            waiting.discard(shown)
            if not waiting:
                self._waiting.pop(notification.call, None)

    def confirm(self, call: str, by: str) -> bool:
        """A page shows the call; True if somebody waited to hear it."""
        waiting = self._waiting.get(call, set())
        for shown in waiting:
            if not shown.done():
                shown.set_result(f"desk page {by}")
        return bool(waiting)

    def _push(self, notification: Notification) -> None:
        said = {
            "call": notification.call,
            "step": notification.step,
            "channel": notification.channel.id,
            **notification.body,
        }
        text = json.dumps(said, ensure_ascii=False)
        for page in self._pages:
            page.put(text)
