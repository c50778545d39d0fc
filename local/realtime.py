"""A broker in real time, in place of one that has a machine of its own."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from runtime.priority import ROWS

COMPILERS: Final = ("C1 Compiler", "C2 Compiler")
"""Threads of a JVM that take a processor for long, and that nobody waits for."""


def have_come_first(process: int) -> None:
    """Have a JVM's threads run in real time, but for its compilers, where that is permitted.

    Threads that it starts later are as the one is that starts them. There is no bound.
    """
    if sys.platform == "linux":
        for thread in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(OSError):
                if not (thread / "comm").read_text().startswith(COMPILERS):
                    os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(ROWS))
