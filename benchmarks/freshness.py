"""How long from the producer's send until the row can be read over HTTP.

Under a steady load, and the same again while one store's backlog is absorbed.
"""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

import orjson
import uvloop
from tqdm import tqdm

from benchmarks.backlog import Backlog, produce
from benchmarks.compiling import until_compiled
from benchmarks.sending import LONGEST_SECONDS, Probe, Sending
from benchmarks.system import PARTITIONS, System, coming_first, running
from benchmarks.workload import Workload
from local.kafka import kafka
from local.lag import Lag
from local.processes import scratch
from models import topics
from runtime.priority import is_real_time

WARM_TIMES: Final = 2
"""So many times as long as it is measured, before all."""
WARM_SECONDS: Final = 10.0
"""At each rate before it is measured: the broker compiles anew what is called otherwise."""
COMPILE_SECONDS: Final = 120.0
"""For so long the broker's compilers may go on after each of these."""
BESIDE: Final = 1_000
"""Events a second beside the burst."""
STEADY: Final = 3 * BESIDE
"""More of their records and movements than ever wait to be committed, a second late at most."""
LEAST_SECONDS: Final = 1.0
"""For so long the burst is looked at, however small."""
LOOK_SECONDS: Final = 0.2
FIRST_SHARE: Final = 0.2
"""Of a burst comes once before: who was cut off has rows, and its broker has taken bursts."""
BURST_STORE: Final = "burst-store"


def run(
    rates: list[int],
    seconds: float,
    burst: int,
    rounds: int,
    *,
    least: bool = False,
    realtime: bool = False,
) -> dict[str, Any]:
    """Run the case, with the least that Python can do in the service's place if so asked.

    Each of the `rounds` has a broker and a system of its own; figures are medians over them.
    With `realtime`, service, broker and load are real-time where permitted.
    """
    turns = []
    for number in tqdm(range(rounds), "rounds", unit=""):
        prefix = f"fresh{number}."
        with (
            scratch("bench") as folder,
            kafka(realtime=realtime) as bootstrap,
            running(bootstrap, folder, prefix, least=least, realtime=realtime) as system,
        ):
            turns.append(uvloop.run(_run(rates, seconds, burst, bootstrap, prefix, system)))
    return {"rounds": rounds, **_medians(turns), "each": turns}


def _medians(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure; what is no figure, as the first has it."""
    told = {}
    for name, first in turns[0].items():
        told[name] = first
        if isinstance(first, dict):
            told[name] = {
                field: statistics.median(turn[name][field] for turn in turns) for field in first
            }
    return told


async def _run(
    rates: list[int], seconds: float, burst: int, bootstrap: str, prefix: str, system: System
) -> dict[str, Any]:
    warming = max(rates)
    needed = round(warming * WARM_TIMES * seconds + sum(rates) * (seconds + WARM_SECONDS)) + 100_000
    load = iter(list(Workload(needed).records()))
    async with (
        Sending(bootstrap, system.url, prefix, PARTITIONS) as sending,
        system.lag as lag,
        coming_first(system),
    ):
        figures: dict[str, Any] = {
            "case": "freshness",
            "system": system.name,
            "partitions": PARTITIONS,
        }

        async def send(rate: int, seconds: float) -> list[Probe]:
            probes = await sending.at(rate, seconds, load)
            await lag.wait_for_none(60)
            return probes

        for _ in range(WARM_TIMES):
            await send(warming, seconds)
            await until_compiled(COMPILE_SECONDS)
        for rate in rates:
            await send(rate, WARM_SECONDS)
            await until_compiled(COMPILE_SECONDS)
            figures[f"at_{rate}_per_second"] = _told(await send(rate, seconds))
        figures["realtime"] = is_real_time()
        first = range(round(burst * FIRST_SHARE))
        place = bootstrap, prefix
        figures["during_first_burst"] = await _burst(first, place, sending, lag, load)
        await lag.wait_for_none(60)
        await until_compiled(COMPILE_SECONDS)
        numbers = range(first.stop, first.stop + burst)
        figures["during_burst"] = await _burst(numbers, place, sending, lag, load)
        await lag.wait_for_none(60)
    figures["digest"] = system.digest()
    return figures


async def _burst(
    numbers: range, place: tuple[str, str], sending: Sending, lag: Lag, load: Iterator[Any]
) -> dict[str, Any]:
    """Others' freshness while a burst is appended, by another process, and absorbed.

    `place` are the bootstrap servers and the topics' prefix.
    """
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        producing = loop.run_in_executor(pool, _append, numbers, *place)
        ended = asyncio.Event()
        beside = asyncio.create_task(sending.at(BESIDE, LONGEST_SECONDS, load, ended))
        while await lag.records() <= STEADY and not producing.done():  # noqa: ASYNC110 - the broker's
            await asyncio.sleep(LOOK_SECONDS)
        begun = time.perf_counter()
        while (
            time.perf_counter() - begun < LEAST_SECONDS
            or not producing.done()
            or await lag.records() > STEADY + len(numbers) // 100
        ):
            if beside.done():
                beside.result()
            await asyncio.sleep(LOOK_SECONDS)
        seconds = round(time.perf_counter() - begun, 1)
        ended.set()
        await producing
        probes = [one for one in await beside if one.sent >= begun]
    return {"events": len(numbers), "seconds": seconds, **_told(probes)}


def _append(numbers: range, bootstrap: str, prefix: str) -> None:
    asyncio.run(produce(_burst_of(numbers), bootstrap, prefix, PARTITIONS))


def _burst_of(numbers: range) -> Backlog:
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
                    "sequence": number + 1,
                    "data": {
                        "transaction": f"burst-{number}",
                        "location": "burst",
                        "lines": [{"line": 1, "sku": f"sku-{number % 5_000}", "quantity": 1}],
                    },
                }
            ),
        )
        for number in numbers
    ]


def _told(probes: list[Probe]) -> dict[str, float]:
    ordered = sorted(probe.seconds for probe in probes)
    return {
        "probes": len(ordered),
        "p50_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }
