"""The three stages without Kafka: logs are lists, a step takes what is there.

For tests of meaning. It runs the real stages; only the transport is missing. What is compiled reads
records where they stand in the bytes of a fetch; the general way has them as objects.
"""

import json
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from api.views.base import answer_of
from models import rows, topics
from models.arrival import SourceRow, source_key
from models.ledger import LedgerEntry, decode
from models.orders import OrderRow, order_key
from models.reference import TOPIC_OF_KIND, Catalog, Facts, reference_key, stated, statements
from models.stock import StockRow
from runtime.native import run_of
from runtime.records import Fetch
from streams.controls import REFERENCE_KEY, reference_moved
from streams.decisions import TICK_KEY
from streams.engine.partition import Batch, Partition
from streams.engine.stage import Outputs, Stage, Work, absorb
from streams.intake import Intake
from streams.inventory import Inventory
from streams.orders import Orders
from streams.routing import Routing
from streams.settings import Settings


@dataclass
class Record:
    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: int
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def _fetched(records: list[Record]) -> Fetch:
    """Records as they stand in what a broker sends."""
    if not records:
        return records
    first = records[0].offset
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2**40)
    for one in records:
        told = one.key, one.value, one.headers
        builder.append(one.offset - first, one.timestamp, *told)
    written = bytearray(builder.build())
    struct.pack_into(">q", written, 0, first)
    run: Fetch | None = run_of(bytes(written), first, lambda codec, packed: None)
    if run is None:
        raise ValueError("aiokafka has written what cannot be found")
    return run


class Pipeline:
    """Append with `append` or `send`, then `run` until nothing is left to absorb."""

    def __init__(self, partitions: int = 2, *, compiled: bool = True, **settings: Any) -> None:
        self.settings = Settings(partitions=partitions, **settings)
        self._is_compiled = compiled and run_of is not None
        self.routing = Routing(self.settings)
        self.catalog = Catalog()
        self.intake = Intake(self.routing, self.catalog, compiled=compiled)
        self.orders = Orders(self.routing, self.settings)
        self.inventory = Inventory(self.routing, compiled=compiled)
        self.stages: list[Stage] = [self.intake, self.orders, self.inventory]
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.state: dict[tuple[str, int], Partition] = {}
        self.clock = 1_793_606_400_000
        for stage in self.stages:
            for number in range(partitions):
                partition = self.state[stage.name, number] = Partition(number)
                stage.opened(partition)

    def append(
        self, topic: str, key: str | None, value: bytes | None, at: int | None = None
    ) -> Record:
        """`at` is the record's time in milliseconds; without it, the clock moves on."""
        number = self.routing.of(key)[1] if key is not None else 0
        log = self.logs[topic, number]
        self.clock = self.clock + 1 if at is None else at
        encoded = None if key is None else key.encode()
        record = Record(encoded, value, number, len(log), self.clock)
        log.append(record)
        return record

    def send(self, *events: dict[str, Any] | list[dict[str, Any]]) -> None:
        """Append events, each list of them as one record, received when it happened, and run."""
        for one in events:
            first = one[0] if isinstance(one, list) else one
            self.append(topic_of(first), key_of(first), json.dumps(one).encode(), received(one))
        self.run()

    def tick(self, seconds: float) -> None:
        """Let time pass in every partition of the orders."""
        self.clock += round(seconds * 1000)
        value = json.dumps(
            {
                "specversion": "1.0",
                "id": "tick",
                "source": "onhand",
                "type": "onhand.tick.v1",
                "time": "2026-11-02T00:00:00Z",
            }
        ).encode()
        for number in range(self.settings.partitions):
            log = self.logs[topics.ORDERS_RESERVATIONS, number]
            log.append(Record(TICK_KEY, value, number, len(log), self.clock))
        self.run()

    def run(self, limit: int = 1_000_000) -> None:
        """Step after step until nothing is left; `limit` records per step and partition."""
        moved = True
        while moved:
            moved = sum(self.step(stage, limit) for stage in self.stages) > 0

    def step(self, stage: Stage, limit: int) -> bool:
        outputs: Outputs = {}
        works = []
        for number in range(self.settings.partitions):
            partition = self.state[stage.name, number]
            work = Work(partition, outputs)
            if self._absorb(stage, work, limit):
                works.append(work)
        for work in works:
            stage.finish(work)
        for (topic, number), records in outputs.items():
            log = self.logs[topic, number]
            for key, value, headers in records:
                self.clock += 1
                log.append(Record(key, value, number, len(log), self.clock, headers))
        for work in works:
            work.partition.acknowledge(work.partition.cut("test", 0))
        return bool(works)

    def _absorb(self, stage: Stage, work: Work, limit: int) -> bool:
        moved = False
        offsets = work.partition.position.offsets
        for topic in stage.inputs:
            work.turn_to(topic)
            start = offsets.get(topic, -1) + 1
            records = self.logs[topic, work.partition.number][start : start + limit]
            moved = moved or bool(records)
            absorb(stage, work, _fetched(records) if self._is_compiled else records)
            work.end()
        return moved

    def put(self, kind: str, name: str, facts: Facts) -> None:
        """State reference data, and have every input use it from here on."""
        for one, called, value in statements(self.catalog, kind, name, facts):
            topic = TOPIC_OF_KIND[one]
            record = stated(value, self.catalog.versions(one, called))
            self.catalog.take(topic, reference_key(one, called), self.catalog.ends[topic], record)
        self.move_reference()
        self.run()

    def move_reference(self) -> None:
        """Append the record that moves every input to the latest reference data."""
        moved = reference_moved(self.catalog, self.clock * 1000)
        for number in range(self.settings.partitions):
            for topic in topics.SOURCE_TOPICS:
                log = self.logs[topic, number]
                log.append(Record(REFERENCE_KEY, moved, number, len(log), self.clock))

    # -- answers

    def stock(self, sku: str = "S", location: str = "17") -> dict[str, Any]:
        partition = self.state["inventory", self.routing.of(sku)[1]]
        value = partition.encoded[rows.stock_key(sku, location)]
        answer: dict[str, Any] = json.loads(answer_of(value) + b"}")
        return answer

    def stock_row(self, sku: str = "S", location: str = "17") -> StockRow:
        partition = self.state["inventory", self.routing.of(sku)[1]]
        return rows.decode(partition.encoded[rows.stock_key(sku, location)], StockRow)

    def keep(self, row: StockRow) -> None:
        """Have `row` in place of the one in the state."""
        partition = self.state["inventory", self.routing.of(row.sku)[1]]
        partition.undo()
        partition.encoded[rows.stock_key(row.sku, row.location)] = rows.encode(row)

    def source(self, source: str, topic: str = topics.POS_SALES) -> SourceRow:
        partition = self.state["intake", self.routing.of(source)[1]]
        return rows.decode(partition.encoded[source_key(topic, source)], SourceRow)

    def gaps(self, source: str) -> list[tuple[int, int]]:
        return [(low, high) for e in self.source(source).epochs for low, high, _ in e.gaps]

    def order(self, reservation: str) -> OrderRow:
        partition = self.state["orders", self.routing.of(reservation)[1]]
        return rows.decode(partition.encoded[order_key(reservation)], OrderRow)

    def log(self, topic: str) -> list[Record]:
        return [
            record
            for number in range(self.settings.partitions)
            for record in self.logs[topic, number]
        ]

    def ledger(self, sku: str = "S") -> list[LedgerEntry]:
        entries = [e for record in self.log(topics.INVENTORY_LEDGER) for e in decode(record.value)]
        return [entry for entry in entries if entry.movement.sku == sku]

    def letters(self) -> list[tuple[str, bytes | None]]:
        """Code and original of every dead letter."""
        return [
            (dict(record.headers)["onhand-code"].decode(), record.value)
            for record in self.log(topics.DEAD_LETTERS)
        ]


def received(record: dict[str, Any] | list[dict[str, Any]]) -> int:
    """When a record of events is received, in milliseconds: `rcv`, else the latest time in it."""
    events = record if isinstance(record, list) else [record]
    times = [datetime.fromisoformat(str(one.get("rcv", one["time"]))) for one in events]
    return max(round(time.replace(tzinfo=time.tzinfo or UTC).timestamp() * 1000) for time in times)


def topic_of(event: dict[str, Any]) -> str:
    return {
        "pos": topics.POS_SALES,
        "source": topics.POS_SALES,
        "inventory": topics.WAREHOUSE_RECEIPTS,
        "warehouse": topics.WAREHOUSE_RECEIPTS,
        "returns": topics.RETURNS_DISPOSITIONS,
        "orders": topics.ORDERS_RESERVATIONS,
        "onhand": topics.ORDERS_RESERVATIONS,
    }[event["type"].split(".")[0]]


def key_of(event: dict[str, Any]) -> str:
    if topic_of(event) != topics.ORDERS_RESERVATIONS:
        return str(event["source"])
    data = event["data"]
    return str(data.get("reservation") or data.get("channel"))


def weighed(partition: Partition) -> list[tuple[int, int]]:
    """From now on, of each of its batches: the bytes of the rows, and the weight that it had."""
    sizes: list[tuple[int, int]] = []
    cut = partition.cut

    def weigh(*place: Any) -> Batch:
        weight, batch = partition.weight, cut(*place)
        sizes.append((sum(map(len, [*batch.rows, *batch.rows.values()])), weight))
        return batch

    partition.cut = weigh  # type: ignore[method-assign]
    return sizes
