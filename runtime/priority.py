"""Who gives way where processors are short: answers come first, then fresh rows, then the rest."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Final

AT_ONCE_SECONDS: Final = 0.1
"""For so long who comes first may have a processor without a pause."""

AGAIN_SECONDS: Final = 1.0
"""So often it is tried to come first, after too long without a pause."""

ANSWERS: Final = 2
"""The real-time priority of who answers."""

ROWS: Final = 1
"""The real-time priority of who makes rows: before all that has none."""

_PAUSE_SECONDS: Final = 0.00005

_NICEST: Final = 19


async def come_first(priority: int) -> None:
    """Run the main thread before all that is not real-time, for as long as it leaves pauses.

    One that has had a processor for AT_ONCE_SECONDS without a pause takes its turn among the
    others, and tries again after AGAIN_SECONDS: a flood of requests or a backlog stops nobody else
    (getrlimit(2), RLIMIT_RTTIME). Threads and processes that it starts are not included. Returns
    where the system does not permit it (Linux does with CAP_SYS_NICE or RLIMIT_RTPRIO: sched(7)),
    or where it was started that way.
    """
    if sys.platform != "linux" or comes_first():
        return
    signal.signal(signal.SIGXCPU, lambda number, frame: _schedule(os.SCHED_OTHER, 0))
    before = resource.getrlimit(resource.RLIMIT_RTTIME)
    try:
        while True:
            if not comes_first():
                _begin(priority, before[1])
            await asyncio.sleep(AGAIN_SECONDS)
    except (OSError, ValueError):
        return
    finally:
        # At its end a process has no handlers: what it then does at once would end it otherwise.
        if comes_first():
            resource.setrlimit(resource.RLIMIT_RTTIME, before)
            _schedule(os.SCHED_OTHER, 0)


def _begin(priority: int, most: int) -> None:
    """Come first, with a limit that may be raised to `most`. Raises OSError, ValueError."""
    if sys.platform == "linux":
        _schedule(os.SCHED_RR, priority)
        # Linux goes on counting where it was, until there is a pause.
        time.sleep(_PAUSE_SECONDS)
        limit = round(AT_ONCE_SECONDS * 1e6), most
        resource.setrlimit(resource.RLIMIT_RTTIME, limit)


def comes_first() -> bool:
    """Whether the main thread is real-time now."""
    if sys.platform != "linux":
        return False
    policy = os.sched_getscheduler(os.getpid()) & ~os.SCHED_RESET_ON_FORK
    return policy in (os.SCHED_RR, os.SCHED_FIFO)


def _schedule(policy: int, priority: int) -> None:
    if sys.platform == "linux":
        parameters = os.sched_param(priority)
        os.sched_setscheduler(os.getpid(), policy | os.SCHED_RESET_ON_FORK, parameters)


def give_way_to_all() -> None:
    """Have this process run only where nothing else wants to.

    To Linux a processor is as good as idle that runs nothing of another policy than SCHED_IDLE
    (sched(7)): who wakes up is sent there. One that runs what is merely nice is taken for busy,
    and all others share the rest. Where Linux groups processes by session (sched(7), "The
    autogroup feature"), niceness counts only within one; a session of its own has one too.
    """
    os.nice(_NICEST)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_NICEST))
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
