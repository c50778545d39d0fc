"""One Kafka for the whole run; a service per test that asks for one, under its own prefix."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kafka import kafka
from local.processes import scratch
from tests.harness import Harness

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    with kafka() as servers:
        yield servers


@pytest.fixture(scope="session")
def logs() -> Iterator[Path]:
    with scratch("tests") as folder:
        yield folder


@pytest.fixture
def harness(bootstrap: str, logs: Path) -> Iterator[Harness]:
    """Topics of their own; workers and the front are started by the test."""
    with Harness(bootstrap, logs, f"t{next(_numbers)}.") as made:
        yield made


@pytest.fixture(scope="module")
def running(bootstrap: str, logs: Path) -> Iterator[Harness]:
    """A worker and the front, shared by the tests of a module."""
    with Harness(bootstrap, logs, f"m{next(_numbers)}.") as made:
        made.service.start_worker()
        made.service.start_api()
        yield made
