"""The stock of one SKU at one location: buckets, and what deltas do to them."""

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Final

import msgspec
from msgspec import Raw, Struct, field

from models import rows
from models.instants import HOUR, SECOND, Instant, to_datetime
from models.movements import Movement
from models.outcomes import APPLIED, Outcome
from models.rows import Row, Rows

RECENT: Final = 16
"""Deltas kept in the stock row itself; full, they are filed in a history row."""

HISTORY: Final[Instant] = 48 * HOUR
"""How far back of a row's newest effective time deltas are kept for late counts."""

MAX_CHUNKS: Final = 256
"""History rows per stock row; past it the oldest deltas are kept as sums by minute only."""

SUMMED_AT_ONCE: Final = 16
"""History rows that become sums together: a row of sums has hundreds of minutes to write."""

MINUTE: Final[Instant] = 60 * SECOND
BLOCK: Final[Instant] = 6 * HOUR
"""The span of one row of sums."""
MINUTES_OF_BLOCK: Final = BLOCK // MINUTE

Sums = dict[int, tuple[int, int]]
"""What left, a number below zero, and what came, by minute since 1970."""

NEVER: Final[Instant] = -(2**62)

REVERSES: Final = -2
"""In place of a sequence: the change takes an earlier one back, and goes where that went."""

KNOWN: Final = "known"
UNKNOWN: Final = "unknown"
SUSPECT: Final = "suspect"


class Change(Struct, array_like=True, frozen=True, gc=False):
    """A change of on_hand, as it is kept for late counts."""

    effective: Instant
    quantity: int
    source: str
    epoch: int
    sequence: int


class Nested(Change, frozen=True, gc=False):
    """A change and the one before it, as rows had them that no change has reached since."""

    before: "Nested | None" = None


NO_CHANGES: Final = Raw(b"[]")
"""Changes are kept as they stand in the log: most are never looked at again."""

_encode = msgspec.json.Encoder().encode
_changes_of = msgspec.json.Decoder(list[Change]).decode
_nested_of = msgspec.json.Decoder(Nested | None).decode


class StockRow(Row, kw_only=True, omit_defaults=True):
    """Buckets of one (SKU, location), in base units.

    Up to `as_of` the fields are the public answer, in its order; `settle` derives what
    of it is derived. From `book` on they are the service's own: readers cut there.
    """

    sku: str
    location: str
    on_hand: int
    reserved: int
    quality_control: int
    damaged: int
    in_transit: int
    incoming: int
    safety_stock: int
    available: int
    available_to_sell: int
    shortfall: int
    status: str
    version: int
    as_of: datetime

    book: int
    """Lines that reached the row, whatever they did."""
    newest: Instant
    opened: bool = False
    count_started: Instant = NEVER
    counted_at: Instant = NEVER
    counted_by: tuple[str, int, int] | None = None
    counted: int = 0
    count: str = ""
    variance: int = 0
    through: dict[str, int] | None = None
    """Where an ERP's book was adopted: the last sequence that it had read, by source."""
    picked: int = 0
    owed: dict[str, int] = field(default_factory=dict)
    """Units taken out of a bucket that did not have them, by bucket."""
    safety_at: tuple[Instant, int] | None = None
    recent: Raw = NO_CHANGES
    recent_size: int = 0
    first_chunk: int = 0
    first_newest: Instant = NEVER
    """Effective time of the newest delta in the first history row; NEVER where not known."""
    next_chunk: int = 0
    blocks: tuple[int, ...] = ()
    """Spans of which sums by minute are kept."""
    summed: Instant = NEVER
    """Effective time of the newest delta that is kept in a sum only."""
    forgotten: Instant = NEVER
    """Effective time of the newest delta that the history no longer holds."""

    def settle(self) -> None:
        on_hand, reserved = self.on_hand, self.reserved
        self.shortfall = 0 if reserved <= 0 else max(0, reserved - max(0, on_hand))
        if self.opened:
            self.status = KNOWN
            available = self.available = on_hand - reserved - self.safety_stock
            self.available_to_sell = max(0, available)
        else:
            self.status = UNKNOWN
            self.available = 0
            self.available_to_sell = 0
        self.as_of = to_datetime(self.newest)

    def promise(self) -> int:
        """What the row adds to a network of locations: may be negative (a shortfall)."""
        if not self.opened:
            return 0
        available = self.on_hand - self.reserved - self.safety_stock
        shortfall = self.reserved - max(0, self.on_hand)
        return max(0, available) - max(0, shortfall)

    def is_empty(self) -> bool:
        """Whether it has no unit in any way, and lacks none."""
        return not (
            self.on_hand
            or self.reserved
            or self.quality_control
            or self.damaged
            or self.in_transit
            or self.incoming
            or self.safety_stock
            or self.picked
            or any(self.owed.values())
        )


class HistoryRow(Row, kw_only=True):
    """Deltas of a stock row that no longer fit in it; written once."""

    is_filed: ClassVar[bool] = True

    links: Raw


class SumsRow(Row, kw_only=True):
    """Deltas of a fast seller, as what left and what came by minute."""

    minutes: Sums


_BEGINNING: Final = to_datetime(0)

_EMPTY: Final = (
    b'"on_hand":0,"reserved":0,"quality_control":0,"damaged":0,"in_transit":0,"incoming":0,'
    b'"safety_stock":0,'
)


def may_be_empty(value: bytes) -> bool:
    """Whether a row may be empty, from its value: every one that is looks so."""
    return _EMPTY in value


def empty(sku: str, location: str, version: int, effective: Instant) -> StockRow:
    """The row of a SKU that nothing has touched: unknown, not zero."""
    return StockRow(
        sku=sku,
        location=location,
        on_hand=0,
        reserved=0,
        quality_control=0,
        damaged=0,
        in_transit=0,
        incoming=0,
        safety_stock=0,
        available=0,
        available_to_sell=0,
        shortfall=0,
        status=UNKNOWN,
        version=version,
        as_of=_BEGINNING,
        book=0,
        newest=effective,
    )


def touched(row: StockRow, version: int, effective: Instant) -> StockRow:
    """A copy of `row` that one more line has reached."""
    fresh: StockRow = row.__copy__()  # type: ignore[attr-defined]
    fresh.version = version
    fresh.book += 1
    fresh.newest = max(fresh.newest, effective)
    return fresh


def move(row: StockRow, bucket: str, quantity: int) -> tuple[Outcome, int]:
    """Apply a delta to a bucket other than on_hand of `row`, a fresh copy; what it changed.

    No such bucket goes below zero: what it lacks is owed, and what comes pays that first,
    so that order does not matter.
    """
    has = getattr(row, bucket)
    owes = row.owed.get(bucket, 0)
    left = has - owes + quantity
    setattr(row, bucket, max(0, left))
    if left < 0 or owes:
        row.owed = {**row.owed, bucket: max(0, -left)}
    lacks = left < 0 and quantity < 0
    return Outcome.BUCKET_NEGATIVE if lacks else APPLIED, max(0, left) - has


def shift(
    store: Rows,
    row: StockRow,
    quantity: int,
    movement: Movement,
    at: Instant,
    *,
    reverses: bool = False,
) -> Outcome:
    """Apply a delta of on_hand to `row`, a fresh copy. A late one counts like any other.

    on_hand may go below zero: a sale of a unit that the book does not know. A delta from
    before the row's last count is in that count already. `reverses`: it takes an earlier
    delta of that time back.
    """
    sequence = REVERSES if reverses else movement.sequence
    change = Change(at, quantity, movement.source, movement.epoch, sequence)
    row.recent = appended(row.recent, change)
    row.recent_size += 1
    if row.recent_size >= RECENT:
        file_recent(store, row)
    doubtful = change.effective <= row.counted_at or row.through is not None
    if doubtful and not is_after_count(row, change):
        row.variance -= quantity
        return Outcome.ABSORBED_BY_COUNT
    row.on_hand += quantity
    return APPLIED


def is_after_count(row: StockRow, change: Change) -> bool:
    """Whether a delta came after the row's last count, taken in [count_started, counted_at].

    Inside that interval sequence decides where the source is the count's own; else a
    negative delta is taken as after and a positive one as before: promise less. A book
    says itself how far it had read a source.
    """
    if row.through is not None and change.source in row.through:
        return change.sequence > row.through[change.source]
    if change.effective > row.counted_at:
        return True
    if change.effective < row.count_started:
        return False
    by = row.counted_by
    if by is not None and by[0] == change.source and change.sequence >= 0:
        return (change.epoch, change.sequence) > by[1:]
    return (change.quantity < 0) != (change.sequence == REVERSES)


def is_uncertain(row: StockRow, change: Change) -> bool:
    """Whether only caution decided on which side of the row's count a delta stands."""
    by = row.counted_by
    inside = row.count_started <= change.effective <= row.counted_at
    named = row.through is not None and change.source in row.through
    return inside and not named and (by is None or by[0] != change.source)


def by_minute(kept: Raw) -> tuple[Instant, Sums]:
    """The newest of changes that are kept, and what left and what came by minute."""
    newest, minutes = NEVER, Sums()
    for change in changes_of(kept):
        newest = max(newest, change.effective)
        _add(minutes, change.effective // MINUTE, min(0, change.quantity), max(0, change.quantity))
    return newest, minutes


def file_recent(
    store: Rows, row: StockRow, by_minute: Callable[[Raw], tuple[Instant, Sums]] = by_minute
) -> None:
    """Put the row's last changes in a history row of their own, and make room for it."""
    key = history_key(row, row.next_chunk)
    store.put(key, HistoryRow(version=row.version, links=row.recent))
    if row.first_chunk == row.next_chunk:
        row.first_newest = by_minute(row.recent)[0]
    row.next_chunk += 1
    row.recent, row.recent_size = NO_CHANGES, 0
    horizon = row.newest - HISTORY
    _make_room(store, row, horizon, by_minute)
    _forget_sums(store, row, horizon)


def _make_room(
    store: Rows,
    row: StockRow,
    horizon: Instant,
    by_minute: Callable[[Raw], tuple[Instant, Sums]],
) -> None:
    """Take away the oldest history rows: those past the horizon, and as sums those too many."""
    number = row.next_chunk - row.first_chunk
    most = MAX_CHUNKS if number <= MAX_CHUNKS else MAX_CHUNKS + 1 - SUMMED_AT_ONCE
    summed: list[Sums] = []
    while row.first_chunk < row.next_chunk - 1:
        is_full = row.next_chunk - row.first_chunk > most
        if row.first_newest >= horizon and not is_full:
            break
        key = history_key(row, row.first_chunk)
        oldest = store.get(key, HistoryRow)
        row.first_newest, minutes = by_minute(oldest.links if oldest is not None else NO_CHANGES)
        if row.first_newest >= horizon:
            if not is_full:
                break
            row.summed = max(row.summed, row.first_newest)
            summed.append(minutes)
        else:
            row.forgotten = max(row.forgotten, row.first_newest)
        store.delete(key, row.version)
        row.first_chunk += 1
        row.first_newest = NEVER
    _sum_up(store, row, summed)


def _sum_up(store: Rows, row: StockRow, summed: list[Sums]) -> None:
    pages: dict[int, Sums] = {}
    for minutes in summed:
        for minute, (left, came) in minutes.items():
            block = minute // MINUTES_OF_BLOCK
            page = pages.get(block)
            if page is None:
                known = store.get(sums_key(row, block), SumsRow)
                page = pages[block] = dict(known.minutes) if known is not None else {}
            _add(page, minute, left, came)
    for block, page in pages.items():
        store.put(sums_key(row, block), SumsRow(version=row.version, minutes=page))
    row.blocks = tuple(sorted({*row.blocks, *pages}))


def _add(sums: Sums, minute: int, left: int, came: int) -> None:
    before = sums.get(minute)
    sums[minute] = (left, came) if before is None else (before[0] + left, before[1] + came)


def _forget_sums(store: Rows, row: StockRow, horizon: Instant) -> None:
    while row.blocks and (row.blocks[0] + 1) * BLOCK < horizon:
        row.forgotten = max(row.forgotten, (row.blocks[0] + 1) * BLOCK)
        store.delete(sums_key(row, row.blocks[0]), row.version)
        row.blocks = row.blocks[1:]


def remove(store: Rows, row: StockRow) -> int:
    """Let go of `row` and of its history; how many rows that are."""
    filed = [history_key(row, chunk) for chunk in range(row.first_chunk, row.next_chunk)]
    summed = [sums_key(row, block) for block in row.blocks]
    keys = [rows.stock_key(row.sku, row.location), *filed, *summed]
    for key in keys:
        store.delete(key, row.version + 1)
    return len(keys)


def sums(store: Rows, row: StockRow) -> Sums:
    """What left and what came, by minute, of the deltas that are kept as sums."""
    minutes: Sums = {}
    for block in row.blocks:
        page = store.get(sums_key(row, block), SumsRow)
        if page is not None:
            minutes.update(page.minutes)
    return minutes


def sums_key(row: StockRow, block: int) -> str:
    """The key of a row of sums."""
    return rows.key("sums", row.sku, row.location, block)


def changes_of(kept: Raw) -> list[Change]:
    """The changes that are kept, in the order they were applied."""
    if not is_nested(kept):
        return _changes_of(kept)
    changes = []
    one: Nested | None = _nested_of(kept)
    while one is not None:
        changes.append(Change(one.effective, one.quantity, one.source, one.epoch, one.sequence))
        one = one.before
    return changes[::-1]


def is_nested(kept: Raw) -> bool:
    """Whether the changes are kept in the form of before, each within the next."""
    return memoryview(kept)[1] not in b"[]"


def appended(kept: Raw, change: Change) -> Raw:
    """What is kept, and one more."""
    if is_nested(kept):
        return Raw(_encode([*changes_of(kept), change]))
    before = bytes(kept)[:-1]
    return Raw(b"%b%b%b]" % (before, b"," if len(before) > 1 else b"", _encode(change)))


def history_key(row: StockRow, chunk: int) -> str:
    """The key of a row of filed deltas; there are as many as changes, hence written out."""
    return f"history{rows.stock_key(row.sku, row.location)[len('stock') :]}|{chunk}"


def history(store: Rows, row: StockRow) -> list[Change]:
    """Every delta that is kept, in the order it was applied."""
    filed: list[Change] = []
    for chunk in range(row.first_chunk, row.next_chunk):
        page = store.get(history_key(row, chunk), HistoryRow)
        if page is not None:
            filed += changes_of(page.links)
    return filed + changes_of(row.recent)
