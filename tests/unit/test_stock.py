"""Deltas, counts, safety stock and returns at one SKU: tables, and histories against a sum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import movements as m
from models import stock
from models.inventory import transition
from models.rows import Memory, decode, encode, stock_key
from models.stock import StockRow
from tests import builders as b

NOON = 1_793_606_400_000_000


class Row:
    """One SKU at one location, moved by short words; times are minutes from noon."""

    def __init__(self) -> None:
        self.store = Memory()
        self.outcomes: list[str] = []
        self._version = 0

    def _common(self, at: float, source: str, sequence: int) -> tuple:
        effective = NOON + round(at * 60_000_000)
        return ("S", "17", 0, 0, 0, source, 0, sequence, 1, effective, "in_order", None)

    def move(self, movement: m.Movement) -> "Row":
        self._version += 1
        self.outcomes.append(transition(self.store, movement, self._version).outcome.value)
        return self

    def delta(self, at, quantity, bucket="on_hand", source="p", sequence=1):
        common = self._common(at, source, sequence)
        return self.move(m.Delta(*common, "sale", bucket, quantity))

    def count(self, at, quantity, started=None, source="hh", sequence=1):
        begun = NOON + round((at if started is None else started) * 60_000_000)
        common = self._common(at, source, sequence)
        return self.move(
            m.Counted(*common, f"C{source}{sequence}", quantity, begun, None, True, False)
        )

    def safety(self, at, quantity, sequence=1):
        return self.move(m.SafetyStockSet(*self._common(at, "wms", sequence), quantity))

    def disposed(self, at, disposition, quantity=1, sequence=1):
        common = self._common(at, "rd", sequence)
        return self.move(
            m.ReturnStage(*common, "R", 1, "disposed", quantity, disposition, None, None)
        )

    @property
    def row(self) -> StockRow:
        row = self.store.get(stock_key("S", "17"), StockRow)
        assert row is not None
        row.settle()
        return row


def test_a_row_that_was_never_counted_is_unknown_and_promises_nothing():
    row = Row().delta(0, -3).row
    assert (row.on_hand, row.status, row.available, row.available_to_sell) == (-3, "unknown", 0, 0)
    assert row.promise() == 0


def test_only_on_hand_may_go_below_zero():
    row = Row().count(-60, 1).delta(0, -3).delta(0, -1, "damaged")
    assert row.outcomes == ["rebased", "applied", "bucket_negative"]
    assert (row.row.on_hand, row.row.damaged) == (-2, 0)


@pytest.mark.parametrize(
    ("moves", "on_hand", "variance"),
    [
        # sales before and after a late count: only the later ones count
        (lambda r: r.delta(-120, -1).delta(-100, -2).delta(-80, -1).count(-90, 8), 7, 1),
        # an older count changes nothing
        (lambda r: r.count(-30, 5).count(-60, 9), 5, -5),
        # a tie with another source: a negative delta is after, a positive one before
        (lambda r: r.count(0, 10).delta(0, -1).delta(0, 4), 9, -4),
        # a tie with its own source: sequence decides
        (
            lambda r: (
                r.count(0, 10, sequence=7)
                .delta(0, -1, source="hh", sequence=6)
                .delta(0, -1, source="hh", sequence=8)
            ),
            9,
            1,
        ),
        # an interval: inside it, a sale is after, a receipt before
        (lambda r: r.delta(-20, -1).delta(-15, 4).count(0, 10, started=-40), 9, -4),
    ],
    ids=["late", "older", "tie", "own tie", "interval"],
)
def test_a_count_sets_what_was_there_then(moves, on_hand, variance):
    row = Row().count(-600, 10)
    moves(row)
    assert row.row.on_hand == on_hand
    assert row.row.variance == variance


def test_a_fast_sellers_late_count_finds_every_sale_after_it():
    row = Row().count(-600, 1000)
    for number in range(1, 201):
        row.delta(number / 6, -1, sequence=number)
    assert row.row.on_hand == 800
    row.count(4 + 5 / 60, 970, sequence=2)
    assert row.row.on_hand == 970 - 176
    row.count(-60, 999, sequence=3)
    assert row.outcomes[-1] == "superseded"
    assert row.row.on_hand == 970 - 176


def test_history_goes_back_two_days_and_an_older_count_is_refused():
    row = Row().count(-60 * 24 * 10, 500)
    for number in range(400):
        row.delta(-60 * 24 * 4 + number * 15, -1, sequence=number + 1)
    kept = [key for key in row.store if key.startswith("history|")]
    assert len(kept) < 400 / stock.RECENT
    row.count(-60 * 24 * 3, 5, sequence=2)
    assert row.outcomes[-1] == "count_beyond_history"
    assert row.row.on_hand == 100


def test_changes_that_are_kept_in_the_form_of_before_are_found_and_added_to():
    row = Row().count(-600, 100)
    before = b.nested((NOON, -1, "p", 0, 1), (NOON + 60_000_000, -2, "p", 0, 2))
    kept = row.row
    kept.on_hand, kept.recent, kept.recent_size = 97, before, 2
    assert decode(encode(kept), StockRow).recent == before
    row.delta(2, -4, sequence=3)
    assert [change.quantity for change in stock.history(row.store, row.row)] == [-1, -2, -4]
    row.count(0.5, 50, sequence=2)
    assert row.row.on_hand == 44


def test_the_count_that_opens_a_row_applies_whatever_its_age():
    row = Row().delta(0, -2).delta(1, -1)
    row.count(-60 * 24 * 30, 10)
    assert (row.row.on_hand, row.row.status) == (7, "known")


def test_safety_stock_is_the_latest_statement():
    row = Row().count(-60, 10).safety(0, 3).safety(-10, 9, sequence=2)
    assert row.outcomes[1:] == ["applied", "superseded"]
    assert (row.row.safety_stock, row.row.available) == (3, 7)


@pytest.mark.parametrize(
    ("decided", "on_hand", "quality_control"),
    [
        (["restock"], 1, 0),
        (["write_off"], 0, 0),
        (["quarantine"], 0, 1),
        (["restock", "write_off"], 0, 0),
        (["quarantine", "restock"], 1, 0),
        (["write_off", "quarantine"], 0, 1),
    ],
)
def test_the_latest_disposition_of_a_unit_stands_in_any_order(decided, on_hand, quality_control):
    timed = list(enumerate(decided, start=1))
    for order in (timed, timed[::-1]):
        row = Row().count(-600, 0)
        for at, disposition in order:
            row.disposed(at, disposition, sequence=at)
        assert (row.row.on_hand, row.row.quality_control) == (on_hand, quality_control)


def test_an_earlier_row_is_never_changed_by_a_transition():
    row = Row().count(-60, 10)
    before = row.store[stock_key("S", "17")]
    kept = encode(before)
    row.delta(0, -1).count(1, 3).safety(2, 1)
    assert encode(before) == kept


moves = st.lists(
    st.one_of(
        st.tuples(st.just("delta"), st.integers(-300, 300), st.integers(-5, 5)),
        st.tuples(st.just("count"), st.integers(-300, 300), st.integers(0, 50)),
    ),
    max_size=60,
)


@given(moves)
def test_any_history_is_the_last_count_plus_what_came_after(history):
    row = Row()
    for number, (what, at, units) in enumerate(history, start=1):
        if what == "delta":
            row.delta(at, units, sequence=number)
        else:
            row.count(at, units, source=f"c{number}", sequence=number)
    if not history:
        return
    counts = [
        (at, number, units)
        for number, (what, at, units) in enumerate(history, start=1)
        if what == "count"
    ]
    last = max(((at, number, units) for at, number, units in counts), default=None)
    expected = last[2] if last else 0
    for what, at, units in history:
        if what != "delta":
            continue
        after = last is None or at > last[0] or (at == last[0] and units < 0)
        expected += units if after else 0
    assert row.row.on_hand == expected


@given(moves)
def test_opening_plus_ledger_deltas_is_always_on_hand(history):
    store, total = Memory(), 0
    for number, (what, at, units) in enumerate(history, start=1):
        row = Row()
        common = row._common(at, "p" if what == "delta" else f"c{number}", number)
        movement = (
            m.Delta(*common, "sale", "on_hand", units)
            if what == "delta"
            else m.Counted(*common, f"C{number}", units, common[9], None, True, False)
        )
        change = transition(store, movement, number)
        total += change.deltas.get("on_hand", 0)
        assert change.row.on_hand == total
        assert change.row.version == number


def test_what_is_filed_first_is_not_read_again_while_it_is_recent(monkeypatch):
    monkeypatch.setattr(stock, "RECENT", 2)
    one, read = Row(), []
    get = one.store.get
    monkeypatch.setattr(one.store, "get", lambda key, kind: (read.append(key), get(key, kind))[1])
    one.count(-600, 100)
    for number, minute in enumerate((5, 3, 7, 8, 60 * 47), start=1):
        one.delta(minute, -1, sequence=number)
    assert (one.row.first_chunk, one.row.next_chunk) == (0, 2)
    assert one.row.first_newest == NOON + 5 * 60_000_000
    assert not [key for key in read if key.startswith("history|")]
    for number, minute in enumerate((60 * 49, 60 * 49 + 1, 60 * 49 + 2), start=6):
        one.delta(minute, -1, sequence=number)
    assert one.row.first_chunk == 2
    assert one.row.forgotten == NOON + 8 * 60_000_000


def test_many_history_rows_become_sums_at_once(monkeypatch):
    monkeypatch.setattr(stock, "RECENT", 2)
    monkeypatch.setattr(stock, "MAX_CHUNKS", 8)
    monkeypatch.setattr(stock, "SUMMED_AT_ONCE", 4)
    one, written, filed = Row(), [], []
    put = one.store.put
    monkeypatch.setattr(
        one.store, "put", lambda key, row: (written.append(key.split("|")[0]), put(key, row))
    )
    one.count(0, 100)
    for number in range(1, 41):
        one.delta(number / 10, -1, sequence=number)
        filed.append(one.row.next_chunk - one.row.first_chunk)
    assert max(filed) == 8
    assert written.count("sums") == 3
    assert one.row.first_chunk == 12
    left = [left for left, _ in stock.sums(one.store, one.row).values()]
    assert sum(left) == -24
    # What left in the minute of a count is taken to have left after it: the unit of 2.0 as well.
    one.count(2.05, 50)
    assert one.row.on_hand == 50 - 21
