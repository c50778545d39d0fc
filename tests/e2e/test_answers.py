"""What analysts ask over HTTP: explanations, exceptions, returns, sources, reference data."""

import base64
import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from local.processes import wait_until
from models import topics
from tests import builders as b
from tests.pipeline import received


def explained(running, sku, location="17", **query):
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    answer = running.get(f"/v1/availability/{sku}/{location}/explain?{asked}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def exceptions(running, **query):
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return running.get(f"/v1/exceptions?{asked}").json()["exceptions"]


def exception(running, **query):
    wait_until(lambda: exceptions(running, **query), 20, f"an exception {query}")
    (found,) = exceptions(running, **query)
    return found


def test_an_explanation_lists_what_makes_the_number_and_sums_up_to_it(running):
    here = {"sku": "EX", "location": "ex"}
    for event in (
        b.count("ex-hh", 1, "08:00", 10, **here),
        b.sale("ex-p", 1, "09:00", 2, **here),
        b.sale("ex-p", 2, "11:00", 1, **here),
        b.count("ex-hh", 2, "10:00", 7, **here),
        b.sale("ex-p", 5, "12:00", 1, **here),
        b.sale("ex-p", 4, "09:30", 1, **here),
        b.requested("ex-R", "12:30", ("EX", 2), location="ex"),
    ):
        running.send(event)
        running.settle()
    why = explained(running, "EX", "ex")
    stock = running.stock("EX", "ex")
    assert why["version"] == stock["version"]
    assert why["sum"] == {"start": 7, "deltas": -2, "on_hand": 5, "agrees": True}
    assert stock["on_hand"] == 5
    assert (why["base"]["kind"], why["base"]["counted"]) == ("count", 7)
    assert [(e["source"], e["sequence"], e["outcome"]) for e in why["entries"]] == [
        ("ex-p", 2, "applied"),
        ("ex-p", 5, "applied"),
        ("ex-p", 4, "absorbed_by_count"),
        ("ex-R", 0, "held"),
    ]
    assert [(g["source"], g["from"], g["to"]) for g in why["gaps"]] == [("ex-p", 3, 3)]
    assert why["holds"] == [{"reservation": "ex-R", "line": 1, "reserved": 2}]
    whole = explained(running, "EX", "ex", limit=1)
    assert (whole["summed_up"], whole["sum"]["on_hand"], whole["sum"]["agrees"]) == (3, 5, True)


def test_an_explanation_names_the_source_whose_events_are_held(running):
    here = {"sku": "HELD", "location": "held"}
    running.send(b.sale("held-p", 1, "09:00", **here), b.sale("held-p", 2, "09:01", **here))
    running.send(b.sale("held-p", 1, "13:00", **here))
    running.settle()
    why = explained(running, "HELD", "held")
    assert (why["on_hand"], why["gaps"]) == (-2, [])
    assert why["held"] == [{"source": "held-p", "topic": "pos.sales", "events": 1}]
    running.send(b.control("epoch.opened", "held-p", "14:00", epoch=1))
    running.settle()
    why = explained(running, "HELD", "held")
    assert (why["on_hand"], why["held"]) == (-3, [])


def test_a_moment_of_the_past_is_explained_as_it_was_known_then(running):
    here = {"sku": "PAST", "location": "ex"}
    running.send(b.count("past-hh", 1, "08:00", 10, **here))
    running.settle()
    before = explained(running, "PAST", "ex")
    running.send(b.sale("past-p", 1, "09:00", 3, **here))
    running.settle()
    then = before["base"]["received_at"]
    assert explained(running, "PAST", "ex", as_of=then)["on_hand"] == 10
    assert explained(running, "PAST", "ex")["on_hand"] == 7


def test_correlation_reaches_the_ledger_and_the_decision(running):
    here = {"sku": "COR", "location": "ex"}
    trace = {"correlationid": "order-77", "causationid": "click-1", "traceparent": "00-1-2-01"}
    running.send(
        b.count("cor-hh", 1, "08:00", 10, **here),
        {**b.requested("cor-R", "09:00", ("COR", 2), location="ex"), **trace},
    )
    running.settle()
    (hold,) = explained(running, "COR", "ex")["entries"]
    assert {name: hold["event"][name] for name in trace} == trace
    decisions = [
        json.loads(record.value)
        for record in running.records(topics.ORDERS_RESERVATIONS)
        if b"onhand.decision" in record.value and b"cor-R" in record.value
    ]
    assert [{name: one[name] for name in trace} for one in decisions] == [trace]


def test_nothing_to_explain_is_not_found(running):
    assert running.get("/v1/availability/NONE/ex/explain").status_code == 404


def test_an_exception_says_why_and_what_to_do_and_heals_when_its_cause_is_mended(running):
    barcode = "4006381333931-exc"
    running.put_reference("sources", "exc-p", {"unknown_items": "hold"})
    sold = b.sale("exc-p", 1, "09:00", 2, sku=barcode, location="ex", correlationid="c-9")
    running.send(sold)
    found = exception(running, code="unknown_item", source="exc-p")
    assert found["status"] == "open"
    assert (found["owner"], found["heals_by_itself"]) == ("person", True)
    assert found["retry_when"] == "the item or alias is stated"
    assert barcode in found["reason"]
    assert found["location"] == "ex"
    assert found["correlationid"] == "c-9"
    assert json.loads(base64.b64decode(found["original"])) == sold
    running.put_reference("items", "EXC", {"aliases": [{"code": barcode}]})
    wait_until(
        lambda: running.get("/v1/availability/EXC/ex").status_code == 200, 20, "it is applied"
    )
    running.settle()
    assert running.stock("EXC", "ex")["on_hand"] == -2
    wait_until(
        lambda: exceptions(running, source="exc-p")[0]["status"] == "healed", 20, "it is healed"
    )
    for _ in range(2):
        assert running.post(f"/v1/exceptions/{found['id']}/replay").status_code == 202
    running.settle()
    assert running.stock("EXC", "ex")["on_hand"] == -2


def test_an_exception_of_a_movement_shows_the_bytes_of_its_event(running):
    event = b.adjusted("neg-w", 1, "09:00", -5, sku="NEG", location="ex")
    event["data"]["lines"][0]["bucket"] = "damaged"
    running.send(event)
    found = exception(running, code="bucket_negative", source="neg-w")
    whole = running.get(f"/v1/exceptions/{found['id']}").json()
    assert json.loads(base64.b64decode(whole["original"])) == event


def test_the_command_replays_dead_letters_by_their_code(running):
    running.send(b.voided("rep-p", 2, "09:10", "TX", location="ex"))
    exception(running, code="held_for_sale", source="rep-p")
    replayed = running.service.command(
        "streams", "replay", "--code", "held_for_sale", "--source", "rep-p"
    )
    assert "1 appended again" in replayed
    running.settle()
    running.send(b.sale("rep-p", 1, "09:00", 2, sku="REP", location="ex", transaction="TX"))
    running.settle()
    assert running.stock("REP", "ex")["on_hand"] == 0


def test_the_timeline_of_a_return_and_what_stands_still(running):
    rma = {"rma": "RMA-1", "sku": "RET", "location": "ex"}
    running.send(
        b.returned("authorized", "ret-d", 1, "08:00", 2, **rma),
        b.returned("received", "ret-d", 2, "09:00", 2, **rma),
        b.disposed("ret-d", 3, "10:00", 1, "restock", **rma),
        b.returned("refunded", "ret-d", 4, "11:00", 1, **rma),
    )
    running.settle()
    whole = running.get("/v1/returns/RMA-1").json()
    assert [one["stage"] for one in whole["timeline"]] == [
        "authorized",
        "received",
        "disposed",
        "refunded",
    ]
    (line,) = whole["lines"]
    assert (line["authorized"], line["received"], line["undecided"]) == (2, {"ex": 2}, 1)
    stock = running.stock("RET", "ex")
    assert (stock["on_hand"], stock["quality_control"]) == (1, 1)
    stuck = running.get("/v1/returns?stuck_for=3600").json()["returns"]
    assert [(one["rma"], one["waits_for"]) for one in stuck if one["rma"] == "RMA-1"] == [
        ("RMA-1", "disposed")
    ]
    assert running.get("/v1/returns?stuck_for=9e9").json()["returns"] == []
    assert running.get("/v1/returns/none").status_code == 404


def test_sources_are_listed_by_their_troubles(running):
    running.send(
        b.sale("trouble-p", 1, "09:00", sku="TR", location="tr"),
        b.sale("trouble-p", 4, "09:03", sku="TR", location="tr"),
        b.sale("trouble-p", 1, "09:00", sku="TR", location="tr"),
        b.sale("sound-p", 1, "09:00", sku="TR", location="tr"),
    )
    running.settle()

    def names(**query):
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        answer = running.get(f"/v1/sources?location=tr&{asked}").json()
        return [one["source"] for one in answer["sources"]]

    assert names() == ["sound-p", "trouble-p"]
    assert names(trouble="gaps") == ["trouble-p"]
    assert names(trouble="duplicates") == ["trouble-p"]
    assert names(trouble="silence") == []
    running.put_reference("sources", "sound-p", {"cadence_seconds": 1})
    wait_until(lambda: names(trouble="silence") == ["sound-p"], 20, "it is silent")
    first = running.get("/v1/sources?location=tr&limit=1").json()
    assert [one["source"] for one in first["sources"]] == ["sound-p"]
    rest = running.get(f"/v1/sources?location=tr&limit=1&after={first['next']}").json()
    assert [one["source"] for one in rest["sources"]] == ["trouble-p"]


def test_a_heartbeat_finds_the_tail_and_totals_that_do_not_agree(running):
    running.send(b.sale("beat-p", 1, "09:00", 2, sku="BEAT", location="ex"))
    # The front must have seen in which topic the source is.
    running.settle()
    beat = b.control("heartbeat", "beat-p", "09:30", sequence=2)
    assert running.post("/v1/events", beat).status_code == 202
    running.settle()
    (epoch,) = running.get("/v1/sources/beat-p").json()["epochs"]
    assert epoch["gaps"] == [[2, 2]]
    running.send(b.sale("beat-p", 2, "09:20", 1, sku="BEAT", location="ex"))
    agree = b.control("heartbeat", "beat-p", "09:40", sequence=2, transactions=2, units=3)
    differ = b.control("heartbeat", "beat-p", "09:41", sequence=2, transactions=2, units=4)
    running.send(agree, differ, differ)
    running.settle()
    found = exception(running, code="control_totals", source="beat-p")
    assert "2 transactions and 4 units" in found["reason"]


def test_an_event_without_sequence_counts_once_by_its_id(running):
    sold = {**b.sale("noseq-p", 0, "09:00", 2, sku="NOSEQ", location="ex"), "id": "only-one"}
    del sold["sequence"]
    sold["time"] = running.now()
    other = {**sold, "data": {**sold["data"], "transaction": "T2"}}
    old = {**sold, "id": "old", "time": b.moment("09:00")}
    running.send(sold, sold, other, old)
    running.settle()
    assert running.stock("NOSEQ", "ex")["on_hand"] == -2
    exception(running, code="conflict", source="noseq-p")
    exception(running, code="beyond_identity", source="noseq-p")
    assert received(sold) > 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("locations/17", {"zone": "Mars/Olympus"}),
        ("locations/17", {"hours": {"7": ["09:00", "20:00"]}}),
        ("items/X", {"packs": [{"uom": "case", "units": 0}]}),
        ("items/X", {"aliases": [{"code": "a", "since": "2026-11-02T00:00:00"}]}),
        ("sources/p", {"cadence_seconds": 0}),
    ],
)
def test_reference_data_that_makes_no_sense_is_refused(running, path, body):
    answer = running.put(f"/v1/reference/{path}", body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"


def test_reference_data_is_read_back_as_stated(running):
    stated = {
        "aliases": [{"code": "ref-a"}],
        "packs": [{"uom": "case", "units": 12, "since": "2026-11-01T00:00:00+00:00"}],
    }
    running.put_reference("items", "REF", stated)
    found = running.get("/v1/reference/items/REF").json()
    assert {name: found[name] for name in stated} == stated
    assert "REF" in running.get("/v1/reference/items").json()["names"]
    assert running.get("/v1/reference/items/none").status_code == 404


@pytest.mark.parametrize(
    ("module", "levels"), [("api", [0]), ("streams", [0, 5, 5]), ("api.archive", [19])]
)
def test_answers_come_before_fresh_rows_and_those_before_explanations(running, module, levels):
    own = psutil.Process()
    found = [one for one in own.children(recursive=True) if module in one.cmdline()]
    found.sort(key=lambda one: one.nice())
    assert [one.nice() for one in found] == [min(19, own.nice() + level) for level in levels]
    for one, level in zip(found, levels, strict=True):
        assert os.getsid(one.pid) == one.pid
        group = Path(f"/proc/{one.pid}/autogroup")
        if group.exists():
            assert group.read_text().endswith(f"nice {level}\n")
        if sys.platform == "linux":
            policy = os.SCHED_IDLE if module == "api.archive" else os.SCHED_OTHER
            assert os.sched_getscheduler(one.pid) == policy
