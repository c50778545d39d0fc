"""How batches are appended: in one request to each broker, at once.

aiokafka queues a batch, wakes a task that looks at every partition, makes a task for each
request, and has three futures for each batch. What does not go well, an error or a partition
without a leader, is left to it: it appends again, under the same numbers, until a batch stands
or never will.
"""

import asyncio
from collections import defaultdict
from functools import partial
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerClosed
from aiokafka.producer.message_accumulator import MessageBatch
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7

from runtime.fetching import NOWHERE

SEQUENCES: Final = 2**31
"""Sequence numbers of a partition's records begin again at 0 after as many.

As Kafka's `DefaultRecordBatch.incrementSequence`; aiokafka's become negative.
"""

Batches = dict[TopicPartition, tuple[Any, "asyncio.Future[int]"]]
"""The builder of each partition's batch, and where it will have landed."""


class Appending:
    """Appends through a started, idempotent aiokafka producer."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._waiting: Batches = {}
        self._rounds: asyncio.Task[None] | None = None
        self._is_finished = False

    def append(self, batch: Any, topic: str, partition: int) -> "asyncio.Future[int]":
        """Append a closed batch, with all others of this turn of the loop; where it lands.

        The future raises KafkaError where it never will. A partition's next batch may be given
        once the last one has landed. Raises ValueError where that waits even to be sent, and
        ProducerClosed once all is finished.
        """
        if self._is_finished:
            raise ProducerClosed
        tp = TopicPartition(topic, partition)
        if tp in self._waiting:
            raise ValueError(f"{topic}/{partition} has a batch that waits")
        landing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[tp] = batch, landing
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._append_rounds())
        return landing

    async def finish(self) -> None:
        """Take no more, and wait until all that was given has landed, or will not."""
        self._is_finished = True
        if self._rounds is not None:
            await asyncio.wait([self._rounds])

    async def _append_rounds(self) -> None:
        try:
            while self._waiting:
                batches, self._waiting = self._waiting, {}
                by_broker: defaultdict[int | None, Batches] = defaultdict(dict)
                leader_of = self._producer.client.cluster.leader_for_partition
                for tp, batch in batches.items():
                    by_broker[leader_of(tp)][tp] = batch
                await _all([self._append_to(node, of) for node, of in by_broker.items()])
        finally:
            self._rounds = None

    async def _append_to(self, node: int | None, batches: Batches) -> None:
        numbers = self._producer._txn_manager._sequence_numbers
        for tp in batches:
            # Whoever took the last ones, this way or aiokafka's, may have made it negative.
            numbers[tp] %= SEQUENCES
        try:
            if node in NOWHERE:
                await self._queue(batches)
                return
            request = self._request(batches)
            answer = await self._answer(node, request)
            landed = _landed(answer)
            if landed is None:
                await self._append_again(node, batches, answer)
                return
            for tp, (_, landing) in batches.items():
                _land(landing, landed[tp])
        except Exception as error:  # noqa: BLE001 - told to whoever awaits it
            for _, landing in batches.values():
                _fail(landing, error)

    def _request(self, batches: Batches) -> ProduceRequest:
        producer = self._producer
        numbers = producer._txn_manager
        by_topic: defaultdict[str, list[tuple[int, Any]]] = defaultdict(list)
        for tp, (batch, _) in batches.items():
            first = numbers.sequence_number(tp)
            numbers.increment_sequence_number(tp, batch.record_count())
            batch._set_producer_state(numbers.producer_id, numbers.producer_epoch, first)
            by_topic[tp.topic].append((tp.partition, batch._build()))
        return ProduceRequest(
            transactional_id=None,
            required_acks=-1,
            timeout=producer._request_timeout_ms,
            topics=list(by_topic.items()),
        )

    async def _answer(self, node: int | None, request: ProduceRequest) -> Any:
        """A broker's answer, or why there is none."""
        try:
            return await self._producer.client.send(node, request)
        except KafkaError as error:
            return error

    async def _queue(self, batches: Batches) -> None:
        """Have aiokafka append what was not numbered yet."""
        told = []
        for tp, (batch, landing) in batches.items():
            try:
                queued = await self._producer.send_batch(batch, tp.topic, partition=tp.partition)
            except Exception as error:  # noqa: BLE001 - told to whoever awaits it
                _fail(landing, error)
            else:
                queued.add_done_callback(partial(_tell, landing))
                told.append(queued)
        await asyncio.gather(*told, return_exceptions=True)

    async def _append_again(self, node: int | None, batches: Batches, answer: Any) -> None:
        """Have aiokafka make of an answer what it will, and append again what that wants."""
        accumulator = self._producer._message_accumulator
        if accumulator._exception is not None:
            raise accumulator._exception
        numbered = {
            tp: MessageBatch(tp, batch, accumulator._batch_ttl, 0.0)
            for tp, (batch, _) in batches.items()
        }
        for tp, one in numbered.items():
            one.drain_ready()
            accumulator._pending_batches.add(one)
            one.future.add_done_callback(partial(_settle, accumulator, one))
            one.future.add_done_callback(partial(_tell, batches[tp][1]))
        handler = SendProduceReqHandler(self._producer._sender, numbered)
        handler._client = _Answered(handler._client, answer)
        await handler.do(node)
        accumulator._wakeup(accumulator.waiter())
        futures = [one.future for one in numbered.values()]
        await asyncio.gather(*futures, return_exceptions=True)


class _Answered:
    """A client to which a request is one that was answered already."""

    def __init__(self, client: Any, answer: Any) -> None:
        self._client = client
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: ProduceRequest) -> Any:
        if isinstance(self._answer, KafkaError):
            raise self._answer
        return self._answer


def _landed(answer: Any) -> dict[TopicPartition, int] | None:
    """Where each batch landed; None where an answer is not that of all of them."""
    if type(answer) is not ProduceResponse_v7:
        return None
    landed = {}
    for topic, partitions in answer.topics:
        for number, code, offset, _, _ in partitions:
            if code:
                return None
            landed[TopicPartition(topic, number)] = offset
    return landed


async def _all(work: list[Any]) -> None:
    """Run what there is; alone, without a task of its own."""
    if len(work) == 1:
        await work[0]
    else:
        await asyncio.gather(*work)


def _settle(accumulator: Any, batch: MessageBatch, _: Any) -> None:
    accumulator._pending_batches.discard(batch)


def _tell(landing: "asyncio.Future[int]", told: "asyncio.Future[Any]") -> None:
    """Tell whoever awaits it where a batch landed, or why it did not."""
    error = told.exception()
    if error is None:
        _land(landing, told.result().offset)
    else:
        _fail(landing, error)


def _land(landing: "asyncio.Future[int]", offset: int) -> None:
    if not landing.done():
        landing.set_result(offset)


def _fail(landing: "asyncio.Future[int]", error: BaseException) -> None:
    if not landing.done():
        landing.set_exception(error)
