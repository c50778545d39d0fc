"""How a log is fetched: at once where little comes, a few milliseconds later where much does.

A request costs broker and reader far more than a record. A reader that asks again after
every record takes a processor at a thousand records a second; one that rests for a few
milliseconds takes a fraction, and is later by less than that. To rest is cheaper than to have
the broker collect, which looks at a request that waits with everything that is appended; and
what comes after the rest is answered at once.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher as aiokafkas
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.record.memory_records import MemoryRecords

from runtime.batches import is_sound
from runtime.records import Fetch

PREFETCH_SECONDS: Final = 0.005
"""How soon a broker is asked again while some of what it sent is not taken.

By aiokafka's tenth of a second all other partitions are late beside one that has a backlog.
"""

REST_SECONDS: Final = 0.002
LONGEST_REST_SECONDS: Final = 0.010

WORKER_REST: Final = 0.5
"""Seconds of rest for each megabyte that the last answer brought, besides REST_SECONDS.

The more comes, the more waits after a rest, and the fewer requests there are: they are most of
what processors do, and whoever else is served is the later for them.
"""

FRONT_REST: Final = 0.15
"""The same for a front: an event is some 300 bytes to a worker, and its rows a thousand here."""

NOWHERE: Final = frozenset({None, -1})
"""The leaders of a partition that has none, as aiokafka tells them."""

Asked = dict[TopicPartition, tuple[Any, int]]
"""What is asked for: the state of each partition, and the offset from which on it is read."""

Led = dict[int | None, list[tuple[TopicPartition, Any]]]
"""The partitions that each broker leads, with their states."""

Brought = list[tuple[TopicPartition, Any, int, tuple[Any, ...], bytes, bool]]
"""Of each partition of an answer: itself, its state, from where on, what was told, the bytes of its
records, and whether these have the checksums that they should have."""


def pace(fetcher: Any, rest: float) -> None:
    """Have an aiokafka fetcher rest before it asks a broker again, unless it is behind.

    `rest` is in seconds for each megabyte, as WORKER_REST. The process must be prepared.
    """
    asking = Asking(fetcher, rest)
    fetcher._proc_fetch_request = asking.ask
    fetcher._notify = asking.notify
    fetcher.fetched_records = asking.fetched
    fetcher._prefetch_backoff = PREFETCH_SECONDS


class Asking:
    """Asks each broker, answer after answer, as long as all goes well.

    aiokafka begins anew after each answer: it looks at every partition twice, and has a task for
    every request. What does not go well, errors and partitions that have no position, is left to
    it, as is whatever it would do but ask.
    """

    def __init__(self, fetcher: Any, rest: float) -> None:
        self._fetcher = fetcher
        self._rest = rest
        self._as_aiokafka = fetcher._proc_fetch_request
        self._fetched = fetcher.fetched_records
        self._notify = fetcher._notify
        self._brought: dict[int, int] = {}
        self._asked: set[int] = set()
        self._assignment: Any = None
        self._led: Led = {}
        """What it was when the assignment or the metadata last changed."""
        self._lost: set[int] = set()
        """Brokers of partitions that have no position."""
        fetcher._client.cluster.add_listener(self._forget_leaders)

    def notify(self, future: Any) -> None:
        """Wake whoever awaits `future`, but for the fetcher while every broker is asked anyway."""
        is_of_fetcher = future is self._fetcher._wait_consume_future
        if is_of_fetcher and self._led.keys() <= self._asked and not self._is_lacking():
            return
        self._notify(future)

    async def fetched(
        self,
        partitions: Collection[TopicPartition],
        timeout: float = 0,  # noqa: ASYNC109 - aiokafka's
        max_records: int | None = None,
    ) -> dict[TopicPartition, Fetch]:
        """What was fetched of `partitions`, of all where none are given; waits `timeout` seconds.

        As aiokafka's `fetched_records`, which looks at all twice where it has to wait, and may wait
        on after an answer that brought none of them: here that is for who calls.
        """
        found: dict[TopicPartition, Fetch] = {}
        if self._fetcher._records:
            found = await self._fetched(partitions, 0, max_records)
        if not found and timeout > 0:
            await self._answered(timeout)
            found = await self._fetched(partitions, 0, max_records)
        return found

    async def _answered(self, seconds: float) -> None:
        """Wait until an answer brought something, for so long at most."""
        waiter = self._fetcher._create_fetch_waiter()
        timer = asyncio.get_running_loop().call_later(seconds, self._notify, waiter)
        try:
            await waiter
        finally:
            timer.cancel()

    async def ask(self, assignment: Any, node: int, _: Any) -> bool:
        """Ask a broker again and again; whether records wait to be taken, where that ends.

        aiokafka's request, the last argument, is of before the rest.
        """
        self._look_again_afterwards()
        self._asked.add(node)
        try:
            while True:
                topics, asked = await self._rested(assignment, node)
                # A broker that is to find a position is asked for that alone.
                if not topics or node in self._lost:
                    return False
                request = self._request(topics, node)
                answer = await self._answer(node, request)
                if not assignment.active:
                    return False
                brought = _brought(answer, asked)
                if brought is None:
                    found: bool = await self._as_aiokafka(assignment, node, request)
                    return found
                self._brought[node] = self._keep(assignment, brought)
                if self._is_lacking():
                    return True
        except asyncio.CancelledError:
            # As aiokafka's own: who closes a fetcher cancels this and awaits what it returns.
            return False
        finally:
            self._asked.discard(node)

    async def _rested(self, assignment: Any, node: int) -> tuple[dict[str, list[Any]], Asked]:
        """What to ask for, after the rest.

        Who has not read to the end of it does not rest. Records that waited to be taken before may
        be taken after it. Partitions of which they still wait are left out.
        """
        if self._is_behind(assignment, node):
            # None is first for ever: an answer has an end, and it is not always reached.
            random.shuffle(self._led_by(assignment, node))
        else:
            await asyncio.sleep(self._seconds(node))
        return self._open_to(assignment, node)

    def _seconds(self, node: int) -> float:
        more = self._rest * self._brought.get(node, 0) / 1_000_000
        return min(REST_SECONDS + more, LONGEST_REST_SECONDS)

    def _is_behind(self, assignment: Any, node: int) -> bool:
        """Whether something that can be asked for is not read to its end, as far as is known."""
        waiting = self._fetcher._records
        for tp, state in self._led_by(assignment, node):
            if state._position is None or state._paused or tp in waiting:
                continue
            if state.highwater is None or state._position < state.highwater:
                return True
        return False

    def _open_to(self, assignment: Any, node: int) -> tuple[dict[str, list[Any]], Asked]:
        """What can be asked of a broker now: partitions with their offsets, by topic."""
        waiting, size = self._fetcher._records, self._fetcher._max_partition_fetch_bytes
        asked: Asked = {}
        by_topic: defaultdict[str, list[Any]] = defaultdict(list)
        self._lost.discard(node)
        for tp, state in self._led_by(assignment, node):
            offset = state._position
            if offset is None:
                self._lost.add(node)
            elif not (state._paused or tp in waiting):
                asked[tp] = state, offset
                by_topic[tp.topic].append((tp.partition, offset, size))
        return by_topic, asked

    def _led_by(self, assignment: Any, node: int) -> list[tuple[TopicPartition, Any]]:
        if not assignment.active:
            return []
        if assignment is not self._assignment:
            self._assignment, self._led = assignment, {}
            self._lost.clear()
            leader_of = self._fetcher._client.cluster.leader_for_partition
            for tp in assignment.tps:
                led = self._led.setdefault(leader_of(tp), [])
                led.append((tp, assignment.state_value(tp)))
        return self._led.get(node, [])

    def _forget_leaders(self, _: Any) -> None:
        self._assignment = None

    def _is_lacking(self) -> bool:
        """Whether aiokafka has to find the broker of a partition, or its position."""
        return bool(self._lost) or not NOWHERE.isdisjoint(self._led)

    def _request(self, topics: dict[str, list[Any]], node: int) -> FetchRequest:
        fetcher = self._fetcher
        wait: int = fetcher._fetch_max_wait_ms
        if fetcher._records:
            # What is left out now would be until the answer is there: that is to be soon.
            wait = min(wait, round(self._seconds(node) * 1_000))
        return FetchRequest(
            wait,
            fetcher._fetch_min_bytes,
            fetcher._fetch_max_bytes,
            fetcher._isolation_level,
            list(topics.items()),
        )

    async def _answer(self, node: int, request: FetchRequest) -> Any:
        try:
            return await self._fetcher._client.send(node, request)
        except KafkaError:
            return None

    def _keep(self, assignment: Any, brought: Brought) -> int:
        """Have records taken, by whoever waits for some; how many bytes they are."""
        fetcher, now, size = self._fetcher, int(time.time() * 1_000), 0
        for tp, state, offset, (end, stable, aborted), value, sound in brought:
            if not state.has_valid_position or state.position != offset:
                continue
            state.highwater, state.lso, state.timestamp = end, stable, now
            if value:
                size += len(value)
                found = aiokafkas.PartitionRecords(
                    *(tp, MemoryRecords(value), aborted, offset, None, None),
                    # What is not sound is for aiokafka to refuse.
                    *(fetcher._check_crcs and not sound, fetcher._isolation_level),
                )
                if sound:
                    found.find_at_once(value)
                fetcher._records[tp] = aiokafkas.FetchResult(
                    tp, partition_records=found, assignment=assignment, backoff=PREFETCH_SECONDS
                )
        if size:
            for waiter in fetcher._fetch_waiters:
                self._notify(waiter)
        return size

    def _look_again_afterwards(self) -> None:
        """Have aiokafka look at what to ask for once more when this task has ended.

        It takes a request for one on its way until a callback of the task says otherwise. Where
        something else has woken it just before that callback, it finds nothing to ask, and nothing
        to wait for but a timeout of a fifth of a second.
        """
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda _: self._notify(self._fetcher._wait_consume_future))


def _brought(answer: Any, asked: Asked) -> Brought | None:
    """What an answer brought; None where it is not one of records and ends alone."""
    if type(answer) is not FetchResponse_v11:
        return None
    brought: Brought = []
    for topic, partitions in answer.topics:
        for number, code, end, stable, _, aborted, _, value in partitions:
            if code:
                return None
            tp = TopicPartition(topic, number)
            if value and not MemoryRecords(value).has_next():
                return None
            state, offset = asked[tp]
            sound = bool(value) and is_sound(value)
            brought.append((tp, state, offset, (end, stable, aborted), value or b"", sound))
    return brought
