"""Reads of availability, answered before routing: most requests are of these kinds.

`api.availability` says what an answer is, and documents it. What is not plainly a read, or
goes wrong, goes on to the routes, which answer it or say what is the matter.
"""

import time
from typing import Final
from urllib.parse import unquote

import msgspec
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from api.availability import Answer, answer_everywhere, answer_many, answer_one
from api.metrics import observe
from api.problems import Problem
from api.state import State

_PREFIX: Final = b"/v1/availability/"
_ONE: Final = "/v1/availability/{sku}/{location}"
_EVERYWHERE: Final = "/v1/availability/{sku}"
_QUERY: Final = "/v1/availability/query"
_JSON: Final = b"application/json"


class _Key(msgspec.Struct):
    sku: str
    location: str


class _Wanted(msgspec.Struct):
    items: list[_Key]


_wanted = msgspec.json.Decoder(_Wanted).decode


class Reads:
    """The front, with a shorter way for reads."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: bytes = scope.get("raw_path", b"").partition(b"?")[0]
            if path.startswith(_PREFIX) and path.isascii():
                if scope["method"] == "GET":
                    if await self._get(scope, path, receive, send):
                        return
                elif (
                    scope["method"] == "POST" and path == _QUERY.encode() and self._is_plain(scope)
                ):
                    body = await _body(receive)
                    if body is None or await self._query(body, send):
                        return
                    receive = _after(body, receive)
        await self._app(scope, receive, send)

    def _is_plain(self, scope: Scope) -> bool:
        """Whether the body is JSON, and of a length that is said and allowed."""
        headers = dict(scope["headers"])
        length: bytes = headers.get(b"content-length", b"")
        kind: bytes = headers.get(b"content-type", b"")
        most = self._app.state.settings.max_body_bytes
        is_json = kind.partition(b";")[0].strip().lower() == _JSON
        return is_json and length.isdigit() and int(length) <= most

    async def _get(self, scope: Scope, path: bytes, receive: Receive, send: Send) -> bool:
        """Answer a read of one key or of a SKU's locations; whether that could be done."""
        begun = time.perf_counter()
        names = path[len(_PREFIX) :].decode().split("/")
        if not all(names) or len(names) > 2:
            return False
        if b"%" in path:
            names = [unquote(name) for name in names]
        state: State = self._app.state.onhand
        sku, *rest = names
        route = _ONE if rest else _EVERYWHERE
        try:
            if rest:
                answer = await answer_one(state, sku, rest[0], _known_etag(scope))
            else:
                answer = await answer_everywhere(state, sku)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            observe(route, problem.status, begun)
            return True
        except Exception:  # noqa: BLE001 - the route meets it again, and says what it is
            return False
        await _send(answer, send)
        observe(route, answer.status, begun)
        return True

    async def _query(self, body: bytes, send: Send) -> bool:
        """Answer a read of many keys; whether that could be done."""
        begun = time.perf_counter()
        try:
            answer = await answer_many(self._app.state.onhand, _wanted(body))
        except Exception:  # noqa: BLE001 - the route meets it again, and says what it is
            return False
        await _send(answer, send)
        observe(_QUERY, answer.status, begun)
        return True


def _known_etag(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            return str(value, "latin-1")
    return None


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where the client has gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _after(body: bytes, receive: Receive) -> Receive:
    """`receive` as it was before the body was read."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.body:
        headers.append((b"content-length", b"%d" % len(answer.body)))
        headers.append((b"content-type", _JSON))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
