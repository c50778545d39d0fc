"""Long runs, only with `make soak`."""

import random

import pytest

from tests.e2e.test_crash import (
    FAILPOINTS,
    die_at,
    repeated_origins,
    rows_that_differ,
    start,
    under_load,
    wait_for_progress,
)
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
