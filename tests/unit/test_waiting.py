"""What waits of an input comes in the order in which it was fetched, whatever is given back."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from runtime.records import size_of
from streams.engine.waiting import Waiting


@dataclass(frozen=True)
class Record:
    value: bytes | None
    offset: int


sizes = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def run(first, of):
    return [Record(bytes(size) or None, first + place) for place, size in enumerate(of)]


@given(st.lists(sizes, max_size=6), st.integers(0, 200), st.data())
def test_all_that_was_added_is_taken_once_and_in_order(runs, most, data):
    waiting, added, taken = Waiting(), [], []
    for of in runs:
        part = run(len(added), of)
        waiting.add(part)
        added += part
    while waiting.count:
        assert waiting.count == len(added) - len(taken)
        assert waiting.bytes == size_of(added[len(taken) :])
        part = waiting.take(most)
        assert part
        left = data.draw(st.integers(0, len(part) - 1))
        if left:
            waiting.give_back(part[-left:])
            part = part[:-left]
        taken += part
    assert taken == added
    assert waiting.bytes == 0


def test_about_so_many_bytes_are_taken_of_a_run():
    waiting = Waiting()
    waiting.add(run(0, [10] * 100))
    assert len(waiting.take(200)) == 21
    assert (waiting.count, waiting.bytes) == (79, 790)


def test_a_record_is_taken_however_large_it_is():
    waiting = Waiting()
    waiting.add(run(0, [1_000, 1_000]))
    assert len(waiting.take(10)) == 1
