"""How fast one worker absorbs a backlog, and what of the processor it takes.

The backlog stands in the topics before the worker starts. Time runs from the first
record absorbed to the last movement absorbed in state; CPU is the worker's own, its
start left out. The result must equal a plain sum before the figure counts.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

from benchmarks.backlog import Absorbed, Backlog, BenchmarkError, absorb, produce, settle
from benchmarks.workload import Workload
from local.kafka import kafka
from local.lag import service_lag
from local.processes import scratch
from local.service import Service
from models import topics
from models.stock import StockRow
from streams.digest import rows_of_state
from streams.settings import Settings

PARTITIONS: Final = 4
PREFIX: Final = "bench."
COMMIT_MS: Final = 100


def run(events: int, max_lines: int) -> dict[str, Any]:
    """Run the case; returns its figures."""
    with scratch("bench") as folder, kafka() as bootstrap:
        workload = Workload(events, max_lines)
        backlog = list(workload.records())
        absorbed, digest = asyncio.run(measure(workload, backlog, bootstrap, PREFIX, folder))
    return {
        "case": "ingest",
        "events": workload.events,
        "lines": workload.lines,
        "rows": len(workload.sums),
        "partitions": PARTITIONS,
        "seconds": round(absorbed.seconds, 2),
        "events_per_second": round(absorbed.per_second),
        "cpu_us_per_event": round(absorbed.cpu_us, 2),
        "peak_mib": absorbed.peak_bytes >> 20,
        "digest": digest,
    }


def settings(partitions: int = PARTITIONS) -> dict[str, str]:
    """What a worker is told; all else is as by default."""
    return {"ONHAND_PARTITIONS": str(partitions), "ONHAND_COMMIT_MS": str(COMMIT_MS)}


async def measure(
    workload: Workload,
    backlog: Backlog,
    bootstrap: str,
    prefix: str,
    folder: Path,
    warm: int = 0,
    *,
    partitions: int = PARTITIONS,
    workers: int = 1,
    opening: Backlog = (),
) -> tuple[Absorbed, str]:
    """The figures of workers over topics of their own, and the digest of their state.

    What is in `opening` they have absorbed before. Raises BenchmarkError where the rows are not
    what the workload comes to.
    """
    with Service(bootstrap, folder, prefix=prefix, environ=settings(partitions)) as service:
        service.create_topics()
        inputs = [prefix + topic for topic in topics.SOURCE_TOPICS]
        async with service_lag(bootstrap, prefix) as lag:
            await produce(opening or backlog, bootstrap, prefix, partitions)
            await settle()
            running = [service.start_worker() for _ in range(workers)]
            before = len(opening)
            if opening:
                await absorb(running, lag, inputs, before)
            absorbing = asyncio.create_task(
                absorb(running, lag, inputs, before + workload.events, before + warm)
            )
            if opening:
                await produce(backlog, bootstrap, prefix, partitions)
            absorbed = await absorbing
        for worker in running:
            worker.stop()
        await _check(workload, Settings(kafka=bootstrap, prefix=prefix, partitions=partitions))
        digest = service.digest()["digest"]
    return absorbed, digest


async def _check(workload: Workload, settings: Settings) -> None:
    rows = await rows_of_state(settings, "stock|", StockRow)
    check(workload, {(row.sku, row.location): (row.on_hand, row.quality_control) for row in rows})


def check(workload: Workload, found: dict[tuple[str, str], tuple[int, int]]) -> None:
    """Raises BenchmarkError where the rows found are not what the workload comes to."""
    want = workload.sums
    wrong = sorted(key for key in {**found, **want} if found.get(key) != want.get(key))
    if wrong:
        key = wrong[0]
        raise BenchmarkError(
            f"{len(wrong)} rows differ, {key}: {found.get(key)} is not {want.get(key)}"
        )
