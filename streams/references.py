"""Following the reference topics into a catalog, complete before any input is read."""

import asyncio
import logging
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from models import topics
from models.reference import Catalog
from streams.settings import Settings

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0


class References:
    """Owns the catalog of one process. Values that can't be read are left out, and logged."""

    def __init__(self, settings: Settings) -> None:
        self.catalog = Catalog()
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Read all that stands in the topics now, then follow them."""
        consumer = self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka, fetch_max_wait_ms=100
        )
        await consumer.start()
        everywhere = [
            TopicPartition(self._settings.topic(name), 0) for name in topics.REFERENCE_TOPICS
        ]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        ends = await consumer.end_offsets(everywhere)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            await self._take(consumer)
        self._task = asyncio.create_task(self._follow(consumer))

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                await self._take(consumer)
            except KafkaError as error:
                log.warning("reference topics: %r; asked again in a second", error)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        for tp, records in (await consumer.getmany(timeout_ms=200)).items():
            name = tp.topic.removeprefix(self._settings.prefix)
            for record in records:
                key = (record.key or b"").decode("utf-8", "replace")
                if not self.catalog.take(name, key, record.offset, record.value or b""):
                    log.warning("%s offset %s holds no reference data", name, record.offset)

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._consumer is not None:
            await self._consumer.stop()
