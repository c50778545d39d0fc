"""Who comes first, each case in a process of its own: it is the main thread's policy."""

import os
import subprocess
import sys

import pytest

from local.processes import ROOT
from tests.harness import may_be_real_time

DEADLINE_SECONDS = 30


needs_permission = pytest.mark.skipif(
    not may_be_real_time(), reason="the system permits no real-time priority"
)


def says(program: str) -> list[str]:
    """The lines that a program prints which has `first`, a task that comes first."""
    around = f"""
import asyncio, os, resource, subprocess, sys, time
from runtime.priority import ROWS, come_first, comes_first

async def until(wanted):
    async with asyncio.timeout(10):
        while comes_first() is not wanted:
            await asyncio.sleep(0.01)

def burn():
    ends = time.process_time() + 0.4
    while time.process_time() < ends:
        pass

async def main():
    first = asyncio.create_task(come_first(ROWS))
{program}
asyncio.run(main())
"""
    command = [sys.executable, "-c", around]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_permission
def test_one_that_leaves_no_pause_takes_its_turn_and_comes_first_again():
    assert says("""
    await until(True)
    burn()
    print(comes_first())
    await until(True)
    burn()
    print(comes_first())
    await until(True)
    print(first.done())
""") == ["False", "False", "False"]


@needs_permission
def test_one_that_leaves_pauses_goes_on_coming_first():
    assert says("""
    await until(True)
    for _ in range(30):
        ends = time.process_time() + 0.02
        while time.process_time() < ends:
            pass
        await asyncio.sleep(0.001)
        if not comes_first():
            print("no longer")
    print(comes_first())
""") == ["True"]


@needs_permission
def test_what_it_starts_does_not_come_first():
    assert (
        says("""
    await until(True)
    asked = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
    print(subprocess.run(asked, capture_output=True, text=True).stdout.strip())
    print(await asyncio.to_thread(os.sched_getscheduler, 0))
""")
        == [str(os.SCHED_OTHER)] * 2
    )


@needs_permission
def test_one_that_was_started_real_time_is_left_as_it_is():
    assert says("""
    first.cancel()
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(7))
    await come_first(ROWS)
    print(os.sched_getscheduler(0) == os.SCHED_FIFO, os.sched_getparam(0).sched_priority)
""") == ["True 7"]


@needs_permission
def test_one_that_ends_is_like_all_others_again():
    assert says("""
    await until(True)
    first.cancel()
    await asyncio.wait([first])
    print(comes_first(), resource.getrlimit(resource.RLIMIT_RTTIME)[0] == resource.RLIM_INFINITY)
""") == ["False True"]


def test_where_it_is_not_permitted_nothing_changes():
    assert says("""
    first.cancel()
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")
    os.sched_setscheduler = refuse
    await asyncio.wait_for(come_first(ROWS), 5)
    print(comes_first())
""") == ["False"]
