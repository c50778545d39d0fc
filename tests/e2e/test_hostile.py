"""Hostile input: no crash, one dead letter each, byte-identical; the good around it applied."""

import json
import random
from collections import Counter

import pytest

from models import topics
from tests import builders as b
from tests.load import Load
from tests.pipeline import key_of, topic_of

BIG = b'{"junk":"' + b"x" * 10_000_000 + b'"}'


def sale(sku: str, sequence: int, **more):
    return b.sale("p1", sequence, "09:00", sku=sku, **more)


def bad_line(sku: str, sequence: int):
    made = sale(sku, sequence)
    made["data"]["lines"] += [{"line": 2, "sku": sku, "quantity": 0}]
    return made


@pytest.fixture(scope="module")
def stormed(running):
    """Bad records between good ones, all of one source; returns what was sent as bad."""
    running.send(b.count("hh", 1, "00:00", 100, sku="H"))
    running.settle()
    good = iter(range(1, 100))
    misrouted = json.dumps({**sale("H", 50), "source": "other"}).encode()
    wrong_topic = b.encoded(b.receipt("p1", 51, "09:00", 5, sku="H"))
    element = b'{"specversion":"1.0", "id" : 7}'
    array = b"[%b, %b ,%b]" % (
        b.encoded(sale("H", next(good))),
        element,
        b.encoded(sale("H", next(good))),
    )
    partly = b.encoded(bad_line("H", next(good)))
    records = {
        "null": (None, b"", "invalid"),
        "empty": (b"", b"", "invalid"),
        "array": (b"[]", b"[]", "invalid"),
        "text": (b"hello", b"hello", "invalid"),
        "number": (b"42", b"42", "invalid"),
        "huge": (BIG, BIG, "invalid"),
        "utf8": (b'{"type":"\xff\xfe"}', b'{"type":"\xff\xfe"}', "invalid"),
        "deep": (b"[" * 100_000, b"[" * 100_000, "invalid"),
        "types": (b.encoded({**sale("H", 52), "sequence": 1.5}),) * 2 + ("invalid",),
        "unknown": (b.encoded({**sale("H", 53), "type": "pos.sale.imagined.v9"}),) * 2
        + ("unknown_type",),
        "service": (b.encoded({**sale("H", 55), "type": "onhand.tick.v1"}),) * 2 + ("wrong_topic",),
        "topic": (wrong_topic, wrong_topic, "wrong_topic"),
        "misrouted": (misrouted, misrouted, "misrouted"),
        "element": (array, element, "invalid"),
        "line": (partly, partly, "invalid"),
    }
    for value, _, _ in records.values():
        running.append(topics.POS_SALES, ("p1", value))
        running.append(topics.POS_SALES, ("p1", b.encoded(sale("H", next(good)))))
    running.settle()
    return records, next(good) - 1


def test_every_bad_record_is_one_dead_letter_byte_for_byte(running, stormed):
    records, _ = stormed
    letters = running.letters()
    found = sorted((headers["onhand-code"], value) for headers, value in letters)
    assert found == sorted((code, original) for _, original, code in records.values())


def test_a_dead_letter_names_its_place(running, stormed):
    log = {
        (record.partition, record.offset): record.value
        for record in running.records(topics.POS_SALES)
    }
    for headers, value in running.letters():
        assert headers["onhand-topic"] == topics.POS_SALES
        assert headers["onhand-reason"]
        stood = log[int(headers["onhand-partition"]), int(headers["onhand-offset"])] or b""
        if headers["onhand-index"] == "1":
            assert value in stood
        else:
            assert value == stood


def test_the_good_events_around_are_applied(running, stormed):
    _, good = stormed
    assert running.stock("H")["on_hand"] == 100 - good
    found = running.get("/v1/sources/p1").json()
    assert found["epochs"][0]["seen"] == [[1, good]]


def test_a_corrected_resend_fills_the_line_that_was_refused(running):
    bad = b.sale("p2", 1, "09:00", 3, sku="C")
    bad["data"]["lines"] += [{"line": 2, "sku": "C", "quantity": -2}]
    running.send(b.count("hh", 2, "00:00", 10, sku="C"), bad)
    running.settle()
    assert running.stock("C")["on_hand"] == 7
    mended = json.loads(json.dumps(bad))
    mended["data"]["lines"][1]["quantity"] = 2
    running.send(mended, mended)
    running.settle()
    assert running.stock("C")["on_hand"] == 5


def test_ten_thousand_malformed_among_a_hundred_thousand_lose_and_change_nothing(harness):
    dice = random.Random(4)
    load = Load(seed=4, sources=60)
    good = [load.event() for _ in range(90_000)]
    bad = [malformed(dice, number) for number in range(10_000)]
    worker = harness.service.start_worker()
    harness.service.start_api()
    records = [(topic_of(one), key_of(one), json.dumps(one).encode()) for one in good]
    for number, value in enumerate(bad):
        records.insert(number * 10, (topics.POS_SALES, f"bad-{number % 50}", value))
    for topic in topics.SOURCE_TOPICS:
        harness.append(topic, *((key, value) for home, key, value in records if home == topic))
    harness.settle(240)
    assert worker.running
    letters = Counter(value for _, value in harness.letters())
    assert letters == Counter(value or b"" for value in bad)
    items = [{"sku": sku, "location": location} for sku, location in sorted(load.sums)]
    answers = harness.post("/v1/availability/query", {"items": items}).json()["items"]
    for answer in answers:
        assert load.sums[answer["sku"], answer["location"]] == {
            "on_hand": answer["on_hand"],
            "quality_control": answer["quality_control"],
        }


def malformed(dice: random.Random, number: int) -> bytes | None:
    """A record that no event can be read from, each in one of many ways."""
    event = b.sale(f"bad-{number % 50}", number + 1, "09:00", sku=f"bad-{number}")
    encoded = json.dumps(event).encode()
    field = dice.choice(("specversion", "id", "source", "type", "time", "data"))
    place = dice.randrange(1, len(encoded) - 1)
    return dice.choice(
        (
            lambda: encoded[:place],
            lambda: dice.randbytes(dice.randrange(1, 200)),
            lambda: json.dumps({**event, field: None}).encode(),
            lambda: json.dumps({**event, field: [number]}).encode(),
            lambda: json.dumps({**event, "type": f"pos.sale.{number}.v1"}).encode(),
            lambda: json.dumps({**event, "time": f"{number}-13-32"}).encode(),
            lambda: b"[" * dice.randrange(1, 3_000),
            lambda: b"[]" + b" " * number,
            lambda: json.dumps({**event, "sequence": -number - 1}).encode(),
            lambda: json.dumps({**event, "data": {**event["data"], "lines": []}}).encode(),
            lambda: encoded.replace(b'"quantity": 1', b'"quantity": 1e3'),
            lambda: encoded + b"," + encoded,
            lambda: None,
        )
    )()
