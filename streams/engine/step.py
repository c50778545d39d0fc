"""Steps of one stage, as DESIGN has them: outputs, then state, then on.

A step takes every record that is ready, over all partitions of the stage. Only one is
under way at a time; what arrives meanwhile is merged into the next.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from streams.engine.failpoints import OUTPUTS_ACKED, STATE_ACKED, Failpoints
from streams.engine.partition import Partition
from streams.engine.sender import Destination, Sender
from streams.engine.stage import Outputs, Raw, Stage, Work
from streams.errors import AnotherWriterError, OwnershipLostError

log = logging.getLogger(__name__)

TopicPartition = tuple[str, int]

MAX_PENDING_STEPS = 3
"""Steps' worth of records that may wait; past it the stage is not fetched for."""

MAX_STEP_WEIGHT = 8 * 1024 * 1024
"""Bytes of changed rows per partition at which a step is cut: well below a state batch."""


class Steps:
    """Runs the steps of one stage in one process."""

    def __init__(
        self,
        stage: Stage,
        sender: Sender,
        failpoints: Failpoints,
        *,
        prefix: str,
        writer: str,
        partitions: int,
        step_records: int,
        seek: Callable[[str, int, int], None],
        absorbed: Callable[[Mapping[TopicPartition, int]], None],
        fatal: Callable[[BaseException], None],
    ) -> None:
        self.stage = stage
        self._sender = sender
        self._failpoints = failpoints
        self._prefix = prefix
        self._writer = writer
        self._partitions = partitions
        self._step_records = step_records
        self._seek = seek
        self._absorbed = absorbed
        self._fatal = fatal
        self.owned: dict[int, Partition] = {}
        self._pending: dict[TopicPartition, deque[Raw]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._holes: dict[TopicPartition, tuple[int, int]] = {}
        self._count = 0
        self._generation = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def crowded(self) -> bool:
        """Whether enough records wait already."""
        return self._count >= MAX_PENDING_STEPS * self._step_records

    # -- ownership

    async def revoke(self, seconds: float) -> None:
        """Nothing more is submitted; what was submitted is awaited for `seconds`.

        Raises TimeoutError, which is fatal: an unfinished batch may land at any time.
        """
        self._generation += 1
        self._pending.clear()
        self._next.clear()
        self._count = 0
        self._wake.clear()
        async with asyncio.timeout(seconds):
            await self._idle.wait()
        for partition in self.owned.values():
            partition.undo()
            self.stage.closed(partition.number)
        self.owned = {}

    async def own(self, partitions: Iterable[Partition], topic: str) -> None:
        """Recovery is over: repair what a late writer left, and take the partitions."""
        generation = self._generation
        owned = {partition.number: partition for partition in partitions}
        for partition in owned.values():
            partition.recovered()
            batch = partition.repairs(self._writer, self._partitions)
            if batch:
                log.warning("%s/%s: %s rows repaired", topic, partition.number, len(batch) - 1)
                await self._append(topic, {partition.number: (partition, batch)}, generation)
                partition.repaired(batch)
        for partition in owned.values():
            self.stage.opened(partition)
        if generation == self._generation:
            self.owned = owned

    def start_at(self, topic: str, partition: int, offset: int) -> None:
        """The next record of an input is expected at `offset`."""
        self._next[topic, partition] = offset
        self._pending[topic, partition] = deque()

    # -- arrival

    def offer(self, runs: Mapping[TopicPartition, list[Raw]]) -> None:
        """Take fetched records. A run must begin where the last one ended, else seek back.

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
            self._pending[source].extend(records)
            self._count += len(records)
        if self._count:
            self._wake.set()

    def _take(self) -> list[tuple[TopicPartition, list[Raw]]]:
        ready = [(source, waiting) for source, waiting in self._pending.items() if waiting]
        share = max(1, self._step_records // max(1, len(ready)))
        taken = []
        for source, waiting in sorted(ready):
            number = min(share, len(waiting))
            taken.append((source, [waiting.popleft() for _ in range(number)]))
            self._count -= number
        return taken

    def _give_back(self, source: TopicPartition, records: list[Raw]) -> None:
        self._pending[source].extendleft(reversed(records))
        self._count += len(records)

    # -- the protocol

    async def run(self) -> None:
        """Step after step, until cancelled. Whatever goes wrong is fatal."""
        try:
            while True:
                await self._wake.wait()
                self._idle.clear()
                try:
                    await self._step()
                except OwnershipLostError:
                    log.info(
                        "%s: a step ends unfinished, its partitions are revoked", self.stage.name
                    )
                finally:
                    self._idle.set()
                if not self._count:
                    self._wake.clear()
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the process must not go on
            self._fatal(error)

    async def _step(self) -> None:
        generation = self._generation
        works, outputs = self._compute()
        if not works:
            return
        await self._sender.send_outputs(self._still_ours(outputs, generation))
        self._failpoints.reach(OUTPUTS_ACKED)
        topic = self._prefix + self.stage.state
        batches = {
            work.partition.number: (
                work.partition,
                work.partition.changes(self._writer, self._partitions),
            )
            for work in works
        }
        await self._append(topic, batches, generation)
        self._failpoints.reach(STATE_ACKED)
        absorbed: dict[TopicPartition, int] = {}
        for partition, batch in batches.values():
            partition.acknowledge(batch)
            for name, offset in partition.position.offsets.items():
                absorbed[name, partition.number] = offset
        self._absorbed(absorbed)

    def _still_ours(self, outputs: Outputs, generation: int) -> Outputs:
        if generation != self._generation:
            raise OwnershipLostError
        return outputs

    def _compute(self) -> tuple[list[Work], Outputs]:
        outputs: Outputs = {}
        works: dict[int, Work] = {}
        for source, records in self._take():
            topic, number = source
            partition = self.owned.get(number)
            if partition is None:
                continue
            work = works.get(number)
            if work is None:
                work = works[number] = Work(partition, outputs)
            work.turn_to(topic)
            done = self._absorb(work, topic, records)
            work.end()
            if done < len(records):
                self._give_back(source, records[done:])
        for work in works.values():
            self.stage.finish(work)
        return list(works.values()), outputs

    def _absorb(self, work: Work, topic: str, records: list[Raw]) -> int:
        partition, absorb = work.partition, self.stage.absorb
        offsets = partition.position.offsets
        absorbed = offsets.get(topic, -1)
        for place, record in enumerate(records):
            if partition.weight > MAX_STEP_WEIGHT:
                return place
            if record.offset <= absorbed:
                continue
            work.begin(record)
            try:
                whole = absorb(work, record)
            except Exception as error:
                error.add_note(f"at {topic}/{partition.number} offset {record.offset}")
                raise
            if not whole:
                return place
            offsets[topic] = record.offset
        return len(records)

    async def _append(
        self,
        topic: str,
        batches: dict[int, tuple[Partition, list[tuple[bytes, bytes]]]],
        generation: int,
    ) -> None:
        if generation != self._generation:
            raise OwnershipLostError
        states: dict[Destination, list[tuple[bytes, bytes]]] = {
            (topic, number): batch for number, (_, batch) in batches.items()
        }
        landed = await self._sender.send_state(states)
        for number, (partition, _) in batches.items():
            # Zombie repair belongs here: until it exists, any jump ends the process.
            if landed[topic, number] != partition.end:
                raise AnotherWriterError(topic, number, partition.end, landed[topic, number])
