"""CPU per event as partitions, workers and rows grow: flat is the goal.

Each case is a run of its own over topics of its own, and its result is checked.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.ingest import measure
from benchmarks.workload import LOCATIONS, Workload
from local.kafka import kafka
from local.processes import scratch

LINES: Final = 3


@dataclass(frozen=True)
class Case:
    """What is varied, one thing at a time."""

    partitions: int = 4
    workers: int = 1
    skus: int = 1_250
    opened: bool = False
    """Whether every row stands before."""


CASES: Final = (
    Case(),
    Case(partitions=8),
    Case(partitions=32),
    Case(partitions=8, workers=2),
    Case(partitions=8, workers=4),
    Case(skus=500),
    Case(skus=10_000),
    Case(skus=50_000),
    Case(skus=50_000, opened=True),
    Case(skus=250_000, opened=True),
)
FEW: Final = (Case(partitions=2), Case(partitions=3, workers=2), Case(skus=500, opened=True))


def run(events: int, cases: tuple[Case, ...]) -> dict[str, Any]:
    """Run the cases; returns their figures."""
    with scratch("bench") as folder, kafka() as bootstrap:
        told = [
            asyncio.run(_measured(events, case, number, bootstrap, folder))
            for number, case in enumerate(cases)
        ]
    return {"case": "scale", "events": events, "locations": LOCATIONS, "cases": told}


async def _measured(
    events: int, case: Case, number: int, bootstrap: str, folder: Path
) -> dict[str, Any]:
    workload = Workload(events, LINES, skus=case.skus)
    opening = workload.opening() if case.opened else ()
    backlog = list(workload.records())
    absorbed, _ = await measure(
        workload,
        backlog,
        bootstrap,
        f"scale{number}.",
        folder,
        events // 4,
        partitions=case.partitions,
        workers=case.workers,
        opening=opening,
    )
    return {
        "partitions": case.partitions,
        "workers": case.workers,
        "rows": len(workload.sums),
        "opened": case.opened,
        "events_per_second": round(absorbed.per_second),
        "cpu_us_per_event": round(absorbed.cpu_us, 2),
        "peak_mib": absorbed.peak_bytes >> 20,
    }
