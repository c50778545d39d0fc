"""How long a read of one key takes, seen by a client over HTTP at a steady rate.

Requests leave on schedule, whatever the answers do, each on a connection of its own or an
idle one: a slow answer holds none of the others up, so none hides it. The same is asked of a bare
ASGI app that returns constant bytes, served as uvicorn serves any.
"""

import asyncio
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import uvloop
from tqdm import tqdm

from benchmarks import collector
from benchmarks.backlog import Backlog, produce
from benchmarks.http_client import Pool
from benchmarks.serving import UVICORN, WEB, serve
from benchmarks.system import PARTITIONS, System, coming_first, running
from local.kafka import kafka
from local.processes import Process, python, scratch, started
from models import topics
from runtime.priority import is_real_time

PREFIX: Final = "bench."
ROWS: Final = 20_000
PER_EVENT: Final = 500
SOURCE: Final = "rows"
WARM_TIMES: Final = 3
"""So many times as long as it is measured, all runs before."""
WARM_SECONDS: Final = 2.0
"""The same of the bare app."""


def run(
    rate: int, seconds: float, ingest: int, *, least: bool = False, realtime: bool = False
) -> dict[str, Any]:
    """Run the case, with `ingest` events a second coming in meanwhile; returns its figures.

    With `least`, of the least that Python can do in the service's place: no rows but keys, and
    empty answers. With `realtime`, service, client and broker are real-time where permitted.
    """
    with (
        scratch("bench") as folder,
        kafka(realtime=realtime) as bootstrap,
        running(bootstrap, folder, PREFIX, least=least, realtime=realtime) as system,
    ):
        return uvloop.run(_run(rate, seconds, ingest, bootstrap, folder, system))


async def _run(
    rate: int, seconds: float, ingest: int, bootstrap: str, folder: Path, system: System
) -> dict[str, Any]:
    with ExitStack() as stack:
        server = [*UVICORN, f"{WEB}:asgi"]
        bare, _ = serve("bare ASGI", server, system.environ, folder, stack)
        await produce(_rows(), bootstrap, PREFIX, PARTITIONS)
        async with system.lag as lag:
            await lag.wait_for_none(120)
        if ingest:
            # In a process of its own: what it costs must not delay the asking.
            prepared = 2 * (WARM_TIMES * seconds + WARM_SECONDS)
            arguments = [bootstrap, system.url, PREFIX, str(ingest), str(prepared)]
            load = Process("load", python("benchmarks", "load", *arguments), folder / "load")
            stack.enter_context(started(load))
        collector.settle()
        async with coming_first(system):
            # By then the broker's hot code is compiled.
            await _measure(system.url, rate, WARM_TIMES * seconds)
            latencies, wrong = await _measure(system.url, rate, seconds)
            await _measure(bare, rate, WARM_SECONDS)
            at_least, _ = await _measure(bare, rate, seconds)
            realtime = is_real_time()
    async with system.lag as lag:
        await lag.wait_for_none(60)
    return {
        "case": "read",
        "system": system.name,
        "realtime": realtime,
        "requests": len(latencies),
        "requests_per_second": rate,
        "ingested_per_second": ingest,
        "rows": ROWS,
        "not_200": wrong,
        **_percentiles(latencies),
        "bare_asgi": _percentiles(at_least),
        "digest": system.digest(),
    }


def _percentiles(latencies: list[float]) -> dict[str, float]:
    ascending = sorted(latencies)
    shares = {"p50_ms": 0.50, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: _percentile(ascending, share) for name, share in shares.items()}


def _percentile(ascending: list[float], share: float) -> float:
    place = min(len(ascending) - 1, int(len(ascending) * share))
    return round(ascending[place] * 1000, 3)


def _rows() -> Backlog:
    """What makes the rows that are read."""
    return [
        (topics.WAREHOUSE_RECEIPTS, SOURCE, orjson.dumps(_found(number, start)))
        for number, start in enumerate(range(0, ROWS, PER_EVENT), 1)
    ]


def _found(number: int, start: int) -> dict[str, Any]:
    lines = [
        {"line": line, "sku": f"sku-{start + line}", "quantity": 10}
        for line in range(1, PER_EVENT + 1)
    ]
    return {
        "specversion": "1.0",
        "id": f"{SOURCE}-{number}",
        "source": SOURCE,
        "type": "warehouse.stock.adjusted.v1",
        "time": "2026-11-02T00:00:00Z",
        "sequence": number,
        "data": {"location": "L1", "reason": "found", "lines": lines},
    }


async def _measure(url: str, rate: int, seconds: float) -> tuple[list[float], int]:
    """Latencies in seconds, and how many answers were not 200."""
    dice = random.Random(1)
    latencies: list[float] = []
    wrong = 0

    def done(taken: float, status: int) -> None:
        nonlocal wrong
        latencies.append(taken)
        wrong += status != 200

    parts = urlsplit(url)
    pool = Pool(parts.hostname or "", parts.port or 80)
    total = int(rate * seconds)
    begun = time.perf_counter()
    try:
        for number in tqdm(range(total), "requests", unit=""):
            wait = begun + number / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            await pool.get(f"/v1/availability/sku-{dice.randint(1, ROWS)}/L1", done)
        async with asyncio.timeout(10):
            while len(latencies) < total:  # noqa: ASYNC110 - counted by callbacks
                await asyncio.sleep(0.01)
    finally:
        pool.close()
    return latencies, wrong
