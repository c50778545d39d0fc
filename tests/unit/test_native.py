"""The compiled way gives what the general way gives, to the byte, whatever comes in."""

import json
from operator import attrgetter
from random import Random

import msgspec
import pytest
from aiokafka.partitioner import murmur2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from local import native
from models import ledger, rows, stock, topics
from models.native import (
    Pack,
    PlainDeltas,
    PlainEvents,
    StockTable,
    Written,
    by_minute,
    placed,
    write_rows,
)
from models.native import heads as native_heads
from models.reference import Alias, ItemFacts, LocationFacts, SourceFacts
from models.rows import stock_key
from models.stock import empty
from streams import dead_letters, intake, inventory
from streams.engine import documents
from streams.engine.stage import Work
from tests import builders as b
from tests.both import Both
from tests.histories import Run, history
from tests.pipeline import Pipeline, received, topic_of, weighed

HISTORIES = 400


@pytest.fixture(autouse=True)
def compiled():
    lacking = native.lacking()
    if lacking:
        pytest.skip(lacking)
    assert PlainEvents is not None, "run `make setup`"
    assert PlainDeltas is not None, "run `make setup`"


def test_histories_with_crashes_leave_the_same_logs_and_the_same_state():
    events = movements = 0
    for seed in range(HISTORIES):
        both, told = Both(), history(Random(seed))
        for pipeline in (both.compiled, both.general):
            Run(told, Random(seed), pipeline).run()
        assert both.agree(), seed
        taken = both.taken()
        events, movements = events + taken[0], movements + taken[1]
    assert events > HISTORIES
    assert movements > HISTORIES


@pytest.mark.parametrize(
    "event",
    [
        b.sale("p", 2, "09:00"),
        b.sale("p", 2, "09:00", reservation=None),
        b.sale("p", 2, "2026-11-02T09:00:00.5Z"),
        b.sale("p", 2, "2026-11-02T09:00:00.000001+00:00"),
        b.sale("p", 2, "2028-02-29T09:00:00Z"),
        b.sale("p", "2", "09:00"),
        b.sale("p", "0002", "09:00"),
        b.sale("p", 2, "09:00", sentat="2026-11-02T09:00:01Z"),
        b.sale("p", 2, "09:00", epoch=0, subject="till", traceparent=None),
        b.event("pos.sale.returned.v1", "p", 2, "09:00", {
            "transaction": "R", "location": "17", "lines": [
                {"line": 1, "sku": "S", "quantity": 1},
                {"line": 2, "sku": "S", "quantity": 1, "condition": "quality_control"},
                {"line": 7, "sku": "S", "quantity": 1, "condition": "sellable", "uom": "each"},
                {"line": 8, "sku": "S", "quantity": 1, "condition": "damaged", "uom": None},
            ],
        }),
        b.receipt("p-wms", 2, "09:00", 5, advice=None, final=False),
        b.receipt("p-wms", 2, "09:00", 5, condition="damaged", uom="each"),
        b.adjusted("p-wms", 2, "09:00", -5),
        b.adjusted("p-wms", 2, "09:00", 0),
        b.adjusted("p-wms", 2, "09:00", 5, count=None),
        b.disposed("p-desk", 2, "09:00", 3, "restock"),
        b.disposed("p-desk", 2, "09:00", 3, "write_off"),
        b.event("returns.return.disposed.v1", "p-desk", 2, "09:00", {
            "rma": "R2", "location": "17", "disposition": "restock", "lines": [
                {"line": 1, "sku": "S", "quantity": 1, "actual_sku": None, "reason": None},
                {"line": 2, "sku": "T", "quantity": 2, "disposition": "quarantine"},
                {"line": 5, "sku": "S", "quantity": 2, "disposition": "refurbish", "uom": "each"},
            ],
        }),
        b.event("returns.return.disposed.v1", "p-desk", 2, "09:00", {
            "location": "17", "rma": "R2", "disposition": None,
            "lines": [{"line": 2, "sku": "S", "quantity": 2, "disposition": "refurbish"}],
        }),
    ],
)  # fmt: skip
def test_a_plain_event_goes_the_compiled_way_and_comes_to_the_same(event):
    both = Both()
    both.open("p")
    before = both.taken()[0]
    both.send(event, {**event, "id": "again"})
    assert both.taken()[0] == before + 1
    assert both.agree()


def undecided(**line):
    """A decision of which only its line can say what it is."""
    event = b.disposed("p-desk", 2, "09:00", 1, "restock")
    event["data"]["disposition"] = None
    event["data"]["lines"][0] |= line
    return event


@pytest.mark.parametrize(
    "event",
    [
        b.sale("new", 1, "09:00"),
        b.sale("p", 1, "09:00"),
        b.sale("p", 3, "09:00"),
        b.sale("p", 2, "09:00", epoch=1),
        b.sale("p", None, "09:00"),
        b.sale("p", -2, "09:00"),
        b.sale("p", "", "09:00"),
        b.sale("p", "2a", "09:00"),
        b.sale("p", 2.0, "09:00"),
        b.sale("p", 2, "09:00", quantity=0),
        b.sale("p", 2, "09:00", quantity=10**9 + 1),
        b.sale("p", 2, "09:00", quantity=True),
        b.sale("p", 2, "09:00", sku=""),
        b.sale("p", 2, "09:00", sku="S" * 129),
        b.sale("p", 2, "09:00", sku="Apfel-Süß"),
        b.sale("p", 2, "09:00", sku='a"b\\c'),
        b.sale("p", 2, "09:00", location="17\x7f"),
        b.sale("p", 2, "09:00", correlationid="order-1"),
        b.sale("p", 2, "09:00", specversion="1.1"),
        b.sale("p", 2, "2026-11-02T09:00:00+01:00"),
        b.sale("p", 2, "2026-11-02T09:00:00"),
        b.sale("p", 2, "2026-11-02T09:00:60Z"),
        b.sale("p", 2, "2026-02-29T09:00:00Z"),
        b.sale("p", 2, "1999-12-31T09:00:00Z"),
        b.sale("p", 2, "2026-11-02t09:00:00z"),
        b.sale("p", 2, "2026-11-02T09:00:00.0000001Z"),
        {**b.sale("p", 2, "09:00"), "data": {"transaction": "T2", "location": "17", "lines": []}},
        {**b.sale("p", 2, "09:00"), "data": None},
        {**b.sale("p", 2, "09:00"), "id": "x" * 257},
        {**b.sale("p", 2, "09:00"), "type": "warehouse.stock.adjusted.v1"},
        {**b.sale("p", 2, "09:00"), "extra": {"deep": [1]}},
        b.receipt("p-wms", 2, "09:00", 5, advice="N1"),
        b.receipt("p-wms", 2, "09:00", 5, final=True),
        b.receipt("p-wms", 2, "09:00", 5, condition="lost"),
        b.receipt("p-wms", 2, "09:00", 5, uom="case"),
        b.adjusted("p-wms", 2, "09:00", 5, count="C1"),
        b.disposed("p-desk", 2, "09:00", 0, "restock"),
        b.disposed("p-desk", 2, "09:00", 1, "eaten"),
        undecided(),
        undecided(disposition="eaten"),
        undecided(disposition="restock", actual_sku="T"),
        undecided(disposition="restock", reason="torn"),
        {**b.disposed("p-desk", 2, "09:00", 1, "restock"), "type": "returns.return.received.v1"},
    ],
)
def test_what_is_not_plain_goes_the_general_way(event):
    assert not is_taken(event, event["source"])


@pytest.mark.parametrize(
    "event",
    [
        b.sale("p", 2, "09:00"),
        b.receipt("p-wms", 2, "09:00", 5),
        b.adjusted("p-wms", 2, "09:00", 5),
        b.disposed("p-desk", 2, "09:00", 1, "restock"),
        undecided(disposition="restock"),
    ],
)
def test_the_same_without_its_flaw_goes_the_compiled_way(event):
    assert is_taken(event, event["source"])


def is_taken(event, key):
    """Whether an event that stands under `key` at noon is plain; both ways agree anyway."""
    both = Both()
    both.open("p", "q")
    before = both.taken()[0]
    topic = {"p-wms": topics.WAREHOUSE_RECEIPTS, "p-desk": topics.RETURNS_DISPOSITIONS}.get(
        event["source"], topics.POS_SALES
    )
    value = json.dumps(event).encode()
    both.append(topic, key, value, received(b.sale("p", 2, "12:00")))
    both.run()
    assert both.agree()
    return both.taken()[0] == before + 1


@pytest.mark.parametrize("key", [None, "q", "pp", ""])
def test_an_event_under_another_key_is_not_plain(key):
    assert not is_taken(b.sale("p", 2, "09:00"), key)


def test_a_line_that_repeats_a_number_or_goes_back_is_not_plain():
    for numbers in ((1, 1), (2, 1)):
        event = b.sale("p", 2, "09:00")
        event["data"]["lines"] = [{"line": one, "sku": "S", "quantity": 1} for one in numbers]
        assert not is_taken(event, "p")


def test_a_record_that_is_too_large_is_not_plain(monkeypatch):
    for module in (dead_letters, intake):
        monkeypatch.setattr(module, "MAX_RECORD_BYTES", 1000)
    assert is_taken(b.sale("p", 2, "09:00", note="x" * 500), "p")
    assert not is_taken(b.sale("p", 2, "09:00", note="x" * 1000), "p")


@pytest.mark.parametrize("limit", [1, 3, 1_000_000])
def test_documents_are_forgotten_once_before_a_record(monkeypatch, limit):
    monkeypatch.setattr(documents, "MAX_FORGOTTEN", 8)
    both = Both()
    both.send(b.receipt("p-wms", 1, "08:00", 5))
    for number in range(40):
        lines = ("S", 1), ("T", 1)
        both.send(b.advised("p-wms", 2 + number, "08:01", f"A{number:02}", *lines))
    later = [
        b.receipt("p-wms", 42, "2027-06-01T09:00:00Z", 5),
        b.receipt("p-wms", 43, "2027-06-01T09:00:00Z", 5),
        b.advised("p-wms", 44, "2027-06-01T09:00:01Z", "A20", ("S", 1)),
        b.receipt("p-wms", 45, "2027-06-01T09:00:02Z", 5),
    ]
    for event in later:
        both.append(topics.WAREHOUSE_RECEIPTS, "p-wms", json.dumps(event).encode(), received(event))
    both.run(limit)
    announced = [
        key
        for one in both.compiled.state.values()
        for key in one.encoded
        if key.startswith("announced|")
    ]
    assert len(announced) == 40 - 4 * 8 + 1
    assert both.agree()


def test_numbers_beyond_those_of_the_machine_are_left_to_the_general_way():
    both = Both()
    both.open("p")
    for pipeline in (both.compiled, both.general):
        row = pipeline.stock_row()
        row.on_hand = 2**63 - 5
        pipeline.keep(row)
    for sequence in range(2, 5):
        both.send(b.receipt("p-wms", sequence, "09:00", 10))
    assert both.compiled.stock()["on_hand"] == 2**63 + 25
    assert both.agree()


@pytest.mark.parametrize("length", [1, 100])
@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_batch_of_rows_is_no_larger_than_it_was_taken_to_be(length, is_compiled):
    pipeline = Pipeline(partitions=1, compiled=is_compiled)
    sizes = weighed(pipeline.state["inventory", 0])
    source, sku, location = "p" * length, "S" * length, "1" * length
    pipeline.send(b.receipt(f"{source}-wms", 1, "08:00", 500, sku=sku, location=location))
    for sequence in range(1, 40):
        pipeline.send(b.sale(source, sequence, "09:00", sku=sku, location=location))
    assert len(sizes) == 40
    assert all(size <= weight for size, weight in sizes), sizes
    assert not is_compiled or pipeline.inventory._plain.taken > 30


def test_rows_are_written_the_compiled_way(monkeypatch):
    monkeypatch.setattr(inventory, "write_stock", lambda row: b"stock")
    pipeline = Pipeline()
    partition = pipeline.state["inventory", 0]
    pipeline.inventory.opened(partition)
    partition.put("stock|S|17", empty("S", "17", 1, 0))
    assert partition.cut("test", 2).rows == {"stock|S|17": b"stock"}


def test_records_in_a_layout_that_is_not_known_are_refused():
    pipeline = Pipeline()
    work = Work(pipeline.state["intake", 0], {})
    work.turn_to(topics.POS_SALES)
    with pytest.raises(TypeError, match="layout"):
        pipeline.intake.absorb_run(work, b"not records", 0)


@given(st.binary(max_size=40), st.integers(1, 1024))
def test_a_sku_is_placed_where_every_client_places_it(key, partitions):
    assert placed(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


def test_heads_of_ledger_entries_are_found_the_same():
    entries = 0
    for seed in range(HISTORIES // 10):
        pipeline = Pipeline()
        Run(history(Random(seed)), Random(seed), pipeline).run()
        for record in pipeline.log(topics.INVENTORY_LEDGER):
            general = ledger.heads(record.value, compiled=False)
            assert native_heads(record.value) == general
            entries += len(general)
    assert entries > HISTORIES


@pytest.mark.parametrize(
    ("sku", "location"),
    [("S", "1|7"), ("S%", "17"), ("Süß", "17"), ('S"', "17"), ("S\\", "17"), ("S", "a/b c")],
)
def test_heads_of_ledger_entries_have_keys_as_rows_have_them(sku, location):
    pipeline = Pipeline()
    pipeline.send(
        b.sale("p", 1, "09:00", sku=sku, location=location),
        b.count("hh", 1, "10:00", 5, sku=sku, location=location),
    )
    records = [record.value for record in pipeline.log(topics.INVENTORY_LEDGER)]
    found = [head for record in records for head in ledger.heads(record)]
    assert [(head[0], head[4]) for head in found] == [
        (stock_key(sku, location), False),
        (stock_key(sku, location), True),
    ]
    assert [head for one in records for head in ledger.heads(one, compiled=False)] == found


def test_heads_of_what_is_no_ledger_record_are_none():
    pipeline = Pipeline()
    pipeline.send(b.sale("p", 1, "09:00"), b.sale("p", 2, "09:01"))
    (record, *_) = [one.value for one in pipeline.log(topics.INVENTORY_LEDGER)]
    assert native_heads(record)
    for end in range(len(record)):
        assert native_heads(record[:end]) is None
    assert native_heads(record + b" ") is None
    assert native_heads(record.replace(b"[", b"{", 1)) is None
    assert native_heads(b"[]") is None
    assert ledger.heads(b"[]") == []


def test_nothing_is_looked_up_in_reference_data_that_is_still_to_be_read():
    both = Both()
    both.open("p")
    both.put("item", "B", ItemFacts(aliases=[Alias("4006381333931")]))
    event = b.sale("p", 2, "09:00", sku="4006381333931")
    for pipeline in (both.compiled, both.general):
        pipeline.catalog.ends, read = dict.fromkeys(pipeline.catalog.ends, 0), pipeline.catalog.ends
        for number in range(2):
            partition = pipeline.state["intake", number]
            partition.undo()
            pipeline.intake.opened(partition)
        pipeline.append(topics.POS_SALES, "p", json.dumps(event).encode(), received(event))
        for _ in range(3):
            pipeline.step(pipeline.intake, 10)
        assert pipeline.ledger("B") == []
        pipeline.catalog.ends = read
        pipeline.run()
        assert [entry.movement.sku for entry in pipeline.ledger("B")] == ["B"]
    assert both.agree()


def test_reference_data_is_minded():
    both = Both()
    both.open("p", "q")
    both.put("item", "B", ItemFacts(aliases=[Alias("4006381333931")]))
    both.put("location", "17", LocationFacts(zone="Europe/Berlin"))
    both.put("source", "q", SourceFacts(unknown_items="hold"))
    before = both.taken()[0]
    both.send(
        b.sale("p", 2, "09:00"),
        b.sale("p", 3, "09:01", sku="4006381333931"),
        b.sale("q", 2, "09:02", sku="B"),
        b.sale("q", 3, "09:03", sku="C"),
        b.sale("p", 4, "09:04", sku="C"),
    )
    assert both.taken()[0] == before + 2
    assert both.agree()


@pytest.mark.parametrize("with_rule", [False, True])
def test_rows_that_nothing_touched_yet_begin_the_same(with_rule):
    both = Both()
    both.open("p")
    if with_rule:
        rule = {"channel": "web", "share": 60, "buffer": 1, "rank": 0, "locations": None}
        both.send(b.event("onhand.channel.v1", "onhand", None, "08:30", rule))
    both.send(b.count("p-hh", 2, "09:00", 3, sku="Z", location="20", complete=True))
    before = both.taken()[1]
    for sequence in range(2, 40):
        sku, location = f"N{sequence}", ("17", "20")[sequence % 2]
        when = f"{8 + sequence % 3}:{sequence:02}".zfill(5)
        both.send(
            b.sale("p", sequence, when, sku=sku, location=location),
            b.receipt("p-wms", sequence, when, 4, sku=f"M{sequence}", condition="damaged"),
            b.disposed("p-desk", sequence, when, 1, "quarantine", rma=f"R{sequence}", sku=sku),
        )
        both.send(b.sale("p", 100 + sequence, when, sku="a|b%"))
    both.run(7)
    assert both.agree()
    assert (both.taken()[1] - before > 60) == (not with_rule)
    row = both.compiled.stock_row("N39", "20")
    assert row.count == "p-hh-2"


def test_channels_are_told_the_same():
    both = Both()
    both.open("p")
    for channel, share in (("web", 60), ("ebay", 40)):
        rule = {"channel": channel, "share": share, "buffer": 1, "rank": 0, "locations": None}
        both.send(b.event("onhand.channel.v1", "onhand", None, "08:30", rule))
    for sequence, quantity in enumerate([1, 2, 600, 1, 3], start=2):
        both.send(b.sale("p", sequence, f"09:{sequence:02}", quantity))
        both.send(b.receipt("p-wms", sequence, f"09:{sequence:02}", 5, condition="damaged"))
    told = both.compiled.log(topics.CHANNEL_ALLOCATIONS)
    assert len(told) > 5
    assert both.taken()[1] >= 10
    assert both.agree()


taken_of_examples = []
DISPOSITIONS = ["restock", "refurbish", "vendor_return", "write_off", "quarantine"]
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t "])
PLAIN = st.sampled_from(["S", "T", "sku-1", "17", "each"])
ODD = st.one_of(
    st.text(max_size=4),
    st.integers(-(10**19), 10**19),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.lists(st.integers(0, 3), max_size=2),
    st.just({}),
)
KEYS = [
    "specversion", "id", "source", "type", "time", "sequence", "epoch", "sentat", "data",
    "correlationid", "transaction", "location", "lines", "line", "sku", "quantity", "uom",
    "condition", "bucket", "reservation", "business_day", "advice", "final", "count", "reason",
    "receipt", "subject", "rma", "disposition", "actual_sku",
]  # fmt: skip


@st.composite
def written(draw, value, *, odd):
    """`value` as JSON, with spaces, keys in any order; `odd`: some odd, twice, or not there."""
    if isinstance(value, dict):
        members = list(draw(st.permutations(list(value.items()))))
        if odd and draw(st.integers(0, 9)) == 0:
            members.append((draw(st.sampled_from(KEYS)), draw(ODD)))
        if odd and draw(st.integers(0, 19)) == 0 and members:
            members.pop()
        made = [
            f"{draw(SPACE)}{json.dumps(key)}{draw(SPACE)}:{draw(written(one, odd=odd))}"
            for key, one in members
        ]
        return f"{draw(SPACE)}{{{','.join(made)}}}{draw(SPACE)}"
    if isinstance(value, list):
        return (
            f"{draw(SPACE)}[{','.join(draw(written(one, odd=odd)) for one in value)}]{draw(SPACE)}"
        )
    if odd and draw(st.integers(0, 39)) == 0:
        value = draw(ODD)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    return f"{draw(SPACE)}{text}{draw(SPACE)}"


@st.composite
def an_event(draw, sequence):
    line = st.fixed_dictionaries(
        {"line": st.just(0), "sku": PLAIN, "quantity": st.integers(1, 5)},
        optional={
            "uom": st.sampled_from(["each", None]),
            "condition": st.sampled_from(["sellable", "quality_control", "damaged"]),
            "bucket": st.sampled_from(["on_hand", "quality_control", "damaged"]),
            "disposition": st.sampled_from(DISPOSITIONS),
            "actual_sku": st.sampled_from([None, None, "T"]),
        },
    )
    kind = draw(st.sampled_from(["sale", "till_return", "receipt", "adjustment", "disposal"]))
    lines = draw(st.lists(line, min_size=1, max_size=3))
    for number, one in enumerate(lines, start=1):
        one["line"] = number
    fraction = draw(st.sampled_from(["", "", ".5", ".123456", ".000"]))
    zone = draw(st.sampled_from(["Z", "Z", "+00:00", "-00:00", "+01:00"]))
    hour = 8 + min(sequence, 12)
    time = f"2026-11-02T{hour:02}:{draw(st.integers(0, 59)):02}:00{fraction}{zone}"
    type_, document = {
        "sale": ("pos.sale.completed.v1", "transaction"),
        "till_return": ("pos.sale.returned.v1", "transaction"),
        "receipt": ("warehouse.receipt.received.v1", "receipt"),
        "adjustment": ("warehouse.stock.adjusted.v1", "reason"),
        "disposal": ("returns.return.disposed.v1", "rma"),
    }[kind]
    data = {document: f"d-{sequence}", "location": draw(st.sampled_from(["17", "18"])),
            "lines": lines}  # fmt: skip
    if kind == "disposal":
        data[document] = draw(st.sampled_from(["d-1", "d-2", "d|3"]))
        data["disposition"] = draw(st.sampled_from([*DISPOSITIONS, None]))
    source = {"pos": "p", "war": "p-wms", "ret": "p-desk"}[type_[:3]]
    return b.event(type_, source, sequence, time, data)


@settings(
    max_examples=400, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.data())
def test_however_an_event_is_written_both_ways_agree(data):
    both = Both()
    both.open("p")
    sequences = {"p": 1, "p-wms": 1, "p-desk": 1}
    for _ in range(data.draw(st.integers(1, 6))):
        event = data.draw(an_event(2))
        source = event["source"]
        sequences[source] += data.draw(st.sampled_from([1, 1, 1, 1, 0, 2]))
        event["sequence"] = sequences[source]
        odd = data.draw(st.booleans())
        value = bytearray(data.draw(written(event, odd=odd)).encode("utf-8", "surrogatepass"))
        if odd and data.draw(st.integers(0, 4)) == 0:
            value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
        both.append(topic_of(event), source, bytes(value), received(event) + 1000)
    both.run()
    assert both.agree()
    taken_of_examples.append(both.taken()[0])


def test_some_of_what_is_written_was_plain():
    if not taken_of_examples:
        test_however_an_event_is_written_both_ways_agree()
    assert sum(taken_of_examples) > len(taken_of_examples) // 4


def test_a_burst_of_one_source_leaves_the_same_rows_of_hashes_and_of_history():
    both = Both()
    both.open("p")
    for sequence in range(2, 2_000):
        at = f"{9 + sequence // 3600:02}:{sequence // 60 % 60:02}:{sequence % 60:02}"
        event = b.sale("p", sequence, at, sku=f"S{sequence % 7}", location=f"{sequence % 80}")
        both.append(topics.POS_SALES, "p", json.dumps(event).encode(), received(event))
    both.run(300)
    assert both.taken()[0] > 1_900
    assert both.agree()


@pytest.mark.parametrize("location", ["17", "18"])
@pytest.mark.parametrize("disposition", ["restock", "quarantine", "vendor_return", "write_off"])
def test_what_was_decided_on_a_return_is_booked_the_same(location, disposition):
    both = Both()
    both.open("p")
    before = both.taken()[1]
    for sequence, (rma, quantity) in enumerate(
        [("R1", 2), ("R1", 1), ("R%2", 1), ("R3", 4)], start=2
    ):
        at = f"09:{sequence:02}"
        told = b.disposed("p-desk", sequence, at, quantity, disposition, rma=rma, location=location)
        both.send(told)
    line = {"line": 1, "sku": "S", "quantity": 4}
    came = {"rma": "R3", "location": "17", "lines": [line]}
    both.send(b.event("returns.return.received.v1", "p-desk", 6, "09:30", came))
    assert both.agree()
    plain = 2 if disposition != "write_off" else 0
    assert both.taken()[1] - before == plain


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[", b"[[1]", b"[[1],", b"[[1] 2]", b"[3]", b"[]]", b"[[1]]x"]
)
def test_a_record_of_movements_that_is_none_is_told_before_any_is_applied(value):
    pipeline = Pipeline(partitions=1)
    partition = pipeline.state["inventory", 0]
    entries = Pack(10)
    plain = PlainDeltas(trust_origins=True)
    with pytest.raises(ValueError, match="movement"):
        plain.begin(value, StockTable(partition), entries, 0, 0, None)
    plain.begin(b" [] ", StockTable(partition), entries, 0, 0, None)
    assert not plain.advance()
    assert entries.taken() == []


changes = st.builds(
    stock.Change,
    st.integers(-(10**8), 10**9) | st.integers(),
    st.integers(-9, 9) | st.integers(),
    st.text(max_size=5),
    st.integers(0, 9),
    st.integers(),
)


@given(st.lists(changes))
def test_changes_come_to_the_same_by_minute(kept):
    kept = Raw(msgspec.json.encode(kept))
    newest, minutes = stock.by_minute(kept)
    found, compiled = by_minute(kept)
    assert (found, list(compiled.items())) == (newest, list(minutes.items()))


@pytest.mark.parametrize(
    "kept", [Raw(b' [ [60000000, -2,"p",0,1] , [1,3,"]",0,2] ] '), b.nested((7, -1, "p", 0, 1))]
)
def test_changes_in_another_form_come_to_the_same_by_minute(kept):
    assert by_minute(kept) == stock.by_minute(kept)


def test_rows_are_written_the_same_all_at_once():
    kept = [Written(b"%d" % number, stock.HistoryRow) for number in range(40)]
    kept[::3] = [stock.HistoryRow(version=at, links=Raw(b"[]")) for at in range(len(kept[::3]))]
    writers = {Written: attrgetter("value")}
    for number in range(len(kept)):
        told = {f"k{at}": row for at, row in enumerate(kept[:number])}
        general = {key: writers.get(type(row), rows.encode)(row) for key, row in told.items()}
        values, size = write_rows(told, writers, rows.encode)
        assert list(values.items()) == list(general.items())
        assert size == sum(map(len, general.values()))


@pytest.mark.parametrize("stride", [1, 37])
@pytest.mark.parametrize("most", [3, stock.MAX_CHUNKS])
def test_history_makes_room_the_same(monkeypatch, most, stride):
    monkeypatch.setattr(stock, "MAX_CHUNKS", most)
    monkeypatch.setattr(stock, "SUMMED_AT_ONCE", 2)
    both = Both()
    both.open("p")
    for sequence in range(2, 400):
        day, minute = divmod(sequence, 70)
        minute = minute * stride % 70
        event = b.sale(
            "p", sequence, f"2026-11-{2 + day:02}T{9 + minute // 60:02}:{minute % 60:02}:00Z"
        )
        both.append(topics.POS_SALES, "p", json.dumps(event).encode(), received(event))
    both.run(50)
    row = both.compiled.stock_row()
    assert (row.summed > 0) == (most == 3)
    assert row.forgotten > 0
    assert both.taken()[1] > 390
    assert both.agree()


def test_changes_that_are_kept_in_the_form_of_before_are_added_to_the_same():
    both = Both()
    both.open("p")
    both.run()
    before = both.taken()[1]
    at = 1_793_610_000_000_000
    for pipeline in (both.compiled, both.general):
        row = pipeline.stock_row()
        row.recent, row.recent_size = b.nested((at, -1, "q", 0, 1), (at, -2, "q", 0, 2)), 2
        pipeline.keep(row)
    both.send(*(b.sale("p", sequence, "09:00") for sequence in range(2, 12)))
    both.run(4)
    assert both.agree()
    assert both.taken()[1] == before + 9
