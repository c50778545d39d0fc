"""Reading a whole log once, as commands do."""

from collections.abc import AsyncIterator, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.settings import Settings
from streams.topics import partitions_of


async def whole(settings: Settings, topic: str) -> AsyncIterator[tuple[int, list[ConsumerRecord]]]:
    """The records of a topic from its start to its end as of now, in runs by partition."""
    name = settings.topic(topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, fetch_max_wait_ms=100)
    await consumer.start()
    try:
        numbers = range(partitions_of(settings, topic))
        everywhere = [TopicPartition(name, number) for number in numbers]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        ends = await consumer.end_offsets(everywhere)
        left = {tp for tp in everywhere if ends[tp] > await consumer.position(tp)}
        while left:
            batch = await consumer.getmany(*left, timeout_ms=1000, max_records=20_000)
            for tp, records in batch.items():
                run = [record for record in records if record.offset < ends[tp]]
                if run:
                    yield tp.partition, run
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()


async def ends_of(settings: Settings, names: Iterable[str]) -> dict[str, list[int]]:
    """The offset after the last record of each partition, by topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
    await consumer.start()
    try:
        found = {}
        for name in names:
            numbers = range(partitions_of(settings, name))
            everywhere = [TopicPartition(settings.topic(name), number) for number in numbers]
            ends = await consumer.end_offsets(everywhere)
            found[name] = [ends[tp] for tp in everywhere]
        return found
    finally:
        await consumer.stop()
