"""Faust's Kafka transport, changed where it costs a task per record or knows offsets only.

Each fetched run is one message; steps, not Faust's acks, say what is absorbed; after
recovery every input is sought to the position that the state holds.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from aiokafka import TopicPartition
from faust.transport import drivers
from faust.transport.drivers import aiokafka as kafka
from faust.types import TP, ConsumerMessage
from mode import Service
from mode.utils.futures import maybe_async

from runtime.fetching import WORKER_REST, pace
from runtime.preparing import prepare
from runtime.records import Fetch

CROWDED_SECONDS = 0.02
"""How often it is looked whether an input that has enough records waiting needs more."""


class Flow(Protocol):
    """What the transport asks the engine."""

    fetch_wait_ms: int
    stage_of: Mapping[str, str]
    """The stage that reads an input, by broker topic."""

    def crowded(self) -> frozenset[tuple[str, int]]:
        """Inputs, by broker topic and partition, that have enough records waiting."""

    def absorbed(self) -> dict[tuple[str, int], int]:
        """Offsets absorbed since partitions last changed hands, by broker topic and partition."""

    async def resume(self, consumer: "Consumer", assignment: set[TP]) -> dict[TP, int]:
        """The offset to read next, for each assigned input."""


class InLoopThread(kafka.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread, run on the app's own loop: no hop between threads per poll."""

    wait_for_shutdown = False

    def __init__(self, consumer: Any, *, loop: Any = None, **options: Any) -> None:
        super().__init__(consumer, loop=loop, thread_loop=loop, **options)

    async def start(self) -> None:
        self._thread_started.set()
        await Service._default_start(self)

    async def on_start(self) -> None:
        await super().on_start()
        pace(self._ensure_consumer()._fetcher, WORKER_REST)

    async def stop(self) -> None:
        if self._consumer is not None:
            # Who ends in order leaves its partitions to others at once, whatever its name; only
            # one that died may come back for them.
            self._consumer._coordinator._group_instance_id = None
            await self._consumer.stop()

    async def crash(self, reason: BaseException) -> None:
        await Service.crash(self, reason)

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        consumer = self._ensure_consumer()
        return await self._fetch_records(
            consumer, active_partitions, timeout=timeout, max_records=consumer._max_poll_records
        )

    async def call_thread(self, fun: Any, *args: Any, **options: Any) -> Any:
        return await maybe_async(fun(*args, **options))

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust hard-codes 1,500 ms; a partition that was just drained waits for the whole fetch.
        consumer._fetch_max_wait_ms = transport.app.flow.fetch_wait_ms
        return consumer


class Consumer(kafka.Consumer):  # type: ignore[misc]
    """Delivers runs of records and seeks to positions."""

    def _new_consumer_thread(self) -> InLoopThread:
        return InLoopThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _flow(self) -> Flow:
        flow: Flow = self.app.flow
        return flow

    # Faust pauses only in a set of its own: aiokafka would go on fetching and hold the node.

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Pause fetching."""
        paused = set(tps)
        super().pause_partitions(paused)
        self._in_aiokafka("pause", paused)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume fetching."""
        resumed = set(tps)
        super().resume_partitions(resumed)
        self._in_aiokafka("resume", resumed)

    def _in_aiokafka(self, action: str, tps: set[TP]) -> None:
        consumer = self._thread._consumer
        assigned = consumer.assignment() if consumer else ()
        known = [TopicPartition(*tp) for tp in tps if tp in assigned]
        if known:
            getattr(consumer, action)(*known)

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        active = self._get_active_partitions()
        crowded = self._flow.crowded()
        if crowded:
            active = {tp for tp in active if tp not in crowded}
            timeout = CROWDED_SECONDS
        if not active:
            await asyncio.sleep(CROWDED_SECONDS)
            return {}, active
        return await self._getmany(active, timeout), active

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                generation = self.app.consumer_generation_id
                records, _ = await self._wait_next_records(0.5)
                if not self.flow_active or generation != self.app.consumer_generation_id:
                    self._put_back(records)
                    records = {}
                if not records:
                    await asyncio.sleep(0)
                for message in self._messages(records, generation):
                    await self.callback(message)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:
                raise

    def _put_back(self, records: Mapping[TopicPartition, Fetch]) -> None:
        """Have runs fetched again that came while partitions changed hands.

        They may be from before a seek or from after it; only these would be missed.
        """
        consumer = self._thread._ensure_consumer()
        for tp, run in records.items():
            if tp in consumer.assignment():
                state = consumer._subscription.subscription.assignment.state_value(tp)
                if state.has_valid_position and state.position == run[-1].offset + 1:
                    consumer.seek(tp, run[0].offset)

    def _messages(
        self, records: Mapping[TopicPartition, Fetch], generation: int
    ) -> list[ConsumerMessage]:
        """One message per stage and poll; of changelogs, one per partition."""
        by_stage: dict[str, dict[TopicPartition, Fetch]] = defaultdict(dict)
        messages = []
        for tp, run in records.items():
            stage = self._flow.stage_of.get(tp.topic)
            if stage is not None:
                by_stage[stage][tp] = run
            else:
                messages.append(self._message(TP(*tp), run[-1].offset, run, generation))
        for runs in by_stage.values():
            tp, run = next(iter(runs.items()))
            messages.append(self._message(TP(*tp), run[-1].offset, runs, generation))
        return messages

    def _message(self, tp: TP, offset: int, value: Any, generation: int) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            offset,
            0.0,
            0,
            (),
            None,
            value,
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )

    # Committed offsets are for lag tools only; correctness never rests on them.

    def ack(self, message: Any) -> bool:
        """Steps say what is absorbed."""
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        self._to_commit = {
            TP(topic, partition): offset + 1
            for (topic, partition), offset in self._flow.absorbed().items()
        }
        return list(self._to_commit)

    def _new_offset(self, tp: TP) -> int | None:
        return self._to_commit.get(tp)

    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        if not self.settled():
            return False
        assigned = self.assignment()
        ours = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        committed = bool(ours) and await self._commit(ours)
        if committed:
            self._committed_offset.update(ours)
        return committed

    def settled(self) -> bool:
        """Whether the group is not being joined again.

        A commit sent meanwhile carries the old generation and is answered after the new one
        has begun: aiokafka would then leave that, join once more, and so would all others.
        """
        coordinator = self._thread._ensure_consumer()._coordinator
        return not (coordinator._performed_join_prepare or coordinator._rejoin_needed_fut.done())

    async def committed(self, tp: TP) -> int | None:
        """The group's committed offset: that there is one tells that there was a state."""
        found: int | None = await self._thread._ensure_consumer().committed(TopicPartition(*tp))
        return found

    def end_of(self, tp: TP) -> int:
        """The end of an input as the broker last told it; 0 where it has not."""
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        state = assignment.state_value(tp) if assignment is not None else None
        return state.highwater or 0 if state is not None else 0

    def go_to(self, tp: TP, offset: int) -> None:
        """Read an input on from `offset`, if it is still assigned."""
        if tp in self.assignment():
            self._thread.seek(tp, offset)
            self._read_offset[tp] = offset

    async def perform_seek(self) -> None:
        """Seek every input to the record after what the state has absorbed."""
        points = await self._flow.resume(self, self.assignment())
        for tp, offset in points.items():
            self._thread._ensure_consumer().seek(TopicPartition(*tp), offset)
            self._read_offset[tp] = offset


class Producer(kafka.Producer):  # type: ignore[misc]
    """Faust's own producer; the engine's senders are apart."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {**super()._settings_extra(), "enable_idempotence": True, "acks": "all"}


class Transport(kafka.Transport):  # type: ignore[misc]
    """Registered as `onhand://`."""

    Consumer = Consumer
    Producer = Producer


def register() -> None:
    """Make `onhand://` a transport that Faust knows."""
    prepare()
    drivers.TRANSPORTS.aliases["onhand"] = f"{__name__}:Transport"
