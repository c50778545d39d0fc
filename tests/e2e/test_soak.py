"""Long runs, only with `make soak`."""

import random
import time
from pathlib import Path

import pytest

from local.kafka import Broker, brokers, jars_can_run
from tests.e2e.test_crash import (
    FAILPOINTS,
    die_at,
    repeated_origins,
    rows_that_differ,
    start,
    under_load,
    wait_for_progress,
)
from tests.e2e.test_faults import Orchestrator, must_be_exact, over_redis
from tests.harness import Harness
from tests.load import Load

pytestmark = pytest.mark.soak


def test_a_hundred_kills_lose_nothing_and_double_nothing(harness):
    dice = random.Random(100)
    load = Load(seed=100, sources=100)
    harness.service.start_api()
    with under_load(harness, load):
        for number in range(50):
            die_at(harness, "a", FAILPOINTS[number % 3], dice.randint(1, 40))
        workers = {name: start(harness, name) for name in ("a", "b")}
        for _ in range(50):
            wait_for_progress(harness)
            name = dice.choice("ab")
            workers[name].kill()
            workers[name] = start(harness, name)
    harness.settle(300)
    assert rows_that_differ(harness, load) == []
    assert repeated_origins(harness) >= 1
    assert harness.service.digest() == harness.service.digest(replay=True)


def one_by_one(harness: Harness, worker: Orchestrator, cluster: list[Broker]) -> None:
    """Kill each broker in turn, whatever it leads."""
    for broker in cluster:
        worker.progress()
        broker.kill()
        worker.progress()
        broker.start()


@pytest.mark.skipif(not jars_can_run(), reason="three brokers are run by Java 17 and Maven")
def test_three_brokers_lose_their_leaders_and_no_number_changes(logs: Path):
    load = Load(seed=300)
    with brokers(3, heap="384m") as cluster:
        servers = ",".join(broker.bootstrap for broker in cluster)
        with Harness(servers, logs, "three.", ONHAND_REPLICATION="3") as harness:
            harness.service.start_api()
            with under_load(harness, load):
                worker = Orchestrator(harness)
                one_by_one(harness, worker, cluster)
                worker.progress()
                # One of three is left: no quorum, and topics of which two must have a record.
                for broker in cluster[:2]:
                    broker.kill()
                for broker in cluster[:2]:
                    broker.start()
                worker.progress()
            worker.settle(300)
            must_be_exact(harness, load)


DOWN_SECONDS = 30.0


def test_a_redis_that_is_down_for_half_a_minute_is_filled_again(bootstrap: str, logs: Path):
    load = Load(seed=400)
    with over_redis(bootstrap, logs) as (redis, harness):
        with under_load(harness, load):
            wait_for_progress(harness)
            redis.kill()
            back_at = time.monotonic() + DOWN_SECONDS
            while time.monotonic() < back_at:
                assert harness.get("/v1/availability/sku-1/L1").status_code == 503
                wait_for_progress(harness)
            redis.start()
            wait_for_progress(harness)
        harness.settle(120)
        assert rows_that_differ(harness, load) == []
