"""Requests no longer than is allowed, whether they say their length or not."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LimitedBodies:
    """Ends a request with 413 once more than `limit` bytes of its body came."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise HTTPException(413, f"a request has at most {self._limit} bytes")
            return message

        await self._app(scope, limited if scope["type"] == "http" else receive, send)
