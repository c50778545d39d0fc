"""The sender of one stage: whole record batches, acknowledged by all replicas.

A batch is all or nothing at the broker. Batches of one partition follow each other
only once acknowledged, so that a failed one is never overtaken.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer

from runtime.appending import Appending
from runtime.batches import Batch, Compression, Record
from streams.engine.failpoints import BETWEEN_DESTINATIONS, Failpoints

Destination = tuple[str, int]
"""Topic as the broker names it, partition."""

OUTPUT_BATCH_BYTES: Final = 4 * 1024 * 1024
STATE_BATCH_BYTES: Final = 20 * 1024 * 1024

BESIDE_BYTES: Final = 256 * 1024
"""So much is compressed beside the loop: it takes a quarter of a millisecond."""


class BatchTooLargeError(Exception):
    """A state batch must not be split, and this one does not fit."""


class Appender(Protocol):
    """What steps are submitted through. Any error that it raises is fatal for the process."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect; whatever is under way is waited for."""

    async def send_outputs(self, outputs: dict[Destination, list[Record]]) -> None:
        """Append a step's outputs, one batch per destination and round, and await every ack."""

    async def send_state(
        self, states: Mapping[Destination, Sequence[Record]]
    ) -> dict[Destination, int]:
        """Append one batch per state partition; returns the offset where each landed."""


class Sender:
    """An appender that owns one idempotent producer."""

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        failpoints: Failpoints,
        compression: Compression,
    ) -> None:
        self._bootstrap = bootstrap
        self._compresses = compression != "none"
        self._helper = ThreadPoolExecutor(1, thread_name_prefix=f"{client_id}-compresses")
        self._client_id = client_id
        self._failpoints = failpoints

    async def start(self) -> None:
        """Connect. Raises KafkaError where no broker answers."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=STATE_BATCH_BYTES,
            max_request_size=4 * STATE_BATCH_BYTES,
        )
        self._appending = Appending(self._producer)
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect; whatever is under way is waited for."""
        await self._appending.finish()
        await self._producer.stop()
        self._helper.shutdown(wait=False)

    async def send_outputs(self, outputs: dict[Destination, list[Record]]) -> None:
        """Append a step's outputs, one batch per destination and round, and await every ack."""
        left = {destination: records for destination, records in outputs.items() if records}
        if self._failpoints.armed(BETWEEN_DESTINATIONS):
            for destination in sorted(left):
                await self._send_round({destination: left[destination]})
                self._failpoints.reach(BETWEEN_DESTINATIONS)
            return
        while left:
            left = await self._send_round(left)

    async def _send_round(
        self, outputs: dict[Destination, list[Record]]
    ) -> dict[Destination, list[Record]]:
        left: dict[Destination, list[Record]] = {}
        batches, now = {}, _now()
        for destination, records in outputs.items():
            batch = batches[destination] = Batch(records, OUTPUT_BATCH_BYTES, now)
            if batch.record_count() < len(records):
                left[destination] = records[batch.record_count() :]
        await self._append(batches)
        return left

    async def send_state(
        self, states: Mapping[Destination, Sequence[Record]]
    ) -> dict[Destination, int]:
        """Append one batch per state partition; returns the offset where each landed."""
        batches, now = {}, _now()
        for (topic, partition), records in states.items():
            batch = batches[topic, partition] = Batch(records, STATE_BATCH_BYTES, now)
            if batch.record_count() < len(records):
                raise BatchTooLargeError(f"{topic}/{partition}: {len(records)} rows")
        return dict(zip(states, await self._append(batches), strict=True))

    async def _append(self, batches: dict[Destination, Batch]) -> list[int]:
        """Append batches; where each landed.

        What takes longer to compress than a thread to come and go is compressed beside the loop,
        which absorbs meanwhile.
        """
        if self._compresses:
            if sum(batch.size() for batch in batches.values()) < BESIDE_BYTES:
                _compress(batches.values())
            else:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._helper, _compress, batches.values())
        return await asyncio.gather(
            *(self._appending.append(batch, *place) for place, batch in batches.items())
        )


def _compress(batches: Iterable[Batch]) -> None:
    for batch in batches:
        batch.compress()


def _now() -> int:
    return time.time_ns() // 1_000_000
