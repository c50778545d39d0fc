"""Steps of one stage: outputs, then state, then on.

A step takes every record that is ready, over all partitions of the stage. Its outputs are
sent once those of the step before are acknowledged, together with that step's state; what
arrives meanwhile is absorbed into the next. Nobody waits for the state while more waits than a
step takes, and for that of some stages never: then that of several steps is saved at once. Where
another process has written to a state log (one that was paused and woke), the partition is
repaired before the next step.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping

from runtime.records import Fetch
from streams.engine.failpoints import OUTPUTS_ACKED, STATE_ACKED, STATE_NEXT, Failpoints
from streams.engine.ownership import Ownership
from streams.engine.partition import Batch, Partition
from streams.engine.pressure import LATELY_SECONDS, LONGEST_REST_SECONDS, Pressure
from streams.engine.sender import Appender, Destination
from streams.engine.snapshots import Snapshots
from streams.engine.stage import MAX_STEP_WEIGHT, Outputs, Stage, Work, absorb
from streams.engine.waiting import Waiting
from streams.errors import LostLogError, OwnershipLostError

log = logging.getLogger(__name__)

TopicPartition = tuple[str, int]

Batches = list[tuple[Partition, Batch]]
"""A step's state, by partition."""

MAX_PENDING_BYTES = 4 * 1024 * 1024
"""What may wait of one input partition; past it that one is not fetched, and others are."""

SLICE_BYTES = 64 * 1024
SLICE_SECONDS = 0.002
"""What is taken at once, over all inputs, and how long a stage absorbs before others do."""

BACKLOG_SLICES = 4
"""An input of which so much is left is a backlog; less comes and goes at any busy hour."""

LONGEST_SECONDS = 0.05
"""How long a step absorbs at most: outputs are sent while they are in the processor's caches."""

SHARED_SECONDS = 0.025
"""How long a step absorbs at most that takes from a backlog and from what is up to date."""

FEEDING_SECONDS = 0.006
"""The same of a stage that feeds another, whose work takes the next one several times as long."""

ROUND_TRIPS = 3
"""So many times as long as its last step was on its way, a stage rests that feeds a backlog beside
what is fresh: how long that was tells how busy all are, broker and readers too."""

SAVE_WEIGHT = MAX_STEP_WEIGHT * 3 // 4
"""Bytes of changed rows at which a partition's state is saved, whatever else waits."""

SAVE_ALL_WEIGHT = 3 * MAX_STEP_WEIGHT
"""The same of all partitions: their batches may go in one request, which has an end."""

ABSORB_AGAIN_SECONDS = 0.02
"""The pause before a record is looked at again that waits for something else."""

LOOK_SECONDS = 1.0
"""How often an idle stage looks at the ends of its state logs; a busy one sees by its acks."""

COMPANY_SECONDS = 0.02
"""How long a state that nobody waits for is kept, so as to need no request of its own."""

ASK_AGAIN_SECONDS = 0.1
"""The pause before the group is asked again who owns a partition."""


class Step:
    """A step that is being absorbed: its works by partition, their outputs, its records."""

    def __init__(self) -> None:
        self.works: dict[int, Work] = {}
        self.outputs: Outputs = {}
        self.size = 0
        self.bytes = 0
        self.spent = 0.0
        self.is_shared = False
        self.is_cut = False


class Steps:
    """Runs the steps of one stage in one process."""

    def __init__(
        self,
        stage: Stage,
        sender: Appender,
        ownership: Ownership,
        failpoints: Failpoints,
        *,
        prefix: str,
        writer: str,
        partitions: int,
        step_records: int,
        save_seconds: float,
        seek: Callable[[str, int, int], None],
        absorbed: Callable[[Mapping[TopicPartition, int]], None],
        fatal: Callable[[BaseException], None],
        now_ms: Callable[[], int],
        lag_ms: int,
        snapshots: Snapshots | None = None,
        minds: Pressure | None = None,
        tells: Pressure | None = None,
        end_of: Callable[[str, int], int] = lambda name, partition: 0,
    ) -> None:
        """`save_seconds`: so old may a state be that is not saved, where nobody waits for it.

        `lag_ms`: for so long a late write may bring back what was deleted.

        `minds` is the pressure on the stage that this one feeds, `tells` the one on this.
        `end_of` is the end of an input's partition, as far as it is known.
        """
        self.stage = stage
        self._sender = sender
        self._ownership = ownership
        self._failpoints = failpoints
        self._snapshots = snapshots
        self._minds = minds
        self._tells = tells
        self._end_of = end_of
        self._prefix = prefix
        self._topic = prefix + stage.state
        self._writer = writer
        self._partitions = partitions
        self._step_records = step_records
        self._save_seconds = save_seconds
        self._seek = seek
        self._absorbed = absorbed
        self._fatal = fatal
        self._now_ms = now_ms
        self._lag_ms = lag_ms
        self.owned: dict[int, Partition] = {}
        self._pending: dict[TopicPartition, Waiting] = {}
        self._next: dict[TopicPartition, int] = {}
        self._starts: dict[TopicPartition, int] = {}
        self._holes: dict[TopicPartition, tuple[int, int]] = {}
        self._count = 0
        self._behind: set[TopicPartition] = set()
        """Inputs that had a backlog, and were not read to their end since."""
        self._fresh_at = -LATELY_SECONDS
        self._generation = 0
        self._wake = asyncio.Event()
        self._step = Step()
        self._flight: asyncio.Task[None] | None = None
        self._owed: Batches = []
        self._unsaved: dict[int, float] = {}
        """Partitions of which steps were sent without their state, and since when."""
        self._cut_at = 0.0
        self._round_trip = 0.0
        self._makes_way = False
        self._more_waits = False
        self._waits = False

    def crowded(self) -> list[TopicPartition]:
        """Inputs of which enough records wait already."""
        return [one for one, waiting in self._pending.items() if waiting.bytes >= MAX_PENDING_BYTES]

    # -- ownership

    async def revoke(self, seconds: float) -> None:
        """Nothing more is submitted; what was submitted is awaited for `seconds`.

        Raises TimeoutError, which is fatal: an unfinished batch may land at any time.
        """
        self._generation += 1
        self._forget_pending()
        if self._flight is not None:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._flight)
        for partition in self.owned.values():
            self._forget_step(partition)
        self.owned = {}

    async def own(self, partitions: Iterable[Partition]) -> None:
        """Recovery is over: repair what a late writer left, and take the partitions.

        Where another process appended meanwhile, recovery may end in the middle of its batch.
        """
        generation = self._generation
        owned = {partition.number: partition for partition in partitions}
        for partition in owned.values():
            try:
                if partition.is_whole:
                    partition.recovered()
                else:
                    await self._reread(partition, generation)
                await self._append_repairs(partition, generation)
            except OwnershipLostError:
                return
        for partition in owned.values():
            self.stage.opened(partition)
        self.owned = owned
        self._keep(owned.values())

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._next.clear()
        self._count = 0
        self._behind.clear()
        self._step = Step()
        self._owed = []
        self._unsaved = {}

    def _forget_step(self, partition: Partition) -> None:
        partition.undo()
        self.stage.closed(partition.number)

    def start_at(self, topic: str, partition: int, offset: int) -> None:
        """The next record of an input is expected at `offset`."""
        self._next[topic, partition] = self._starts[topic, partition] = offset
        self._holes.pop((topic, partition), None)
        self._pending[topic, partition] = Waiting()

    # -- arrival

    def offer(self, runs: Mapping[TopicPartition, Fetch]) -> None:
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
            self._enqueue(source, records)
        if self._count:
            self._wake.set()

    def _enqueue(self, source: TopicPartition, records: Fetch) -> None:
        self._pending[source].add(records)
        self._count += len(records)

    # -- the protocol

    async def run(self) -> None:
        """Step after step, until cancelled. Whatever goes wrong is fatal."""
        time = asyncio.get_running_loop().time
        try:
            while True:
                if not (self._has_work() or self._is_on_its_way()):
                    await self._idle()
                    self._cut_at = time()
                if self._makes_way:
                    await asyncio.sleep(min(ROUND_TRIPS * self._round_trip, LONGEST_REST_SECONDS))
                await self._fill()
                if self.stage.state_may_wait and self._is_state_alone():
                    await self._wait_for_company()
                    await self._fill()
                self._tell_pressure(time())
                if self._step.works or self._owed or self._unsaved:
                    self._flight = asyncio.create_task(self._submit(*self._cut()))
                    self._flight.add_done_callback(lambda _: self._wake.set())
                if self._waits:
                    self._waits = False
                    await asyncio.sleep(ABSORB_AGAIN_SECONDS)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the process must not go on
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """The process must not go on without this task, unless it was asked to end."""
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
            raise error
        self._fatal(error)

    def _has_work(self) -> bool:
        return bool(self._count or self._owed or self._unsaved)

    def _is_state_alone(self) -> bool:
        return not self._step.works and bool(self._owed or self._unsaved)

    def _is_on_its_way(self) -> bool:
        return self._flight is not None and not self._flight.done()

    async def _fill(self) -> None:
        """Absorb what is ready, and what comes while the step before is on its way.

        A slice at a time, until that one is acknowledged, and this one is full, or shared, or
        nothing is left to add.
        """
        time = asyncio.get_running_loop().time
        while True:
            while self._has_room():
                begun = time()
                while self._has_room() and (now := time()) < begun + SLICE_SECONDS:
                    self._absorb_slice(now)
                ended = time()
                self._step.spent += ended - begun
                # The senders, the fetcher and the other stages have their turn.
                await asyncio.sleep(self._minds.rest(ended) if self._minds is not None else 0)
            self._more_waits = self._count > 0
            if not self._is_on_its_way():
                return
            self._wake.clear()
            await self._wake.wait()

    def _has_room(self) -> bool:
        step = self._step
        if step.is_shared and step.works and not self._is_on_its_way():
            return False
        longest = LONGEST_SECONDS
        if step.is_shared:
            longest = SHARED_SECONDS if self._minds is None else FEEDING_SECONDS
        is_full = step.is_cut or step.size >= self._step_records or step.spent >= longest
        return self._count > 0 and not is_full

    def _tell_pressure(self, now: float) -> None:
        if self._tells is None:
            return
        waiting, taken = 0, self._step.bytes
        if taken:
            unread = sum(map(self._unread, self._next)) * taken // max(1, self._step.size)
            waiting = unread + sum(one.bytes for one in self._pending.values())
        self._tells.tell(waiting, taken, now - self._cut_at)
        self._cut_at = now

    def _unread(self, source: TopicPartition) -> int:
        """Records that are still in an input's log, as far as it is known."""
        return max(0, self._end_of(*source) - self._next[source])

    async def _idle(self) -> None:
        """Wait for records; meanwhile look whether the state logs are where they were left."""
        self._wake.clear()
        if self._tells is not None:
            self._tells.tell(0, 0, 0)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            self._flight = asyncio.create_task(self._look(self._generation))
            await self._flight

    async def _wait_for_company(self) -> None:
        """Where nobody waits for a state, it may go with the outputs of what comes next."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COMPANY_SECONDS):
                await self._wake.wait()

    def _absorb_slice(self, now: float) -> None:
        step = self._step
        for source, records in self._take(now):
            topic, number = source
            partition = self.owned.get(number)
            if partition is None:
                continue
            work = step.works.get(number)
            if work is None:
                work = step.works[number] = Work(partition, step.outputs)
            work.turn_to(topic)
            cursor = partition.position.cursor
            before = cursor.get(topic)
            done = absorb(self.stage, work, records)
            work.end()
            step.size += done
            if done < len(records):
                step.is_cut = True
                self._waits = self._waits or (not done and cursor.get(topic) == before is not None)
                self._give_back(source, records[done:])

    def _take(self, now: float) -> list[tuple[TopicPartition, Fetch]]:
        """A slice: about as many bytes of each input that has any, at least a record."""
        ready = sorted(source for source, waiting in self._pending.items() if waiting.count)
        share = SLICE_BYTES // max(1, len(ready))
        taken = []
        for source in ready:
            waiting = self._pending[source]
            before = waiting.bytes
            records = waiting.take(share)
            taken.append((source, records))
            self._step.bytes += before - waiting.bytes
            self._count -= len(records)
        self._note_freshness(now, ready)
        return taken

    def _note_freshness(self, now: float, ready: list[TopicPartition]) -> None:
        """Where somebody waits beside a backlog, or may at any time, the step is not to be long.

        An input is fresh if it was read to its end and had not fallen behind: the last of a
        backlog is as old as the rest. What a stage is fed with is so old as its feeder tells.
        """
        pending, backlog = self._pending, BACKLOG_SLICES * SLICE_BYTES
        behind = {one for one in ready if pending[one].bytes >= backlog}
        drained = {one for one in ready if not (pending[one].count or self._unread(one))}
        if drained - self._behind:
            self._fresh_at = now
            if self._minds is not None:
                self._minds.tell_fresh(now)
        self._behind = (self._behind | behind) - drained
        if behind:
            fed = self._tells
            is_fresh = now < self._fresh_at + LATELY_SECONDS if fed is None else fed.is_fresh(now)
            self._step.is_shared = self._step.is_shared or is_fresh

    def _give_back(self, source: TopicPartition, records: Fetch) -> None:
        self._pending[source].give_back(records)
        self._count += len(records)

    def _cut(self) -> tuple[Outputs, Batches, int]:
        """Close the step: its outputs, and a state batch for each partition that is due."""
        step, self._step = self._step, Step()
        self._makes_way = step.is_shared and self._minds is not None
        now = asyncio.get_running_loop().time()
        for number, work in step.works.items():
            self.stage.finish(work)
            self._unsaved.setdefault(number, now)
        weight = sum(self.owned[number].weight for number in self._unsaved)
        due = self._due(now, all_are=self._nothing_is_to_come(step) or weight > SAVE_ALL_WEIGHT)
        at = self._now_ms()
        horizon = at - self._lag_ms
        batches = [
            (one, one.cut(self._writer, self._partitions, at, horizon))
            for one in map(self.owned.__getitem__, due)
        ]
        return step.outputs, batches, self._generation

    def _nothing_is_to_come(self, step: Step) -> bool:
        """Whether no later step is worth waiting for, to save the state of both at once."""
        if self.stage.state_may_wait:
            return not step.works
        return step.is_shared or not self._more_waits

    def _due(self, now: float, *, all_are: bool) -> list[int]:
        """Partitions whose state is to be saved now."""
        long_ago = now - self._save_seconds
        due = [
            number
            for number, since in self._unsaved.items()
            if all_are or since <= long_ago or self._is_heavy(self.owned[number])
        ]
        for number in due:
            del self._unsaved[number]
        return due

    def _is_heavy(self, partition: Partition) -> bool:
        return partition.is_full or partition.weight > SAVE_WEIGHT

    async def _submit(self, outputs: Outputs, batches: Batches, generation: int) -> None:
        """Send a step's outputs, and the state of the step before, whose outputs stand.

        Both acknowledged, the step's own state is owed.
        """
        owed, self._owed = self._owed, []
        try:
            self._must_own(generation)
            if owed:
                self._failpoints.reach(STATE_NEXT)
            begun = asyncio.get_running_loop().time()
            landed = await self._send(outputs, owed)
            self._round_trip = asyncio.get_running_loop().time() - begun
            if batches:
                self._failpoints.reach(OUTPUTS_ACKED)
            jumped = self._acknowledge(owed, landed)
            if jumped:
                await self._repair(jumped, generation)
            if owed:
                self._failpoints.reach(STATE_ACKED)
            self._tell_absorbed(partition for partition, _ in owed)
            self._keep(partition for partition, _ in owed)
            self._must_own(generation)
            if not jumped:
                self._owed = batches
        except OwnershipLostError:
            log.info("%s: a step ends unfinished, its partitions are revoked", self.stage.name)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is
            self._fail(error)

    async def _send(self, outputs: Outputs, owed: Batches) -> dict[Destination, int]:
        """Where the state landed."""
        states = {(self._topic, partition.number): batch.records for partition, batch in owed}
        if not outputs:
            return await self._sender.send_state(states)
        if not states:
            await self._sender.send_outputs(outputs)
            return {}
        sending = self._sender.send_outputs(outputs), self._sender.send_state(states)
        _, landed = await asyncio.gather(*sending)
        return landed

    def _acknowledge(self, owed: Batches, landed: Mapping[Destination, int]) -> list[Partition]:
        """Take the acks of a step's state; returns the partitions whose logs have grown."""
        jumped = []
        for partition, batch in owed:
            if landed[self._topic, partition.number] == partition.end:
                partition.acknowledge(batch)
            else:
                jumped.append(partition)
        return jumped

    def _tell_absorbed(self, partitions: Iterable[Partition]) -> None:
        self._absorbed(
            {
                (name, partition.number): offset
                for partition in partitions
                for name, offset in partition.acked_offsets.items()
            }
        )

    def _keep(self, partitions: Iterable[Partition]) -> None:
        if self._snapshots is not None:
            for partition in partitions:
                self._snapshots.offer(self._topic, partition)

    # -- another writer

    async def _look(self, generation: int) -> None:
        """See whether a log of ours has grown without us."""
        try:
            owned = list(self.owned.values())
            if not owned:
                return
            ends = await self._ownership.ends(self._topic, [one.number for one in owned])
            self._must_own(generation)
            jumped = [one for one in owned if ends[one.number] != one.end]
            if jumped:
                await self._repair(jumped, generation)
        except OwnershipLostError:
            pass
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is
            self._fail(error)

    async def _repair(self, jumped: list[Partition], generation: int) -> None:
        """Someone else wrote to state logs of ours. If we own them still, make them right.

        Whatever was computed meanwhile is forgotten, and the stage's inputs are read again
        from where the state now stands.
        """
        self._must_own(generation)
        self._forget_pending()
        for partition in self.owned.values():
            self._forget_step(partition)
        for partition in jumped:
            log.warning("%s/%s: another process wrote to it", self._topic, partition.number)
            if await self._is_ours(partition, generation):
                await self._reread(partition, generation)
                await self._append_repairs(partition, generation)
            else:
                log.warning("%s/%s: it is no longer ours", self._topic, partition.number)
                del self.owned[partition.number]
        for partition in self.owned.values():
            self.stage.opened(partition)
            for name in self.stage.inputs:
                self._start_again(name, partition)

    async def _is_ours(self, partition: Partition, generation: int) -> bool:
        name = self.stage.inputs[0]
        while True:
            offset = partition.position.resume_at(name) or 0
            answer = await self._ownership.is_ours(self._prefix + name, partition.number, offset)
            self._must_own(generation)
            if answer is not None:
                return answer
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _reread(self, partition: Partition, generation: int) -> None:
        """Take in what stands in the log behind what we know of."""
        number, start = partition.number, partition.end
        end = (await self._ownership.ends(self._topic, [number]))[number]
        if end < start:
            raise LostLogError(self._topic, number, 0, end, start)
        async for run in self._ownership.read(self._topic, number, start, end):
            self._must_own(generation)
            partition.load(run)
            await asyncio.sleep(0)
        self._must_own(generation)
        partition.end = end
        partition.recovered()

    async def _append_repairs(self, partition: Partition, generation: int) -> None:
        """Append again what a late writer has overwritten, until the log stays as we left it."""
        while True:
            batch = partition.repairs(self._writer, self._partitions, self._now_ms())
            if batch is None:
                return
            number = partition.number
            log.warning("%s/%s: %s rows repaired", self._topic, number, len(batch.rows))
            self._must_own(generation)
            landed = await self._sender.send_state({(self._topic, number): batch.records})
            if landed[self._topic, number] == partition.end:
                partition.acknowledge(batch)
                return
            partition.undo()
            await self._reread(partition, generation)

    def _start_again(self, name: str, partition: Partition) -> None:
        source = name, partition.number
        start = self._starts.get(source)
        if start is None:
            return
        resume = partition.position.resume_at(name)
        self.start_at(*source, start if resume is None else resume)
        self._seek(*source, self._next[source])

    def _must_own(self, generation: int) -> None:
        if generation != self._generation:
            raise OwnershipLostError
