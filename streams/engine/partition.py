"""The rows of one state partition: as bytes, decoded on first touch.

Two tiers. `encoded` is what the changelog holds as of the last acknowledged step;
`live` are decoded rows on top of it, some of them changed since; a stage may have some of
them packed. Steps that may not be finished are undone by forgetting the second tier.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar

from models import native, rows
from models.rows import Deleted, Document, Packed, Row
from runtime.batches import NO_HEADERS, Values
from streams.engine.deletes import Deletes, tombstone
from streams.engine.documents import Documents
from streams.engine.position import PREFIX, Position

R = TypeVar("R", bound=Row)
P = TypeVar("P", bound=Packed)

_LONGEST_DELETED: Final = 64
"""Bytes: no row that says that it is deleted is longer."""

MAX_LIVE: Final = 100_000
"""Decoded rows kept between steps."""

_GROWTH: Final = 512
"""Bytes that a changed row is taken to grow by, for cutting steps."""


class Record(Protocol):
    """A record of the changelog."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]


class Image(NamedTuple):
    """What a changelog comes to up to `end`; `last` is the value of the record just before it.

    `position` is the merged one, `presumed` the versions at which rows of late batches are
    taken for deleted, `deletes` the rows that wait for their tombstones.
    """

    number: int
    end: int
    last: bytes
    position: bytes
    presumed: dict[str, int]
    deletes: list[tuple[int, bytes]]
    rows: dict[str, bytes]


class Batch(NamedTuple):
    """A step's state batch: the changed rows' last values, tombstones, and last the position.

    `rows` are values by key, `deleted` the ones that go and at which version; `at` is when, in
    milliseconds. `was_due`: a part of the deletes was, of which `forgotten` are those whose keys
    are still gone. `filed` are rows that need not be kept decoded. `grown` are the bytes of `rows`.
    """

    rows: dict[str, bytes]
    forgotten: list[tuple[str, int]]
    last: tuple[str, bytes]
    deleted: list[tuple[str, int]]
    at: int
    was_due: bool = False
    filed: Sequence[tuple[str, Row | Packed]] = ()
    grown: int = 0

    @property
    def records(self) -> Values:
        """What is appended."""
        gone = [tombstone(key, version) for key, version in self.forgotten]
        return Values(self.rows, [*gone, (*self.last, NO_HEADERS)])

    @property
    def size(self) -> int:
        """How many records that are."""
        return len(self.rows) + len(self.forgotten) + 1


class Partition:
    """One partition's rows and position; it is the `Rows` that transitions see.

    `live` are the rows that are decoded, `changed` those of this step, `filed` of these the ones
    that need not be kept decoded. They are replaced, never emptied: so whoever keeps what stands
    in them knows when they are others.

    `weight` are about the bytes of what has changed since the last batch, which `is_full` where the
    next record has no room in it.

    `grown` are the bytes of changelog taken since the partition was last kept in a file, `kept`
    the bytes of that file.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.encoded: dict[str, bytes] = {}
        self.live: dict[str, Row | Packed] = {}
        self.changed: dict[str, Row | Packed] = {}
        self._packed: set[type[Packed]] = set()
        self._writers: dict[type[Row | Packed], Callable[[Any], bytes]] = {}
        self._deleted: dict[str, None] = {}
        self.filed: list[tuple[str, Row | Packed]] = []
        self.position = Position(version=-1, partition=number)
        self._acked_position = rows.encode(self.position)
        self.end = 0
        self.weight = 0
        self.is_full = False
        self.grown = 0
        self.kept = 0
        self._last = b""
        self.to_repair: set[str] = set()
        self.late_at: int | None = None
        self._fresh: list[int] = []
        self._again: dict[str, int] = {}
        self._presumed: dict[str, int] = {}
        self._lifted: dict[str, bytes] = {}
        self._deletes = Deletes()
        self._deleted_at: dict[str, int] = {}
        self._unacked: deque[Batch] = deque()
        self.documents: Documents | None = None

    def keep_documents(self, topic: str, kinds: Mapping[str, type[Document]], days: int) -> None:
        """From now on documents are forgotten so many days of `topic`'s time after a change."""
        self.documents = Documents(topic, kinds, days, self.encoded)

    def keep_packed(self, kind: type[P], writer: Callable[[P], bytes]) -> None:
        """Rows may be kept as a `kind`, which gives way to its row where one is asked for."""
        self._packed.add(kind)
        self._writers[kind] = writer

    def write_by(self, kind: type[R], writer: Callable[[R], bytes]) -> None:
        """Rows of a kind are encoded by `writer`, with the same result as in general."""
        self._writers[kind] = writer

    def get(self, key: str, kind: type[R]) -> R | None:
        """The row of `key` with the step's own changes, or None."""
        row = self.live.get(key)
        if row is None:
            value = self.encoded.get(key)
            if value is None:
                return None
            row = self.live[key] = rows.decode(value, kind)
        if type(row) in self._packed:
            row = self._unpack(key, row)  # type: ignore[arg-type]
        return row if type(row) is kind else None

    def _unpack(self, key: str, packed: Packed) -> Row:
        row = self.live[key] = packed.unpacked()
        if key in self.changed:
            self.changed[key] = row
        return row

    def put(self, key: str, row: Row | Packed) -> None:
        """Change the row of `key` in this step."""
        before = self.live.get(key)
        if before is not row and type(before) in self._packed:
            before.leave()  # type: ignore[union-attr]
        self.live[key] = row
        if row.is_document and self.documents is not None:
            self.documents.note(key, row)  # type: ignore[arg-type]
        if row.is_filed:
            self.filed.append((key, row))
        known = len(self.changed)
        self.changed[key] = row
        if len(self.changed) > known:
            self.weight += len(self.encoded.get(key, b"")) + _GROWTH

    def delete(self, key: str, version: int) -> None:
        """Remove the row of `key` in this step."""
        self.put(key, Deleted(version=version))
        self._deleted[key] = None

    def names(self, prefix: str) -> Iterator[str]:
        """The keys of rows that are there now, of those that begin with `prefix`."""
        live = self.live
        for name in chain(self.encoded, (name for name in live if name not in self.encoded)):
            if name.startswith(prefix) and type(live.get(name)) is not Deleted:
                yield name

    def unsaved(self) -> set[str]:
        """The keys of rows that may be others than those in `encoded`."""
        return set(self.changed).union(*(batch.rows for batch in self._unacked))

    def cut(self, writer: str, partitions: int, at: int = 0, horizon: int = 0) -> Batch:
        """Close the step: its state batch. What changes from now on is the next step's.

        It is now `at`; of rows that were deleted before `horizon` the log may forget the keys.
        """
        written, grown = _written(self.changed, self._writers)
        due = self._deletes.due(horizon)
        forgotten = [
            (key, version)
            for key, version in due
            if key not in self.changed and key not in self.live and key not in self.encoded
        ]
        gone = [
            (key, row.version)
            for key in self._deleted
            if isinstance(row := self.live[key], Deleted)
        ]
        last = self._last_of(writer, partitions, len(written) + len(forgotten))
        batch = Batch(written, forgotten, last, gone, at, bool(due), self.filed, grown)
        self._unacked.append(batch)
        self.changed, self._deleted, self.filed = {}, {}, []
        self.weight, self.is_full = 0, False
        return batch

    def _last_of(self, writer: str, partitions: int, number: int) -> tuple[str, bytes]:
        """The position that a batch of `number` other records ends with."""
        position = self.position
        position.version += 1
        position.base = self.end + sum(batch.size for batch in self._unacked)
        position.rows = number
        position.writer, position.partitions = writer, partitions
        return position.key, rows.encode(position)

    def acknowledge(self, batch: Batch) -> None:
        """The batch is durable: what it holds is the state from now on.

        Batches are acknowledged in the order in which they were cut.
        """
        if self._unacked:
            self._unacked.popleft()
        self.encoded.update(batch.rows)
        for key, _ in batch.deleted:
            del self.encoded[key]
            if key not in self.changed and type(self.live.get(key)) is Deleted:
                del self.live[key]
        for key, row in batch.filed:
            newest = self.live.pop(key, row)
            if newest is not row:
                self.live[key] = newest
        if batch.was_due:
            self._deletes.done()
        self._deletes.add(batch.at, batch.deleted)
        self._acked_position = self._last = batch.last[1]
        self.end += batch.size
        self.grown += batch.grown
        self.to_repair.clear()
        self.late_at = None
        if len(self.live) > MAX_LIVE:
            newer = self.unsaved()
            self.live = {key: row for key, row in self.live.items() if key in newer}

    def undo(self) -> None:
        """Forget what was computed since the last acknowledged step."""
        self.live, self.changed, self.filed = {}, {}, []
        self._unacked.clear()
        self._deleted.clear()
        self._deletes.undo()
        self.weight, self.is_full = 0, False
        self.position = rows.decode(self._acked_position, Position)

    @property
    def acked_offsets(self) -> dict[str, int]:
        """Offsets absorbed in the state that is durable, by input topic."""
        return rows.decode(self._acked_position, Position).offsets

    @property
    def is_whole(self) -> bool:
        """Whether what was loaded ends with a position: else rows are newer than that."""
        return not (self._fresh or self._again)

    def image(self) -> Image | None:
        """What the log comes to now; None while a late write stands, or a batch is not whole."""
        if self.to_repair or not self.is_whole:
            return None
        presumed = dict(self._presumed)
        rest = self._acked_position, presumed, self._deletes.kept(), dict(self.encoded)
        return Image(self.number, self.end, self._last, *rest)

    @classmethod
    def of_image(cls, image: Image) -> Self:
        """The partition as it was."""
        partition = cls(image.number)
        partition.encoded = image.rows
        partition.position = rows.decode(image.position, Position)
        partition._acked_position, partition._last = image.position, image.last
        partition._presumed = image.presumed
        partition._deletes = Deletes(image.deletes)
        partition.end = image.end
        return partition

    def load(self, records: Iterable[Record]) -> None:
        """Take changelog records, merged by version: a lower one never replaces a higher.

        Nothing is live: no row was asked for yet, or all was undone.
        """
        encoded, fresh, prefix = self.encoded, self._fresh, PREFIX.encode()
        for record in records:
            key, value, offset = record.key or b"", record.value, record.offset
            if value is None:
                value = rows.encode(Deleted(version=rows.tombstone_version(record.headers)))
            self.end = max(self.end, offset + 1)
            self.grown += len(value)
            if key.startswith(prefix):
                self._load_position(key.decode(), value, record)
                continue
            name = key.decode()
            if record.value is None:
                self._deleted_at.pop(name, None)
            elif len(value) < _LONGEST_DELETED and b'"deleted":true' in value:
                self._deleted_at[name] = record.timestamp
            known = encoded.get(name)
            if known is None:
                # It comes last in `encoded`, as its offset does here.
                fresh.append(offset)
                encoded[name] = value
            else:
                self._load_known(name, value, known, offset)

    def _load_known(self, name: str, value: bytes, known: bytes, offset: int) -> None:
        self._again[name] = offset
        version, is_gone = rows.head(value)
        known_version, was_gone = rows.head(known)
        presumed = self._presumed.get(name)
        if presumed is not None and version >= presumed:
            # Its owner wrote it again after the late batch: it was not deleted then.
            self._lifted[name] = known
            known_version = self._presumed.pop(name)
        if version >= known_version:
            self.encoded[name] = value
            self.to_repair.discard(name)
            self.live.pop(name, None)
        elif is_gone and was_gone:
            self.to_repair.discard(name)
        else:
            self.to_repair.add(name)

    def _load_position(self, name: str, value: bytes, record: Record) -> None:
        offset = record.offset
        found = rows.decode(value, Position)
        merged = self.position.merged(found)
        behind = any(
            offset > found.offsets.get(topic, -1) for topic, offset in merged.offsets.items()
        )
        if behind or found.base != offset - found.rows:
            self.to_repair.add(name)
            self.late_at = record.timestamp if self.late_at is None else self.late_at
        else:
            self.to_repair.discard(name)
            if not self.to_repair:
                self.late_at = None
        if behind:
            self._write_again(offset - found.rows, merged.offsets == self.position.offsets)
        self._fresh.clear()
        self._again.clear()
        self._lifted.clear()
        self.position = merged
        self._acked_position = rows.encode(merged)
        self._last = value

    def _write_again(self, start: int, knew_all: bool) -> None:
        """A late batch, from `start` on: its rows must stand in one of ours, or be gone.

        A row that it has and this partition had not was deleted meanwhile, where that is
        remembered, or where all that the batch absorbed was absorbed before it landed.
        """
        self.to_repair |= {name for name, offset in self._again.items() if offset >= start}
        for name, gone in self._lifted.items():
            # This is one more late batch: it shows nothing.
            self._presumed[name] = rows.head(gone)[0] - 1
            self.encoded[name] = gone
        late = sum(offset >= start for offset in self._fresh)
        names = list(islice(reversed(self.encoded), late))
        deleted = self._deletes.versions(set(names))
        for name in names:
            self.to_repair.add(name)
            version = rows.head(self.encoded[name])[0]
            if deleted.get(name, -1) >= version:
                self.encoded[name] = rows.encode(Deleted(version=deleted[name]))
            elif knew_all:
                # Whatever deleted it came later; so does this, for who reads both.
                self._presumed[name] = version
                self.encoded[name] = rows.encode(Deleted(version=version + 1))

    def forget_position(self) -> None:
        """For tests that show what positions are for: go on without one."""
        self.position = Position(version=self.position.version, partition=self.number)
        self._acked_position = rows.encode(self.position)

    def recovered(self) -> None:
        """Recovery is over: rows that are gone are remembered only for their tombstones."""
        deleted = {}
        for name in [name for name, value in self.encoded.items() if b'"deleted":true' in value]:
            version, gone = rows.head(self.encoded[name])
            if name not in self.to_repair and gone:
                del self.encoded[name]
                if name in self._deleted_at:
                    deleted[name] = self._deleted_at[name], version
        self._deletes.add_all(deleted)
        self._deleted_at.clear()

    def repairs(self, writer: str, partitions: int, at: int = 0) -> Batch | None:
        """The batch that makes each key's last record its newest again; None if all are."""
        if not self.to_repair:
            return None
        names = sorted(name for name in self.to_repair if not name.startswith(PREFIX))
        values = {name: self.encoded[name] for name in names}
        heads = zip(names, map(rows.head, values.values()), strict=True)
        gone = [(name, version) for name, (version, is_gone) in heads if is_gone]
        last = self._last_of(writer, partitions, len(names))
        return Batch(values, [], last, gone, at, grown=sum(map(len, values.values())))


def _written(
    changed: dict[str, Row | Packed], writers: dict[type[Row | Packed], Callable[[Any], bytes]]
) -> tuple[dict[str, bytes], int]:
    """The values of rows, and their bytes."""
    if native.write_rows is not None:
        return native.write_rows(changed, writers, rows.encode)
    values = {key: writers.get(type(row), rows.encode)(row) for key, row in changed.items()}
    return values, sum(map(len, values.values()))
