"""Stock rows that are empty leave the state, so long after the log last changed them."""

import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import native, stock, topics
from models.days import DaysRow
from models.rows import Deleted, decode, encode, parts
from models.stock import may_be_empty
from streams import dormant
from streams.engine.partition import Partition
from streams.engine.replaying import replay_run
from streams.inventory import Inventory
from tests import builders as b
from tests.both import Both
from tests.pipeline import Pipeline

DAYS = 10
DAY_MS = 86_400_000

_numbers = count(1)


def later(pipeline, days, limit=1_000_000):
    """Let so many days pass: every partition of the inventory takes a record."""
    at = pipeline.clock + days * DAY_MS
    for _ in range(16):
        name = f"later-{next(_numbers)}"
        event = b.encoded(b.receipt(name, 1, "10:00", 1, sku=name))
        pipeline.append(topics.WAREHOUSE_RECEIPTS, name, event, at)
    pipeline.run(limit)


def kinds(pipeline, sku="S"):
    """The kinds of rows that there are of a SKU."""
    partitions = [pipeline.state["inventory", number] for number in range(2)]
    keys = [parts(key) for partition in partitions for key in partition.encoded]
    return {kind for kind, *names in keys if sku in names}


def leaves_after_its_days(pipeline):
    """Whether the only row of the SKU is there at the end of its days, and not on the next."""
    later(pipeline, DAYS)
    before = kinds(pipeline)
    later(pipeline, 1)
    return (before, kinds(pipeline)) == ({"stock"}, set())


def damaged(quantity, sequence):
    line = {"line": 1, "sku": "S", "quantity": quantity, "bucket": "damaged"}
    return b.adjusted("wms", sequence, "11:00", 0, lines=[line])


EMPTIED = [b.count("hh", 1, "09:00", 2), b.sale("p", 1, "10:00", 2)]

EMPTY = {
    "all was sold": EMPTIED,
    "it was sold and never counted": [b.receipt("wms", 1, "09:00", 2), b.sale("p", 1, "10:00", 2)],
    "nothing was found": [b.count("hh", 1, "09:00", 0)],
    "what was held was released": [
        *EMPTIED,
        b.requested("R", "11:00", ("S", 1)),
        b.order("released", "R", "11:30"),
    ],
    "what was lacking came": [
        *EMPTIED,
        damaged(-1, 1),
        damaged(1, 2),
    ],
}

NOT_EMPTY = {
    "a unit is there": [b.count("hh", 1, "09:00", 1)],
    "a unit too many was sold": [b.count("hh", 1, "09:00", 1), b.sale("p", 1, "10:00", 2)],
    "a unit is damaged": [b.receipt("wms", 1, "09:00", 1, condition="damaged")],
    "a unit waits to be looked at": [
        b.receipt("wms", 1, "09:00", 1, condition="quality_control"),
    ],
    "a unit is to come": [b.advised("wms", 1, "09:00", "A", ("S", 1))],
    "a unit is on its way": [
        b.transfer("shipped", "wms", 1, "09:00", "T", 1, origin="18", to="17"),
    ],
    "a buffer is set": [*EMPTIED, b.safety_stock("wms", 1, "11:00", 1)],
    "a bucket lacks a unit": [*EMPTIED, damaged(-1, 1)],
    "a unit is held": [
        b.count("hh", 1, "09:00", 1),
        b.requested("R", "10:00", ("S", 1)),
        b.order("confirmed", "R", "10:01"),
        b.sale("p", 1, "11:00", 1),
    ],
}


@pytest.mark.parametrize("case", EMPTY)
def test_an_empty_row_leaves_once_its_days_are_over(case):
    both = Both(stock_days=DAYS, document_days=1)
    for event in EMPTY[case]:
        both.send(event)
    for pipeline in both.compiled, both.general:
        assert leaves_after_its_days(pipeline)


@pytest.mark.parametrize("case", NOT_EMPTY)
def test_a_row_that_has_or_lacks_anything_stays(case):
    pipeline = Pipeline(stock_days=DAYS)
    for event in NOT_EMPTY[case]:
        pipeline.send(event)
    row = pipeline.stock_row()
    later(pipeline, 5 * DAYS)
    later(pipeline, 1)
    assert pipeline.stock_row() == row


def test_without_days_nothing_leaves():
    pipeline = Pipeline(stock_days=0)
    pipeline.send(*EMPTIED)
    later(pipeline, 3_000)
    later(pipeline, 1)
    assert kinds(pipeline) == {"stock"}


def test_its_history_goes_with_it(monkeypatch):
    monkeypatch.setattr(stock, "MAX_CHUNKS", 3)
    monkeypatch.setattr(stock, "SUMMED_AT_ONCE", 2)
    pipeline = Pipeline(stock_days=DAYS)
    pipeline.send(b.count("hh", 1, "08:00", 150))
    pipeline.send(*(b.sale("p", number, "10:00") for number in range(1, 151)))
    assert kinds(pipeline) == {"stock", "history", "sums"}
    later(pipeline, DAYS + 1)
    assert kinds(pipeline) == set()


def test_that_it_has_left_is_newer_than_what_was_last_said_of_it():
    partition = Partition(0)
    row = stock.empty("S", "17", 5, 0)
    partition.put("stock|S|17", row)
    assert stock.remove(partition, row) == 1
    assert partition.live["stock|S|17"] == Deleted(version=6)


def test_days_are_remembered_for_as_long_as_something_may_be_due_by_them():
    pipeline = Pipeline(stock_days=DAYS)
    for _ in range(3 * DAYS):
        later(pipeline, 1)
    for number in range(2):
        days = decode(pipeline.state["inventory", number].encoded[f"days|{number}"], DaysRow)
        assert len(days.days) == len(days.starts) == DAYS + 2


def test_every_change_begins_the_days_anew():
    pipeline = Pipeline(stock_days=DAYS)
    pipeline.send(*EMPTIED)
    later(pipeline, DAYS - 1)
    # It changes nothing but when that was.
    again = b.encoded(b.count("hh", 2, "11:00", 0))
    pipeline.append(topics.WAREHOUSE_RECEIPTS, "hh", again, pipeline.clock)
    pipeline.run()
    assert leaves_after_its_days(pipeline)


def test_what_comes_later_begins_unknown_and_is_newer_than_what_left():
    both = Both(stock_days=DAYS)
    both.send(*EMPTIED)
    for pipeline in both.compiled, both.general:
        before = pipeline.stock_row()
        later(pipeline, DAYS + 1)
        receipt = b.encoded(b.receipt("wms", 7, "10:00", 5))
        pipeline.append(topics.WAREHOUSE_RECEIPTS, "wms", receipt, pipeline.clock)
        pipeline.run()
        row = pipeline.stock_row()
        assert (row.on_hand, row.status, row.available_to_sell) == (5, "unknown", 0)
        assert row.version > before.version + 1
        assert pipeline.ledger()[-1].previous == -1
        # It is found again, packed or not.
        sale = b.encoded(b.sale("p", 2, "11:00"))
        pipeline.append(topics.POS_SALES, "p", sale, pipeline.clock)
        pipeline.run()
        assert pipeline.stock_row().on_hand == 4


def test_a_row_may_leave_and_come_again_within_a_step():
    both = Both(stock_days=DAYS)
    both.send(*EMPTIED)
    for pipeline in both.compiled, both.general:
        receipt = b.encoded(b.receipt("wms", 7, "10:00", 5))
        at = pipeline.clock + (DAYS + 1) * DAY_MS
        pipeline.append(topics.WAREHOUSE_RECEIPTS, "wms", receipt, at)
        pipeline.append(topics.POS_SALES, "p", b.encoded(b.sale("p", 2, "11:00")), at)
        pipeline.run()
        row = pipeline.stock_row()
        assert (row.on_hand, row.status, row.book) == (4, "unknown", 2)


def counted_whole(sequence, at, **lines):
    """A count of all that the location has."""
    told = [{"line": n, "sku": sku, "quantity": q} for n, (sku, q) in enumerate(lines.items(), 1)]
    return b.count("auditor", sequence, at, 0, lines=told, complete=True)


def test_after_a_complete_count_what_comes_back_is_as_if_it_had_stayed():
    came_late = b.encoded(b.receipt("wms", 7, "08:00", 5))
    received = b.encoded(b.receipt("wms", 8, "12:00", 3))
    found = []
    for days in DAYS, 0:
        both = Both(stock_days=days)
        both.send(*EMPTIED, counted_whole(1, "11:00", other=1))
        for pipeline in both.compiled, both.general:
            later(pipeline, DAYS + 1)
            assert ("stock" in kinds(pipeline)) == (days == 0)
            for event in came_late, received:
                pipeline.append(topics.WAREHOUSE_RECEIPTS, "wms", event, pipeline.clock)
            pipeline.run()
            row = pipeline.stock()
            found.append((row["on_hand"], row["status"], row["available_to_sell"]))
    assert found == [(3, "known", 3)] * 4


def test_what_was_counted_after_a_complete_count_stays():
    pipeline = Pipeline(stock_days=DAYS)
    pipeline.send(counted_whole(1, "08:00", other=1), b.receipt("wms", 1, "09:00", 2))
    pipeline.send(b.count("hh", 1, "10:00", 0))
    later(pipeline, DAYS + 1)
    assert kinds(pipeline) == {"stock"}
    late = b.encoded(b.receipt("wms", 7, "09:30", 3))
    pipeline.append(topics.WAREHOUSE_RECEIPTS, "wms", late, pipeline.clock)
    pipeline.run()
    assert pipeline.stock()["on_hand"] == 0


def test_its_allocations_go_with_the_last_of_its_locations():
    pipeline = Pipeline(stock_days=DAYS)
    data = {"channel": "web", "share": 100, "buffer": 0, "locations": None, "rank": 0}
    event = b.event("onhand.channel.v1", "onhand", None, "00:00", data)
    pipeline.append(topics.ORDERS_RESERVATIONS, "web", json.dumps(event).encode())
    pipeline.run()
    pipeline.send(*EMPTIED, b.count("hh", 2, "09:00", 3, location="18"))
    later(pipeline, DAYS + 1)
    assert kinds(pipeline) == {"stock", "allocation"}
    sold = b.encoded(b.sale("p", 2, "11:00", 3, location="18"))
    pipeline.append(topics.POS_SALES, "p", sold, pipeline.clock)
    pipeline.run()
    later(pipeline, DAYS + 1)
    assert kinds(pipeline) == set()
    mine = [one for one in pipeline.log(topics.CHANNEL_ALLOCATIONS) if one.key == b"web|S"]
    assert [one.value and json.loads(one.value)["quantity"] for one in mine][-2:] == [0, None]
    assert int(dict(mine[-1].headers)["version"]) == json.loads(mine[-2].value)["version"] + 1


def test_rows_of_before_there_were_days_count_as_changed_on_the_first():
    pipeline = Pipeline(stock_days=DAYS)
    pipeline.send(*EMPTIED)
    for number in range(2):
        partition = pipeline.state["inventory", number]
        partition.encoded.pop(f"days|{number}", None)
        partition.undo()
        pipeline.inventory.opened(partition)
    later(pipeline, 5 * DAYS)
    assert leaves_after_its_days(pipeline)


def test_what_was_found_early_and_changed_since_stays():
    pipeline = Pipeline(stock_days=DAYS)
    pipeline.send(*EMPTIED)
    later(pipeline, DAYS)
    later(pipeline, 0)
    number = pipeline.routing.of("S")[1]
    looking = pipeline.inventory._dormant[number]
    assert "stock|S|17" in looking._found
    assert not looking._is_looking
    pipeline.append(topics.POS_SALES, "p", b.encoded(b.sale("p", 2, "11:00")), pipeline.clock)
    returned = b.encoded(b.receipt("wms", 7, "10:00", 1))
    pipeline.append(topics.WAREHOUSE_RECEIPTS, "wms", returned, pipeline.clock)
    pipeline.run()
    later(pipeline, 1)
    assert pipeline.stock_row().is_empty()


@pytest.mark.parametrize("most", [1, 3, 2_000])
def test_how_steps_are_cut_changes_nothing(most, monkeypatch):
    monkeypatch.setattr(dormant, "MAX_LEAVING", most)
    monkeypatch.setattr(dormant, "LOOKED_AT", 2)
    pipeline = Pipeline(stock_days=DAYS)
    skus = [f"s{number}" for number in range(30)]
    for day in range(4):
        for place, sku in enumerate(skus):
            event = b.encoded(b.count(f"hh{day}", place, "09:00", place % 3, sku=sku))
            pipeline.append(topics.WAREHOUSE_RECEIPTS, f"hh{day}", event, pipeline.clock)
        later(pipeline, 1)
        skus = skus[::2]
    for days in (3, 3, 3, 3, 3, 0, 0, 0):
        later(pipeline, days)

    def state(cut):
        found = {}
        stage = Inventory(pipeline.routing)
        for number in range(2):
            partition = Partition(number)
            stage.opened(partition)
            log = pipeline.logs[topics.INVENTORY_MOVEMENTS, number]
            for start in range(0, len(log), cut):
                replay_run(stage, partition, topics.INVENTORY_MOVEMENTS, log[start : start + cut])
                if start % 7 == 0:
                    partition.undo()
                    stage.closed(number)
                    stage.opened(partition)
            found[number] = partition.encoded
        return found

    assert state(1) == state(10) == state(1_000_000)
    kept = {key for rows in state(1).values() for key in rows if key.startswith("stock|s")}
    assert kept == {f"stock|s{number}|17" for number in range(30) if number % 3}


def test_one_record_lets_a_part_go_and_the_next_the_rest_also_after_a_recovery(monkeypatch):
    monkeypatch.setattr(dormant, "MAX_LEAVING", 2)
    pipeline = Pipeline(partitions=1, stock_days=DAYS)
    pipeline.send(*(b.count("hh", number, "09:00", 0, sku=f"s{number}") for number in range(9)))
    partition = pipeline.state["inventory", 0]
    later(pipeline, DAYS)
    at = pipeline.clock + DAY_MS
    left, told = [], []
    for sequence in range(1, 8):
        received = b.encoded(b.receipt("w", sequence, "10:00", 1))
        pipeline.append(topics.WAREHOUSE_RECEIPTS, "w", received, at)
        pipeline.run()
        left.append(sum(name.startswith("stock|s") for name in partition.encoded))
        told.append(decode(partition.encoded["days|0"], DaysRow).is_done)
        # What it had in mind is gone.
        partition.undo()
        pipeline.inventory.closed(0)
        pipeline.inventory.opened(partition)
    assert left == [7, 5, 3, 1, 0, 0, 0]
    assert told == [False] * 4 + [True] * 3
    assert pipeline.stock()["on_hand"] == 7


def test_a_complete_count_of_today_lets_nothing_go_that_stayed_this_morning(monkeypatch):
    monkeypatch.setattr(dormant, "MAX_LEAVING", 1)
    pipeline = Pipeline(partitions=1, stock_days=DAYS)
    empty = [b.count("hh", n, "07:00", 0, sku=sku) for n, sku in enumerate("bcdefghi", 1)]
    pipeline.send(*empty, counted_whole(1, "08:00", z=1))
    pipeline.send(b.count("hh", 19, "09:00", 0, sku="a", count="X"))
    at = pipeline.clock + (DAYS + 1) * DAY_MS
    received = b.encoded(b.receipt("w", 1, "10:00", 1, sku="z"))
    lines = [{"line": 1, "sku": "z", "quantity": 1}]
    rest = b.encoded(b.count("hh", 20, "10:00", 0, count="X", lines=lines, complete=True))
    for key, event in ("w", received), ("hh", rest):
        pipeline.append(topics.WAREHOUSE_RECEIPTS, key, event, at)
        pipeline.run()
    partition = pipeline.state["inventory", 0]
    assert not decode(partition.encoded["days|0"], DaysRow).is_done
    partition.undo()
    pipeline.inventory.closed(0)
    pipeline.inventory.opened(partition)
    later(pipeline, 0)
    assert decode(partition.encoded["days|0"], DaysRow).is_done
    assert "stock|a|17" in partition.encoded


buckets = st.sampled_from([0, 0, 0, 1, -1])


@given(st.lists(buckets, min_size=8, max_size=8), st.booleans(), st.booleans())
def test_every_empty_row_looks_so(units, opened, is_compiled):
    row = stock.empty("S", "17", 5, 1_793_606_400_000_000)
    row.on_hand, row.reserved, row.quality_control, row.damaged = units[:4]
    row.in_transit, row.incoming, row.safety_stock = units[4:7]
    row.picked, row.opened, row.owed = max(0, units[7]), opened, {"damaged": 0}
    write = native.write_stock if is_compiled and native.write_stock is not None else encode
    assert not row.is_empty() or may_be_empty(write(row))
    assert row.is_empty() == (not any(units[:7]) and row.picked == 0)


class TestDays:
    def days(self, *starts):
        row = DaysRow(version=0)
        for day, start in starts:
            row = row.turned(day, start)
        return row

    @pytest.mark.parametrize(
        ("first", "below"),
        [(99, 0), (100, 0), (101, 20), (102, 20), (105, 20), (106, 30)],
    )
    def test_rows_below_a_version_did_not_change_since_a_day(self, first, below):
        row = self.days((100, 10), (105, 20), (106, 30))
        assert row.unchanged_below(first) == below

    def test_days_that_nobody_asks_for_are_let_go_of(self):
        row = self.days((98, 5), (100, 10), (105, 20), (106, 30)).since(104)
        assert (row.days, row.starts, row.version) == ([100, 105, 106], [10, 20, 30], 30)
        assert row.unchanged_below(104) == 20
