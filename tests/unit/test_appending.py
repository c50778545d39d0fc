"""What is appended stands once and in order, whatever a broker answers: before one that numbers."""

import asyncio
from collections import defaultdict

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.produce import ProduceResponse_v7
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.appending import SEQUENCES, Appending
from runtime.batches import Batch

FIRST, SECOND = "first", "second"
GOOD, LOST_BEFORE, LOST_AFTER, LATE = "good", "lost before", "lost after", "late"
MOVED = (NotLeaderForPartitionError.errno,)
TOO_LARGE = (MessageSizeTooLargeError.errno,)


class Brokers:
    """Logs that take each batch of one producer once, in the order of its numbers.

    `faults` happen to one request after the other: to all of it, or codes to its first batches.
    """

    def __init__(self, faults=(), leaders=None):
        self.faults = list(faults)
        self.leaders = leaders or {}
        self.logs = defaultdict(list)
        self.requests = []
        self.updates = 0
        self._next = {}
        self._landed = {}

    def leader_of(self, tp):
        told = self.leaders.get(tp.topic, 1)
        return told.pop(0) if isinstance(told, list) else told

    async def send(self, node, request):
        self.requests.append((node, [(name, one[0]) for name, of in request._topics for one in of]))
        await asyncio.sleep(0)
        fault = self.faults.pop(0) if self.faults else GOOD
        if fault is LOST_BEFORE:
            raise KafkaConnectionError("lost")
        codes = [] if isinstance(fault, str) else list(fault)
        topics = []
        for topic, partitions in request._topics:
            told = []
            for number, records in partitions:
                code = codes.pop(0) if codes else 0
                at = (code, -1) if code else self._append((topic, number), bytes(records))
                told.append((number, *at, -1, 0))
            topics.append((topic, told))
        if fault is LOST_AFTER:
            raise KafkaConnectionError("lost")
        if fault is LATE:
            raise RequestTimedOutError
        return ProduceResponse_v7(topics, 0)

    def _append(self, place, records):
        batch = DefaultRecordBatch(records)
        first, found = batch.base_sequence, [record.value for record in batch]
        if (place, first) in self._landed:
            return 0, self._landed[place, first]
        if first != self._next.get(place, first):
            return OutOfOrderSequenceNumber.errno, -1
        self._next[place] = (first + len(found)) % SEQUENCES
        self._landed[place, first] = len(self.logs[place])
        self.logs[place] += found
        return 0, self._landed[place, first]


async def case_of(brokers, work):
    """Run `work` with an appending and its producer, which is connected to nothing but brokers."""
    producer = AIOKafkaProducer(enable_idempotence=True, acks="all", retry_backoff_ms=1)

    def update():
        brokers.updates += 1
        done = asyncio.get_running_loop().create_future()
        done.set_result(True)
        return done

    async def know(topic):
        return {0, 1}

    producer.client.send = brokers.send
    producer.client.force_metadata_update = update
    producer.client._wait_on_metadata = know
    producer.client.cluster.leader_for_partition = brokers.leader_of
    producer.client.cluster.partitions_for_topic = lambda topic: {0, 1}
    producer._txn_manager.set_pid_and_epoch(7, 0)
    await producer._sender.start()
    try:
        async with asyncio.timeout(5):
            return await work(Appending(producer), producer)
    finally:
        async with asyncio.timeout(5):
            await producer.stop()


def run(brokers, work):
    return asyncio.run(case_of(brokers, work))


def batch_of(*values):
    return Batch([(None, value, []) for value in values], 2**20, 0)


def test_what_is_given_at_once_goes_in_one_request_to_each_broker():
    brokers = Brokers(leaders={SECOND: 2})

    async def work(appending, producer):
        given = [(FIRST, 0), (FIRST, 1), (SECOND, 0)]
        return [
            await asyncio.gather(
                *(appending.append(batch_of(b"a", b"b"), *place) for place in given)
            )
            for _ in range(2)
        ]

    assert run(brokers, work) == [[0, 0, 0], [2, 2, 2]]
    both = [(1, [(FIRST, 0), (FIRST, 1)]), (2, [(SECOND, 0)])]
    assert brokers.requests == both + both


@pytest.mark.parametrize("fault", [LOST_BEFORE, LOST_AFTER, LATE, MOVED])
def test_what_did_not_go_well_is_appended_again_until_it_stands(fault):
    brokers = Brokers([GOOD, fault, fault])

    async def work(appending, producer):
        landed = []
        for value in (b"1", b"2", b"3"):
            given = [appending.append(batch_of(value), FIRST, one) for one in (0, 1)]
            landed.append(await asyncio.gather(*given))
        assert not producer._message_accumulator._pending_batches
        return landed

    assert run(brokers, work) == [[0, 0], [1, 1], [2, 2]]
    assert dict(brokers.logs) == {(FIRST, one): [b"1", b"2", b"3"] for one in (0, 1)}
    assert bool(brokers.updates) == (fault in (MOVED, LOST_BEFORE, LOST_AFTER))


def test_what_never_will_land_raises_and_the_rest_lands():
    brokers = Brokers([TOO_LARGE])

    async def work(appending, producer):
        given = [appending.append(batch_of(b"1"), FIRST, one) for one in (0, 1)]
        return await asyncio.gather(*given, return_exceptions=True)

    error, landed = run(brokers, work)
    assert isinstance(error, MessageSizeTooLargeError)
    assert landed == 0
    assert len(brokers.requests) == 1


def test_what_never_will_land_is_told_while_the_rest_is_appended_again():
    brokers = Brokers([TOO_LARGE + MOVED, *[MOVED] * 10_000])

    async def work(appending, producer):
        refused, other = (appending.append(batch_of(b"1"), FIRST, one) for one in (0, 1))
        with pytest.raises(MessageSizeTooLargeError):
            await refused
        assert not other.done()
        brokers.faults.clear()
        return await other

    assert run(brokers, work) == 0


def test_nothing_is_taken_once_all_is_finished():
    async def work(appending, producer):
        await appending.finish()
        with pytest.raises(ProducerClosed):
            appending.append(batch_of(b"1"), FIRST, 0)

    run(Brokers(), work)


def test_what_no_topic_takes_stops_no_other():
    brokers = Brokers(leaders={FIRST: [None, 1], SECOND: None})

    async def work(appending, producer):
        known = producer.client._wait_on_metadata

        async def know(topic):
            if topic == SECOND:
                raise UnknownTopicOrPartitionError
            return await known(topic)

        producer.client._wait_on_metadata = know
        given = [appending.append(batch_of(b"1"), one, 0) for one in (FIRST, SECOND)]
        return await asyncio.gather(*given, return_exceptions=True)

    landed, error = run(brokers, work)
    assert landed == 0
    assert isinstance(error, UnknownTopicOrPartitionError)


def test_what_has_no_leader_waits_for_one():
    brokers = Brokers(leaders={FIRST: [None, None, -1, 3], SECOND: 2})

    async def work(appending, producer):
        given = [appending.append(batch_of(b"1"), one, 0) for one in (FIRST, SECOND)]
        return await asyncio.gather(*given)

    assert run(brokers, work) == [0, 0]
    assert (3, [(FIRST, 0)]) in brokers.requests
    assert brokers.updates


@pytest.mark.parametrize("leaders", [{}, {FIRST: [1, None, 1, 1, 1, 1]}])
def test_numbers_begin_again_at_the_end_of_all_numbers(leaders):
    brokers = Brokers([GOOD, LOST_AFTER], leaders=leaders)

    async def work(appending, producer):
        producer._txn_manager._sequence_numbers[TopicPartition(FIRST, 0)] = SEQUENCES - 3
        return [await appending.append(batch_of(b"a", b"b"), FIRST, 0) for _ in range(3)]

    assert run(brokers, work) == [0, 2, 4]


def test_a_partition_has_one_batch_at_a_time():
    async def work(appending, producer):
        landing = appending.append(batch_of(b"1"), FIRST, 0)
        with pytest.raises(ValueError, match="first/0"):
            appending.append(batch_of(b"2"), FIRST, 0)
        return await landing

    assert run(Brokers(), work) == 0


def test_to_finish_is_to_wait_for_what_is_under_way():
    brokers = Brokers([LOST_BEFORE, LOST_BEFORE])

    async def work(appending, producer):
        landing = appending.append(batch_of(b"1"), FIRST, 0)
        await appending.finish()
        await appending.finish()
        return landing.done()

    assert run(brokers, work)


def test_who_no_longer_awaits_a_batch_stops_no_other():
    async def work(appending, producer):
        given_up, landing = (appending.append(batch_of(b"1"), FIRST, one) for one in (0, 1))
        given_up.cancel()
        return await landing

    assert run(Brokers(), work) == 0


def test_a_producer_that_failed_for_good_appends_nothing_again():
    async def work(appending, producer):
        producer._message_accumulator._exception = OutOfOrderSequenceNumber()
        with pytest.raises(OutOfOrderSequenceNumber):
            await appending.append(batch_of(b"1"), FIRST, 0)

    run(Brokers([LOST_BEFORE]), work)


steps = st.lists(
    st.dictionaries(
        st.sampled_from([(FIRST, 0), (FIRST, 1), (SECOND, 0)]), st.integers(1, 3), min_size=1
    ),
    max_size=6,
)
faults = st.lists(st.sampled_from([GOOD, LOST_BEFORE, LOST_AFTER, LATE, MOVED]), max_size=12)


@given(steps, faults, st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=60)
def test_every_log_has_what_was_given_once_and_in_order(steps, faults, broker):
    brokers = Brokers(faults, leaders={SECOND: broker})
    expected = defaultdict(list)

    async def work(appending, producer):
        for number, step in enumerate(steps):
            ends = {place: len(expected[place]) for place in step}
            given = {}
            for place, size in step.items():
                values = [b"%d.%d" % (number, one) for one in range(size)]
                expected[place] += values
                given[place] = appending.append(batch_of(*values), *place)
            assert {place: await landing for place, landing in given.items()} == ends

    run(brokers, work)
    assert dict(brokers.logs) == {place: values for place, values in expected.items() if values}
