"""Reading over HTTP: shapes, caching, misses, freshness, sources, channels and their stream."""

import json
import os
import sys
import threading

import httpx
import psutil
import pytest

from local.processes import wait_until
from models import topics
from tests import builders as b
from tests.harness import may_be_real_time

FIELDS = {
    "sku",
    "location",
    "on_hand",
    "reserved",
    "quality_control",
    "damaged",
    "in_transit",
    "incoming",
    "safety_stock",
    "available",
    "available_to_sell",
    "shortfall",
    "status",
    "version",
    "as_of",
    "gaps",
}


@pytest.fixture(scope="module")
def stocked(running):
    running.send(
        b.count("hh", 1, "00:00", 10, sku="A/1 ü"),
        b.count("hh2", 1, "00:00", 4, sku="A/1 ü", location="18"),
        b.safety_stock("wms", 1, "08:00", 3, sku="A/1 ü"),
        b.receipt("wms", 2, "08:00", 2, sku="A/1 ü", condition="damaged"),
        b.sale("pos/17/3", 1, "09:00", sku="A/1 ü"),
        b.sale("pos/17/3", 4, "09:04", sku="A/1 ü"),
        b.sale("p9", 1, "09:00", sku="uncounted"),
    )
    running.settle()
    return running


def test_one_key_is_one_flat_object(stocked):
    answer = stocked.get("/v1/availability/A%2F1%20%C3%BC/17")
    assert answer.status_code == 200
    row = answer.json()
    assert set(row) == FIELDS
    assert (row["on_hand"], row["damaged"], row["safety_stock"]) == (8, 2, 3)
    assert (row["available"], row["available_to_sell"], row["status"]) == (5, 5, "known")
    assert row["as_of"] == "2026-11-02T09:04:00Z"
    assert row["gaps"] == 1
    assert 0 <= int(answer.headers["X-Onhand-Lag-Ms"]) < 10_000


def test_an_unchanged_answer_is_not_sent_again(stocked):
    path = "/v1/availability/A%2F1%20%C3%BC/17"
    tag = stocked.get(path).headers["ETag"]
    again = stocked.get(path, **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert stocked.get(path, **{"If-None-Match": '"other"'}).status_code == 200


def test_a_key_that_nothing_touched_is_a_problem(stocked):
    answer = stocked.get("/v1/availability/never/17")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


def test_a_row_that_was_never_counted_promises_nothing(stocked):
    row = stocked.stock("uncounted")
    assert (row["status"], row["on_hand"]) == ("unknown", -1)
    assert (row["available"], row["available_to_sell"]) == (0, 0)


def test_a_sku_everywhere_sums_what_its_locations_promise(stocked):
    answer = stocked.get("/v1/availability/A%2F1%20%C3%BC").json()
    assert [row["location"] for row in answer["locations"]] == ["17", "18"]
    assert answer["network_available"] == 5 + 4


def test_a_query_answers_in_the_order_asked(stocked):
    wanted = [
        {"sku": "A/1 ü", "location": "18"},
        {"sku": "never", "location": "17"},
        {"sku": "A/1 ü", "location": "17"},
    ]
    items = stocked.post("/v1/availability/query", {"items": wanted}).json()["items"]
    assert [item["status"] for item in items] == ["known", "missing", "known"]
    assert [item["location"] for item in items] == ["18", "17", "17"]
    too_many = stocked.post("/v1/availability/query", {"items": wanted * 400})
    assert (too_many.status_code, too_many.json()["code"]) == (422, "too_many")


def test_a_source_says_what_is_missing_and_since_when(stocked):
    source = stocked.get("/v1/sources/pos%2F17%2F3").json()
    (epoch,) = source["epochs"]
    assert (source["source"], source["topic"]) == ("pos/17/3", "pos.sales")
    assert (epoch["seen"], epoch["gaps"]) == ([[1, 1], [4, 4]], [[2, 3]])
    assert len(epoch["gaps_since"]) == 1
    assert stocked.get("/v1/sources/nobody").status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid"),
        (b"[]", "invalid"),
        (b.encoded({**b.sale("p", 1, "09:00"), "type": "onhand.tick.v1"}), "reserved_type"),
        (b.encoded({**b.sale("p", 1, "09:00"), "type": "made.up"}), "unknown_type"),
        (b.encoded([b.sale("p", 1, "09:00"), b.sale("p", 2, "09:00", 0)]), "invalid"),
    ],
)
def test_events_that_are_not_valid_are_refused_as_a_whole(stocked, body, code):
    url = f"{stocked.service.url}/v1/events"
    answer = httpx.post(url, content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert stocked.get("/v1/sources/p").status_code == 404


def test_events_of_every_topic_are_taken_over_http(stocked):
    answer = stocked.post(
        "/v1/events",
        [
            b.count("h1", 1, "00:00", 9, sku="http"),
            b.sale("h2", 1, "09:00", sku="http"),
            b.disposed("h3", 1, "10:00", 1, "restock", sku="http"),
            b.requested("http-1", "10:00", ("http", 2)),
        ],
    )
    assert (answer.status_code, answer.json()) == (202, {"accepted": 4})
    stocked.settle()
    wait_until(lambda: stocked.stock("http")["on_hand"] == 9, 10, "all of them are applied")


def test_channels_divide_what_can_be_promised_and_follow_it(stocked):
    stocked.send(b.count("hh", 9, "00:00", 7, sku="LIVE", location="30"))
    for rank, (channel, share) in enumerate((("web", 50), ("shop", 30), ("ebay", 20))):
        rule = {"share": share, "rank": rank, "locations": ["30"]}
        assert stocked.put(f"/v1/channels/{channel}", rule).status_code == 202
    stocked.settle()

    def allocated() -> dict[str, int]:
        return {
            channel: row["quantity"]
            for channel in ("web", "shop", "ebay")
            for row in stocked.get(f"/v1/channels/{channel}/allocations").json()["allocations"]
            if row["sku"] == "LIVE"
        }

    wait_until(lambda: allocated() == {"web": 4, "shop": 2, "ebay": 1}, 10, "7 units are divided")
    assert stocked.get("/v1/channels/web").json()["share"] == 50
    assert stocked.get("/v1/channels/none").status_code == 404

    first = read_stream(stocked, "web", None, lambda row: row["sku"] == "LIVE")
    assert first["quantity"] == 4
    seen: list[dict] = []
    follower = threading.Thread(
        target=lambda: seen.append(
            read_stream(stocked, "web", first["id"], lambda row: row["sku"] == "LIVE")
        )
    )
    follower.start()
    stocked.send(b.sale("p30", 1, "09:00", 6, sku="LIVE", location="30"))
    follower.join(20)
    assert [row["quantity"] for row in seen] == [1]
    wait_until(lambda: allocated() == {"web": 1, "shop": 0, "ebay": 0}, 10, "the last unit")


def test_what_comes_late_to_the_log_of_allocations_misleads_no_front(harness):
    worker = harness.service.start_worker()
    front = harness.service.start_api()
    assert harness.put("/v1/channels/web", {"share": 100, "rank": 0}).status_code == 202
    harness.send(b.count("hh", 1, "00:00", 7))
    harness.settle()
    seven = read_stream(harness, "web", None, lambda row: row["quantity"] == 7)
    harness.send(b.sale("p", 1, "09:00", 2))
    harness.settle()
    told = harness.records(topics.CHANNEL_ALLOCATIONS)
    late = next(one for one in told if json.loads(one.value)["quantity"] == 7)
    worker.stop()
    # As compaction leaves it, where one that was thought gone appends what it had computed.
    harness.lose(topics.CHANNEL_ALLOCATIONS)
    harness.append_to(topics.CHANNEL_ALLOCATIONS, late.partition, [(late.key, late.value)])
    front.stop()
    harness.service.start_api()
    (row,) = harness.get("/v1/channels/web/allocations").json()["allocations"]
    assert row["quantity"] == 5
    # Another front goes on where a stream of this one ended.
    assert read_stream(harness, "web", seven["id"], lambda row: True)["quantity"] == 5


def read_stream(harness, channel, since, wanted):
    """The first event of a channel's stream, after `since`, that is wanted."""
    headers = {"Last-Event-ID": since} if since else {}
    url = f"{harness.service.url}/v1/channels/{channel}/stream"
    with httpx.stream("GET", url, headers=headers, timeout=20) as stream:
        place = ""
        for text in stream.iter_lines():
            if text.startswith("id: "):
                place = text.removeprefix("id: ")
            if text.startswith("data: "):
                row = json.loads(text.removeprefix("data: "))
                if wanted(row):
                    return {**row, "id": place}
    raise AssertionError("the stream ended")


def test_operations_endpoints_answer(stocked):
    assert stocked.get("/healthz").json() == {"status": "ok"}
    assert stocked.get("/readyz").json() == {"status": "ready"}
    assert "onhand_http_requests_total" in stocked.get("/metrics").text
    paths = stocked.get("/openapi.json").json()["paths"]
    assert "/v1/availability/{sku}/{location}" in paths
    assert stocked.get("/docs").status_code == 200


@pytest.mark.parametrize(("wanted", "real_time"), [("true", may_be_real_time()), ("false", False)])
def test_front_and_worker_are_real_time_where_they_may_and_are_told_to(harness, wanted, real_time):
    worker = harness.service.start_worker(ONHAND_REALTIME=wanted)
    harness.service.start_api(ONHAND_REALTIME=wanted)
    harness.send(b.count("hh", 1, "00:00", 5))
    harness.settle()

    def policies():
        children = psutil.Process(worker.pid).children()
        return {os.sched_getscheduler(one.pid) & ~os.SCHED_RESET_ON_FORK for one in children}

    def told():
        return f"onhand_api_realtime {float(real_time)}" in harness.get("/metrics").text

    wait_until(told, 10, "what the front tells")
    if sys.platform == "linux":
        policy = os.SCHED_RR if real_time else os.SCHED_OTHER
        wait_until(lambda: policies() == {policy}, 10, "the worker's policies")


def test_a_query_that_takes_the_long_way_is_answered_the_same(stocked):
    url = stocked.service.url + "/v1/availability/query"
    body = '{"items": [{"sku": "A/1 ü", "location": "17"}]}'.encode()
    plain = httpx.post(url, content=body, headers={"Content-Type": "application/json"})
    chunked = httpx.post(
        url, content=iter([body[:9], body[9:]]), headers={"Content-Type": "application/json"}
    )
    assert plain.json() == chunked.json()
    assert plain.json()["items"][0]["status"] == "known"
    broken = httpx.post(url, content=body[:-1], headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (422, "invalid")
    other = httpx.post(url, content=b'{"items": 1}', headers={"Content-Type": "application/json"})
    assert (other.status_code, other.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/availability/query"])
@pytest.mark.parametrize("says_its_length", [True, False])
def test_a_body_that_is_too_long_is_refused(stocked, path, says_its_length):
    parts = [b" " * 1_000_000] * 17
    headers = {"content-type": "application/json"}
    content = b"".join(parts) if says_its_length else iter(parts)
    answer = httpx.post(f"{stocked.service.url}{path}", content=content, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert stocked.get("/v1/availability/A%2F1%20%C3%BC/17").status_code == 200
