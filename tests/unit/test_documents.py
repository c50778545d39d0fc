"""What is held and freed, documents, books, long histories: the stages in memory."""

import pytest

from models import stock
from models.reference import Alias, ItemFacts, LocationFacts, Pack, SourceFacts
from tests import builders as b
from tests.pipeline import Pipeline


def codes(pipeline):
    return [code for code, _ in pipeline.letters()]


def outcomes(pipeline, sku="S"):
    return [entry.outcome for entry in pipeline.ledger(sku)]


def test_a_unit_without_a_pack_waits_for_it_and_for_nothing_else():
    pipeline = Pipeline()
    sent = b.receipt("wms", 1, "09:00", 2, uom="case")
    pipeline.send(sent, sent)
    pipeline.put("item", "OTHER", ItemFacts())
    assert codes(pipeline) == ["unknown_unit"]
    assert pipeline.source("wms", "warehouse.receipts").held == 1
    pipeline.put("item", "S", ItemFacts(packs=[Pack("case", 12)]))
    assert pipeline.stock()["on_hand"] == 24
    assert pipeline.source("wms", "warehouse.receipts").held == 0
    pipeline.send(sent)
    assert pipeline.stock()["on_hand"] == 24


def test_a_local_time_waits_until_source_and_zone_are_known():
    pipeline = Pipeline()
    pipeline.send(b.sale("p", 1, "2026-11-02T10:00:00"))
    pipeline.put("source", "p", SourceFacts(local_time=True))
    assert codes(pipeline) == ["offset_missing", "offset_missing"]
    pipeline.put("location", "17", LocationFacts(zone="Europe/Berlin"))
    (entry,) = pipeline.ledger()
    assert entry.deltas == {"on_hand": -1}
    assert pipeline.source("p").last_seen
    assert pipeline.stock()["as_of"] == "2026-11-02T09:00:00Z"


def test_a_code_means_the_item_whose_it_was_when_it_happened():
    pipeline = Pipeline()
    pipeline.put("item", "OLD", ItemFacts(aliases=[Alias("X")]))
    since = 1_793_613_600_000_000  # 10:00
    pipeline.put("item", "NEW", ItemFacts(aliases=[Alias("X", since)]))
    pipeline.send(b.sale("p", 1, "10:30", sku="X"), b.sale("p", 2, "09:30", sku="X"))
    assert (pipeline.stock("NEW")["on_hand"], pipeline.stock("OLD")["on_hand"]) == (-1, -1)
    assert pipeline.ledger("NEW")[0].movement.note.code == "X"


def test_two_codes_of_one_event_are_freed_one_by_one():
    pipeline = Pipeline()
    pipeline.put("source", "p", SourceFacts(unknown_items="hold"))
    sold = b.sale("p", 1, "09:00", sku="A")
    sold["data"]["lines"].append({"line": 2, "sku": "B", "quantity": 2})
    pipeline.send(sold)
    pipeline.put("item", "B", ItemFacts())
    assert pipeline.stock("B")["on_hand"] == -2
    assert pipeline.source("p").held == 1
    pipeline.put("item", "A", ItemFacts())
    assert pipeline.stock("A")["on_hand"] == -1
    assert (pipeline.source("p").held, pipeline.source("p").epochs[0].open) == (0, {})


def test_what_was_sold_by_a_held_line_can_be_voided_once_it_is_applied():
    pipeline = Pipeline()
    pipeline.put("source", "p", SourceFacts(unknown_items="hold"))
    pipeline.send(b.sale("p", 1, "09:00", 3, sku="A", transaction="T"))
    pipeline.put("item", "A", ItemFacts())
    pipeline.send(b.voided("p", 2, "09:05", "T", {"line": 1, "quantity": 2}))
    assert pipeline.stock("A")["on_hand"] == -1


def test_a_void_finds_a_sale_of_some_hundred_transactions_ago():
    pipeline = Pipeline()
    pipeline.send([b.sale("p", n, "09:00") for n in range(1, 501)])
    pipeline.send(b.voided("p", 501, "10:00", "T3"), b.voided("p", 502, "10:01", "T3"))
    assert pipeline.stock()["on_hand"] == -499
    assert codes(pipeline) == ["void_exceeds_sale"]


def test_a_shelf_count_leaves_out_what_was_picked_and_waits_to_leave():
    pipeline = Pipeline()
    for event in (
        b.count("hh", 1, "08:00", 10),
        b.requested("R", "09:00", ("S", 3)),
        b.order("picked", "R", "09:10"),
        b.count("hh", 2, "10:00", 7, scope="shelf"),
    ):
        pipeline.send(event)
    assert pipeline.stock()["on_hand"] == 10
    pipeline.send(b.order("fulfilled", "R", "10:30"))
    pipeline.send(b.count("hh", 3, "11:00", 7, scope="shelf"))
    stock_now = pipeline.stock()
    assert (stock_now["on_hand"], stock_now["reserved"]) == (7, 0)


def test_a_book_is_compared_and_its_variance_named():
    pipeline = Pipeline()
    pipeline.send(
        b.count("hh", 1, "08:00", 10),
        *(b.sale("p3", n, f"20:0{n}") for n in range(1, 5)),
        b.snapshot("erp", 1, "23:00", 9, {"p3": 2}, "compare"),
    )
    entry = pipeline.ledger()[-1]
    assert entry.outcome == "compared"
    assert entry.flags == ("variance +1", "erp lacks p3 3–4")
    pipeline.send(b.snapshot("erp", 2, "23:00", 9, {"p3": 2}, "adopt"))
    assert pipeline.stock()["on_hand"] == 7
    pipeline.send(b.sale("p3", 6, "19:00"), b.sale("p3", 5, "23:30"))
    assert pipeline.stock()["on_hand"] == 5


def test_a_book_older_than_what_is_kept_one_by_one_is_an_exception(monkeypatch):
    monkeypatch.setattr(stock, "MAX_CHUNKS", 2)
    monkeypatch.setattr(stock, "SUMMED_AT_ONCE", 1)
    pipeline = Pipeline()
    pipeline.send(b.count("hh", 1, "08:00", 100))
    pipeline.send([b.sale("p3", n, f"09:{n:02}") for n in range(1, 60)])
    pipeline.send(b.snapshot("erp", 1, "11:00", 9, {"p3": 2}, "adopt"))
    assert codes(pipeline) == ["snapshot_beyond_history"]
    pipeline.send(b.snapshot("erp", 2, "11:00", 50, {"p3": 50}, "adopt"))
    assert pipeline.stock()["on_hand"] == 41


def test_a_fast_sellers_late_count_works_on_sums_by_minute():
    pipeline = Pipeline()
    pipeline.send(b.count("hh", 1, "2026-11-01T08:00:00Z", 20_000))
    times = [f"{9 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}" for n in range(6_000)]
    pipeline.send([b.sale("p", n, at) for n, at in enumerate(times, start=1)])
    row = pipeline.stock_row()
    assert row.blocks, "the oldest are sums"
    pipeline.send(b.count("hh", 2, "09:10:30", 19_000))
    assert pipeline.stock()["on_hand"] == 19_000 - (6_000 - 600)
    assert outcomes(pipeline)[-1] == "rebased"
    assert pipeline.ledger()[-1].flags == ("count_uncertain",)


def test_goods_are_where_they_were_disposed_of():
    pipeline = Pipeline()
    pipeline.send(
        b.returned("received", "rd", 1, "09:00", 2, location="17"),
        b.disposed("rd", 2, "10:00", 1, "restock", location="18"),
        b.disposed("rd", 3, "11:00", 1, "vendor_return", location="17"),
    )
    here, there = pipeline.stock("S", "17"), pipeline.stock("S", "18")
    assert (here["quality_control"], here["damaged"], there["on_hand"]) == (0, 1, 1)
    assert "other_location" in outcomes(pipeline)
    out = b.transfer("shipped", "wms", 1, "12:00", "V1", 1, origin="17", to="vendor")
    out["data"]["lines"][0]["bucket"] = "damaged"
    pipeline.send(out)
    assert pipeline.stock("S", "17")["damaged"] == 0
    assert pipeline.stock("S", "vendor")["in_transit"] == 1


@pytest.mark.parametrize("first", ["authorized", "disposed"])
def test_a_second_unit_adds_and_a_correction_replaces_whichever_comes_first(first):
    pipeline = Pipeline()
    authorized = b.returned("authorized", "rd", 1, "08:00", 2)
    one = b.disposed("rd", 2, "10:00", 1, "restock")
    two = b.disposed("rd", 3, "11:00", 1, "restock")
    events = [authorized, one, two] if first == "authorized" else [one, two, authorized]
    pipeline.send(*events, b.disposed("rd", 4, "12:00", 1, "write_off"))
    assert pipeline.stock()["on_hand"] == 1


def test_more_than_a_return_allows_is_an_exception():
    pipeline = Pipeline()
    pipeline.send(
        b.returned("authorized", "rd", 1, "08:00", 1),
        b.returned("received", "rd", 2, "09:00", 3),
        b.disposed("rd", 3, "10:00", 5, "restock"),
    )
    assert codes(pipeline) == ["return_exceeds", "return_exceeds"]
    assert pipeline.stock()["on_hand"] == 3


def test_another_item_in_the_parcel_is_the_one_that_is_booked():
    pipeline = Pipeline()
    pipeline.send(b.returned("received", "rd", 1, "09:00", 1, actual_sku="WRONG"))
    assert pipeline.stock("WRONG")["quality_control"] == 1
    assert pipeline.ledger("WRONG")[0].flags == ("S was sold",)


def test_short_and_over_are_said_where_they_happen():
    pipeline = Pipeline()
    way = {"origin": "17", "to": "18"}
    pipeline.send(
        b.transfer("shipped", "wms", 1, "09:00", "X1", 5, **way),
        b.transfer("received", "wms", 2, "10:00", "X1", 3, final=True, **way),
        b.transfer("shipped", "wms", 3, "09:00", "X2", 5, **way),
        b.transfer("received", "wms", 4, "10:00", "X2", 6, **way),
    )
    assert codes(pipeline) == ["over_receipt"]
    lost = [entry for entry in pipeline.ledger() if entry.outcome == "lost_in_transit"]
    assert lost[0].flags == ("2 lost in transit",)
    here, there = pipeline.stock("S", "17"), pipeline.stock("S", "18")
    assert (here["on_hand"], there["on_hand"], there["in_transit"]) == (-11, 9, 0)


def test_a_cancelled_advice_announces_nothing_and_an_older_revision_changes_nothing():
    pipeline = Pipeline()
    pipeline.send(
        b.advised("wms", 2, "09:00", "N", ("S", 5), ("T", 7)),
        b.advised("wms", 1, "08:00", "N", ("S", 9), ("U", 3)),
    )
    assert pipeline.stock("S")["incoming"] == 5
    assert pipeline.stock("T")["incoming"] == 7
    pipeline.send(b.advised("wms", 3, "10:00", "N", cancelled=True))
    assert [pipeline.stock(sku)["incoming"] for sku in "ST"] == [0, 0]


def test_a_suspected_reset_that_is_none_stays_held_and_counts_nothing():
    pipeline = Pipeline()
    pipeline.send(*(b.sale("p", n, f"09:0{n}") for n in range(1, 4)))
    newer = b.sale("p", 2, "12:00")
    pipeline.send(newer, newer)
    assert pipeline.stock()["on_hand"] == -3
    assert codes(pipeline) == ["suspected_reset"]
    assert pipeline.source("p").held == 1


def test_an_event_of_an_opened_epoch_needs_not_name_it():
    pipeline = Pipeline()
    pipeline.send(b.sale("p", 1, "09:00"), b.control("epoch.opened", "p", "10:00", epoch=1))
    pipeline.send(b.sale("p", 1, "10:30"), b.sale("p", 2, "09:30"), b.sale("p", 2, "10:31"))
    assert pipeline.stock()["on_hand"] == -4
    assert [(one.epoch, one.seen()) for one in pipeline.source("p").epochs] == [
        (0, [(1, 2)]),
        (1, [(1, 2)]),
    ]


def test_only_the_service_moves_to_reference_data():
    pipeline = Pipeline()
    forged = b.event("onhand.reference.v1", "p", None, "09:00", {"offsets": {"reference.items": 9}})
    pipeline.append("pos.sales", "p", b.encoded(forged))
    pipeline.run()
    assert codes(pipeline) == ["reserved_type"]


def test_a_resend_from_before_its_epoch_was_opened_counts_once():
    pipeline = Pipeline()
    pipeline.send(b.sale("p", 1, "09:00"), b.sale("p", 2, "09:01"))
    late = b.sale("p", 3, "13:02")
    pipeline.send(b.sale("p", 1, "13:00"), late)
    pipeline.send(b.control("epoch.opened", "p", "14:00", epoch=1))
    assert pipeline.stock()["on_hand"] == -4
    pipeline.send(late)
    assert pipeline.stock()["on_hand"] == -4


def test_a_void_takes_back_the_sale_of_its_own_epoch():
    pipeline = Pipeline()
    pipeline.send(
        b.sale("p", 1, "09:00", 5, transaction="T1"),
        b.sale("p", 1, "10:00", 1, sku="B", transaction="T1", epoch=1),
        b.voided("p", 2, "09:05", "T1"),
    )
    assert (pipeline.stock("S")["on_hand"], pipeline.stock("B")["on_hand"]) == (0, -1)


def test_what_a_complete_count_did_not_find_was_not_there_even_if_it_is_told_of_later():
    pipeline = Pipeline()
    pipeline.send(b.count("hh", 1, "10:00", 3, sku="B", complete=True))
    pipeline.send(b.receipt("wms", 1, "09:00", 4), b.receipt("wms", 2, "11:00", 2))
    stock_now = pipeline.stock()
    assert (stock_now["on_hand"], stock_now["status"]) == (2, "known")


def test_what_is_taken_before_it_came_is_owed_and_order_does_not_matter():
    pipeline = Pipeline()
    out = b.adjusted("wms", 1, "10:00", -5)
    out["data"]["lines"][0]["bucket"] = "damaged"
    pipeline.send(out)
    assert (pipeline.stock()["damaged"], codes(pipeline)) == (0, ["bucket_negative"])
    pipeline.send(b.receipt("wms2", 1, "09:00", 7, condition="damaged"))
    assert pipeline.stock()["damaged"] == 2


@pytest.mark.parametrize("order", ["sale hh1 hh2", "sale hh2 hh1", "hh1 hh2 sale"])
def test_a_count_around_an_older_one_still_knows_what_happened_in_it(order):
    events = {
        "sale": b.sale("p", 1, "10:10", 4),
        "hh1": b.count("hh1", 1, "10:30", 20),
        "hh2": b.count("hh2", 1, "11:00", 17, started="10:00"),
    }
    pipeline = Pipeline()
    pipeline.send(b.count("opening", 1, "00:00", 30))
    for name in order.split():
        pipeline.send(events[name])
    assert pipeline.stock()["on_hand"] == 13
