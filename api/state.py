"""What the routes of one process share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from api.allocation_feed import AllocationFeed
from api.archive.store import Archive
from api.problems import Problem
from api.producing import Producing
from api.settings import Settings
from api.views.base import View
from api.views.following import Following
from api.watching import Watching
from models.reference import Catalog

ARCHIVE_SECONDS = 2.0
"""How long an answer waits for the archive to come as far as the view."""


@dataclass(frozen=True)
class State:
    """Made once, by the composition root."""

    settings: Settings
    view: View
    following: Following
    watching: Watching
    feed: AllocationFeed
    producing: Producing
    archive: Archive
    archive_waiting: Callable[[], int]
    """How many rows the archive has not taken yet."""
    catalog: Catalog
    reference_use: dict[int, dict[str, dict[str, int]]]
    """By partition and input topic, the reference offsets in use."""
    reference_lock: asyncio.Lock

    def must_have_caught_up(self) -> None:
        """Raise Problem while the view lacks rows: a miss would be taken for an answer."""
        if not self.following.ready.is_set():
            raise Problem(503, "catching_up", "the view has not caught up with the logs yet")

    async def archive_reached_view(self) -> None:
        """Wait, within bounds, until the archive has the rows that the view has."""
        await self.archive.reached(ARCHIVE_SECONDS)


def state_of(request: Request) -> State:
    """The state of the app that serves `request`."""
    state: State = request.app.state.onhand
    return state
