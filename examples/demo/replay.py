"""Sending the day to Kafka, as a retailer's own connectors would."""

import asyncio
import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from examples.demo.day import Sent


class Replay:
    """Appends events to the input topics, and writes down each one that was sent."""

    def __init__(self, bootstrap: str, record: Path) -> None:
        self._bootstrap = bootstrap
        self._record = record.open("a")
        self.sent = 0

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=10,
            max_batch_size=1024 * 1024,
        )
        await self._producer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._producer.stop()
        self._record.close()

    async def send(self, one: Sent) -> None:
        """Append one event as a record of its own."""
        self._note(one)
        await self._append(one.topic, one.key, one.event)

    async def send_array(self, burst: list[Sent]) -> None:
        """Append events of one source as one record."""
        for one in burst:
            self._note(one)
        await self._append(burst[0].topic, burst[0].key, [one.event for one in burst])

    async def _append(self, topic: str, key: str, value: Any) -> None:
        await self._producer.send(topic, json.dumps(value).encode(), key=key.encode())

    def _note(self, one: Sent) -> None:
        self.sent += 1
        self._record.write(json.dumps({"topic": one.topic, "event": one.event}) + "\n")

    async def flush(self) -> None:
        """Wait until all that was sent is acknowledged and written down."""
        await self._producer.flush()
        self._record.flush()


async def paced(replay: Replay, events: list[Sent], seconds: float) -> None:
    """Send `events` in order, evenly over `seconds`; all at once where that is 0."""
    begun = time.monotonic()
    for place, one in enumerate(events):
        await replay.send(one)
        if seconds and place % 20 == 0:
            ahead = begun + seconds * place / len(events) - time.monotonic()
            if ahead > 0.02:
                await asyncio.sleep(ahead)
    await replay.flush()
