"""How soon a process that starts is of use again, and what its rows take of memory.

The state is filled through the service. Then the worker is started anew, from its log and
from snapshots: it is ready when it has absorbed an event that was waiting. The front is ready
when it says so.
Memory is what the process has resident above one without rows.
"""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.backlog import BenchmarkError, absorb, produce
from benchmarks.filling import counts, sales
from local.kafka import kafka
from local.lag import service_lag
from local.processes import Process, scratch, wait_until
from local.service import Service
from models import topics

PARTITIONS: Final = 4
PREFIX: Final = "recovery."
POLL_SECONDS: Final = 0.02
READY_SECONDS: Final = 300


def run(rows: int, sold: int) -> dict[str, Any]:
    """Run the case; returns its figures."""
    with scratch("bench") as folder, kafka() as bootstrap:
        return asyncio.run(_run(rows, sold, bootstrap, folder))


async def _run(rows: int, sold: int, bootstrap: str, folder: Path) -> dict[str, Any]:
    environ = {"ONHAND_PARTITIONS": str(PARTITIONS), "ONHAND_COMMIT_MS": "50"}
    with Service(bootstrap, folder, prefix=PREFIX, environ=environ) as service:
        service.create_topics()
        async with service_lag(bootstrap, PREFIX) as lag:
            empty, _ = await _start(service, bootstrap, lag, 0)
            empty_bytes = _inventory_bytes(empty)
            for topic, backlog, known in (
                (topics.WAREHOUSE_RECEIPTS, counts(rows), 1),
                (topics.POS_SALES, list(sales(rows, sold)), 0),
            ):
                if not backlog:
                    continue
                await produce(backlog, bootstrap, PREFIX, PARTITIONS)
                await absorb([empty], lag, [PREFIX + topic], len(backlog) + known)
            empty.stop()
            worker, seconds = await _start(service, bootstrap, lag, 1)
            worker_bytes = _inventory_bytes(worker)
            worker.stop()
            kept = folder / "snapshots"
            service.environ |= {"ONHAND_SNAPSHOTS": str(kept), "ONHAND_SNAPSHOT_MB": "0"}
            worker, _ = await _start(service, bootstrap, lag, 2)
            await asyncio.to_thread(
                wait_until, lambda: _all_are_kept(kept), READY_SECONDS, "all is kept", worker
            )
            worker.stop()
            worker, kept_seconds = await _start(service, bootstrap, lag, 3)
        front_empty = _front_bytes(service, "nothing.")
        begun = time.perf_counter()
        front = service.start_api()
        front_seconds = time.perf_counter() - begun
        front_bytes = psutil.Process(front.pid).memory_info().rss
        found = service.digest()
    return {
        "case": "recovery",
        "rows": rows,
        "sold": sold,
        "partitions": PARTITIONS,
        "worker_seconds": round(seconds, 2),
        "worker_seconds_from_snapshots": round(kept_seconds, 2),
        "front_seconds": round(front_seconds, 2),
        "worker_bytes_per_row": round((worker_bytes - empty_bytes) / rows),
        "front_bytes_per_row": round((front_bytes - front_empty) / rows),
        "rows_of_state": found["rows"],
        "digest": found["digest"],
    }


async def _start(service: Service, bootstrap: str, lag: Any, number: int) -> tuple[Process, float]:
    """A worker, and the seconds until it has absorbed an event that was waiting."""
    event = (
        b'{"specversion":"1.0","id":"probe-%d","source":"probe","sequence":%d,'
        b'"type":"warehouse.stock.adjusted.v1","time":"2026-11-02T00:00:00Z","data":'
        b'{"location":"L0","reason":"found","lines":[{"line":1,"sku":"probe","quantity":1}]}}'
    ) % (number, number + 1)
    await produce([(topics.WAREHOUSE_RECEIPTS, "probe", event)], bootstrap, PREFIX, PARTITIONS)
    begun = time.perf_counter()
    worker = service.start_worker()
    while await lag.records() > 0 or await lag.absorbed() == 0:
        if not worker.running or time.perf_counter() - begun > READY_SECONDS:
            raise BenchmarkError(f"the worker is not ready:\n{worker.tail()}")
        await asyncio.sleep(POLL_SECONDS)
    return worker, time.perf_counter() - begun


def _all_are_kept(folder: Path) -> bool:
    """Whether there is a snapshot of every partition of stock."""
    return len(list(folder.glob(f"*{topics.INVENTORY_STATE}-*.snapshot"))) == PARTITIONS


def _inventory_bytes(worker: Process) -> int:
    """Resident bytes of the worker's largest process: that which owns the stock."""
    children = psutil.Process(worker.pid).children(recursive=True)
    return max(int(one.memory_info().rss) for one in children)


def _front_bytes(service: Service, prefix: str) -> int:
    """Resident bytes of a front over topics of its own that hold nothing."""
    service.command("streams", "topics", ONHAND_PREFIX=prefix)
    front = service.start_api(ONHAND_PREFIX=prefix)
    found = int(psutil.Process(front.pid).memory_info().rss)
    front.stop()
    return found
