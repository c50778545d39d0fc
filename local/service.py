"""Our own service on this machine: topics, workers and the HTTP front, as processes."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.processes import ROOT, LocalError, Process, free_port, python, started, wait_until

READY_SECONDS = 60.0


class Service:
    """Workers and one HTTP front over the topics of one prefix, stopped on the way out."""

    def __init__(
        self,
        bootstrap: str,
        logs: Path,
        *,
        prefix: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.url = ""
        self._logs = logs
        self._stack = ExitStack()
        self.environ = {
            "ONHAND_KAFKA": bootstrap,
            "ONHAND_PREFIX": prefix,
            "ONHAND_LOG_LEVEL": "warning",
            **(environ or {}),
        }
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def create_topics(self) -> None:
        """Create the topics. Raises LocalError with what the command said."""
        self.command("streams", "topics")

    def command(self, *arguments: str, **environ: str) -> str:
        """Run one of our commands to its end and return what it printed."""
        done = subprocess.run(
            python(*arguments),
            env={**os.environ, **self.environ, **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            raise LocalError(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def digest(self, *, replay: bool = False) -> dict[str, Any]:
        """The digest of the state, or of a replay of the movements."""
        arguments = ("streams", "digest", *(("--replay",) if replay else ()))
        found: dict[str, Any] = json.loads(self.command(*arguments))
        return found

    def start_worker(self, **environ: str) -> Process:
        """Start a worker; it is stopped with the service."""
        return self._start("worker", python("streams", "worker"), environ)

    def start_api(self, **environ: str) -> Process:
        """Start the HTTP front on a free port and wait until it is ready."""
        port = free_port()
        process = self._start("api", python("api"), {"ONHAND_API_PORT": str(port), **environ})
        self.url = f"http://127.0.0.1:{port}"
        ready = f"{self.url}/readyz"
        wait_until(lambda: _answers(ready), READY_SECONDS, "the HTTP front is ready", process)
        return process

    def _start(self, name: str, command: list[str], environ: Mapping[str, str]) -> Process:
        self._started += 1
        log = self._logs / f"{self.prefix}{name}-{self._started}.log"
        process = Process(name, command, log, {**self.environ, **environ})
        return self._stack.enter_context(started(process))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
