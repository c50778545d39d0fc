"""`python -m api.archive FILE`: fill the archive's file; a front starts this.

The front writes rows to its standard input; see `api.archive.process`. It ends when that does,
which is when the front that started it is gone.
"""

import asyncio
import logging
import sys
from pathlib import Path

import uvloop

from api.archive.following import Filling, follow
from api.archive.process import told
from api.archive.store import Writer
from api.settings import Settings
from runtime.garbage import collect_seldom
from runtime.priority import give_way_to_all


async def fill(path: Path, settings: Settings) -> None:
    """Follow the logs, and take rows, until standard input ends."""
    writer = Writer(path, settings.archive_entries)
    filling = Filling(writer)
    following = asyncio.create_task(follow(filling, settings.kafka, settings.topic))
    taking = asyncio.create_task(_take(filling))
    done, _ = await asyncio.wait({following, taking}, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    writer.close()


async def _take(filling: Filling) -> None:
    """Until the input ends. In the loop: a thread that reads could not be left, whatever fails."""
    async for rows, number in told(sys.stdin):
        filling.take_rows(rows)
        if number is not None:
            filling.show(number)


if __name__ == "__main__":
    give_way_to_all()
    collect_seldom()
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(fill(Path(sys.argv[1]), Settings()))
