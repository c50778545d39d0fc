"""Any bytes become events or coded refusals, never an exception."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import topics
from models.decoding import Decoder
from models.outcomes import Code
from tests import builders as b

SALES = Decoder(topics.POS_SALES)


def codes(value, decoder=SALES):
    return [letter.code for one in decoder.elements(value) for letter in one.rejected]


def changed(**fields):
    return b.encoded({**b.sale("p", 1, "09:00"), **fields})


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, Code.INVALID),
        (b"", Code.INVALID),
        (b"[]", Code.INVALID),
        (b"null", Code.INVALID),
        (b"{}", Code.INVALID),
        (b"\xff", Code.INVALID),
        (b"[" * 50_000, Code.INVALID),
        (changed(time=None), Code.INVALID),
        (changed(time="1066-10-14T09:00:00Z"), Code.INVALID),
        (changed(specversion="0.3"), Code.INVALID),
        (changed(sequence=-1), Code.INVALID),
        (changed(sequence=True), Code.INVALID),
        (changed(sequence="12a"), Code.INVALID),
        (changed(epoch=-1), Code.INVALID),
        (changed(source=""), Code.INVALID),
        (changed(data=[]), Code.INVALID),
        (changed(type="pos.sale.completed.v2"), Code.UNKNOWN_TYPE),
        (changed(type="warehouse.receipt.received.v1"), Code.WRONG_TOPIC),
        (changed(type="onhand.tick.v1"), Code.WRONG_TOPIC),
        (changed(type="pos.sale.voided.v9"), Code.UNKNOWN_TYPE),
        (changed(type="source.heartbeat.v1"), Code.INVALID),
        (changed(type="source.heartbeat.v1", data={"sequence": -1}), Code.INVALID),
        (b.encoded(b.sale("p", 1, "09:00", 0)), Code.INVALID),
        (b.encoded(b.sale("p", 1, "09:00", 10**9 + 1)), Code.INVALID),
        (b.encoded(b.sale("p", 1, "09:00", 1.0)), Code.INVALID),
        (b'{"type":"pos.sale.completed.v1","source":"\\ud800"}', Code.INVALID),
    ],
)
def test_what_is_wrong_has_a_code(value, code):
    assert codes(value) == [code]
    assert SALES.single(value) is None


def test_unknown_fields_key_order_and_digits_as_text_are_tolerated():
    event = SALES.single(changed(sequence="0012", colour="red", datacontenttype="x"))
    assert event is not None
    assert int(event.sequence) == 12


def test_lines_with_one_number_are_refused_but_the_first():
    sale = b.sale("p", 1, "09:00")
    sale["data"]["lines"] *= 2
    (one,) = SALES.elements(b.encoded(sale))
    assert len(one.event.data.lines) == 1
    assert [letter.code for letter in one.rejected] == [Code.INVALID]


def test_a_bad_line_does_not_take_its_event_along():
    sale = b.sale("p", 1, "09:00")
    sale["data"]["lines"] += [{"line": 2, "sku": "S"}, {"line": 3, "sku": "T", "quantity": 5}]
    (one,) = SALES.elements(b.encoded(sale))
    assert [line.line for line in one.event.data.lines] == [1, 3]
    assert one.open_lines == (2,)
    assert one.rejected[0].original == b.encoded(sale)


def test_an_elements_letter_is_its_own_slice():
    good = b.encoded(b.sale("p", 1, "09:00"))
    value = b'[ %b ,  {"a" : 1} ,%b]' % (good, good)
    found = SALES.elements(value)
    assert [one.event is None for one in found] == [False, True, False]
    assert found[1].rejected[0].original == b'{"a" : 1}'
    assert found[1].rejected[0].place == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"counted_at": "9999-12-31T23:59:59-14:00"},
        {"counted_at": "0001-01-01T00:00:00+14:00"},
        {"counted_at": "2026-11-02T10:00:01Z"},
    ],
)
def test_a_count_cannot_name_a_time_that_no_row_can_hold(fields):
    made = b.count("hh", 1, "10:00", 5)
    made["data"]["lines"][0].update(fields)
    assert codes(b.encoded(made), Decoder(topics.WAREHOUSE_RECEIPTS)) == [Code.INVALID]


def test_a_refused_line_never_goes_by_the_number_of_a_good_one():
    sale = b.sale("p", 1, "09:00")
    sale["data"]["lines"] = [
        {"line": 2, "sku": "A", "quantity": 5},
        {"sku": "B", "quantity": 3},
        {"line": 2, "sku": "C", "quantity": 1},
        {"line": 7, "sku": "D", "quantity": 0},
    ]
    (one,) = SALES.elements(b.encoded(sale))
    assert [line.sku for line in one.event.data.lines] == ["A"]
    assert one.open_lines == (7,)
    assert len(one.rejected) == 1


def test_many_bad_lines_are_one_letter_and_too_many_lines_no_event():
    sale = b.sale("p", 1, "09:00")
    good = sale["data"]["lines"]
    sale["data"]["lines"] = good + [{}] * 9_999
    (one,) = SALES.elements(b.encoded(sale))
    assert (one.event is not None, len(one.rejected)) == (True, 1)
    sale["data"]["lines"] = good + [{}] * 10_000
    (one,) = SALES.elements(b.encoded(sale))
    assert (one.event is None, len(one.rejected)) == (True, 1)


@given(st.binary(max_size=300))
def test_no_bytes_raise(value):
    for topic in topics.INPUT_TOPICS:
        decoder = Decoder(topic)
        if decoder.single(value) is None:
            assert decoder.elements(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.data())
def test_no_field_of_any_shape_raises(data):
    event = b.sale("p", 1, "09:00")
    where = data.draw(st.sampled_from([*event, "data.lines", "data.location", "data.lines.0.sku"]))
    target, path = event, where.split(".")
    for part in path[:-1]:
        target = target[int(part)] if part.isdigit() else target[part]
    target[path[-1]] = data.draw(json_values)
    for value in (event, [event, event]):
        encoded = json.dumps(value).encode()
        assert SALES.elements(encoded)
        SALES.single(encoded)
