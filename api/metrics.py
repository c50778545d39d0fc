"""Metrics of the front, in Prometheus' text format."""

import time
from contextlib import suppress
from functools import cache

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.state import state_of
from api.views.base import ViewUnavailableError
from runtime.priority import is_real_time

router = APIRouter(tags=["operations"])

_REQUESTS = Counter("onhand_http_requests", "Requests answered", ("route", "status"))
_SECONDS = Histogram(
    "onhand_http_request_seconds",
    "Time to the start of the answer",
    ("route",),
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
_LAG = Gauge("onhand_view_lag_seconds", "Time since the view last matched the log's end")
_ROWS = Gauge("onhand_view_stock_rows", "Stock rows in the view")
_ARCHIVE = Gauge("onhand_archive_waiting_rows", "Rows that the archive has not taken yet")
_READY = Gauge("onhand_view_ready", "1 once the view has what stood in the logs at the start")
_REAL_TIME = Gauge("onhand_api_realtime", "1 while the front is real-time to the system")


_requests = cache(_REQUESTS.labels)
_seconds = cache(_SECONDS.labels)


def observe(route: str, status: int, begun: float) -> None:
    """Count and time an answer to a request that came in at `begun` (perf_counter)."""
    _requests(route, status).inc()
    _seconds(route).observe(time.perf_counter() - begun)


class Measured:
    """Counts and times requests by route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def measuring(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                observe(route, message["status"], begun)
            await send(message)

        await self._app(scope, receive, measuring)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What Prometheus scrapes."""
    state = state_of(request)
    matched_at = None
    with suppress(ViewUnavailableError):
        matched_at = await state.view.matched_at()
        _ROWS.set(await state.view.size())
    _LAG.set(time.time() - matched_at if matched_at is not None else float("inf"))
    _ARCHIVE.set(state.archive_waiting())
    _READY.set(state.following.ready.is_set())
    _REAL_TIME.set(is_real_time())
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
