"""How a sequence number came: seen intervals per (topic, source, epoch), gaps, repeats.

What was seen of an epoch is the interval from its first to its last number, less the
gaps in it. Deltas commute, so every number that was not seen is applied, whether it
opens a gap, fills one, lies below the first, or belongs to an older epoch.
"""

from typing import Final

from msgspec import Struct, field

from models import rows
from models.instants import Instant, to_rfc3339
from models.outcomes import Arrival
from models.rows import Row, Rows

MAX_GAPS: Final = 5_000
"""Gaps kept per epoch. A source that skips more is broken; its event is dead-lettered."""

CHUNK: Final = 64
"""Sequence numbers per row of content hashes: small enough to rewrite in every step."""

MAX_CHUNKS: Final = 17
"""Hashes of at least the last 1,024 numbers are kept; older repeats count as duplicates."""

MAX_OPEN: Final = 1_000
"""Lines per epoch left open for a corrected resend; the oldest sequence is closed first."""

MAX_EPOCHS: Final = 64
"""Epochs per source. Forgetting one would count its repeats twice, so a new one is refused."""

MAX_LOCATIONS: Final = 64
"""Locations remembered per source, the latest; a register has one, a warehouse a few."""


class Epoch(Struct):
    """One run of a source's counter. `gaps` are [from, to, when it opened], ascending.

    `recent` holds the latest content hashes by sequence; full, it is moved to the rows of
    `chunks`, so that an event in order touches no row but its source's.
    """

    epoch: int
    first: int
    last: int
    gaps: list[tuple[int, int, Instant]] = field(default_factory=list)
    recent: dict[int, int] = field(default_factory=dict)
    chunks: list[int] = field(default_factory=list)
    open: dict[int, list[int]] = field(default_factory=dict)

    def seen(self) -> list[tuple[int, int]]:
        """The intervals of numbers that arrived, ascending, both ends included."""
        intervals = []
        start = self.first
        for low, high, _ in self.gaps:
            intervals.append((start, low - 1))
            start = high + 1
        return [*intervals, (start, self.last)]


class SourceRow(Row, kw_only=True):
    """What the service knows of one source in one topic. Times are RFC 3339."""

    source: str
    topic: str
    epochs: list[Epoch] = field(default_factory=list)
    duplicates: int = 0
    conflicts: int = 0
    last_seen: str = ""
    locations: list[str] = field(default_factory=list)
    now: Instant = 0

    def settle(self) -> None:
        self.last_seen = to_rfc3339(self.now)


class HashesRow(Row, kw_only=True):
    """Content hashes by sequence: those of one chunk of an epoch."""

    hashes: dict[int, int]


_REFUSED: Final = (Arrival.DUPLICATE, Arrival.CONFLICT, Arrival.GAP_LIMIT)


class Arrived:
    """What came of one event's sequence.

    `is_new` says whether lines of it are to be applied: `lines`, or all where that is
    None. `text` is the arrival's code; enums are slow to read where it counts.
    """

    __slots__ = ("arrival", "is_new", "lines", "text")

    def __init__(self, arrival: Arrival, lines: frozenset[int] | None = None) -> None:
        self.arrival = arrival
        self.is_new = arrival not in _REFUSED
        self.lines = lines
        self.text = arrival.value


_IN_ORDER: Final = Arrived(Arrival.IN_ORDER)
_GAP_OPENED: Final = Arrived(Arrival.GAP_OPENED)
_GAP_FILLED: Final = Arrived(Arrival.GAP_FILLED)
_BELOW_FIRST: Final = Arrived(Arrival.BELOW_FIRST)
_LATE_EPOCH: Final = Arrived(Arrival.LATE_EPOCH)
_DUPLICATE: Final = Arrived(Arrival.DUPLICATE)
_CONFLICT: Final = Arrived(Arrival.CONFLICT)
_GAP_LIMIT: Final = Arrived(Arrival.GAP_LIMIT)


def source_key(topic: str, source: str) -> str:
    """The key of a source's row."""
    return rows.key("source", topic, source)


def hashes_key(topic: str, source: str, epoch: int, chunk: int) -> str:
    """The key of a row of content hashes."""
    return rows.key("hashes", topic, source, epoch, chunk)


def arrive(
    store: Rows,
    source: SourceRow,
    epoch_number: int,
    sequence: int,
    content: int,
    open_lines: tuple[int, ...] = (),
) -> Arrived:
    """Take one sequence number into `source`, which the caller owns, and say how it came.

    `content` is the hash of what the event says; `source.now` and `source.version` are
    those of the record it stands in. `open_lines` of the event could not be applied: a
    resend may bring them again.
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
        _remember(store, source, epoch, sequence, content)
        if open_lines:
            _leave_open(epoch, sequence, open_lines)
    elif arrived is _DUPLICATE:
        arrived = _repeat(store, source, epoch, sequence, content, open_lines)
    return arrived


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
    if len(recent) < CHUNK:
        return
    chunks: dict[int, dict[int, int]] = {}
    for number, known in recent.items():
        chunks.setdefault(number // CHUNK, {})[number] = known
    for chunk, hashes in chunks.items():
        _file(store, source, epoch, chunk, hashes)
    epoch.recent = {}


def _file(store: Rows, source: SourceRow, epoch: Epoch, chunk: int, hashes: dict[int, int]) -> None:
    row_key = hashes_key(source.topic, source.source, epoch.epoch, chunk)
    if chunk not in epoch.chunks:
        if len(epoch.chunks) >= MAX_CHUNKS and chunk < epoch.chunks[0]:
            return
        epoch.chunks = sorted([*epoch.chunks, chunk])
        while len(epoch.chunks) > MAX_CHUNKS:
            oldest = hashes_key(source.topic, source.source, epoch.epoch, epoch.chunks.pop(0))
            store.delete(oldest, source.version)
    known = store.get(row_key, HashesRow)
    if known is not None:
        hashes = {**known.hashes, **hashes}
    store.put(row_key, HashesRow(version=source.version, hashes=hashes))


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
    still_open: tuple[int, ...],
) -> Arrived:
    if sequence in epoch.open:
        return _resubmit(store, source, epoch, sequence, content, still_open)
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


def _leave_open(epoch: Epoch, sequence: int, lines: tuple[int, ...]) -> None:
    epoch.open[sequence] = sorted(lines)
    while sum(len(waiting) for waiting in epoch.open.values()) > MAX_OPEN:
        del epoch.open[next(iter(epoch.open))]


def visit(source: SourceRow, location: str) -> None:
    """Remember that `source` reports on a new `location`, among the latest it did."""
    source.locations.append(location)
    if len(source.locations) > MAX_LOCATIONS:
        del source.locations[0]
