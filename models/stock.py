"""The stock of one SKU at one location: buckets, and what deltas do to them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec import Struct

from models import rows
from models.instants import HOUR, Instant, to_datetime
from models.movements import Movement
from models.outcomes import APPLIED, Outcome
from models.rows import Row, Rows

RECENT: Final = 8
"""Deltas kept in the stock row itself; full, they are filed in a history row."""

HISTORY: Final[Instant] = 48 * HOUR
"""How far back of a row's newest effective time deltas are kept for late counts."""

MAX_CHUNKS: Final = 512
"""History rows per stock row; past it the oldest goes and old counts are refused."""

NEVER: Final[Instant] = -(2**62)

KNOWN: Final = "known"
UNKNOWN: Final = "unknown"
SUSPECT: Final = "suspect"


class Link(Struct, array_like=True, frozen=True, gc=False):
    """A change of on_hand, and the one applied before it: a chain is cheap to grow and share."""

    effective: Instant
    quantity: int
    source: str
    epoch: int
    sequence: int
    before: "Link | None" = None


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
    variance: int = 0
    safety_at: tuple[Instant, int] | None = None
    recent: Link | None = None
    recent_size: int = 0
    first_chunk: int = 0
    next_chunk: int = 0
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


class HistoryRow(Row, kw_only=True):
    """Deltas of a stock row that no longer fit in it; written once."""

    links: Link | None


_BEGINNING: Final = to_datetime(0)


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


def shift(store: Rows, row: StockRow, bucket: str, quantity: int, movement: Movement) -> Outcome:
    """Apply a delta to `row`, a fresh copy. Deltas commute; a late one counts like any other.

    Only `on_hand` may go below zero: a sale of a unit that the book does not know. A
    delta from before the row's last count is in that count already.
    """
    if bucket != "on_hand":
        left = getattr(row, bucket) + quantity
        if left < 0:
            return Outcome.BUCKET_NEGATIVE
        setattr(row, bucket, left)
        return APPLIED
    link = Link(
        movement.effective,
        quantity,
        movement.source,
        movement.epoch,
        movement.sequence,
        row.recent,
    )
    if movement.effective <= row.counted_at and not is_after_count(row, link):
        row.variance -= quantity
        return Outcome.ABSORBED_BY_COUNT
    row.on_hand += quantity
    row.recent = link
    row.recent_size += 1
    if row.recent_size >= RECENT:
        _file_recent(store, row)
    return APPLIED


def is_after_count(row: StockRow, link: Link) -> bool:
    """Whether a delta came after the row's last count, taken in [count_started, counted_at].

    Inside that interval sequence decides where the source is the count's own; else a
    negative delta is taken as after and a positive one as before: promise less.
    """
    if link.effective > row.counted_at:
        return True
    if link.effective < row.count_started:
        return False
    if row.counted_by is not None and row.counted_by[0] == link.source:
        return (link.epoch, link.sequence) > row.counted_by[1:]
    return link.quantity < 0


def _file_recent(store: Rows, row: StockRow) -> None:
    key = history_key(row, row.next_chunk)
    store.put(key, HistoryRow(version=row.version, links=row.recent))
    row.next_chunk += 1
    row.recent, row.recent_size = None, 0
    horizon = row.newest - HISTORY
    while row.first_chunk < row.next_chunk - 1:
        oldest = store.get(history_key(row, row.first_chunk), HistoryRow)
        links = unlinked(oldest.links) if oldest is not None else []
        newest_of_it = max((link.effective for link in links), default=NEVER)
        too_many = row.next_chunk - row.first_chunk > MAX_CHUNKS
        if newest_of_it >= horizon and not too_many:
            return
        row.forgotten = max(row.forgotten, newest_of_it)
        store.delete(history_key(row, row.first_chunk), row.version)
        row.first_chunk += 1


def unlinked(link: Link | None) -> list[Link]:
    """The links of a chain, in the order they were applied."""
    links = []
    while link is not None:
        links.append(link)
        link = link.before
    links.reverse()
    return links


def linked(links: Iterable[Link]) -> Link | None:
    """A chain of the same changes, in the order given."""
    chain = None
    for one in links:
        chain = Link(one.effective, one.quantity, one.source, one.epoch, one.sequence, chain)
    return chain


def history_key(row: StockRow, chunk: int) -> str:
    """The key of a row of filed deltas."""
    return rows.key("history", row.sku, row.location, chunk)


def history(store: Rows, row: StockRow) -> list[Link]:
    """Every delta that is kept, in the order it was applied."""
    filed: list[Link] = []
    for chunk in range(row.first_chunk, row.next_chunk):
        page = store.get(history_key(row, chunk), HistoryRow)
        if page is not None:
            filed += unlinked(page.links)
    return filed + unlinked(row.recent)


def replace_history(store: Rows, row: StockRow, links: list[Link]) -> None:
    """Keep only `links`: what came before a count is in the count."""
    for chunk in range(row.first_chunk, row.next_chunk):
        store.delete(history_key(row, chunk), row.version)
    row.first_chunk = row.next_chunk
    whole = len(links) - len(links) % RECENT
    for start in range(0, whole, RECENT):
        page = HistoryRow(version=row.version, links=linked(links[start : start + RECENT]))
        store.put(history_key(row, row.next_chunk), page)
        row.next_chunk += 1
    row.recent, row.recent_size = linked(links[whole:]), len(links) - whole
