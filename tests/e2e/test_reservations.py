"""Reservations over HTTP: nobody gets a unit that another one holds."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.processes import wait_until
from tests import builders as b


@pytest.fixture(scope="module")
def stocked(running):
    running.send(
        b.count("hh", 1, "00:00", 100, sku="HOT"),
        b.count("hh", 2, "00:00", 5, sku="COLD"),
        b.count("hh", 3, "00:00", 0, sku="NONE"),
    )
    running.settle()
    return running


def line(sku: str, quantity: int = 1, number: int = 1):
    return {"line": number, "sku": sku, "quantity": quantity, "location": "17"}


def test_sixty_four_clients_get_a_hundred_units_and_none_more(stocked):
    def buy(client_number: int) -> list[int]:
        with httpx.Client(base_url=stocked.service.url, timeout=60) as client:
            return [
                client.post("/v1/reservations", json={"lines": [line("HOT")]}).status_code
                for _ in range(3)
            ]

    with ThreadPoolExecutor(64) as pool:
        codes = [code for bought in pool.map(buy, range(64)) for code in bought]
    stocked.settle()
    assert len(codes) == 192
    answer = stocked.stock("HOT")
    assert (answer["reserved"], answer["available"], answer["shortfall"]) == (100, 0, 0)
    assert codes.count(201) <= 100
    assert codes.count(201) + codes.count(202) >= 100
    assert set(codes) <= {201, 202, 409}


def test_what_is_short_is_named(stocked):
    asked = {"reservation": "short", "lines": [line("COLD", 2), line("NONE", 1, 2)]}
    answer = stocked.post("/v1/reservations", asked)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "insufficient"
    assert [short["sku"] for short in problem["short"]] == ["NONE"]
    stocked.settle()
    assert stocked.stock("COLD")["reserved"] == 0


def test_a_reservation_lives_from_request_to_fulfilment(stocked):
    asked = {"reservation": "life", "order": "O1", "channel": "web", "lines": [line("COLD", 2)]}
    held = stocked.post("/v1/reservations", asked)
    assert held.status_code == 201
    assert held.headers["location"] == "/v1/reservations/life"
    assert held.json()["status"] == "held"
    assert stocked.post("/v1/reservations", asked).status_code == 201
    other = {**asked, "lines": [line("COLD", 3)]}
    assert stocked.post("/v1/reservations", other).json()["code"] == "conflict"
    assert stocked.post("/v1/reservations/life/confirm").json()["status"] == "confirmed"
    assert stocked.post("/v1/reservations/life/fulfil").json()["status"] == "fulfilled"
    assert stocked.post("/v1/reservations/life/release").json()["status"] == "fulfilled"
    assert stocked.get("/v1/reservations/life").json()["status"] == "fulfilled"
    stocked.settle()
    answer = stocked.stock("COLD")
    assert (answer["on_hand"], answer["reserved"]) == (3, 0)


def test_a_hold_lapses_within_two_seconds_of_its_deadline(stocked):
    asked = {"reservation": "brief", "ttl_seconds": 1, "lines": [line("COLD")]}
    assert stocked.post("/v1/reservations", asked).status_code == 201
    begun = time.monotonic()
    wait_until(
        lambda: stocked.get("/v1/reservations/brief").json()["status"] == "expired",
        10,
        "the hold lapses",
    )
    assert time.monotonic() - begun < 1 + 2 + 1
    late = stocked.post("/v1/reservations/brief/confirm")
    assert (late.status_code, late.json()["code"]) == (409, "hold_expired")


@pytest.mark.parametrize("command", ["confirm", "fulfil"])
def test_an_unknown_reservation_is_not_found(stocked, command):
    answer = stocked.post(f"/v1/reservations/nobody-{command}/{command}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_reservation")
    assert stocked.get(f"/v1/reservations/nobody-{command}").status_code == 404
