"""Stock rows that leave: through a worker, its state log, the front and a restart."""

import time
from typing import Any

import httpx

from local.processes import wait_until
from models import rows, topics
from models.movements import Counted, Delta, Movement, encode
from tests import builders as b
from tests.harness import Harness

DAYS = 30
DAY_MS = 86_400_000
ORIGIN = 99
"""Of an input that is nobody's: what comes from there was not absorbed before."""


def test_an_empty_row_leaves_and_its_sku_comes_back_unknown(bootstrap, logs):
    own = {"ONHAND_TIMESTAMPS": "CreateTime", "ONHAND_STOCK_DAYS": str(DAYS)}
    # Else the broker lets go of records as old as these.
    own["ONHAND_RETENTION_HOURS"] = str(24 * 365)
    with Harness(bootstrap, logs, "leaving.", ONHAND_PARTITIONS="1", **own) as harness:
        worker = harness.service.start_worker()
        harness.service.start_api()
        ago(harness, DAYS + 2, counted("S", 1, 2), sold("S", 2, 2), counted("T", 3, 1))
        before = harness.stock("S")
        assert (before["on_hand"], before["status"]) == (0, "known")

        ago(harness, 2, sold("U", 4, 1))
        assert harness.stock("S") == before
        ago(harness, 1, sold("U", 5, 1))
        wait_until(lambda: answer(harness).status_code == 404, 10, "the row to leave")
        assert answer(harness).json()["code"] == "not_found"
        assert harness.stock("T")["on_hand"] == 1
        key = rows.stock_key("S", "17").encode()
        told = [one for one in harness.records(topics.INVENTORY_STATE) if one.key == key]
        assert rows.head(told[-1].value) == (before["version"] + 1, True)

        worker.kill()
        harness.service.start_worker()
        harness.send(b.receipt("wms", 1, "11:00", 5))
        harness.settle()
        again = harness.stock("S")
        assert (again["on_hand"], again["status"], again["available_to_sell"]) == (5, "unknown", 0)
        assert again["version"] > before["version"] + 1
        assert harness.service.digest() == harness.service.digest(replay=True)


def answer(harness: Harness) -> httpx.Response:
    return harness.get("/v1/availability/S/17")


def common(sku: str, number: int) -> tuple[Any, ...]:
    return (sku, "17", ORIGIN, 0, number, "clock", 0, number, 1, number, "in_order", None)


def counted(sku: str, number: int, quantity: int) -> Movement:
    return Counted(*common(sku, number), "C", quantity, number, None, True, False)


def sold(sku: str, number: int, quantity: int) -> Movement:
    return Delta(*common(sku, number), "sale", "on_hand", -quantity)


def ago(harness: Harness, days: int, *moved: Movement) -> None:
    """Movements whose record is so many days old."""
    at = round(time.time() * 1_000) - days * DAY_MS
    harness.append(topics.INVENTORY_MOVEMENTS, (None, encode(list(moved))), at=at)
    harness.settle()
