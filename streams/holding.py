"""Events that wait for something: their originals are kept, and appended again in time.

What frees them is a record in the log; what is appended again is judged as any resend,
so a crash in between does no more than append it twice.
"""

from typing import Final

from models import rows
from models.arrival import MAX_HELD, SourceRow
from models.instants import Instant
from models.reading import is_met
from models.reference import Reference
from models.rows import Row
from streams.engine.partition import Partition
from streams.engine.stage import Work
from streams.routing import Routing

MAX_KEPT_BYTES: Final = 65_536
"""Larger originals are only dead letters, to be appended again by hand."""

_PREFIX: Final = "held|"


class HeldRow(Row, kw_only=True):
    """An event that waits for `wants`. `at` is its time as sent."""

    topic: str
    source: str
    sequence: int
    at: Instant
    wants: list[str]
    original: bytes


def held_key(topic: str, source: str, epoch: int, number: int) -> str:
    """The key of a held event; `number` is its sequence, or its id's hash."""
    return rows.key("held", topic, source, epoch, number)


def epoch_want(topic: str, source: str) -> str:
    """What a suspected reset waits for."""
    return rows.key("epoch", topic, source)


def sale_want(source: str, transaction: str) -> str:
    """What a void waits for."""
    return rows.key("sale", source, transaction)


class Holding:
    """The held events of one partition, by what they wait for."""

    def __init__(self, partition: Partition, routing: Routing) -> None:
        self._partition = partition
        self._routing = routing
        self._waiting: dict[str, set[str]] = {}
        for key in [key for key in partition.encoded if key.startswith(_PREFIX)]:
            row = partition.get(key, HeldRow)
            if row is not None:
                self._index(key, row)

    def _index(self, key: str, row: HeldRow) -> None:
        for want in row.wants:
            self._waiting.setdefault(want, set()).add(key)

    def hold(self, source: SourceRow, key: str, row: HeldRow) -> None:
        """Keep an event until one of its wants is met."""
        known = self._partition.get(key, HeldRow)
        if known is None:
            if source.held >= MAX_HELD or len(row.original) > MAX_KEPT_BYTES:
                return
            source.held += 1
        else:
            self._unindex(key, known)
        self._partition.put(key, row)
        self._index(key, row)

    def let_go(self, source: SourceRow, key: str) -> None:
        """The event no longer waits."""
        known = self._partition.get(key, HeldRow)
        if known is not None:
            source.held -= 1
            self._unindex(key, known)
            self._partition.delete(key, source.version)

    def _unindex(self, key: str, row: HeldRow) -> None:
        for want in row.wants:
            waiting = self._waiting.get(want, set())
            waiting.discard(key)
            if not waiting:
                self._waiting.pop(want, None)

    def wants(self, key: str) -> list[str] | None:
        """What a held event waits for; None where it is not held."""
        row = self._partition.get(key, HeldRow)
        return row.wants if row is not None else None

    def waiting(self, want: str) -> list[tuple[str, HeldRow]]:
        """What waits for `want`, in the sources' order."""
        found = [
            (key, row)
            for key in self._waiting.get(want, ())
            if (row := self._partition.get(key, HeldRow)) is not None
        ]
        return sorted(found, key=lambda one: (one[1].source, one[1].sequence, one[0]))

    def append_again(self, work: Work, want: str) -> None:
        """What waits for `want` is appended to its log once more; if in vain, it waits on."""
        for _, row in self.waiting(want):
            destination = self._routing.inputs[row.topic][self._partition.number]
            work.emit(destination, row.source.encode(), row.original)

    def reference_moved(self, work: Work, reference: Reference) -> None:
        """Append again what waited for reference data that is there now."""
        for want in sorted(self._waiting):
            topics = {row.topic for _, row in self.waiting(want)}
            if work.topic in topics and is_met(want, reference, work.now):
                self._append_those_of(work, want)

    def _append_those_of(self, work: Work, want: str) -> None:
        for _, row in self.waiting(want):
            if row.topic == work.topic:
                destination = self._routing.inputs[row.topic][self._partition.number]
                work.emit(destination, row.source.encode(), row.original)
