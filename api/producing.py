"""Writing into the input topics: keyed as the topology wants it, acknowledged by all replicas."""

import asyncio
import logging
import time

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import RecordMetadata

from api.settings import Settings

log = logging.getLogger(__name__)


async def wait_for_kafka(settings: Settings) -> None:
    """Return once Kafka answers. Raises KafkaConnectionError past `connect_seconds`."""
    deadline = time.monotonic() + settings.connect_seconds
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
        try:
            await admin.start()
        except KafkaConnectionError:
            if time.monotonic() > deadline:
                raise
            log.warning("no Kafka answers at %s yet", settings.kafka)
            await asyncio.sleep(1.0)
        else:
            return
        finally:
            await admin.close()


class Producing:
    """Owns the process's producer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises KafkaError where no broker answers."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=1024 * 1024,
            max_request_size=self._settings.max_body_bytes + 1024,
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is buffered, and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def append(self, records: list[tuple[str, str, bytes]]) -> list[RecordMetadata]:
        """Append (topic, key, value) in order, per key; returns where each one stands.

        Raises KafkaError where one was not acknowledged.
        """
        if self._producer is None:
            raise RuntimeError("the producer is not started")
        acks = [
            await self._producer.send(self._settings.topic(topic), value, key=key.encode())
            for topic, key, value in records
        ]
        return [await ack for ack in acks]
