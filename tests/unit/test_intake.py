"""What intake does beyond arrival and decoding."""

from models import topics
from streams import dead_letters
from tests import builders as b
from tests.pipeline import Pipeline


def test_a_clock_far_ahead_does_not_end_a_rows_history():
    pipeline = Pipeline()
    pipeline.send({**b.count("hh", 1, "2099-01-01T00:00:00Z", 10), "rcv": b.moment("08:00")})
    pipeline.send(b.sale("p", 1, "09:00"))
    assert pipeline.stock()["on_hand"] == 9
    count = pipeline.ledger()[0]
    assert count.movement.note.why == ("future_clamped",)
    assert count.movement.note.time == "2099-01-01T00:00:00+00:00"


def test_a_record_larger_than_is_decoded_leaves_its_beginning(monkeypatch):
    monkeypatch.setattr(dead_letters, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(dead_letters, "_KEPT", 10)
    pipeline = Pipeline()
    for topic in (topics.POS_SALES, topics.ORDERS_RESERVATIONS):
        pipeline.append(topic, "p", b"x" * 1001)
    pipeline.run()
    assert pipeline.letters() == [("too_large", b"x" * 10)] * 2


def test_a_corrected_resend_applies_only_what_was_refused():
    pipeline = Pipeline()
    bad = b.sale("p", 1, "09:00", 5)
    bad["data"]["lines"] += [{"line": 2, "sku": "T", "quantity": 0}]
    mended = b.sale("p", 1, "09:00", 5)
    mended["data"]["lines"] += [{"line": 2, "sku": "T", "quantity": 3}]
    pipeline.send(bad, bad, mended, mended)
    assert pipeline.stock("S")["on_hand"] == -5
    assert pipeline.stock("T")["on_hand"] == -3
    assert [code for code, _ in pipeline.letters()] == ["invalid"]
