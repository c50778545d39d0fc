"""Waiting for Kafka at the start: an orchestrator may start it after us."""

import asyncio
import logging
import time

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from models import topics
from streams.errors import MissingTopicError
from streams.settings import Settings

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0


async def wait_for_kafka(settings: Settings) -> None:
    """Return once Kafka answers and has our topics.

    Raises KafkaConnectionError past `connect_seconds`, MissingTopicError where topics lack.
    """
    deadline = time.monotonic() + settings.connect_seconds
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
        try:
            await admin.start()
            break
        except KafkaConnectionError:
            await admin.close()
            if time.monotonic() > deadline:
                raise
            log.warning("no Kafka answers at %s yet", settings.kafka)
            await asyncio.sleep(_PAUSE_SECONDS)
    try:
        have = set(await admin.list_topics())
    finally:
        await admin.close()
    for name in (*topics.NUMBERED, topics.INVENTORY_STATE, topics.ORDERS_STATE):
        if settings.topic(name) not in have:
            raise MissingTopicError(settings.topic(name))
