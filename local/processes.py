"""Processes that we start, wait for, and stop: by their own id, whatever happens."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
STOP_SECONDS: Final = 12.0
_POLL_SECONDS: Final = 0.05


class LocalError(Exception):
    """Something is missing on this machine, or did not come up; the message says what."""


def free_port() -> int:
    """A port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether something accepts connections at a port of the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True


def wait_until(
    condition: Callable[[], bool], seconds: float, what: str, alive: "Process | None" = None
) -> None:
    """Poll `condition` until it holds. Raises LocalError past `seconds`, or if `alive` dies."""
    deadline = time.monotonic() + seconds
    while not condition():
        if alive is not None and not alive.running:
            raise LocalError(f"{what}: {alive.name} ended with {alive.code}\n{alive.tail()}")
        if time.monotonic() > deadline:
            tail = f"\n{alive.tail()}" if alive is not None else ""
            raise LocalError(f"{what}: not within {seconds:.0f} s{tail}")
        time.sleep(_POLL_SECONDS)


class Process:
    """A child process in a session of its own, its output in a file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                cwd=ROOT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code; negative for a signal."""
        return self._child.poll()

    def tail(self, lines: int = 30) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def wait(self, seconds: float) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        return self._child.wait(seconds)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.running:
            self._child.kill()
        self._child.wait()

    def stop(self) -> int:
        """Ask it to end; kill it if it does not within bounds. Returns its exit code."""
        if self.running:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
        return self._child.wait()


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """An empty folder, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"onhand-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(process: Process) -> Iterator[Process]:
    """Stop `process` on the way out."""
    try:
        yield process
    finally:
        process.stop()


def python(*arguments: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, "-m", *arguments]


def end_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, so that everything started is stopped."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
