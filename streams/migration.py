"""Moving a service to another number of partitions: into topics of their own, nothing lost.

What was absorbed stands in the state, so only that is moved, with the logs that readers
want: ledger, dead letters, allocations and reference data. The old topics stay as they
are. Rows keep their versions; those to come are of the next generation, so they are newer.
"""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import typer
from aiokafka import AIOKafkaProducer

from models import rows, topics
from models.channels import channel_key
from models.ledger import LedgerEntry
from models.ledger import decode as decode_ledger
from models.ledger import encode as encode_ledger
from streams.at_rest import append, batches, must_be_idle
from streams.engine.failpoints import Failpoints
from streams.engine.partition import Partition
from streams.engine.position import UNFINISHED, Position
from streams.engine.sender import Sender
from streams.errors import MigrationError
from streams.inventory import LEDGER_PACK
from streams.logs import ends_of, whole
from streams.routing import Routing
from streams.settings import Settings
from streams.topics import MAX_OWN_BYTES, create

STATES: Final[dict[str, tuple[str, ...]]] = {
    topics.INVENTORY_SOURCES: topics.SOURCE_TOPICS,
    topics.ORDERS_STATE: (topics.ORDERS_RESERVATIONS,),
    topics.INVENTORY_STATE: (topics.INVENTORY_MOVEMENTS,),
}
"""State topics, and the inputs that their positions tell of."""

_HOME: Final = {
    **dict.fromkeys(("stock", "history", "sums", "hold", "advice", "transfer"), 1),
    **dict.fromkeys(("source", "ids", "hashes", "announced", "held"), 2),
    "allocation": 2,
    "return": 3,
    "count": 3,
    "order": 1,
}
"""Which part of a key, by its kind, names the partition."""

_EVERYWHERE: Final = frozenset({"closed", "complete", "channel"})
"""Kinds of rows that every partition has."""

_OF_ITS_LOG: Final = frozenset({"position", "days"})
"""Kinds of rows that tell of a log: the one of the target begins anew."""

Found = dict[str, dict[int, Partition]]


async def migrate(settings: Settings, prefix: str, partitions: int) -> dict[str, Any]:
    """Move everything below `prefix`, to `partitions` partitions; returns what was moved.

    Raises MigrationError where workers run, something is not absorbed yet, the target is
    not empty, or what arrived is not what was sent.
    """
    target = settings.model_copy(update={"prefix": prefix, "partitions": partitions})
    if prefix == settings.prefix:
        raise MigrationError("the target needs a prefix of its own")
    await must_be_idle(settings)
    found = await _read(settings)
    references = await ends_of(settings, topics.REFERENCE_TOPICS)
    await _must_be_absorbed(settings, found, references)
    await create(target)
    await _must_be_empty(target)
    before = _digest(found)
    positions = await _move_state(target, found)
    async with _producer(target) as producer:
        moved = {
            "ledger_entries": await _move_ledger(settings, target, producer),
            "dead_letters": await _move_keyed(settings, target, producer, topics.DEAD_LETTERS),
            "allocations": await _move_keyed(
                settings,
                target,
                producer,
                topics.CHANNEL_ALLOCATIONS,
                lambda key: rows.parts(key)[-1],
            ),
            "reference": await _move_reference(settings, target, producer),
        }
    after = _digest(await _read(target))
    if before != after:
        raise MigrationError(f"what arrived differs: {before} before, {after} after")
    await _finish(target, positions)
    return {"prefix": prefix, "partitions": partitions, **before, **moved}


# -- what must hold before


async def _read(settings: Settings) -> Found:
    found: Found = {}
    for state in STATES:
        found[state] = {number: Partition(number) for number in range(settings.partitions)}
        async for number, run in whole(settings, state):
            found[state][number].load(run)
        for partition in found[state].values():
            partition.recovered()
            if partition.to_repair:
                raise MigrationError(f"{state}/{partition.number} needs repair: run a worker once")
    return found


async def _must_be_absorbed(
    settings: Settings, found: Found, references: Mapping[str, list[int]]
) -> None:
    ends = await ends_of(settings, topics.NUMBERED)
    for state, inputs in STATES.items():
        for number, partition in found[state].items():
            position = partition.position
            if position.partitions not in (0, settings.partitions):
                have = position.partitions
                raise MigrationError(f"{state} was made with {have} partitions")
            for name in inputs:
                if position.offsets.get(name, -1) < ends[name][number] - 1 or position.cursor:
                    raise MigrationError(f"{name}/{number} is not all absorbed: run a worker")
                used = position.reference.get(name, {})
                if state == topics.INVENTORY_SOURCES and any(
                    used.get(reference, 0) < end for reference, (end,) in references.items()
                ):
                    raise MigrationError(f"{name}/{number} does not use all reference data yet")


async def _must_be_empty(target: Settings) -> None:
    names = (*STATES, *topics.NUMBERED, topics.INVENTORY_LEDGER, *topics.REFERENCE_TOPICS)
    for name, ends in (await ends_of(target, names)).items():
        if any(ends):
            raise MigrationError(f"{target.topic(name)} is not empty: choose another prefix")


# -- rows


async def _move_state(target: Settings, found: Found) -> dict[str, list[Position]]:
    sender = Sender(target.kafka, "onhand-migrate", Failpoints(""), target.compression)
    await sender.start()
    try:
        positions = {}
        for state, partitions in found.items():
            placed = _place(target, partitions.values())
            positions[state] = _positions(target, partitions.values())
            with typer.progressbar(length=sum(map(len, placed)), label=state) as bar:
                for number, there in enumerate(placed):
                    for batch in batches(there):
                        await append(sender, target, state, positions[state][number], batch)
                        bar.update(len(batch))
        return positions
    finally:
        await sender.stop()


def _place(target: Settings, partitions: Iterable[Partition]) -> list[list[tuple[bytes, bytes]]]:
    """Every row in its new partition."""
    routing = Routing(target)
    placed: list[list[tuple[bytes, bytes]]] = [[] for _ in range(target.partitions)]
    for key, value in _rows(partitions).items():
        parts = rows.parts(key)
        if parts[0] not in _EVERYWHERE:
            placed[routing.of(parts[_HOME[parts[0]]])[1]].append((key.encode(), value))
            continue
        for number, there in enumerate(placed):
            name = channel_key(number, parts[-1]) if parts[0] == "channel" else key
            there.append((name.encode(), value))
    return placed


def _rows(partitions: Iterable[Partition]) -> dict[str, bytes]:
    """All rows by key; of those that every partition has, the newest."""
    found: dict[str, bytes] = {}
    for partition in partitions:
        for key, value in partition.encoded.items():
            kind, *names = rows.parts(key)
            if kind in _OF_ITS_LOG:
                continue
            name = channel_key(0, names[-1]) if kind == "channel" else key
            if kind in _EVERYWHERE and name in found:
                value = max(value, found[name], key=lambda one: rows.head(one)[0])  # noqa: PLW2901
            found[name] = value
    return dict(sorted(found.items()))


def _positions(target: Settings, partitions: Iterable[Partition]) -> list[Position]:
    old = [partition.position for partition in partitions]
    now: dict[str, int] = {}
    for position in old:
        for name, instant in position.now.items():
            now[name] = max(instant, now.get(name, 0))
    return [
        Position(
            version=0,
            partition=number,
            generation=1 + max(position.generation for position in old),
            now=now,
            partitions=UNFINISHED,
            writer="migrate",
        )
        for number in range(target.partitions)
    ]


async def _finish(target: Settings, positions: Mapping[str, list[Position]]) -> None:
    """All is there, and is what was sent: let workers start."""
    ends = await ends_of(target, topics.REFERENCE_TOPICS)
    used = {name: end for name, (end,) in ends.items()}
    sender = Sender(target.kafka, "onhand-migrate", Failpoints(""), target.compression)
    await sender.start()
    try:
        for state, each in positions.items():
            for position in each:
                position.partitions = target.partitions
                if state == topics.INVENTORY_SOURCES:
                    position.reference = dict.fromkeys(topics.SOURCE_TOPICS, used)
                await append(sender, target, state, position, [])
    finally:
        await sender.stop()


def _digest(found: Found) -> dict[str, Any]:
    """Rows, and a SHA-256 over all of them, wherever they are."""
    whole_of_it = hashlib.sha256()
    number = 0
    for state in sorted(found):
        for key, value in _rows(found[state].values()).items():
            number += 1
            whole_of_it.update(key.encode() + b"\x00" + value + b"\x00")
    return {"rows": number, "digest": whole_of_it.hexdigest()}


# -- logs


@asynccontextmanager
async def _producer(target: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=target.kafka,
        enable_idempotence=True,
        acks="all",
        linger_ms=5,
        max_batch_size=1024 * 1024,
        max_request_size=MAX_OWN_BYTES,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _move_ledger(settings: Settings, target: Settings, producer: AIOKafkaProducer) -> int:
    """Entries in their order, each where its SKU is now."""
    routing, name = Routing(target), target.topic(topics.INVENTORY_LEDGER)
    packs: dict[int, list[LedgerEntry]] = defaultdict(list)
    number = 0

    async def send(place: int) -> None:
        await producer.send(name, encode_ledger(packs.pop(place)), partition=place)

    async for _, run in whole(settings, topics.INVENTORY_LEDGER):
        for record in run:
            for entry in decode_ledger(record.value):
                number += 1
                place = routing.of(entry.movement.sku)[1]
                packs[place].append(entry)
                if len(packs[place]) == LEDGER_PACK:
                    await send(place)
    for place in list(packs):
        await send(place)
    await producer.flush()
    return number


async def _move_keyed(
    settings: Settings,
    target: Settings,
    producer: AIOKafkaProducer,
    topic: str,
    home: Callable[[str], str] = str,
) -> int:
    """Records as they are, in their order; `home` is what of a key names the partition."""
    routing = Routing(target)
    number = 0
    async for _, run in whole(settings, topic):
        for record in run:
            key = (record.key or b"").decode("utf-8", "replace")
            await producer.send(
                target.topic(topic),
                record.value,
                key=record.key,
                partition=routing.of(home(key))[1],
                headers=list(record.headers),
            )
            number += 1
    await producer.flush()
    return number


async def _move_reference(settings: Settings, target: Settings, producer: AIOKafkaProducer) -> int:
    number = 0
    for topic in topics.REFERENCE_TOPICS:
        async for _, run in whole(settings, topic):
            for record in run:
                await producer.send(target.topic(topic), record.value, key=record.key, partition=0)
                number += 1
    await producer.flush()
    return number
