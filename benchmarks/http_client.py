"""A lean HTTP client for measuring: what it costs itself must not count as the server's."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from typing import Final, cast
from urllib.parse import urlsplit

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

    def connection_lost(self, error: Exception | None) -> None:
        """Called at the end; a request that was under way got no answer: status 0."""
        if self._done is not None:
            self._done(time.perf_counter() - self._begun, 0)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        seconds = time.perf_counter() - self._begun
        done, self._done = cast("Done", self._done), None
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


class Repeating(asyncio.Protocol):
    """One connection that asks again as soon as it is answered, one request after another.

    It knows an answer's end by its length, and parses only its head: what the client costs
    bounds what can be seen of the server.
    """

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._left = 0
        self.answered = 0
        self.wrong = 0
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Count what is answered, and ask again."""
        if not self._left:
            head = data.find(b"\r\n\r\n")
            found = _LENGTH.search(data, 0, head)
            if not found or not data.startswith(b"HTTP/1.1 200"):
                self.wrong += 1
                self._transport.close()
                return
            self._left = head + 4 + int(found[1])
        self._left -= len(data)
        if self._left:
            return
        self.answered += 1
        if self.stopped:
            self._transport.close()
        else:
            self._transport.write(next(self._requests))


_LENGTH: Final = re.compile(rb"(?i)content-length: (\d+)")


async def ask_all_the_time(
    url: str, requests: Iterator[bytes], connections: int, seconds: float
) -> tuple[int, int]:
    """Keep `connections` busy for `seconds`: answers with status 200, and others."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    host, port = parts.hostname or "", parts.port or 80
    opened = [
        (await loop.create_connection(lambda: Repeating(requests), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    answered = sum(one.answered for one in opened)
    for one in opened:
        one.stopped = True
    return answered, sum(one.wrong for one in opened)
