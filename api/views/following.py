"""Following the logs into a view, from their beginning, for as long as the process lives."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from api.views.base import Update, View, answer_of, kind_of
from models import topics
from models.native import newest_stock
from models.rows import head, tombstone_version
from runtime import memory
from runtime.fetching import FRONT_REST, pace
from runtime.preparing import prepare
from runtime.records import Fetch

log = logging.getLogger(__name__)

_SERVED: Final = frozenset({"stock", "source", "order", "channel"})
_ALLOCATION: Final = b"allocation|"
_IDLE_WAIT_MS: Final = 100
_STAMP_SECONDS: Final = 0.01


Taker = Callable[[int, Fetch], None]
"""Takes records of one partition of a topic."""

Searched = Callable[[list[tuple[bytes, bytes]]], None]
"""Takes rows, key and value, repeats and old ones among them."""


class Following:
    """Keeps a view at the end of the logs, and tells others what comes by.

    `ready` is set once everything that stood in the logs at the start is in the view, and
    not set while a view that has lost its rows is filled again.
    """

    def __init__(
        self,
        view: View,
        bootstrap: str,
        topic: Callable[[str], str],
        *,
        on_row: Callable[[str], None],
        on_position: Callable[[bytes], None],
        others: dict[str, Taker],
        searched: Collection[str],
        on_searched: Searched,
        on_allocations: Taker,
    ) -> None:
        """`on_row` is told the key of every row but stock, `on_position` intake's positions.

        `on_allocations` takes records of the inventory's state that are allocations, `others` the
        records of further topics, which are no rows. `on_searched` takes rows of the inventory and
        of its sources of the kinds `searched`.
        """
        self.ready = asyncio.Event()
        self._view = view
        self._bootstrap = bootstrap
        self._others = {topic(name): take for name, take in others.items()}
        self._sources = topic(topics.INVENTORY_SOURCES)
        self._stock = topic(topics.INVENTORY_STATE)
        self._topics = (
            self._stock,
            self._sources,
            topic(topics.ORDERS_STATE),
            *self._others,
        )
        self._on_row = on_row
        self._on_position = on_position
        self._searched = searched
        self._on_searched = on_searched
        self._on_allocations = on_allocations
        self._next: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._stamped = 0.0

    async def run(self) -> None:
        """Follow until cancelled. Raises KafkaError where the logs can't be read."""
        prepare()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            fetch_max_wait_ms=_IDLE_WAIT_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        pace(consumer._fetcher, FRONT_REST)
        try:
            assigned = await self._assign(consumer)
            self._ends = await consumer.end_offsets(assigned)
            await self._view.begin()
            while True:
                batches = await consumer.getmany(timeout_ms=_IDLE_WAIT_MS, max_records=1_000)
                for tp, records in batches.items():
                    for part in self._parts(records):
                        await self._take(tp, part)
                        await asyncio.sleep(0)
                if not self.ready.is_set():
                    await self._judge_ready(consumer)
                if not await self._judge_lag(consumer, assigned):
                    await self._begin_again(consumer)
        finally:
            await consumer.stop()

    async def _assign(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        assigned = []
        for topic in self._topics:
            numbers = consumer.partitions_for_topic(topic)
            if numbers is None:
                await consumer._client._wait_on_metadata(topic)
                numbers = consumer.partitions_for_topic(topic) or set()
            assigned += [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(assigned)
        await consumer.seek_to_beginning(*assigned)
        self._next = {tp: await consumer.position(tp) for tp in assigned}
        return assigned

    def _parts(self, records: Fetch) -> Iterator[Fetch]:
        """Records in portions, so that whoever reads meanwhile is answered between them."""
        most = self._view.portion if self.ready.is_set() else len(records)
        for start in range(0, len(records), most):
            yield records[start : start + most]

    async def _take(self, tp: TopicPartition, records: Fetch) -> None:
        self._next[tp] = records[-1].offset + 1
        take = self._others.get(tp.topic)
        if take is not None:
            take(tp.partition, records)
            return
        stock: list[tuple[str, int, bytes]] = []
        if tp.topic == self._stock and newest_stock is not None:
            stock, records = newest_stock(records)
        if stock:
            await self._view.apply(stock)
        if tp.topic == self._stock:
            allotted = [one for one in records if (one.key or b"").startswith(_ALLOCATION)]
            if allotted:
                self._on_allocations(tp.partition, allotted)
        if records:
            await self._take_rows(tp, records)

    async def _take_rows(self, tp: TopicPartition, records: Fetch) -> None:
        latest: dict[str, Update] = {}
        searched: list[tuple[bytes, bytes]] = []
        kinds = self._searched if tp.topic in (self._stock, self._sources) else ()
        for record in records:
            key = (record.key or b"").decode()
            kind = kind_of(key)
            if kind in kinds and record.value is not None:
                searched.append((record.key or b"", record.value))
            if kind not in _SERVED or record.value is None:
                if kind == "position" and tp.topic == self._sources and record.value is not None:
                    self._on_position(record.value)
                continue
            version, gone = head(record.value)
            if key not in latest or latest[key][1] < version:
                latest[key] = key, version, None if gone else _shown(kind, record.value)
        if searched:
            self._on_searched(searched)
        await self._view.apply(list(latest.values()))
        await self._forget([record for record in records if record.value is None])
        for key in latest:
            if not key.startswith("stock|"):
                self._on_row(key)

    async def _forget(self, tombstones: Fetch) -> None:
        told = [((one.key or b"").decode(), tombstone_version(one.headers)) for one in tombstones]
        served = [(key, version) for key, version in told if kind_of(key) in _SERVED]
        if served:
            await self._view.forget(served)

    async def _begin_again(self, consumer: AIOKafkaConsumer) -> None:
        """The view has lost its rows: read theirs from the beginning."""
        log.warning("the view has lost its rows: they are put again")
        self.ready.clear()
        await self._view.begin()
        rows = [tp for tp in self._next if tp.topic not in self._others]
        await consumer.seek_to_beginning(*rows)
        self._next |= {tp: await consumer.position(tp) for tp in rows}
        self._ends = await consumer.end_offsets(rows)

    async def _judge_ready(self, consumer: AIOKafkaConsumer) -> None:
        # Compaction may leave nothing between the last record and the end.
        positions = {tp: max(self._next[tp], await consumer.position(tp)) for tp in self._ends}
        if all(positions[tp] >= end for tp, end in self._ends.items()):
            memory.give_back()
            log.info("the view is ready")
            self.ready.set()

    async def _judge_lag(self, consumer: AIOKafkaConsumer, assigned: list[TopicPartition]) -> bool:
        """Say how fresh the view is; whether it still has its rows."""
        now = time.monotonic()
        if now - self._stamped < _STAMP_SECONDS:
            return True
        self._stamped = now
        oldest = time.time()
        for tp in assigned:
            end = consumer.highwater(tp)
            if end is None or self._next[tp] < end:
                return True
            polled = consumer.last_poll_timestamp(tp)
            if polled is not None:
                oldest = min(oldest, polled / 1000)
        return await self._view.stamp(oldest)


def _shown(kind: str, value: bytes) -> bytes:
    return answer_of(value) if kind == "stock" else value
