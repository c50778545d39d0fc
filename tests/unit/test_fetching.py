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


@pytest.mark.parametrize(
    ("asked_for", "rests"),
    [
        ([("in", [(0, END, 1), (1, END, 1)])], True),
        ([("in", [(0, END, 1)]), ("other", [(1, END - 1, 1)])], False),
        ([("in", [(0, END, 1), (9, END, 1)])], False),
    ],
)
def test_a_reader_rests_where_it_has_read_to_the_end(monkeypatch, asked_for, rests):
    slept, asked = [], []

    async def sleep(seconds):
        slept.append(seconds)

    async def ask(assignment, node, request):
        asked.append((node, request))
        return True

    monkeypatch.setattr(asyncio, "sleep", sleep)
    fetcher = SimpleNamespace(_proc_fetch_request=ask)
    pace(fetcher)
    request = SimpleNamespace(topics=asked_for)
    assert asyncio.run(fetcher._proc_fetch_request(Assignment(), 3, request))
    assert asked == [(3, request)]
    assert slept == ([REST_SECONDS] if rests else [])
