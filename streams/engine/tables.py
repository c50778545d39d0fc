"""The Faust table behind a stage: assignment and recovery are Faust's, the rows ours."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import faust
from faust.stores import memory
from faust.tables.manager import TableManager
from faust.types import TP, EventT

from streams.engine.partition import Partition


class RowStore(memory.Store):  # type: ignore[misc]
    """Keeps rows as bytes per partition; only recovery goes through Faust."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.partitions: dict[int, Partition] = {}
        self.restore: Callable[[int], Awaitable[Partition | None]] | None = None
        self.on_recovered: Callable[[list[Partition]], Any] | None = None
        self.on_error: Callable[[BaseException], None] | None = None

    def apply_changelog_batch(
        self,
        batch: Iterable[EventT],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        """Load runs of changelog records. Faust swallows what is raised here, so it is fatal."""
        try:
            for event in batch:
                self._partition(event.message.partition).load(event.message.value)
        except BaseException as error:
            if self.on_error is not None:
                self.on_error(error)
            raise

    def _partition(self, number: int) -> Partition:
        partition = self.partitions.get(number)
        if partition is None:
            partition = self.partitions[number] = Partition(number)
        return partition

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Drop partitions that are gone or new; those that stay keep their memory.

        What is new begins with what was kept of it.
        """
        topic = self.table.changelog_topic.get_topic_name()
        for tp in revoked | newly_assigned:
            if tp.topic == topic:
                self.partitions.pop(tp.partition, None)
        if self.restore is None:
            return
        new = sorted(tp.partition for tp in newly_assigned if tp.topic == topic)
        for found in await asyncio.gather(*map(self.restore, new)):
            if found is not None:
                self.partitions[found.number] = found

    def persisted_offset(self, tp: TP) -> int | None:
        """The last changelog offset that memory holds: Faust reads on from there."""
        partition = self.partitions.get(tp.partition)
        if partition is None or partition.end == 0:
            return None
        return partition.end - 1

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Hand the partitions to the stage."""
        try:
            found = [self._partition(tp.partition) for tp in sorted(active_tps)]
            if self.on_recovered is not None:
                await self.on_recovered(found)
        except BaseException as error:
            if self.on_error is not None:
                self.on_error(error)
            raise


class Tables(TableManager):  # type: ignore[misc]
    """Faust's, without the second that it waits for tables declared late: ours never are."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class RawSchema(faust.Schema):  # type: ignore[misc]
    """Keys and values stay as the transport hands them over: runs of records."""

    def loads_key(self, app: Any, message: Any, **options: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **options: Any) -> Any:
        return message.value
