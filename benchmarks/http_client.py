"""A lean HTTP client for measuring: what it costs itself must not count as the server's."""

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools

Done = Callable[[float, int], None]


class Connection(asyncio.Protocol):
    """One keep-alive connection that carries one request at a time."""

    def __init__(self, idle: Callable[["Connection"], None]) -> None:
        self._idle = idle
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._begun = 0.0
        self._done: Done | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, path: str, done: Done) -> None:
        """Send a request; `done` gets its seconds and its status."""
        self._done = done
        self._begun = time.perf_counter()
        request = f"GET {path} HTTP/1.1\r\nHost: onhand\r\n\r\n".encode()
        cast("asyncio.Transport", self._transport).write(request)

    @property
    def is_open(self) -> bool:
        """Whether the server has not hung up."""
        return self._transport is not None and not self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        seconds = time.perf_counter() - self._begun
        done = cast("Done", self._done)
        done(seconds, self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)
        self._idle(self)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


class Pool:
    """Idle connections to one server; a request never waits for another one's answer."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._all: list[Connection] = []
        self._idle: list[Connection] = []

    async def get(self, path: str, done: Done) -> None:
        """Send a request now; `done` is called when it is answered."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                break
        else:
            await self._open()
            connection = self._idle.pop()
        connection.ask(path, done)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self._idle.append), self._host, self._port
        )
        self._all.append(connection)
        self._idle.append(connection)

    def close(self) -> None:
        """Hang up everywhere."""
        for connection in self._all:
            connection.close()
