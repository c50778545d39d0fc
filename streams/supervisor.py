"""A worker: two processes, one that takes input in, one that owns the stock.

They meet on topics only, so each may use a core of its own. They live and die together:
if one ends, the other is ended, and the worker ends the same way.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Final

PROCESSES: Final = (("intake", "orders"), ("inventory",))
"""The stages of each process. Every worker of a service must have the same."""

_POLL_SECONDS: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


def supervise(shutdown_seconds: float) -> int:
    """Run the processes until one ends or a signal comes; returns the worker's exit code.

    A process that was killed makes the worker end by the same signal.
    """
    children = [
        # In sessions of their own, so that Ctrl-C reaches them through us only.
        subprocess.Popen(
            [sys.executable, "-m", "streams", "stages", str(os.getpid()), *stages],
            start_new_session=True,
        )
        for stages in PROCESSES
    ]
    stopping: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        while not stopping and all(child.poll() is None for child in children):
            time.sleep(_POLL_SECONDS)
        codes = [child.poll() for child in children]
    finally:
        _end(children, graceful=bool(stopping), seconds=shutdown_seconds + 2)
    if stopping:
        return max((abs(child.returncode) for child in children), default=0)
    code = next(code for code in codes if code is not None)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code or 1


def _end(children: list[subprocess.Popen[bytes]], *, graceful: bool, seconds: float) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM if graceful else signal.SIGKILL)
    deadline = time.monotonic() + seconds
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def die_with(parent: int) -> None:
    """Have the kernel kill this process when process `parent` dies; without Linux, do nothing.

    A worker that is killed must not leave half of itself at work.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
