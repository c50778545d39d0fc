"""How far the service is behind, by its groups' committed offsets."""

import asyncio
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError

from models import topics
from streams.supervisor import PROCESSES


class Lag:
    """How many records the service has not absorbed yet, by its groups' committed offsets."""

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._groups = [f"{prefix}{'-'.join(('onhand', *stages))}" for stages in PROCESSES]

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
        """Records between what is absorbed and the end, over all inputs and movements."""
        everywhere = await self._inputs()
        ends = await self._consumer.end_offsets(everywhere)
        committed = await self._committed(everywhere)
        return sum(max(0, end - committed[tp]) for tp, end in ends.items())

    async def absorbed(self) -> int:
        """Records absorbed so far, over all inputs and movements."""
        return sum((await self._committed(await self._inputs())).values())

    async def ends(self, name: str) -> dict[TopicPartition, int]:
        """End offsets of one topic, as the broker names it."""
        everywhere = [tp for tp in await self._inputs() if tp.topic == name]
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(everywhere)
        return ends

    async def _inputs(self) -> list[TopicPartition]:
        everywhere = []
        for topic in (*topics.INPUT_TOPICS, topics.INVENTORY_MOVEMENTS):
            name = self._prefix + topic
            numbers = self._consumer.partitions_for_topic(name)
            if numbers is None:
                await self._consumer._client._wait_on_metadata(name)
                numbers = self._consumer.partitions_for_topic(name) or set()
            everywhere += [TopicPartition(name, number) for number in numbers]
        return everywhere

    async def _committed(self, everywhere: list[TopicPartition]) -> dict[TopicPartition, int]:
        found = {}
        for group in self._groups:
            try:
                found.update(await self._admin.list_consumer_group_offsets(group))
            except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
                continue  # no group has committed anything at this broker yet
        return {tp: max(0, found[tp].offset) if tp in found else 0 for tp in everywhere}

    async def wait_for_none(self, seconds: float, pause: float = 0.25) -> None:
        """Wait until nothing is left twice, `pause` seconds apart. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            calm = 0
            while calm < 2:
                calm = calm + 1 if await self.records() == 0 else 0
                await asyncio.sleep(pause)
