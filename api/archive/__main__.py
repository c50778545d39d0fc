"""`python -m api.archive FILE`: fill the archive's file; a front starts this.

It ends when its standard input does, which is when the front that started it is gone.
"""

import asyncio
import logging
import sys
from pathlib import Path

import uvloop

from api.archive.following import follow
from api.archive.store import Writer
from api.settings import Settings
from runtime.garbage import collect_seldom
from runtime.priority import give_way_to_all


async def fill(path: Path, settings: Settings) -> None:
    """Follow the logs until standard input ends."""
    writer = Writer(path, settings.archive_entries)
    following = asyncio.create_task(follow(writer, settings.kafka, settings.topic))
    gone = asyncio.create_task(_input_ends())
    done, _ = await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
    if following in done:
        following.result()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    writer.close()


async def _input_ends() -> None:
    """Wait for it in the loop: a thread that reads could not be left, whatever else fails."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    try:
        await reader.read()
    finally:
        transport.close()


if __name__ == "__main__":
    give_way_to_all()
    collect_seldom()
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(fill(Path(sys.argv[1]), Settings()))
