"""How many reads a second one front answers, beside servers that only return bytes.

Every server is a process of its own. A client keeps some connections busy, one request
at a time on each, and each case has its turn in each round. CPU is the server's.
"""

import itertools
import random
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import psutil
import uvloop
from tqdm import tqdm

from benchmarks.backlog import BenchmarkError, produce
from benchmarks.filling import counts
from benchmarks.http_client import ask_all_the_time
from benchmarks.serving import GRANIAN, UVICORN, WEB, serve
from local.kafka import kafka
from local.lag import service_lag
from local.processes import Process, scratch
from local.redis import redis
from local.service import Service

PREFIX: Final = "reads."
PARTITIONS: Final = 4
LOCATIONS: Final = 10
SKUS: Final = 2_000
MANY: Final = 100
CONNECTIONS: Final = 16
REQUESTS: Final = 5_000
"""Different requests of a case; they go round."""


@dataclass
class Case:
    """Requests to a server, and what came of them in each round."""

    name: str
    url: str
    process: Process
    requests: list[bytes]
    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    async def measure(self, seconds: float) -> None:
        """One round. Raises BenchmarkError where an answer is not 200."""
        dice = random.Random(len(self.per_second))
        dice.shuffle(self.requests)
        spent, begun = _cpu(self.process), time.perf_counter()
        asked = itertools.cycle(self.requests)
        answered, wrong = await ask_all_the_time(self.url, asked, CONNECTIONS, seconds)
        taken = time.perf_counter() - begun
        if wrong or not answered:
            raise BenchmarkError(f"{self.name}: {wrong} answers are not 200, {answered} are")
        self.per_second.append(answered / taken)
        self.cpu_us.append((_cpu(self.process) - spent) / answered * 1e6)

    def told(self) -> dict[str, Any]:
        """Medians over the rounds."""
        return {
            "case": self.name,
            "requests_per_second": round(statistics.median(self.per_second)),
            "cpu_us_per_request": round(statistics.median(self.cpu_us), 1),
        }


def run(seconds: float, rounds: int) -> dict[str, Any]:
    """Run all cases; returns their figures."""
    with scratch("bench") as folder, kafka() as bootstrap, redis() as url:
        return uvloop.run(_run(seconds, rounds, bootstrap, url, folder))


async def _run(
    seconds: float, rounds: int, bootstrap: str, redis_url: str, folder: Path
) -> dict[str, Any]:
    environ = {"ONHAND_PARTITIONS": str(PARTITIONS)}
    with (
        Service(bootstrap, folder, prefix=PREFIX, environ=environ) as service,
        ExitStack() as stack,
    ):
        service.create_topics()
        worker = service.start_worker()
        async with service_lag(bootstrap, PREFIX) as lag:
            await produce(counts(LOCATIONS * SKUS, SKUS), bootstrap, PREFIX, PARTITIONS)
            await lag.wait_for_none(120)
        worker.stop()
        cases = list(_cases(service, redis_url, folder, stack))
        for number, case in tqdm(
            [(number, case) for number in range(rounds) for case in cases], "cases", unit=""
        ):
            if number == 0:
                await case.measure(seconds / 4)
                case.per_second.clear()
                case.cpu_us.clear()
            await case.measure(seconds)
    told = {case.name: case.told() for case in cases}
    ours = told["Onhand, one key, memory"]["requests_per_second"]
    return {
        "case": "reads",
        "seconds": seconds,
        "rounds": rounds,
        "connections": CONNECTIONS,
        "versions": {name: version(name) for name in ("starlette", "uvicorn", "granian")},
        "ratio_to_starlette": round(ours / told["Starlette"]["requests_per_second"], 2),
        "ratio_to_asgi": round(ours / told["bare ASGI"]["requests_per_second"], 2),
        "granian_to_uvicorn": round(
            told["Onhand, one key, memory, granian"]["requests_per_second"] / ours, 2
        ),
        "cases": list(told.values()),
    }


def _cases(service: Service, redis_url: str, folder: Path, stack: ExitStack) -> Iterator[Case]:
    for view, where in (("memory", {}), ("Redis", {"ONHAND_VIEW": redis_url})):
        front = service.start_api(**where)
        yield Case(f"Onhand, one key, {view}", service.url, front, _ones())
        yield Case(f"Onhand, {MANY} keys, {view}", service.url, front, _manies())
        yield Case(f"Onhand, {LOCATIONS} locations, {view}", service.url, front, _everywheres())
    body = httpx.get(f"{service.url}/v1/availability/sku-1/L1").text
    given = {**service.environ, "ONHAND_BENCH_BODY": body}
    for name, target in (("Starlette", "starlette"), ("bare ASGI", "asgi")):
        yield _served(name, [*UVICORN, f"{WEB}:{target}"], given, folder, stack)
        yield _served(f"{name}, granian", [*GRANIAN, f"{WEB}:{target}"], given, folder, stack)
    ours = [*GRANIAN, "--factory", f"{WEB}:front"]
    yield _served("Onhand, one key, memory, granian", ours, given, folder, stack)


def _served(
    name: str, server: list[str], environ: Mapping[str, str], folder: Path, stack: ExitStack
) -> Case:
    return Case(name, *serve(name, server, environ, folder, stack), _ones())


def _ones() -> list[bytes]:
    dice = random.Random(1)
    return [
        _get(f"/v1/availability/sku-{dice.randrange(SKUS)}/L{dice.randrange(LOCATIONS)}")
        for _ in range(REQUESTS)
    ]


def _everywheres() -> list[bytes]:
    return [_get(f"/v1/availability/sku-{number}") for number in range(SKUS)]


def _manies() -> list[bytes]:
    dice = random.Random(1)
    bodies = [
        orjson.dumps(
            {
                "items": [
                    {"sku": f"sku-{dice.randrange(SKUS)}", "location": f"L{number % LOCATIONS}"}
                    for number in range(MANY)
                ]
            }
        )
        for _ in range(REQUESTS // MANY)
    ]
    return [
        b"POST /v1/availability/query HTTP/1.1\r\nHost: onhand\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    ]


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: onhand\r\n\r\n".encode()


def _cpu(process: Process) -> float:
    server = psutil.Process(process.pid)
    times = [one.cpu_times() for one in (server, *server.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))
