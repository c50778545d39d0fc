"""The process that fills the archive, as the front sees it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

STOP_SECONDS = 5.0


class ArchiveEndedError(Exception):
    """The archive is no longer filled: what the front would answer from it grows stale."""


@asynccontextmanager
async def filled(path: Path) -> AsyncIterator["asyncio.Task[None]"]:
    """Have the file filled; the task raises ArchiveEndedError if that ends by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.archive", str(path)),
        stdin=asyncio.subprocess.PIPE,
        # Linux divides processors among sessions: it is not to live on the front's part.
        start_new_session=True,
    )
    watching = asyncio.create_task(_watch(process))
    try:
        yield watching
    finally:
        watching.cancel()
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _watch(process: asyncio.subprocess.Process) -> None:
    code = await process.wait()
    raise ArchiveEndedError(f"the archive's process ended with {code}")
