"""How sequence numbers arrive, what is missing, what is a repeat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import arrival
from models.arrival import SourceRow, arrive
from models.rows import Memory


def arrivals(*sequences, epoch=0, contents=None, store=None, source=None):
    store = Memory() if store is None else store
    source = source or SourceRow(version=1, source="p", topic="pos.sales")
    came = [
        arrive(store, source, epoch, sequence, (contents or {}).get(place, sequence), 0).text
        for place, sequence in enumerate(sequences)
    ]
    return came, source


def gaps(source):
    return [(low, high) for one in source.epochs for low, high, _ in one.gaps]


@pytest.mark.parametrize(
    ("sequences", "came", "missing"),
    [
        ([1, 2, 3], ["in_order", "in_order", "in_order"], []),
        ([1, 3, 2], ["in_order", "gap_opened", "gap_filled"], []),
        ([1, 4], ["in_order", "gap_opened"], [(2, 3)]),
        ([1, 5, 3], ["in_order", "gap_opened", "gap_filled"], [(2, 2), (4, 4)]),
        ([1, 1], ["in_order", "duplicate"], []),
        ([3, 1, 2], ["in_order", "below_first", "gap_filled"], []),
        ([3, 2], ["in_order", "below_first"], []),
        ([5, 1, 1], ["in_order", "below_first", "duplicate"], [(2, 4)]),
    ],
)
def test_arrival_order_never_changes_stock_only_what_is_missing(sequences, came, missing):
    found, source = arrivals(*sequences)
    assert found == came
    assert gaps(source) == missing


def test_other_content_under_a_seen_sequence_is_a_conflict():
    found, source = arrivals(1, 2, 1, contents={2: 99})
    assert found == ["in_order", "in_order", "conflict"]
    assert (source.duplicates, source.conflicts) == (0, 1)


def test_an_older_epoch_is_taken_as_late_and_a_newer_one_starts_anew():
    store, source = Memory(), SourceRow(version=1, source="p", topic="pos.sales")
    arrivals(1, 2, store=store, source=source)
    newer, _ = arrivals(1, epoch=1, store=store, source=source)
    older, _ = arrivals(3, 2, store=store, source=source)
    assert (newer, older) == (["in_order"], ["late_epoch", "duplicate"])


def test_content_is_remembered_for_the_last_thousand_and_older_repeats_are_duplicates():
    store, source = Memory(), SourceRow(version=1, source="p", topic="pos.sales")
    last = 3000
    arrivals(*range(1, last + 1), store=store, source=source)
    again = [arrive(store, source, 0, number, -1, 0).text for number in (last, last - 1023, 1)]
    assert again == ["conflict", "conflict", "duplicate"]
    assert len(store) <= arrival.MAX_CHUNKS


def test_too_many_gaps_are_refused_and_leave_the_sequence_unseen(monkeypatch):
    monkeypatch.setattr(arrival, "MAX_GAPS", 2)
    found, source = arrivals(1, 3, 5, 7, 2, 7)
    assert found[3:] == ["gap_limit", "gap_filled", "gap_opened"]
    assert gaps(source) == [(4, 4), (6, 6)]


def test_epochs_past_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(arrival, "MAX_EPOCHS", 2)
    store, source = Memory(), SourceRow(version=1, source="p", topic="pos.sales")
    came = [arrive(store, source, epoch, 1, 0, 0).text for epoch in (0, 1, 2, 1)]
    assert came == ["in_order", "in_order", "gap_limit", "duplicate"]


def test_refused_lines_stay_open_for_a_corrected_resend():
    store, source = Memory(), SourceRow(version=1, source="p", topic="pos.sales")
    first = arrive(store, source, 0, 1, 10, 0, open_lines=(2, 3))
    again = arrive(store, source, 0, 1, 10, 0, open_lines=(2, 3))
    mended = arrive(store, source, 0, 1, 11, 0, open_lines=(3,))
    whole = arrive(store, source, 0, 1, 12, 0)
    late = arrive(store, source, 0, 1, 12, 0)
    assert [one.text for one in (first, again, mended, whole, late)] == [
        "in_order",
        "duplicate",
        "resubmitted",
        "resubmitted",
        "duplicate",
    ]
    assert (mended.lines, whole.lines) == ({2}, {3})


@given(st.lists(st.integers(1, 40), max_size=80))
def test_seen_and_missing_are_those_of_a_plain_set(sequences):
    found, source = arrivals(*sequences)
    seen = set()
    for sequence, came in zip(sequences, found, strict=True):
        assert (came in ("duplicate", "conflict")) == (sequence in seen)
        seen.add(sequence)
    if not seen:
        return
    (epoch,) = source.epochs
    intervals = {n for low, high in epoch.seen() for n in range(low, high + 1)}
    missing = {n for low, high in gaps(source) for n in range(low, high + 1)}
    assert intervals == seen
    assert missing == set(range(min(seen), max(seen))) - seen
