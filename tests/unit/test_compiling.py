"""Whether a benchmark waits for a broker's compilers: a process with a thread of their name."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.backlog import BenchmarkError
from benchmarks.compiling import LOOK_SECONDS, until_compiled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads are told by /proc")

COMPILER = """
import sys, threading
with open("/proc/self/comm", "w") as comm:
    comm.write("C2 CompilerThre")
done = threading.Event()
def until_told():
    sys.stdin.readline()
    done.set()
    sys.stdin.read()
threading.Thread(target=until_told).start()
print("compiles", flush=True)
while not done.is_set():
    pass
"""


@pytest.fixture
def compiler() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", COMPILER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "compiles\n"
        yield process
        process.kill()


def test_who_still_compiles_is_waited_for(compiler):
    with pytest.raises(BenchmarkError, match="still compiles"):
        asyncio.run(until_compiled(2 * LOOK_SECONDS))
    compiler.stdin.write("done\n")
    compiler.stdin.flush()
    asyncio.run(until_compiled(30 * LOOK_SECONDS))
