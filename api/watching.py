"""Waiting for a row of this process's view to change."""

import asyncio
from collections import defaultdict


class Watching:
    """Futures by row key, resolved when the row changes."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def changed(self, key: str) -> None:
        """The row of `key` is new."""
        for waiting in self._waiting.pop(key, ()):
            if not waiting.done():
                waiting.set_result(None)

    def next_change(self, key: str) -> asyncio.Future[None]:
        """Done when the row of `key` changes next."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[key].add(waiting)
        waiting.add_done_callback(lambda done: self._forget(key, done))
        return waiting

    def _forget(self, key: str, waiting: asyncio.Future[None]) -> None:
        if key in self._waiting:
            self._waiting[key].discard(waiting)
            if not self._waiting[key]:
                del self._waiting[key]
