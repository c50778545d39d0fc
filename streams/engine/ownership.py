"""What the engine asks the broker and the group when a log may have another writer."""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
)
from aiokafka.structs import OffsetAndMetadata

from runtime.records import Fetch

MAX_RUN = 2_000
"""Records of a run: heartbeats must have their turn between two of them."""


class Ownership(Protocol):
    """Topics are named as the broker names them."""

    async def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last record, by partition."""

    async def is_ours(self, topic: str, partition: int, offset: int) -> bool | None:
        """Whether the group has an input partition assigned to this process, by a commit.

        None: it can't tell now, ask again.
        """

    def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Fetch]:
        """The records with offsets from `start` up to `end`, which is not among them, in runs."""


class GroupOwnership:
    """Asks through Faust's consumer, and reads with one of its own."""

    def __init__(self, bootstrap: str, consumer: Any) -> None:
        self._bootstrap = bootstrap
        self._consumer = consumer

    async def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        consumer = self._aiokafka()
        found = await consumer.end_offsets([TopicPartition(topic, one) for one in partitions])
        return {tp.partition: end for tp, end in found.items()}

    async def is_ours(self, topic: str, partition: int, offset: int) -> bool | None:
        tp = TopicPartition(topic, partition)
        if not self._consumer().settled():
            return None
        try:
            await self._aiokafka().commit({tp: OffsetAndMetadata(offset, "")})
        except CommitFailedError as error:
            return None if isinstance(error.__context__, RebalanceInProgressError) else False
        except IllegalStateError:
            return False  # it is not assigned any more
        except KafkaError as error:
            if error.retriable:
                return None
            raise
        return True

    async def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Fetch]:
        if start >= end:
            # aiokafka's consumer, stopped before its tasks have begun, ends who stops it.
            return
        reader = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, fetch_max_wait_ms=100)
        await reader.start()
        try:
            tp = TopicPartition(topic, partition)
            reader.assign([tp])
            reader.seek(tp, start)
            while await reader.position(tp) < end:
                found = await reader.getmany(timeout_ms=1000, max_records=MAX_RUN)
                yield [record for record in found.get(tp, ()) if record.offset < end]
        finally:
            await reader.stop()

    def _aiokafka(self) -> AIOKafkaConsumer:
        return self._consumer()._thread._ensure_consumer()
