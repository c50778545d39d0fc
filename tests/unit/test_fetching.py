"""How a log is fetched, by how much of it comes."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime.fetching import LONGEST_REST_SECONDS, REST_SECONDS, Pace, pace

END = 10


class Assignment:
    """One in which the end of each log is known, but for partition 9."""

    def state_value(self, tp):
        return SimpleNamespace(highwater=None if tp == ("in", 9) else END)


def test_rests_that_end_late_grow_and_shrink_again():
    pace = Pace()
    assert pace.rest() == REST_SECONDS
    for _ in range(50):
        pace.rested(0.004, 0.009)
    assert pace.rest() == pytest.approx(REST_SECONDS + 0.010, rel=0.01)
    for _ in range(50):
        pace.rested(0.004, 1.0)
    assert pace.rest() == LONGEST_REST_SECONDS
    for _ in range(100):
        pace.rested(0.004, 0.003)
    assert pace.rest() == pytest.approx(REST_SECONDS, rel=0.01)


class Fetcher:
    """One that notes what it asks, in front of records that wait to be taken."""

    def __init__(self, records=()):
        self._records, self.asked = records, []
        pace(self)

    async def _proc_fetch_request(self, assignment, node, request):
        self.asked.append((node, request))
        return True


def request_of(topics):
    return SimpleNamespace(topics=topics, _min_bytes=1, _max_wait_ms=100)


@pytest.fixture
def slept(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


@pytest.mark.parametrize(
    ("asked_for", "rests"),
    [
        ([("in", [(0, END, 1), (1, END, 1)])], True),
        ([("in", [(0, END, 1)]), ("other", [(1, END - 1, 1)])], False),
        ([("in", [(0, END, 1), (9, END, 1)])], False),
    ],
)
def test_a_reader_rests_where_it_has_read_to_the_end(slept, asked_for, rests):
    fetcher, request = Fetcher(), request_of(asked_for)
    assert asyncio.run(fetcher._proc_fetch_request(Assignment(), 3, request))
    assert fetcher.asked == [(3, request)]
    assert slept == ([REST_SECONDS] if rests else [])
    assert (request._min_bytes, request._max_wait_ms) == (1, 100)


def test_a_request_that_leaves_a_partition_out_does_not_keep_it_waiting(slept):
    fetcher, request = Fetcher(records={("in", 1): "records"}), request_of([("in", [(0, END, 1)])])
    assert asyncio.run(fetcher._proc_fetch_request(Assignment(), 3, request))
    assert slept == []
    assert request._min_bytes > 1
    assert request._max_wait_ms == REST_SECONDS * 1_000


def test_a_rest_that_is_cancelled_asks_nothing_and_says_so():
    async def case():
        fetcher, request = Fetcher(), request_of([("in", [(0, END, 1)])])
        asking = asyncio.create_task(fetcher._proc_fetch_request(Assignment(), 3, request))
        await asyncio.sleep(0)
        asking.cancel()
        assert await asking is False
        assert fetcher.asked == []

    asyncio.run(case())
