"""Records of a fetch are those that aiokafka would give, however many are taken at once."""

import gc
import struct
import sys
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

from local.native import lacking
from runtime.native import run_of
from runtime.records import AsParsed, TakenAtOnce, size_of

TP = TopicPartition("in", 0)
ATTRIBUTES, CRC, LAST_DELTA, RECORDS = 21, 17, 23, 61
CONTROL, BROKERS_TIME = 1 << 5, 1 << 3
NOW = 1_793_606_400_000
ENDS = 5

PartitionRecords = AsParsed.__mro__[1]


def batch(base, kept, length, control, *, brokers_time=False):
    """A batch of `length` offsets of which compaction has kept some."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000)
    for delta in kept:
        key, value = (b"k", b"%d" % (base + delta)) if delta % 3 else (None, b"x" * 200)
        headers = [("name", b"said"), ("nothing", None)][: delta % 4]
        if delta == ENDS:
            value = None
        builder.append(delta, timestamp=NOW - delta, key=key, value=value, headers=headers)
    built = bytearray(builder.build())
    if brokers_time:
        built[ATTRIBUTES + 1] |= BROKERS_TIME
    struct.pack_into(">q", built, 0, base)
    if control:
        built[ATTRIBUTES + 1] |= CONTROL
    struct.pack_into(">i", built, LAST_DELTA, length - 1)
    struct.pack_into(">I", built, CRC, calc_crc32c(bytes(built[ATTRIBUTES:])))
    return bytes(built)


@st.composite
def logs(draw):
    """A log's end as it is fetched, and the offset that was asked for, in the first batch."""
    base = first = draw(st.integers(0, 100))
    found, asked = b"", None
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 6))
        kept = sorted(draw(st.sets(st.integers(0, length - 1))))
        control, brokers = draw(st.integers(0, 5)) == 0, draw(st.booleans())
        found += batch(base, kept, length, control, brokers_time=brokers)
        base += length
        asked = draw(st.integers(first, base - 1)) if asked is None else asked
    return found, asked


def records_of(kind, log, offset, isolation=READ_UNCOMMITTED):
    return kind(TP, MemoryRecords(log), None, offset, None, None, True, isolation)


def told(record):
    """All that anybody asks of a record."""
    headers = list(record.headers)
    return record.offset, record.timestamp, record.key, record.value, headers


@pytest.mark.parametrize("at_once", [True, False])
@given(logs(), st.integers(1, 7), st.integers(0, 80))
def test_records_that_are_taken_are_those_of_aiokafka(at_once, fetched, most, cut):
    log, offset = fetched
    log += batch(1_000, [0, 1], 2, control=False)[:cut]
    whole = records_of(PartitionRecords, log, offset)
    theirs = [told(one) for one in whole]
    ours, records = [], records_of(AsParsed, log, offset)
    if at_once:
        records.find_at_once(log)
        assert (records._run is None) == bool(lacking())
    while not records.is_exhausted():
        taken = records.take(most)
        assert len(taken) <= most
        assert size_of(taken) == sum(len(one.value or b"") for one in taken)
        ours += taken
        if taken:
            assert records.next_fetch_offset > taken[-1].offset
    assert [told(one) for one in ours] == theirs
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


def none(codec, written):
    """Nothing is compressed here."""


compiled = pytest.mark.skipif(bool(lacking()), reason=lacking())


@compiled
def test_a_part_of_a_run_is_one_too():
    run = run_of(batch(10, range(8), 8, control=False), 12, none)
    assert [one.offset for one in run] == [12, 13, 14, 15, 16, 17]
    assert [one.offset for one in run[1:-1][1:]] == [14, 15, 16]
    assert (run[-1].offset, run[0].offset, len(run[9:])) == (17, 12, 0)
    for place in (6, -7):
        with pytest.raises(IndexError):
            run[place]
    with pytest.raises(ValueError, match="gaps"):
        run[::2]
    assert memoryview(run).readonly


@compiled
def test_a_run_keeps_what_it_was_found_in():
    def last():
        return run_of(batch(0, range(3), 3, control=False), 0, none)[2:]

    found = last()
    gc.collect()
    assert [(one.offset, one.value) for one in found] == [(2, b"2")]


@compiled
@given(logs(), st.data())
def test_nothing_is_read_beyond_what_was_fetched_however_damaged(fetched, data):
    log, offset = bytearray(fetched[0]), fetched[1]
    for _ in range(data.draw(st.integers(1, 3))):
        log[data.draw(st.integers(0, len(log) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(log)
    for one in run_of(damaged, offset, none) or ():
        assert (one.key or b"") in damaged
        assert (one.value or b"") in damaged
        assert all((value or b"") in damaged for _, value in one.headers)


@compiled
@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_what_is_compressed_is_found_too(codec):
    plain, log = batch(0, range(6), 6, control=False), b""
    for first in (0, 6):
        builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 10_000)
        for delta in range(6):
            key, value = (None, b"x" * 200) if delta == 3 else (b"k", b"%d" % delta)
            builder.append(delta, timestamp=NOW - delta, key=key, value=value, headers=[])
        built = bytearray(builder.build())
        struct.pack_into(">q", built, 0, first)
        log += bytes(built) + batch(first + 6, [], 0, control=False)
    whole = [told(one) for one in records_of(PartitionRecords, log, 2)]
    records = records_of(AsParsed, log + plain[:20], 2)
    records.find_at_once(log + plain[:20])
    assert records._run is not None
    assert [told(one) for one in records.take(100)] == whole
    assert len(whole) == 10


@compiled
def test_a_run_keeps_what_was_compressed():
    log = bytearray(batch(0, range(3), 3, control=False))
    records = bytes(log[RECORDS:])
    log[ATTRIBUTES + 1] |= 3
    held = sys.getrefcount(records)
    run = run_of(bytes(log), 0, lambda codec, written: records)
    last = run[2:]
    del run
    assert sys.getrefcount(records) == held + 1
    assert [(one.offset, one.value) for one in last] == [(2, b"2")]
    del last
    assert sys.getrefcount(records) == held


@compiled
@pytest.mark.parametrize("codec", [3, 7])
def test_what_cannot_be_decompressed_is_left_to_aiokafka(codec):
    records = bytearray(batch(0, [1, 2], 3, control=False))
    records[ATTRIBUTES + 1] |= codec
    found = records_of(AsParsed, bytes(records), 0)
    found.find_at_once(bytes(records))
    assert found._run is None
    assert not found.is_exhausted()
