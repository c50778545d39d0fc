"""Dividing what can be promised, and following it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.allocation_feed import AllocationFeed
from models import topics
from models.channels import AllocationRow, ChannelRow, Share, allocate, divide
from models.rows import Deleted, encode
from tests import builders as b
from tests.pipeline import Pipeline, Record


@pytest.mark.parametrize(
    ("units", "percents", "parts"),
    [
        (1, [50, 50], [1, 0]),
        (7, [50, 30, 20], [4, 2, 1]),
        (10, [100], [10]),
        (10, [30], [3]),
        (5, [100, 100], [5, 5]),
        (0, [50, 50], [0, 0]),
        (-3, [50, 50], [0, 0]),
        (3, [], []),
    ],
)
def test_the_largest_remainder_gets_the_odd_unit(units, percents, parts):
    assert divide(units, [Share(percent, 0) for percent in percents]) == parts


@given(st.integers(0, 10_000), st.lists(st.integers(0, 100), max_size=6))
def test_parts_add_up_to_what_is_offered_and_are_never_a_unit_off(units, percents):
    parts = divide(units, [Share(percent, 0) for percent in percents])
    assert sum(parts) == units * sum(percents) // 100
    assert all(abs(p - units * c / 100) < 1 for p, c in zip(parts, percents, strict=True))


def rule(channel, share, rank=0, buffer=0, locations=None):
    return ChannelRow(
        version=0, channel=channel, share=share, buffer=buffer, rank=rank, locations=locations
    )


def test_a_shortfall_here_eats_stock_there_and_buffers_come_off_last():
    rules = [rule("web", 100), rule("shop", 100, locations=["17"]), rule("ebay", 100, buffer=3)]
    assert allocate(rules, {"17": 5, "18": -2}) == {"web": 3, "shop": 5, "ebay": 0}


class Shop:
    """A pipeline with channels."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()

    def set_rule(self, channel: str, share: int, rank: int = 0) -> None:
        data = {"channel": channel, "share": share, "buffer": 0, "locations": None, "rank": rank}
        event = b.event("onhand.channel.v1", "onhand", None, "00:00", data)
        self.pipeline.append(topics.ORDERS_RESERVATIONS, channel, json.dumps(event).encode())
        self.pipeline.run()

    def emitted(self) -> list[tuple[str, str, int]]:
        rows = [
            json.loads(record.value) for record in self.pipeline.log(topics.CHANNEL_ALLOCATIONS)
        ]
        return [(row["channel"], row["sku"], row["quantity"]) for row in rows]

    def latest(self) -> dict[tuple[str, str], int]:
        return {(channel, sku): quantity for channel, sku, quantity in self.emitted()}


def test_allocations_follow_stock_and_are_sent_only_when_they_change():
    shop = Shop()
    shop.pipeline.send(b.count("hh", 1, "00:00", 1))
    shop.set_rule("web", 50)
    shop.set_rule("amazon", 50, rank=1)
    assert shop.latest() == {("web", "S"): 1, ("amazon", "S"): 0}
    before = len(shop.emitted())
    shop.pipeline.send(b.receipt("wms", 1, "09:00", 5, condition="damaged"))
    assert len(shop.emitted()) == before
    shop.pipeline.send(b.receipt("wms", 2, "09:00", 6))
    assert shop.latest() == {("web", "S"): 4, ("amazon", "S"): 3}
    shop.pipeline.send(b.requested("R", "10:00", ("S", 7)))
    assert shop.latest() == {("web", "S"): 0, ("amazon", "S"): 0}


def test_a_rule_reaches_every_sku_in_parts(monkeypatch):
    monkeypatch.setattr("streams.allocations.SWEEP", 3)
    shop = Shop()
    shop.pipeline.send(*(b.count("hh", n, "00:00", n, sku=f"S{n}") for n in range(1, 20)))
    shop.set_rule("web", 100)
    assert shop.latest() == {("web", f"S{n}"): n for n in range(1, 20)}


def test_a_value_that_came_and_went_within_a_step_is_sent_as_it_ended():
    shop = Shop()
    shop.pipeline.send(b.count("hh", 1, "00:00", 5))
    shop.set_rule("web", 100)
    for sequence, made in enumerate((b.sale("p", 1, "09:00"), b.receipt("wms", 1, "09:00", 1))):
        topic = (topics.POS_SALES, topics.WAREHOUSE_RECEIPTS)[sequence]
        shop.pipeline.append(topic, made["source"], json.dumps(made).encode())
    before = len(shop.emitted())
    shop.pipeline.run()
    assert shop.emitted()[before:] == [("web", "S", 5)]


def test_a_feed_has_the_newest_of_each_allocation_and_none_that_is_gone():
    def told(version, quantity):
        row = AllocationRow(version=version, channel="web", sku="S|x", quantity=quantity or 0)
        value = encode(row if quantity is not None else Deleted(version=version))
        return Record(b"allocation|web|S%7Cx", value, 0, version, 0)

    def tombstone(version):
        headers = [("version", b"%d" % version)]
        return Record(b"allocation|web|S%7Cx", None, 0, version, 0, headers)

    def quantities():
        return [row.quantity for row in feed.page("web", "", 10)]

    feed = AllocationFeed()
    feed.take(0, [told(5, 3), told(4, 9), told(4, None), tombstone(4)])
    assert quantities() == [3]
    feed.take(0, [told(6, None)])
    assert quantities() == []
    # What is late is older than what is gone, for as long as that is told.
    feed.take(0, [told(5, 3)])
    assert quantities() == []
    feed.take(0, [tombstone(6)])
    assert feed._gone == {}
    feed.take(0, [told(8, 2)])
    assert quantities() == [2]
    feed.take(0, [tombstone(9)])
    assert quantities() == []
