"""How long a read of one key takes, seen by a client over HTTP at a steady rate.

Requests leave on schedule, whatever the answers do, each on a connection of its own or an
idle one: a slow answer holds none of the others up, so none hides it. The same is asked of a
bare ASGI app that returns constant bytes: beside the same load, no Python server is sooner.
"""

import asyncio
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import uvloop
from tqdm import tqdm

from benchmarks import collector
from benchmarks.http_client import Pool
from benchmarks.serving import UVICORN, WEB, serve
from local.kafka import kafka
from local.lag import service_lag
from local.processes import Process, python, scratch, started
from local.service import Service

PREFIX: Final = "bench."
ROWS: Final = 20_000
PER_COUNT: Final = 500
WARM_TIMES: Final = 3
"""So many times as long as it is measured, all runs before."""
WARM_SECONDS: Final = 2.0
"""The same of the bare app."""


def run(rate: int, seconds: float, ingest: int) -> dict[str, Any]:
    """Run the case, with `ingest` events a second coming in meanwhile; returns its figures."""
    with scratch("bench") as folder, kafka() as bootstrap:
        return uvloop.run(_run(rate, seconds, ingest, bootstrap, folder))


async def _run(
    rate: int, seconds: float, ingest: int, bootstrap: str, folder: Path
) -> dict[str, Any]:
    with Service(bootstrap, folder, prefix=PREFIX) as service, ExitStack() as stack:
        bare, _ = serve("bare ASGI", [*UVICORN, f"{WEB}:asgi"], service.environ, folder, stack)
        service.create_topics()
        service.start_worker()
        service.start_api()
        async with aiohttp.ClientSession(service.url) as client:
            await _fill(client)
            async with service_lag(bootstrap, PREFIX) as lag:
                await lag.wait_for_none(120)
        if ingest:
            # In a process of its own: what it costs must not delay the asking.
            prepared = 2 * (WARM_TIMES * seconds + WARM_SECONDS)
            arguments = [bootstrap, service.url, PREFIX, str(ingest), str(prepared)]
            load = Process("load", python("benchmarks", "load", *arguments), folder / "load")
            stack.enter_context(started(load))
        collector.settle()
        # By then the broker's hot code is compiled.
        await _measure(service.url, rate, WARM_TIMES * seconds)
        latencies, wrong = await _measure(service.url, rate, seconds)
        await _measure(bare, rate, WARM_SECONDS)
        at_least, _ = await _measure(bare, rate, seconds)
        stack.close()
        digest = service.digest()
    return {
        "case": "read",
        "requests": len(latencies),
        "requests_per_second": rate,
        "ingested_per_second": ingest,
        "rows": ROWS,
        "not_200": wrong,
        **_percentiles(latencies),
        "bare_asgi": _percentiles(at_least),
        "digest": digest["digest"],
    }


def _percentiles(latencies: list[float]) -> dict[str, float]:
    ascending = sorted(latencies)
    shares = {"p50_ms": 0.50, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: _percentile(ascending, share) for name, share in shares.items()}


def _percentile(ascending: list[float], share: float) -> float:
    place = min(len(ascending) - 1, int(len(ascending) * share))
    return round(ascending[place] * 1000, 3)


async def _fill(client: aiohttp.ClientSession) -> None:
    for start in tqdm(range(0, ROWS, PER_COUNT), "rows", unit=f"x{PER_COUNT}"):
        lines = [
            {"line": number, "sku": f"sku-{start + number}", "quantity": 10}
            for number in range(1, PER_COUNT + 1)
        ]
        event = {
            "specversion": "1.0",
            "id": f"count-{start}",
            "source": "count",
            "type": "warehouse.stock.counted.v1",
            "time": "2026-11-02T00:00:00Z",
            "sequence": start // PER_COUNT + 1,
            "data": {"count": f"c{start}", "location": "L1", "lines": lines},
        }
        async with client.post("/v1/events", json=event) as answer:
            answer.raise_for_status()


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
