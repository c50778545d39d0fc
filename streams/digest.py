"""A digest of the inventory's state: equal states print the same, wherever they come from."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from models import topics
from models.days import PREFIX as DAYS
from models.rows import Row, decode
from streams.engine.partition import Partition
from streams.engine.position import PREFIX
from streams.engine.replaying import replay_run
from streams.inventory import Inventory
from streams.logs import whole
from streams.routing import Routing
from streams.settings import Settings

R = TypeVar("R", bound=Row)

OF_ITS_LOG: Final = (PREFIX, DAYS)
"""Rows that tell of a log, which two states may have read from different places."""


def digest_of(partitions: Iterable[Partition]) -> dict[str, Any]:
    """Rows, a SHA-256 over keys and values in order, and the same per partition."""
    whole = hashlib.sha256()
    rows = 0
    each: dict[str, str] = {}
    for partition in sorted(partitions, key=lambda one: one.number):
        part = hashlib.sha256()
        for key in sorted(partition.encoded):
            if key.startswith(OF_ITS_LOG):
                continue
            rows += 1
            part.update(key.encode() + b"\x00" + partition.encoded[key] + b"\x00")
        each[str(partition.number)] = part.hexdigest()[:16]
        whole.update(part.digest())
    return {"rows": rows, "digest": whole.hexdigest(), "partitions": each}


async def of_state(settings: Settings) -> dict[str, Any]:
    """The digest of what a worker would recover from `inventory.state`."""
    return digest_of(await _recovered(settings))


async def _recovered(settings: Settings) -> list[Partition]:
    partitions = {number: Partition(number) for number in range(settings.partitions)}
    async for number, run in whole(settings, topics.INVENTORY_STATE):
        partitions[number].load(run)
    for partition in partitions.values():
        partition.recovered()
    return list(partitions.values())


async def rows_of_state(settings: Settings, prefix: str, kind: type[R]) -> list[R]:
    """Every row of `inventory.state` whose key begins with `prefix`."""
    return [
        decode(value, kind)
        for partition in await _recovered(settings)
        for key, value in partition.encoded.items()
        if key.startswith(prefix)
    ]


async def of_replay(settings: Settings) -> dict[str, Any]:
    """The digest of the state that `inventory.movements`, from its start, leads to."""
    stage = Inventory(Routing(settings))
    partitions = {number: Partition(number) for number in range(settings.partitions)}
    for partition in partitions.values():
        stage.opened(partition)
    async for number, run in whole(settings, topics.INVENTORY_MOVEMENTS):
        replay_run(stage, partitions[number], topics.INVENTORY_MOVEMENTS, run)
    return digest_of(partitions.values())
