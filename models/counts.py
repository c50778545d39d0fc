"""Counts and books: absolute statements about on_hand, at a time.

on_hand = counted + Σ deltas effective after the count. The count books the difference
to what the book had at its time as a correction, so conservation holds.
"""

from itertools import pairwise
from typing import Final, NamedTuple

from models import rows
from models.instants import HOUR, Instant
from models.movements import Booked, CountClosed, Counted
from models.outcomes import Outcome
from models.rows import Document, Row, Rows
from models.stock import (
    HISTORY,
    MINUTE,
    Change,
    StockRow,
    empty,
    history,
    is_after_count,
    is_uncertain,
    sums,
)

READ_WITHIN: Final[Instant] = 24 * HOUR
COUNT_UNCERTAIN: Final = "count_uncertain"

Area = tuple[int, Instant, Instant, int]
"""Units found, from when to when, and the sequence that said so."""


class CountRow(Document, kw_only=True):
    """What a count of several areas has found of one SKU so far."""

    areas: dict[str, Area]
    closed: bool = False


class ClosedRow(Document, kw_only=True):
    """A count of several areas that is over: what comes of it takes effect at once."""

    count: str


class CompleteRow(Row, kw_only=True):
    """The latest complete count of a location: SKUs that it did not name were not there."""

    count: str
    started: Instant
    at: Instant
    by: tuple[str, int, int]


class Rebased(NamedTuple):
    """What a statement did, the correction of on_hand, and what is to be said of it."""

    outcome: Outcome
    correction: int = 0
    flags: tuple[str, ...] = ()


def count_key(sku: str, location: str, count: str) -> str:
    """The key of a SKU's part in a count."""
    return rows.key("count", location, count, sku)


def closed_key(location: str, count: str) -> str:
    """The key of the row that says that a count is over."""
    return rows.key("closed", location, count)


def end_count(store: Rows, closed: CountClosed, version: int) -> None:
    """Remember that a count is over, and if it was complete, what that means for later SKUs."""
    key = closed_key(closed.location, closed.count)
    store.put(key, ClosedRow(version=version, count=closed.count))
    known = store.get(complete_key(closed.location), CompleteRow)
    if closed.complete and (known is None or known.at <= closed.effective):
        row = CompleteRow(
            version=version,
            count=closed.count,
            started=closed.started,
            at=closed.effective,
            by=(closed.source, closed.epoch, closed.sequence),
        )
        store.put(complete_key(closed.location), row)


def new_row(store: Rows, sku: str, location: str, version: int, effective: Instant) -> StockRow:
    """The row of a SKU that nothing has touched at its location yet, for what does."""
    row = empty(sku, location, version, effective)
    row.book = 1
    _found_nothing(store, row)
    return row


def _found_nothing(store: Rows, row: StockRow) -> None:
    """Take a complete count of its location into a new `row`, which that count did not name."""
    known = store.get(complete_key(row.location), CompleteRow)
    if known is not None:
        row.opened = True
        row.count, row.counted, row.counted_by = known.count, 0, known.by
        row.count_started, row.counted_at = known.started, known.at


def complete_key(location: str) -> str:
    """The key of a location's latest complete count."""
    return rows.key("complete", location)


def count(store: Rows, row: StockRow, counted: Counted) -> Rebased:
    """Take what a count found into `row`, a fresh copy.

    Parts of a count wait until it is final, then add up.
    """
    key = count_key(row.sku, row.location, counted.count)
    known = store.get(key, CountRow)
    if known is None and counted.final and counted.area is None:
        return rebase(store, row, counted, counted.quantity, counted.started, counted.effective)
    areas = dict(known.areas) if known is not None else {}
    part = (counted.quantity, counted.started, counted.effective, counted.sequence)
    name = counted.area or ""
    if name not in areas or areas[name][2:] <= part[2:]:
        areas[name] = part
    over = store.get(closed_key(row.location, counted.count), ClosedRow) is not None
    closed = counted.final or over or (known is not None and known.closed)
    store.put(key, CountRow(version=row.version, areas=areas, closed=closed))
    if not closed:
        return Rebased(Outcome.RECORDED)
    return _add_up(store, row, counted, areas)


def close(store: Rows, row: StockRow, closed: CountClosed) -> Rebased | None:
    """A count is over: its open areas take effect; None where nothing is to be done."""
    key = count_key(row.sku, row.location, closed.count)
    known = store.get(key, CountRow)
    if known is not None and not known.closed:
        store.put(key, CountRow(version=row.version, areas=known.areas, closed=True))
        return _add_up(store, row, closed, known.areas)
    if known is not None or row.count == closed.count or not closed.complete:
        return None
    return rebase(store, row, closed, 0, closed.started, closed.effective)


def _add_up(
    store: Rows, row: StockRow, said: Counted | CountClosed, areas: dict[str, Area]
) -> Rebased:
    parts = areas.values()
    started = min(part[1] for part in parts)
    at = max(part[2] for part in parts)
    if row.count == said.count:
        # A part that comes late belongs to the count that stands.
        started, at = min(started, row.count_started), max(at, row.counted_at)
    return rebase(store, row, said, sum(part[0] for part in parts), started, at)


def rebase(
    store: Rows,
    row: StockRow,
    said: Counted | CountClosed,
    quantity: int,
    started: Instant,
    at: Instant,
) -> Rebased:
    """Set `row` to `quantity`, found in [started, at], and what came after.

    The latest count by (time, sequence) stands, an older one is superseded. A count from
    before what the history holds cannot be applied, unless it is the one that opens the row.
    """
    beyond = started < row.newest - HISTORY
    if row.counted_by is not None and _is_older(row, said, quantity, at):
        return Rebased(Outcome.COUNT_BEYOND_HISTORY if beyond else Outcome.SUPERSEDED)
    if row.opened and (beyond or started <= row.forgotten):
        return Rebased(Outcome.COUNT_BEYOND_HISTORY)
    by = (said.source, said.epoch, said.sequence)
    if row.count == said.count and row.counted_by is not None and row.counted_by[0] == said.source:
        by = max(by, row.counted_by)
    row.count, row.counted = said.count, quantity
    row.count_started, row.counted_at, row.counted_by = started, at, by
    row.through = None
    found = quantity + (row.picked if said.shelf else 0)
    correction, uncertain = _set(store, row, found)
    return Rebased(Outcome.REBASED, correction, (COUNT_UNCERTAIN,) if uncertain else ())


def _is_older(row: StockRow, said: Counted | CountClosed, quantity: int, at: Instant) -> bool:
    if at != row.counted_at:
        return at < row.counted_at
    if said.count == row.count:
        return False
    source, epoch, sequence = row.counted_by or ("", 0, 0)
    if source == said.source:
        return (said.epoch, said.sequence) <= (epoch, sequence)
    # Two sources counted at one moment: the same one stands, whichever comes first.
    return (said.sequence, -quantity) < (sequence, -row.counted)


def _set(store: Rows, row: StockRow, found: int) -> tuple[int, bool]:
    """Set on_hand to `found` and what came after the row's count."""
    before = row.on_hand
    changes = history(store, row)
    after = sum(change.quantity for change in changes if is_after_count(row, change))
    uncertain = any(is_uncertain(row, change) for change in changes)
    for minute, (left, came) in sums(store, row).items():
        if minute * MINUTE > row.counted_at:
            after += left + came
        elif (minute + 1) * MINUTE > row.count_started:
            after += left
            uncertain = True
    row.opened = True
    row.on_hand = found + after
    row.variance = row.on_hand - before
    return row.variance, uncertain


def book(store: Rows, row: StockRow, said: Booked) -> Rebased:
    """Compare `row`, a fresh copy, with an ERP's book, or adopt what the book says.

    The book has read each source of `through` up to a sequence; of others, what happened
    before it. What it lacks is added.
    """
    if row.counted_by is not None and said.effective < row.counted_at:
        return Rebased(Outcome.SUPERSEDED)
    if _is_out_of_reach(store, row, said):
        return Rebased(Outcome.SNAPSHOT_BEYOND_HISTORY)
    trial: StockRow = row.__copy__()  # type: ignore[attr-defined]
    trial.through, trial.counted_at = said.through, said.effective
    trial.count_started, trial.counted_by = said.effective, None
    changes = history(store, row)
    later = [change for change in changes if is_after_count(trial, change)]
    flags = _lacking(said, later)
    should_be = said.quantity + sum(change.quantity for change in later)
    if not said.adopt:
        return Rebased(Outcome.COMPARED, 0, (f"variance {should_be - row.on_hand:+d}", *flags))
    row.through, row.counted_at = said.through, said.effective
    row.count_started = said.effective
    row.counted_by = (said.source, said.epoch, said.sequence)
    row.count, row.counted = "", said.quantity
    correction, _ = _set(store, row, said.quantity)
    return Rebased(Outcome.ADOPTED, correction, flags)


def _is_out_of_reach(store: Rows, row: StockRow, said: Booked) -> bool:
    """Whether deltas that the book may lack are no longer kept one by one.

    What was a day before the book, it has surely read.
    """
    if max(row.summed, row.forgotten) <= said.effective - READ_WITHIN:
        return False
    oldest: dict[str, int] = {}
    for change in history(store, row):
        oldest[change.source] = min(change.sequence, oldest.get(change.source, change.sequence))
    return any(oldest.get(source, last + 2) > last + 1 for source, last in said.through.items())


def _lacking(said: Booked, later: list[Change]) -> tuple[str, ...]:
    """In words, which events up to its time the book had not read."""
    missing: dict[str, set[int]] = {}
    for change in later:
        if change.effective <= said.effective and change.source in said.through:
            missing.setdefault(change.source, set()).add(change.sequence)
    return tuple(
        f"{said.source} lacks {source} {_ranges(sorted(numbers))}"
        for source, numbers in sorted(missing.items())
    )


def _ranges(numbers: list[int]) -> str:
    starts = [numbers[0], *(after for before, after in pairwise(numbers) if after > before + 1)]
    ends = [*(before for before, after in pairwise(numbers) if after > before + 1), numbers[-1]]
    return ", ".join(
        str(low) if low == high else f"{low}–{high}" for low, high in zip(starts, ends, strict=True)
    )
