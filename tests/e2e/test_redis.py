"""The front with its rows in Redis: the same answers, shared by two processes."""

from collections.abc import Iterator

import pytest

from local.redis import redis
from tests import builders as b
from tests.harness import Harness


@pytest.fixture(scope="module")
def shared(bootstrap, logs) -> Iterator[Harness]:
    with redis() as url, Harness(bootstrap, logs, "redis.", ONHAND_VIEW=url) as made:
        made.service.start_worker()
        made.service.start_api()
        yield made


def test_answers_and_reservations_come_from_redis(shared):
    shared.send(b.count("hh", 1, "00:00", 5), b.sale("p", 1, "09:00"), b.sale("p", 3, "09:02"))
    shared.settle()
    row = shared.stock("S")
    assert (row["on_hand"], row["gaps"], row["status"]) == (3, 1, "known")
    line = {"line": 1, "sku": "S", "quantity": 2, "location": "17"}
    assert shared.post("/v1/reservations", {"lines": [line]}).status_code == 201
    shared.settle()
    first = shared.service.url
    shared.service.start_api()
    assert shared.service.url != first
    assert shared.stock("S")["reserved"] == 2
    assert shared.get("/v1/sources/p").json()["epochs"][0]["gaps"] == [[2, 2]]
