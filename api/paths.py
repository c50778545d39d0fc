"""Paths as they were sent: a SKU or source may hold an encoded slash."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class RawPaths:
    """Routes by the percent-encoded path, so that `%2F` does not split a parameter."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"%" in scope.get("raw_path", b""):
            scope["path"] = scope["raw_path"].partition(b"?")[0].decode("ascii", "replace")
        await self._app(scope, receive, send)


def decoded(parameter: str) -> str:
    """A path parameter as it was meant."""
    return unquote(parameter) if "%" in parameter else parameter
