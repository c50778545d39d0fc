"""The rows of one state partition: as bytes, decoded on first touch.

Two tiers. `encoded` is what the changelog holds as of the last acknowledged step;
`live` are decoded rows on top of it, some of them changed since. A step that may not
be finished is undone by forgetting the second tier.
"""

from typing import Final, TypeVar

from models import rows
from models.rows import Deleted, Row
from streams.engine.position import PREFIX, Position

R = TypeVar("R", bound=Row)

MAX_LIVE: Final = 100_000
"""Decoded rows kept between steps."""

_GROWTH: Final = 512
"""Bytes that a changed row is taken to grow by, for cutting steps."""


class Partition:
    """One partition's rows and position; it is the `Rows` that transitions see."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.encoded: dict[str, bytes] = {}
        self.live: dict[str, Row] = {}
        self.changed: dict[str, None] = {}
        self._deleted: list[str] = []
        self.position = Position(version=-1, partition=number)
        self._acked_position = rows.encode(self.position)
        self.end = 0
        self.weight = 0
        self.to_repair: set[str] = set()

    def get(self, key: str, kind: type[R]) -> R | None:
        """The row of `key` with the step's own changes, or None."""
        row = self.live.get(key)
        if row is None:
            value = self.encoded.get(key)
            if value is None:
                return None
            row = self.live[key] = rows.decode(value, kind)
        return row if type(row) is kind else None

    def put(self, key: str, row: Row) -> None:
        """Change the row of `key` in this step."""
        self.live[key] = row
        if key not in self.changed:
            self.changed[key] = None
            self.weight += len(self.encoded.get(key, b"")) + _GROWTH

    def delete(self, key: str, version: int) -> None:
        """Remove the row of `key` in this step."""
        self._deleted.append(key)
        self.put(key, Deleted(version=version))

    def changes(self, writer: str, partitions: int) -> list[tuple[bytes, bytes]]:
        """The state batch of a step: every changed row's last value, and last the position."""
        batch = [(key.encode(), rows.encode(self.live[key])) for key in self.changed]
        position = self.position
        position.version += 1
        position.base, position.rows = self.end, len(batch)
        position.writer, position.partitions = writer, partitions
        batch.append((position.key.encode(), rows.encode(position)))
        return batch

    def acknowledge(self, batch: list[tuple[bytes, bytes]]) -> None:
        """The batch is durable: what it holds is the state from now on."""
        self.encoded.update(zip(self.changed, (value for _, value in batch), strict=False))
        for key in self._deleted:
            if type(self.live.get(key)) is Deleted:
                del self.encoded[key], self.live[key]
        self._deleted.clear()
        self._acked_position = batch[-1][1]
        self.end += len(batch)
        self.changed.clear()
        self.weight = 0
        if len(self.live) > MAX_LIVE:
            self.live.clear()

    def undo(self) -> None:
        """Forget what was computed since the last acknowledged step."""
        self.live.clear()
        self.changed.clear()
        self._deleted.clear()
        self.weight = 0
        self.position = rows.decode(self._acked_position, Position)

    def load(self, key: bytes, value: bytes, offset: int) -> None:
        """Take one changelog record, merged by version: a lower one never replaces a higher."""
        self.end = max(self.end, offset + 1)
        name = key.decode()
        if name.startswith(PREFIX):
            self._load_position(name, value, offset)
            return
        known = self.encoded.get(name)
        if known is not None and rows.head(value)[0] < rows.head(known)[0]:
            self.to_repair.add(name)
            return
        self.encoded[name] = value
        self.to_repair.discard(name)
        self.live.pop(name, None)

    def _load_position(self, name: str, value: bytes, offset: int) -> None:
        found = rows.decode(value, Position)
        merged = self.position.merged(found)
        regressed = any(
            merged.offsets[topic] > found.offsets.get(topic, -1) for topic in merged.offsets
        )
        if regressed or found.base != offset - found.rows:
            self.to_repair.add(name)
        else:
            self.to_repair.discard(name)
        self.position = merged
        self._acked_position = rows.encode(merged)

    def forget_position(self) -> None:
        """For tests that show what positions are for: go on without one."""
        self.position = Position(version=self.position.version, partition=self.number)
        self._acked_position = rows.encode(self.position)

    def recovered(self) -> None:
        """Recovery is over: rows that are gone need not be remembered any more."""
        for name in [name for name, value in self.encoded.items() if b'"deleted":true' in value]:
            if name not in self.to_repair and rows.head(self.encoded[name])[1]:
                del self.encoded[name]

    def repairs(self, writer: str, partitions: int) -> list[tuple[bytes, bytes]]:
        """The batch that makes each key's last record its newest again; empty if all are."""
        if not self.to_repair:
            return []
        names = sorted(name for name in self.to_repair if not name.startswith(PREFIX))
        batch = [(name.encode(), self.encoded[name]) for name in names]
        position = self.position
        position.version += 1
        position.base, position.rows = self.end, len(batch)
        position.writer, position.partitions = writer, partitions
        batch.append((position.key.encode(), rows.encode(position)))
        return batch

    def repaired(self, batch: list[tuple[bytes, bytes]]) -> None:
        """The repair batch is durable."""
        self._acked_position = batch[-1][1]
        self.end += len(batch)
        self.to_repair.clear()
