"""The engine of one process: the steps of its stages, who owns what, and how it dies."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from faust.types import TP

from runtime import memory
from streams.engine.failpoints import Failpoints
from streams.engine.ownership import GroupOwnership, Ownership
from streams.engine.partition import Partition
from streams.engine.position import UNFINISHED
from streams.engine.pressure import Pressure
from streams.engine.sender import Appender, Sender
from streams.engine.snapshots import Snapshots
from streams.engine.stage import Stage
from streams.engine.step import Steps, TopicPartition
from streams.engine.transport import Consumer
from streams.errors import (
    DamagedStateError,
    LostLogError,
    LostStateError,
    MigrationError,
    PartitionMismatchError,
)
from streams.settings import Settings

log = logging.getLogger(__name__)

FATAL_EXIT = 70
MEGABYTE = 1_000_000
REVOKE_SECONDS = 5.0


class Engine:
    """Holds the steps of every stage, and answers what the transport asks."""

    def __init__(
        self,
        settings: Settings,
        consumer: Callable[[], Any],
        *,
        appender: Callable[[str], Appender] | None = None,
        ownership: Ownership | None = None,
        snapshots: Snapshots | None = None,
        end: Callable[[int], None] = os._exit,
        now: Callable[[], float] = time.time,
        writer: str = "",
    ) -> None:
        """`consumer` is Faust's, once there is one; the rest is given by simulations."""
        self._settings = settings
        self._consumer = consumer
        self._new_appender = appender or self._new_sender
        self._ownership = ownership or GroupOwnership(settings.kafka, consumer)
        self._snapshots = snapshots
        if settings.snapshots:
            growth = int(settings.snapshot_mb * MEGABYTE)
            self._snapshots = Snapshots(Path(settings.snapshots), growth, self._ownership)
        self._end = end
        self._now = now
        self._failpoints = Failpoints(settings.failpoint)
        self._writer = writer or f"{socket.gethostname()}:{os.getpid()}"
        self._trust_positions = settings.unsafe_without != "positions"
        self._absorbed: dict[TopicPartition, int] = {}
        self.fetch_wait_ms = settings.fetch_wait_ms
        self.stage_of: dict[str, str] = {}
        self.steps: list[Steps] = []
        self._senders: list[Appender] = []
        self._running: list[asyncio.Task[None]] = []

    def add(
        self, stage: Stage, minds: Pressure | None = None, tells: Pressure | None = None
    ) -> Steps:
        """Take in a stage, which minds the pressure on another, or tells that on itself."""
        settings = self._settings
        sender = self._new_appender(stage.name)
        steps = Steps(
            stage,
            sender,
            self._ownership,
            self._failpoints,
            prefix=settings.prefix,
            writer=self._writer,
            partitions=settings.partitions,
            step_records=settings.step_records,
            save_seconds=settings.save_ms / 1000,
            seek=self._seek_back,
            absorbed=self._note_absorbed,
            fatal=self.fatal,
            now_ms=lambda: int(self._now() * 1000),
            lag_ms=int(settings.compaction_lag_hours * 3_600_000),
            snapshots=self._snapshots,
            minds=minds,
            tells=tells,
            end_of=self._end_of,
        )
        self.steps.append(steps)
        self._senders.append(sender)
        self.stage_of.update((settings.topic(name), stage.name) for name in stage.inputs)
        return steps

    def _new_sender(self, name: str) -> Sender:
        settings = self._settings
        return Sender(settings.kafka, f"onhand-{name}", self._failpoints, settings.compression)

    async def start(self) -> None:
        """Connect the senders, and let the steps run."""
        for sender in self._senders:
            await sender.start()
        self._running = [asyncio.create_task(steps.run()) for steps in self.steps]

    async def stop(self) -> None:
        """Let every step end, and disconnect."""
        for steps in self.steps:
            await steps.revoke(REVOKE_SECONDS)
        for task in self._running:
            task.cancel()
        for sender in self._senders:
            await sender.stop()

    def fatal(self, error: BaseException) -> None:
        """End the process at once, as a crash would: the logs hold all that counts."""
        log.critical("fatal: %s", error, exc_info=error)
        logging.shutdown()
        self._end(FATAL_EXIT)

    # -- what the transport asks

    def crowded(self) -> frozenset[TopicPartition]:
        """Inputs that have enough records waiting."""
        return frozenset(
            (self._settings.topic(name), number)
            for steps in self.steps
            for name, number in steps.crowded()
        )

    def absorbed(self) -> dict[TopicPartition, int]:
        """Offsets absorbed since partitions last changed hands."""
        return dict(self._absorbed)

    async def resume(self, consumer: Consumer, assignment: set[TP]) -> dict[TP, int]:
        """Where to read on: after what each stage's positions have absorbed.

        Ends the process where a log no longer holds, or does not hold yet, that place, or where
        no state tells it though the group has absorbed records that are gone.
        """
        inputs = {tp for tp in assignment if tp.topic in self.stage_of}
        if not inputs:
            return {}
        try:
            return await self._resume(consumer, inputs)
        except (LostLogError, LostStateError) as error:
            self.fatal(error)
            raise

    async def _resume(self, consumer: Consumer, inputs: set[TP]) -> dict[TP, int]:
        starts = await consumer.earliest_offsets(*inputs)
        ends = await consumer.highwaters(*inputs)
        points: dict[TP, int] = {}
        for tp in inputs:
            steps, name = self._of_topic(tp.topic)
            partition = steps.owned.get(tp.partition)
            if partition is None:
                continue
            resume = partition.position.resume_at(name)
            if not self._trust_positions:
                resume = await consumer.committed(tp)
            if resume is None:
                resume = starts[tp]
                committed = await consumer.committed(tp) if resume > 0 else None
                if committed is not None:
                    raise LostStateError(tp.topic, tp.partition, resume, committed)
            elif not starts[tp] <= resume <= ends[tp]:
                raise LostLogError(tp.topic, tp.partition, starts[tp], ends[tp], resume)
            else:
                # A crash may have come between the state and the commit of its offsets.
                self._absorbed[tp.topic, tp.partition] = resume - 1
            points[tp] = resume
            steps.start_at(name, tp.partition, resume)
        return points

    def _of_topic(self, topic: str) -> tuple[Steps, str]:
        name = topic.removeprefix(self._settings.prefix)
        return next(steps for steps in self.steps if name in steps.stage.inputs), name

    # -- what Faust tells

    async def restore(self, steps: Steps, number: int) -> Partition | None:
        """What was kept of a partition that is ours from now on."""
        if self._snapshots is None:
            return None
        return await self._snapshots.restore(self._settings.topic(steps.stage.state), number)

    async def partitions_revoked(self) -> None:
        """Partitions are being taken away: all steps end first."""
        try:
            for steps in self.steps:
                await steps.revoke(REVOKE_SECONDS)
        except TimeoutError as error:
            self.fatal(error)
        self._absorbed.clear()

    async def partitions_recovered(self, steps: Steps, partitions: list[Partition]) -> None:
        """A stage's rows are complete."""
        want = self._settings.partitions
        for partition in partitions:
            if not self._trust_positions:
                partition.forget_position()
            have = partition.position.partitions
            if have == UNFINISHED:
                raise MigrationError(f"{steps.stage.state} was not moved whole: migrate anew")
            if have not in (0, want):
                state = self._settings.topic(steps.stage.state)
                raise PartitionMismatchError(f"the state kept in {state}", have, want)
            self._must_be_whole(steps.stage.state, partition)
        await steps.own(partitions)
        memory.give_back()

    def _must_be_whole(self, state: str, partition: Partition) -> None:
        """Raise DamagedStateError where compaction may have taken what a late write covers."""
        if partition.to_repair and partition.late_at is not None:
            hours = (self._now() - partition.late_at / 1000) / 3600
            if hours > self._settings.compaction_lag_hours:
                raise DamagedStateError(self._settings.topic(state), partition.number, hours)

    def _note_absorbed(self, offsets: Mapping[TopicPartition, int]) -> None:
        for (name, partition), offset in offsets.items():
            self._absorbed[self._settings.topic(name), partition] = offset

    def _end_of(self, name: str, partition: int) -> int:
        end: int = self._consumer().end_of(TP(self._settings.topic(name), partition))
        return end

    def _seek_back(self, name: str, partition: int, offset: int) -> None:
        topic = self._settings.topic(name)
        log.warning(
            "%s/%s: records are missing before this run; back to %s", topic, partition, offset
        )
        asyncio.get_running_loop().call_soon(self._consumer().go_to, TP(topic, partition), offset)
