"""Who gives way where processors are short: answers come first, then fresh rows, then the rest."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

WORKER: Final = 5
"""A third of the front's share of a processor that both want: readers wait for every answer."""

ARCHIVE: Final = 19
"""What explanations are made of may wait."""


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
