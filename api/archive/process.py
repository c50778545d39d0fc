"""The process that fills the archive, and what its front tells it.

The front reads every row anyway, and writes to the process's standard input the few that are
searched. A message is its length and then, in MessagePack, rows and, where a reader waits to
see all that was told before, a number.
"""

import asyncio
import contextlib
import sys
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from models.rows import head

STOP_SECONDS = 5.0
WRITTEN_BYTES: Final = 64 * 1024
"""What is written before the process has taken it; the rest waits, and merges."""

PORTION: Final = 256
"""Rows of a message: whoever reads from the front waits while they are encoded."""

LENGTH_BYTES: Final = 4

Row = tuple[bytes, bytes]
"""Key and value."""

Message = tuple[list[Row], int | None]
"""Rows, and the number of who waits for them to be seen."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class ArchiveEndedError(Exception):
    """The archive is no longer filled: what the front would answer from it grows stale."""


class Filler:
    """The process, as the front sees it. It runs where others leave a processor, and may be late.

    Nobody waits for it: of rows that it has not taken yet, the last of each key is kept.
    """

    def __init__(self, process: asyncio.subprocess.Process, pipe: asyncio.StreamWriter) -> None:
        self._process = process
        self._pipe = pipe
        self._waiting: OrderedDict[bytes, bytes] = OrderedDict()
        self._told = 0
        """How many rows were written to the process."""
        self._shows: deque[tuple[int, int]] = deque()
        """Numbers to be seen, each after so many rows were."""
        self._number = 0
        self._wake = asyncio.Event()
        pipe.transport.set_write_buffer_limits(high=WRITTEN_BYTES)
        self._telling = asyncio.create_task(self._tell())
        self.ended = asyncio.create_task(self._watch())
        """Raises ArchiveEndedError if it ends by itself."""

    async def _watch(self) -> None:
        ended = asyncio.create_task(self._process.wait())
        await asyncio.wait({ended, self._telling}, return_when=asyncio.FIRST_COMPLETED)
        if self._telling.done() and not ended.done():
            self._telling.result()
        raise ArchiveEndedError(f"the archive's process ended with {await ended}")

    def take(self, rows: Iterable[Row]) -> None:
        """Tell of rows. Of one whose repeat comes late, the higher version counts."""
        waiting = self._waiting
        for key, value in rows:
            known = waiting.get(key)
            if known is None or head(known)[0] < head(value)[0]:
                waiting[key] = value
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Rows that the process has not taken."""
        return len(self._waiting)

    def show(self) -> int:
        """Have readers see all that was told, and what of the logs was read; they see a number."""
        self._number += 1
        self._shows.append((self._number, self._told + len(self._waiting)))
        self._wake.set()
        return self._number

    async def _tell(self) -> None:
        # Should the process have ended, it says so itself.
        with contextlib.suppress(ConnectionError):
            while not self._pipe.is_closing():
                await self._wake.wait()
                self._wake.clear()
                while (self._waiting or self._shows) and not self._pipe.is_closing():
                    told = _encode(self._next())
                    self._pipe.write(len(told).to_bytes(LENGTH_BYTES) + told)
                    await self._pipe.drain()

    def _next(self) -> Message:
        size = min(PORTION, len(self._waiting))
        rows = [self._waiting.popitem(last=False) for _ in range(size)]
        self._told += size
        number = None
        while self._shows and self._shows[0][1] <= self._told:
            number, _ = self._shows.popleft()
        return rows, number

    async def stop(self) -> None:
        """Let it end, within STOP_SECONDS."""
        self.ended.cancel()
        self._telling.cancel()
        if not self._pipe.is_closing():
            # What it still has to take is of no use: the file goes too.
            self._pipe.transport.abort()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def filled(path: Path) -> AsyncIterator[Filler]:
    """Have the file filled."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.archive", str(path)),
        stdin=asyncio.subprocess.PIPE,
        # Linux divides processors among sessions: it is not to live on the front's part.
        start_new_session=True,
    )
    if process.stdin is None:
        raise ArchiveEndedError("the archive's process has no input")
    filler = Filler(process, process.stdin)
    try:
        yield filler
    finally:
        await filler.stop()


async def told(pipe: IO[Any]) -> AsyncIterator[Message]:
    """What the front tells, until the pipe ends."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    try:
        while True:
            length = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
            yield _decode(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return
    finally:
        transport.close()
