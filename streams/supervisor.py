"""A worker: two processes, one that takes input in, one that owns the stock.

They meet on topics only, so each may use a core of its own. They live and die together:
if one ends, the other is ended, and the worker ends the same way.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Final

from runtime.priority import WORKER, give_way

PROCESSES: Final = (("intake", "orders"), ("inventory",))
"""The stages of each process. Every worker of a service must have the same."""

_PR_SET_PDEATHSIG: Final = 1


def supervise(run: Callable[[Sequence[str]], None], shutdown_seconds: float) -> int:
    """Run the processes until one ends or a signal comes; returns the worker's exit code.

    `run` runs the stages it is given, in a process of their own. A process that was killed
    makes the worker end by the same signal.
    """
    # Forked, so that they need not import again what a worker that restarts has imported.
    forking = multiprocessing.get_context("fork")
    gc.freeze()
    parent = os.getpid()
    children = [
        forking.Process(target=_run_child, args=(parent, run, stages)) for stages in PROCESSES
    ]
    ended, signalled = os.pipe()
    for child in children:
        child.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os.write(signalled, b"!"))
    ready = wait([ended, *(child.sentinel for child in children)])
    for child in children:
        if child.sentinel in ready:
            child.join()
    codes = [child.exitcode for child in children]
    stopping = ended in ready
    _end(children, graceful=stopping, seconds=shutdown_seconds + 2)
    if stopping:
        return max((abs(child.exitcode or 0) for child in children), default=0)
    code = next(code for code in codes if code is not None)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code or 1


def _run_child(parent: int, run: Callable[[Sequence[str]], None], stages: Sequence[str]) -> None:
    # In a session of its own, so that Ctrl-C reaches it through the worker only.
    os.setsid()
    give_way(WORKER)
    die_with(parent)
    run(stages)


def _end(children: Sequence[BaseProcess], *, graceful: bool, seconds: float) -> None:
    for child in children:
        if graceful:
            child.terminate()
        else:
            child.kill()
    deadline = time.monotonic() + seconds
    for child in children:
        child.join(max(0.1, deadline - time.monotonic()))
        if child.is_alive():
            child.kill()
            child.join()


def die_with(parent: int) -> None:
    """Have the kernel kill this process when process `parent` dies; without Linux, do nothing.

    A worker that is killed must not leave half of itself at work.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
