"""How a log is fetched, by how much of it comes."""

from models.pacing import BUSY_FETCHES, WINDOW_SECONDS, Fetching, Pace

IDLE = Fetching(1, 100)


def paced(*times):
    pace = Pace(100, 5)
    asked = IDLE
    for now in times:
        asked = pace.fetched(now)
    return pace, asked


def test_a_record_now_and_then_is_fetched_at_once():
    _, asked = paced(*(number * WINDOW_SECONDS for number in range(20)))
    assert asked == IDLE


def test_many_fetches_let_the_broker_collect():
    step = WINDOW_SECONDS / BUSY_FETCHES / 2
    _, asked = paced(*(number * step for number in range(30)))
    assert asked.wait_ms == 5
    assert asked.min_bytes > 1


def test_collecting_goes_on_though_it_makes_fetches_rarer():
    step = WINDOW_SECONDS / BUSY_FETCHES / 2
    pace, _ = paced(*(number * step for number in range(30)))
    rarer = WINDOW_SECONDS / (BUSY_FETCHES - 1)
    asked = [pace.fetched(30 * step + number * rarer) for number in range(12)]
    assert {one.wait_ms for one in asked} == {5}


def test_when_nothing_comes_the_next_record_is_fetched_at_once():
    step = WINDOW_SECONDS / BUSY_FETCHES / 2
    pace, _ = paced(*(number * step for number in range(30)))
    assert pace.calm() == IDLE
    assert pace.fetched(10.0) == IDLE
