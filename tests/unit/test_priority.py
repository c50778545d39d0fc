"""Who is real-time, each case in a process of its own: it is the main thread's policy."""

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
    """The lines that a program prints with `first`, a task that has it be real-time."""
    around = f"""
import asyncio, logging, os, resource, signal, subprocess, sys, time
from runtime.priority import ROWS, come_first, is_real_time

async def until(wanted):
    async with asyncio.timeout(10):
        while is_real_time() is not wanted:
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
def test_one_that_leaves_no_pause_takes_its_turn_and_is_real_time_again():
    assert says("""
    await until(True)
    burn()
    print(is_real_time())
    await until(True)
    burn()
    print(is_real_time())
    await until(True)
    print(first.done())
""") == ["False", "False", "False"]


@needs_permission
def test_one_that_is_real_time_again_has_its_whole_time_again():
    assert says("""
    from runtime import priority
    await until(True)
    burn()
    begin = priority._begin
    def begin_and_work(given):
        begin(given)
        ends = time.process_time() + 0.03
        while time.process_time() < ends:
            pass
        print(is_real_time())
    priority._begin = begin_and_work
    await until(True)
""") == ["True"]


def busy(milliseconds: int, pause: int, done: str) -> str:
    return f"""
    await until(True)
    begun = time.monotonic()
    while time.monotonic() < begun + 2.5:
        ends = time.process_time() + {milliseconds / 1000}
        while time.process_time() < ends:
            pass
        await asyncio.sleep({pause / 1000})
        if not is_real_time():
            {done}
    print("stayed", is_real_time())
"""


@needs_permission
@pytest.mark.parametrize(("milliseconds", "pause"), [(1, 9), (6, 4)])
def test_one_that_leaves_pauses_goes_on_being_real_time(milliseconds: int, pause: int):
    assert says(busy(milliseconds, pause, "print('no longer')")) == ["stayed True"]


@needs_permission
def test_one_that_takes_most_of_a_processor_takes_its_turn_for_all_its_pauses():
    assert says(busy(20, 1, "return print('takes its turn')")) == ["takes its turn"]


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
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    await come_first(ROWS)
    print(os.sched_getscheduler(0) == os.SCHED_FIFO, os.sched_getparam(0).sched_priority)
""") == ["True 1"]


@needs_permission
def test_one_that_ends_is_like_all_others_again():
    assert says("""
    await until(True)
    first.cancel()
    await asyncio.wait([first])
    unlimited = resource.getrlimit(resource.RLIMIT_RTTIME)[0] == resource.RLIM_INFINITY
    print(is_real_time(), unlimited, signal.getsignal(signal.SIGXCPU) == signal.SIG_DFL)
""") == ["False True True"]


def test_where_it_is_not_permitted_that_is_told_and_nothing_changes():
    assert says("""
    first.cancel()
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")
    os.sched_setscheduler = refuse
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s")
    before = signal.getsignal(signal.SIGXCPU), resource.getrlimit(resource.RLIMIT_RTTIME)
    await asyncio.wait_for(come_first(ROWS), 5)
    after = signal.getsignal(signal.SIGXCPU), resource.getrlimit(resource.RLIMIT_RTTIME)
    print(is_real_time(), after == before)
""") == ["WARNING", "False True"]


@needs_permission
def test_a_jvm_comes_first_but_for_its_compilers():
    assert says("""
    import threading
    from pathlib import Path
    from local import realtime
    named = threading.Barrier(3)
    ended = threading.Event()
    def be(name):
        Path("/proc/thread-self/comm").write_text(name)
        named.wait()
        ended.wait()
    threads = [threading.Thread(target=be, args=[n]) for n in ("C2 CompilerThread", "data-plane")]
    for thread in threads:
        thread.start()
    named.wait()
    realtime.have_come_first(os.getpid())
    print([os.sched_getscheduler(thread.native_id) for thread in threads])
    ended.set()
""") == [str([os.SCHED_OTHER, os.SCHED_RR])]
