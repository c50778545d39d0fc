"""Writing state while no worker runs, as commands do."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from models import rows
from runtime.batches import NO_HEADERS, Record
from streams.engine.position import Position
from streams.engine.sender import Sender
from streams.errors import NotAtRestError
from streams.settings import Settings
from streams.supervisor import PROCESSES

BATCH_BYTES: Final = 4 * 1024 * 1024

_POLL_SECONDS: Final = 0.5
_GRACE_SECONDS: Final = 1.0

State = list[tuple[bytes, bytes]]
"""Rows as they stand in a log: keys and values."""


async def must_be_idle(settings: Settings) -> None:
    """Raises NotAtRestError where a worker runs.

    One that died is a member of its group until its session ends, which is waited for.
    """
    deadline = time.monotonic() + settings.session_timeout_seconds + _GRACE_SECONDS
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        # One at a time: aiokafka cannot read an answer about several.
        for stages in PROCESSES:
            name = settings.topic("-".join(("onhand", *stages)))
            while await _has_members(admin, name):
                if time.monotonic() > deadline:
                    raise NotAtRestError(f"group {name} has members: stop all workers first")
                await asyncio.sleep(_POLL_SECONDS)
    finally:
        await admin.close()


async def _has_members(admin: AIOKafkaAdminClient, group: str) -> bool:
    (answer,) = await admin.describe_consumer_groups([group])
    *_, members = answer.groups[0]
    return bool(members)


def batches(records: State) -> Iterable[State]:
    """Rows in parts that fit into a batch; at least one, which may be empty."""
    batch: State = []
    size = 0
    for key, value in records:
        if batch and size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append((key, value))
        size += len(key) + len(value)
    yield batch


async def append(
    sender: Sender,
    settings: Settings,
    state: str,
    position: Position,
    batch: State,
) -> None:
    """Append rows and, last, the position, which is moved on. Raises NotAtRestError."""
    position.version += 1
    position.rows = len(batch)
    place = settings.topic(state), position.partition
    rest = position.key.encode(), rows.encode(position)
    records: list[Record] = [(key, value, NO_HEADERS) for key, value in (*batch, rest)]
    landed = await sender.send_state({place: records})
    if landed[place] != position.base:
        raise NotAtRestError(f"someone else writes to {place[0]}")
    position.base += len(records)
