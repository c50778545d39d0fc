"""A broker: logs that take batches whole, slowly, and lose acks; and a group of its readers."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from random import Random

from tests.pipeline import Record
from tests.simulation.scheduler import Scheduler

TopicPartition = tuple[str, int]

COMPACTION_LAG = 45.0
"""Virtual seconds for which no record is compacted away: an owner that is to repair one is back."""

EPOCH_MS = 1_793_606_400_000


@dataclass
class Faults:
    """How the world misbehaves; probabilities per request, seconds of virtual time."""

    delay: float = 0.02
    slow: float = 0.02
    slow_by: float = 2.0
    lost_ack: float = 0.02
    failed: float = 0.002
    frozen: float = 0.01
    stale_run: float = 0.05
    marker: float = 0.02

    def calm(self) -> None:
        """No more of it."""
        self.slow = self.lost_ack = self.failed = self.frozen = self.stale_run = self.marker = 0.0


class ProduceError(Exception):
    """The producer gave up. Whether the batch landed, nobody knows."""


@dataclass
class Log:
    """One partition: records by ascending offset, with holes where markers or others were."""

    records: list[Record] = field(default_factory=list)
    end: int = 0

    def read(self, start: int, limit: int) -> list[Record]:
        """Up to `limit` records from `start` on."""
        low = 0
        high = len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].offset < start:
                low = middle + 1
            else:
                high = middle
        return self.records[low : low + limit]


class Broker:
    """All logs, and the network between them and their clients."""

    def __init__(self, loop: Scheduler, random: Random, faults: Faults) -> None:
        self._loop = loop
        self._random = random
        self.faults = faults
        self.freeze: Callable[[int], None] = lambda process: None
        self.logs: dict[TopicPartition, Log] = defaultdict(Log)

    def latency(self) -> float:
        """Of one way over the network."""
        delay = self._random.random() * self.faults.delay
        if self._random.random() < self.faults.slow:
            delay += self._random.random() * self.faults.slow_by
        return delay

    def append(
        self, target: TopicPartition, records: Iterable[tuple[bytes | None, bytes | None, list]]
    ) -> int:
        """Append a batch now; returns its first offset."""
        log = self.logs[target]
        if self._random.random() < self.faults.marker:
            log.end += 1
        first = log.end
        now = EPOCH_MS + round(self._loop.time() * 1000)
        for key, value, headers in records:
            log.records.append(Record(key, value, target[1], log.end, now, headers))
            log.end += 1
        return first

    async def produce(
        self, target: TopicPartition, records: list[tuple[bytes | None, bytes | None, list]]
    ) -> int:
        """A producer's request: the batch travels, lands or not, and its ack travels back."""
        acked: asyncio.Future[int] = self._loop.create_future()
        # A process may be paused or die before its request has left.
        if self._random.random() < self.faults.frozen:
            self.freeze(self._loop.process())
        await asyncio.sleep(0)

        def land() -> None:
            if self._random.random() < self.faults.failed / 2:
                self._loop.in_world(self.latency(), lambda: _fail(acked))
                return
            first = self.append(target, records)
            if self._random.random() < self.faults.failed / 2:
                self._loop.in_world(self.latency(), lambda: _fail(acked))
            elif self._random.random() < self.faults.lost_ack:
                # The producer asks again, and is told that it is a duplicate.
                self._loop.in_world(1.0 + self.latency(), lambda: _answer(acked, -1))
            else:
                self._loop.in_world(self.latency(), lambda: _answer(acked, first))

        self._loop.in_world(self.latency(), land)
        return await acked

    @property
    def horizon(self) -> int:
        """What is older may be compacted away, in milliseconds."""
        return EPOCH_MS + round((self._loop.time() - COMPACTION_LAG) * 1000)

    def compact(self, topic: str) -> None:
        """Keep only the last record of each key, if it is no tombstone, and what is too young."""
        for (name, _), log in self.logs.items():
            if name != topic:
                continue
            # What is too young does not count either: it covers nothing yet.
            old = list(takewhile(lambda record: record.timestamp <= self.horizon, log.records))
            last = {record.key: record.offset for record in old}
            kept = [
                record
                for record in old
                if last[record.key] == record.offset and record.value is not None
            ]
            log.records = kept + log.records[len(old) :]


def _answer(future: "asyncio.Future[int]", offset: int) -> None:
    if not future.done():
        future.set_result(offset)


def _fail(future: "asyncio.Future[int]") -> None:
    if not future.done():
        future.set_exception(ProduceError("request timed out"))


@dataclass
class Member:
    """A process in the group, as its coordinator knows it."""

    process: int
    rebalance: Callable[[], None]
    seen: float
    generation: int = -1
    joined: int = -1
    assigned: frozenset[int] = frozenset()


class Group:
    """Partitions are given to the members that joined; who is silent is left out."""

    SESSION = 6.0

    def __init__(self, loop: Scheduler, random: Random, partitions: int) -> None:
        self._loop = loop
        self._random = random
        self._partitions = partitions
        self._members: dict[int, Member] = {}
        self.generation = 0
        self._complete = True

    def join(self, process: int, rebalance: Callable[[], None]) -> None:
        """A new member; everyone is asked to join anew."""
        self._members[process] = Member(process, rebalance, self._loop.time())
        self._begin()

    def rejoin(self, process: int, rebalance: Callable[[], None]) -> None:
        """A member that was thrown out comes back, or is told of a rebalance that it missed."""
        member = self._members.get(process)
        if member is None:
            self.join(process, rebalance)
            return
        member.rebalance()

    def heartbeat(self, process: int) -> bool:
        """Whether the member is known, and of the generation at hand."""
        member = self._members.get(process)
        if member is None:
            return False
        member.seen = self._loop.time()
        return member.generation == self.generation or member.joined == self.generation

    def expire(self) -> None:
        """Throw out who was silent for too long. Called now and then."""
        now = self._loop.time()
        gone = [one for one, member in self._members.items() if now - member.seen > self.SESSION]
        for process in gone:
            del self._members[process]
        if gone:
            self._begin()
        self._try_to_complete()

    def leave(self, process: int) -> None:
        """A member ends cleanly."""
        if self._members.pop(process, None):
            self._begin()

    def joined(self, process: int, generation: int) -> None:
        """A member has let go of its partitions, and waits for new ones."""
        member = self._members.get(process)
        if member is not None and generation == self.generation:
            member.joined = generation
            member.seen = self._loop.time()
            self._try_to_complete()

    def assignment(self, process: int, generation: int) -> frozenset[int] | None:
        """The partitions of a member, once a generation is complete; None until then."""
        member = self._members.get(process)
        if member is None or generation != self.generation:
            return frozenset()
        return member.assigned if member.generation == generation else None

    def owns(self, process: int, generation: int, partition: int) -> bool | None:
        """What a commit would be answered: accepted, refused, or that it can't be told now."""
        member = self._members.get(process)
        if member is None or member.generation != generation:
            return False
        if not self._complete:
            return None
        return partition in member.assigned

    def _begin(self) -> None:
        self.generation += 1
        self._complete = False
        for member in self._members.values():
            self._loop.in_world(self._random.random(), member.rebalance)

    def _try_to_complete(self) -> None:
        members = list(self._members.values())
        if self._complete or not members:
            return
        if any(member.joined != self.generation for member in members):
            return
        self._complete = True
        self._random.shuffle(members)
        for place, member in enumerate(members):
            member.generation = self.generation
            member.assigned = frozenset(
                number for number in range(self._partitions) if number % len(members) == place
            )


async def read_all(log: Log, start: int, end: int) -> AsyncIterator[Record]:
    """The records of a range."""
    for record in log.read(start, end - start):
        if record.offset < end:
            yield record
