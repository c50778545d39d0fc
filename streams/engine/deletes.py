"""Deleted rows on their way out of the log: first a row that says so, later a tombstone.

A late write may still bring an old version back: as long as that can be, the log must say at
which version the row went. After the compaction lag it may forget the key altogether.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from models.rows import TOMBSTONE_VERSION
from runtime.batches import Record

MAX_FORGOTTEN: Final = 1_000
"""Tombstones in one step."""

Gone = tuple[str, int]
"""A key, and the version at which its row was deleted."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Gone]).decode


def tombstone(key: str, version: int) -> Record:
    """What has compaction forget a key. `version` is the deletion's."""
    return key, None, [(TOMBSTONE_VERSION, b"%d" % version)]


class Deletes:
    """Rows that were deleted, by when (milliseconds): kept small, for they are many in an hour."""

    def __init__(self, kept: Iterable[tuple[int, bytes]] = ()) -> None:
        self._parts = deque(kept)
        self._going: tuple[int, bytes] | None = None

    def add(self, at: int, deleted: list[Gone]) -> None:
        """Rows were deleted `at`."""
        for start in range(0, len(deleted), MAX_FORGOTTEN):
            self._parts.append((at, _encode(deleted[start : start + MAX_FORGOTTEN])))

    def add_all(self, deleted: Mapping[str, tuple[int, int]]) -> None:
        """Rows that recovery has found deleted: when, and at which version."""
        by_time: dict[int, list[Gone]] = {}
        for name, (at, version) in deleted.items():
            by_time.setdefault(at // 60_000, []).append((name, version))
        for minute, rows in sorted(by_time.items()):
            self.add((minute + 1) * 60_000, rows)

    def due(self, horizon: int) -> list[Gone]:
        """A part of those that were deleted before `horizon`; until `done` or `undo`, no other."""
        if self._going or not self._parts or self._parts[0][0] >= horizon:
            return []
        self._going = self._parts.popleft()
        return _decode(self._going[1])

    def done(self) -> None:
        """The tombstones of those that were due are in the log."""
        self._going = None

    def undo(self) -> None:
        """They are not: they are due again."""
        if self._going is not None:
            self._parts.appendleft(self._going)
            self._going = None

    def versions(self, keys: Collection[str]) -> dict[str, int]:
        """At which version each of `keys` was last deleted, as far as that is remembered."""
        found: dict[str, int] = {}
        for _, part in self.kept():
            found.update(one for one in _decode(part) if one[0] in keys)
        return found

    def kept(self) -> list[tuple[int, bytes]]:
        """What another `Deletes` can begin with."""
        return [*([self._going] if self._going else []), *self._parts]
