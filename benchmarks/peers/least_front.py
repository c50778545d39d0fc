"""What following rows and answering reads takes at the least: keys in a set, constant bytes."""

import asyncio
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from starlette.types import Receive, Scope, Send

from benchmarks import peers
from benchmarks.peers.least import STOCK
from runtime.fetching import FRONT_REST, pace
from runtime.preparing import prepare
from runtime.priority import ANSWERS, come_first

_PREFIX: Final = "/v1/availability/"
_HEADERS: Final = [(b"content-length", b"0")]

_known: set[str] = set()


async def follow() -> None:
    """Note every key that comes by."""
    prepare()
    consumer = AIOKafkaConsumer(bootstrap_servers=peers.KAFKA, auto_offset_reset="earliest")
    await consumer.start()
    pace(consumer._fetcher, FRONT_REST)
    consumer.assign([TopicPartition(STOCK, number) for number in range(peers.PARTITIONS)])
    while True:
        for records in (await consumer.getmany(timeout_ms=100, max_records=10_000)).values():
            for record in records:
                _known.add(record.key.decode())


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """200 for a key that came by, else 404."""
    if scope["type"] == "http":
        key = "stock|" + scope["path"].removeprefix(_PREFIX).replace("/", "|")
        status = 200 if key in _known or scope["path"] == "/readyz" else 404
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b""})
    elif scope["type"] == "lifespan":
        await receive()
        work = [follow(), *([come_first(ANSWERS)] if peers.REALTIME else [])]
        running = asyncio.gather(*work)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await send({"type": "lifespan.shutdown.complete"})
