"""How long from the producer's send until the row can be read over HTTP.

A steady load of events; ten times a second an event for a SKU of its own is sent like
the others, and its row is asked for every millisecond until it is there. The same
again while one store's backlog is absorbed.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import orjson
import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from tqdm import tqdm

from benchmarks.backlog import Backlog, produce
from benchmarks.http_client import Pool
from benchmarks.workload import Workload
from local.kafka import kafka
from local.lag import Lag, service_lag
from local.processes import scratch
from local.service import Service
from models import topics

PARTITIONS: Final = 4
PREFIX: Final = "fresh."
PACE_SECONDS: Final = 0.002
PROBE_SECONDS: Final = 0.1
POLL_SECONDS: Final = 0.001
WARM_SECONDS: Final = 3.0
BURST_STORE: Final = "burst-store"


def run(rates: list[int], seconds: float, burst: int) -> dict[str, Any]:
    """Run the case; returns its figures."""
    with scratch("bench") as folder, kafka() as bootstrap:
        return uvloop.run(_run(rates, seconds, burst, bootstrap, folder))


async def _run(
    rates: list[int], seconds: float, burst: int, bootstrap: str, folder: Path
) -> dict[str, Any]:
    environ = {"ONHAND_PARTITIONS": str(PARTITIONS)}
    needed = round(sum(rates) * (seconds + WARM_SECONDS)) + 100_000
    load = iter(list(Workload(needed).records()))
    with Service(bootstrap, folder, prefix=PREFIX, environ=environ) as service:
        service.create_topics()
        service.start_worker()
        service.start_api()
        async with (
            _Sending(bootstrap, service.url) as sending,
            service_lag(bootstrap, PREFIX) as lag,
        ):
            figures: dict[str, Any] = {"case": "freshness", "partitions": PARTITIONS}
            for rate in rates:
                await sending.at(rate, WARM_SECONDS, load)
                figures[f"at_{rate}_per_second"] = _told(await sending.at(rate, seconds, load))
                await lag.wait_for_none(60)
            figures["during_burst"] = await _burst(burst, bootstrap, sending, lag, load)
        figures["digest"] = service.digest()["digest"]
    return figures


async def _burst(
    events: int, bootstrap: str, sending: "_Sending", lag: Lag, load: Iterator[Any]
) -> dict[str, Any]:
    """Others' freshness from the end of a burst's appending to the end of its absorbing."""
    backlog = list(_burst_of(events))
    begun = time.perf_counter()
    producing = asyncio.create_task(produce(backlog, bootstrap, PREFIX, PARTITIONS))
    latencies = []
    while not producing.done() or await lag.records() > events // 100:
        latencies += await sending.at(1_000, 1.0, load)
    await producing
    return {"events": events, "seconds": round(time.perf_counter() - begun, 1), **_told(latencies)}


def _burst_of(events: int) -> Backlog:
    """Sales of one store's one uploader."""
    return [
        (
            topics.POS_SALES,
            BURST_STORE,
            orjson.dumps(
                {
                    "specversion": "1.0",
                    "id": f"burst-{number}",
                    "source": BURST_STORE,
                    "type": "pos.sale.completed.v1",
                    "time": "2026-11-02T00:00:00Z",
                    "sequence": number,
                    "data": {
                        "transaction": f"burst-{number}",
                        "location": "burst",
                        "lines": [{"line": 1, "sku": f"sku-{number % 5_000}", "quantity": 1}],
                    },
                }
            ),
        )
        for number in range(1, events + 1)
    ]


def _told(latencies: list[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    return {
        "probes": len(ordered),
        "p50_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


class _Sending:
    """A paced producer, and the probes among what it sends."""

    def __init__(self, bootstrap: str, url: str) -> None:
        parts = urlsplit(url)
        self._pool = Pool(parts.hostname or "", parts.port or 80)
        self._bootstrap = bootstrap
        self._probes = 0

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, linger_ms=0, enable_idempotence=True
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._producer.stop()
        self._pool.close()

    async def at(self, rate: int, seconds: float, load: Iterator[Any]) -> list[float]:
        """Send `rate` events a second for `seconds`; the probes' latencies in seconds."""
        begun = time.perf_counter()
        probes: list[asyncio.Task[float]] = []
        sent = 0
        with tqdm(total=int(rate * seconds), desc=f"{rate}/s", unit=" events") as bar:
            while (now := time.perf_counter() - begun) < seconds:
                due = int(now * rate) - sent
                await self._send([next(load) for _ in range(due)])
                sent += due
                bar.update(due)
                if now >= len(probes) * PROBE_SECONDS:
                    probes.append(asyncio.create_task(self._probe()))
                await asyncio.sleep(PACE_SECONDS)
        return list(await asyncio.gather(*probes))

    async def _send(self, records: list[tuple[str, str, bytes]]) -> None:
        batches: dict[tuple[str, int], Any] = {}
        for topic, key, value in records:
            encoded = key.encode()
            target = PREFIX + topic, (murmur2(encoded) & 0x7FFFFFFF) % PARTITIONS
            batch = batches.get(target)
            if batch is None:
                batch = batches[target] = self._producer.create_batch()
            batch.append(key=encoded, value=value, timestamp=None)
        for (topic, number), batch in batches.items():
            batch.close()
            await self._producer.send_batch(batch, topic, partition=number)

    async def _probe(self) -> float:
        self._probes += 1
        name = f"probe-{self._probes}"
        event = {
            "specversion": "1.0",
            "id": name,
            "source": name,
            "type": "warehouse.stock.adjusted.v1",
            "time": "2026-11-02T00:00:00Z",
            "sequence": 1,
            "data": {
                "location": "L0",
                "reason": "found",
                "lines": [{"line": 1, "sku": name, "quantity": 1}],
            },
        }
        begun = time.perf_counter()
        await self._send([(topics.WAREHOUSE_RECEIPTS, name, orjson.dumps(event))])
        while await self._status(f"/v1/availability/{name}/L0") != 200:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        return time.perf_counter() - begun

    async def _status(self, path: str) -> int:
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self._pool.get(path, lambda seconds, status: answered.set_result(status))
        return await answered
