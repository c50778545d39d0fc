"""What is measured: the service, or in its place the least that Python can do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.backlog import BenchmarkError, create
from benchmarks.compare.systems import LEAST
from benchmarks.serving import UVICORN, serve
from local.lag import Lag, service_lag
from local.processes import Process, started
from local.service import Service
from models import topics
from runtime.priority import come_first

PARTITIONS: Final = 4

CLIENT: Final = 3
"""The real-time priority of who sends and asks: before all that it asks."""


@dataclass
class System:
    """Where it is read, how far it is behind, the digest of its state if it has any.

    `digest` raises BenchmarkError where a replay of the movements comes to another.
    """

    name: str
    url: str
    environ: Mapping[str, str]
    lag: Lag
    realtime: bool
    digest: Callable[[], str | None]


@contextmanager
def running(
    bootstrap: str, folder: Path, prefix: str, *, least: bool, realtime: bool
) -> Iterator[System]:
    """A worker and a front, or two bare loops and a bare front over the same inputs."""
    environ = {"ONHAND_PARTITIONS": str(PARTITIONS), "ONHAND_REALTIME": str(realtime)}
    with (
        Service(bootstrap, folder, prefix=prefix, environ=environ) as service,
        ExitStack() as stack,
    ):
        service.create_topics()
        if least:
            yield _least(bootstrap, folder, prefix, stack, realtime=realtime)
        else:
            yield _onhand(bootstrap, prefix, service, realtime=realtime)


def _onhand(bootstrap: str, prefix: str, service: Service, *, realtime: bool) -> System:
    service.start_worker()
    service.start_api()
    lag = service_lag(bootstrap, prefix)

    def digest() -> str:
        state = service.digest()
        if state != service.digest(replay=True):
            raise BenchmarkError("the state is not what its movements come to")
        return str(state["digest"])

    return System("Onhand", service.url, service.environ, lag, realtime, digest)


def _least(
    bootstrap: str, folder: Path, prefix: str, stack: ExitStack, *, realtime: bool
) -> System:
    name = f"{prefix}least"
    inputs = [prefix + topic for topic in topics.SOURCE_TOPICS]
    environ = {
        "PEER_KAFKA": bootstrap,
        "PEER_NAME": name,
        "PEER_INPUTS": ",".join(inputs),
        "PEER_PARTITIONS": str(PARTITIONS),
        "PEER_REALTIME": str(int(realtime)),
    }
    asyncio.run(create([one.format(name=name) for one in LEAST.topics], bootstrap, PARTITIONS))
    process = Process(LEAST.case, LEAST.command(), folder / "least", environ)
    stack.enter_context(started(process))
    server = [*UVICORN, "benchmarks.peers.least_front:app"]
    url, _ = serve("least front", server, environ, folder, stack)
    lag = Lag(bootstrap, [name], [*inputs, LEAST.inner.format(name=name)])
    return System(LEAST.case, url, environ, lag, realtime, lambda: None)


@asynccontextmanager
async def coming_first(system: System) -> AsyncIterator[None]:
    """Be real-time meanwhile, where the system is.

    What who sends and asks waits for a processor is not the system's, which has producers and
    clients elsewhere.
    """
    first = [asyncio.create_task(come_first(CLIENT))] if system.realtime else []
    try:
        yield
    finally:
        for one in first:
            one.cancel()
        await asyncio.gather(*first, return_exceptions=True)
