"""What a front answers while its view lacks rows."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from api.allocation_feed import AllocationFeed
from api.app import create_app
from api.reading import Reads
from api.settings import Settings
from api.state import State
from api.views.memory import MemoryView
from api.watching import Watching

ONE = [
    "/v1/availability/S/17",
    "/v1/availability/S",
    "/v1/availability/S/17/explain",
    "/v1/sources/p",
    "/v1/reservations/r",
    "/v1/channels/web",
    "/v1/channels/web/allocations",
]
KEYS = {"items": [{"sku": "S", "location": "17"}]}


def answers(requests: list[tuple[str, str, Any]], *, ready: bool) -> list[tuple[int, str | None]]:
    """Status and code of each answer of a front that has no rows."""

    async def ask() -> list[httpx.Response]:
        app = create_app(Settings())
        following = SimpleNamespace(ready=asyncio.Event())
        if ready:
            following.ready.set()
        nothing = cast("Any", None)
        app.state.onhand = State(
            app.state.settings,
            MemoryView(),
            cast("Any", following),
            Watching(),
            AllocationFeed(),
            *[nothing] * 4,
            {},
            asyncio.Lock(),
        )
        transport = httpx.ASGITransport(Reads(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://onhand") as client:
            return [await client.request(*one[:2], json=one[2]) for one in requests]

    return [(one.status_code, one.json().get("code")) for one in asyncio.run(ask())]


def test_what_it_does_not_have_yet_is_no_miss():
    requests = [("GET", path, None) for path in (*ONE, "/v1/channels/web/stream", "/readyz")]
    requests += [("POST", f"/v1/availability/{what}", KEYS) for what in ("query", "explain")]
    found = dict(
        zip([path for _, path, _ in requests], answers(requests, ready=False), strict=True)
    )
    assert found == dict.fromkeys(found, (503, "catching_up"))


@pytest.mark.parametrize("path", ONE)
def test_once_it_is_filled_what_it_does_not_have_is_one(path):
    assert answers([("GET", path, None)], ready=True) == [(404, "not_found")]
