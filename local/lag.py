"""How far consumer groups are behind, by their committed offsets."""

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorForGroupError,
)
from aiokafka.structs import OffsetAndMetadata

from models import topics
from streams.supervisor import PROCESSES

GONE_SECONDS = 60.0
"""How long a broker may be gone before asking for offsets is given up."""

_PAUSE_SECONDS = 0.2


class Lag:
    """How many records of `topics` the groups have not absorbed yet, by committed offsets."""

    def __init__(self, bootstrap: str, groups: Iterable[str], topics: Iterable[str]) -> None:
        self._bootstrap = bootstrap
        self._groups = list(groups)
        self._topics = list(topics)

    async def __aenter__(self) -> Self:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
        await self._admin.start()
        await self._consumer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def records(self) -> int:
        """Records between what is absorbed and the end, over all topics."""
        everywhere = await self._partitions(self._topics)
        ends = await self._consumer.end_offsets(everywhere)
        committed = await self._committed(everywhere)
        return sum(max(0, end - committed[tp]) for tp, end in ends.items())

    async def absorbed(self, topics: Iterable[str] = ()) -> int:
        """Records absorbed so far, over `topics`, or all."""
        everywhere = await self._partitions(topics or self._topics)
        return sum((await self._committed(everywhere)).values())

    async def ends(self, name: str) -> dict[TopicPartition, int]:
        """End offsets of one topic, as the broker names it."""
        partitions = await self._partitions([name])
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        return ends

    async def _partitions(self, names: Iterable[str]) -> list[TopicPartition]:
        everywhere = []
        for name in names:
            numbers = self._consumer.partitions_for_topic(name)
            if numbers is None:
                await self._consumer._client._wait_on_metadata(name)
                numbers = self._consumer.partitions_for_topic(name) or set()
            everywhere += [TopicPartition(name, number) for number in numbers]
        return everywhere

    async def _committed(self, everywhere: list[TopicPartition]) -> dict[TopicPartition, int]:
        found = {}
        for group in self._groups:
            found.update(await self._offsets(group))
        return {tp: max(0, found[tp].offset) if tp in found else 0 for tp in everywhere}

    async def _offsets(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        async with asyncio.timeout(GONE_SECONDS):
            while True:
                try:
                    return dict(await self._admin.list_consumer_group_offsets(group))
                except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
                    return {}  # no group has committed anything at this broker yet
                except KafkaError as error:
                    if not error.retriable:
                        raise
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def wait_for_none(self, seconds: float, pause: float = 0.25) -> None:
        """Wait until nothing is left twice, `pause` seconds apart. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            calm = 0
            while calm < 2:
                calm = calm + 1 if await self.records() == 0 else 0
                await asyncio.sleep(pause)


def service_lag(bootstrap: str, prefix: str = "") -> Lag:
    """The lag of the service over its inputs and movements."""
    return Lag(
        bootstrap,
        [f"{prefix}{'-'.join(('onhand', *stages))}" for stages in PROCESSES],
        [prefix + name for name in (*topics.INPUT_TOPICS, topics.INVENTORY_MOVEMENTS)],
    )
