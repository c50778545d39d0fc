"""A batch is to the byte the one that aiokafka would build, and a damaged one is seen."""

from unittest.mock import patch

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from local.native import lacking
from runtime import batches, native
from runtime.batches import Batch, Values, is_sound, packed, packed_generally

NOW = 1_793_606_400_000
WRITER = 2**40, 7, 2**31 - 1
ROOM = 2**40
FORMAT_AT = 16
HEAD = 61

some = st.sampled_from([0, 1, 63, 64, 8_191, 8_192]).map(lambda size: b"x" * size) | st.binary()
headers = st.just([]) | st.lists(st.tuples(st.text(max_size=9), st.none() | some), max_size=3)
records = st.lists(
    st.tuples(st.none() | some | st.text(), st.none() | some, headers), min_size=1, max_size=70
)


def test_words_that_come_again_are_sent_shortly():
    records = [(b"stock|sku-%d|L1" % one, b'{"on_hand":%d}' % one, []) for one in range(1_000)]
    batch = Batch(records, ROOM, NOW)
    before = batch.size()
    batch.compress()
    once = batch.size()
    batch.compress()
    assert batch.size() == once < before / 2


def built(records, most=ROOM):
    batch = Batch(records, most, NOW)
    batch._set_producer_state(*WRITER)
    return batch._build()


@given(records)
def test_a_batch_is_the_one_that_aiokafka_would_build(records):
    theirs = BatchBuilder(ROOM, 0)
    for name, value, told in records:
        key = name.encode() if isinstance(name, str) else name
        theirs.append(timestamp=NOW, key=key, value=value, headers=told)
    theirs._set_producer_state(*WRITER)
    batch = Batch(records, ROOM, NOW)
    assert (batch.record_count(), batch.size()) == (len(records), theirs.size())
    batch._set_producer_state(*WRITER)
    assert batch._build() == bytes(theirs._build())


@pytest.mark.skipif(bool(lacking()), reason=lacking())
@given(records, st.integers(0, 20_000))
def test_records_that_are_packed_in_c_are_packed_alike(records, most):
    assert native.packed is not None, "run `make setup`"
    assert packed(records, most) == packed_generally(records, most)


@given(st.dictionaries(st.text(max_size=9), some, max_size=70), records, st.integers(0, 20_000))
def test_values_by_their_keys_are_packed_as_the_records_that_they_are(values, rest, most):
    one_by_one = [*((key, value, []) for key, value in values.items()), *rest]
    keyed = Values(values, rest)
    assert list(keyed) == one_by_one
    assert (len(keyed), keyed[-1], keyed[1:]) == (len(one_by_one), rest[-1], one_by_one[1:])
    assert packed(keyed, most) == packed_generally(keyed, most)
    assert packed(keyed, most) == packed_generally(one_by_one, most)


@given(records)
def test_a_batch_that_is_compressed_has_the_same_records(records):
    plain, small = Batch(records, ROOM, NOW), Batch(records, ROOM, NOW)
    small.compress()
    assert small.record_count() == plain.record_count()
    small._set_producer_state(*WRITER)
    sent = small._build()
    assert is_sound(sent)
    batch = MemoryRecords(sent).next_batch()
    assert batch.compression_type == (3 if plain.size() >= HEAD + 1_000 else 0)
    told = [(one.key, one.value, one.headers) for one in batch]
    assert told == [
        (name.encode() if isinstance(name, str) else name, value, headers)
        for name, value, headers in records
    ]


@given(records, st.integers(0, 20_000))
def test_a_batch_takes_what_has_room_and_one_record_at_least(records, most):
    taken = Batch(records, most, NOW).record_count()
    assert taken == 1 or len(packed(records[:taken], ROOM)[0]) <= most
    assert taken == len(records) or len(packed(records[: taken + 1], ROOM)[0]) > most


def test_a_batch_that_is_appended_again_may_have_other_numbers():
    batch = Batch([(b"key", b"value", [])], ROOM, NOW)
    batch._set_producer_state(1, 0, 0)
    first = batch._build()
    batch._set_producer_state(*WRITER)
    assert batch._build() == built([(b"key", b"value", [])]) != first


@pytest.mark.parametrize("pack", [packed, packed_generally])
@pytest.mark.parametrize(
    "record", [5, (b"key", b"value"), (b"key", "value", []), (7, b"", []), (b"key", b"", None)]
)
def test_what_is_no_record_is_refused(pack, record):
    with pytest.raises((TypeError, ValueError)):
        pack([record], ROOM)


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="one record"):
        Batch([], ROOM, NOW)


@given(records)
def test_aiokafka_sums_where_the_processor_cannot(records):
    fast = built(records)
    with patch.object(batches, "IS_FAST", new=False):
        assert built(records) == fast
        assert not is_sound(fast)


@given(st.lists(records, min_size=1, max_size=3), st.data())
def test_one_damaged_byte_of_what_is_summed_is_seen(several, data):
    fetched = b"".join(map(built, several))
    assert is_sound(fetched)
    at = data.draw(st.integers(FORMAT_AT, len(built(several[0])) - 1))
    damaged = bytearray(fetched)
    damaged[at] ^= data.draw(st.integers(1, 255))
    assert not is_sound(bytes(damaged))


@given(records, records, st.data())
def test_the_last_batch_may_be_cut_off(first, second, data):
    whole, cut = built(first), built(second)
    assert is_sound(whole + cut[: data.draw(st.integers(0, len(cut) - 1))])
