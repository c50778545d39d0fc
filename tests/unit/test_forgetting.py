"""Documents that are over leave the state, so long after the log last changed them."""

from itertools import product

import pytest

from models import topics
from models.instants import DAY
from models.rows import Document, parts
from streams.engine.documents import MAX_FORGOTTEN
from streams.engine.partition import Partition
from streams.engine.replaying import replay_run
from streams.engine.stage import Work
from streams.inventory import Inventory
from streams.orders import Orders
from tests import builders as b
from tests.pipeline import Pipeline, Record

DAYS = 90


def documents(pipeline):
    return {
        parts(key)[0]
        for partition in pipeline.state.values()
        for key in partition.encoded
        if parts(key)[0] not in {"stock", "history", "days", "source", "hashes", "position"}
    }


def later(pipeline, days, limit=1_000_000):
    """Let so many days pass: every partition of every stage takes a record."""
    pipeline.clock += days * 86_400_000
    pipeline.tick(0)
    for number in range(20):
        name = f"later-{pipeline.clock}-{number}"
        event = b.receipt(name, 1, "10:00", 1, sku=name)
        pipeline.append(topics.WAREHOUSE_RECEIPTS, name, b.encoded(event), pipeline.clock)
    pipeline.run(limit)


OVER = {
    "a reservation that was released": (
        [b.requested("R", "10:00", ("S", 2)), b.order("released", "R", "11:00")],
        {"order", "hold"},
    ),
    "a reservation that was fulfilled": (
        [b.requested("R", "10:00", ("S", 2)), b.order("fulfilled", "R", "11:00")],
        {"order", "hold"},
    ),
    "a release without a request": ([b.order("released", "R", "11:00")], {"order"}),
    "a return that was decided on": ([b.disposed("rc", 1, "10:00", 1, "restock")], {"return"}),
    "a count in areas": (
        [
            b.count("hh2", 1, "10:00", 4, area="a"),
            b.count("hh2", 2, "10:01", 5, area="b", final=True),
        ],
        {"count", "closed"},
    ),
    "a transfer that came": (
        [
            b.transfer("shipped", "w1", 1, "10:00", "T", 3, origin="17", to="18"),
            b.transfer("received", "w2", 1, "11:00", "T", 3, origin="17", to="18"),
        ],
        {"transfer"},
    ),
    "an advice that was cancelled": (
        [
            b.advised("w1", 1, "10:00", "A", ("S", 3)),
            b.advised("w1", 2, "11:00", "A", cancelled=True),
        ],
        {"advice", "announced"},
    ),
}

OPEN = {
    "a reservation that was confirmed": (
        [b.requested("R", "10:00", ("S", 2)), b.order("confirmed", "R", "11:00")],
        {"order", "hold"},
    ),
    "a return that waits for a decision": (
        [b.returned("received", "rc", 1, "10:00", 1)],
        {"return"},
    ),
    "a return under way": ([b.returned("shipped", "rc", 1, "10:00", 1)], {"return"}),
    "a transfer under way": (
        [b.transfer("shipped", "w1", 1, "10:00", "T", 3, origin="17", to="18")],
        {"transfer"},
    ),
    "an advice that did not come": ([b.advised("w1", 1, "10:00", "A", ("S", 3))], {"advice"}),
}


@pytest.mark.parametrize("case", OVER)
def test_what_is_over_is_forgotten_once_its_days_are(case):
    events, kinds = OVER[case]
    pipeline = Pipeline()
    pipeline.send(b.count("hh", 1, "00:00", 10), *events)
    stock = pipeline.stock()
    later(pipeline, DAYS)
    assert documents(pipeline) == kinds
    later(pipeline, 1)
    assert documents(pipeline) == set()
    assert pipeline.stock() == stock


@pytest.mark.parametrize("case", OPEN)
def test_what_is_open_stays(case):
    events, kinds = OPEN[case]
    pipeline = Pipeline()
    pipeline.send(b.count("hh", 1, "00:00", 10), *events)
    later(pipeline, 10 * DAYS)
    later(pipeline, 1)
    assert documents(pipeline) == kinds


def test_what_was_open_is_forgotten_after_it_was_closed():
    pipeline = Pipeline()
    pipeline.send(b.count("hh", 1, "00:00", 10), b.returned("received", "rc", 1, "10:00", 1))
    later(pipeline, DAYS + 1)
    pipeline.send({**b.disposed("rc", 2, "10:00", 1, "restock"), "rcv": "2027-03-01T00:00:00Z"})
    assert pipeline.stock()["on_hand"] == 11
    later(pipeline, DAYS)
    assert documents(pipeline) == {"return"}
    later(pipeline, 1)
    assert documents(pipeline) == set()


def test_every_change_begins_the_days_anew():
    pipeline = Pipeline()
    pipeline.send(b.requested("R", "10:00", ("S", 2)))
    later(pipeline, DAYS - 1)
    pipeline.append(
        topics.ORDERS_RESERVATIONS, "R", b.encoded(b.order("released", "R", "11:00")), None
    )
    pipeline.run()
    later(pipeline, DAYS)
    assert pipeline.order("R").outcomes[-1].command == "orders.reservation.released.v1"
    later(pipeline, 1)
    assert documents(pipeline) == set()


def test_a_reservation_that_was_forgotten_can_be_requested_anew():
    pipeline = Pipeline()
    pipeline.send(b.count("hh", 1, "00:00", 10), b.requested("R", "10:00", ("S", 2)))
    pipeline.send(b.order("released", "R", "11:00"))
    later(pipeline, DAYS + 1)
    again = b.requested("R", "10:00", ("S", 3))
    pipeline.append(topics.ORDERS_RESERVATIONS, "R", b.encoded(again), None)
    pipeline.run()
    assert pipeline.order("R").status == "held"
    assert pipeline.stock()["reserved"] == 3


def test_how_steps_are_cut_changes_nothing():
    pipeline = Pipeline()
    many = range(2 * MAX_FORGOTTEN)
    pipeline.send(*(b.requested(f"R{number}", "10:00", ("S", 1)) for number in many))
    later(pipeline, 1)
    for number in many[::3]:
        event = b.encoded(b.order("released", f"R{number}", "11:00"))
        pipeline.append(topics.ORDERS_RESERVATIONS, f"R{number}", event, None)
    pipeline.run()
    later(pipeline, DAYS)
    # Again for some that are forgotten, while others are being.
    for number in many[::5]:
        event = b.encoded(b.order("fulfilled", f"R{number}", "11:00"))
        pipeline.append(topics.ORDERS_RESERVATIONS, f"R{number}", event, None)
    pipeline.run()

    def state(cut):
        found = {}
        stages = Orders(pipeline.routing, pipeline.settings), Inventory(pipeline.routing)
        for stage, number in product(stages, range(pipeline.settings.partitions)):
            partition = Partition(number)
            stage.opened(partition)
            log = pipeline.logs[stage.inputs[0], number]
            for start in range(0, len(log), cut):
                replay_run(stage, partition, stage.inputs[0], log[start : start + cut])
                if start % 7 == 0:
                    partition.undo()
                    stage.opened(partition)
            found[stage.name, number] = partition.encoded
        return found

    assert state(1) == state(10) == state(1_000_000)
    assert 0 < len(state(1)["orders", 0]) < MAX_FORGOTTEN


class Kept(Document, kw_only=True):
    pass


def documents_of(partition):
    partition.keep_documents("in", {"kept": Kept}, 1)
    work = Work(partition, {})
    work.turn_to("in")
    return work


def record(offset, day):
    return Record(None, b"", 0, offset, day * DAY // 1_000)


def test_one_record_lets_go_of_a_part_and_the_next_of_the_rest_also_after_a_recovery():
    partition = Partition(0)
    work = documents_of(partition)
    work.begin(record(0, 10))
    names = [f"kept|{number:04}" for number in range(MAX_FORGOTTEN + 5)]
    for name in reversed(names):
        partition.put(name, Kept(version=1))
    partition.acknowledge(partition.cut("test", 1))
    work.begin(record(1, 11))
    assert not partition.changed
    work.begin(record(2, 12))
    batch = partition.cut("test", 1)
    partition.acknowledge(batch)
    assert sorted(partition.encoded) == names[MAX_FORGOTTEN:]
    assert dict(batch.deleted) == dict.fromkeys(names[:MAX_FORGOTTEN], 2)
    partition.undo()
    documents_of(partition).begin(record(3, 12))
    partition.acknowledge(partition.cut("test", 1))
    assert not partition.encoded


def test_the_rest_of_a_record_lets_go_of_nothing_more():
    partition = Partition(0)
    work = documents_of(partition)
    work.begin(record(0, 10))
    partition.put("kept|a", Kept(version=1))
    partition.position.cursor["in"] = 3
    work.begin(record(1, 20))
    assert type(partition.live["kept|a"]) is Kept


def test_the_time_of_another_input_does_not_count():
    partition = Partition(0)
    work = documents_of(partition)
    work.begin(record(0, 10))
    partition.put("kept|a", Kept(version=1))
    work.turn_to("other")
    work.begin(record(0, 200))
    assert type(partition.live["kept|a"]) is Kept
    work.turn_to("in")
    work.begin(record(1, 200))
    assert type(partition.live["kept|a"]) is not Kept
