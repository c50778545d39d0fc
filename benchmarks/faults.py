"""What is seen from outside while workers and the broker die, freeze and are restarted.

Two workers under a steady load. A probe's latency is the pause of what is fresh: from its
sending until its row can be read. A writer's is how long the broker takes to have it, a
reader's how long a row that is there already is not answered. In the end the rows must be what
the load comes to, and what a replay comes to.
"""

import asyncio
import random
import signal
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
import uvloop
from tqdm import tqdm

from benchmarks.backlog import BenchmarkError
from benchmarks.ingest import check
from benchmarks.sending import LONGEST_SECONDS, PLACE, POLL_SECONDS, Probe, Sending, path_of
from benchmarks.workload import Workload
from local.kafka import Broker, brokers
from local.lag import service_lag
from local.processes import Process, scratch
from local.service import Service
from models.stock import StockRow
from streams.digest import rows_of_state
from streams.settings import Settings

PARTITIONS: Final = 4
PREFIX: Final = "faults."
SESSION_SECONDS: Final = 3.0
FROZEN_SECONDS: Final = 6.0
CALM_SECONDS: Final = 2.0
"""Of normal operation before each fault, and up to twice that, by chance."""

READ_SECONDS: Final = 0.05
"""How often a row is read that was there before."""

FRESH_SECONDS: Final = 1.0
"""Normal is that no probe waits for longer."""


class Read(NamedTuple):
    """When a row was asked for (perf_counter), and the seconds until it was answered."""

    sent: float
    seconds: float


class Pause(NamedTuple):
    """Seconds that a fault lasted, and that were waited at most around it.

    `fresh`: from sending until a row could be read; `late` is how much of that came after the
    fault was over; `append` until the broker had it; `read` until a row was answered.
    """

    fault: float
    fresh: float
    late: float
    append: float
    read: float


class Fault(NamedTuple):
    """What was done, and when (perf_counter): it began, and all was running again."""

    name: str
    begun: float
    over: float


@dataclass
class Scene:
    """Two workers, a broker, and what has been done to them."""

    service: Service
    broker: Broker
    dice: random.Random
    workers: dict[str, Process] = field(default_factory=dict)
    done: list[Fault] = field(default_factory=list)

    def start(self, name: str) -> None:
        """Start a worker, as an orchestrator does when one has ended."""
        self.workers[name] = self.service.start_worker(
            ONHAND_INSTANCE=name, ONHAND_SESSION_TIMEOUT_SECONDS=str(SESSION_SECONDS)
        )

    def start_ended(self) -> None:
        """Start again whoever has ended."""
        for name, worker in self.workers.items():
            if not worker.running:
                self.start(name)

    async def kill(self) -> None:
        """A worker is killed, and started again at once."""
        name = self.dice.choice("ab")
        self.workers[name].kill()
        self.start(name)

    async def kill_for_long(self) -> None:
        """A worker is killed, and comes back only when the other has taken over."""
        name = self.dice.choice("ab")
        self.workers[name].kill()
        await asyncio.sleep(2 * SESSION_SECONDS)
        self.start(name)

    async def freeze(self) -> None:
        """A worker is stopped for longer than its session lasts, and wakes."""
        worker = self.workers[self.dice.choice("ab")]
        stages = psutil.Process(worker.pid).children(recursive=True)
        for one in stages:
            one.send_signal(signal.SIGSTOP)
        await asyncio.sleep(FROZEN_SECONDS)
        for one in stages:
            one.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """A worker is asked to end, and started again: a step of a rolling restart."""
        name = self.dice.choice("ab")
        await asyncio.to_thread(self.workers[name].stop)
        self.start(name)

    async def kill_broker(self) -> None:
        """The broker is killed, and started again."""
        self.broker.kill()
        await asyncio.to_thread(self.broker.start)


FAULTS: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "killed": Scene.kill,
    "killed_for_long": Scene.kill_for_long,
    "frozen": Scene.freeze,
    "restarted": Scene.restart,
    "broker_killed": Scene.kill_broker,
}


def run(rate: int, times: dict[str, int]) -> dict[str, Any]:
    """Run the case, each fault so many times in a random order; returns its figures."""
    with scratch("bench") as folder, brokers(1) as (broker,):
        return uvloop.run(_run(rate, times, broker, folder))


async def _run(rate: int, times: dict[str, int], broker: Broker, folder: Path) -> dict[str, Any]:
    environ = {
        "ONHAND_PARTITIONS": str(PARTITIONS),
        "ONHAND_COMMIT_MS": "100",
        "ONHAND_SNAPSHOTS": str(folder / "snapshots"),
    }
    workload = Workload(rate * LONGEST_SECONDS)
    with Service(broker.bootstrap, folder, prefix=PREFIX, environ=environ) as service:
        service.create_topics()
        scene = Scene(service, broker, random.Random(1))
        for name in "ab":
            scene.start(name)
        service.start_api()
        async with (
            Sending(broker.bootstrap, service.url, PREFIX, PARTITIONS) as sending,
            service_lag(broker.bootstrap, PREFIX) as lag,
        ):
            ended = asyncio.Event()
            # Until the first can be read, the service is not in its normal operation.
            records = workload.records()
            warm = len(await sending.at(rate // 10, 3.0, records))
            load = asyncio.create_task(sending.at(rate, LONGEST_SECONDS, records, ended))
            reads: list[Read] = []
            reading = asyncio.create_task(_read_steadily(sending, reads, ended))
            await _all_faults(scene, times, sending, load)
            ended.set()
            probes = await load
            await reading
            await lag.wait_for_none(120)
        settings = Settings(kafka=broker.bootstrap, prefix=PREFIX, partitions=PARTITIONS)
        await _check(workload, settings, warm + len(probes))
        digest = service.digest()
        if digest != service.digest(replay=True):
            raise BenchmarkError("a replay of the movements comes to another state")
    return {
        "case": "faults",
        "events_per_second": rate,
        "lines": workload.lines,
        "session_seconds": SESSION_SECONDS,
        "rows": len(workload.sums),
        "rows_that_differ": 0,
        "pauses": _pauses(scene.done, probes, reads),
        "digest": digest["digest"],
    }


async def _all_faults(
    scene: Scene, times: dict[str, int], sending: Sending, load: "asyncio.Task[list[Probe]]"
) -> None:
    order = [name for name, number in times.items() for _ in range(number)]
    scene.dice.shuffle(order)
    for name in tqdm([*order, "calm"], "faults", unit=""):
        await _calm(scene, sending, load)
        begun = time.perf_counter()
        if name != "calm":
            await FAULTS[name](scene)
        scene.done.append(Fault(name, begun, time.perf_counter()))
    await _calm(scene, sending, load)


async def _calm(scene: Scene, sending: Sending, load: "asyncio.Task[list[Probe]]") -> None:
    """Let the service come back to its normal operation, and stay in it for a while."""
    calm_since = time.perf_counter()
    lasting = CALM_SECONDS * (1 + scene.dice.random())
    while time.perf_counter() - calm_since < lasting:
        scene.start_ended()
        if load.done():
            load.result()
        if sending.behind > FRESH_SECONDS:
            calm_since = time.perf_counter()
        await asyncio.sleep(0.05)


async def _check(workload: Workload, settings: Settings, probes: int) -> None:
    rows = await rows_of_state(settings, "stock|", StockRow)
    found = {(row.sku, row.location): (row.on_hand, row.quality_control) for row in rows}
    seen = [found.pop(key) for key in list(found) if key[1] == PLACE]
    if seen != [(1, 0)] * probes:
        raise BenchmarkError("probes were counted twice, or not at all")
    check(workload, found)


async def _read_steadily(sending: Sending, reads: list[Read], ended: asyncio.Event) -> None:
    asked = time.perf_counter()
    while not ended.is_set():
        is_there = await sending.is_there(path_of("probe-1"))
        if is_there:
            reads.append(Read(asked, time.perf_counter() - asked))
        await asyncio.sleep(READ_SECONDS if is_there else POLL_SECONDS)
        if is_there:
            asked = time.perf_counter()


def _pauses(done: list[Fault], probes: list[Probe], reads: list[Read]) -> dict[str, Any]:
    """By fault: how long it took, and the longest that was waited until the next one."""
    found: dict[str, list[Pause]] = {}
    ends = [*(fault.begun for fault in done[1:]), float("inf")]
    for fault, end in zip(done, ends, strict=True):
        # Who was sent just before has its pause from this fault too.
        start, stop = fault.begun - 0.5, end - 0.5
        seen = [one for one in probes if start <= one.sent < stop]
        read = [one.seconds for one in reads if start <= one.sent < stop]
        pause = Pause(
            fault.over - fault.begun,
            max((one.seconds for one in seen), default=0.0),
            max((one.seconds - max(0.0, fault.over - one.sent) for one in seen), default=0.0),
            max((one.acknowledged for one in seen), default=0.0),
            max(read, default=0.0),
        )
        found.setdefault(fault.name, []).append(pause)
    return {name: _told(pauses) for name, pauses in sorted(found.items())}


def _told(pauses: list[Pause]) -> dict[str, Any]:
    told: dict[str, Any] = {"times": len(pauses)}
    for name, seconds in zip(Pause._fields, zip(*pauses, strict=True), strict=True):
        told[f"{name}_median_seconds"] = round(statistics.median(seconds), 3)
        told[f"{name}_longest_seconds"] = round(max(seconds), 3)
    return told
