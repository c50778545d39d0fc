"""Long runs, only with `make soak`."""

import random

import pytest

from local.kafka import brokers, jars_can_run
from tests.e2e.test_crash import (
    FAILPOINTS,
    die_at,
    repeated_origins,
    rows_that_differ,
    start,
    under_load,
    wait_for_progress,
)
from tests.e2e.test_faults import Orchestrator, must_be_exact
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


def test_three_brokers_whose_leaders_are_killed_change_no_number(logs):
    if not jars_can_run():
        pytest.skip("brokers that may be killed are run by Java 17 and Maven")
    dice = random.Random(3)
    load = Load(seed=300)
    with brokers(3, heap="384m") as cluster:
        bootstrap = ",".join(broker.bootstrap for broker in cluster)
        with Harness(bootstrap, logs, "three.", ONHAND_REPLICATION="3") as harness:
            harness.service.start_api()
            with under_load(harness, load):
                worker = Orchestrator(harness)
                for _ in range(6):
                    wait_for_progress(harness)
                    broker = dice.choice(cluster)
                    broker.kill()
                    worker.look()
                    wait_for_progress(harness)
                    broker.start()
                    worker.look()
            worker.settle(300)
            must_be_exact(harness, load)
