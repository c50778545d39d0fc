"""Every topic with its configuration, created by `python -m streams topics`."""

from collections.abc import Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from models import topics
from streams.errors import PartitionMismatchError
from streams.settings import Settings

MAX_INPUT_BYTES: Final = 16 * 1024 * 1024
"""The largest record that a producer may send us; a store's burst may be one record."""

MAX_OWN_BYTES: Final = 24 * 1024 * 1024
"""The largest batch of ours: a step's rows, or a dead letter of the largest input."""

STATE_SEGMENT_BYTES: Final = 64 * 1024 * 1024

_HOUR_MS: Final = 3_600_000


def configs(settings: Settings) -> dict[str, dict[str, str]]:
    """Topic configurations by name, without the prefix."""
    # An acknowledged record stands on as many replicas, so it outlives a leader.
    durable = {"min.insync.replicas": str((settings.replication + 1) // 2)}
    log = {
        **durable,
        "cleanup.policy": "delete",
        "retention.ms": str(settings.retention_hours * _HOUR_MS),
        "message.timestamp.type": settings.timestamps,
    }
    taken = {**log, "max.message.bytes": str(MAX_INPUT_BYTES)}
    ours = {**log, "max.message.bytes": str(MAX_OWN_BYTES)}
    state = {
        **durable,
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(round(settings.compaction_lag_hours * _HOUR_MS)),
        # What is not compacted is read whole by whoever recovers: only closed segments are.
        "segment.bytes": str(STATE_SEGMENT_BYTES),
        "segment.ms": str(_HOUR_MS),
        "min.cleanable.dirty.ratio": "0.2",
        "max.message.bytes": str(MAX_OWN_BYTES),
        "message.timestamp.type": settings.timestamps,
    }
    return {
        **dict.fromkeys(topics.INPUT_TOPICS, taken),
        topics.INVENTORY_MOVEMENTS: ours,
        topics.INVENTORY_LEDGER: ours,
        topics.DEAD_LETTERS: ours,
        topics.INVENTORY_STATE: state,
        topics.INVENTORY_SOURCES: state,
        topics.ORDERS_STATE: state,
        topics.CHANNEL_ALLOCATIONS: state,
        **dict.fromkeys(topics.REFERENCE_TOPICS, state),
    }


def partitions_of(settings: Settings, name: str) -> int:
    """How many partitions a topic has: reference data is one log each, so that it has one order."""
    return 1 if name in topics.REFERENCE_TOPICS else settings.partitions


async def create(settings: Settings) -> dict[str, str]:
    """Create what is missing; returns `created` or `exists` by topic.

    Raises PartitionMismatchError where a topic has another number of partitions.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        made = {}
        for name, config in configs(settings).items():
            made[name] = await _create_one(admin, settings, name, config)
        await _check(admin, settings)
        return made
    finally:
        await admin.close()


async def _create_one(
    admin: AIOKafkaAdminClient, settings: Settings, name: str, config: Mapping[str, str]
) -> str:
    topic = NewTopic(
        settings.topic(name),
        partitions_of(settings, name),
        settings.replication,
        topic_configs=dict(config),
    )
    response = await admin.create_topics([topic])
    code = response.topic_errors[0][1]
    error = for_code(code)
    if error is TopicAlreadyExistsError:
        return "exists"
    if code:
        raise error(f"topic {topic.name}: {response.topic_errors[0]}")
    return "created"


async def _check(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    wanted = {settings.topic(name): partitions_of(settings, name) for name in configs(settings)}
    for described in await admin.describe_topics(list(wanted)):
        have, want = len(described["partitions"]), wanted[described["topic"]]
        if have not in (0, want):
            raise PartitionMismatchError(f"topic {described['topic']}", have, want)
