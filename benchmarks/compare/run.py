"""The comparison: every system absorbs the same backlog, in turn, round after round."""

import asyncio
import os
import platform
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks import ingest
from benchmarks.backlog import (
    Absorbed,
    Backlog,
    BenchmarkError,
    absorb,
    create,
    produce,
    settle,
)
from benchmarks.compare.systems import (
    CEILING,
    FAUST,
    KAFKA_STREAMS,
    KAFKA_STREAMS_EXACT,
    LEAST,
    PARTITIONS,
    QUIX,
    Peer,
    Sums,
)
from benchmarks.workload import Workload
from local.kafka import VERSION as KAFKA_VERSION
from local.kafka import kafka
from local.lag import Lag
from local.processes import Process, scratch, started
from models import topics
from runtime import pages

ONHAND: Final = "Onhand"
REPEATS: Final = 0.01
WARM: Final = 0.25
"""Share of the backlog that is absorbed before figures run.

Of 1,500,000 events it lasts until a JVM's compilers have done most of what they will do.
"""


@dataclass
class Case:
    """One system in one form, and what each round measured."""

    name: str
    system: str
    version: str
    settings: dict[str, str] = field(default_factory=dict)
    rounds: list[Absorbed] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Events per second, the median."""
        return statistics.median(one.per_second for one in self.rounds)

    def figures(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "case": self.name,
            "version": self.version,
            "settings": self.settings,
            "events": self.rounds[0].records,
            "events_per_second": round(self.per_second),
            "of_rounds": [round(one.per_second) for one in self.rounds],
            "cpu_us_per_event": round(statistics.median(one.cpu_us for one in self.rounds), 2),
            "peak_mib": max(one.peak_bytes for one in self.rounds) >> 20,
        }


class Comparison:
    """One run: a broker, a full backlog and a small one for who needs a small one."""

    def __init__(self, events: int, max_lines: int, bootstrap: str, folder: Path) -> None:
        self._bootstrap = bootstrap
        self._folder = folder
        self._events = events
        self._max_lines = max_lines
        self._backlogs: dict[int, tuple[Workload, Backlog]] = {}
        self._produced: set[int] = set()
        self._started = 0

    def backlog(self, share: float) -> tuple[Workload, Backlog]:
        """A workload and its records."""
        events = max(1_000, int(self._events * share))
        if events not in self._backlogs:
            workload = Workload(events, self._max_lines, REPEATS)
            self._backlogs[events] = workload, list(workload.records())
        return self._backlogs[events]

    async def onhand(self) -> Absorbed:
        """One round of ours, over topics of its own."""
        workload, backlog = self.backlog(1.0)
        self._started += 1
        prefix = f"onhand{self._started}."
        warm = int(workload.events * WARM)
        absorbed, _ = await ingest.measure(
            workload, backlog, self._bootstrap, prefix, self._folder, warm
        )
        return absorbed

    async def peer(self, peer: Peer) -> Absorbed:
        """One round of a peer, over the shared backlog. Raises BenchmarkError if it is wrong."""
        workload, backlog = self.backlog(peer.share)
        prefix = f"backlog{workload.events}."
        inputs = [prefix + topic for topic in topics.SOURCE_TOPICS]
        if workload.events not in self._produced:
            await create(inputs, self._bootstrap, PARTITIONS)
            await produce(backlog, self._bootstrap, prefix, PARTITIONS)
            self._produced.add(workload.events)
        self._started += 1
        name = f"peer{self._started}"
        own = [topic.format(name=name) for topic in peer.topics]
        await create(own, self._bootstrap, PARTITIONS)
        absorbed = await self._run(peer, name, inputs, workload)
        if peer.row is None:
            await self._check_count(peer.inner.format(name=name), workload.lines_sent)
        else:
            changelog = peer.changelog.format(name=name)
            ingest.check(workload, await self._rows(peer, changelog))
        return absorbed

    async def _run(self, peer: Peer, name: str, inputs: list[str], workload: Workload) -> Absorbed:
        folder = self._folder / name
        folder.mkdir()
        environ = {
            "PEER_KAFKA": self._bootstrap,
            "PEER_NAME": name,
            "PEER_INPUTS": ",".join(inputs),
            "PEER_PARTITIONS": str(PARTITIONS),
            "PEER_FOLDER": str(folder),
            # As workers of ours ask for them.
            pages.TOLD_IN: pages.ASKS,
            **peer.settings,
        }
        process = Process(peer.case, peer.command(), folder / "log", environ)
        watched = inputs if peer.row is None else [*inputs, peer.inner.format(name=name)]
        await settle()
        with started(process):
            async with Lag(self._bootstrap, [name], watched) as lag:
                warm = int(workload.events * WARM)
                return await absorb([process], lag, inputs, workload.events, warm)

    async def _rows(self, peer: Peer, changelog: str) -> Sums:
        """The last value of each row in a peer's changelog."""
        found: Sums = {}
        async for record in self._all_of(changelog):
            row = peer.row(record) if peer.row is not None and record.value else None
            if row is not None:
                sku, location = row[0].split("|")
                found[sku, location] = row[1]
        return found

    async def _check_count(self, topic: str, want: int) -> None:
        found = 0
        async for _ in self._all_of(topic):
            found += 1
        if found != want:
            raise BenchmarkError(f"{topic} has {found} records, not {want}")

    async def _all_of(self, topic: str) -> Any:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, isolation_level="read_committed"
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            for tp, start in starts.items():
                consumer.seek(tp, start)
            left = {tp for tp, end in ends.items() if end > starts[tp]}
            while left:
                for run in (await consumer.getmany(timeout_ms=200)).values():
                    for record in run:
                        yield record
                for tp in list(left):
                    if await consumer.position(tp) >= ends[tp]:
                        left.discard(tp)
        finally:
            await consumer.stop()


def run(events: int, rounds: int, max_lines: int, only: str = "") -> dict[str, Any]:
    """Run the comparison; returns ratios and every case's figures."""
    peers = [CEILING, LEAST, *KAFKA_STREAMS, *KAFKA_STREAMS_EXACT, QUIX, FAUST]
    if only:
        peers = [peer for peer in peers if only.lower() in peer.case.lower()]
    for peer in peers:
        peer.command()
    cases = [Case(ONHAND, ONHAND, "this tree", ingest.settings())]
    cases += [Case(peer.case, peer.system, peer.version, peer.settings) for peer in peers]
    with scratch("compare") as folder, kafka() as bootstrap:
        comparison = Comparison(events, max_lines, bootstrap, folder)
        systems: list[Peer | None] = [None, *peers]
        # Else the first ones have a broker that its compilers still work on: plain batches, ours.
        print("the broker gets warm", file=sys.stderr, flush=True)
        asyncio.run(comparison.peer(CEILING))
        asyncio.run(comparison.onhand())
        turns = list(zip(cases, systems, strict=True))
        for number in range(rounds):
            # None has the same place in each round: what came before may leave something.
            first = number * len(turns) // rounds
            for case, system in [*turns[first:], *turns[:first]]:
                print(f"round {number + 1} of {rounds}: {case.name}", file=sys.stderr, flush=True)
                one = comparison.onhand() if system is None else comparison.peer(system)
                done = asyncio.run(one)
                case.rounds.append(done)
                told = f"  {done.per_second:,.0f} events/s, {done.cpu_us:.1f} us of CPU each"
                print(told, file=sys.stderr, flush=True)
        workload, _ = comparison.backlog(1.0)
    return {
        "case": "compare",
        "events": events,
        "lines": workload.lines,
        "rows": len(workload.sums),
        "rounds": rounds,
        "machine": machine(),
        "kafka": "given" if os.environ.get("ONHAND_KAFKA") else KAFKA_VERSION,
        "partitions": PARTITIONS,
        **_ratios(cases),
        "cases": [case.figures() for case in cases],
    }


def machine() -> str:
    """What it runs on."""
    gigabytes = psutil.virtual_memory().total / 2**30
    built = f"Python {platform.python_version()} ({platform.python_compiler()})"
    return f"{os.cpu_count()} processors, {gigabytes:.0f} GiB, {platform.system()}, {built}"


def _ratios(cases: list[Case]) -> dict[str, float | None]:
    ours = next(case for case in cases if case.name == ONHAND).per_second

    def to(names: set[str]) -> float | None:
        rates = [case.per_second for case in cases if case.name in names]
        return round(ours / max(rates), 3) if rates else None

    return {
        "ratio_to_kafka_streams": to({peer.case for peer in KAFKA_STREAMS}),
        "ratio_to_kafka_streams_exactly_once": to({peer.case for peer in KAFKA_STREAMS_EXACT}),
        "ratio_to_quix": to({QUIX.case}),
        "ratio_to_faust": to({FAUST.case}),
        "share_of_ceiling": to({CEILING.case}),
        "share_of_least": to({LEAST.case}),
    }
