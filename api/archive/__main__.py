"""`python -m api.archive FILE`: fill the archive's file; a front starts this.

It ends when its standard input does, which is when the front that started it is gone.
"""

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

import uvloop

from api.archive.following import follow
from api.archive.store import Writer
from api.settings import Settings


async def fill(path: Path, settings: Settings) -> None:
    """Follow the logs until standard input ends."""
    writer = Writer(path, settings.archive_entries)
    following = asyncio.create_task(follow(writer, settings.kafka, settings.topic))
    gone = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    done, _ = await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
    if following in done:
        following.result()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    writer.close()


NICENESS = 19
"""Answers and fresh rows come first: what the archive does may wait."""


def give_way() -> None:
    """Take processors only where others leave them.

    Where Linux groups processes by session (sched(7), "The autogroup feature"), niceness counts
    only within one; a session of its own has one too.
    """
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICENESS))


if __name__ == "__main__":
    give_way()
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(fill(Path(sys.argv[1]), Settings()))
