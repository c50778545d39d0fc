"""What was fetched for a stage and waits to be absorbed: a queue per input partition."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from streams.engine.stage import Raw

TopicPartition = tuple[str, int]

MAX_WAITING_BYTES = 1024 * 1024
"""What may wait of one input partition; past it that one is not fetched, and others are."""

SLICE_BYTES = 64 * 1024
SHARED_SLICE_BYTES = 16 * 1024
"""What is taken at once over all inputs, of backlogs alone, and where others are to pass them.

An input with more than that waiting has a backlog.
"""


class Slice(NamedTuple):
    """Records that were taken; whether some had come since their input was last read to its end.

    Who has read a backlog to its end for the first time is not up to date by that alone.
    """

    runs: dict[TopicPartition, list[Raw]]
    is_fresh: bool


class Inbox:
    """Queues in the order of their logs, without holes."""

    def __init__(
        self, seek: Callable[[str, int, int], None], unread: Callable[[str, int], int]
    ) -> None:
        """`seek` has an input read again; `unread` tells how much of its log was not read yet."""
        self.count = 0
        self.taken = 0
        self._seek = seek
        self._unread = unread
        self._waiting: dict[TopicPartition, deque[Raw]] = {}
        self._bytes: dict[TopicPartition, int] = {}
        self._next: dict[TopicPartition, int] = {}
        self._starts: dict[TopicPartition, int] = {}
        self._holes: dict[TopicPartition, tuple[int, int]] = {}
        self._ended: set[TopicPartition] = set()

    @property
    def waiting(self) -> int:
        """Bytes that wait, over all inputs."""
        return sum(self._bytes.values())

    @property
    def unread(self) -> int:
        """Records that wait in the logs, over all inputs, as far as is known."""
        return sum(self._unread(*source) for source in self._next)

    def start_at(self, source: TopicPartition, offset: int) -> None:
        """The next record of an input is expected at `offset`."""
        self._next[source] = self._starts[source] = offset
        self._holes.pop(source, None)
        self._ended.discard(source)
        self._waiting[source] = deque()
        self._bytes[source] = 0

    def start_again(self, source: TopicPartition, offset: int | None) -> None:
        """Have an input read again from `offset`; without one, from where it was started."""
        start = self._starts.get(source)
        if start is not None:
            self.start_at(source, start if offset is None else offset)
            self._seek(*source, self._next[source])

    def clear(self) -> None:
        """Forget what waits; nothing is taken in before an input is started anew."""
        self._waiting.clear()
        self._bytes.clear()
        self._next.clear()
        self.count = 0

    def offer(self, runs: Mapping[TopicPartition, list[Raw]]) -> None:
        """Take in fetched records. A run must begin where the last one ended, else seek back.

        A hole that the broker confirms by answering the same again is none (a
        transaction marker, say).
        """
        for source, run in runs.items():
            expected = self._next.get(source)
            if expected is None or not run:
                continue
            first = run[0].offset
            if first > expected and self._holes.get(source) != (expected, first):
                self._holes[source] = (expected, first)
                self._seek(*source, expected)
                continue
            records = run
            if first < expected:
                records = [record for record in run if record.offset >= expected]
                if not records:
                    continue
            self._next[source] = records[-1].offset + 1
            self._waiting[source].extend(records)
            self._bytes[source] += _size(records)
            self.count += len(records)

    def crowded(self) -> list[TopicPartition]:
        """Inputs of which enough records wait already."""
        return [source for source, waiting in self._bytes.items() if waiting >= MAX_WAITING_BYTES]

    def take(self, *, is_shared: bool = False, only_fresh: bool = False) -> Slice:
        """A slice: as many bytes of each input that has any, at least a record.

        `is_shared`: a small one; `only_fresh`: of inputs that have little waiting.
        """
        ready = sorted(source for source, waiting in self._waiting.items() if waiting)
        if only_fresh:
            ready = [source for source in ready if self._bytes[source] <= SHARED_SLICE_BYTES]
        share = (SHARED_SLICE_BYTES if is_shared else SLICE_BYTES) // max(1, len(ready))
        runs = {source: self._take_of(source, share) for source in ready}
        ended = {one for one in ready if not (self._waiting[one] or self._unread(*one))}
        is_fresh = not ended.isdisjoint(self._ended)
        self._ended |= ended
        return Slice(runs, is_fresh)

    def _take_of(self, source: TopicPartition, share: int) -> list[Raw]:
        waiting, records, size = self._waiting[source], [], 0
        while waiting and size < share:
            record = waiting.popleft()
            size += len(record.value or b"")
            records.append(record)
        self.taken += size
        self._bytes[source] -= size
        self.count -= len(records)
        return records

    def give_back(self, source: TopicPartition, records: list[Raw]) -> None:
        """Put taken records back in front."""
        self._waiting[source].extendleft(reversed(records))
        self._bytes[source] += _size(records)
        self.count += len(records)


def _size(records: list[Raw]) -> int:
    return sum([len(record.value or b"") for record in records])
