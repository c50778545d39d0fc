"""Records of a fetch are those that aiokafka would give, however many are taken at once."""

import gc
import struct
import weakref
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from runtime.records import AsParsed, TakenAtOnce

TP = TopicPartition("in", 0)
ATTRIBUTES, CRC, LAST_DELTA = 21, 17, 23
CONTROL = 1 << 5

PartitionRecords = AsParsed.__mro__[1]


def batch(base, kept, length, control):
    """A batch of `length` offsets of which compaction has kept some."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000)
    for delta in kept:
        builder.append(delta, timestamp=delta, key=b"k", value=b"%d" % (base + delta), headers=[])
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, base)
    if control:
        built[ATTRIBUTES + 1] |= CONTROL
    struct.pack_into(">i", built, LAST_DELTA, length - 1)
    struct.pack_into(">I", built, CRC, calc_crc32c(bytes(built[ATTRIBUTES:])))
    return bytes(built)


@st.composite
def logs(draw):
    """A log's end as it is fetched, and the offset that was asked for."""
    base = first = draw(st.integers(0, 100))
    found = b""
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 6))
        kept = sorted(draw(st.sets(st.integers(0, length - 1))))
        found += batch(base, kept, length, draw(st.integers(0, 5)) == 0)
        base += length
    return found, draw(st.integers(first, base))


def records_of(kind, log, offset, isolation=READ_UNCOMMITTED):
    return kind(TP, MemoryRecords(log), None, offset, None, None, True, isolation)


@given(logs(), st.integers(1, 7))
def test_records_that_are_taken_are_those_of_aiokafka(fetched, most):
    log, offset = fetched
    whole = records_of(PartitionRecords, log, offset)
    theirs = [(one.offset, one.timestamp, one.key, one.value) for one in whole]
    ours, records = [], records_of(AsParsed, log, offset)
    while not records.is_exhausted():
        taken = records.take(most)
        assert len(taken) <= most
        ours += taken
        if taken:
            assert records.next_fetch_offset > taken[-1].offset
    assert [(one.offset, one.timestamp, one.key, one.value) for one in ours] == theirs
    assert records.next_fetch_offset == whole.next_fetch_offset


class State:
    """Where a partition is read on."""

    def __init__(self, position):
        self.position = position
        self.paused = False

    def consumed_to(self, position):
        self.position = position


def fetched(kind, log, offset):
    """A fetch of a partition that is read from `offset` on, and how far it was read."""
    state = State(offset)
    assignment = SimpleNamespace(active=True, state_value=lambda tp: state)
    records = records_of(AsParsed, log, offset)
    found = kind(TP, assignment=assignment, partition_records=records, backoff=0)
    return found, state


def test_a_batch_that_was_damaged_is_told_once_and_fetched_again():
    good, bad = batch(2, [0, 1], 2, False), bytearray(batch(0, [0, 1], 2, False))
    bad[-1] ^= 1
    found, state = fetched(TakenAtOnce, bytes(bad) + good, 0)
    with pytest.raises(CorruptRecordException):
        found.getall(5)
    assert found.getall(5) == []
    assert not found.has_more()
    assert state.position == 0


def test_what_was_fetched_is_let_go_of_with_what_was_taken():
    gc.collect()
    gc.disable()
    try:
        found, _ = fetched(TakenAtOnce, batch(0, [0, 1, 2], 3, False), 0)
        held = weakref.ref(found._partition_records)
        assert len(found.getall()) == 3
        assert held() is None
        found, _ = fetched(TakenAtOnce, batch(0, [0, 1, 2], 3, False), 0)
        held = weakref.ref(found._partition_records)
        assert len(found.getall(1)) == 1
        del found
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("moves", ["seek", "pause"])
def test_what_is_left_of_a_fetch_is_not_taken_after_a_seek_or_a_pause(moves):
    found, state = fetched(TakenAtOnce, batch(0, [0, 1, 2], 3, False), 0)
    assert [one.offset for one in found.getall(2)] == [0, 1]
    assert state.position == 2
    if moves == "seek":
        state.position = 0
    else:
        state.paused = True
    assert found.getall(2) == []
    assert not found.has_more()


@given(logs(), st.lists(st.integers(0, 3)))
def test_one_record_or_several_at_once_are_taken_in_order(log, turns):
    whole = [one.offset for one in records_of(PartitionRecords, *log)]
    found, _ = fetched(TakenAtOnce, *log)
    taken = []
    for most in turns:
        taken += found.getall(most) if most else filter(None, [found.getone()])
    taken += found.getall()
    assert [one.offset for one in taken] == whole
