"""A running service as tests use it: append, settle, ask."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from local.lag import service_lag
from local.processes import wait_until
from local.service import Service
from models import topics
from streams.settings import Settings
from streams.topics import MAX_OWN_BYTES, configs
from tests.pipeline import key_of, received, topic_of

T = TypeVar("T")

SETTLE_SECONDS = 60.0


def may_be_real_time() -> bool:
    """Whether the system permits a process of ours to run before all that is not real-time."""
    tried = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))"
    command = [sys.executable, "-c", tried]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Harness:
    """One prefix at a broker. Kafka clients live in a loop of their own thread."""

    def __init__(self, bootstrap: str, logs: Path, prefix: str, **environ: str) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        environ = {"ONHAND_COMMIT_MS": "30", **environ}
        self.service = Service(bootstrap, logs, prefix=prefix, environ=environ)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.service.create_topics()
        self.call(self._connect())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.service.__exit__(kind, error, trace)
        self.call(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the harness's loop and wait for it."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(SETTLE_SECONDS * 5)

    async def _connect(self) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=1024 * 1024,
            max_request_size=16 * 1024 * 1024,
        )
        await self._producer.start()
        self._lag = await service_lag(self.bootstrap, self.prefix).__aenter__()

    async def _disconnect(self) -> None:
        await self._lag.__aexit__(None, None, None)
        await self._producer.stop()

    # -- writing

    def append(
        self, topic: str, *records: tuple[str | None, bytes | None], at: int | None = None
    ) -> None:
        """Append raw records, in order. `at`, in milliseconds, counts where records tell time."""

        async def work() -> None:
            acks = [
                await self._producer.send(
                    self.prefix + topic,
                    value,
                    key=None if key is None else key.encode(),
                    timestamp_ms=at,
                )
                for key, value in records
            ]
            for ack in acks:
                await ack

        self.call(work())

    def append_to(self, topic: str, partition: int, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Append records to one partition, whatever their keys."""

        async def work() -> None:
            for key, value in records:
                await self._producer.send_and_wait(
                    self.prefix + topic, value, key=key, partition=partition
                )

        self.call(work())

    def send(self, *events: dict[str, Any] | list[dict[str, Any]]) -> None:
        """Append events, each list of them as one record."""
        for one in events:
            first = one[0] if isinstance(one, list) else one
            record = (key_of(first), json.dumps(one).encode())
            self.append(topic_of(first), record, at=received(one))

    def put_reference(self, kind: str, name: str, facts: dict[str, Any]) -> None:
        """State reference data, and wait until every input uses it."""
        answer = self.put(f"/v1/reference/{kind}/{name}", facts)
        assert answer.status_code == 202, answer.text
        wait_until(
            lambda: self.get("/v1/reference/status").json()["current"], 30, "reference in use"
        )
        self.settle()

    def truncate(self, topic: str) -> None:
        """Delete every record of a topic, as retention would."""

        async def work() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            try:
                name = self.prefix + topic
                ends = await self._lag.ends(name)
                await admin.delete_records(
                    {tp: RecordsToDelete(before_offset=end) for tp, end in ends.items()}
                )
            finally:
                await admin.close()

        self.call(work())

    def lose(self, topic: str) -> None:
        """Delete a topic, and create it again with nothing in it."""

        async def work() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            try:
                await admin.delete_topics([self.prefix + topic])
            finally:
                await admin.close()

        self.call(work())
        self.service.create_topics()

    def grow(self, partitions: int) -> None:
        """Give every topic so many partitions, but those that have one, as nobody should."""

        async def work() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            try:
                names = set(configs(Settings())) - set(topics.REFERENCE_TOPICS)
                await admin.create_partitions(
                    {self.prefix + name: NewPartitions(partitions) for name in names}
                )
            finally:
                await admin.close()

        self.call(work())

    def compact(self, topic: str, lag_ms: int) -> None:
        """From now on, compact a topic as soon as `lag_ms` allow it."""
        config = {
            "cleanup.policy": "compact",
            "segment.ms": "200",
            "min.cleanable.dirty.ratio": "0.001",
            "min.compaction.lag.ms": str(lag_ms),
            "max.message.bytes": str(MAX_OWN_BYTES),
        }

        async def work() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            try:
                name = self.prefix + topic
                await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)])
            finally:
                await admin.close()

        self.call(work())

    # -- waiting

    def lag(self) -> int:
        return self.call(self._lag.records())

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until all is absorbed, and the front's view has seen it."""
        self.call(self._lag.wait_for_none(seconds, pause=0.02))
        if self.service.url:
            self._wait_for_view(seconds)

    def _wait_for_view(self, seconds: float) -> None:
        now, deadline = time.time(), time.monotonic() + seconds
        while True:
            lag = self.post("/v1/availability/query", {"items": []}).headers.get("X-Onhand-Lag-Ms")
            if lag is not None and time.time() - (int(lag) + 1) / 1000 > now:
                return
            assert time.monotonic() < deadline, "the view does not catch up"

    @staticmethod
    def now() -> str:
        """This moment, as an event tells it."""
        return datetime.now(UTC).isoformat().replace("+00:00", "Z")

    # -- reading

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.service.url + path, headers=headers, timeout=30)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return httpx.post(self.service.url + path, json=body, timeout=30)

    def put(self, path: str, body: Any) -> httpx.Response:
        return httpx.put(self.service.url + path, json=body, timeout=30)

    def stock(self, sku: str, location: str = "17") -> dict[str, Any]:
        answer = self.get(f"/v1/availability/{sku}/{location}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def records(self, topic: str) -> list[Any]:
        """Everything that stands in a topic now."""

        async def work() -> list[Any]:
            name = self.prefix + topic
            consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
            await consumer.start()
            try:
                await consumer._client._wait_on_metadata(name)
                numbers = sorted(consumer.partitions_for_topic(name) or ())
                everywhere = [TopicPartition(name, number) for number in numbers]
                consumer.assign(everywhere)
                await consumer.seek_to_beginning(*everywhere)
                ends = await consumer.end_offsets(everywhere)
                found: list[Any] = []
                while any([await consumer.position(tp) < ends[tp] for tp in everywhere]):
                    for batch in (await consumer.getmany(timeout_ms=500)).values():
                        found += batch
                return found
            finally:
                await consumer.stop()

        return self.call(work())

    def letters(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers and value of every dead letter."""
        return [
            ({name: value.decode() for name, value in record.headers}, record.value)
            for record in self.records(topics.DEAD_LETTERS)
        ]
