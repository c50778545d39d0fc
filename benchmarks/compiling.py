"""A broker as one that has run for days: what is hot of it is compiled.

Its compilers need a quarter of a minute of a processor. Where others leave them a tenth, they
take minutes, and all requests meanwhile twice what they will.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from benchmarks.backlog import BenchmarkError
from local.realtime import COMPILERS

LOOK_SECONDS: Final = 1.0
IDLE: Final = 0.1
"""Of a processor: who takes less compiles what is hardly ever called."""


async def until_compiled(seconds: float) -> None:
    """Wait until no JVM that this process started is busy compiling.

    Raises BenchmarkError where one still is after `seconds`.
    """
    deadline = time.monotonic() + seconds
    before = _spent()
    while time.monotonic() < deadline:
        begun = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        now = _spent()
        # A compiler that has nothing to do may end: what it had taken is not taken off.
        taken = sum(seconds - before.get(thread, 0.0) for thread, seconds in now.items())
        if taken < IDLE * (time.monotonic() - begun):
            return
        before = now
    raise BenchmarkError(f"the broker still compiles after {seconds:.0f} s")


def _spent() -> dict[int, float]:
    """Processor seconds of each compiler until now, by thread."""
    spent: dict[int, float] = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            for thread in process.threads():
                if _name_of(process.pid, thread.id).startswith(COMPILERS):
                    spent[thread.id] = thread.user_time + thread.system_time
    return spent


def _name_of(process: int, thread: int) -> str:
    """The name of a thread; none where it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/task/{thread}/comm").read_text()
    return ""
