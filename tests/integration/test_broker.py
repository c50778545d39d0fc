"""What the engine needs of a real broker: whole batches, in order, where it expects them."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from models import topics
from runtime import native
from runtime.appending import SEQUENCES
from runtime.fetching import WORKER_REST, pace
from runtime.preparing import prepare
from streams import topics as topic_setup
from streams.engine.failpoints import Failpoints
from streams.engine.ownership import GroupOwnership
from streams.engine.sender import OUTPUT_BATCH_BYTES, BatchTooLargeError, Sender
from streams.errors import PartitionMismatchError
from streams.settings import Settings


@pytest.fixture(scope="module")
def settings(bootstrap) -> Settings:
    made = Settings(kafka=bootstrap, prefix="broker.", partitions=2)
    asyncio.run(topic_setup.create(made))
    return made


def test_creating_topics_again_changes_nothing(settings):
    assert set(asyncio.run(topic_setup.create(settings)).values()) == {"exists"}


def test_another_number_of_partitions_is_refused(settings):
    other = settings.model_copy(update={"partitions": 3})
    with pytest.raises(PartitionMismatchError):
        asyncio.run(topic_setup.create(other))


def read(settings: Settings, topic: str, partition: int) -> list:
    async def work() -> list:
        consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
        await consumer.start()
        tp = TopicPartition(settings.topic(topic), partition)
        try:
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            end = (await consumer.end_offsets([tp]))[tp]
            found: list = []
            while await consumer.position(tp) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += records
            return found
        finally:
            await consumer.stop()

    return asyncio.run(work())


def with_sender(settings: Settings, case):
    async def work():
        sender = Sender(settings.kafka, "test", Failpoints(), settings.compression)
        await sender.start()
        try:
            return await case(sender)
        finally:
            await sender.stop()

    return asyncio.run(work())


def test_a_state_batch_lands_whole_and_says_where(settings):
    topic = settings.topic("orders.state")

    async def case(sender: Sender):
        first = await sender.send_state({(topic, 0): [(b"a", b"1", []), (b"b", b"2", [])]})
        second = await sender.send_state(
            {(topic, 0): [("c", b"3", [])], (topic, 1): [(b"d", b"4", [])]}
        )
        return first, second

    first, second = with_sender(settings, case)
    assert first[topic, 0] + 2 == second[topic, 0]
    assert [record.value for record in read(settings, "orders.state", 0)] == [b"1", b"2", b"3"]


def test_a_state_batch_that_does_not_fit_is_not_sent(settings):
    topic = settings.topic("inventory.state")
    rows = [(b"%d" % number, bytes(1024 * 1024), []) for number in range(30)]
    with pytest.raises(BatchTooLargeError):
        with_sender(settings, lambda sender: sender.send_state({(topic, 0): rows}))
    assert read(settings, "inventory.state", 0) == []


def test_outputs_of_any_size_keep_their_order(settings):
    topic = settings.topic("inventory.ledger")
    size = OUTPUT_BATCH_BYTES // 3
    records = [(None, b"%04d" % number + bytes(size), []) for number in range(10)]
    with_sender(settings, lambda sender: sender.send_outputs({(topic, 0): records}))
    found = [int(record.value[:4]) for record in read(settings, "inventory.ledger", 0)]
    assert found == list(range(10))


def test_a_dead_letter_keeps_its_headers(settings):
    topic = settings.topic("inventory.dead-letters")
    record = (b"key", b"\xff\x00", [("onhand-code", b"invalid")])
    with_sender(settings, lambda sender: sender.send_outputs({(topic, 1): [record]}))
    (found,) = read(settings, "inventory.dead-letters", 1)
    assert (found.key, found.value, list(found.headers)) == (
        b"key",
        b"\xff\x00",
        [("onhand-code", b"invalid")],
    )


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_inputs_may_be_compressed_by_any_client(settings, codec):
    tp = TopicPartition(settings.topic(topics.POS_SALES), 0)
    values = [b"%d" % one * 50 for one in range(200)]

    async def work():
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, compression_type=codec)
        consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
        await producer.start()
        await consumer.start()
        pace(consumer._fetcher, WORKER_REST)
        try:
            acks = [await producer.send(tp.topic, value, partition=0) for value in values]
            consumer.assign([tp])
            consumer.seek(tp, (await acks[0]).offset)
            runs = []
            while sum(map(len, runs)) < len(values):
                runs += (await consumer.getmany(timeout_ms=1000)).values()
            return runs
        finally:
            await producer.stop()
            await consumer.stop()

    prepare()
    runs = asyncio.run(asyncio.wait_for(work(), 30))
    assert [record.value for run in runs for record in run] == values
    assert {type(run) for run in runs} == {native.Run or list}


def test_a_broker_takes_the_numbers_that_begin_again(settings):
    topic = settings.topic("orders.state")

    async def case(sender: Sender):
        numbers = sender._producer._txn_manager._sequence_numbers
        numbers[topic, 1] = SEQUENCES - 3
        rows = [(b"a", b"1", []), (b"b", b"2", [])]
        return [(await sender.send_state({(topic, 1): rows}))[topic, 1] for _ in range(3)]

    first, *rest = with_sender(settings, case)
    assert rest == [first + 2, first + 4]


def test_to_read_what_is_not_there_reads_nothing(settings):
    async def case():
        ownership = GroupOwnership(settings.kafka, None)
        name = settings.topic(topics.INVENTORY_STATE)
        return [run async for run in ownership.read(name, 1, 0, 0)]

    assert asyncio.run(case()) == []
