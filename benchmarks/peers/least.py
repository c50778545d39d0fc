"""The least that Python can do here: both stages as two bare loops, a process each.

What the service must write is written, in its own shapes, record by record by aiokafka: movements
with their origin, a row of every source, ledger entries, rows with the public answer and the
deltas of late counts. Left out is what the service adds: whatever is not a plain delta in
order, flawed bytes, local times and clocks, voids, reference data, documents, the order of
writes that survives a crash, repair, recovery, scheduling. Who does all that takes more.
"""

import asyncio
import gc
import os
import signal
import time
from collections import defaultdict
from multiprocessing import get_context
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from benchmarks import peers
from models import ledger, movements, rows, topics
from models.arrival import Epoch, SourceRow, source_key
from models.decoding import Decoder
from models.events import pos, returns, warehouse
from models.instants import MILLISECOND, from_datetime
from models.ledger import LedgerEntry
from models.movements import Delta
from models.normalization import content_hash
from models.stock import (
    NO_CHANGES,
    RECENT,
    Change,
    HistoryRow,
    StockRow,
    appended,
    empty,
    history_key,
)
from runtime.fetching import WORKER_REST, pace
from runtime.preparing import prepare
from runtime.priority import ROWS, come_first

MOVEMENTS: Final = f"{peers.NAME}-movements"
SOURCES: Final = f"{peers.NAME}-sources-changelog"
STOCK: Final = f"{peers.NAME}-stock-changelog"
LEDGER: Final = f"{peers.NAME}-ledger"

CAUSES: Final[dict[type, tuple[str, str, int]]] = {
    pos.SaleCompleted: ("sale", "on_hand", -1),
    pos.SaleReturned: ("till_return", "quality_control", 1),
    warehouse.ReceiptReceived: ("receipt", "on_hand", 1),
    warehouse.StockAdjusted: ("adjustment", "on_hand", 1),
    returns.ReturnDisposed: ("restock", "on_hand", 1),
}
HASHES: Final = 16
"""Content hashes that a source's row remembers."""

COMMIT_SECONDS: Final = 0.2
MAX_FETCHED: Final = 20_000
PACK: Final = movements.MAX_PACKED
BATCH_BYTES: Final = 900 * 1024

SIGNALS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

Outputs = dict[tuple[str, int], list[tuple[bytes | None, bytes]]]


class Intake:
    """Dedupe per source, and a movement per line for the partition of its SKU."""

    inputs = tuple(peers.INPUTS)

    def __init__(self) -> None:
        self._sources: dict[str, SourceRow] = {}
        self._places: dict[str, int] = {}
        names = {one: one[one.index(".") + 1 :] for one in peers.INPUTS}
        self._ways = {
            topic: (Decoder(name).single, topics.NUMBER[name], name)
            for topic, name in names.items()
        }

    def step(self, fetched: dict[Any, list[Any]]) -> Outputs:
        """What a fetch comes to."""
        sources, places = self._sources, self._places
        packs: dict[int, list[Any]] = defaultdict(list)
        changed: dict[str, int] = {}
        for tp, run in fetched.items():
            decode, topic, name = self._ways[tp.topic]
            number = tp.partition
            for record in run:
                event: Any = decode(record.value)
                source, sequence, data = event.source, event.sequence, event.data
                row = sources.get(source)
                if row is None:
                    row = SourceRow(version=0, source=source, topic=name, epochs=[Epoch(0, 1, 0)])
                    sources[source] = row
                epoch = row.epochs[0]
                if sequence <= epoch.last:
                    row.duplicates += 1
                    continue
                epoch.last, row.version = sequence, record.offset
                if len(epoch.recent) == HASHES:
                    epoch.recent = {}
                epoch.recent[sequence] = content_hash(event)
                row.now = record.timestamp * MILLISECOND
                changed[source] = number
                cause, bucket, sign = CAUSES[type(event)]
                location, at = data.location, from_datetime(event.time)
                ordinal = record.offset << 20
                for line in data.lines:
                    sku = line.sku
                    place = places.get(sku)
                    if place is None:
                        place = (murmur2(sku.encode()) & 0x7FFFFFFF) % peers.PARTITIONS
                        places[sku] = place
                    packs[place].append(
                        Delta(
                            sku,
                            location,
                            topic,
                            number,
                            ordinal,
                            source,
                            0,
                            sequence,
                            line.line,
                            at,
                            "in_order",
                            None,
                            cause,
                            bucket,
                            sign * line.quantity,
                        )
                    )
                    ordinal += 1
        outputs: Outputs = {}
        for place, pack in packs.items():
            outputs[MOVEMENTS, place] = [
                (None, movements.encode(pack[start : start + PACK]))
                for start in range(0, len(pack), PACK)
            ]
        for source, number in changed.items():
            row = sources[source]
            state = outputs.setdefault((SOURCES, number), [])
            state.append((source_key(row.topic, source).encode(), rows.encode(row)))
        return outputs


class Inventory:
    """A row per SKU and location, and a ledger entry per movement."""

    inputs = (MOVEMENTS,)

    def __init__(self) -> None:
        self._rows: dict[str, StockRow] = {}
        self._origins: dict[int, int] = {}

    def step(self, fetched: dict[Any, list[Any]]) -> Outputs:
        """What a fetch comes to."""
        stock, origins = self._rows, self._origins
        outputs: Outputs = {}
        for tp, run in fetched.items():
            own = tp.partition
            entries: list[LedgerEntry] = []
            state: list[tuple[bytes, bytes]] = []
            changed: dict[str, StockRow] = {}
            for record in run:
                version = record.offset << movements.PACK_BITS
                now = record.timestamp * MILLISECOND
                moved: Any
                for moved in movements.decode(record.value):
                    origin = own << 32 | moved.topic << 16 | moved.partition
                    ordinal = moved.ordinal
                    if ordinal <= origins.get(origin, -1):
                        continue
                    origins[origin] = ordinal
                    sku, location, at = moved.sku, moved.location, moved.effective
                    key = f"stock|{sku}|{location}"
                    row = stock.get(key)
                    if row is None:
                        row = stock[key] = empty(sku, location, -1, at)
                    before, row.version = row.version, version
                    row.book += 1
                    row.newest = max(row.newest, at)
                    quantity, bucket = moved.quantity, moved.bucket
                    if bucket == "on_hand":
                        row.on_hand += quantity
                        change = Change(at, quantity, moved.source, 0, moved.sequence)
                        row.recent = appended(row.recent, change)
                        row.recent_size += 1
                        if row.recent_size == RECENT:
                            name = history_key(row, row.next_chunk).encode()
                            chunk = HistoryRow(version=version, links=row.recent)
                            state.append((name, rows.encode(chunk)))
                            row.next_chunk += 1
                            row.recent, row.recent_size = NO_CHANGES, 0
                    else:
                        row.quality_control += quantity
                    changed[key] = row
                    entries.append(
                        LedgerEntry(
                            version,
                            before,
                            moved.cause,
                            "applied",
                            now,
                            {bucket: quantity},
                            row.on_hand,
                            row.reserved,
                            row.quality_control,
                            row.damaged,
                            row.in_transit,
                            row.incoming,
                            row.safety_stock,
                            row.variance,
                            moved,
                        )
                    )
                    version += 1
            outputs[LEDGER, own] = [
                (None, ledger.encode(entries[start : start + PACK]))
                for start in range(0, len(entries), PACK)
            ]
            state += [(key.encode(), rows.encode(row)) for key, row in changed.items()]
            outputs[STOCK, own] = state  # type: ignore[assignment]
        return outputs


async def work(stage: Any) -> None:
    """Fetch, compute, append; what was appended is awaited before the next append."""
    prepare()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=peers.KAFKA,
        group_id=peers.NAME,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=peers.KAFKA,
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=64 * BATCH_BYTES,
    )
    await consumer.start()
    pace(consumer._fetcher, WORKER_REST)
    numbers = range(peers.PARTITIONS)
    consumer.assign([TopicPartition(topic, one) for topic in stage.inputs for one in numbers])
    await producer.start()
    sent: asyncio.Task[None] | None = None
    absorbed: dict[Any, int] = {}
    committed_at = time.monotonic()
    while True:
        fetched = await consumer.getmany(timeout_ms=100, max_records=MAX_FETCHED)
        outputs = stage.step(fetched)
        if sent is not None:
            await sent
        if absorbed and time.monotonic() > committed_at + COMMIT_SECONDS:
            await consumer.commit(absorbed)
            absorbed, committed_at = {}, time.monotonic()
        sent = asyncio.create_task(send(producer, outputs))
        absorbed |= {tp: run[-1].offset + 1 for tp, run in fetched.items()}


async def send(producer: AIOKafkaProducer, outputs: Outputs) -> None:
    """Append; batches of one partition follow each other, or aiokafka may swap them."""
    while outputs:
        acks = []
        left: Outputs = {}
        for (topic, number), records in outputs.items():
            batch = producer.create_batch()
            for taken, (key, value) in enumerate(records):
                if batch.append(key=key, value=value, timestamp=None) is None:
                    left[topic, number] = records[taken:]
                    break
            acks.append(await producer.send_batch(batch, topic, partition=number))
        await asyncio.gather(*acks)
        outputs = left


def _run(stage: type[Intake] | type[Inventory]) -> None:
    gc.disable()
    uvloop.run(_run_together(stage()))


async def _run_together(stage: Intake | Inventory) -> None:
    first = [come_first(ROWS)] if peers.REALTIME else []
    await asyncio.gather(work(stage), *first)


def main() -> None:
    """Both stages, until a signal comes, or one of them ends: that is a failure."""
    context = get_context("fork")
    children = [context.Process(target=_run, args=(stage,)) for stage in (Intake, Inventory)]
    for child in children:
        child.start()
    ended = signal.sigwait(SIGNALS)
    for child in children:
        child.kill()
    os._exit(int(ended == signal.SIGCHLD))


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    main()
