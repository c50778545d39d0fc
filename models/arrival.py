"""How a sequence number came: seen intervals per (topic, source, epoch), gaps, repeats.

What was seen of an epoch is the interval from its first to its last number, less the
gaps in it. Deltas commute, so every number that was not seen is applied, whether it
opens a gap, fills one, lies below the first, or belongs to an older epoch.
"""

from bisect import insort
from typing import ClassVar, Final, NamedTuple

import msgspec
import xxhash
from msgspec import Struct, field

from models import rows
from models.clock import Skew
from models.instants import HOUR, Instant, to_rfc3339
from models.outcomes import Arrival
from models.rows import Row, Rows

MAX_GAPS: Final = 5_000
"""Gaps kept per epoch. A source that skips more is broken; its event is dead-lettered."""

CHUNK: Final = 16
"""Sequence numbers per row of content hashes: small enough to rewrite in every step."""

MAX_CHUNKS: Final = 65
"""Hashes of at least the last 1,024 numbers are kept; older repeats count as duplicates."""

MAX_OPEN: Final = 1_000
"""Lines per epoch left open for a corrected resend; the oldest sequence is closed first."""

MAX_EPOCHS: Final = 64
"""Epochs per source. Forgetting one would count its repeats twice, so a new one is refused."""

MAX_HELD: Final = 1_000
"""Events per source that wait for something; past it they are only dead letters."""

IDENTITY: Final[Instant] = 48 * HOUR
"""How long ids of events without sequence are remembered; older events are held back."""

SLOTS: Final = 1_024
"""Rows that a source's ids are spread over."""

MAX_IDS: Final = 2_000
"""Ids per such row: two million events in two days."""

NEVER: Final[Instant] = -(2**62)

WHOLE: Final = (0,)
"""In place of line numbers: all lines of an event."""

MAX_LOCATIONS: Final = 64
"""Locations remembered per source, the latest; a register has one, a warehouse a few."""


SoldLine = tuple[int, str, int, int]
"""A line of a sale: number, SKU, units, and how many of them were voided."""

Rest = tuple[int, Instant, int]
"""A void of all that was left of a line: the line, when, and how many units that was."""


class Sold(Struct, array_like=True, gc=False):
    """A sale that may be voided yet.

    It is kept encoded: rows of sources are written often, and their sales read hardly ever.
    """

    transaction: str
    lines: list[SoldLine]
    rests: list[Rest] = field(default_factory=list)


encode_sold = msgspec.json.Encoder().encode
_decode_sold = msgspec.json.Decoder(Sold).decode


class Totals(Struct):
    """Control totals of a heartbeat beside what had arrived, and whether they agree."""

    epoch: int
    sequence: int
    told: tuple[int | None, int | None]
    counted: tuple[int, int]
    agree: bool


class Epoch(Struct):
    """One run of a source's counter. `gaps` are [from, to, when it opened], ascending.

    `recent` holds the latest content hashes by sequence, `sold` the sales among them; full,
    or where a chunk ends, both are moved to the rows of `chunks`, so that an event in order
    touches no row but its source's. Open lines are those of refused or held events; line 0
    stands for all.
    """

    epoch: int
    first: int
    last: int
    gaps: list[tuple[int, int, Instant]] = field(default_factory=list)
    recent: dict[int, int] = field(default_factory=dict)
    chunks: list[int] = field(default_factory=list)
    open: dict[int, list[int]] = field(default_factory=dict)
    sold: dict[int, msgspec.Raw] = field(default_factory=dict)
    units: int = 0

    def seen(self) -> list[tuple[int, int]]:
        """The intervals of numbers that arrived, ascending, both ends included."""
        intervals = []
        start = self.first
        for low, high, _ in self.gaps:
            intervals.append((start, low - 1))
            start = high + 1
        return [*intervals, (start, self.last)]


class Sale(NamedTuple):
    """Where a sale is remembered (`key` None: in its epoch), and what is."""

    epoch: Epoch
    key: str | None
    sequence: int
    sold: Sold


class SourceRow(Row, kw_only=True):
    """What the service knows of one source in one topic.

    `newest` is the latest time that any of its events had, as sent. `opened` are the
    [since, epoch] that a control opened, ascending: an event that names no epoch belongs
    to the latest that had begun. `held` events wait for something.
    """

    source: str
    topic: str
    epochs: list[Epoch] = field(default_factory=list)
    duplicates: int = 0
    conflicts: int = 0
    last_seen: str = ""
    locations: list[str] = field(default_factory=list)
    now: Instant = 0
    newest: Instant = NEVER
    skew: Skew | None = None
    opened: list[tuple[Instant, int]] = field(default_factory=list)
    held: int = 0
    unsequenced: int = 0
    totals: Totals | None = None

    def settle(self) -> None:
        self.last_seen = to_rfc3339(self.now)


class HashesRow(Row, kw_only=True):
    """Content hashes by sequence, and sales: those of one chunk of an epoch."""

    is_filed: ClassVar[bool] = True

    hashes: dict[int, int]
    sold: dict[int, msgspec.Raw] = field(default_factory=dict)


class IdsRow(Row, kw_only=True):
    """Ids of events without sequence: by hash, content, when received, open lines."""

    ids: dict[int, tuple[int, Instant, list[int]]] = field(default_factory=dict)


_REFUSED: Final = frozenset(
    {
        Arrival.DUPLICATE,
        Arrival.CONFLICT,
        Arrival.GAP_LIMIT,
        Arrival.SUSPECTED_RESET,
        Arrival.BEYOND_IDENTITY,
        Arrival.IDENTITY_LIMIT,
    }
)


class Arrived:
    """What came of one event's sequence.

    `is_new` says whether lines of it are to be applied: `lines`, or all where that is
    None. `text` is the arrival's code; enums are slow to read where it counts.
    """

    __slots__ = ("arrival", "is_new", "lines", "text")

    def __init__(self, arrival: Arrival, lines: frozenset[int] | None = None) -> None:
        self.arrival = arrival
        self.is_new = arrival not in _REFUSED
        self.lines = None if lines is not None and 0 in lines else lines
        self.text = arrival.value


_IN_ORDER: Final = Arrived(Arrival.IN_ORDER)
_GAP_OPENED: Final = Arrived(Arrival.GAP_OPENED)
_GAP_FILLED: Final = Arrived(Arrival.GAP_FILLED)
_BELOW_FIRST: Final = Arrived(Arrival.BELOW_FIRST)
_LATE_EPOCH: Final = Arrived(Arrival.LATE_EPOCH)
_DUPLICATE: Final = Arrived(Arrival.DUPLICATE)
_CONFLICT: Final = Arrived(Arrival.CONFLICT)
_GAP_LIMIT: Final = Arrived(Arrival.GAP_LIMIT)
_SUSPECTED_RESET: Final = Arrived(Arrival.SUSPECTED_RESET)
_UNSEQUENCED: Final = Arrived(Arrival.UNSEQUENCED)
_BEYOND_IDENTITY: Final = Arrived(Arrival.BEYOND_IDENTITY)
_IDENTITY_LIMIT: Final = Arrived(Arrival.IDENTITY_LIMIT)


def source_key(topic: str, source: str) -> str:
    """The key of a source's row."""
    return rows.key("source", topic, source)


def id_hash(name: str) -> int:
    """63 bits over an event's id."""
    return xxhash.xxh3_64_intdigest(name.encode()) >> 1


def ids_key(topic: str, source: str, slot: int) -> str:
    """The key of a row of ids."""
    return rows.key("ids", topic, source, slot)


def hashes_key(topic: str, source: str, epoch: int, chunk: int) -> str:
    """The key of a row of content hashes; there are as many as events, hence written out."""
    return f"hashes|{rows.escape(topic)}|{rows.escape(source)}|{epoch}|{chunk}"


def arrive(
    store: Rows,
    source: SourceRow,
    epoch_number: int,
    sequence: int,
    content: int,
    at: Instant,
    open_lines: tuple[int, ...] = (),
    units: int = 0,
    sold: msgspec.Raw | None = None,
) -> Arrived:
    """Take one sequence number into `source`, which the caller owns, and say how it came.

    `content` is the hash of what the event says, `at` its time as sent; `source.now` and
    `source.version` are those of the record it stands in. `open_lines` of the event
    could not be applied: a resend may bring them again. `units` are those of its other
    lines, `sold` what may be voided of them.
    """
    epoch = source.epochs[-1] if source.epochs else None
    if epoch is None or epoch.epoch != epoch_number:
        found = _find_epoch(source, epoch_number, sequence)
        if found is None:
            return _GAP_LIMIT
        epoch = found
        arrived = (
            _place(epoch, sequence, source.now)
            if sequence <= epoch.last
            else _extend(epoch, sequence, source.now)
        )
        if epoch is not source.epochs[-1] and arrived.is_new:
            arrived = _LATE_EPOCH
    elif sequence == epoch.last + 1:
        epoch.last = sequence
        arrived = _IN_ORDER
    elif sequence > epoch.last:
        arrived = _extend(epoch, sequence, source.now)
    else:
        arrived = _place(epoch, sequence, source.now)
    if arrived.is_new:
        epoch.units += units
        if sold is not None:
            epoch.sold[sequence] = sold
        _remember(store, source, epoch, sequence, content)
        source.newest = max(source.newest, at)
        if open_lines:
            _leave_open(epoch, sequence, open_lines)
    elif arrived is _DUPLICATE:
        arrived = _repeat(store, source, epoch, sequence, content, at, open_lines)
    return arrived


def epoch_of(source: SourceRow, at: Instant) -> int:
    """The epoch of an event that names none and happened `at`: the latest that had begun."""
    return max((epoch for since, epoch in source.opened if since <= at), default=0)


def was_taken_before(
    store: Rows, source: SourceRow, epoch_number: int, sequence: int, content: int
) -> bool:
    """Whether an event of an epoch that was opened late had been taken into an earlier one."""
    return any(
        epoch.epoch < epoch_number and _known_content(store, source, epoch, sequence) == content
        for epoch in source.epochs
    )


def open_epoch(source: SourceRow, epoch: int, since: Instant) -> bool:
    """Take a control that opens an epoch; False where it was open already."""
    if any(epoch == known for _, known in source.opened):
        return False
    source.opened = sorted([*source.opened, (since, epoch)])
    return True


def fill_up(source: SourceRow, number: int, sequence: int) -> Arrived:
    """A heartbeat names the last sequence used: what did not arrive up to it is missing."""
    epoch = _find_epoch(source, number, sequence + 1)
    if epoch is None:
        return _GAP_LIMIT
    if sequence <= epoch.last:
        return _IN_ORDER
    if len(epoch.gaps) >= MAX_GAPS:
        return _GAP_LIMIT
    epoch.gaps.append((epoch.last + 1, sequence, source.now))
    epoch.last = sequence
    return _GAP_OPENED


def judge_totals(
    source: SourceRow, number: int, sequence: int, transactions: int | None, units: int | None
) -> Totals | None:
    """Compare control totals with what arrived; None where that can't be judged yet.

    They can be judged once the epoch has no gap and ends where the totals do.
    """
    epoch = next((one for one in source.epochs if one.epoch == number), None)
    if epoch is None or epoch.gaps or epoch.open or epoch.last != sequence:
        return None
    counted = epoch.last - epoch.first + 1, epoch.units
    agree = transactions in (None, counted[0]) and units in (None, counted[1])
    return Totals(number, sequence, (transactions, units), counted, agree)


def repeated(source: SourceRow) -> Arrived:
    """One more repeat."""
    source.duplicates += 1
    return _DUPLICATE


def identify(
    store: Rows,
    source: SourceRow,
    name: str,
    content: int,
    at: Instant,
    open_lines: tuple[int, ...] = (),
) -> Arrived:
    """Take an event without sequence into `source`: its identity is its id, for `IDENTITY`.

    An older event may be the repeat of one that was forgotten: it is held back.
    """
    hashed = id_hash(name)
    key = ids_key(source.topic, source.source, hashed % SLOTS)
    row = store.get(key, IdsRow)
    horizon = source.now - IDENTITY
    known = {} if row is None else row.ids
    ids = {one: entry for one, entry in known.items() if entry[1] > horizon}
    arrived = _UNSEQUENCED
    if hashed in ids:
        arrived = _same_id(source, ids, hashed, content, open_lines)
        if not arrived.is_new:
            return arrived
    elif at <= horizon:
        return _BEYOND_IDENTITY
    elif len(ids) >= MAX_IDS:
        return _IDENTITY_LIMIT
    else:
        ids[hashed] = content, source.now, sorted(open_lines)
        source.unsequenced += 1
    source.newest = max(source.newest, at)
    store.put(key, IdsRow(version=source.version, ids=ids))
    return arrived


def _same_id(
    source: SourceRow,
    ids: dict[int, tuple[int, Instant, list[int]]],
    hashed: int,
    content: int,
    still_open: tuple[int, ...],
) -> Arrived:
    known, received, waiting = ids[hashed]
    mended = frozenset(waiting).difference(still_open)
    if mended:
        ids[hashed] = content, received, [line for line in waiting if line not in mended]
        return Arrived(Arrival.RESUBMITTED, mended)
    if not waiting and known != content:
        source.conflicts += 1
        return _CONFLICT
    source.duplicates += 1
    return _DUPLICATE


def _find_epoch(source: SourceRow, number: int, sequence: int) -> Epoch | None:
    for epoch in source.epochs:
        if epoch.epoch == number:
            return epoch
    if len(source.epochs) >= MAX_EPOCHS:
        return None
    epoch = Epoch(number, sequence, sequence - 1)
    source.epochs.append(epoch)
    source.epochs.sort(key=lambda one: one.epoch)
    return epoch


def _extend(epoch: Epoch, sequence: int, now: Instant) -> Arrived:
    if sequence == epoch.last + 1:
        epoch.last = sequence
        return _IN_ORDER
    if len(epoch.gaps) >= MAX_GAPS:
        return _GAP_LIMIT
    epoch.gaps.append((epoch.last + 1, sequence - 1, now))
    epoch.last = sequence
    return _GAP_OPENED


def _place(epoch: Epoch, sequence: int, now: Instant) -> Arrived:
    if sequence < epoch.first:
        if sequence < epoch.first - 1:
            if len(epoch.gaps) >= MAX_GAPS:
                return _GAP_LIMIT
            epoch.gaps.insert(0, (sequence + 1, epoch.first - 1, now))
        epoch.first = sequence
        return _BELOW_FIRST
    for place, (low, high, since) in enumerate(epoch.gaps):
        if low <= sequence <= high:
            left = [(low, sequence - 1, since)] if low < sequence else []
            right = [(sequence + 1, high, since)] if sequence < high else []
            if left and right and len(epoch.gaps) >= MAX_GAPS:
                return _GAP_LIMIT
            epoch.gaps[place : place + 1] = left + right
            return _GAP_FILLED
        if sequence < low:
            break
    return _DUPLICATE


def _remember(store: Rows, source: SourceRow, epoch: Epoch, sequence: int, content: int) -> None:
    recent = epoch.recent
    recent[sequence] = content
    if (sequence + 1) % CHUNK == 0 or len(recent) >= CHUNK:
        file_hashes(store, source, epoch)


def file_hashes(store: Rows, source: SourceRow, epoch: Epoch) -> None:
    """Move an epoch's latest hashes and sales to rows of their own."""
    recent = epoch.recent
    first = min(recent) // CHUNK
    if first == max(recent) // CHUNK:
        _file(store, source, epoch, first, recent, epoch.sold)
    else:
        chunks: dict[int, dict[int, int]] = {}
        for number, known in recent.items():
            chunks.setdefault(number // CHUNK, {})[number] = known
        for chunk, hashes in chunks.items():
            sold = {number: epoch.sold[number] for number in hashes if number in epoch.sold}
            _file(store, source, epoch, chunk, hashes, sold)
    epoch.recent, epoch.sold = {}, {}


def _file(
    store: Rows,
    source: SourceRow,
    epoch: Epoch,
    chunk: int,
    hashes: dict[int, int],
    sold: dict[int, msgspec.Raw],
) -> None:
    chunks = epoch.chunks
    row_key = hashes_key(source.topic, source.source, epoch.epoch, chunk)
    if not chunks or chunk > chunks[-1] or chunk not in chunks:
        if len(chunks) >= MAX_CHUNKS and chunk < chunks[0]:
            return
        insort(chunks, chunk)
        while len(chunks) > MAX_CHUNKS:
            oldest = hashes_key(source.topic, source.source, epoch.epoch, chunks.pop(0))
            store.delete(oldest, source.version)
    elif (known := store.get(row_key, HashesRow)) is not None:
        hashes, sold = {**known.hashes, **hashes}, {**known.sold, **sold}
    store.put(row_key, HashesRow(version=source.version, hashes=hashes, sold=sold))


def mended(source: SourceRow, number: int, units: int) -> None:
    """Lines that were open are applied: they count towards the control totals."""
    epoch = next(one for one in source.epochs if one.epoch == number)
    epoch.units += units


def find_sale(store: Rows, source: SourceRow, own_epoch: int, transaction: str) -> Sale | None:
    """A sale that is remembered: of `own_epoch`, else the latest of its name."""
    by_nearness = sorted(source.epochs, key=lambda one: (one.epoch == own_epoch, one.epoch))
    for epoch in reversed(by_nearness):
        found = _sale_in(epoch.sold, transaction)
        if found is not None:
            return Sale(epoch, None, *found)
        for chunk in reversed(epoch.chunks):
            key = hashes_key(source.topic, source.source, epoch.epoch, chunk)
            row = store.get(key, HashesRow)
            found = _sale_in(row.sold, transaction) if row is not None else None
            if found is not None:
                return Sale(epoch, key, *found)
    return None


def _sale_in(sold: dict[int, msgspec.Raw], transaction: str) -> tuple[int, Sold] | None:
    for sequence in reversed(sold):
        found = _decode_sold(sold[sequence])
        if found.transaction == transaction:
            return sequence, found
    return None


def change_sale(store: Rows, source: SourceRow, sale: Sale, sold: Sold) -> None:
    """Remember a sale that was found as it is now."""
    encoded = msgspec.Raw(encode_sold(sold))
    if sale.key is None:
        sale.epoch.sold[sale.sequence] = encoded
        return
    row = store.get(sale.key, HashesRow)
    if row is None:
        raise ValueError(f"no row {sale.key}")
    changed = {**row.sold, sale.sequence: encoded}
    store.put(sale.key, HashesRow(version=source.version, hashes=row.hashes, sold=changed))


def _known_content(store: Rows, source: SourceRow, epoch: Epoch, sequence: int) -> int | None:
    if sequence in epoch.recent:
        return epoch.recent[sequence]
    chunk = sequence // CHUNK
    if chunk not in epoch.chunks:
        return None
    row = store.get(hashes_key(source.topic, source.source, epoch.epoch, chunk), HashesRow)
    return row.hashes.get(sequence) if row is not None else None


def _repeat(
    store: Rows,
    source: SourceRow,
    epoch: Epoch,
    sequence: int,
    content: int,
    at: Instant,
    still_open: tuple[int, ...],
) -> Arrived:
    if sequence in epoch.open:
        return _resubmit(store, source, epoch, sequence, content, still_open)
    if at > source.newest:
        return _SUSPECTED_RESET
    known = _known_content(store, source, epoch, sequence)
    if known is not None and known != content:
        source.conflicts += 1
        return _CONFLICT
    source.duplicates += 1
    return _DUPLICATE


def _resubmit(
    store: Rows,
    source: SourceRow,
    epoch: Epoch,
    sequence: int,
    content: int,
    still_open: tuple[int, ...],
) -> Arrived:
    waiting = epoch.open[sequence]
    mended = frozenset(waiting).difference(still_open)
    if not mended:
        source.duplicates += 1
        return _DUPLICATE
    left = [line for line in waiting if line not in mended]
    if left:
        epoch.open[sequence] = left
    else:
        del epoch.open[sequence]
        _remember(store, source, epoch, sequence, content)
    return Arrived(Arrival.RESUBMITTED, mended)


def leave_open(source: SourceRow, number: int, sequence: int, lines: tuple[int, ...]) -> None:
    """Lines of an event that arrived could not be applied after all."""
    epoch = next(one for one in source.epochs if one.epoch == number)
    known = epoch.open.get(sequence, [])
    _leave_open(epoch, sequence, tuple({*known, *lines}))


def _leave_open(epoch: Epoch, sequence: int, lines: tuple[int, ...]) -> None:
    epoch.open[sequence] = sorted(lines)
    while sum(len(waiting) for waiting in epoch.open.values()) > MAX_OPEN:
        del epoch.open[next(iter(epoch.open))]


def visit(source: SourceRow, location: str) -> None:
    """Remember that `source` reports on a new `location`, among the latest it did."""
    source.locations.append(location)
    if len(source.locations) > MAX_LOCATIONS:
        del source.locations[0]
