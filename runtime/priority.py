"""Who gives way where processors are short: answers come first, then fresh rows, then the rest."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

WORKER: Final = 5
"""A third of the front's share of a processor that both want: readers wait for every answer."""

ARCHIVE: Final = 19
"""What explanations are made of may wait."""

ANSWERS: Final = 2
"""The real-time priority of who answers."""

ROWS: Final = 1
"""The real-time priority of who makes rows: before all that has none."""

AT_ONCE_SECONDS: Final = 0.1
"""For so long who is real-time may have a processor without a pause."""

SHARE: Final = 0.8
"""More of a processor is for those who take their turn."""

INTERVAL_SECONDS: Final = 1.0
"""So often it is looked at what was taken."""

_PAUSE_SECONDS: Final = 0.00005


async def come_first(priority: int) -> None:
    """Have the main thread run in real time, for as long as it leaves the others enough.

    It takes its turn among the others for an interval once it has had more than SHARE of a
    processor in the last one, or has had it for AT_ONCE_SECONDS without a pause: Linux then
    sends a signal (getrlimit(2), RLIMIT_RTTIME), which is heeded when the interpreter next
    looks, not within a long call of compiled code. Threads and processes that it starts are not
    included. Returns, with a warning, where the system does not permit it (Linux does with
    CAP_SYS_NICE or RLIMIT_RTPRIO: sched(7)), and at once where it was started that way.
    """
    if not is_real_time():
        try:
            await _come_first(priority)
        except (OSError, ValueError) as error:
            log.warning("ONHAND_REALTIME is set, and the system does not permit it: %s", error)


async def _come_first(priority: int) -> None:
    if sys.platform != "linux":
        raise OSError("it is not Linux")
    with _like_before():
        while True:
            begun, used = time.monotonic(), time.thread_time()
            await asyncio.sleep(INTERVAL_SECONDS)
            if time.thread_time() - used > SHARE * (time.monotonic() - begun):
                _take_turns()
            elif not is_real_time():
                _begin(priority)


@contextmanager
def _like_before() -> Iterator[None]:
    """Afterwards all is as it was: the policy, the limit, and who hears of it.

    At its end a process has no handlers: the signal would end it.
    """
    if sys.platform == "linux":
        limits = resource.getrlimit(resource.RLIMIT_RTTIME)
        handler = signal.getsignal(signal.SIGXCPU)
        try:
            yield
        finally:
            _take_turns()
            resource.setrlimit(resource.RLIMIT_RTTIME, limits)
            signal.signal(signal.SIGXCPU, handler)


def _begin(priority: int) -> None:
    """Be real-time from now on. Raises OSError, ValueError."""
    if sys.platform == "linux":
        _, most = resource.getrlimit(resource.RLIMIT_RTTIME)
        _schedule(os.SCHED_RR, priority)
        signal.signal(signal.SIGXCPU, lambda number, frame: _take_turns())
        # Linux goes on counting where it was, until there is a pause.
        time.sleep(_PAUSE_SECONDS)
        resource.setrlimit(resource.RLIMIT_RTTIME, (round(AT_ONCE_SECONDS * 1e6), most))


def _take_turns() -> None:
    if sys.platform == "linux" and is_real_time():
        _schedule(os.SCHED_OTHER, 0)


def is_real_time() -> bool:
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
    and all others share the rest.
    """
    give_way(ARCHIVE)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def give_way(niceness: int) -> None:
    """Have this process, and what it starts, be as nice as that to all others.

    Where Linux groups processes by session (sched(7), "The autogroup feature"), niceness counts
    only within one; a session of its own has one too.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))
