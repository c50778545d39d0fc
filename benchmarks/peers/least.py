"""The least that Python can do here: both stages as two bare loops, a process each.

What the service must write is written: movements with their origin, a row of every source,
ledger entries, rows with the public answer. All else that it does is left out: coded
refusals, gaps, late events, clocks, voids, reference data, counts, history, the order of
writes that survives a crash, repair, recovery, scheduling. No service that does it can
take less.
"""

import asyncio
import os
import signal
from collections import defaultdict
from multiprocessing import get_context
from typing import Any, Final

import msgspec
import uvloop
import xxhash
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import murmur2

from benchmarks import peers

MOVEMENTS: Final = f"{peers.NAME}-movements"
SOURCES: Final = f"{peers.NAME}-sources-changelog"
STOCK: Final = f"{peers.NAME}-stock-changelog"
LEDGER: Final = f"{peers.NAME}-ledger"

COMMIT_MS: Final = 200
MAX_FETCHED: Final = 20_000
PACK: Final = 256
BATCH_BYTES: Final = 900 * 1024

SIGNALS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

Outputs = dict[tuple[str, int], list[tuple[bytes | None, bytes]]]


class Line(msgspec.Struct, gc=False):
    line: int
    sku: str
    quantity: int


class Data(msgspec.Struct, gc=False):
    location: str
    lines: list[Line]


class Event(msgspec.Struct, gc=False):
    type: str
    source: str
    sequence: int
    time: str
    data: Data


_event = msgspec.json.Decoder(Event).decode
_movements = msgspec.json.Decoder(
    list[tuple[str, str, int, int, int, str, int, int, str, int, int]]
).decode
_encode = msgspec.json.Encoder().encode


class Intake:
    """Dedupe per source, and a movement per line for the partition of its SKU."""

    inputs = tuple(peers.INPUTS)

    def __init__(self) -> None:
        self._sources: dict[str, list[Any]] = {}
        self._places: dict[str, int] = {}
        self._topics = {topic: number for number, topic in enumerate(peers.INPUTS)}

    def step(self, fetched: dict[Any, list[Any]]) -> Outputs:
        """What a fetch comes to."""
        sources, places = self._sources, self._places
        packs: dict[int, list[Any]] = defaultdict(list)
        changed: dict[str, int] = {}
        for tp, run in fetched.items():
            topic, number = self._topics[tp.topic], tp.partition
            for record in run:
                event = _event(record.value)
                source, sequence = event.source, event.sequence
                row = sources.get(source)
                if row is None:
                    row = sources[source] = [0, 0, {}]
                if sequence <= row[0]:
                    row[1] += 1
                    continue
                row[0] = sequence
                data = event.data
                recent = row[2]
                recent[sequence] = xxhash.xxh3_64_intdigest(_encode((event.type, event.time, data)))
                if len(recent) > 16:
                    row[2] = {}
                changed[source] = number
                on_hand, quality_control = peers.PER_UNIT[event.type]
                location, at, offset = data.location, event.time, record.offset << 20
                for line in data.lines:
                    sku, units = line.sku, line.quantity
                    place = places.get(sku)
                    if place is None:
                        place = (murmur2(sku.encode()) & 0x7FFFFFFF) % peers.PARTITIONS
                        places[sku] = place
                    packs[place].append(
                        (
                            sku,
                            location,
                            topic,
                            number,
                            offset + line.line,
                            source,
                            sequence,
                            line.line,
                            at,
                            units * on_hand,
                            units * quality_control,
                        )
                    )
        outputs: Outputs = {}
        for place, pack in packs.items():
            outputs[MOVEMENTS, place] = [
                (None, _encode(pack[start : start + PACK])) for start in range(0, len(pack), PACK)
            ]
        for source, number in changed.items():
            state = outputs.setdefault((SOURCES, number), [])
            state.append((source.encode(), _encode(sources[source])))
        return outputs


class Inventory:
    """A row per SKU and location, and a ledger entry per movement."""

    inputs = (MOVEMENTS,)

    def __init__(self) -> None:
        self._rows: dict[str, list[Any]] = {}
        self._origins: dict[tuple[int, int, int], int] = {}

    def step(self, fetched: dict[Any, list[Any]]) -> Outputs:
        """What a fetch comes to."""
        rows, origins = self._rows, self._origins
        outputs: Outputs = {}
        for tp, run in fetched.items():
            own = tp.partition
            entries: list[Any] = []
            changed: dict[str, None] = {}
            for record in run:
                version = record.offset << 8
                for movement in _movements(record.value):
                    sku, location, topic, number, ordinal, *_, on_hand, control = movement
                    origin = own, topic, number
                    if ordinal <= origins.get(origin, -1):
                        continue
                    origins[origin] = ordinal
                    key = f"{sku}|{location}"
                    row = rows.get(key)
                    if row is None:
                        row = rows[key] = [sku, location, 0, 0, 0, 0, -1]
                    before = row[6]
                    row[2] += on_hand
                    row[3] += control
                    row[4] = row[2]
                    row[6] = version
                    changed[key] = None
                    entries.append((version, before, row[2], row[3], movement))
                    version += 1
            outputs[LEDGER, own] = [
                (None, _encode(entries[start : start + PACK]))
                for start in range(0, len(entries), PACK)
            ]
            outputs[STOCK, own] = [(key.encode(), _encode(rows[key])) for key in changed]
        return outputs


async def work(stage: Any) -> None:
    """Fetch, compute, append, commit; what was appended is awaited before the next append."""
    consumer = AIOKafkaConsumer(
        *stage.inputs,
        bootstrap_servers=peers.KAFKA,
        group_id=peers.NAME,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=COMMIT_MS,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=peers.KAFKA,
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=64 * BATCH_BYTES,
    )
    await consumer.start()
    await producer.start()
    acks: list[Any] = []
    while True:
        fetched = await consumer.getmany(timeout_ms=100, max_records=MAX_FETCHED)
        outputs = stage.step(fetched)
        await asyncio.gather(*acks)
        acks = []
        for (topic, number), records in outputs.items():
            batch = producer.create_batch()
            for key, value in records:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    acks.append(await producer.send_batch(batch, topic, partition=number))
                    batch = producer.create_batch()
                    batch.append(key=key, value=value, timestamp=None)
            acks.append(await producer.send_batch(batch, topic, partition=number))


def _run(stage: type[Intake] | type[Inventory]) -> None:
    uvloop.run(work(stage()))


def main() -> None:
    """Both stages, until a signal comes."""
    context = get_context("fork")
    children = [context.Process(target=_run, args=(stage,)) for stage in (Intake, Inventory)]
    for child in children:
        child.start()
    signal.sigwait(SIGNALS)
    for child in children:
        child.kill()
    os._exit(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    main()
