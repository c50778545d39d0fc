"""A steady load, and probes of how soon what is sent can be read.

Ten times a second an event for a SKU of its own is sent like the others, and its row is
asked for until it is there.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from tqdm import tqdm

from benchmarks import collector
from benchmarks.backlog import BATCH_BYTES, BenchmarkError
from benchmarks.http_client import Pool
from benchmarks.workload import Workload
from models import topics
from runtime.preparing import prepare
from streams.settings import Settings

PACE_SECONDS: Final = 0.005
"""As long as Kafka's own producers wait for company."""

PROBE_SECONDS: Final = 0.1
POLL_SECONDS: Final = 0.001
LIMIT_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 3_600
PLACE: Final = "L-probes"

Record = tuple[str, str, bytes]
"""Topic, key and value."""


class Probe(NamedTuple):
    """When an event was sent (perf_counter), and the seconds until its row could be read.

    `acknowledged` are those until the broker had it.
    """

    sent: float
    seconds: float
    acknowledged: float


def path_of(name: str) -> str:
    """Where a probe's row is read."""
    return f"/v1/availability/{name}/{PLACE}"


class Appender:
    """A producer of its own over the topics of `prefix`."""

    def __init__(self, bootstrap: str, prefix: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._partitions = partitions
        self._places: dict[str, tuple[bytes, int]] = {}
        self._unacknowledged: set[asyncio.Future[Any]] = set()
        self._refused = 0
        self._sends = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            linger_ms=0,
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=8 * BATCH_BYTES,
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._producer.stop()

    async def send(self, records: list[Record]) -> "list[asyncio.Future[Any]]":
        """Send without waiting for what becomes of it: that the answers tell."""
        # aiokafka lets batches of one partition overtake each other, and lose their acks,
        # where several tasks send at once.
        async with self._sends:
            return await self._send_alone(records)

    async def acknowledged(self) -> None:
        """Wait until the broker has answered for all; BenchmarkError where it did not take all."""
        await asyncio.gather(*self._unacknowledged, return_exceptions=True)
        if self._refused:
            raise BenchmarkError(f"{self._refused} batches were refused")

    async def _send_alone(self, records: list[Record]) -> "list[asyncio.Future[Any]]":
        batches: dict[tuple[str, int], Any] = {}
        answers = []
        for topic, key, value in records:
            encoded, partition = self._place_of(key)
            target = self._prefix + topic, partition
            batch = batches.get(target)
            if batch is None:
                batch = batches[target] = self._producer.create_batch()
            if batch.append(key=encoded, value=value, timestamp=None) is None:
                answers.append(await self._send_batch(target, batch))
                batch = batches[target] = self._producer.create_batch()
                batch.append(key=encoded, value=value, timestamp=None)
        for target, batch in batches.items():
            answers.append(await self._send_batch(target, batch))
        return answers

    def _place_of(self, key: str) -> tuple[bytes, int]:
        """A key's bytes, and its partition: computed once, the same few sources come again."""
        place = self._places.get(key)
        if place is None:
            encoded = key.encode()
            place = encoded, (murmur2(encoded) & 0x7FFFFFFF) % self._partitions
            self._places[key] = place
        return place

    async def _send_batch(self, target: tuple[str, int], batch: Any) -> "asyncio.Future[Any]":
        batch.close()
        ack: asyncio.Future[Any]
        ack = await self._producer.send_batch(batch, target[0], partition=target[1])
        self._unacknowledged.add(ack)
        ack.add_done_callback(self._acknowledged)
        return ack

    def _acknowledged(self, ack: "asyncio.Future[Any]") -> None:
        self._unacknowledged.discard(ack)
        if ack.exception() is not None:
            self._refused += 1


class Sending:
    """A steady load over the topics of `prefix`, and the probes beside it."""

    def __init__(self, bootstrap: str, url: str, prefix: str, partitions: int) -> None:
        parts = urlsplit(url)
        self._pool = Pool(parts.hostname or "", parts.port or 80)
        self._load = Appender(bootstrap, prefix, partitions)
        # What is late behind the load's batches, in a queue of its producer, is so nowhere else.
        self._other = Appender(bootstrap, prefix, partitions)
        self._probes = 0
        self._waiting: set[float] = set()

    async def __aenter__(self) -> Self:
        # What the load costs is not to be taken from what is measured.
        prepare()
        async with AsyncExitStack() as stack:
            stack.callback(self._pool.close)
            await stack.enter_async_context(self._load)
            await stack.enter_async_context(self._other)
            collector.settle()
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def at(
        self,
        rate: int,
        seconds: float,
        load: Iterator[Record],
        ended: asyncio.Event | None = None,
    ) -> list[Probe]:
        """Send `rate` events a second for `seconds`, or until `ended`; what probes saw.

        Raises BenchmarkError where the broker did not take all.
        """
        probes: list[asyncio.Task[Probe]] = []
        # Of their own: a broker that takes nothing holds the load up, and is to be seen.
        probing = asyncio.create_task(self._probe_steadily(probes))
        try:
            await self._send_steadily(rate, seconds, load, ended)
        finally:
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await probing
        await asyncio.gather(self._load.acknowledged(), self._other.acknowledged())
        return list(await asyncio.gather(*probes))

    async def _send_steadily(
        self, rate: int, seconds: float, load: Iterator[Record], ended: asyncio.Event | None
    ) -> None:
        begun = time.perf_counter()
        sent = 0
        with tqdm(total=int(rate * seconds), desc=f"{rate}/s", unit=" events") as bar:
            while (now := time.perf_counter() - begun) < seconds:
                if ended is not None and ended.is_set():
                    break
                due = int(now * rate) - sent
                await self._load.send([next(load) for _ in range(due)])
                sent += due
                bar.update(due)
                await asyncio.sleep(PACE_SECONDS)

    async def _probe_steadily(self, probes: list[asyncio.Task[Probe]]) -> None:
        begun = time.perf_counter()
        while True:
            probes.append(asyncio.create_task(self._probe()))
            due = begun + len(probes) * PROBE_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    @property
    def behind(self) -> float:
        """For how many seconds the oldest probe has been waiting to be readable."""
        return time.perf_counter() - min(self._waiting) if self._waiting else 0.0

    async def _probe(self) -> Probe:
        begun = time.perf_counter()
        self._waiting.add(begun)
        try:
            acknowledged = await self._send_and_see(begun)
        finally:
            self._waiting.discard(begun)
        seen = time.perf_counter() - begun
        # It may have been seen before the broker's answer was.
        return Probe(begun, seen, acknowledged[0] - begun if acknowledged else seen)

    async def _send_and_see(self, begun: float) -> list[float]:
        """When the broker had answered, if it had."""
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
                "location": PLACE,
                "reason": "found",
                "lines": [{"line": 1, "sku": name, "quantity": 1}],
            },
        }
        acknowledged: list[float] = []
        (ack,) = await self._other.send([(topics.WAREHOUSE_RECEIPTS, name, orjson.dumps(event))])
        ack.add_done_callback(lambda _: acknowledged.append(time.perf_counter()))
        while not await self.is_there(path_of(name)):
            # Who has waited for long is asked less often, and seen late by a twentieth at most.
            waited = time.perf_counter() - begun
            if waited > LIMIT_SECONDS:
                raise BenchmarkError(f"{name} cannot be read after {LIMIT_SECONDS:.0f} s")
            await asyncio.sleep(max(POLL_SECONDS, waited / 20))
        return acknowledged

    async def is_there(self, path: str) -> bool:
        """Whether a row is answered."""
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self._pool.get(path, lambda seconds, status: answered.set_result(status))
        return await answered == 200


async def until_ended(
    bootstrap: str, url: str, prefix: str, rate: int, prepared_seconds: float
) -> None:
    """Send at a steady rate for as long as the process lives.

    What is sent in the first `prepared_seconds` is made before: making it is not to take a
    processor from what is measured.
    """
    endless = Workload(rate * LONGEST_SECONDS).records()
    prepared = list(itertools.islice(endless, round(rate * prepared_seconds)))
    load = itertools.chain(prepared, endless)
    async with Sending(bootstrap, url, prefix, Settings().partitions) as sending:
        await sending.at(rate, LONGEST_SECONDS, load)
