"""How fast one worker absorbs a backlog, and what of the processor it takes.

The backlog stands in the topics before the worker starts. Time runs from the first
record absorbed to the last movement absorbed in state; CPU is the worker's own, its
start left out. The result must equal a plain sum before the figure counts.
"""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import psutil
from aiokafka import AIOKafkaProducer
from tqdm import tqdm

from benchmarks.workload import Workload
from local.kafka import kafka
from local.lag import Lag
from local.processes import Process, scratch
from local.service import Service
from models.stock import StockRow
from streams.digest import rows_of_state
from streams.settings import Settings

PARTITIONS: Final = 4
POLL_SECONDS: Final = 0.1
LIMIT_SECONDS: Final = 900


class WrongResultError(Exception):
    """The service's rows are not what the workload comes to."""


def run(events: int) -> dict[str, Any]:
    """Run the case; returns its figures."""
    with scratch("bench") as folder, kafka() as bootstrap:
        return asyncio.run(_run(Workload(events), bootstrap, folder))


async def _run(workload: Workload, bootstrap: str, folder: Path) -> dict[str, Any]:
    environ = {"ONHAND_PARTITIONS": str(PARTITIONS), "ONHAND_COMMIT_MS": "100"}
    prefix = "bench."
    with Service(bootstrap, folder, prefix=prefix, environ=environ) as service:
        service.create_topics()
        await _produce(workload, bootstrap, prefix)
        worker = service.start_worker()
        async with Lag(bootstrap, prefix) as lag:
            seconds, cpu = await _measure(worker, lag)
        settings = Settings(kafka=bootstrap, prefix=prefix, partitions=PARTITIONS)
        await _check(workload, settings)
        digest = service.digest()
    return {
        "case": "ingest",
        "events": workload.events,
        "lines": workload.lines,
        "rows": len(workload.sums),
        "partitions": PARTITIONS,
        "seconds": round(seconds, 2),
        "events_per_second": round(workload.events / seconds),
        "cpu_us_per_event": round(cpu / workload.events * 1e6, 2),
        "digest": digest["digest"],
    }


async def _produce(workload: Workload, bootstrap: str, prefix: str) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=50, max_batch_size=1024 * 1024
    )
    await producer.start()
    try:
        records = tqdm(workload.records(), "backlog", workload.events, unit=" events")
        for topic, key, value in records:
            await producer.send(prefix + topic, value, key=key.encode())
        await producer.flush()
    finally:
        await producer.stop()


async def _measure(worker: Process, lag: Lag) -> tuple[float, float]:
    """Seconds, and CPU seconds of the worker, from its first record to its last."""
    process = psutil.Process(worker.pid)
    while await lag.absorbed() == 0:
        spent = _cpu(process)
        begun = time.perf_counter()
        _must_run(worker)
        await asyncio.sleep(POLL_SECONDS)
    with tqdm(desc="absorbed", unit=" records") as bar:
        while True:
            left = await lag.records()
            now = time.perf_counter() - begun
            if left == 0:
                return now, _cpu(process) - spent
            if now > LIMIT_SECONDS:
                raise WrongResultError(f"{left} records are left after {now:.0f} s")
            bar.update(await lag.absorbed() - bar.n)
            _must_run(worker)
            await asyncio.sleep(POLL_SECONDS)


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of the worker, all of its processes together."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def _must_run(worker: Process) -> None:
    if not worker.running:
        raise WrongResultError(f"the worker ended with {worker.code}\n{worker.tail()}")


async def _check(workload: Workload, settings: Settings) -> None:
    found = {
        (row.sku, row.location): (row.on_hand, row.quality_control)
        for row in await rows_of_state(settings, "stock|", StockRow)
    }
    if found != workload.sums:
        wrong = [
            key for key in {**found, **workload.sums} if found.get(key) != workload.sums.get(key)
        ]
        key = wrong[0]
        raise WrongResultError(
            f"{len(wrong)} rows differ, {key}: {found.get(key)} is not {workload.sums.get(key)}"
        )
