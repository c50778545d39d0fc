"""What an HTTP read costs at the least: the same bytes every time, from a bare app.

`ONHAND_BENCH_BODY` is the body. An ASGI server serves `asgi`, `starlette`, or `front`, our own.
"""

import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

_BODY = os.environ.get("ONHAND_BENCH_BODY", "{}").encode()
_HEADERS = [
    (b"content-length", str(len(_BODY)).encode()),
    (b"content-type", b"application/json"),
]


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that answers."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY})
    elif scope["type"] == "lifespan":
        for what in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{what}.complete"})


async def _constant(request: Request) -> Response:
    return Response(_BODY, media_type="application/json")


starlette = Starlette(
    routes=[
        Route("/readyz", _constant),
        Route("/v1/availability/{sku}/{location}", _constant),
    ]
)


def front() -> Any:
    """Our front, for a server other than the one it comes with."""
    # Only where it is served: it brings along all that it needs.
    from api.app import create_app  # noqa: PLC0415
    from api.reading import Reads  # noqa: PLC0415
    from api.settings import Settings  # noqa: PLC0415

    return Reads(create_app(Settings()))
