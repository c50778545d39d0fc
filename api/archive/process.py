"""The process that fills the archive, and what its front tells it.

The front reads every row anyway, and writes to the process's standard input the few that are
searched. A message is its length and then, in MessagePack, rows and, where a reader waits to
see all that was told before, a number.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec

STOP_SECONDS = 5.0
WAITING_BYTES: Final = 64 * 1024 * 1024
"""What may wait to be taken before the front reads no further."""

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
    """The process, as the front sees it."""

    def __init__(self, process: asyncio.subprocess.Process, told: asyncio.StreamWriter) -> None:
        self._process = process
        self._told = told
        self._number = 0
        told.transport.set_write_buffer_limits(high=WAITING_BYTES)
        self.ended = asyncio.create_task(self._watch())
        """Raises ArchiveEndedError if it ends by itself."""

    async def _watch(self) -> None:
        code = await self._process.wait()
        raise ArchiveEndedError(f"the archive's process ended with {code}")

    async def take(self, rows: Sequence[Row]) -> None:
        """Tell of rows; waits only where too many wait already."""
        self._tell((list(rows), None))
        # Should it have ended, `ended` says so.
        with contextlib.suppress(ConnectionError):
            await self._told.drain()

    def show(self) -> int:
        """Have readers see all that was told, and what of the logs was read; they see a number."""
        self._number += 1
        self._tell(([], self._number))
        return self._number

    def _tell(self, message: Message) -> None:
        if not self._told.is_closing():
            told = _encode(message)
            self._told.write(len(told).to_bytes(LENGTH_BYTES) + told)

    async def stop(self) -> None:
        """Let it end, within STOP_SECONDS."""
        self.ended.cancel()
        if not self._told.is_closing():
            # What it still has to take is of no use: the file goes too.
            self._told.transport.abort()
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
