"""Counts: absolute statements about on_hand, at a time.

on_hand = counted + Σ deltas effective after the count. The count books the difference
to what the book had at its time as a correction, so conservation holds.
"""

from models.movements import Counted
from models.outcomes import Outcome
from models.rows import Rows
from models.stock import NEVER, StockRow, history, is_after_count, replace_history


def rebase(store: Rows, row: StockRow, count: Counted) -> tuple[Outcome, int]:
    """Apply a count to `row`, a fresh copy; returns what it did and the correction of on_hand.

    The latest count by (time, sequence) stands, an older one is superseded. A count from
    before what the history holds cannot be applied, unless it is the one that opens the row.
    """
    if row.counted_by is not None and _is_older(row, count):
        return Outcome.SUPERSEDED, 0
    if row.opened and count.started <= row.forgotten:
        return Outcome.COUNT_BEYOND_HISTORY, 0
    before = row.on_hand
    row.count_started = count.started
    row.counted_at = count.effective
    row.counted_by = (count.source, count.epoch, count.sequence)
    later = [link for link in history(store, row) if is_after_count(row, link)]
    row.opened = True
    row.counted = count.quantity
    row.on_hand = count.quantity + sum(link.quantity for link in later)
    row.variance = row.on_hand - before
    row.forgotten = NEVER
    replace_history(store, row, later)
    return Outcome.REBASED, row.variance


def _is_older(row: StockRow, count: Counted) -> bool:
    if count.effective != row.counted_at:
        return count.effective < row.counted_at
    source, epoch, sequence = row.counted_by or ("", 0, 0)
    return source == count.source and (count.epoch, count.sequence) <= (epoch, sequence)
