"""What the routes of one process share."""

from dataclasses import dataclass

from fastapi import Request

from api.allocation_feed import AllocationFeed
from api.producing import Producing
from api.settings import Settings
from api.views.base import View
from api.views.following import Following
from api.watching import Watching


@dataclass(frozen=True)
class State:
    """Made once, by the composition root."""

    settings: Settings
    view: View
    following: Following
    watching: Watching
    feed: AllocationFeed
    producing: Producing


def state_of(request: Request) -> State:
    """The state of the app that serves `request`."""
    state: State = request.app.state.onhand
    return state
