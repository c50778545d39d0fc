"""Appending dead letters' originals again, as they are: what is still open is then taken."""

from typing import Any, NamedTuple

import typer
from aiokafka import AIOKafkaProducer

from models import topics
from streams.logs import whole
from streams.settings import Settings
from streams.topics import MAX_INPUT_BYTES


class Wanted(NamedTuple):
    """Which letters: by code and by key (a source, a reservation); None is any."""

    code: str | None
    key: str | None


async def replay(settings: Settings, wanted: Wanted) -> int:
    """Append each wanted original once, to the topic it came from; returns how many."""
    found = await _originals(settings, wanted)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        enable_idempotence=True,
        acks="all",
        max_request_size=MAX_INPUT_BYTES + 1024,
    )
    await producer.start()
    try:
        with typer.progressbar(found.values(), label="appending again") as letters:
            for topic, key, original in letters:
                await producer.send_and_wait(settings.topic(topic), original, key=key)
    finally:
        await producer.stop()
    return len(found)


async def _originals(
    settings: Settings, wanted: Wanted
) -> dict[tuple[str, ...], tuple[str, bytes | None, bytes | None]]:
    """Topic, key and bytes of the wanted letters, by the place where they stood."""
    found: dict[tuple[str, ...], tuple[str, bytes | None, bytes | None]] = {}
    async for _, run in whole(settings, topics.DEAD_LETTERS):
        for record in run:
            told = {name: value.decode("utf-8", "replace") for name, value in record.headers}
            if _is_wanted(told, record, wanted):
                parts = ("topic", "partition", "offset", "index")
                place = tuple(told[f"onhand-{part}"] for part in parts)
                found[place] = told["onhand-topic"], record.key, record.value
    return found


def _is_wanted(told: dict[str, str], record: Any, wanted: Wanted) -> bool:
    # A letter that names a SKU holds a movement: its event was taken.
    if "onhand-sku" in told or told["onhand-topic"] not in topics.INPUT_TOPICS:
        return False
    key = (record.key or b"").decode("utf-8", "replace")
    return wanted.code in (None, told["onhand-code"]) and wanted.key in (None, key)
