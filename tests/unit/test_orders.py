"""Settling reservations: every order of commands, deadlines, decisions."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import topics
from tests import builders as b
from tests.pipeline import Pipeline, key_of


def opened(**stock: int) -> Pipeline:
    pipeline = Pipeline()
    for number, (sku, units) in enumerate(stock.items(), start=1):
        pipeline.send(b.count("hh", number, "00:00", units, sku=sku))
    return pipeline


def outcomes(pipeline: Pipeline, reservation: str) -> list[str]:
    return [told.outcome for told in pipeline.order(reservation).outcomes]


@pytest.mark.parametrize(
    ("commands", "told", "on_hand", "reserved"),
    [
        (["confirmed"], ["pending", "held", "confirmed"], 10, 2),
        (["confirmed", "confirmed"], ["pending", "held", "confirmed", "already_confirmed"], 10, 2),
        (["released", "confirmed"], ["pending", "held", "released", "refused"], 10, 0),
        (["fulfilled"], ["pending", "held", "fulfilled"], 8, 0),
        (["fulfilled", "fulfilled"], ["pending", "held", "fulfilled", "already_fulfilled"], 8, 0),
        (["fulfilled", "released"], ["pending", "held", "fulfilled", "already_fulfilled"], 8, 0),
        (
            ["released", "released", "fulfilled"],
            ["pending", "held", "released", "already_released", "fulfilled_without_hold"],
            8,
            0,
        ),
    ],
)
def test_what_follows_a_held_request(commands, told, on_hand, reserved):
    pipeline = opened(S=10)
    pipeline.send(b.requested("R", "10:00", ("S", 2)))
    for command in commands:
        pipeline.send(b.order(command, "R", "11:00"))
    assert outcomes(pipeline, "R") == told
    row = pipeline.stock()
    assert (row["on_hand"], row["reserved"]) == (on_hand, reserved)


def test_the_same_request_gets_its_first_answer_and_another_is_a_conflict():
    pipeline = opened(S=3)
    pipeline.send(b.requested("R", "10:00", ("S", 2)), b.requested("R", "10:01", ("S", 2)))
    assert pipeline.stock()["reserved"] == 2
    assert sorted(outcomes(pipeline, "R")) == ["already_decided", "held", "pending"]
    pipeline.send(b.requested("R", "10:00", ("S", 1)))
    assert outcomes(pipeline, "R")[-1] == "conflict"
    assert [code for code, _ in pipeline.letters()] == ["conflict"]


def test_a_deadline_passes_by_the_log_and_a_late_confirm_is_told():
    pipeline = opened(S=1)
    pipeline.send(b.requested("R", "10:00", ("S", 1), ttl_seconds=600))
    pipeline.tick(599)
    assert pipeline.order("R").status == "held"
    pipeline.tick(2)
    assert pipeline.order("R").status == "expired"
    pipeline.send(b.requested("Q", "10:11", ("S", 1)), b.order("confirmed", "R", "10:12"))
    assert pipeline.order("Q").status == "held"
    assert outcomes(pipeline, "R")[-1] == "hold_expired"


def test_a_command_after_the_deadline_expires_the_hold_even_without_a_tick():
    pipeline = opened(S=1)
    pipeline.send(b.requested("R", "10:00", ("S", 1), ttl_seconds=600))
    pipeline.clock += 601_000
    pipeline.send(b.order("confirmed", "R", "10:10"))
    assert outcomes(pipeline, "R")[-2:] == ["expired", "hold_expired"]
    assert pipeline.stock()["reserved"] == 0


def test_a_confirmed_hold_does_not_lapse():
    pipeline = opened(S=1)
    pipeline.send(b.requested("R", "10:00", ("S", 1), ttl_seconds=600))
    pipeline.send(b.order("confirmed", "R", "10:01"))
    pipeline.tick(10_000)
    assert pipeline.order("R").status == "confirmed"
    assert pipeline.stock()["reserved"] == 1


def test_many_deadlines_lapse_in_parts_and_none_is_left(monkeypatch):
    monkeypatch.setattr("streams.orders.EXPIRIES", 3)
    pipeline = opened(S=100)
    pipeline.send(*(b.requested(f"R{n}", "10:00", ("S", 1), ttl_seconds=60) for n in range(20)))
    assert pipeline.stock()["reserved"] == 20
    pipeline.tick(61)
    assert pipeline.stock()["reserved"] == 0


def test_a_forged_tick_is_refused():
    pipeline = opened(S=1)
    tick = b.event("onhand.tick.v1", "me", None, "10:00", {})
    pipeline.append(topics.ORDERS_RESERVATIONS, "me", json.dumps(tick).encode())
    pipeline.run()
    assert [code for code, _ in pipeline.letters()] == ["reserved_type"]


def test_a_forged_decision_is_refused_and_real_ones_still_count():
    pipeline = opened(S=1)
    forged = b.event(
        "onhand.decision.v1",
        "onhand",
        None,
        "10:00",
        {"reservation": "R", "line": 1, "outcome": "held"},
        origin=[0, 0, 2**62],
    )
    pipeline.send(forged, b.requested("R", "10:00", ("S", 1)))
    assert pipeline.order("R").status == "held"
    assert [code for code, _ in pipeline.letters()] == ["reserved_type"]


def test_a_sale_that_names_its_reservation_is_the_same_departure():
    for order in itertools.permutations(("sale", "fulfilled")):
        pipeline = opened(S=10)
        pipeline.send(b.requested("R", "10:00", ("S", 2)))
        sale = b.sale("p", 1, "11:00", 2)
        sale["data"]["lines"][0]["reservation"] = {"reservation": "R", "line": 1}
        for what in order:
            pipeline.send(sale if what == "sale" else b.order("fulfilled", "R", "11:00"))
        row = pipeline.stock()
        assert (row["on_hand"], row["reserved"]) == (8, 0)


commands = st.lists(
    st.tuples(
        st.sampled_from(["request", "confirmed", "released", "fulfilled", "tick"]),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(commands, st.integers(1, 3))
def test_whatever_is_asked_holds_and_stock_agree_and_nothing_is_oversold(asked, limit):
    pipeline = opened(S=3, T=2)
    for what, number in asked:
        name = f"R{number}"
        if what == "tick":
            pipeline.tick(400)
        elif what == "request":
            made = b.requested(name, "10:00", ("S", 1 + number % 2), ("T", 1), ttl_seconds=600)
            pipeline.append(topics.ORDERS_RESERVATIONS, key_of(made), json.dumps(made).encode())
            pipeline.run(limit)
        else:
            pipeline.send(b.order(what, name, "10:00"))
    held: dict[str, int] = {"S": 0, "T": 0}
    gone: dict[str, int] = {"S": 0, "T": 0}
    for number in range(4):
        try:
            order = pipeline.order(f"R{number}")
        except KeyError:
            continue
        for line in order.lines:
            if order.status in ("held", "confirmed"):
                held[line.sku] += line.quantity
            elif order.status == "fulfilled":
                gone[line.sku] += line.quantity
    for sku, opening in (("S", 3), ("T", 2)):
        row = pipeline.stock(sku)
        assert row["reserved"] == held[sku]
        assert row["on_hand"] == opening - gone[sku]
        assert row["shortfall"] == 0 or gone[sku]
